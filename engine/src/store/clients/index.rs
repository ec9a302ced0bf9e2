//! The slots that a tag stands in, and who of two gets one.

use super::Clients;
use crate::atomic::{AtomicU64, Ordering};

pub(super) const FINAL: u64 = 1 << 63;
pub(super) const STAMP_SHIFT: u32 = 32;
const PIECE_SHIFT: u32 = 40;
pub(super) const PIECE_MASK: u64 = ((1 << 23) - 1) << PIECE_SHIFT;

/// One found slot.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub slot: &'a AtomicU64,
    pub word: u64,
    pub row: u32,
}

impl<'a> Clients<'a> {
    pub(super) fn find(&self, tag: u64) -> Option<Found<'a>> {
        let piece = FINAL | tag & PIECE_MASK;
        for bucket in self.buckets_of(tag) {
            for slot in bucket {
                let word = slot.load(Ordering::Acquire);
                if word & (FINAL | PIECE_MASK) == piece
                    && let Some(row) = self.rows.get(word as u32 as usize)
                    && row.tag.load(Ordering::Acquire) == tag
                {
                    return Some(Found { slot, word, row: word as u32 });
                }
            }
        }
        None
    }

    pub(super) fn publish(&self, tag: u64, word: u64) -> Option<&'a AtomicU64> {
        let [first, second] = self.buckets_of(tag);
        let free = |bucket: &&'a [AtomicU64]| {
            bucket.iter().filter(|slot| slot.load(Ordering::Relaxed) == 0).count()
        };
        // The emptier of two buckets: none ever gets much fuller than the mean.
        let order = if free(&second) > free(&first) { [second, first] } else { [first, second] };
        order.into_iter().flatten().find(|slot| {
            slot.load(Ordering::Relaxed) == 0
                && slot.compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Throws tentative slots of the same tag out; false when a final one stands.
    pub(super) fn no_final_rival(&self, tag: u64, ours: &AtomicU64) -> bool {
        self.slots_of(tag)
            .filter(|slot| !core::ptr::eq(*slot, ours))
            .all(|slot| self.throw_out(tag, slot))
    }

    /// Sees to it that this slot is not of our tag; false when it is, and final.
    fn throw_out(&self, tag: u64, slot: &AtomicU64) -> bool {
        let mut word = slot.load(Ordering::Acquire);
        while word != 0 && word & PIECE_MASK == tag & PIECE_MASK {
            let Some(row) = self.rows.get(word as u32 as usize) else { return true };
            if row.tag.load(Ordering::Acquire) != tag {
                return true;
            }
            if word & FINAL != 0 && !row.connections.look().is_claimed() {
                return false;
            }
            // When the exchange fails it may just have become final: look again.
            match slot.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        true
    }

    pub(super) fn unlink(&self, row: u32, tag: u64) {
        let own = tag & PIECE_MASK | u64::from(row);
        for bucket in self.buckets_of(tag) {
            for slot in bucket {
                let word = slot.load(Ordering::Acquire);
                if word & (PIECE_MASK | u64::from(u32::MAX)) == own && word != 0 {
                    let _ = slot.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed);
                }
            }
        }
    }

    /// The slots that a tag can stand in. (Where each costs, two plain loops do better: `find`, `unlink`.)
    pub(super) fn slots_of(&self, tag: u64) -> impl Iterator<Item = &'a AtomicU64> {
        self.buckets_of(tag).into_iter().flatten()
    }

    /// The two buckets of a tag, never the same one twice.
    fn buckets_of(&self, tag: u64) -> [&'a [AtomicU64]; 2] {
        let count = self.index.len();
        let scale = |half: u32| ((u64::from(half) * count as u64) >> 32) as usize;
        let first = scale(tag as u32);
        let mut second = scale((tag >> 32) as u32);
        if second == first {
            second = if first + 1 < count { first + 1 } else { 0 };
        }
        let bucket = |number: usize| self.index.get(number).map_or(&[][..], |bucket| &bucket[..]);
        [bucket(first), if second == first { &[] } else { bucket(second) }]
    }
}
