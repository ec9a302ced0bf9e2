//! One row per address: found, made and given up in constant time, over the whole table.
//!
//! ```text
//!   index   buckets of eight slots (one cache line); an address can stand in two of them
//!           slot: final 1 | piece of the tag 23 | stamp 8 | row 32,   0 = free     (index.rs)
//!   rows    tag | address | block | connections | suppressed        (40 octets; row.rs)
//!   ages    when a row's worth ends, and a tree over it              (ages.rs)
//!   beside  counters that only some configurations have              (columns.rs)
//!   marks   what else is remembered of a client, where it is wanted  (marks.rs)
//! ```
//!
//! A row is *held* while its `connections` count anything; only a row that nobody holds can be given to
//! another address, and only who holds a row may mark it. The tag, a keyed hash of 64 bits, is what a row
//! is known by: clients cannot aim at a bucket, and two of 10^7 addresses share one with a chance of
//! 3 in a million.
//!
//! **One row per tag.** Two children may want the same new address at once. Each prepares a row of its
//! own and publishes it as *tentative*, which nobody finds, then looks for others of the same tag:
//! a final one wins, and ours is withdrawn; a tentative one is thrown out; and ours is made final, if
//! nobody has thrown it out meanwhile. Of two, at least one sees the other, since both publish before
//! they look. Nobody waits for anybody: a killed child leaves at most a tentative slot, which the next
//! one throws out.
//!
//! **Giving a row up.** Who needs a row claims the oldest (an exchange that fails when it was so much as
//! touched), removes its slot, and only then writes it. Who meets a slot whose row is claimed removes
//! the slot himself instead of waiting.

mod hash;
mod index;
mod newcomer;
mod row;

pub use hash::{Hashed, Secret};
pub use row::Row;

use crate::atomic::{AtomicU64, Ordering, spin};
use crate::client::address::Address;
use crate::meter::concurrency::Concurrency;
use crate::store::ages::{Ages, words_for};
use crate::store::columns::Columns;
use crate::store::layout::TableParts;
use crate::store::lease::LeaseWord;
use crate::store::marks::Marks;
use crate::time::Tick;
use index::Found;
use newcomer::Failed;

/// The scope of clients: they are counted for the whole server, not per virtual host.
pub const CLIENTS: u32 = u32::MAX;

/// Slots of a bucket: one cache line.
pub const BUCKET: usize = 8;

type Bucket = [AtomicU64; BUCKET];

/// How often a lost race is run again before the table says that it has no row. Each round lost means
/// that somebody else won; the number is only there so that no loop is without an end.
const ROUNDS: usize = if cfg!(loom) { 8 } else { 1024 };

/// The key of a held row that stood in the way of rows with a mark: behind every mark.
const IN_USE: Tick = Tick(u32::MAX);
/// The latest end of a mark.
const LAST_END: Tick = Tick(u32::MAX - 1);

/// The number of a row in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowId(pub u32);

/// A row that a lease holds, and how many connections it has with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The row.
    pub row: RowId,
    /// Connections of this address, this one included.
    pub connections: u32,
}

/// A table of addresses.
#[derive(Debug)]
pub struct Clients<'a> {
    rows: &'a [Row],
    index: &'a [Bucket],
    /// Ages of the rows that remember: as many as are configured.
    ages: Ages<'a>,
    /// Ages of the rows behind them: room for those that are held or marked besides.
    spare: Ages<'a>,
    /// One counter a row for each limit variable.
    columns: Columns<'a>,
    /// Requests of each client at this moment.
    requests: &'a [Concurrency],
    /// Whether any request has the client's turn.
    turns: &'a [Concurrency],
    marks: Marks<'a>,
    secret: Secret,
    evicted: &'a AtomicU64,
}

impl<'a> Clients<'a> {
    /// Lays a table over its parts.
    pub fn new(parts: TableParts<'a>, secret: Secret) -> Clients<'a> {
        let TableParts { rows, remembering, index, ages, beside, marks, evicted } = parts;
        let remembering = remembering.min(rows.len());
        let (ages, spare) = ages.split_at(words_for(remembering).min(ages.len()));
        Clients {
            rows,
            index: index.as_chunks().0,
            ages: Ages::new(ages, remembering),
            spare: Ages::new(spare, rows.len() - remembering),
            columns: Columns::new(beside.heads, beside.cells, rows.len()),
            requests: beside.requests,
            turns: beside.turns,
            marks,
            secret,
            evicted,
        }
    }

    /// Returns a row by its number.
    pub fn row(&self, id: RowId) -> Option<&'a Row> {
        self.rows.get(id.0 as usize)
    }

    /// Returns the counter of a row's connections, for the recount.
    pub fn connections(&self, row: u32) -> Option<&'a Concurrency> {
        self.rows.get(row as usize).map(|row| &row.connections)
    }

    /// Returns the counters beside the rows.
    pub fn columns(&self) -> &Columns<'a> {
        &self.columns
    }

    /// Returns the counter of a client's requests at this moment.
    pub fn requests(&self, row: u32) -> Option<&'a Concurrency> {
        self.requests.get(row as usize)
    }

    /// Returns the turn of a client: counts one at most.
    pub fn turn(&self, row: u32) -> Option<&'a Concurrency> {
        self.turns.get(row as usize)
    }

    /// Returns the marks beside the rows.
    pub(super) fn marks(&self) -> &Marks<'a> {
        &self.marks
    }

    /// Returns how many rows were taken from one address for another.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Returns how many addresses can be remembered that hold nothing.
    pub fn remembering(&self) -> usize {
        self.ages.rows()
    }

    /// Returns the addresses that have a row now, with its number. For display: others come and go
    /// while it runs. Rows that were never used are not touched: looking at one would make it memory.
    pub fn all(&self) -> impl Iterator<Item = (Address, RowId)> + '_ {
        let used = |number: &u32| self.key(*number) != Tick(0);
        let rows = (0u32..).zip(self.rows);
        rows.filter(move |(number, _)| used(number))
            .filter(|(_, row)| row.tag.load(Ordering::Acquire) != 0)
            .map(|(number, row)| (row.address(), RowId(number)))
    }

    /// Returns the addresses of a scope that hold connections now, with how many each holds. For display,
    /// like [`Clients::all`].
    pub fn holders(&self, scope: u32) -> impl Iterator<Item = (Address, u32)> + '_ {
        self.all().filter_map(move |(address, id)| {
            let row = self.row(id)?;
            let seen = row.connections.look();
            let is_held = !seen.is_claimed() && seen.count() > 0;
            // A row does not say whose scope it is of, but its tag does.
            let is_of_scope =
                is_held && row.tag.load(Ordering::Acquire) == self.hash(address).tag(scope);
            is_of_scope.then(|| (address, seen.count()))
        })
    }

    /// Finds an address's row without holding it. What the row says next may already be about
    /// another address; it is for reading, and a wrong answer lasts for one connection.
    pub fn peek(&self, scope: u32, address: Address) -> Option<RowId> {
        self.find(self.secret.hash(address).tag(scope)).map(|found| RowId(found.row))
    }

    /// Hashes an address, for [`Clients::hold_hashed`] of any table of the same server.
    pub fn hash(&self, address: Address) -> Hashed {
        self.secret.hash(address)
    }

    /// Holds an address's row, made anew when there is none: counts one connection more.
    ///
    /// `None` means that no row could be had. The sizes of `layout.rs` leave room for every connection
    /// that can be open, so a caller takes it as "over the limit", never as "no limit".
    pub fn hold(
        &self,
        scope: u32,
        address: Address,
        lease: &LeaseWord,
        child: u32,
        now: Tick,
    ) -> Option<Held> {
        self.hold_hashed(scope, self.hash(address), lease, child, now)
    }

    /// The same for an address that was hashed before.
    pub fn hold_hashed(
        &self,
        scope: u32,
        hashed: Hashed,
        lease: &LeaseWord,
        child: u32,
        now: Tick,
    ) -> Option<Held> {
        let (tag, address) = (hashed.tag(scope), hashed.address);
        for _ in 0..ROUNDS {
            if let Some(found) = self.find(tag) {
                if let Some(held) = self.hold_found(tag, found, lease) {
                    self.raise(found.row, now);
                    return Some(held);
                }
            } else {
                match self.make(tag, address, lease, child, now) {
                    Ok(held) => {
                        self.raise(held.row.0, now);
                        return Some(held);
                    }
                    Err(Failed::Full) => return None,
                    Err(Failed::Race) => {}
                }
            }
            spin();
        }
        None
    }

    /// Gives a held row back; it was used until now.
    pub fn give(&self, id: RowId, lease: &LeaseWord, now: Tick) {
        self.raise(id.0, now);
        if let Some(row) = self.row(id) {
            lease.give(&row.connections, id.0);
        }
    }

    /// Marks a held row as worth keeping until `end`, whatever crowd comes by.
    pub fn keep(&self, id: RowId, end: Tick) {
        self.raise(id.0, end.min(LAST_END));
    }

    /// Tells whether a row is worth keeping beyond its last use.
    pub fn is_kept(&self, id: RowId, now: Tick) -> bool {
        self.key(id.0) > now
    }

    /// Returns when a row was last used; `None` where a mark hides that. For display.
    pub fn last_use(&self, id: RowId, now: Tick) -> Option<Tick> {
        let row = self.row(id)?;
        if row.open_connections() > 0 {
            return Some(now);
        }
        Some(self.key(id.0)).filter(|key| *key <= now)
    }

    /// Returns how many rows there are.
    pub fn size(&self) -> usize {
        self.rows.len()
    }

    /// Says that a row is worth keeping until `end` and no longer: its mark was taken away, or it is
    /// about to be given back and somebody may have put it behind all others while it was held. Except for
    /// what marks.rs knows of it.
    pub fn keep_no_longer(&self, id: RowId, end: Tick) {
        let end = end.max(self.marks.worth(id.0)).min(LAST_END);
        if self.key(id.0) > end {
            self.lower(id.0, end);
        }
    }

    /// Clears up behind a dead child what it was doing to this row. True when the row was claimed by it
    /// and is now free; false when the child's lease stands for a unit of the count.
    pub fn reclaim(&self, row: u32, child: u32) -> bool {
        let Some(dead) = self.rows.get(row as usize) else { return false };
        if !dead.connections.look().is_claimed_by(child) {
            return false;
        }
        self.unlink(row, dead.tag.load(Ordering::Acquire));
        self.clear(row, dead);
        true
    }

    fn hold_found(&self, tag: u64, found: Found<'a>, lease: &LeaseWord) -> Option<Held> {
        let row = self.rows.get(found.row as usize)?;
        let Some(connections) = lease.take(&row.connections, found.row) else {
            // Its row is being given to somebody else, who may be dead: out of the way with the slot.
            if row.connections.look().is_claimed() {
                let _ =
                    found.slot.compare_exchange(found.word, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
            return None;
        };
        // A held row stays. But it may have become another's between finding and holding it, or one
        // that is only tentative: then slot or tag say something else now.
        if found.slot.load(Ordering::Acquire) != found.word
            || row.tag.load(Ordering::Acquire) != tag
        {
            lease.give(&row.connections, found.row);
            return None;
        }
        Some(Held { row: RowId(found.row), connections })
    }

    fn ages_of(&self, row: u32) -> (&Ages<'a>, u32) {
        match row.checked_sub(self.ages.rows() as u32) {
            None => (&self.ages, row),
            Some(row) => (&self.spare, row),
        }
    }

    fn key(&self, row: u32) -> Tick {
        let (ages, row) = self.ages_of(row);
        ages.key(row)
    }

    fn raise(&self, row: u32, until: Tick) {
        let (ages, row) = self.ages_of(row);
        ages.raise(row, until);
    }

    fn lower(&self, row: u32, until: Tick) {
        let (ages, row) = self.ages_of(row);
        ages.lower(row, until);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
