//! Who waits, for what, and since when: the queue of requests that sleep in their worker.
//!
//! A sleeping request takes a worker away from all others, so there are only so many places on the whole
//! server; who finds none is denied instead. The place says who sleeps in it and what for, so that the
//! parent can clear the places of a killed child, and the one that came first is served first: nobody
//! waits for a ticket whose owner is gone.

use crate::atomic::{AtomicU64, Ordering};

/// A place for one sleeper.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Place {
    /// Taken 1 | child 21 | what for 34, 0 = free.
    who: AtomicU64,
    /// Its turn in the queue, 0 while it is being taken.
    ticket: AtomicU64,
}

/// What a sleeper waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Only for time to pass.
    Time,
    /// A turn, by the index of its unit.
    Turn(u32),
}

/// A place that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct PlaceId(u32);

/// All places.
#[derive(Debug)]
pub struct Sleepers<'a> {
    places: &'a [Place],
    /// The next ticket, less one.
    tickets: &'a AtomicU64,
}

const TAKEN: u64 = 1 << 63;
const CHILD_SHIFT: u32 = 34;
const CHILD_MASK: u64 = ((1 << 21) - 1) << CHILD_SHIFT;
const WHAT_MASK: u64 = (1 << CHILD_SHIFT) - 1;

impl Awaited {
    fn word(self) -> u64 {
        match self {
            Awaited::Time => 0,
            Awaited::Turn(unit) => 1 << 32 | u64::from(unit),
        }
    }
}

impl<'a> Sleepers<'a> {
    /// Lays the places over their memory.
    pub fn new(places: &'a [Place], tickets: &'a AtomicU64) -> Sleepers<'a> {
        Sleepers { places, tickets }
    }

    /// Takes a place among the first `limit`; none when all are taken.
    pub fn lie_down(&self, child: u32, what: Awaited, limit: u32) -> Option<PlaceId> {
        let word = TAKEN | u64::from(child) << CHILD_SHIFT & CHILD_MASK | what.word();
        let (number, place) =
            (0u32..).zip(self.places.iter().take(limit as usize)).find(|(_, place)| {
                place.who.load(Ordering::Relaxed) == 0
                    && place
                        .who
                        .compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
            })?;
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        place.ticket.store(ticket, Ordering::Release);
        Some(PlaceId(number))
    }

    /// Gives a place back.
    pub fn rise(&self, id: PlaceId) {
        if let Some(place) = self.places.get(id.0 as usize) {
            place.leave();
        }
    }

    /// Returns how many wait for the same thing and have come before.
    pub fn ahead(&self, id: &PlaceId) -> u32 {
        let Some(own) = self.places.get(id.0 as usize) else { return 0 };
        let what = own.who.load(Ordering::Relaxed) & WHAT_MASK;
        let ticket = own.ticket.load(Ordering::Relaxed);
        self.waiting_for(what).filter(|other| *other < ticket).count() as u32
    }

    /// Tells whether anybody waits for this.
    pub fn is_awaited(&self, what: Awaited) -> bool {
        self.waiting_for(what.word()).next().is_some()
    }

    /// Returns how many places are taken.
    pub fn count(&self) -> u32 {
        self.places.iter().filter(|place| place.who.load(Ordering::Relaxed) != 0).count() as u32
    }

    /// Clears the places of a dead child.
    pub fn reclaim(&self, child: u32) {
        let dead = TAKEN | u64::from(child) << CHILD_SHIFT & CHILD_MASK;
        for place in self.places {
            if place.who.load(Ordering::Acquire) & (TAKEN | CHILD_MASK) == dead {
                place.leave();
            }
        }
    }

    /// The tickets of those that wait for `what`.
    fn waiting_for(&self, what: u64) -> impl Iterator<Item = u64> + use<'a> {
        self.places.iter().filter_map(move |place| {
            let who = place.who.load(Ordering::Acquire);
            let ticket = place.ticket.load(Ordering::Acquire);
            (who & TAKEN != 0 && who & WHAT_MASK == what && ticket != 0).then_some(ticket)
        })
    }
}

impl Place {
    fn leave(&self) {
        self.ticket.store(0, Ordering::Release);
        self.who.store(0, Ordering::Release);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn places(count: usize) -> (Vec<Place>, AtomicU64) {
        ((0..count).map(|_| Place::default()).collect(), AtomicU64::new(0))
    }

    #[test]
    fn who_came_first_is_first_and_other_queues_do_not_matter() {
        let (places, tickets) = places(8);
        let sleepers = Sleepers::new(&places, &tickets);
        let take = |what| sleepers.lie_down(3, what, 8).expect("a place");
        let first = take(Awaited::Turn(7));
        let other = take(Awaited::Turn(8));
        let second = take(Awaited::Turn(7));
        assert_eq!([&first, &other, &second].map(|id| sleepers.ahead(id)), [0, 0, 1]);
        sleepers.rise(first);
        // The place is free again, but not the turn of who takes it.
        let third = take(Awaited::Turn(7));
        assert_eq!([&second, &third].map(|id| sleepers.ahead(id)), [0, 1]);
        sleepers.rise(other);
        assert!(sleepers.is_awaited(Awaited::Turn(7)));
        assert!(!sleepers.is_awaited(Awaited::Turn(8)) && !sleepers.is_awaited(Awaited::Time));
    }

    #[test]
    fn there_are_only_so_many_places() {
        let (places, tickets) = places(8);
        let sleepers = Sleepers::new(&places, &tickets);
        let taken: Vec<_> = (0..2).map(|_| sleepers.lie_down(1, Awaited::Time, 2)).collect();
        assert!(taken.iter().all(Option::is_some));
        assert_eq!(sleepers.lie_down(1, Awaited::Time, 2), None);
        assert_eq!(sleepers.count(), 2);
        sleepers.rise(PlaceId(0));
        assert!(sleepers.lie_down(1, Awaited::Time, 2).is_some());
    }

    #[test]
    fn the_places_of_a_killed_child_come_back() {
        let (places, tickets) = places(8);
        let sleepers = Sleepers::new(&places, &tickets);
        sleepers.lie_down(4, Awaited::Turn(1), 8).expect("a place");
        let alive = sleepers.lie_down(5, Awaited::Turn(1), 8).expect("a place");
        assert_eq!(sleepers.ahead(&alive), 1);
        sleepers.reclaim(4);
        assert_eq!((sleepers.ahead(&alive), sleepers.count()), (0, 1));
    }
}
