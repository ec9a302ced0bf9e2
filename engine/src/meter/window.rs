//! How often since the first: a counter in a fixed window that opens with its first event.
//!
//! Start and count are one word, changed in one exchange, so that a child killed in between leaves
//! either the old or the new state. One definition of the end for all: the window is over at
//! `start + span`, to the tick.

use crate::atomic::{AtomicU64, Ordering};
use crate::time::{Seconds, Tick};

/// A count of events since the first of them.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Window(AtomicU64);

/// What a window said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When the window opened; "never" (0) while nothing is counted.
    pub start: Tick,
    /// Events counted since then.
    pub count: u32,
}

impl Reading {
    const EMPTY: Reading = Reading { start: Tick(0), count: 0 };

    /// Returns what an administrator sets where `max` events do: some more, so that what is taken back ends
    /// nothing. Log parsers read the count as a C `int`, so it is none that is larger.
    pub fn by_hand(now: Tick, max: u32) -> Reading {
        Reading { start: now, count: max.saturating_add(1000).min(i32::MAX.unsigned_abs()) }
    }

    /// Tells whether the window has ended.
    pub fn is_over(self, now: Tick, span: Seconds) -> bool {
        self.count > 0 && self.start.after(span) <= now
    }

    /// Returns the same, or an empty reading when the window has ended.
    pub fn unless_over(self, now: Tick, span: Seconds) -> Reading {
        if self.is_over(now, span) { Reading::EMPTY } else { self }
    }

    /// Returns for how many seconds it still lasts, all of them in the first one.
    pub fn remaining(self, now: Tick, span: Seconds) -> Seconds {
        let end = self.start.after(span);
        if self.count == 0 || end <= now {
            Seconds(0)
        } else if self.start > now {
            end.seconds_since(now)
        } else {
            Seconds(span.0.saturating_sub(now.seconds_since(self.start).0))
        }
    }

    fn unpack(word: u64) -> Reading {
        Reading { start: Tick((word >> 32) as u32), count: word as u32 }
    }

    fn pack(self) -> u64 {
        u64::from(self.start.0) << 32 | u64::from(self.count)
    }
}

impl Window {
    /// Returns what is stored, also after the window's end.
    pub fn look(&self) -> Reading {
        Reading::unpack(self.0.load(Ordering::Relaxed))
    }

    /// Counts `points`; an ended window starts anew with them. Saturates at 32 bits.
    pub fn add(&self, points: u32, now: Tick, span: Seconds) -> Reading {
        self.update(|old| {
            let old = old.unless_over(now, span);
            let start = if old.count == 0 { now } else { old.start };
            Reading { start, count: old.count.saturating_add(points) }
        })
    }

    /// Takes `points` back; at zero the window is cleared.
    pub fn subtract(&self, points: u32, now: Tick, span: Seconds) -> Reading {
        self.update(|old| {
            let old = old.unless_over(now, span);
            match old.count.saturating_sub(points) {
                0 => Reading::EMPTY,
                count => Reading { count, ..old },
            }
        })
    }

    /// Clears exactly this reading; false when something was counted since. Of several callers one wins.
    pub fn clear(&self, seen: Reading) -> bool {
        self.0
            .compare_exchange(
                seen.pack(),
                Reading::EMPTY.pack(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Forgets everything, for a row that gets another owner.
    pub fn reset(&self) {
        self.0.store(Reading::EMPTY.pack(), Ordering::Relaxed);
    }

    /// Puts this reading in the place of whatever is there.
    pub fn set(&self, reading: Reading) {
        self.0.store(reading.pack(), Ordering::Relaxed);
    }

    /// Changes the word to what `change` makes of it, which may be asked more than once.
    // Relaxed everywhere: the word carries all there is to know, nothing else is read because of it.
    pub(crate) fn update(&self, mut change: impl FnMut(Reading) -> Reading) -> Reading {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let new = change(Reading::unpack(word));
            match self.0.compare_exchange(word, new.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return new,
                Err(now) => word = now,
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    const SPAN: Seconds = Seconds(4);

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    #[test]
    fn opens_with_the_first_event_and_is_not_extended_by_later_ones() {
        let window = Window::default();
        window.add(1, at(10), SPAN);
        let reading = window.add(2, at(13), SPAN);
        assert_eq!(reading, Reading { start: at(10), count: 3 });
        assert!(!reading.is_over(Tick(at(14).0 - 1), SPAN));
        assert!(reading.is_over(at(14), SPAN));
    }

    #[test]
    fn an_event_after_the_end_starts_anew() {
        let window = Window::default();
        window.add(2, at(10), SPAN);
        assert_eq!(window.add(1, at(15), SPAN), Reading { start: at(15), count: 1 });
    }

    #[test]
    fn subtracting_to_zero_clears_the_start() {
        let window = Window::default();
        window.add(2, at(10), SPAN);
        assert_eq!(window.subtract(1, at(11), SPAN).count, 1);
        assert_eq!(window.subtract(5, at(11), SPAN), Reading::EMPTY);
        assert_eq!(window.add(1, at(12), SPAN).start, at(12));
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        let window = Window::default();
        window.add(u32::MAX - 1, at(10), SPAN);
        assert_eq!(window.add(40_000, at(10), SPAN).count, u32::MAX);
    }

    #[test]
    fn what_remains_is_counted_in_whole_seconds_since_the_start() {
        let reading = Reading { start: at(10), count: 1 };
        for (millis, remaining) in [
            (9_000, 5),
            (10_000, 4),
            (10_900, 4),
            (11_000, 3),
            (13_900, 1),
            (14_000, 0),
            (99_000, 0),
        ] {
            let now = Tick::from_millis(millis);
            assert_eq!(reading.remaining(now, SPAN), Seconds(remaining), "{millis}");
        }
        assert_eq!(Reading::EMPTY.remaining(Tick(1), SPAN), Seconds(0));
    }

    #[test]
    fn only_one_of_two_clears_wins() {
        let window = Window::default();
        let seen = window.add(3, at(10), SPAN);
        assert!(window.clear(seen));
        assert!(!window.clear(seen));
    }
}
