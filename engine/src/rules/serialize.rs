//! One request after the other: of a client, or of a server.
//! Spec: client.md QS_ClientSerialize, connection.md QS_SrvSerialize, improvements.md 1.2, 2.5, 3.14.
//! Phases: admit (wait for the turn), answered and finish (give it back).

use crate::context::{Exchange, Letter, Moment};
use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::clients::RowId;
use crate::store::owned;
use crate::store::rules::{Finder, Outcome, Rules, Tally};
use crate::store::unit::Unit;
use crate::time::Seconds;
use crate::values::{Capacity, seconds};
use crate::verdict::{Restraint, Violation};
use crate::waiting::{self, Places, Turn};
use core::ffi::CStr;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    by_client: bool,
    /// Whether it is on, and how long a request waits at most.
    by_server: Option<(bool, Seconds)>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `QS_ClientSerialize`
    pub by_client: bool,
    /// `QS_SrvSerialize`: how long a request waits at most.
    pub by_server: Option<Seconds>,
    /// The row whose unit is the server's turn; none before it is brought into force.
    turn: Option<u32>,
    places: Places,
    /// Where outcomes of turns of clients are counted.
    tally: Tally,
}

/// The turns that a request has.
#[derive(Debug, Default)]
pub struct Facts {
    turns: [Option<Unit>; 2],
}

/// `mod_qos(068)`
pub static WAITED_TOO_LONG: LogEvent = LogEvent {
    number: 68,
    level: Level::Warning,
    is_counted: true,
    format: "QS_SrvSerialize exceeds limit of {s} seconds, id={id}|QS_ClientSerialize exceeds limit of 5 minutes, c={c}, id={id}",
    when: "a request has waited that long for its turn, and goes on without it",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&WAITED_TOO_LONG, &waiting::CROWDED];

const BY_CLIENT: &CStr = c"QS_Serialize";
const BY_SERVER: &CStr = c"QS_SrvSerialize";

/// How long a client's request waits at most.
const FIVE_MINUTES: Seconds = Seconds(300);

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientSerialize",
            arguments: c"",
            arity: Arity::None,
            scope: Scope::BaseServer,
            range: "no arguments",
            default: "off",
            help: "Requests of one client that have the variable QS_Serialize are served one after the \
                   other, in the order in which they came. One that has waited for five minutes goes on \
                   all the same (event 068).",
            spec: "client.md QS_ClientSerialize",
        },
        set: |settings, _| {
            settings.by_client = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvSerialize",
            arguments: c"on|off [<seconds>]",
            arity: Arity::OneOrTwo,
            scope: Scope::Server,
            range: "on, off; 1 to 2147483647 seconds",
            default: "off; 300 seconds",
            help: "Requests of a server that have the variable QS_SrvSerialize are served one after the \
                   other, in the order in which they came. One that has waited for so many seconds goes on \
                   all the same (event 068).",
            spec: "connection.md QS_SrvSerialize",
        },
        set: |settings, arguments| {
            let longest = arguments.second().map(seconds).transpose()?;
            settings.by_server = Some((arguments.flag()?, longest.unwrap_or(Seconds(300))));
            Ok(())
        },
        set_in_location: None,
    },
];

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings { by_client: base.by_client, by_server: self.by_server.or(base.by_server) }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let by_server = settings.by_server.filter(|(is_on, _)| *is_on);
        Policy {
            by_client: settings.by_client,
            by_server: by_server.map(|(_, longest)| longest),
            turn: None,
            places: Places::of(capacity),
            tally: Tally::default(),
        }
    }

    /// Finds the turn of this server again, or takes a new one.
    pub fn bind(&mut self, rules: &Rules<'_>, server: u64, generation: u32) -> Result<(), String> {
        if self.by_server.is_some() {
            let turn = rules.find(owned::tag(server, &["QS_SrvSerialize"]), generation);
            self.turn = Some(turn.ok_or("no room for QS_SrvSerialize")?);
        }
        Ok(())
    }

    /// Finds where outcomes are counted, those of the server's turn in its row.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if self.by_client {
            self.tally = finder.of_all("QS_ClientSerialize", "");
        }
        if let Some(turn) = self.turn {
            finder.of_row("QS_SrvSerialize", "", turn);
        }
    }

    /// Tells whether this request waits for the turn of its client.
    pub fn is_by_client(&self, exchange: &Exchange<'_>) -> bool {
        self.by_client && exchange.request.variable(BY_CLIENT).is_some()
    }
}

/// Tells whether a client's next request would have to wait.
pub fn restraint(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<Restraint<'static>> {
    let count = moment.store.clients.turn(row.0).filter(|_| policy.by_client)?.count();
    (count > 0).then_some(Restraint {
        directive: "QS_ClientSerialize",
        variable: None,
        count,
        limit: 1,
        remaining: Seconds(0),
        since: moment.now,
    })
}

/// Waits for the turn of the client (I.14).
pub fn admit_of_client(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
    is_log_only: bool,
) -> Option<Violation> {
    if !policy.is_by_client(exchange) {
        return None;
    }
    let unit = Unit::ClientTurn(exchange.known.client_row?.0);
    let waited = wait(exchange, unit, policy.places, FIVE_MINUTES, is_log_only, policy.tally);
    let turn = match waited {
        Ok(turn) => turn?,
        Err(crowded) => {
            let violation = crowded.violation("QS_ClientSerialize").by(policy.tally);
            return Some(violation.of(exchange.client()));
        }
    };
    match turn {
        Turn::AtOnce | Turn::Taken => facts.keep(unit),
        Turn::TimedOut => {
            let client = exchange.client().in_log(exchange.moment.store.prefix);
            exchange.note(
                &WAITED_TOO_LONG,
                format_args!("QS_ClientSerialize exceeds limit of 5 minutes, {client}"),
            );
        }
    }
    None
}

/// Waits for the turn of the server (I.15).
pub fn admit_of_server(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
    is_log_only: bool,
) -> Option<Violation> {
    let longest = policy.by_server?;
    exchange.request.variable(BY_SERVER)?;
    let (unit, tally) = (Unit::ServerTurn(policy.turn?), Tally::of_row(policy.turn?));
    let turn = match wait(exchange, unit, policy.places, longest, is_log_only, tally) {
        Ok(turn) => turn?,
        Err(crowded) => return Some(crowded.violation("QS_SrvSerialize").by(tally)),
    };
    match turn {
        Turn::AtOnce | Turn::Taken => facts.keep(unit),
        Turn::TimedOut => {
            exchange.note(
                &WAITED_TOO_LONG,
                format_args!("QS_SrvSerialize exceeds limit of {} seconds", longest.0),
            );
        }
    }
    None
}

/// Takes a turn; in log-only mode only the letter says that there would have been a wait.
fn wait(
    exchange: &mut Exchange<'_>,
    unit: Unit,
    places: Places,
    longest: Seconds,
    is_log_only: bool,
    tally: Tally,
) -> Result<Option<Turn>, waiting::Crowded> {
    let moment = exchange.moment;
    let turn = if !is_log_only {
        Some(waiting::take_turn(exchange, unit, places, longest)?)
    } else if moment.store.borrow_below(exchange.purse, moment.child, unit, 1).is_some() {
        Some(Turn::AtOnce)
    } else {
        exchange.add_letter(Letter::Serialized);
        None
    };
    let outcome = match turn {
        Some(Turn::AtOnce) => Outcome::Pass,
        Some(Turn::Taken | Turn::TimedOut) => Outcome::Delay,
        None => Outcome::LogOnly,
    };
    moment.store.rules.count(tally, outcome);
    Ok(turn)
}

/// Gives the turns back: the answer is handed over, or the request is logged, whichever comes first.
pub fn finish(exchange: &mut Exchange<'_>, facts: &mut Facts) {
    for unit in facts.turns.iter_mut().filter_map(Option::take) {
        exchange.moment.store.give(exchange.purse, unit, exchange.moment.now);
    }
}

impl Facts {
    fn keep(&mut self, unit: Unit) {
        if let Some(free) = self.turns.iter_mut().find(|turn| turn.is_none()) {
            *free = Some(unit);
        }
    }

    /// Tells whether the request has a turn that others may wait for.
    pub fn has_turn(&self) -> bool {
        self.turns.iter().any(Option::is_some)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use crate::testing::{View, World, refused};
    use crate::verdict::Answer;

    #[test]
    fn who_waits_too_long_goes_on_without_the_turn() {
        let mut world = World::new("QS_ClientSerialize\nQS_SrvSerialize on 2");
        let client = world.connect("192.0.2.1").expect("let in");
        let other = world.connect("192.0.2.2").expect("let in");
        let both = || View::with("QS_Serialize", "").and("QS_SrvSerialize", "");
        let mut first = both();
        let (answer, facts) = world.begin(&client, &mut first);
        assert_eq!((answer, first.letters(), first.paused), (Answer::Pass, "", 0));
        // Another client has its own turn, but not one of the server.
        let mut second = both();
        let (answer, _) = world.begin(&other, &mut second);
        assert_eq!((answer, second.letters(), second.paused), (Answer::Pass, "s", 2000));
        assert_eq!(
            world.told(),
            ["mod_qos(068): QS_SrvSerialize exceeds limit of 2 seconds, id=ID"]
        );
        assert_eq!(second.text("QS_ErrorNotes"), Some("068"));
        let mut third = View::with("QS_Serialize", "");
        let (answer, _) = world.begin(&client, &mut third);
        assert_eq!((answer, third.paused), (Answer::Pass, 300_000));
        let line = "QS_ClientSerialize exceeds limit of 5 minutes, c=192.0.2.1, id=ID";
        assert_eq!(world.told(), [format!("mod_qos(068): {line}")]);
        world.end(&client, &mut first, facts, Answer::Pass, 200);
        let mut fourth = View::with("QS_SrvSerialize", "");
        world.begin(&client, &mut fourth);
        assert_eq!((fourth.letters(), fourth.paused), ("", 0), "the turn is back");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, word) in [
            ("QS_ClientSerialize on", "'on'"),
            ("QS_SrvSerialize yes", "'yes'"),
            ("QS_SrvSerialize 5", "'5'"),
            ("QS_SrvSerialize on 0", "'0'"),
            ("QS_SrvSerialize on -3", "'-3'"),
            ("QS_SrvSerialize on 5s", "'5s'"),
        ] {
            let error = refused(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
