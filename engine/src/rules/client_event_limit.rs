//! Limits on what one client may do: so many events of a variable in a time, else all of its requests are
//! denied. Whom a request is counted for may be said by a header (client_identity.rs).
//! Spec: client.md, QS_ClientEventLimitCount. Phases: admit (count, judge), finish (count).

pub mod by_hand;
pub mod limits;

use crate::context::{Exchange, Letter, Moment, RequestView};
use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::meter::window::{Reading, Window};
use crate::store::clients::RowId;
use crate::store::columns::{Column, Columns};
use crate::store::marks::flag;
use crate::store::rules::{Finder, Outcome, Tally};
use crate::time::{Seconds, Tick};
use crate::values::{Capacity, Digits, MAX_NUMBER, Problem, number, points, seconds};
use crate::verdict::{Violation, Words};
use core::ffi::CStr;
use std::ffi::CString;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    rules: Vec<Written>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();

/// One use of either directive.
#[derive(Clone, Debug)]
struct Written {
    variable: CString,
    max: u32,
    span: Seconds,
    condition: Option<Pattern>,
}

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    /// What the target of an internal redirect takes over, an error page for one: all that tells of limits.
    pub inherited: Vec<CString>,
}

/// A limit, with all names that its variable has.
#[derive(Clone, Debug)]
struct Rule {
    written: Written,
    /// Where it counts; none before it is brought into force.
    column: Option<Column>,
    /// Where outcomes are counted.
    tally: Tally,
    counter: Name,
    remaining: Name,
    clear: Name,
    decrement: Name,
}

/// The name of a variable, and whether anybody but us can have to do with it.
#[derive(Clone, Debug)]
struct Name {
    text: CString,
    is_used: bool,
}

/// Which rules have counted this request: a bit each.
#[derive(Debug, Default)]
pub struct Facts {
    counted: [u64; MOST / 64],
}

/// `mod_qos(067)`
pub static LIMITED: LogEvent = LogEvent {
    number: 67,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_ClientEventLimitCount rule: event={X}, max={N}, current={n}, age={s}, c={c}, id={id}",
    when: "a request of a client that has reached a limit; QS_CondClientEventLimitCount stands there for the conditional form",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&LIMITED];

/// So many limits a configuration may have: as many as there are columns, but for those of other rules.
const MOST: usize = 192;

const CONDITION: &CStr = c"QS_Cond";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientEventLimitCount",
            arguments: c"<events> [<seconds> [<variable>]]",
            arity: Arity::Any,
            scope: Scope::BaseServer,
            range: "0 to 2147483647 events, 0 denies every request; 1 to 2147483647 seconds; a variable that no \
                    other limit counts",
            default: "off; 600 seconds, variable QS_Limit",
            help: "Denies all requests of a client that has caused so many events: requests that have the \
                   variable, which may be a number of points. The time begins with the first of them. \
                   <variable>_Clear forgets the events, <variable>_Decrement takes points back; \
                   <variable>_Counter and <variable>_Remaining tell of them (event 067).",
            spec: "client.md QS_ClientEventLimitCount",
        },
        set: |settings, arguments| {
            let (events, span, variable) = match *arguments.words {
                [events] => (events, Seconds(600), "QS_Limit"),
                [events, span] => (events, seconds(span)?, "QS_Limit"),
                [events, span, variable] => (events, seconds(span)?, variable),
                _ => return Err(Problem::text("takes one to three arguments")),
            };
            settings.add(events, span, variable, None)
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_CondClientEventLimitCount",
            arguments: c"<events> <seconds> <variable> <pattern>",
            arity: Arity::Any,
            scope: Scope::BaseServer,
            range: "as QS_ClientEventLimitCount; a regular expression",
            default: "off",
            help: "Like QS_ClientEventLimitCount, but once the limit is reached only those requests are \
                   denied whose variable QS_Cond matches the pattern. All events count (event 067).",
            spec: "client.md QS_ClientEventLimitCount",
        },
        set: |settings, arguments| {
            let [events, span, variable, pattern] = *arguments.words else {
                return Err(Problem::text("takes four arguments"));
            };
            let condition = Pattern::new(pattern, Options::default())?;
            settings.add(events, seconds(span)?, variable, Some(condition))
        },
        set_in_location: None,
    },
];

impl OfBaseServer for Settings {}

impl Settings {
    fn add(
        &mut self,
        events: &str,
        span: Seconds,
        variable: &str,
        condition: Option<Pattern>,
    ) -> Result<(), Problem> {
        let max = number(events, 0, MAX_NUMBER)?;
        let is_named = variable.bytes().next().is_some_and(|first| first != b'!')
            && !variable.contains(['=', ' ']);
        let name = CString::new(variable).ok().filter(|_| is_named);
        let variable = name.ok_or_else(|| Problem::word(variable, "the name of a variable"))?;
        let is_same =
            |rule: &&Written| rule.variable.as_bytes().eq_ignore_ascii_case(variable.as_bytes());
        if self.rules.iter().any(|rule| is_same(&rule)) {
            let name = variable.to_string_lossy();
            return Err(Problem::word(&name, "a variable that no other limit counts"));
        }
        if self.rules.len() >= MOST {
            return Err(Problem::text(format!("there are at most {MOST} limits")));
        }
        self.rules.push(Written { variable, max, span, condition });
        Ok(())
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        let rules: Vec<Rule> = settings.rules.iter().cloned().map(Rule::new).collect();
        let names = |rule: &Rule| {
            [&rule.written.variable, &rule.counter.text, &rule.remaining.text].map(Clone::clone)
        };
        let inherited = rules.iter().flat_map(names).collect();
        Policy { rules, inherited }
    }

    /// Tells whether any client is counted.
    pub fn is_on(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Returns the names of all variables that are read as points.
    pub fn counting(&self) -> Vec<CString> {
        let names = |rule: &Rule| [rule.written.variable.clone(), rule.decrement.text.clone()];
        self.rules.iter().flat_map(names).collect()
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        for rule in &mut self.rules {
            let variable = rule.written.variable.to_string_lossy();
            rule.tally = finder.of_all(rule.directive(), &variable);
        }
    }

    /// Finds the columns of all limits again, or takes new ones; `is_used` says whether a variable is named
    /// anywhere in the configuration, or can be read and set by whom we do not know.
    pub fn bind(
        &mut self,
        columns: &Columns<'_>,
        generation: u32,
        is_used: &dyn Fn(&CStr) -> bool,
    ) -> Result<(), String> {
        let limits = self.rules.len();
        for rule in &mut self.rules {
            let name = rule.written.variable.to_string_lossy();
            let column = columns.find(&name, generation);
            rule.column = Some(column.ok_or_else(|| {
                format!(
                    "no room for {limits} limits of client events: {} can be counted",
                    columns.count()
                )
            })?);
            for name in
                [&mut rule.counter, &mut rule.remaining, &mut rule.clear, &mut rule.decrement]
            {
                name.is_used = is_used(&name.text);
            }
        }
        Ok(())
    }
}

impl Rule {
    fn new(written: Written) -> Rule {
        let name = |suffix: &str| {
            let mut text = written.variable.as_bytes().to_vec();
            text.extend_from_slice(suffix.as_bytes());
            // No NUL: neither has one.
            Name { text: CString::new(text).unwrap_or_default(), is_used: true }
        };
        Rule {
            column: None,
            tally: Tally::default(),
            counter: name("_Counter"),
            remaining: name("_Remaining"),
            clear: name("_Clear"),
            decrement: name("_Decrement"),
            written,
        }
    }

    fn directive(&self) -> &'static str {
        match self.written.condition {
            None => "QS_ClientEventLimitCount",
            Some(_) => "QS_CondClientEventLimitCount",
        }
    }

    fn cell<'a>(&self, moment: &Moment<'a>, row: RowId) -> Option<&'a Window> {
        moment.store.clients.columns().cell(self.column?, row.0)
    }

    /// Counts `points`, and keeps the row of a client that has reached the limit.
    fn add(&self, moment: &Moment<'_>, row: RowId, cell: &Window, points: u32) -> Reading {
        let reading = cell.add(points, moment.now, self.written.span);
        if reading.count >= self.written.max {
            moment.store.clients.keep(row, reading.start.after(self.written.span));
        } else {
            moment.store.rules.count(self.tally, Outcome::Pass);
        }
        reading
    }

    fn violation(&self, reading: Reading, now: Tick) -> Violation {
        let Written { variable, max, .. } = &self.written;
        let directive = self.directive();
        // Only a limit of 0 denies those that have no window.
        let age = if reading.count == 0 { 0 } else { now.seconds_since(reading.start).0 };
        let text = format!(
            "{directive} rule: event={}, max={max}, current={}, age={age}",
            variable.to_string_lossy(),
            reading.count
        );
        Violation::of_client(&LIMITED, Words::Text(text)).by(self.tally)
    }

    /// Tells whether the request is one of those that the limit denies.
    fn concerns(&self, request: &dyn RequestView) -> bool {
        self.written.condition.as_ref().is_none_or(|pattern| {
            let value = request.variable(CONDITION);
            // Nobody knows: then the limit holds.
            value.is_some_and(|value| pattern.is_match(value) != Matched::No)
        })
    }
}

impl Name {
    fn get<'r>(&self, request: &'r dyn RequestView) -> Option<&'r [u8]> {
        if self.is_used { request.variable(&self.text) } else { None }
    }

    fn tell(&self, request: &mut dyn RequestView, number: u32) {
        if self.is_used {
            request.set_variable(&self.text, Digits::of(number).octets());
        }
    }
}

impl Facts {
    /// Notes that rule `place` has counted this request; true when it had not before.
    fn count(&mut self, place: usize) -> bool {
        let Some(word) = self.counted.get_mut(place / 64) else { return false };
        let bit = 1 << (place % 64);
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}

/// Counts what a request says, and judges it (I.16). Every limit counts, whichever denies.
pub fn admit(policy: &Policy, exchange: &mut Exchange<'_>, facts: &mut Facts) -> Option<Violation> {
    let first = policy.rules.first()?;
    let moment = exchange.moment;
    let Some(row) = exchange.known.client_row else {
        // No row is "over the limit", never "no limit".
        let reading = Reading { start: moment.now, count: u32::MAX };
        return Some(first.violation(reading, moment.now).of(exchange.client()));
    };
    let is_peer = exchange.is_of_peer();
    let mut found: Option<Violation> = None;
    for (place, rule) in policy.rules.iter().enumerate() {
        let Some(cell) = rule.cell(&moment, row) else { continue };
        if rule.clear.get(exchange.request).is_some() {
            cell.reset();
        }
        let value = exchange.request.variable(&rule.written.variable).map(points);
        let reading = match value.filter(|_| facts.count(place)) {
            Some(points) => rule.add(&moment, row, cell, points),
            None => cell.look().unless_over(moment.now, rule.written.span),
        };
        rule.counter.tell(exchange.request, reading.count);
        let remaining = reading.remaining(moment.now, rule.written.span);
        rule.remaining.tell(exchange.request, remaining.0);
        if reading.count < rule.written.max {
            continue;
        }
        if is_peer {
            moment.store.clients.mark(row, flag::LIMITED, moment.now);
            exchange.add_letter(Letter::LowPriority);
        }
        // Of one client's limits the first denial is told of; where a header says who the client is, the
        // last, as in the C module.
        if (found.is_none() || !is_peer) && rule.concerns(exchange.request) {
            found = Some(rule.violation(reading, moment.now).of(exchange.client()));
        }
    }
    found
}

/// Tells whether a request has something to count that its response brought, or that it was never asked
/// for (L.5).
pub fn has_late_events(policy: &Policy, exchange: &Exchange<'_>) -> bool {
    policy.rules.iter().any(|rule| {
        rule.clear.get(exchange.request).is_some()
            || rule.decrement.get(exchange.request).is_some()
            || exchange.request.variable(&rule.written.variable).is_some()
    })
}

/// Counts what became known of a request with its response: first what is taken back, then what is new.
pub fn finish(policy: &Policy, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    let moment = exchange.moment;
    let Some(row) = exchange.known.client_row else { return };
    for (place, rule) in policy.rules.iter().enumerate() {
        let Some(cell) = rule.cell(&moment, row) else { continue };
        if rule.clear.get(exchange.request).is_some() {
            cell.reset();
        }
        if let Some(value) = rule.decrement.get(exchange.request) {
            cell.subtract(points(value), moment.now, rule.written.span);
        }
        let value = exchange.request.variable(&rule.written.variable).map(points);
        if let Some(points) = value.filter(|_| facts.count(place)) {
            rule.add(&moment, row, cell, points);
        }
    }
}

/// Returns until when a client's limits make its row worth keeping.
pub fn worth(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<Tick> {
    let end = |rule: &Rule| {
        let reading = rule.cell(moment, row)?.look().unless_over(moment.now, rule.written.span);
        let is_reached = reading.count > 0 && reading.count >= rule.written.max;
        is_reached.then(|| reading.start.after(rule.written.span))
    };
    policy.rules.iter().filter_map(end).max()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
