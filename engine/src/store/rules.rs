//! One row per configured rule and the server that counts for it: requests that it counts at this moment,
//! and what it made of all that it counted.
//! Spec: request-limits.md 1, 2; additions.md 5.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::meter::concurrency::Concurrency;
use crate::store::owned::{self, Owned};

/// What is counted for one rule, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Rule {
    /// Which rule of which server: a hash of both, so that a later generation finds it again.
    tag: AtomicU64,
    requests: Concurrency,
    outcomes: [AtomicU64; OUTCOMES],
    generation: AtomicU32,
}

/// What a rule made of a request or connection that it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: it may go on.
    Pass,
    /// It was denied.
    Deny,
    /// It was held up.
    Delay,
    /// It would have been denied or held up, if that were not log-only mode.
    LogOnly,
}

/// How many outcomes there are.
pub const OUTCOMES: usize = 4;

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Outcome; OUTCOMES] =
        [Outcome::Pass, Outcome::Deny, Outcome::Delay, Outcome::LogOnly];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Deny => "deny",
            Outcome::Delay => "delay",
            Outcome::LogOnly => "log_only",
        }
    }
}

/// Where the outcomes of a rule are counted. None before its policy is in force, and for rules beyond the
/// room that there is: those are not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally(u32);

impl Default for Tally {
    fn default() -> Tally {
        Tally(u32::MAX)
    }
}

impl Tally {
    /// The outcomes of a rule that has a row.
    pub fn of_row(row: u32) -> Tally {
        Tally(row)
    }
}

/// A rule whose outcomes are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// The directive.
    pub directive: &'static str,
    /// What tells it from others of its kind; empty where there is but one.
    pub rule: String,
    /// It is a rule of the base server that counts for all servers.
    pub is_of_all: bool,
    /// Where its outcomes are counted.
    pub tally: Tally,
}

/// Finds where rules count their outcomes, and notes which rules there are. Only the parent has one, at a
/// start or restart.
pub struct Finder<'a> {
    rules: &'a Rules<'a>,
    server: u64,
    generation: u32,
    found: Vec<Tallied>,
}

impl<'a> Finder<'a> {
    /// Finds for the rules of one server.
    pub fn new(rules: &'a Rules<'a>, server: u64, generation: u32) -> Finder<'a> {
        Finder { rules, server, generation, found: Vec::new() }
    }

    /// For a rule that each server has for itself.
    pub fn of_server(&mut self, directive: &'static str, rule: &str) -> Tally {
        self.find(directive, rule, false)
    }

    /// For a rule of the base server that counts for all.
    pub fn of_all(&mut self, directive: &'static str, rule: &str) -> Tally {
        self.find(directive, rule, true)
    }

    /// For a rule that has a row already.
    pub fn of_row(&mut self, directive: &'static str, rule: &str, row: u32) {
        self.note(directive, rule, false, Tally::of_row(row));
    }

    /// Returns all rules, in the order in which they were asked for.
    pub fn into_found(self) -> Vec<Tallied> {
        self.found
    }

    fn find(&mut self, directive: &'static str, rule: &str, is_of_all: bool) -> Tally {
        let server = if is_of_all { 0 } else { self.server };
        // No rule that counts requests has a name with a word of three parts.
        let tag = owned::tag(server, &[directive, rule, "outcomes"]);
        // Where there is no room the rule holds all the same, and is not told of.
        let Some(row) = self.rules.find(tag, self.generation) else { return Tally::default() };
        self.note(directive, rule, is_of_all, Tally::of_row(row))
    }

    fn note(
        &mut self,
        directive: &'static str,
        rule: &str,
        is_of_all: bool,
        tally: Tally,
    ) -> Tally {
        self.found.push(Tallied { directive, rule: rule.to_owned(), is_of_all, tally });
        tally
    }
}

impl Owned for Rule {
    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn generation(&self) -> &AtomicU32 {
        &self.generation
    }

    fn is_idle(&self) -> bool {
        self.requests.count() == 0
    }

    fn clear(&self) {
        self.outcomes.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

/// The rows of all rules.
#[derive(Debug)]
pub struct Rules<'a> {
    rows: &'a [Rule],
}

impl<'a> Rules<'a> {
    /// Lays the table over its rows.
    pub fn new(rows: &'a [Rule]) -> Rules<'a> {
        Rules { rows }
    }

    /// Returns the counter of the requests that a rule counts now.
    pub fn requests(&self, rule: u32) -> Option<&'a Concurrency> {
        self.rows.get(rule as usize).map(|row| &row.requests)
    }

    /// Returns how many requests a rule counts now.
    pub fn open(&self, rule: u32) -> u32 {
        self.requests(rule).map_or(0, Concurrency::count)
    }

    /// Counts what a rule made of something.
    pub fn count(&self, Tally(row): Tally, outcome: Outcome) {
        if let Some(count) = self.outcome(row, outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how often a rule had an outcome, since it is configured.
    pub fn counted(&self, Tally(row): Tally, outcome: Outcome) -> u64 {
        self.outcome(row, outcome).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn outcome(&self, row: u32, outcome: Outcome) -> Option<&'a AtomicU64> {
        self.rows.get(row as usize)?.outcomes.get(outcome as usize)
    }

    /// Finds a rule's row again, or gives it one. Only the parent calls this, at a start or restart.
    pub fn find(&self, tag: u64, generation: u32) -> Option<u32> {
        owned::find(self.rows, tag, generation)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_rule_finds_its_counter_again_with_what_it_counts() {
        let rows: Vec<Rule> = (0..4).map(|_| Rule::default()).collect();
        let rules = Rules::new(&rows);
        let (app, shop) = (rules.find(11, 1).expect("row"), rules.find(22, 1).expect("row"));
        assert_ne!(app, shop);
        rules.requests(app).expect("row").acquire();
        for generation in 2..10 {
            assert_eq!(rules.find(11, generation), Some(app));
            assert_eq!(rules.open(app), 1);
        }
        assert_eq!(rules.open(99), 0, "no such row counts nothing");
    }

    #[test]
    fn outcomes_are_counted_apart_and_a_new_owner_begins_with_none() {
        let rows = [Rule::default()];
        let rules = Rules::new(&rows);
        let tally = Tally::of_row(rules.find(11, 1).expect("row"));
        for (times, outcome) in (1..).zip(Outcome::ALL) {
            (0..times).for_each(|_| rules.count(tally, outcome));
        }
        let counted = |tally| Outcome::ALL.map(|outcome| rules.counted(tally, outcome));
        assert_eq!(counted(tally), [1, 2, 3, 4]);
        rules.count(Tally::default(), Outcome::Pass);
        assert_eq!(counted(Tally::default()), [0; 4], "no row, no count");
        assert_eq!(rules.find(11, 2).map(Tally::of_row), Some(tally));
        assert_eq!(counted(tally), [1, 2, 3, 4], "kept over a restart");
        assert_eq!(rules.find(22, 9).map(Tally::of_row), Some(tally), "11 is forgotten");
        assert_eq!(counted(tally), [0; 4]);
    }
}
