//! A counted unit on loan to a child, for as long as a connection or a request lasts.
//!
//! A lease is one word in the child's record: a state and the index of what it counts in. It is written
//! before and after the counter moves, so that whoever clears up behind a killed child knows of each
//! lease whether it counted (`Held`), or that it may have (`Want`, `Give`): those counters are counted
//! anew from the leases of the living (`children.rs`).
//!
//! Orderings: a lease is stored with `Release` before and after the counter's `AcqRel` exchange, and
//! read with `Acquire` between two looks at the counter. Whoever has seen the counter's new value has
//! therefore seen the state that was written before it, and a lease seen as free gave its unit back
//! before the second look.

use crate::atomic::{AtomicU32, Ordering};
use crate::meter::concurrency::Concurrency;

/// Highest index that fits into a lease.
pub const MAX_INDEX: u32 = (1 << 30) - 1;

/// One word of a record: what it counts in, and how far that has come.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct LeaseWord(AtomicU32);

/// What a lease word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Nothing is on loan.
    Free,
    /// About to count in `index`.
    Want(u32),
    /// One unit of `index` is on loan.
    Held(u32),
    /// About to give one unit of `index` back.
    Give(u32),
}

impl LeaseWord {
    /// Returns what the word says.
    pub fn look(&self) -> Lease {
        let word = self.0.load(Ordering::Acquire);
        let index = word & MAX_INDEX;
        match word >> 30 {
            1 => Lease::Want(index),
            2 => Lease::Held(index),
            3 => Lease::Give(index),
            _ => Lease::Free,
        }
    }

    /// Writes what is the case from here on.
    pub fn set(&self, lease: Lease) {
        let word = match lease {
            Lease::Free => 0,
            Lease::Want(index) => 1 << 30 | index & MAX_INDEX,
            Lease::Held(index) => 2 << 30 | index & MAX_INDEX,
            Lease::Give(index) => 3 << 30 | index & MAX_INDEX,
        };
        self.0.store(word, Ordering::Release);
    }

    /// Takes one unit of `counter`, which has the number `index`, and returns the new count.
    pub fn take(&self, counter: &Concurrency, index: u32) -> Option<u32> {
        self.take_below(counter, index, u32::MAX)
    }

    /// The same, but only while the counter is below `limit`.
    pub fn take_below(&self, counter: &Concurrency, index: u32, limit: u32) -> Option<u32> {
        self.set(Lease::Want(index));
        let count = counter.acquire_below(limit);
        self.set(if count.is_some() { Lease::Held(index) } else { Lease::Free });
        count
    }

    /// Gives back the unit of `counter`, which has the number `index`.
    pub fn give(&self, counter: &Concurrency, index: u32) {
        self.set(Lease::Give(index));
        counter.release();
        self.set(Lease::Free);
    }
}
