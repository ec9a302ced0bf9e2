//! One row per configured rule and the server that counts for it: requests that it counts at this moment.
//! Spec: request-limits.md 1, 2.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::meter::concurrency::Concurrency;
use crate::store::owned::{self, Owned};

/// What is counted for one rule.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Rule {
    /// Which rule of which server: a hash of both, so that a later generation finds it again.
    tag: AtomicU64,
    requests: Concurrency,
    generation: AtomicU32,
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
}
