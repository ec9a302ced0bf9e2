//! The one cast from octets to the engine's rows.
//!
//! The segment begins zeroed and is never anything but rows of atomics, for which all zeroes is a good
//! value; so any part of it can be looked at from any process at any time.

use core::mem::{align_of, size_of};
use core::ptr::NonNull;
use qos_engine::atomic::{AtomicU32, AtomicU64};
use qos_engine::meter::concurrency::Concurrency;
use qos_engine::meter::window::Window;
use qos_engine::store::children::Record;
use qos_engine::store::chunks::Chunk;
use qos_engine::store::clients::Row;
use qos_engine::store::columns::Head;
use qos_engine::store::episode;
use qos_engine::store::layout::{self, Beside, Layout, Parts, TableParts};
use qos_engine::store::loans::Sheet;
use qos_engine::store::marks::{CLASSES, Contents, Mark, Marks};
use qos_engine::store::networks::{self, NETWORKS};
use qos_engine::store::recent;
use qos_engine::store::rules::Rule;
use qos_engine::store::sleepers::Place;
use qos_engine::store::slots::Scope;
use qos_engine::store::totals::Total;

/// A row that may lie in shared memory.
///
/// # Safety
/// The type is `repr(C)` or `repr(transparent)`, consists of atomics only, and all zeroes is a valid value.
unsafe trait SharedRow: 'static {}

// SAFETY: atomics themselves.
unsafe impl SharedRow for AtomicU32 {}
// SAFETY: as above.
unsafe impl SharedRow for AtomicU64 {}
// SAFETY: `repr(C)` over atomics and `repr(transparent)` words of atomics.
unsafe impl SharedRow for Row {}
// SAFETY: as above.
unsafe impl SharedRow for Mark {}
// SAFETY: as above.
unsafe impl SharedRow for Contents {}
// SAFETY: as above, over records that are.
unsafe impl SharedRow for Chunk<Record> {}
// SAFETY: as above.
unsafe impl SharedRow for Chunk<Sheet> {}
// SAFETY: as above.
unsafe impl SharedRow for Rule {}
// SAFETY: as above.
unsafe impl SharedRow for Scope {}
// SAFETY: as above.
unsafe impl SharedRow for Window {}
// SAFETY: as above.
unsafe impl SharedRow for Concurrency {}
// SAFETY: as above.
unsafe impl SharedRow for Head {}
// SAFETY: as above.
unsafe impl SharedRow for Place {}
// SAFETY: as above.
unsafe impl SharedRow for Total {}
// SAFETY: as above.
unsafe impl SharedRow for recent::Line {}
// SAFETY: as above.
unsafe impl SharedRow for networks::Row {}

/// Each part begins on a cache line.
const LINE: usize = 64;

/// Walks over the memory of a segment, part by part. Without memory it only measures.
struct Cursor {
    base: Option<NonNull<u8>>,
    offset: usize,
}

impl Cursor {
    fn part<T: SharedRow>(&mut self, count: usize) -> &'static [T] {
        const { assert!(align_of::<T>() <= LINE) };
        let offset = self.offset.next_multiple_of(LINE);
        self.offset = offset + count * size_of::<T>();
        let Some(base) = self.base else { return &[] };
        // SAFETY: `parts` promises zeroed memory of the measured size, aligned to a page, mapped for
        // the life of the process; `offset` lies within, on a cache line; parts do not overlap, and a
        // `SharedRow` may be shared and begins as zeroes.
        unsafe { core::slice::from_raw_parts(base.as_ptr().add(offset).cast::<T>(), count) }
    }

    fn word(&mut self) -> &'static AtomicU64 {
        // Only while measuring there is no memory, and then nobody reads or writes.
        static NONE: AtomicU64 = AtomicU64::new(0);
        self.part(1).first().unwrap_or(&NONE)
    }

    fn table(&mut self, rows: usize, remembering: usize, columns: usize) -> TableParts<'static> {
        let beside = if columns > 0 { rows } else { 0 };
        TableParts {
            evicted: self.word(),
            rows: self.part::<Row>(rows),
            remembering,
            index: self.part(layout::index_words(rows)),
            ages: self.part(layout::ages_words(rows, remembering)),
            beside: Beside {
                heads: self.part(columns),
                cells: self.part(columns * rows),
                requests: self.part(beside),
                turns: self.part(beside),
            },
            marks: Marks {
                marks: self.part::<Mark>(beside),
                contents: self.part::<Contents>(beside),
                everybody: self.part(if beside > 0 { CLASSES } else { 0 }),
                in_use: self.part(beside.min(1)),
            },
        }
    }

    fn parts(&mut self, layout: Layout) -> Parts<'static> {
        Parts {
            reclaimed: self.word(),
            pids: self.part(layout.slots),
            chunks: self.part(layout.chunks),
            sheets: self.part(layout.sheets),
            scopes: self.part(layout.scopes),
            rules: self.part(layout.rules),
            totals: self.part(layout.totals),
            recent: self.part(recent::LINES),
            denials: self.word(),
            peers: self.table(layout.peers, layout.peers, 0),
            clients: self.table(layout.clients, layout.remembering, layout.columns),
            networks: self.part(NETWORKS),
            networks_end: self.word(),
            acts: self.word(),
            episode: self.part(episode::WORDS),
            told: self.part(layout.told),
            places: self.part(layout.places),
            tickets: self.word(),
        }
    }
}

/// Returns how many octets a layout needs.
pub fn size(layout: Layout) -> usize {
    let mut cursor = Cursor { base: None, offset: 0 };
    cursor.parts(layout);
    cursor.offset
}

/// Lays a layout over memory.
///
/// # Safety
/// `memory` is zeroed or was laid out by the same layout before, has [`size`] octets, is aligned to a
/// page, and stays mapped for the life of the process.
pub unsafe fn parts(memory: NonNull<u8>, layout: Layout) -> Parts<'static> {
    Cursor { base: Some(memory), offset: 0 }.parts(layout)
}
