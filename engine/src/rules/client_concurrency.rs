//! How many requests one client may have at once. Whom a request is counted for may be said by a header
//! (client_identity.rs).
//! Spec: client.md, QS_ClientEventRequestLimit. Phases: admit (count, judge); given back with all that a
//! request has on loan.

use crate::context::{Exchange, Letter, Moment};
use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::clients::RowId;
use crate::store::rules::{Finder, Tally};
use crate::store::unit::Unit;
use crate::time::Seconds;
use crate::values::{Capacity, MAX_NUMBER, number};
use crate::verdict::{Restraint, Violation, Words};
use core::ffi::CStr;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    max: Option<u32>,
}

/// Nothing of this family stands in a location, or is kept for a request.
pub type LocationSettings = ();
/// See above.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// So many requests at once.
    pub max: Option<u32>,
    /// Where outcomes are counted.
    tally: Tally,
}

/// `mod_qos(065)`
pub static TOO_MANY_AT_ONCE: LogEvent = LogEvent {
    number: 65,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_ClientEventRequestLimit rule: max={N}, current={n}, c={c}, id={id}",
    when: "a request with the variable QS_EventRequest, of a client that has as many of them already",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&TOO_MANY_AT_ONCE];

const EVENT: &CStr = c"QS_EventRequest";
const IS_VIP: &CStr = c"QS_IsVipRequest";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QS_ClientEventRequestLimit",
        arguments: c"<requests>",
        arity: Arity::One,
        scope: Scope::BaseServer,
        range: "0 to 2147483647, 0 denies all of them",
        default: "off",
        help: "How many requests with the variable QS_EventRequest a client may have at once (event 065). \
               VIPs may have more.",
        spec: "client.md QS_ClientEventRequestLimit",
    },
    set: |settings, arguments| {
        settings.max = Some(number(arguments.first(), 0, MAX_NUMBER)?);
        Ok(())
    },
    set_in_location: None,
}];

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy { max: settings.max, tally: Tally::default() }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if self.max.is_some() {
            self.tally = finder.of_all("QS_ClientEventRequestLimit", "");
        }
    }

    /// Tells whether this request is one of those that are counted.
    pub fn is_event(&self, exchange: &Exchange<'_>) -> bool {
        self.max.is_some() && exchange.request.variable(EVENT).is_some()
    }
}

/// Tells whether a client's next request would be denied.
pub fn restraint(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<Restraint<'static>> {
    let limit = policy.max?;
    let count = moment.store.clients.requests(row.0)?.count();
    (count >= limit && !moment.store.clients.is_vip(row)).then_some(Restraint {
        directive: "QS_ClientEventRequestLimit",
        variable: None,
        count,
        limit,
        remaining: Seconds(0),
        since: moment.now,
    })
}

/// Counts a request and judges it (I.13). A request that is denied counts until it is answered.
pub fn admit(policy: &Policy, exchange: &mut Exchange<'_>) -> Option<Violation> {
    let max = policy.max.filter(|_| policy.is_event(exchange))?;
    let found = count(max, exchange);
    Violation::or_pass(found, policy.tally, &exchange.moment.store.rules)
}

fn count(max: u32, exchange: &mut Exchange<'_>) -> Option<Violation> {
    let moment = exchange.moment;
    let row = exchange.known.client_row;
    let unit = row.map(|row| Unit::ClientRequests(row.0));
    let current = unit.and_then(|unit| moment.store.borrow(exchange.purse, moment.child, unit));
    // What cannot be counted is over the limit.
    let current = current.unwrap_or(u32::MAX);
    if current <= max {
        return None;
    }
    // A request of a VIP, or of a client that was marked as one.
    if exchange.known.is_vip || row.is_some_and(|row| moment.store.clients.is_vip(row)) {
        exchange.add_letter(Letter::Vip);
        exchange.request.set_variable(IS_VIP, b"yes");
        return None;
    }
    let words = Words::Counted {
        directive: "QS_ClientEventRequestLimit",
        measure: "current",
        max,
        current,
        age: None,
    };
    Some(Violation::of_client(&TOO_MANY_AT_ONCE, words).of(exchange.client()))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use crate::testing::{View, World, refused};
    use crate::verdict::Answer;

    fn event() -> View {
        View::with("QS_EventRequest", "")
    }

    #[test]
    fn requests_count_until_they_are_answered_denied_ones_too() {
        let mut world = World::new("QS_ClientEventRequestLimit 2");
        let client = world.connect("192.0.2.1").expect("let in");
        let mut views = [event(), event(), event(), event()];
        let expected = [Answer::Pass, Answer::Pass, Answer::Deny(500), Answer::Deny(500)];
        let mut open = Vec::new();
        for (view, expected) in views.iter_mut().zip(expected) {
            let (answer, facts) = world.begin(&client, view);
            assert_eq!(answer, expected);
            open.push((answer, facts));
        }
        let rule = "QS_ClientEventRequestLimit rule: max=2, current=";
        assert_eq!(
            world.told(),
            [3, 4].map(|n| format!("mod_qos(065): access denied, {rule}{n}, c=192.0.2.1, id=ID"))
        );
        let mut harmless = View::default();
        assert_eq!(world.request(&client, &mut harmless, 200), Answer::Pass);
        for (view, (answer, facts)) in views.iter_mut().zip(open) {
            world.end(&client, view, facts, answer, 200);
        }
        assert_eq!(world.request(&client, &mut event(), 200), Answer::Pass);
    }

    #[test]
    fn vips_may_have_more() {
        let mut world = World::new("QS_ClientEventRequestLimit 0");
        let client = world.connect("192.0.2.1").expect("let in");
        let mut view = event();
        view.known.is_vip = true;
        assert_eq!(world.request(&client, &mut view, 200), Answer::Pass);
        assert_eq!((view.letters(), view.text("QS_IsVipRequest")), ("S", Some("yes")));
        assert_eq!(world.request(&client, &mut event(), 200), Answer::Deny(500));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for word in ["-1", "5x", "x", "2147483648", "1.5", "%"] {
            let error = refused(&format!("QS_ClientEventRequestLimit {word}"));
            assert!(error.contains(&format!("'{word}'")), "{error}");
            let error = refused(&format!("QS_ClientEventPerSecLimit {word}"));
            assert!(error.contains(&format!("'{word}'")), "{error}");
        }
    }
}
