//! What each child holds, so that a dead child's share comes back.
//!
//! ```text
//!   pids      one word per child slot: the process that sits there, 0 = free
//!   chunks    64 records each; chunk i belongs to slot i, those behind them to whoever needs more
//!   record    one connection: four lease words (all, server, peer, client)
//! ```
//!
//! A child takes a slot at its start, and a record for each connection. When the parent sees it die, by
//! whatever death, [`Store::reclaim`] walks its records: what was held is given back; where the child
//! died in the middle of taking or giving, the counter is counted anew from the records of the living.
//! The recount looks at the counter, counts leases, and exchanges the counter only if it has not moved
//! meanwhile (it carries a sequence), so it is exact while everybody else goes on.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, spin};
use crate::meter::concurrency::Concurrency;
use crate::store::Store;
use crate::store::clients::RowId;
use crate::store::lease::{Lease, LeaseWord};
use crate::time::Tick;

/// Records in a chunk: the bits of the word that says which are taken. Two for the interleaving checks,
/// which cannot carry more.
pub const CHUNK_RECORDS: usize = if cfg!(loom) { 2 } else { 64 };

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
}

/// Some records of one child.
#[derive(Debug)]
#[repr(C)]
pub struct Chunk {
    /// Which records are taken; only the owning child changes it.
    taken: AtomicU64,
    /// Number of the owning child, for chunks that belong to no slot; 0 = free.
    owner: AtomicU32,
    records: [Record; CHUNK_RECORDS],
}

impl Default for Chunk {
    fn default() -> Chunk {
        Chunk {
            taken: AtomicU64::new(0),
            owner: AtomicU32::new(0),
            records: core::array::from_fn(|_| Record::default()),
        }
    }
}

/// Slots and chunks of all children.
#[derive(Debug)]
pub struct Children<'a> {
    pids: &'a [AtomicU32],
    chunks: &'a [Chunk],
    reclaimed: &'a AtomicU64,
}

/// This process's place among the children. Number 0 stands for a process without a slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Child {
    number: u32,
}

/// The number of a record: its chunk and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordId {
    chunk: u32,
    place: u32,
}

/// A counter that a dead child may or may not have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// The counter of a server's connections, or of all.
    Scope(u32),
    /// The connections of an address at a server.
    Peer(u32),
    /// The connections of a client.
    Client(u32),
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
    /// Lays the children over their memory. The first `pids.len()` chunks belong to the slots.
    pub fn new(
        pids: &'a [AtomicU32],
        chunks: &'a [Chunk],
        reclaimed: &'a AtomicU64,
    ) -> Children<'a> {
        Children { pids, chunks, reclaimed }
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

    /// Takes a record for a connection of this child: from its own chunk, else from one of the spare
    /// chunks that it owns, else it comes to own one more.
    pub fn take_record(&self, child: &Child) -> Option<RecordId> {
        let home = (child.number as usize).checked_sub(1)?;
        if let Some(record) = self.take_in(home) {
            return Some(record);
        }
        let spare = self.pids.len()..self.chunks.len();
        let owned = |chunk: &usize| {
            self.chunks
                .get(*chunk)
                .is_some_and(|chunk| chunk.owner.load(Ordering::Relaxed) == child.number)
        };
        if let Some(record) = spare.clone().filter(owned).find_map(|chunk| self.take_in(chunk)) {
            return Some(record);
        }
        spare.into_iter().find_map(|number| {
            let owner = &self.chunks.get(number)?.owner;
            owner
                .compare_exchange(0, child.number, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
                .then(|| self.take_in(number))?
        })
    }

    /// Returns a record by its number.
    pub fn record(&self, id: RecordId) -> Option<&'a Record> {
        self.chunks.get(id.chunk as usize)?.records.get(id.place as usize)
    }

    /// Gives a record back whose leases are all free.
    pub fn give_record(&self, id: RecordId) {
        if let Some(chunk) = self.chunks.get(id.chunk as usize) {
            chunk.taken.fetch_and(!(1 << id.place), Ordering::AcqRel);
        }
    }

    fn take_in(&self, number: usize) -> Option<RecordId> {
        let chunk = self.chunks.get(number)?;
        let mut taken = chunk.taken.load(Ordering::Relaxed);
        loop {
            let place = taken.trailing_ones();
            if place as usize >= CHUNK_RECORDS {
                return None;
            }
            match chunk.taken.compare_exchange(
                taken,
                taken | 1 << place,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(RecordId { chunk: number as u32, place }),
                Err(now) => taken = now,
            }
        }
    }

    fn chunks_of(&self, slot: usize) -> impl Iterator<Item = &'a Chunk> {
        let home = self.chunks.get(slot);
        let spare = self.chunks.get(self.pids.len()..).unwrap_or(&[]);
        home.into_iter().chain(
            spare
                .iter()
                .filter(move |chunk| chunk.owner.load(Ordering::Acquire) == slot as u32 + 1),
        )
    }

    /// All records in which a living child may hold something.
    fn live_records(&self) -> impl Iterator<Item = &'a Record> {
        let homes = self
            .pids
            .iter()
            .zip(self.chunks)
            .filter(|(pid, _)| pid.load(Ordering::Acquire) != 0)
            .map(|(_, chunk)| chunk);
        let spare = self.chunks.get(self.pids.len()..).unwrap_or(&[]);
        let owned = spare.iter().filter(|chunk| chunk.owner.load(Ordering::Acquire) != 0);
        homes
            .chain(owned)
            .filter(|chunk| chunk.taken.load(Ordering::Acquire) != 0)
            .flat_map(|chunk| &chunk.records)
    }
}

impl Store<'_> {
    /// Gives back what a dead child held. Only the parent calls this, once it has seen the death.
    /// Returns the counters that could not be settled at once: another child died in the middle of
    /// changing them, too. They are handed to [`Store::settle`] when that one is reclaimed.
    pub fn reclaim(&self, pid: u32, now: Tick) -> Vec<Unsure> {
        let mut unsure = Vec::new();
        for (slot, word) in self.children.pids.iter().enumerate() {
            if pid == 0 || word.load(Ordering::Acquire) != pid {
                continue;
            }
            for chunk in self.children.chunks_of(slot) {
                for record in &chunk.records {
                    self.reclaim_record(record, slot as u32 + 1, now, &mut unsure);
                }
                chunk.taken.store(0, Ordering::Release);
                chunk.owner.store(0, Ordering::Release);
            }
            word.store(0, Ordering::Release);
        }
        unsure.retain(|unsure| !self.settle(*unsure));
        unsure
    }

    fn reclaim_record(&self, record: &Record, child: u32, now: Tick, unsure: &mut Vec<Unsure>) {
        for (lease, what) in [
            (&record.all, Unsure::Scope as fn(u32) -> Unsure),
            (&record.scope, Unsure::Scope),
            (&record.peer, Unsure::Peer),
            (&record.client, Unsure::Client),
        ] {
            let (index, is_sure) = match lease.look() {
                Lease::Free => continue,
                Lease::Held(index) => (index, true),
                Lease::Want(index) | Lease::Give(index) => (index, false),
            };
            let what = what(index);
            let was_claimed = match what {
                Unsure::Scope(_) => false,
                Unsure::Peer(row) => self.peers.reclaim(row, child),
                Unsure::Client(row) => self.clients.reclaim(row, child),
            };
            if was_claimed {
                lease.set(Lease::Free);
            } else if is_sure {
                self.children.reclaimed.fetch_add(1, Ordering::Relaxed);
                match what {
                    Unsure::Scope(_) => {
                        if let Some(counter) = self.counter(what) {
                            lease.give(counter, index);
                        }
                    }
                    Unsure::Peer(row) => {
                        self.peers.keep_no_longer(RowId(row), now);
                        self.peers.give(RowId(row), lease, now);
                    }
                    Unsure::Client(row) => {
                        self.clients.keep_no_longer(RowId(row), self.latest_end(row, now));
                        self.clients.give(RowId(row), lease, now);
                    }
                }
            } else {
                lease.set(Lease::Free);
                unsure.push(what);
            }
        }
    }

    /// Until when a client's row may be worth keeping. The parent knows no rule: a row with events may
    /// have a mark, of any length.
    fn latest_end(&self, row: u32, now: Tick) -> Tick {
        let has_events = self.clients.row(RowId(row)).is_some_and(|row| row.block.look().count > 0);
        if has_events { Tick(u32::MAX) } else { now }
    }

    /// Counts one counter anew from the leases of the living. False when somebody stood in the middle
    /// of changing it for so long that he must be dead.
    pub fn settle(&self, what: Unsure) -> bool {
        let Some(counter) = self.counter(what) else { return true };
        for _ in 0..10_000 {
            let seen = counter.look();
            // Whoever claimed it found it at zero, and it is his now.
            if seen.is_claimed() {
                return true;
            }
            match self.count_leases(what) {
                Some(count) if counter.correct(seen, count) => return true,
                _ => spin(),
            }
        }
        false
    }

    fn counter(&self, what: Unsure) -> Option<&Concurrency> {
        match what {
            Unsure::Scope(scope) => self.scopes.connections(scope),
            Unsure::Peer(row) => self.peers.connections(row),
            Unsure::Client(row) => self.clients.connections(row),
        }
    }

    fn count_leases(&self, what: Unsure) -> Option<u32> {
        let mut count = 0;
        for record in self.children.live_records() {
            let (leases, index) = match what {
                Unsure::Scope(index) => ([Some(&record.all), Some(&record.scope)], index),
                Unsure::Peer(index) => ([Some(&record.peer), None], index),
                Unsure::Client(index) => ([Some(&record.client), None], index),
            };
            for lease in leases.into_iter().flatten() {
                match lease.look() {
                    Lease::Held(held) if held == index => count += 1,
                    Lease::Want(held) | Lease::Give(held) if held == index => return None,
                    _ => {}
                }
            }
        }
        Some(count)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
