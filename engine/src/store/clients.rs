//! One row per address: found, made and given up in constant time, over the whole table.
//!
//! ```text
//!   index   buckets of eight slots (one cache line); an address can stand in two of them
//!           slot: final 1 | piece of the tag 23 | stamp 8 | row 32,   0 = free
//!   rows    tag | address | block | connections | suppressed        (40 octets)
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

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence, spin};
use crate::client::address::Address;
use crate::meter::concurrency::Concurrency;
use crate::meter::window::Window;
use crate::store::ages::{Ages, Oldest, words_for};
use crate::store::columns::Columns;
use crate::store::layout::TableParts;
use crate::store::lease::{Lease, LeaseWord};
use crate::store::marks::Marks;
use crate::time::Tick;

/// The scope of clients: they are counted for the whole server, not per virtual host.
pub const CLIENTS: u32 = u32::MAX;

/// Slots of a bucket: one cache line.
pub const BUCKET: usize = 8;

type Bucket = [AtomicU64; BUCKET];

/// How often a lost race is run again before the table says that it has no row. Each round lost means
/// that somebody else won; the number is only there so that no loop is without an end.
const ROUNDS: usize = if cfg!(loom) { 8 } else { 1024 };

/// How many rounds long a newcomer lets the tree of ages learn before he takes the next best.
const PATIENCE: usize = 64;

/// The key of a held row that stood in the way of rows with a mark: behind every mark.
const IN_USE: Tick = Tick(u32::MAX);
/// The latest end of a mark.
const LAST_END: Tick = Tick(u32::MAX - 1);

const FINAL: u64 = 1 << 63;
const STAMP_SHIFT: u32 = 32;
const PIECE_SHIFT: u32 = 40;
const PIECE_MASK: u64 = ((1 << 23) - 1) << PIECE_SHIFT;

/// What is remembered of one address.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Row {
    tag: AtomicU64,
    address: [AtomicU64; 2],
    /// Block events (`QS_Block`) in their window.
    pub block: Window,
    /// Connections that hold this row.
    connections: Concurrency,
    /// Denials since the last connection that was let through, for the folding of log lines.
    pub suppressed: AtomicU32,
}

const _: () = assert!(cfg!(loom) || size_of::<Row>() == 40);

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

/// The key of the hash, random per server, so that nobody can choose addresses that share a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Secret(pub [u64; 2]);

/// An address with its hash, so that several tables ask for it once.
#[derive(Clone, Copy, Debug)]
pub struct Hashed {
    address: Address,
    hash: u64,
}

/// Why an address got no new row.
enum Failed {
    /// Another child was faster, or the tree of ages is still learning: worth another round.
    Race,
    /// All rows are held.
    Full,
}

/// One found slot.
#[derive(Clone, Copy)]
struct Found<'a> {
    slot: &'a AtomicU64,
    word: u64,
    row: u32,
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

    fn find(&self, tag: u64) -> Option<Found<'a>> {
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

    /// Prepares a row for `tag` and publishes it, or fails where another child was faster. By itself, so
    /// that who is known does not pay for what a newcomer needs.
    #[inline(never)]
    fn make(
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

    fn publish(&self, tag: u64, word: u64) -> Option<&'a AtomicU64> {
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
    fn no_final_rival(&self, tag: u64, ours: &AtomicU64) -> bool {
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

    fn unlink(&self, row: u32, tag: u64) {
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

    fn clear(&self, number: u32, row: &Row) {
        row.tag.store(0, Ordering::Release);
        row.block.reset();
        self.columns.clear_row(number);
        self.marks.clear(number);
        self.lower(number, Tick(0));
        row.connections.settle(0);
    }

    /// The slots that a tag can stand in. (Where each costs, two plain loops do better: `find`, `unlink`.)
    fn slots_of(&self, tag: u64) -> impl Iterator<Item = &'a AtomicU64> {
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

impl Row {
    /// Returns the address, cut to what was counted.
    pub fn address(&self) -> Address {
        let [high, low] = &self.address;
        Address::from_words(high.load(Ordering::Relaxed), low.load(Ordering::Relaxed))
    }

    /// Returns how many connections hold this row.
    pub fn open_connections(&self) -> u32 {
        self.connections.count()
    }

    /// Makes a claimed row another address's; returns the stamp for its slot.
    fn write(&self, tag: u64, address: Address) -> u64 {
        let (high, low) = address.words();
        for (word, value) in self.address.iter().zip([high, low]) {
            word.store(value, Ordering::Relaxed);
        }
        self.block.reset();
        self.suppressed.store(0, Ordering::Relaxed);
        // Release: who finds the tag finds the columns that belong to it.
        self.tag.store(tag, Ordering::Release);
        self.connections.look().stamp()
    }
}

impl Secret {
    /// Hashes an address by SipHash-1-3.
    pub fn hash(self, address: Address) -> Hashed {
        let (high, low) = address.words();
        Hashed { address, hash: sip_hash::<1, 3, 2>(self.0, [high, low]) }
    }
}

impl Hashed {
    /// Returns the tag of the address in a scope, never 0. Who does not know the hash cannot choose
    /// scopes, so an even spreading is enough: the last steps of SplitMix64.
    pub fn tag(self, scope: u32) -> u64 {
        let mut word = self.hash ^ u64::from(scope).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).max(1)
    }
}

/// SipHash with C rounds per word and D at the end, over N whole words.
fn sip_hash<const C: usize, const D: usize, const N: usize>(key: [u64; 2], words: [u64; N]) -> u64 {
    let [k0, k1] = key;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut absorb = |word| {
        v[3] ^= word;
        for _ in 0..C {
            v = sip_round(v);
        }
        v[0] ^= word;
    };
    words.into_iter().for_each(&mut absorb);
    // The last word of the original carries the length in its top octet.
    absorb((N as u64 * 8) << 56);
    v[2] ^= 0xff;
    for _ in 0..D {
        v = sip_round(v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
