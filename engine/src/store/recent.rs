//! The last denials that were logged: a ring of a few lines, for the status page.
//!
//! Who writes takes the next ticket and overwrites the line it names; nobody waits. A line has a sum over its
//! ticket and its words: one that is half written, by a child that was killed or by two that met a whole round
//! apart, does not add up, and is left out.

use crate::atomic::{AtomicU64, Ordering};
use crate::client::address::Address;
use crate::time::Tick;

/// How many are remembered.
pub const LINES: usize = 64;

/// A line in shared memory.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Line {
    sum: AtomicU64,
    /// When 32 | - 15 | log-only 1 | event 16
    what: AtomicU64,
    address: [AtomicU64; 2],
}

/// One denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// When it was.
    pub when: Tick,
    /// The number of its event.
    pub event: u16,
    /// It was told of and not enforced.
    pub is_log_only: bool,
    /// The client's address, as it was seen.
    pub address: Address,
}

/// The ring.
#[derive(Debug)]
pub struct Recent<'a> {
    lines: &'a [Line],
    /// How many were ever written.
    count: &'a AtomicU64,
}

const LOG_ONLY: u64 = 1 << 16;

impl<'a> Recent<'a> {
    /// Lays the ring over its lines.
    pub fn new(lines: &'a [Line], count: &'a AtomicU64) -> Recent<'a> {
        Recent { lines, count }
    }

    /// Writes a denial down.
    pub fn note(&self, denied: Denied) {
        // From 1 on: a line that nobody wrote has no ticket.
        let ticket = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let Some(line) = self.line(ticket) else { return };
        let flag = if denied.is_log_only { LOG_ONLY } else { 0 };
        let what = u64::from(denied.when.0) << 32 | flag | u64::from(denied.event);
        let (high, low) = denied.address.words();
        let [first, second] = &line.address;
        // Relaxed: the sum says whether all of it is there, in whatever order it comes.
        line.what.store(what, Ordering::Relaxed);
        first.store(high, Ordering::Relaxed);
        second.store(low, Ordering::Relaxed);
        line.sum.store(sum([ticket, what, high, low]), Ordering::Relaxed);
    }

    /// Returns what is remembered, the last first.
    pub fn all(&self) -> Vec<Denied> {
        let last = self.count.load(Ordering::Relaxed);
        let first = last.saturating_sub(self.lines.len() as u64) + 1;
        (first..=last).rev().filter_map(|ticket| self.read(ticket)).collect()
    }

    fn read(&self, ticket: u64) -> Option<Denied> {
        let line = self.line(ticket)?;
        let what = line.what.load(Ordering::Relaxed);
        let [first, second] = &line.address;
        let (high, low) = (first.load(Ordering::Relaxed), second.load(Ordering::Relaxed));
        (line.sum.load(Ordering::Relaxed) == sum([ticket, what, high, low])).then(|| Denied {
            when: Tick((what >> 32) as u32),
            event: what as u16,
            is_log_only: what & LOG_ONLY != 0,
            address: Address::from_words(high, low),
        })
    }

    fn line(&self, ticket: u64) -> Option<&'a Line> {
        self.lines.get(usize::try_from(ticket % self.lines.len().max(1) as u64).ok()?)
    }
}

/// Differs with each of its words, for all practical purposes. Nobody outside gains by making it fit.
fn sum(words: [u64; 4]) -> u64 {
    words.into_iter().fold(0x9e37_79b9_7f4a_7c15, |sum, word| {
        (sum ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
    })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn memory(lines: usize) -> (Vec<Line>, AtomicU64) {
        ((0..lines).map(|_| Line::default()).collect(), AtomicU64::new(0))
    }

    fn denied(number: u32) -> Denied {
        Denied {
            when: Tick(number),
            event: (number % 400) as u16,
            is_log_only: number.is_multiple_of(3),
            address: Address::from_words(u64::from(number), !u64::from(number)),
        }
    }

    #[test]
    fn the_last_ones_are_remembered_the_last_first() {
        let (lines, count) = memory(4);
        let recent = Recent::new(&lines, &count);
        assert_eq!(recent.all(), []);
        for number in 1..=3 {
            recent.note(denied(number));
        }
        assert_eq!(recent.all(), [denied(3), denied(2), denied(1)]);
        for number in 4..=11 {
            recent.note(denied(number));
        }
        assert_eq!(recent.all(), [denied(11), denied(10), denied(9), denied(8)]);
        Recent::new(&[], &count).note(denied(1));
        assert_eq!(Recent::new(&[], &count).all(), []);
    }

    #[test]
    fn a_line_that_is_half_written_is_left_out() {
        let (lines, count) = memory(4);
        let recent = Recent::new(&lines, &count);
        (1..=4).for_each(|number| recent.note(denied(number)));
        lines[2].address[1].store(99, Ordering::Relaxed);
        assert_eq!(recent.all(), [denied(4), denied(3), denied(1)]);
        count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(recent.all(), [denied(4), denied(3)], "its writer was killed at once");
    }

    #[test]
    fn whoever_writes_meanwhile_what_is_read_was_written() {
        let (lines, count) = memory(3);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let recent = Recent::new(&lines, &count);
                scope.spawn(move || (0..30_000).for_each(|n| recent.note(denied(n * 3 + thread))));
            }
            let recent = Recent::new(&lines, &count);
            for _ in 0..10_000 {
                for found in recent.all() {
                    assert_eq!(found, denied(found.when.0));
                }
            }
        });
    }
}
