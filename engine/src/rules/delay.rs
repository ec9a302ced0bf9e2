//! QS_Delay: a request that is told to wait. Spec: request-limits.md 6. Phase: admit, last (I.18).

use crate::context::{Exchange, Letter};
use crate::time::Millis;
use crate::values::leading_number;

/// Holds a request up for the milliseconds that its variable says; in log-only mode nothing happens.
pub fn pause(is_log_only: bool, exchange: &mut Exchange<'_>) {
    if is_log_only {
        return;
    }
    let span = exchange.request.variable(c"QS_Delay").and_then(leading_number);
    if let Some(span) = span.filter(|span| *span > 0) {
        exchange.add_letter(Letter::Delayed);
        exchange.moment.now = exchange.request.pause(Millis(span));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use crate::testing::{View, World};

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
    fn in_log_only_mode_nobody_waits() {
        assert_eq!(paused("QS_LogOnly on", "700"), (0, String::new()));
    }
}
