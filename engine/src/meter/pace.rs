//! How many a second, and how long who is faster has to wait (QS_ClientEventPerSecLimit).
//!
//! Events are counted in intervals of ten seconds. At the end of each the delay grows by what the rate
//! was over the limit, in percent, or shrinks by a quarter. All of it is one word, a window whose start
//! is that of the interval, so that it can stand in a column beside the table of clients:
//!
//! ```text
//!   start of the interval 32 | delay in milliseconds 13 | events 19
//! ```
//! Spec: client.md, QS_ClientEventPerSecLimit.

use crate::meter::window::{Reading, Window};
use crate::time::{Millis, Seconds, Tick};

/// How long an interval is at least.
const INTERVAL: Seconds = Seconds(10);
/// The longest delay.
pub const MAX_DELAY: u32 = 5000;

const EVENT_BITS: u32 = 19;
const MAX_EVENTS: u32 = (1 << EVENT_BITS) - 1;

/// What one event found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paced {
    /// How long it has to wait.
    pub delay: Millis,
    /// The rate of the interval that it ended, and what that made of the delay.
    pub change: Option<(u32, Change)>,
}

/// What became of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The limit was exceeded.
    Grown,
    /// It was not.
    Shrunk,
}

/// Counts an event against `limit` events a second, which is not 0.
pub fn count(word: &Window, now: Tick, limit: u32) -> Paced {
    let mut paced = Paced { delay: Millis(0), change: None };
    word.update(|old| {
        let (mut delay, mut events) = (old.count >> EVENT_BITS, old.count & MAX_EVENTS);
        events = (events + 1).min(MAX_EVENTS);
        let mut start = if old.start == Tick(0) { now } else { old.start };
        paced.change = None;
        if start.after(INTERVAL) < now {
            let ticks = u64::from(now.0 - start.0);
            let rate = (u64::from(events) * u64::from(Tick::PER_SECOND) / ticks) as u32;
            paced.change = change(&mut delay, rate, limit, ticks);
            (start, events) = (now, 0);
        }
        paced.delay = Millis(delay);
        Reading { start, count: delay << EVENT_BITS | events }
    });
    paced
}

/// Returns how long an event has to wait now, how many came in the interval so far, and since when.
pub fn look(word: &Window) -> (Millis, u32, Tick) {
    let Reading { start, count } = word.look();
    (Millis(count >> EVENT_BITS), count & MAX_EVENTS, start)
}

fn change(delay: &mut u32, rate: u32, limit: u32, ticks: u64) -> Option<(u32, Change)> {
    if rate > limit {
        let percent = (u64::from(rate) * 100 / u64::from(limit)) as u32;
        *delay = delay.saturating_add(percent.saturating_sub(100)).min(MAX_DELAY);
        return Some((rate, Change::Grown));
    }
    if *delay == 0 {
        return None;
    }
    // An interval in which nothing came was one below the limit, too: who comes back after a while does
    // not wait for what he did then.
    let intervals = ticks / (u64::from(INTERVAL.0) * u64::from(Tick::PER_SECOND));
    for _ in 0..intervals.clamp(1, 32) {
        *delay = if *delay < 50 { 0 } else { *delay - *delay / 4 };
    }
    Some((rate, Change::Shrunk))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    /// Events at a steady pace; returns what changed, with the second in which it did.
    fn drive(word: &Window, limit: u32, from: u64, until: u64, step: u64) -> Vec<(u64, u32, u32)> {
        let mut changes = Vec::new();
        let mut now = from;
        while now < until {
            let paced = count(word, at(now), limit);
            if let Some((rate, _)) = paced.change {
                changes.push((now / 1000, rate, paced.delay.0));
            }
            now += step + u64::from(paced.delay.0);
        }
        changes
    }

    #[test]
    fn the_example_of_the_specification() {
        let word = Window::default();
        // Nine and a half a second against two: 9 * 100 / 2 - 100.
        assert_eq!(drive(&word, 2, 0, 24_000, 105), [(10, 9, 350), (20, 2, 263)]);
    }

    #[test]
    fn a_limit_that_is_kept_never_delays() {
        let word = Window::default();
        assert!(drive(&word, 2, 0, 120_000, 500).is_empty());
    }

    #[test]
    fn the_delay_has_an_end_and_so_do_the_events_of_an_interval() {
        let word = Window::default();
        for _ in 0..MAX_EVENTS + 1000 {
            count(&word, at(0), 1);
        }
        let paced = count(&word, at(11_000), 1);
        assert_eq!(paced.delay, Millis(MAX_DELAY));
        assert!(matches!(paced.change, Some((rate, Change::Grown)) if rate > 40_000));
        assert_eq!(word.look().count & MAX_EVENTS, 0);
    }

    #[test]
    fn who_was_away_does_not_wait_for_what_he_did_then() {
        let word = Window::default();
        let changes = drive(&word, 1, 0, 12_000, 10);
        let delay = changes.last().expect("a change").2;
        assert_eq!(delay, MAX_DELAY);
        let paced = count(&word, at(12_000 + 300_000), 1);
        assert!(matches!(paced.change, Some((0, Change::Shrunk))));
        assert_eq!(paced.delay, Millis(0));
    }

    #[test]
    fn a_small_delay_goes_at_once() {
        let word = Window::default();
        word.update(|_| Reading { start: at(0), count: 49 << EVENT_BITS });
        let paced = count(&word, at(10_500), 5);
        assert_eq!(paced, Paced { delay: Millis(0), change: Some((0, Change::Shrunk)) });
    }
}
