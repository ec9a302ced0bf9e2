//! How many requests with an event variable may be served at once.
//! Spec: request-limits.md 2, QS_EventRequestLimit. Phase: admit (count and judge, I.10).

use crate::context::Exchange;
use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::matching::budget;
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::report::rows::{Row, Unit as Counted};
use crate::report::{Picture, ServerView, StatusRows};
use crate::store::rules::{Finder, Tally};
use crate::store::unit::Unit;
use crate::values::{Capacity, Digits, MAX_NUMBER, Problem, number};
use crate::verdict::{Violation, Words};
use std::ffi::CString;

/// As written, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    limits: Vec<Limit>,
}

#[derive(Clone, Debug)]
struct Limit {
    /// The first argument as written.
    argument: String,
    variable: CString,
    pattern: Option<Pattern>,
    max: u32,
}

impl Limit {
    /// The name in log lines and pages.
    fn display(&self) -> String {
        format!("var=({})", self.argument)
    }
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();

/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Every one whose event a request is counts it.
    pub rules: Vec<Rule>,
}

/// One rule with a counter of its own.
#[derive(Clone, Debug)]
pub struct Rule {
    limit: Limit,
    /// The variable that says how many there are.
    counter: CString,
    /// Its counter's row.
    row: u32,
}

/// `mod_qos(012)`
pub static OVER_LIMIT: LogEvent = LogEvent {
    number: 12,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_EventRequestLimit rule: var=({rule})({N}), concurrent requests={n}, c={c}, id={id}",
    when: "a request with an event of which as many are served as may be; a line for each such rule",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&OVER_LIMIT];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QS_EventRequestLimit",
        arguments: c"<variable>[=<regex>] <requests>",
        arity: Arity::Two,
        scope: Scope::Server,
        range: "0 to 2147483647 requests, 0 denies each of them",
        default: "none",
        help: "At most so many requests at once that have this variable, with a value that matches (event \
               012), VIPs included. Each rule whose event a request is counts it and sets \
               QS_EventRequestLimit_<variable>_Counter to how many there are with it. A request that is \
               denied here is not counted by locations.",
        spec: "request-limits.md 2",
    },
    set: |settings, arguments| {
        let max = number(arguments.second().unwrap_or(""), 0, MAX_NUMBER)?;
        let limit = Limit::parse(arguments.first(), max)?;
        match settings.limits.iter_mut().find(|known| known.has_same_event(&limit)) {
            Some(known) => *known = limit,
            None => settings.limits.push(limit),
        }
        Ok(())
    },
    set_in_location: None,
}];

impl Limit {
    fn parse(argument: &str, max: u32) -> Result<Limit, Problem> {
        let (name, pattern) = match argument.split_once('=') {
            Some((name, pattern)) => (name, Some(Pattern::new(pattern, Options::default())?)),
            None => (argument, None),
        };
        let is_name = !name.is_empty() && !name.starts_with('!');
        let allowed = "the name of a variable, and perhaps =<regex> for its value";
        match CString::new(name) {
            Ok(variable) if is_name => {
                Ok(Limit { argument: argument.to_owned(), variable, pattern, max })
            }
            _ => Err(Problem::word(argument, allowed)),
        }
    }

    /// Names of variables have no case, patterns have.
    fn has_same_event(&self, other: &Limit) -> bool {
        self.variable.as_bytes().eq_ignore_ascii_case(other.variable.as_bytes())
            && self.pattern == other.pattern
    }
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        let is_new = |limit: &&Limit| !self.limits.iter().any(|own| own.has_same_event(limit));
        Settings {
            limits: self.limits.iter().chain(base.limits.iter().filter(is_new)).cloned().collect(),
        }
    }
}

impl Policy {
    /// Resolves settings. The counters' rows are found when they come into force.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        let rule = |limit: &Limit| {
            let name = [b"QS_EventRequestLimit_", limit.variable.as_bytes(), b"_Counter"].concat();
            // A name without NUL, as its middle is one.
            let counter = CString::new(name).unwrap_or_default();
            Rule { limit: limit.clone(), counter, row: u32::MAX }
        };
        Policy { rules: settings.limits.iter().map(rule).collect() }
    }

    /// Finds the rows of all counters, each by a name that no other rule of the server has.
    pub fn find_rows<E>(
        &mut self,
        find: &mut dyn FnMut(&str, &str) -> Result<u32, E>,
    ) -> Result<(), E> {
        for rule in &mut self.rules {
            rule.row = find("QS_EventRequestLimit", &rule.limit.argument)?;
        }
        Ok(())
    }
}

impl Policy {
    /// Says where outcomes are counted: in the rows of the counters.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        for rule in &self.rules {
            finder.of_row("QS_EventRequestLimit", &rule.limit.display(), rule.row);
        }
    }
}

/// Tells pages of all rules, in the order of the file.
pub fn status(policy: &Policy, picture: &Picture<'_>, _: &ServerView<'_>, out: &mut StatusRows) {
    for Rule { limit, row, .. } in &policy.rules {
        let current = picture.store.rules.open(*row);
        let row = Row::new("QS_EventRequestLimit", Counted::Requests, limit.max, current);
        out.push(row.of(&limit.display()));
    }
}

/// Counts a request with a rule's event, until it ends, and judges it.
pub fn count(rule: &Rule, exchange: &mut Exchange<'_>) -> Option<Violation> {
    let Limit { argument, variable, pattern, max } = &rule.limit;
    let value = exchange.request.variable(variable)?;
    if let Some(pattern) = pattern {
        match pattern.is_match(value) {
            Matched::No => return None,
            Matched::Yes => {}
            // Nobody knows: a value that is made to be hard is no way around.
            Matched::OverBudget => {
                budget::tell("QS_EventRequestLimit", pattern, Some(argument), true, exchange);
            }
        }
    }
    let moment = &exchange.moment;
    let borrowed = moment.store.borrow(exchange.purse, moment.child, Unit::Rule(rule.row));
    // What cannot be counted is over the limit.
    let current = borrowed.unwrap_or(u32::MAX);
    exchange.request.set_variable(&rule.counter, Digits::of(current).octets());
    let found = (current > *max).then(|| {
        let words = format!(
            "QS_EventRequestLimit rule: {}({max}), concurrent requests={current}",
            rule.limit.display()
        );
        Violation::new(&OVER_LIMIT, Words::Text(words))
    });
    Violation::or_pass(found, Tally::of_row(rule.row), &exchange.moment.store.rules)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
