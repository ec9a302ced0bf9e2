//! How an address gets a row: the oldest that nobody holds is claimed, written and published.

use super::index::{FINAL, PIECE_MASK, STAMP_SHIFT};
use super::{Clients, Held, IN_USE, LAST_END, ROUNDS, Row, RowId};
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::client::address::Address;
use crate::store::ages::Oldest;
use crate::store::lease::{Lease, LeaseWord};
use crate::time::Tick;

/// How many rounds long a newcomer lets the tree of ages learn before he takes the next best.
const PATIENCE: usize = 64;

/// Why an address got no new row.
pub(super) enum Failed {
    /// Another child was faster, or the tree of ages is still learning: worth another round.
    Race,
    /// All rows are held.
    Full,
}

impl<'a> Clients<'a> {
    /// Prepares a row for `tag` and publishes it, or fails where another child was faster. By itself, so
    /// that who is known does not pay for what a newcomer needs.
    #[inline(never)]
    pub(super) fn make(
        &self,
        tag: u64,
        address: Address,
        lease: &LeaseWord,
        child: u32,
        now: Tick,
    ) -> Result<Held, Failed> {
        if !self.slots_of(tag).any(|slot| slot.load(Ordering::Relaxed) == 0) {
            self.empty_a_slot(tag, lease, child);
        }
        let (number, row) = self.claim_oldest(lease, child, now)?;
        let stamp = row.write(tag, address);
        row.connections.settle(1);

        let word = tag & PIECE_MASK | stamp << STAMP_SHIFT | u64::from(number);
        let slot = self.publish(tag, word);
        // Pairs with the same fence in another child: of two that publish and then look, one sees the
        // other's slot.
        fence(Ordering::SeqCst);
        let is_ours = slot.is_some_and(|slot| {
            self.no_final_rival(tag, slot)
                && slot
                    .compare_exchange(word, word | FINAL, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        });
        if is_ours {
            return Ok(Held { row: RowId(number), connections: 1 });
        }
        self.withdraw(number, row, slot, word, lease);
        Err(Failed::Race)
    }

    fn withdraw(
        &self,
        number: u32,
        row: &Row,
        slot: Option<&AtomicU64>,
        word: u64,
        lease: &LeaseWord,
    ) {
        if let Some(slot) = slot {
            let _ = slot.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        row.tag.store(0, Ordering::Release);
        self.lower(number, Tick(0));
        lease.give(&row.connections, number);
    }

    /// Claims the row that may go first, and removes it from the index. The lease holds the claim.
    fn claim_oldest(
        &self,
        lease: &LeaseWord,
        child: u32,
        now: Tick,
    ) -> Result<(u32, &'a Row), Failed> {
        for round in 0..ROUNDS {
            let is_patient = round < PATIENCE;
            let oldest = self.oldest(now, is_patient);
            let row = self.rows.get(oldest.row as usize).ok_or(Failed::Full)?;
            let seen = row.connections.look();
            if seen.is_claimed() || seen.count() > 0 {
                if oldest.key == IN_USE && oldest.is_sure {
                    self.mend_a_free_row(now)?;
                    continue;
                }
                // In use: as good as used a second from now, so that it is not looked at again at once.
                // If even then nobody is older, all others have a mark that ends later, and it has to
                // get out of their way; who gives it back sets its key right.
                let is_in_the_way = oldest.key > now;
                let soon = Tick(now.0.saturating_add(16)).min(LAST_END);
                self.raise(oldest.row, if is_in_the_way { IN_USE } else { soon });
                continue;
            }
            // A tree that has just learned something is asked again, but not for ever: a crowd of old
            // acquaintances that all came back must not make one newcomer pay for all. Only a mark is
            // never taken on a guess.
            if !oldest.is_sure && (is_patient || oldest.key > now) {
                continue;
            }
            // The key after the look: a row that was used in between has another sequence.
            if self.key(oldest.row) != oldest.key {
                continue;
            }
            lease.set(Lease::Want(oldest.row));
            if row.connections.claim(seen, child) {
                lease.set(Lease::Held(oldest.row));
                let tag = row.tag.load(Ordering::Acquire);
                if tag != 0 {
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                    self.unlink(oldest.row, tag);
                    self.columns.clear_row(oldest.row);
                    self.marks.clear(oldest.row);
                }
                if oldest.key > now {
                    self.lower(oldest.row, now);
                } else {
                    self.raise(oldest.row, now);
                }
                return Ok((oldest.row, row));
            }
            lease.set(Lease::Free);
        }
        Err(Failed::Race)
    }

    /// Every key says that its row is in use: looks for one that was given back without a word of it (its
    /// holder was killed, or was faster than who wrote the key), and lets the tree know of it.
    fn mend_a_free_row(&self, now: Tick) -> Result<(), Failed> {
        let free = self.rows.iter().zip(0u32..).find(|(row, _)| {
            let seen = row.connections.look();
            !seen.is_claimed() && seen.count() == 0
        });
        let (_, number) = free.ok_or(Failed::Full)?;
        let key = self.key(number);
        let worth = self.marks.worth(number).min(LAST_END);
        self.lower(number, if key == IN_USE { now.max(worth) } else { key });
        Ok(())
    }

    /// The row that may go first: of those that remember; when all of them are held or marked, or none
    /// else is found for so long that patience ends, of the spare ones; when those are, too, the one of
    /// both whose mark ends soonest.
    fn oldest(&self, now: Tick, is_patient: bool) -> Oldest {
        let oldest = self.ages.oldest();
        let has_spare = self.ages.rows() < self.rows.len();
        if !has_spare || oldest.key <= now || (is_patient && !oldest.is_sure) {
            return oldest;
        }
        let mut spare = self.spare.oldest();
        spare.row += self.ages.rows() as u32;
        let is_sure = oldest.is_sure && spare.is_sure;
        Oldest { is_sure, ..if spare.key < oldest.key { spare } else { oldest } }
    }

    /// Both buckets are full (with twice as many slots as rows that hardly happens): the oldest of
    /// their rows that nobody holds has to go.
    fn empty_a_slot(&self, tag: u64, lease: &LeaseWord, child: u32) {
        let oldest = self
            .slots_of(tag)
            .filter_map(|slot| {
                let number = slot.load(Ordering::Acquire) as u32;
                let row = self.rows.get(number as usize)?;
                let seen = row.connections.look();
                let is_free = !seen.is_claimed() && seen.count() == 0;
                is_free.then(|| (self.key(number), number, row, seen))
            })
            .min_by_key(|(key, ..)| *key);
        let Some((_, number, row, seen)) = oldest else { return };
        lease.set(Lease::Want(number));
        if row.connections.claim(seen, child) {
            lease.set(Lease::Held(number));
            self.evicted.fetch_add(1, Ordering::Relaxed);
            self.unlink(number, row.tag.load(Ordering::Acquire));
            lease.set(Lease::Give(number));
            self.clear(number, row);
        }
        lease.set(Lease::Free);
    }

    pub(super) fn clear(&self, number: u32, row: &Row) {
        row.tag.store(0, Ordering::Release);
        row.block.reset();
        self.columns.clear_row(number);
        self.marks.clear(number);
        self.lower(number, Tick(0));
        row.connections.settle(0);
    }
}
