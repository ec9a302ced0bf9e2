//! What each child holds, so that a dead child's share comes back.
//!
//! ```text
//!   pids      one word per child slot: the process that sits there, 0 = free
//!   record    one connection: four lease words (all, server, peer, client), and who holds it
//!   sheet     one request: some lease words that say themselves what they count in (loans.rs)
//! ```
//!
//! A child takes a slot at its start, a record for each connection, and a sheet for each request that a
//! rule counts (chunks.rs). When the parent sees it die, by whatever death, [`Store::reclaim`] walks its
//! records and sheets: what was held is given back; where the child died in the middle of taking or
//! giving, the counter is counted anew from the leases of the living. The recount looks at the counter,
//! counts leases, and exchanges the counter only if it has not moved meanwhile (it carries a sequence),
//! so it is exact while everybody else goes on.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, spin};
use crate::client::address::Address;
use crate::meter::concurrency::Concurrency;
use crate::store::Store;
use crate::store::chunks::{Chunk, Chunks, Place};
use crate::store::clients::RowId;
use crate::store::lease::{Lease, LeaseWord};
use crate::store::loans::Sheet;
use crate::store::unit::Unit;
use crate::time::Tick;

pub use crate::store::chunks::CHUNK_RECORDS;

/// The leases of one connection.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Record {
    /// Counted among all connections.
    pub all: LeaseWord,
    /// Counted among its server's connections.
    pub scope: LeaseWord,
    /// Holds the row of its address at its server.
    pub peer: LeaseWord,
    /// Holds the row of its client.
    pub client: LeaseWord,
    /// The whole address of who holds it; says something while it is counted.
    address: [AtomicU64; 2],
}

impl Record {
    /// Notes who holds the connection, before it is counted.
    pub fn set_address(&self, address: Address) {
        let (high, low) = address.words();
        for (word, value) in self.address.iter().zip([high, low]) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn address(&self) -> Address {
        let [high, low] = &self.address;
        Address::from_words(high.load(Ordering::Relaxed), low.load(Ordering::Relaxed))
    }
}

/// The number of a connection's record.
pub type RecordId = Place;

/// Slots of all children, and what each holds.
#[derive(Debug)]
pub struct Children<'a> {
    pids: &'a [AtomicU32],
    /// Leases of connections.
    records: Chunks<'a, Record>,
    /// Leases of requests.
    pub(crate) sheets: Chunks<'a, Sheet>,
    reclaimed: &'a AtomicU64,
}

/// This process's place among the children. Number 0 stands for a process without a slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Child {
    number: u32,
}

impl Child {
    /// Returns the child with this number, as [`Children::enter`] gave it.
    pub fn numbered(number: u32) -> Child {
        Child { number }
    }

    /// Returns the child's number, by which it claims rows.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl<'a> Children<'a> {
    /// Lays the children over their memory. The first `pids.len()` chunks of each kind belong to the
    /// slots.
    pub fn new(
        pids: &'a [AtomicU32],
        records: &'a [Chunk<Record>],
        sheets: &'a [Chunk<Sheet>],
        reclaimed: &'a AtomicU64,
    ) -> Children<'a> {
        Children {
            pids,
            records: Chunks::new(records, pids.len()),
            sheets: Chunks::new(sheets, pids.len()),
            reclaimed,
        }
    }

    /// Takes a slot for a process that has just started. Without a free one the child counts all the
    /// same, and only what it holds when it is killed stays counted.
    pub fn enter(&self, pid: u32) -> Child {
        let slot = self.pids.iter().position(|word| {
            word.load(Ordering::Relaxed) == 0
                && word.compare_exchange(0, pid, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        Child { number: slot.map_or(0, |slot| slot as u32 + 1) }
    }

    /// Returns the processes that sit in a slot.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.pids.iter().map(|word| word.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    /// Returns how many leases of dead children came back.
    pub fn reclaimed(&self) -> u64 {
        self.reclaimed.load(Ordering::Relaxed)
    }

    /// Takes a record for a connection of this child.
    pub fn take_record(&self, child: &Child) -> Option<RecordId> {
        self.records.take(child)
    }

    /// Returns a record by its number.
    pub fn record(&self, id: RecordId) -> Option<&'a Record> {
        self.records.get(id)
    }

    /// Returns the whole address of each connection that is open, in whatever state: one entry a connection.
    /// For a picture: others come and go while it runs.
    pub fn holders(&self) -> impl Iterator<Item = Address> + '_ {
        let records = self.records.live(self.pids);
        records.filter(|record| matches!(record.all.look(), Lease::Held(_))).map(Record::address)
    }

    /// Gives a record back whose leases are all free.
    pub fn give_record(&self, id: RecordId) {
        self.records.give(id);
    }
}

impl Store<'_> {
    /// Gives back what a dead child held. Only the parent calls this, once it has seen the death.
    /// Returns the counters that could not be settled at once: another child died in the middle of
    /// changing them, too. They are handed to [`Store::settle`] when that one is reclaimed.
    pub fn reclaim(&self, pid: u32, now: Tick) -> Vec<Unit> {
        let mut unsure = Vec::new();
        for (slot, word) in self.children.pids.iter().enumerate() {
            if pid == 0 || word.load(Ordering::Acquire) != pid {
                continue;
            }
            let child = slot as u32 + 1;
            for record in self.children.records.of_slot(slot) {
                for (lease, unit) in [
                    (&record.all, Unit::Scope as fn(u32) -> Unit),
                    (&record.scope, Unit::Scope),
                    (&record.peer, Unit::Peer),
                    (&record.client, Unit::Client),
                ] {
                    self.reclaim_lease(lease, |row| Some(unit(row)), child, now, &mut unsure);
                }
            }
            for sheet in self.children.sheets.of_slot(slot) {
                for lease in sheet.words() {
                    self.reclaim_lease(lease, Unit::of_index, child, now, &mut unsure);
                }
            }
            self.children.records.clear_slot(slot);
            self.children.sheets.clear_slot(slot);
            self.sleepers.reclaim(child);
            word.store(0, Ordering::Release);
        }
        unsure.retain(|unit| !self.settle(*unit));
        unsure
    }

    fn reclaim_lease(
        &self,
        lease: &LeaseWord,
        unit_of: impl Fn(u32) -> Option<Unit>,
        child: u32,
        now: Tick,
        unsure: &mut Vec<Unit>,
    ) {
        let (index, is_sure) = match lease.look() {
            Lease::Free => return,
            Lease::Held(index) => (index, true),
            Lease::Want(index) | Lease::Give(index) => (index, false),
        };
        let Some(unit) = unit_of(index) else { return lease.set(Lease::Free) };
        let was_claimed = match unit {
            Unit::Peer(row) => self.peers.reclaim(row, child),
            Unit::Client(row) => self.clients.reclaim(row, child),
            _ => false,
        };
        if was_claimed {
            lease.set(Lease::Free);
        } else if is_sure {
            self.children.reclaimed.fetch_add(1, Ordering::Relaxed);
            self.give_unit(lease, unit, index, now);
        } else {
            lease.set(Lease::Free);
            unsure.push(unit);
        }
    }

    /// Gives a held unit back, for a child that is dead or for a rule that has not done so itself.
    pub(crate) fn give_unit(&self, lease: &LeaseWord, unit: Unit, index: u32, now: Tick) {
        match unit {
            Unit::Peer(row) => {
                self.peers.keep_no_longer(RowId(row), now);
                self.peers.give(RowId(row), lease, now);
            }
            Unit::Client(row) => {
                self.clients.keep_no_longer(RowId(row), self.latest_end(row, now));
                self.clients.give(RowId(row), lease, now);
            }
            _ => match self.counter(unit) {
                Some(counter) => lease.give(counter, index),
                None => lease.set(Lease::Free),
            },
        }
    }

    /// Until when a client's row may be worth keeping. The parent knows no rule: a row with events may
    /// have a mark, of any length.
    fn latest_end(&self, row: u32, now: Tick) -> Tick {
        let is_blocked = self.clients.row(RowId(row)).is_some_and(|row| row.block.look().count > 0);
        if is_blocked || self.clients.columns().has_counts(row) { Tick(u32::MAX) } else { now }
    }

    /// Counts one counter anew from the leases of the living. False when somebody stood in the middle
    /// of changing it for so long that he must be dead.
    pub fn settle(&self, unit: Unit) -> bool {
        let Some(counter) = self.counter(unit) else { return true };
        for _ in 0..10_000 {
            let seen = counter.look();
            // Whoever claimed it found it at zero, and it is his now.
            if seen.is_claimed() {
                return true;
            }
            match self.count_leases(unit) {
                Some(count) if counter.correct(seen, count) => return true,
                _ => spin(),
            }
        }
        false
    }

    /// Returns the counter of a unit: the one list of everything that can be counted on loan.
    pub(crate) fn counter(&self, unit: Unit) -> Option<&Concurrency> {
        match unit {
            Unit::Scope(scope) => self.scopes.connections(scope),
            Unit::Peer(row) => self.peers.connections(row),
            Unit::Client(row) => self.clients.connections(row),
            Unit::Rule(rule) => self.rules.requests(rule),
            Unit::ClientRequests(row) => self.clients.requests(row),
            Unit::ClientTurn(row) => self.clients.turn(row),
            // The turn of a server is a rule like any other.
            Unit::ServerTurn(rule) => self.rules.requests(rule),
        }
    }

    /// Counts the leases of the living that name a unit; `None` while somebody takes or gives one.
    fn count_leases(&self, unit: Unit) -> Option<u32> {
        let mut count = 0;
        for record in self.children.records.live(self.children.pids) {
            let (leases, index) = match unit {
                Unit::Scope(index) => ([Some(&record.all), Some(&record.scope)], index),
                Unit::Peer(index) => ([Some(&record.peer), None], index),
                Unit::Client(index) => ([Some(&record.client), None], index),
                // Only requests hold one of these.
                _ => break,
            };
            for lease in leases.into_iter().flatten() {
                count += units_of(lease, index)?;
            }
        }
        // And of connections only these.
        if matches!(unit, Unit::Scope(_) | Unit::Peer(_)) {
            return Some(count);
        }
        for lease in self.children.sheets.live(self.children.pids).flat_map(Sheet::words) {
            count += units_of(lease, unit.index())?;
        }
        Some(count)
    }
}

/// How many units of `index` a lease stands for; `None` while it is being taken or given.
fn units_of(lease: &LeaseWord, index: u32) -> Option<u32> {
    match lease.look() {
        Lease::Held(held) if held == index => Some(1),
        Lease::Want(held) | Lease::Give(held) if held == index => None,
        _ => Some(0),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
