//! Separation of applications: how many requests of one location may be served at once.
//! Spec: request-limits.md 1, 2. Phases: admit (count and judge, I.17), finish (what was counted, L.8).

use crate::context::{Aspect, Exchange, Letter};
use crate::directive::{About, Arguments, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::matching::budget;
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::matching::prefixes::Prefixes;
use crate::matching::uri::Uri;
use crate::report::rows::{Row, Unit as Counted};
use crate::report::{Picture, ServerView, StatusRows};
use crate::store::rules::{Finder, Tally};
use crate::store::unit::Unit;
use crate::values::{Capacity, MAX_NUMBER, Problem, number};
use crate::verdict::{Violation, Words};

/// As written: in the order of the file, a repeated location or pattern in its first place.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    prefixes: Vec<(String, u32)>,
    patterns: Vec<(Pattern, u32)>,
    conditional: Vec<(Pattern, Condition)>,
}

#[derive(Clone, Debug)]
struct Condition {
    max: u32,
    pattern: Pattern,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();

/// What was counted for one request.
#[derive(Debug, Default)]
pub struct Facts {
    /// The row of the location's rule that counts it, else of the conditional one.
    rule: Option<u32>,
}

/// As enforced.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Where a location's rule stands in `locations`.
    prefixes: Prefixes,
    locations: Vec<Rule>,
    /// The lowest limit first: the first that matches counts the request.
    patterns: Vec<(Pattern, Rule)>,
    /// The same.
    conditional: Vec<(Pattern, Pattern, Rule)>,
}

/// One rule with a counter of its own.
#[derive(Clone, Debug)]
struct Rule {
    /// Location or pattern, as written.
    text: Box<str>,
    /// So many requests at once; 0 = counted, not limited.
    max: u32,
    /// Its counter's row.
    row: u32,
}

/// `mod_qos(003)`
pub static NO_LIMIT: LogEvent = LogEvent {
    number: 3,
    level: Level::Warning,
    is_counted: false,
    format: "request level rule {rule} has no concurrent request limitations",
    when: "start, for a location with a limit of 0",
};

/// `mod_qos(010)`
pub static OVER_LIMIT: LogEvent = LogEvent {
    number: 10,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_LocRequestLimit* rule: {rule}({N}), concurrent requests={n}, c={c}, id={id}",
    when: "a request of a location that serves as many as it may, unless it is a VIP's",
};

/// `mod_qos(011)`
pub static OVER_CONDITIONAL_LIMIT: LogEvent = LogEvent {
    number: 11,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_CondLocRequestLimitMatch rule: {rule}({N}), concurrent requests={n}, c={c}, id={id}",
    when: "the same for a conditional limit, where QS_Cond matches its condition",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NO_LIMIT, &OVER_LIMIT, &OVER_CONDITIONAL_LIMIT];

const RANGE: &str = "0 to 2147483647 requests, 0 is no limit";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_LocRequestLimit",
            arguments: c"<location> <requests>",
            arity: Arity::Two,
            scope: Scope::Server,
            range: RANGE,
            default: "none",
            help: "At most so many requests at once whose path begins with this location (event 010). The \
                   path is decoded and normalised; of several locations the longest counts the request. \
                   Requests of VIPs are counted and never denied. A virtual host with directives of this \
                   module counts for itself.",
            spec: "request-limits.md 2",
        },
        set: |settings, arguments| set_location(settings, arguments.first(), arguments.second()),
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_LocRequestLimitDefault",
            arguments: c"<requests>",
            arity: Arity::One,
            scope: Scope::Server,
            range: RANGE,
            default: "none",
            help: "The same as QS_LocRequestLimit for the location /: requests that no other location's \
                   rule counts.",
            spec: "request-limits.md 2",
        },
        set: |settings, arguments| set_location(settings, "/", Some(arguments.first())),
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_LocRequestLimitMatch",
            arguments: c"<regex> <requests>",
            arity: Arity::Two,
            scope: Scope::Server,
            range: RANGE,
            default: "none",
            help: "At most so many requests at once whose URI matches: path and query as the client sent \
                   them, or with the path decoded and normalised. Of several patterns that match, the one \
                   with the lowest limit counts the request, so 0 exempts; where one matches, no \
                   QS_LocRequestLimit counts it.",
            spec: "request-limits.md 2, improvements-request.md 2 and 11",
        },
        set: |settings, arguments| {
            let max = requests(arguments.second())?;
            put(&mut settings.patterns, pattern(arguments.first())?, max);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_CondLocRequestLimitMatch",
            arguments: c"<regex> <requests> <condition>",
            arity: Arity::Three,
            scope: Scope::Server,
            range: RANGE,
            default: "none",
            help: "Counts like QS_LocRequestLimitMatch, beside it, and denies a request above the limit only \
                   where the variable QS_Cond is set and matches the condition, a regular expression \
                   (event 011).",
            spec: "request-limits.md 2",
        },
        set: |settings, arguments: &Arguments<'_>| {
            let max = requests(arguments.second())?;
            let condition = pattern(arguments.words.get(2).copied().unwrap_or(""))?;
            let condition = Condition { max, pattern: condition };
            put(&mut settings.conditional, pattern(arguments.first())?, condition);
            Ok(())
        },
        set_in_location: None,
    },
];

fn set_location(settings: &mut Settings, location: &str, max: Option<&str>) -> Result<(), Problem> {
    if location.is_empty() {
        return Err(Problem::word(location, "the beginning of a path, like /app"));
    }
    put(&mut settings.prefixes, location.to_owned(), requests(max)?);
    Ok(())
}

fn requests(word: Option<&str>) -> Result<u32, Problem> {
    number(word.unwrap_or(""), 0, MAX_NUMBER)
}

fn pattern(word: &str) -> Result<Pattern, Problem> {
    Pattern::new(word, Options::default())
}

/// Records a rule; a later one of the same key takes its place.
fn put<K: PartialEq, V>(rules: &mut Vec<(K, V)>, key: K, value: V) {
    match rules.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => rules.push((key, value)),
    }
}

/// A host's own rules, then those of the base server that it does not define itself.
fn over<K: PartialEq + Clone, V: Clone>(own: &[(K, V)], base: &[(K, V)]) -> Vec<(K, V)> {
    let is_new = |(key, _): &&(K, V)| !own.iter().any(|(known, _)| known == key);
    own.iter().chain(base.iter().filter(is_new)).cloned().collect()
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            prefixes: over(&self.prefixes, &base.prefixes),
            patterns: over(&self.patterns, &base.patterns),
            conditional: over(&self.conditional, &base.conditional),
        }
    }
}

impl Rule {
    fn new(text: &str, max: u32) -> Rule {
        Rule { text: text.into(), max, row: u32::MAX }
    }

    /// Counts a request; what it is over the limit with.
    fn count(&self, exchange: &mut Exchange<'_>) -> Option<u32> {
        let moment = &exchange.moment;
        let borrowed = moment.store.borrow(exchange.purse, moment.child, Unit::Rule(self.row));
        // What cannot be counted is over the limit.
        let current = borrowed.unwrap_or(u32::MAX);
        (self.max > 0 && current > self.max).then_some(current)
    }
}

impl Policy {
    /// Resolves settings. The counters' rows are found when they come into force.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        let mut patterns: Vec<(Pattern, Rule)> = settings
            .patterns
            .iter()
            .map(|(pattern, max)| (pattern.clone(), Rule::new(pattern.text(), *max)))
            .collect();
        patterns.sort_by_key(|(_, rule)| rule.max);
        let mut conditional: Vec<(Pattern, Pattern, Rule)> = settings
            .conditional
            .iter()
            .map(|(pattern, Condition { max, pattern: condition })| {
                (pattern.clone(), condition.clone(), Rule::new(pattern.text(), *max))
            })
            .collect();
        conditional.sort_by_key(|(_, _, rule)| rule.max);
        let texts = settings.prefixes.iter().map(|(location, _)| location.as_bytes());
        Policy {
            prefixes: Prefixes::new(texts),
            locations: settings.prefixes.iter().map(|(text, max)| Rule::new(text, *max)).collect(),
            patterns,
            conditional,
        }
    }

    /// Finds the rows of all counters, each by a name that no other rule of the server has.
    pub fn find_rows<E>(
        &mut self,
        find: &mut dyn FnMut(&str, &str) -> Result<u32, E>,
    ) -> Result<(), E> {
        let locations = self.locations.iter_mut().map(|rule| ("QS_LocRequestLimit", rule));
        let patterns = self.patterns.iter_mut().map(|(_, rule)| ("QS_LocRequestLimitMatch", rule));
        let conditional =
            self.conditional.iter_mut().map(|(_, _, rule)| ("QS_CondLocRequestLimitMatch", rule));
        for (kind, rule) in locations.chain(patterns).chain(conditional) {
            rule.row = find(kind, &rule.text)?;
        }
        Ok(())
    }

    /// Tells whether there is any rule that counts.
    pub fn has_rules(&self) -> bool {
        !(self.locations.is_empty() && self.patterns.is_empty() && self.conditional.is_empty())
    }

    /// Returns the rules that limit nothing, except those that are conditional.
    pub fn unlimited(&self) -> impl Iterator<Item = &str> {
        let patterns = self.patterns.iter().map(|(_, rule)| rule);
        self.locations.iter().chain(patterns).filter(|rule| rule.max == 0).map(|rule| &*rule.text)
    }

    /// Returns the one rule that counts a request: of patterns before locations.
    fn rule_of(&self, exchange: &mut Exchange<'_>) -> Option<&Rule> {
        if !self.patterns.is_empty() {
            let patterns = self.patterns.iter().map(|(pattern, rule)| (pattern, rule));
            let found = first_match("QS_LocRequestLimitMatch", patterns, exchange);
            if found.is_some() {
                return found;
            }
        }
        let path = exchange.request.aspect(Aspect::SentPath)?;
        self.locations.get(self.prefixes.longest(path)?)
    }
}

impl Policy {
    /// Says where outcomes are counted: in the rows of the counters.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        for (directive, rule) in self.all() {
            finder.of_row(directive, &rule.text, rule.row);
        }
    }

    /// Returns all rules with their directives, in the order of the file.
    fn all(&self) -> impl Iterator<Item = (&'static str, &Rule)> {
        let locations = self.locations.iter().map(|rule| ("QS_LocRequestLimit", rule));
        let patterns = self.patterns.iter().map(|(_, rule)| ("QS_LocRequestLimitMatch", rule));
        let conditional = self.conditional.iter().map(|(_, _, rule)| (CONDITIONAL, rule));
        locations.chain(patterns).chain(conditional)
    }
}

/// Tells pages of all rules, in the order of the file.
pub fn status(policy: &Policy, picture: &Picture<'_>, _: &ServerView<'_>, out: &mut StatusRows) {
    for (directive, rule) in policy.all() {
        let current = picture.store.rules.open(rule.row);
        out.push(Row::new(directive, Counted::Requests, rule.max, current).of(&rule.text));
    }
}

const CONDITIONAL: &str = "QS_CondLocRequestLimitMatch";

/// Returns what belongs to the first pattern that matches the request's URI. Where nobody knows whether one
/// does, it is taken to: a URI that is made to be hard is no way around a limit.
fn first_match<'p, T>(
    directive: &str,
    patterns: impl Iterator<Item = (&'p Pattern, T)>,
    exchange: &mut Exchange<'_>,
) -> Option<T> {
    let request = &*exchange.request;
    let path = request.aspect(Aspect::SentPath)?;
    let query = request.aspect(Aspect::SentQuery);
    let uri = Uri::new(request.aspect(Aspect::RawUri)?, path, query);
    let matched = |(pattern, owner)| match uri.matched_by(pattern) {
        Matched::No => None,
        Matched::Yes => Some((None, owner)),
        Matched::OverBudget => Some((Some(pattern), owner)),
    };
    let (unsure, owner) = { patterns }.find_map(matched)?;
    if let Some(pattern) = unsure {
        budget::tell(directive, pattern, None, true, exchange);
    }
    Some(owner)
}

/// Counts a request for its location, until it ends, and judges it.
pub fn count_location(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
) -> Option<Violation> {
    if policy.locations.is_empty() && policy.patterns.is_empty() {
        return None;
    }
    let rule = policy.rule_of(exchange)?;
    facts.rule = Some(rule.row);
    let found = rule
        .count(exchange)
        .and_then(|current| violation(&OVER_LIMIT, "QS_LocRequestLimit*", rule, current, exchange));
    Violation::or_pass(found, Tally::of_row(rule.row), &exchange.moment.store.rules)
}

/// Counts it for the conditional rule that it matches, and judges it if it meets the condition.
pub fn count_conditional(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
) -> Option<Violation> {
    if policy.conditional.is_empty() {
        return None;
    }
    let patterns =
        policy.conditional.iter().map(|(pattern, condition, rule)| (pattern, (condition, rule)));
    let (condition, rule) = first_match(CONDITIONAL, patterns, exchange)?;
    facts.rule = facts.rule.or(Some(rule.row));
    let found = rule.count(exchange).filter(|_| meets(condition, exchange)).and_then(|current| {
        violation(&OVER_CONDITIONAL_LIMIT, CONDITIONAL, rule, current, exchange)
    });
    Violation::or_pass(found, Tally::of_row(rule.row), &exchange.moment.store.rules)
}

fn meets(condition: &Pattern, exchange: &mut Exchange<'_>) -> bool {
    let value = exchange.request.variable(c"QS_Cond");
    let matched = value.map_or(Matched::No, |value| condition.is_match(value));
    if matched == Matched::OverBudget {
        budget::tell(CONDITIONAL, condition, None, true, exchange);
    }
    matched != Matched::No
}

fn violation(
    event: &'static LogEvent,
    directive: &str,
    rule: &Rule,
    current: u32,
    exchange: &mut Exchange<'_>,
) -> Option<Violation> {
    if exchange.known.is_vip {
        exchange.add_letter(Letter::Vip);
        return None;
    }
    let Rule { text, max, .. } = rule;
    let words = format!("{directive} rule: {text}({max}), concurrent requests={current}");
    Some(Violation::new(event, Words::Text(words)))
}

/// Notes how many requests the location served with this one, before that is given back.
pub fn finish(exchange: &mut Exchange<'_>, facts: &Facts) {
    if let Some(row) = facts.rule {
        exchange.known.rule_requests = Some(exchange.moment.store.rules.open(row));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
