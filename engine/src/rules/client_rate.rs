//! How fast one client may be: events per second, and how long who is faster has to wait.
//! Spec: client.md, QS_ClientEventPerSecLimit. Phases: admit (count, hold up).

use crate::context::{Exchange, Letter, Moment};
use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::meter::pace::{self, Change, MAX_DELAY};
use crate::store::Store;
use crate::store::clients::RowId;
use crate::store::columns::{Column, Columns};
use crate::store::rules::{Finder, Outcome, Tally};
use crate::time::{Millis, Seconds, Tick};
use crate::values::{Capacity, MAX_NUMBER, number};
use crate::verdict::{Restraint, Violation};
use crate::waiting::{self, Places};
use core::ffi::CStr;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    limit: Option<u32>,
}

/// Nothing of this family stands in a location, or is kept for a request.
pub type LocationSettings = ();
/// See above.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    limit: Option<u32>,
    /// Where it counts; none before it is brought into force.
    column: Option<Column>,
    places: Places,
    /// Where outcomes are counted.
    tally: Tally,
}

/// `mod_qos(061)`
pub static SLOWED_DOWN: LogEvent = LogEvent {
    number: 61,
    level: Level::Warning,
    is_counted: true,
    format: "request rate limit, rule: QS_Event({N}), req/sec={r}, delay={d}ms{ (max)}",
    when: "a client was faster than the limit for ten seconds: its delay grows",
};

/// `mod_qos(062)`
pub static LET_GO: LogEvent = LogEvent {
    number: 62,
    level: Level::Info,
    is_counted: true,
    format: "request rate limit, rule: QS_Event({N}), req/sec={r}, delay={d}ms",
    when: "a client that was slowed down kept the limit: its delay shrinks",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&SLOWED_DOWN, &LET_GO];

const EVENT: &CStr = c"QS_Event";

/// The name of the column: no variable can have it.
const COLUMN: &str = "QS_ClientEventPerSecLimit ";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QS_ClientEventPerSecLimit",
        arguments: c"<events>",
        arity: Arity::One,
        scope: Scope::BaseServer,
        range: "0 to 2147483647, 0 switches the rule off",
        default: "off",
        help: "How many requests with the variable QS_Event a client may have a second. Who has more is \
               held up: every ten seconds his delay grows by the excess in percent, in milliseconds, up to \
               five seconds (event 061), or shrinks by a quarter (event 062).",
        spec: "client.md QS_ClientEventPerSecLimit",
    },
    set: |settings, arguments| {
        settings.limit = Some(number(arguments.first(), 0, MAX_NUMBER)?);
        Ok(())
    },
    set_in_location: None,
}];

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let limit = settings.limit.filter(|limit| *limit > 0);
        Policy { limit, column: None, places: Places::of(capacity), tally: Tally::default() }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if self.limit.is_some() {
            self.tally = finder.of_all("QS_ClientEventPerSecLimit", "");
        }
    }

    /// Tells whether any client is counted.
    pub fn is_on(&self) -> bool {
        self.limit.is_some()
    }

    /// Finds the column again, or takes a new one.
    pub fn bind(&mut self, columns: &Columns<'_>, generation: u32) -> Result<(), String> {
        if self.limit.is_some() {
            let column = columns.find(COLUMN, generation);
            self.column = Some(column.ok_or("no room for QS_ClientEventPerSecLimit")?);
        }
        Ok(())
    }
}

/// Tells whether a client is held up: how many events a second it has had lately.
pub fn restraint(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<Restraint<'static>> {
    let limit = policy.limit?;
    let word = moment.store.clients.columns().cell(policy.column?, row.0)?;
    let (delay, events, since) = pace::look(word);
    (delay.0 > 0).then(|| Restraint {
        directive: "QS_ClientEventPerSecLimit",
        variable: None,
        count: events / moment.now.seconds_since(since).0.max(1),
        limit,
        remaining: Seconds(0),
        since,
    })
}

/// Returns how many events a second a client has had lately, and for how long it is held up.
pub fn look(policy: &Policy, store: &Store<'_>, row: RowId, now: Tick) -> Option<(u32, Millis)> {
    let column = policy.column.filter(|_| policy.limit.is_some())?;
    let (delay, events, since) = pace::look(store.clients.columns().cell(column, row.0)?);
    Some((events / now.seconds_since(since).0.max(1), delay))
}

/// Counts an event, and holds up who is too fast (I.16). The peer is counted, whatever a header says.
pub fn admit(policy: &Policy, exchange: &mut Exchange<'_>, is_log_only: bool) -> Option<Violation> {
    let limit = policy.limit?;
    exchange.request.variable(EVENT)?;
    let moment = exchange.moment;
    let columns = moment.store.clients.columns();
    let word = columns.cell(policy.column?, exchange.connection.client_row?.0)?;
    let paced = pace::count(word, moment.now, limit);
    let delay = paced.delay.0;
    match paced.change {
        Some((rate, Change::Grown)) => {
            let end = if delay == MAX_DELAY { " (max)" } else { "" };
            exchange.note_without_id(
                &SLOWED_DOWN,
                format_args!(
                    "request rate limit, rule: QS_Event({limit}), req/sec={rate}, delay={delay}ms{end}"
                ),
            );
        }
        Some((rate, Change::Shrunk)) => exchange.note_without_id(
            &LET_GO,
            format_args!(
                "request rate limit, rule: QS_Event({limit}), req/sec={rate}, delay={delay}ms"
            ),
        ),
        None => {}
    }
    let rules = &moment.store.rules;
    if delay == 0 {
        rules.count(policy.tally, Outcome::Pass);
        return None;
    }
    exchange.add_letter(Letter::Delayed);
    if is_log_only {
        rules.count(policy.tally, Outcome::LogOnly);
        return None;
    }
    match waiting::pause(exchange, policy.places, paced.delay) {
        Ok(()) => {
            rules.count(policy.tally, Outcome::Delay);
            None
        }
        Err(crowded) => Some(crowded.violation("QS_ClientEventPerSecLimit").by(policy.tally)),
    }
}
