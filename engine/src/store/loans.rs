//! What requests have on loan, so that a child killed in the middle of one gives all of it back exactly.
//!
//! A request has a [`Purse`], empty at first. Whoever counts it borrows a unit (counter + 1) and may give
//! that one back; at the request's end [`Store::give_all`] gives back the rest, whatever happened:
//!
//! ```text
//!   store.borrow(purse, child, Unit::Rule(7))              -> how many hold it now, this one included
//!   store.borrow_below(purse, child, Unit::ClientTurn(3), 1) -> only while fewer than 1 hold it
//!   store.hold_client(purse, child, scope, address, now)   -> a row that stays this client's
//!   store.give(purse, Unit::ClientTurn(3), now)            -> one unit back before the end
//!   store.give_all(purse, now)                             -> everything, and the purse is empty
//! ```
//!
//! The leases lie in *sheets* of shared memory: eight words, each of which says in which table and row it
//! counts ([`Unit`]) and how far that has come (lease.rs). A purse takes a sheet of its child's chunk with
//! its first unit (one exchange), and another with its ninth. A unit costs two stores and the exchange of
//! its counter; nothing waits, and requests on any number of threads (HTTP/2) do not meet but in the word
//! that says which sheets are taken.
//!
//! Where the child has no free sheet, the lease lies in the purse itself: counted all the same, and exact
//! as long as the child ends in peace.

use crate::client::address::Address;
use crate::store::Store;
use crate::store::children::{Child, Children};
use crate::store::chunks::Place;
use crate::store::clients::{Held, RowId};
use crate::store::lease::{Lease, LeaseWord};
use crate::store::unit::Unit;
use crate::time::Tick;

/// Units of a sheet. Two for the interleaving checks.
pub const SHEET_WORDS: usize = if cfg!(loom) { 2 } else { 8 };

/// Some leases of one request.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Sheet {
    words: [LeaseWord; SHEET_WORDS],
}

impl Sheet {
    /// Returns its leases.
    pub fn words(&self) -> &[LeaseWord] {
        &self.words
    }
}

/// What one request has on loan. It is empty again after [`Store::give_all`]; only then may it go.
#[derive(Debug, Default)]
pub struct Purse {
    first: Option<Place>,
    /// Allocated for requests with more units than a sheet has, or for which there was no sheet.
    more: Option<Box<More>>,
}

#[derive(Debug, Default)]
struct More {
    sheets: Vec<Place>,
    /// Leases for which there was no sheet.
    own: Vec<LeaseWord>,
}

impl Purse {
    /// Tells whether nothing is on loan, and nothing was since all was given back.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_none()
    }

    /// Returns all leases, free ones included.
    fn words<'p>(&'p self, children: &'p Children<'_>) -> impl Iterator<Item = &'p LeaseWord> {
        let more = self.more.as_deref();
        let sheets = self.first.iter().chain(more.into_iter().flat_map(|more| &more.sheets));
        sheets
            .filter_map(|place| children.sheets.get(*place))
            .flat_map(Sheet::words)
            .chain(more.into_iter().flat_map(|more| &more.own))
    }

    /// Finds a lease that is free, or comes by one.
    fn free_word<'p>(
        &'p mut self,
        children: &'p Children<'_>,
        child: &Child,
    ) -> Option<&'p LeaseWord> {
        let is_free = |word: &&LeaseWord| word.look() == Lease::Free;
        if !self.words(children).any(|word| is_free(&word)) {
            match (children.sheets.take(child), self.first) {
                (Some(sheet), None) => self.first = Some(sheet),
                (Some(sheet), Some(_)) => self.more().sheets.push(sheet),
                (None, _) => self.more().own.push(LeaseWord::default()),
            }
        }
        self.words(children).find(is_free)
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Finds a lease that stands for this unit.
    fn word_of<'p>(&'p self, children: &'p Children<'_>, unit: Unit) -> Option<&'p LeaseWord> {
        self.words(children).find(|word| word.look() == Lease::Held(unit.index()))
    }
}

impl Store<'_> {
    /// Counts one unit more and returns how many there are with it. `None` means that it cannot be
    /// counted (there is no such counter, or it is full): a caller takes it as "over the limit".
    pub fn borrow(&self, purse: &mut Purse, child: &Child, unit: Unit) -> Option<u32> {
        self.borrow_below(purse, child, unit, u32::MAX)
    }

    /// Counts one unit more, but only while there are fewer than `limit`: with 1, a turn that only one
    /// has at a time.
    pub fn borrow_below(
        &self,
        purse: &mut Purse,
        child: &Child,
        unit: Unit,
        limit: u32,
    ) -> Option<u32> {
        let counter = self.counter(unit)?;
        purse.free_word(&self.children, child)?.take_below(counter, unit.index(), limit)
    }

    /// Holds a client's row for this request, like a connection does: nobody else's address can get it.
    pub fn hold_client(
        &self,
        purse: &mut Purse,
        child: &Child,
        scope: u32,
        address: Address,
        now: Tick,
    ) -> Option<Held> {
        let word = purse.free_word(&self.children, child)?;
        self.clients.hold(scope, address, word, child.number(), now)
    }

    /// Gives one unit back. False when this request has none of it.
    ///
    /// For a client's row that was marked, or lost its mark, while it was held, [`Store::give_client`]
    /// says better until when it is worth keeping.
    pub fn give(&self, purse: &mut Purse, unit: Unit, now: Tick) -> bool {
        let Some(word) = purse.word_of(&self.children, unit) else { return false };
        self.give_unit(word, unit, unit.index(), now);
        true
    }

    /// Gives the hold on a client's row back: it is worth keeping until `end`.
    pub fn give_client(&self, purse: &mut Purse, row: RowId, end: Tick, now: Tick) -> bool {
        let Some(word) = purse.word_of(&self.children, Unit::Client(row.0)) else { return false };
        self.clients.keep_no_longer(row, end.max(now));
        self.clients.give(row, word, now);
        true
    }

    /// Gives back whatever is still on loan, and the sheets. Nothing happens to an empty purse.
    pub fn give_all(&self, purse: &mut Purse, now: Tick) {
        if purse.is_empty() {
            return;
        }
        for word in purse.words(&self.children) {
            if let Lease::Held(index) = word.look() {
                match Unit::of_index(index) {
                    Some(unit) => self.give_unit(word, unit, index, now),
                    None => word.set(Lease::Free),
                }
            }
        }
        // Last, when none of their words says anything any more.
        // Nothing stays on the heap: a purse in httpd's memory is forgotten without being dropped.
        let more = purse.more.take().map_or_else(Vec::new, |more| more.sheets);
        for place in purse.first.take().into_iter().chain(more) {
            self.children.sheets.give(place);
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
