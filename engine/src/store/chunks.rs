//! Records of children, in chunks: taken and given back with one exchange, walked when a child dies.
//!
//! ```text
//!   chunk     64 records; chunk i belongs to child slot i, those behind them to whoever needs more
//! ```

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::store::children::Child;

/// Records in a chunk: the bits of the word that says which are taken. Two for the interleaving checks,
/// which cannot carry more.
pub const CHUNK_RECORDS: usize = if cfg!(loom) { 2 } else { 64 };

/// Some records of one child.
#[derive(Debug)]
#[repr(C)]
pub struct Chunk<R> {
    /// Which records are taken; only the owning child changes it.
    taken: AtomicU64,
    /// Number of the owning child, for chunks that belong to no slot; 0 = free.
    owner: AtomicU32,
    records: [R; CHUNK_RECORDS],
}

impl<R: Default> Default for Chunk<R> {
    fn default() -> Chunk<R> {
        Chunk {
            taken: AtomicU64::new(0),
            owner: AtomicU32::new(0),
            records: core::array::from_fn(|_| R::default()),
        }
    }
}

/// The number of a record: its chunk and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    chunk: u32,
    place: u32,
}

/// The chunks of all children. The first ones belong to the slots.
#[derive(Debug)]
pub struct Chunks<'a, R> {
    chunks: &'a [Chunk<R>],
    slots: usize,
}

impl<'a, R> Chunks<'a, R> {
    /// Lays them over their memory.
    pub fn new(chunks: &'a [Chunk<R>], slots: usize) -> Chunks<'a, R> {
        Chunks { chunks, slots }
    }

    /// Takes a record for a child: from its own chunk, else from one of the spare chunks that it owns,
    /// else it comes to own one more.
    pub fn take(&self, child: &Child) -> Option<Place> {
        let home = (child.number() as usize).checked_sub(1)?;
        if let Some(place) = self.take_in(home) {
            return Some(place);
        }
        let spare = self.slots..self.chunks.len();
        let owned = |chunk: &usize| {
            self.chunks
                .get(*chunk)
                .is_some_and(|chunk| chunk.owner.load(Ordering::Relaxed) == child.number())
        };
        if let Some(place) = spare.clone().filter(owned).find_map(|chunk| self.take_in(chunk)) {
            return Some(place);
        }
        spare.into_iter().find_map(|number| {
            let owner = &self.chunks.get(number)?.owner;
            owner
                .compare_exchange(0, child.number(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
                .then(|| self.take_in(number))?
        })
    }

    /// Returns a record by its number.
    pub fn get(&self, place: Place) -> Option<&'a R> {
        self.chunks.get(place.chunk as usize)?.records.get(place.place as usize)
    }

    /// Gives a record back whose leases are all free.
    pub fn give(&self, place: Place) {
        if let Some(chunk) = self.chunks.get(place.chunk as usize) {
            chunk.taken.fetch_and(!(1 << place.place), Ordering::AcqRel);
        }
    }

    fn take_in(&self, number: usize) -> Option<Place> {
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
                Ok(_) => return Some(Place { chunk: number as u32, place }),
                Err(now) => taken = now,
            }
        }
    }

    fn chunks_of(&self, slot: usize) -> impl Iterator<Item = &'a Chunk<R>> + use<'a, R> {
        let home = self.chunks.get(slot);
        let spare = self.chunks.get(self.slots..).unwrap_or(&[]);
        home.into_iter().chain(
            spare
                .iter()
                .filter(move |chunk| chunk.owner.load(Ordering::Acquire) == slot as u32 + 1),
        )
    }

    /// Returns all records in the chunks of a slot, taken or not.
    pub fn of_slot(&self, slot: usize) -> impl Iterator<Item = &'a R> + use<'a, R> {
        self.chunks_of(slot).flat_map(|chunk| &chunk.records)
    }

    /// Takes everything from a dead child, once its records are all free.
    pub fn clear_slot(&self, slot: usize) {
        for chunk in self.chunks_of(slot) {
            chunk.taken.store(0, Ordering::Release);
            chunk.owner.store(0, Ordering::Release);
        }
    }

    /// Returns all records in which a living child may hold something.
    pub fn live(&self, pids: &'a [AtomicU32]) -> impl Iterator<Item = &'a R> + use<'a, R> {
        let homes = pids
            .iter()
            .zip(self.chunks)
            .filter(|(pid, _)| pid.load(Ordering::Acquire) != 0)
            .map(|(_, chunk)| chunk);
        let spare = self.chunks.get(self.slots..).unwrap_or(&[]);
        let owned = spare.iter().filter(|chunk| chunk.owner.load(Ordering::Acquire) != 0);
        homes
            .chain(owned)
            .filter(|chunk| chunk.taken.load(Ordering::Acquire) != 0)
            .flat_map(|chunk| &chunk.records)
    }
}
