//! Octets in an interval, and how many a second there should have been.
//!
//! Whole numbers all through, as connection.md has them: who compares log lines with the C module finds the
//! same figures.

use crate::time::{Seconds, Tick};

/// The rate that is asked for: the same always, or the more the fuller the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// Octets per second that are asked for always.
    pub min: u32,
    /// What is added when all connections that can be served are open; in proportion before.
    pub max: Option<u32>,
    /// Nothing is added up to so many open connections.
    pub from: u32,
}

impl Ramp {
    /// Returns the octets per second that are asked for while `open` connections of `max_clients` are open.
    pub fn required(&self, open: u32, max_clients: u32) -> u32 {
        let Some(max) = self.max else { return self.min };
        if open > max_clients {
            return max;
        }
        if open <= self.from {
            return self.min;
        }
        let share = u64::from(max) * u64::from(open) / u64::from(max_clients.max(1));
        self.min.saturating_add(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

/// What came or went while somebody waited for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    octets: u64,
    ticks: u32,
}

impl Interval {
    /// Adds octets, and the time that was waited for them.
    pub fn add(&mut self, octets: u64, ticks: u32) {
        self.octets = self.octets.saturating_add(octets);
        self.ticks = self.ticks.saturating_add(ticks);
    }

    /// Begins anew; so many octets were there already.
    pub fn restart(&mut self, octets: u64) {
        *self = Interval { octets, ticks: 0 };
    }

    /// Returns how long was waited.
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    /// Returns the octets.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Tells whether so many seconds are full.
    pub fn is_full(&self, span: Seconds) -> bool {
        self.ticks >= Tick(0).after(span).0
    }

    /// Returns the octets per second of a full interval.
    pub fn rate_of(&self, span: Seconds) -> u32 {
        capped(self.octets / u64::from(span.0.max(1)))
    }

    /// Returns the octets per second so far.
    pub fn rate(&self) -> u32 {
        let second = u64::from(Tick(0).after(Seconds(1)).0);
        capped(self.octets.saturating_mul(second) / u64::from(self.ticks.max(1)))
    }
}

fn capped(rate: u64) -> u32 {
    u32::try_from(rate).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_required_rate_rises_with_the_open_connections() {
        let ramp = |min, max, from| Ramp { min, max, from };
        for (ramp, open, max_clients, required) in [
            (ramp(100, Some(1000), 0), 6, 100, 160), // the example of connection.md
            (ramp(100, None, 0), 6, 100, 100),
            (ramp(100, None, 0), 600, 100, 100),
            (ramp(100, Some(1000), 5), 5, 100, 100),
            (ramp(100, Some(1000), 5), 6, 100, 160),
            (ramp(120, Some(1500), 100), 150, 150, 1620), // may exceed max just below maxClients
            (ramp(120, Some(1500), 100), 151, 150, 1500),
            (ramp(120, Some(1500), 500), 151, 150, 1500),
            (ramp(100, Some(50), 0), 50, 100, 125), // QS_SrvRequestRate 100 50
            (ramp(100, Some(7), 0), 10, 100, 100),  // whole numbers
            (ramp(1, Some(u32::MAX), 0), 100, 100, u32::MAX),
            (ramp(1, Some(10), 0), 0, 0, 1),
        ] {
            assert_eq!(ramp.required(open, max_clients), required, "{ramp:?} at {open}");
        }
    }

    #[test]
    fn an_interval_is_full_after_its_span_and_its_rate_is_a_whole_number() {
        let mut interval = Interval::default();
        interval.add(599, 79);
        assert!(!interval.is_full(Seconds(5)));
        interval.add(0, 1);
        assert!(interval.is_full(Seconds(5)));
        assert_eq!((interval.rate_of(Seconds(5)), interval.rate()), (119, 119));
        interval.restart(8);
        assert_eq!((interval.ticks(), interval.octets()), (0, 8));
        assert_eq!(Interval::default().rate(), 0, "no time has passed");
        interval.add(u64::MAX, 1);
        assert_eq!(interval.rate(), u32::MAX);
    }
}
