//! QS_Delay: a request that is told to wait. Spec: request-limits.md 6. Phase: admit, last (I.18).

pub use super::variables_only::{DIRECTIVES, Facts, LOG_EVENTS, LocationSettings, Settings};

use crate::context::{Exchange, Letter};
use crate::time::Millis;
use crate::values::{Capacity, leading_number};
use crate::verdict::Violation;
use crate::waiting::{self, Places};
use core::ffi::CStr;

const DELAY: &CStr = c"QS_Delay";

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether the variable is asked for: always, unless told that nobody can set it.
    is_read: bool,
    places: Places,
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(_: &Settings, capacity: Capacity) -> Policy {
        Policy { is_read: true, places: Places::of(capacity) }
    }

    /// Asks for the variable only where it can be set at all; `is_used` knows of whom.
    pub fn bind(&mut self, is_used: &dyn Fn(&CStr) -> bool) {
        self.is_read = is_used(DELAY);
    }
}

/// Holds a request up for the milliseconds that its variable says; in log-only mode nothing happens. Denies
/// it where too many requests wait already.
pub fn pause(policy: &Policy, is_log_only: bool, exchange: &mut Exchange<'_>) -> Option<Violation> {
    if is_log_only || !policy.is_read {
        return None;
    }
    let span = exchange.request.variable(DELAY).and_then(leading_number);
    let span = span.filter(|span| *span > 0)?;
    exchange.add_letter(Letter::Delayed);
    let crowded = waiting::pause(exchange, policy.places, Millis(span)).err()?;
    Some(crowded.violation("QS_Delay"))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use crate::store::sleepers::Awaited;
    use crate::testing::{View, World};
    use crate::verdict::Answer;

    fn paused(configuration: &str, value: &str) -> (u32, String) {
        let mut world = World::new(configuration);
        let connection = world.connect("10.0.0.1").expect("connected");
        let mut view = View::with("QS_Delay", value).at("/", None);
        world.request(&connection, &mut view, 200);
        world.close(connection);
        (view.paused, view.letters().to_owned())
    }

    #[test]
    fn a_request_waits_as_long_as_its_variable_says() {
        for (value, expected) in [
            ("700", 700),
            ("20ms", 20),
            ("007", 7),
            ("0", 0),
            ("-5", 0),
            ("", 0),
            ("abc", 0),
            (" 9", 9),
            ("1.5", 1),
        ] {
            let letters = if expected > 0 { "L" } else { "" };
            assert_eq!(paused("", value), (expected, letters.to_owned()), "{value:?}");
        }
    }

    #[test]
    fn what_nobody_can_set_is_not_asked_for() {
        let mut world = World::new("");
        world.policy.delay.bind(&|_| false);
        let connection = world.connect("10.0.0.1").expect("connected");
        let mut view = View::with("QS_Delay", "700");
        world.request(&connection, &mut view, 200);
        world.close(connection);
        assert_eq!(view.paused, 0);
    }

    #[test]
    fn no_more_than_half_of_the_server_waits() {
        let mut world = World::new("");
        // Forty requests can be served at once.
        let places: Vec<_> = (0..20)
            .map(|_| {
                let store = World::store(&world.memory);
                store.sleepers.lie_down(world.child.number(), Awaited::Time, 20).expect("a place")
            })
            .collect();
        let connection = world.connect("10.0.0.1").expect("connected");
        let mut view = View::with("QS_Delay", "700").at("/", None);
        assert_eq!(world.request(&connection, &mut view, 200), Answer::Deny(500));
        assert_eq!(view.paused, 0);
        assert_eq!(
            world.told(),
            ["mod_qos(307): access denied, QS_Delay rule: waiting requests, max=20, current=21, \
              c=10.0.0.1, id=ID"]
        );
        places.into_iter().for_each(|place| World::store(&world.memory).sleepers.rise(place));
        let mut view = View::with("QS_Delay", "700").at("/", None);
        assert_eq!(world.request(&connection, &mut view, 200), Answer::Pass);
        assert_eq!(view.paused, 700);
        world.close(connection);
    }

    #[test]
    fn in_log_only_mode_nobody_waits() {
        assert_eq!(paused("QS_LogOnly on", "700"), (0, String::new()));
    }
}
