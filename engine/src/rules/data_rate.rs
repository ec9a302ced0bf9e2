//! How fast a client must send its requests and take its responses: `QS_SrvMinDataRate` and its kin.
//! Spec: connection.md "Data rate", improvements.md 3.6 to 3.8, 3.11, 3.19. Phases: read, fix_up, respond,
//! finish (what a connection is at, and which of its requests may be slow), tick (the look at all of them).

use crate::context::{Connection, Exchange, Moment};
use crate::directive::{About, Arguments, Arity, Directive, InLocation, Scope};
use crate::log_event::{Level, LogEvent};
use crate::meter::rate::Ramp;
use crate::store::rules::{Finder, Tally};
use crate::store::slots;
use crate::time::Seconds;
use crate::values::{Capacity, MAX_NUMBER, Problem, Unreachable, number};
use std::ffi::CString;

pub mod clear_text;
pub mod shedding;
pub mod watch;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    rule: Option<Rule>,
    sample: Option<Seconds>,
    ignore_vip: Option<bool>,
    is_off: bool,
    off_events: Vec<OffEvent>,
}

/// As written in a location.
#[derive(Clone, Debug, Default)]
pub struct LocationSettings {
    off_events: Vec<OffEvent>,
}

/// What is kept for one request.
#[derive(Debug, Default)]
pub struct Facts {
    /// Its connection is at work on it.
    is_begun: bool,
}

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The rate, if one is asked for.
    pub rule: Option<Rule>,
    /// How long an interval is.
    pub sample: Seconds,
    /// It holds for VIPs, too.
    pub ignore_vip: bool,
    /// Connections and requests of this server are not looked at.
    pub is_off: bool,
    /// A request with one of these variables may be slow.
    off_events: Vec<OffEvent>,
    max_clients: u32,
    /// A threshold that can never be reached.
    pub unreachable: Option<Unreachable>,
    /// Where it is counted what became of those who were too slow.
    pub tally: Tally,
}

/// The rate, and what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many octets per second.
    pub ramp: Ramp,
    /// Responses, too, not only requests.
    pub covers_responses: bool,
}

/// One `QS_SrvMinDataRateOffEvent`: a variable that is added, or one that is taken away from those further out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffEvent {
    is_added: bool,
    variable: CString,
}

/// `mod_qos(008)`
pub static NO_THREAD: LogEvent = LogEvent {
    number: 8,
    level: Level::Critical,
    is_counted: false,
    format: "could not create supervisor thread ({what}), disable request rate enforcement",
    when: "start of a child, with QS_SrvMinDataRate or QS_SrvRequestRate; what is always 'create thread'",
};

/// `mod_qos(034)`
pub static TOO_SLOW: LogEvent = LogEvent {
    number: 34,
    level: Level::Error,
    is_counted: true,
    format: "{access denied|log only (allowed)}, QS_SrvMinDataRate rule ({in|in:0|out}): min={required}, this connection={rate}, c={c}",
    when: "a client that sends or takes less than QS_SrvMinDataRate or QS_SrvRequestRate; in:0: nothing at all on a \
           new connection. At level debug where it is allowed to: a VIP, an event, too few open connections. Also \
           `QS_SrvMinDataRate rule (enforce keep-alive), c={c}`: idle for longer than the keep-alive timeout",
};

/// The same where nothing is enforced.
pub static TOO_SLOW_BUT_ALLOWED: LogEvent = LogEvent { level: Level::Debug, ..copy(&TOO_SLOW) };

const fn copy(event: &LogEvent) -> LogEvent {
    LogEvent {
        number: event.number,
        level: event.level,
        is_counted: event.is_counted,
        format: event.format,
        when: event.when,
    }
}

/// `mod_qos(036)`
pub static UNEXPECTED_COUNT: LogEvent = LogEvent {
    number: 36,
    level: Level::Critical,
    is_counted: true,
    format: "QS_SrvMinDataRate: unexpected connection status! connections={n}, cal. request rate={r}, max. limit={max}. Check log for unclean child exit and consider to do a graceful server restart if this condition persists.",
    when: "more connections are open than can be served, by 128 and more; counted without a line from one more on",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NO_THREAD, &TOO_SLOW, &UNEXPECTED_COUNT];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_SrvMinDataRate",
            arguments: c"<octets per second> [<more when full> [<connections>]]",
            arity: Arity::OneToThree,
            scope: Scope::BaseServer,
            range: "1 to 2147483647; the second number above the first; the third from 1",
            default: "off; without the second number the rate does not rise, without the third it always holds",
            help: "How fast a client must send its requests and take its responses. Whoever is slower over an \
                   interval of QS_SrvSampleRate seconds is closed (event 034). The second number is added in \
                   proportion to the open connections, all of it when the server is full. With the third, nobody \
                   is closed while fewer connections are open. Time counts only where the client is waited for, not \
                   while a backend works; idle connections are left to KeepAliveTimeout. When workers run out (seven \
                   eighths of them), the slowest go first and without waiting for the whole interval.",
            spec: "connection.md QS_SrvMinDataRate",
        },
        set: |settings, arguments| {
            let min = number(arguments.first(), 1, MAX_NUMBER)?;
            let max = arguments.second().map(|word| number(word, 1, MAX_NUMBER)).transpose()?;
            if let (Some(max), Some(word)) = (max, arguments.second())
                && max <= min
            {
                return Err(Problem::word(
                    word,
                    format_args!("a number above {min}, the first one"),
                ));
            }
            let from = arguments.third().map(|word| number(word, 1, MAX_NUMBER)).transpose()?;
            let ramp = Ramp { min, max, from: from.unwrap_or(0) };
            set_rule(settings, Rule { ramp, covers_responses: true })
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvRequestRate",
            arguments: c"<octets per second> [<more when full>]",
            arity: Arity::OneOrTwo,
            scope: Scope::BaseServer,
            range: "1 to 2147483647; from 0 for the second number",
            default: "off",
            help: "Like QS_SrvMinDataRate, for requests only; not to be used beside it.",
            spec: "connection.md QS_SrvRequestRate",
        },
        set: |settings, arguments| {
            let min = number(arguments.first(), 1, MAX_NUMBER)?;
            let max = arguments.second().map(|word| number(word, 0, MAX_NUMBER)).transpose()?;
            set_rule(settings, Rule { ramp: Ramp { min, max, from: 0 }, covers_responses: false })
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvSampleRate",
            arguments: c"<seconds>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "2 to 2147483647",
            default: "5",
            help: "Over how many seconds the data rate is measured.",
            spec: "connection.md Data rate",
        },
        set: |settings, arguments| {
            settings.sample = Some(Seconds(number(arguments.first(), 2, MAX_NUMBER)?));
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvMinDataRateOffEvent",
            arguments: c"+|-<variable>",
            arity: Arity::One,
            scope: Scope::Location,
            range: "'+' or '-', and a variable's name",
            default: "none",
            help: "A request with this variable (+) may be slow: it is told of at level debug only. A '-' takes \
                   the variable away from those of the server, or of the location around. May be repeated.",
            spec: "connection.md QS_SrvMinDataRateOffEvent",
        },
        set: |settings, arguments| add_off_event(&mut settings.off_events, arguments),
        set_in_location: Some(|settings, arguments| {
            add_off_event(&mut settings.off_events, arguments)
        }),
    },
    Directive {
        about: About {
            name: c"QS_SrvDataRateOff",
            arguments: c"",
            arity: Arity::None,
            scope: Scope::Server,
            range: "no argument",
            default: "connections of all servers are looked at",
            help: "Connections that come in by this server, and requests for it, may be slow.",
            spec: "connection.md QS_SrvDataRateOff",
        },
        set: |settings, _| {
            settings.is_off = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvMinDataRateIgnoreVIP",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "on, off",
            default: "off",
            help: "Applies the data rate to privileged and excluded addresses, too.",
            spec: "connection.md QS_SrvMinDataRateIgnoreVIP",
        },
        set: |settings, arguments| {
            settings.ignore_vip = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
];

fn set_rule(settings: &mut Settings, rule: Rule) -> Result<(), Problem> {
    if settings.rule.is_some() {
        return Err(Problem::text(
            "QS_SrvMinDataRate or QS_SrvRequestRate is set already, only one of both is possible, and once",
        ));
    }
    settings.rule = Some(rule);
    Ok(())
}

fn add_off_event(events: &mut Vec<OffEvent>, arguments: &Arguments<'_>) -> Result<(), Problem> {
    let word = arguments.first();
    let problem = || Problem::word(word, "'+' or '-' and a variable's name behind it");
    let (is_added, name) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
        (Some(name), _) => (true, name),
        (_, Some(name)) => (false, name),
        _ => return Err(problem()),
    };
    if name.is_empty() {
        return Err(problem());
    }
    let variable = CString::new(name).map_err(|_| problem())?;
    put(events, OffEvent { is_added, variable });
    Ok(())
}

/// Puts an event in the place of one for the same variable.
fn put(events: &mut Vec<OffEvent>, event: OffEvent) {
    events.retain(|old| !is_same(old, &event));
    events.push(event);
}

fn is_same(one: &OffEvent, other: &OffEvent) -> bool {
    one.variable.as_bytes().eq_ignore_ascii_case(other.variable.as_bytes())
}

fn over(inner: &[OffEvent], outer: &[OffEvent]) -> Vec<OffEvent> {
    let mut merged = outer.to_vec();
    for event in inner {
        put(&mut merged, event.clone());
    }
    merged
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            is_off: self.is_off || base.is_off,
            off_events: over(&self.off_events, &base.off_events),
            ..base.clone()
        }
    }
}

impl InLocation for LocationSettings {
    fn is_empty(&self) -> bool {
        self.off_events.is_empty()
    }

    fn over(&self, outer: &LocationSettings) -> LocationSettings {
        LocationSettings { off_events: over(&self.off_events, &outer.off_events) }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let threshold = settings.rule.map_or(0, |rule| rule.ramp.from);
        Policy {
            rule: settings.rule,
            sample: settings.sample.unwrap_or(Seconds(5)),
            ignore_vip: settings.ignore_vip.unwrap_or(false),
            is_off: settings.is_off,
            off_events: settings.off_events.clone(),
            max_clients: capacity.max_clients,
            unreachable: capacity.unreachable("QS_SrvMinDataRate", threshold),
            tally: Tally::default(),
        }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if self.rule.is_some() {
            self.tally = finder.of_all("QS_SrvMinDataRate", "");
        }
    }

    /// Tells whether a variable lets requests be slow.
    pub fn allows_by_event(&self) -> bool {
        self.rule.is_some() && !self.off_events.is_empty()
    }

    /// Tells whether connections of this server are looked at.
    pub fn is_on(&self) -> bool {
        self.rule.is_some() && !self.is_off
    }
}

/// A request was read: its connection is at work on it.
pub fn begin(policy: &Policy, connection: &Connection, facts: &mut Facts) {
    if policy.rule.is_some() && !facts.is_begun {
        facts.is_begun = true;
        connection.progress.begin_request(policy.is_off);
    }
}

/// Lets a request be slow that has one of the variables.
#[inline]
pub fn allow_by_event(
    policy: &Policy,
    location: Option<&LocationSettings>,
    exchange: &Exchange<'_>,
) {
    let inner = location.map_or(&[][..], |location| &location.off_events);
    if policy.rule.is_none() || (inner.is_empty() && policy.off_events.is_empty()) {
        return;
    }
    let outer = policy.off_events.iter().filter(|event| !inner.iter().any(|i| is_same(i, event)));
    let is_set =
        |event: &OffEvent| event.is_added && exchange.request.variable(&event.variable).is_some();
    if inner.iter().chain(outer).any(is_set) {
        exchange.connection.progress.allow();
    }
}

/// A request was logged: its connection waits for the next one, or for the end.
pub fn end(policy: &Policy, moment: &Moment<'_>, connection: &Connection, facts: &mut Facts) {
    if policy.rule.is_some() {
        connection.progress.end_request(facts.is_begun, moment.now);
        facts.is_begun = false;
    }
}

/// Tells whether a request's connection is still at work on it.
pub fn is_begun(facts: &Facts) -> bool {
    facts.is_begun
}

/// The request's memory ends, and it was not logged.
pub fn release(policy: &Policy, moment: &Moment<'_>, connection: &Connection, facts: &mut Facts) {
    if facts.is_begun {
        end(policy, moment, connection, facts);
    }
}

/// Returns how many connections are open altogether.
fn open(moment: &Moment<'_>) -> u32 {
    moment.store.scopes.open(slots::ALL)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
