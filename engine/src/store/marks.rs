//! What is remembered of a client besides its counters: that it is privileged, what it did that makes it less
//! welcome, and which kinds of content it asks for.
//!
//! ```text
//!   marks     low priority since 32 | - 23 | VIP 1 | flags 8     8 octets a client
//!   contents  one counter per class of content, and one of activities         24 octets a client
//! ```
//!
//! They lie beside the rows, not in them: most configurations need neither. Nobody touches them before a
//! configuration says that it wants them, or a client is denied something: the console then calls its priority
//! low, though nothing comes of it. Memory that nobody touches is none. From then on they are in use
//! until the server stops, so that a mark outlives a restart that leaves its directive out for a while.
//! Spec: client.md, QS_ClientPrefer.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::store::clients::{Clients, RowId};
use crate::time::{Seconds, Tick};

/// So long after the last marking a client has low priority.
pub const LOW_PRIORITY: Seconds = Seconds(86_400);

/// What a client did: the flags that log lines and `QS_ClientLowPrio` show.
pub mod flag {
    /// It sent or took too little data.
    pub const SLOW: u8 = 0x01;
    /// It asks for the usual mix of content. The only one that is good, and lasts.
    pub const NORMAL_CONTENT: u8 = 0x02;
    /// It asks for an unusual mix of content.
    pub const UNUSUAL_CONTENT: u8 = 0x04;
    /// It was blocked: too many block events.
    pub const BLOCKED: u8 = 0x08;
    /// It was over a limit of events.
    pub const LIMITED: u8 = 0x10;
    /// It let the server wait for a request in vain.
    pub const TIMED_OUT: u8 = 0x20;
    /// An administrator said so: whatever is bad.
    pub const BY_HAND: u8 = 0xfd;
}

/// What may be remembered of clients.
pub mod wanted {
    /// Which of them are privileged.
    pub const VIPS: u32 = 1;
    /// Which of them have low priority, and what they ask for.
    pub const PREFERENCE: u32 = 2;
    /// What an administrator says of them, or what pages are to show.
    pub const BY_HAND: u32 = 4;
}

const VIP: u64 = 1 << 8;
const FLAGS: u64 = 0xff;

/// The mark of one client.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Mark(AtomicU64);

/// What a mark says at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is known of it; after the time of low priority only `NORMAL_CONTENT`.
    pub flags: u8,
    /// It was marked within the last day.
    pub is_low: bool,
    /// It is privileged.
    pub is_vip: bool,
}

/// What was found of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Flags that it has from now on.
    pub set: u8,
    /// Flags that it has no more.
    pub clear: u8,
    /// Whether it is less welcome for a day.
    pub is_low: bool,
}

impl Mark {
    fn word(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes the word in one exchange: a child killed in between leaves the old one.
    fn update(&self, change: impl Fn(u64) -> u64) {
        let mut word = self.word();
        loop {
            let new = change(word);
            // Most of the time there is nothing new, and then nothing is written.
            if new == word {
                return;
            }
            match self.0.compare_exchange(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}

fn since(word: u64) -> Tick {
    Tick((word >> 32) as u32)
}

/// The same word once the time of low priority is over.
fn unless_over(word: u64, now: Tick) -> u64 {
    let since = since(word);
    if since == Tick(0) || now < since.after(LOW_PRIORITY) {
        return word;
    }
    word & (VIP | u64::from(flag::NORMAL_CONTENT))
}

/// Classes of content.
pub const CLASSES: usize = 5;

/// What a client has asked for.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Contents {
    classes: [AtomicU32; CLASSES],
    activities: AtomicU32,
}

impl Contents {
    /// Counts a response of a class, as so many activities.
    pub fn count(&self, class: usize, activities: u32) {
        if let Some(counter) = self.classes.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.act(activities);
    }

    /// Counts activities that have no class.
    pub fn act(&self, activities: u32) {
        self.activities.fetch_add(activities, Ordering::Relaxed);
    }

    /// Returns how many activities there were.
    pub fn activities(&self) -> u32 {
        self.activities.load(Ordering::Relaxed)
    }

    /// Returns how many responses of each class there were.
    pub fn classes(&self) -> [u32; CLASSES] {
        core::array::from_fn(|class| {
            self.classes.get(class).map_or(0, |counter| counter.load(Ordering::Relaxed))
        })
    }

    fn reset(&self) {
        for counter in self.classes.iter().chain([&self.activities]) {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Marks and contents of all clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    /// One per row; none beside a table that has no marks.
    pub marks: &'a [Mark],
    /// As many.
    pub contents: &'a [Contents],
    /// What all clients together have asked for: one word per class.
    pub everybody: &'a [AtomicU64],
    /// What is in use, one word: see [`wanted`].
    pub in_use: &'a [AtomicU32],
}

impl<'a> Marks<'a> {
    fn has(&self, what: u32) -> bool {
        self.in_use.first().is_some_and(|word| word.load(Ordering::Relaxed) & what != 0)
    }

    fn of(&self, row: u32) -> Option<&'a Mark> {
        self.marks.get(row as usize).filter(|_| self.has(u32::MAX))
    }

    /// Forgets what is known of a row: it gets another address.
    pub(super) fn clear(&self, row: u32) {
        if let Some(mark) = self.of(row) {
            mark.update(|_| 0);
        }
        if let Some(contents) =
            self.contents.get(row as usize).filter(|_| self.has(wanted::PREFERENCE))
        {
            contents.reset();
        }
    }

    /// Until when a row is worth keeping for its mark's sake.
    pub(super) fn worth(&self, row: u32) -> Tick {
        let word = self.of(row).map_or(0, Mark::word);
        // What only pages show is not worth a row.
        let counts = self.has(wanted::PREFERENCE) || word & FLAGS == u64::from(flag::BY_HAND);
        match since(word) {
            _ if word & VIP != 0 => Tick(u32::MAX),
            Tick(0) => Tick(0),
            _ if !counts => Tick(0),
            since => since.after(LOW_PRIORITY),
        }
    }
}

impl<'a> Clients<'a> {
    /// Says what a configuration wants to be remembered. Only the parent calls this, before any child of that
    /// configuration runs; or who holds the row that he is about to mark: nobody can give that row to another
    /// address without having seen this.
    pub fn remember(&self, what: u32) {
        if let Some(word) = self.marks().in_use.first().filter(|_| what != 0) {
            word.fetch_or(what, Ordering::Relaxed);
        }
    }

    /// Tells whether anything is remembered that needs a client's row.
    pub fn remembers(&self) -> bool {
        self.marks().has(u32::MAX)
    }

    /// Returns what is known of a client.
    pub fn standing(&self, row: RowId, now: Tick) -> Standing {
        let word = unless_over(self.marks().of(row.0).map_or(0, Mark::word), now);
        Standing {
            flags: (word & FLAGS) as u8,
            is_low: since(word) != Tick(0),
            is_vip: word & VIP != 0,
        }
    }

    /// Marks the client of a held row as less welcome for a day from now on, for what it did. Where no
    /// configuration asks for it, pages show it all the same.
    pub fn mark(&self, row: RowId, flags: u8, now: Tick) {
        if !self.remembers() {
            self.remember(wanted::BY_HAND);
        }
        self.judge(row, Judgement { set: flags, clear: 0, is_low: true }, now);
    }

    /// Notes what was found of the client of a held row.
    pub fn judge(&self, row: RowId, judgement: Judgement, now: Tick) {
        let Judgement { set, clear, is_low } = judgement;
        let Some(mark) = self.marks().of(row.0) else { return };
        mark.update(|word| {
            let word = (unless_over(word, now) | u64::from(set)) & !u64::from(clear);
            if is_low { word & u64::from(u32::MAX) | u64::from(now.0) << 32 } else { word }
        });
        if is_low && self.marks().has(wanted::PREFERENCE) {
            self.keep(row, now.after(LOW_PRIORITY));
        }
    }

    /// Marks the client of a held row as privileged, from now on and for all of its connections; it goes last
    /// when room is needed. Does nothing where no configuration asks for it.
    pub fn mark_vip(&self, row: RowId) {
        if let Some(mark) = self.marks().of(row.0).filter(|_| self.marks().has(wanted::VIPS)) {
            mark.update(|word| word | VIP);
            self.keep(row, Tick(u32::MAX));
        }
    }

    /// Privileges the client of a held row, or does so no more, whatever is configured.
    pub fn set_vip(&self, row: RowId, is_vip: bool) {
        if is_vip {
            self.remember(wanted::BY_HAND);
            self.keep(row, Tick(u32::MAX));
        }
        if let Some(mark) = self.marks().of(row.0) {
            mark.update(|word| if is_vip { word | VIP } else { word & !VIP });
        }
    }

    /// Gives the client of a held row low priority for a day, for all that there is, or no more.
    pub fn set_low(&self, row: RowId, is_low: bool, now: Tick) {
        if is_low {
            self.remember(wanted::BY_HAND);
            self.keep(row, now.after(LOW_PRIORITY));
        }
        if let Some(mark) = self.marks().of(row.0) {
            mark.update(|word| {
                if is_low {
                    word & VIP | u64::from(flag::BY_HAND) | u64::from(now.0) << 32
                } else {
                    word & (VIP | u64::from(flag::NORMAL_CONTENT))
                }
            });
        }
    }

    /// Returns since when a client has low priority, if it has.
    pub fn low_since(&self, row: RowId, now: Tick) -> Option<Tick> {
        let word = unless_over(self.marks().of(row.0).map_or(0, Mark::word), now);
        Some(since(word)).filter(|since| *since != Tick(0))
    }

    /// Tells whether a client is privileged.
    pub fn is_vip(&self, row: RowId) -> bool {
        self.marks().of(row.0).is_some_and(|mark| mark.word() & VIP != 0)
    }

    /// Returns what a client has asked for, where that is counted.
    pub fn contents(&self, row: RowId) -> Option<&'a Contents> {
        self.marks().contents.get(row.0 as usize).filter(|_| self.marks().has(wanted::PREFERENCE))
    }

    /// Counts a response of a class for all clients together.
    pub fn count_for_everybody(&self, class: usize) {
        if let Some(counter) = self.marks().everybody.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns what all clients together have asked for.
    pub fn contents_of_everybody(&self) -> [u64; CLASSES] {
        core::array::from_fn(|class| {
            self.marks().everybody.get(class).map_or(0, |counter| counter.load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
