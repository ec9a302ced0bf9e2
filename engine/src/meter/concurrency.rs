//! How many at once: a count that can be taken over, counted anew and kept exact when its holders die.
//!
//! The word holds the count in its low 20 bits and a sequence above it, which every change moves on. Who
//! recounts from the outside (see `store/children.rs`) can so tell by one compare-and-exchange whether
//! anything happened while he counted. The top bit set means: not a count at all, but claimed by the
//! child whose number stands in the low bits; only a word that counts nothing can be claimed.

use crate::atomic::{AtomicU32, Ordering};

/// The largest count, and the largest number of a claiming child.
pub const MAX: u32 = (1 << 20) - 1;
const SEQUENCE: u32 = 1 << 20;
const CLAIMED: u32 = 1 << 31;

/// A count of things that exist at this moment.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Concurrency(AtomicU32);

/// What a word said at one moment, to compare against later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(u32);

impl Seen {
    /// Returns the count, 0 for a claimed word.
    pub fn count(self) -> u32 {
        if self.0 & CLAIMED == 0 { self.0 & MAX } else { 0 }
    }

    /// Tells whether the word was claimed by anybody.
    pub fn is_claimed(self) -> bool {
        self.0 & CLAIMED != 0
    }

    /// Tells whether the word was claimed by this child.
    pub fn is_claimed_by(self, child: u32) -> bool {
        self.is_claimed() && self.0 & MAX == child & MAX
    }

    /// Returns eight bits of the sequence: what tells two lives of a row apart in its slot.
    pub fn stamp(self) -> u64 {
        u64::from((self.0 / SEQUENCE) & 0xff)
    }

    fn next_sequence(self) -> u32 {
        self.0.wrapping_add(SEQUENCE) & !CLAIMED & !MAX
    }
}

impl Concurrency {
    /// Returns what the word says now.
    pub fn look(&self) -> Seen {
        // Acquire: pairs with the exchange below, see `store/lease.rs` on what it orders.
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Returns the count now.
    pub fn count(&self) -> u32 {
        self.look().count()
    }

    /// Counts one more and returns the new count; `None` when the word is claimed or full.
    pub fn acquire(&self) -> Option<u32> {
        self.acquire_below(MAX)
    }

    /// The same, but `None` also when the count has reached `limit`.
    pub fn acquire_below(&self, limit: u32) -> Option<u32> {
        let mut seen = self.look();
        loop {
            if seen.is_claimed() || seen.count() >= limit.min(MAX) {
                return None;
            }
            match self.exchange(seen, seen.next_sequence() | (seen.count() + 1)) {
                Ok(()) => return Some(seen.count() + 1),
                Err(now) => seen = now,
            }
        }
    }

    /// Counts one less. A count of zero stays zero.
    pub fn release(&self) {
        let mut seen = self.look();
        while !seen.is_claimed() && seen.count() > 0 {
            match self.exchange(seen, seen.next_sequence() | (seen.count() - 1)) {
                Ok(()) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Claims a word that counted nothing when it was `seen` for `child`. False when it did count, is
    /// claimed, or was so much as touched since.
    pub fn claim(&self, seen: Seen, child: u32) -> bool {
        !seen.is_claimed()
            && seen.count() == 0
            && self.exchange(seen, CLAIMED | seen.next_sequence() | (child & MAX)).is_ok()
    }

    /// Ends a claim of ours, or of a dead child; the word then counts `count`. A claimed word is
    /// changed by its claimer alone, so a plain store loses nothing.
    pub fn settle(&self, count: u32) {
        self.0.store(self.look().next_sequence() | (count & MAX), Ordering::Release);
    }

    /// Puts `count` in the place of what was `seen`; false when the word has changed since.
    pub fn correct(&self, seen: Seen, count: u32) -> bool {
        self.exchange(seen, seen.next_sequence() | (count & MAX)).is_ok()
    }

    fn exchange(&self, seen: Seen, new: u32) -> Result<(), Seen> {
        // AcqRel: see `store/lease.rs`.
        match self.0.compare_exchange(seen.0, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(now) => Err(Seen(now)),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn counts_up_and_down_and_never_below_zero() {
        let word = Concurrency::default();
        assert_eq!(word.acquire(), Some(1));
        assert_eq!(word.acquire(), Some(2));
        word.release();
        word.release();
        word.release();
        assert_eq!(word.count(), 0);
    }

    #[test]
    fn a_limit_is_reached_and_not_passed() {
        let word = Concurrency::default();
        assert_eq!(word.acquire_below(0), None);
        assert_eq!(word.acquire_below(2), Some(1));
        assert_eq!(word.acquire_below(2), Some(2));
        assert_eq!(word.acquire_below(2), None);
        assert_eq!(word.acquire(), Some(3));
        word.settle(MAX);
        assert_eq!(word.acquire_below(u32::MAX), None);
    }

    #[test]
    fn a_claimed_word_counts_nothing_until_it_is_settled() {
        let word = Concurrency::default();
        assert!(word.claim(word.look(), 7));
        assert!(word.look().is_claimed_by(7));
        assert!(!word.claim(word.look(), 8));
        assert_eq!(word.acquire(), None);
        word.release();
        assert!(word.look().is_claimed_by(7));
        word.settle(1);
        assert_eq!(word.acquire(), Some(2));
        assert!(!word.claim(word.look(), 7));
    }

    #[test]
    fn a_correction_fails_when_anything_happened_since_the_look() {
        let word = Concurrency::default();
        word.acquire();
        let seen = word.look();
        word.release();
        word.acquire();
        assert!(!word.correct(seen, 0), "same count, but it moved");
        assert!(word.correct(word.look(), 0));
        assert_eq!(word.count(), 0);
    }

    #[test]
    fn the_sequence_wraps_without_touching_the_count() {
        let word = Concurrency::default();
        word.acquire();
        for _ in 0..5000 {
            word.acquire();
            word.release();
        }
        assert_eq!(word.count(), 1);
    }
}
