//! How often each numbered event happened since the segment was made, and how much of that scripts know.

use crate::atomic::{AtomicU64, Ordering};

/// Event numbers go from 0 to 399.
pub const EVENTS: usize = 400;

/// The counter of one event number.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Total {
    count: AtomicU64,
    /// What it was when a script last asked.
    told: AtomicU64,
}

/// One counter per event number.
#[derive(Debug)]
pub struct Totals<'a> {
    rows: &'a [Total],
}

impl<'a> Totals<'a> {
    /// Lays the counters over their rows.
    pub fn new(rows: &'a [Total]) -> Totals<'a> {
        Totals { rows }
    }

    /// Counts one event.
    pub fn count(&self, event: u16) {
        if let Some(row) = self.rows.get(usize::from(event)) {
            row.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how often an event happened.
    pub fn of(&self, event: u16) -> u64 {
        self.rows.get(usize::from(event)).map_or(0, |row| row.count.load(Ordering::Relaxed))
    }

    /// Returns how often an event happened since this was last asked by anybody, and altogether. Of several
    /// who ask at once each event is new to one.
    pub fn take_new(&self, event: u16) -> (u64, u64) {
        let Some(row) = self.rows.get(usize::from(event)) else { return (0, 0) };
        let count = row.count.load(Ordering::Relaxed);
        // The larger stays: who has looked earlier must not make old events new again.
        let told = row.told.fetch_max(count, Ordering::Relaxed);
        (count.saturating_sub(told), count)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_new_once() {
        let rows: Vec<Total> = (0..4).map(|_| Total::default()).collect();
        let totals = Totals::new(&rows);
        assert_eq!(totals.take_new(3), (0, 0));
        for _ in 0..5 {
            totals.count(3);
        }
        assert_eq!((totals.take_new(3), totals.take_new(3), totals.of(3)), ((5, 5), (0, 5), 5));
        totals.count(3);
        assert_eq!((totals.take_new(3), totals.take_new(2)), ((1, 6), (0, 0)));
        totals.count(4);
        assert_eq!(totals.take_new(4), (0, 0), "there is no such event");
    }

    #[test]
    fn of_several_who_ask_at_once_each_event_is_new_to_one() {
        let rows = [Total::default()];
        let new: u64 = std::thread::scope(|scope| {
            let ask = || {
                let totals = Totals::new(&rows);
                (0..20_000).fold(0, |sum, _| {
                    totals.count(0);
                    sum + totals.take_new(0).0
                })
            };
            let askers: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            askers.into_iter().map(|asker| asker.join().expect("no panic")).sum()
        });
        assert_eq!(new, 60_000);
    }
}
