//! How often each numbered event happened since the segment was made.

use crate::atomic::{AtomicU64, Ordering};

/// Event numbers go from 0 to 399.
pub const EVENTS: usize = 400;

/// One counter per event number.
#[derive(Debug)]
pub struct Totals<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Totals<'a> {
    /// Lays the counters over their words.
    pub fn new(words: &'a [AtomicU64]) -> Totals<'a> {
        Totals { words }
    }

    /// Counts one event.
    pub fn count(&self, event: u16) {
        if let Some(word) = self.words.get(usize::from(event)) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how often an event happened.
    pub fn of(&self, event: u16) -> u64 {
        self.words.get(usize::from(event)).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}
