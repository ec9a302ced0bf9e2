//! Moments and spans, as values that are handed in.
//!
//! A [`Tick`] is a sixteenth of a second since the segment was made, in 32 bits: eight years, and half a
//! word, so that a window's start and its count fit into one atomic word. One of the years lies
//! before the server's start.

/// A moment: sixteenths of a second since the segment was made. 0 is "never".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u32);

/// A span in whole seconds, as directives give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// A span in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u32);

impl Tick {
    /// Ticks in a second.
    pub const PER_SECOND: u32 = 16;

    /// So long before a server's start its time begins: a block that it takes over from another server
    /// may have begun then.
    pub const HEAD_START: Seconds = Seconds(365 * 86_400);

    /// Makes a moment from milliseconds since the segment was made, as servers count it.
    pub fn since_start(millis: u64) -> Tick {
        Tick::from_millis(millis.saturating_add(u64::from(Tick::HEAD_START.0) * 1000))
    }

    /// Makes a moment from milliseconds since the segment was made. Never returns "never".
    pub fn from_millis(millis: u64) -> Tick {
        Tick(
            u32::try_from(millis.saturating_mul(u64::from(Tick::PER_SECOND)) / 1000 + 1)
                .unwrap_or(u32::MAX),
        )
    }

    /// Returns the moment that lies `span` later, the end of time at most.
    pub fn after(self, span: Seconds) -> Tick {
        let ticks = u64::from(self.0) + u64::from(span.0) * u64::from(Tick::PER_SECOND);
        Tick(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// Returns the moment that lies `span` earlier, the first of all at least. Never returns "never".
    pub fn before(self, span: Seconds) -> Tick {
        let ticks = u64::from(span.0) * u64::from(Tick::PER_SECOND);
        Tick(u32::try_from(u64::from(self.0).saturating_sub(ticks)).unwrap_or(u32::MAX).max(1))
    }

    /// Returns the seconds from `now` to this moment, begun ones whole, 0 if it lies earlier.
    pub fn seconds_until(self, now: Tick) -> Seconds {
        Seconds(self.0.saturating_sub(now.0).div_ceil(Tick::PER_SECOND))
    }

    /// Returns the whole seconds from `earlier` to this moment, 0 if it lies later.
    pub fn seconds_since(self, earlier: Tick) -> Seconds {
        Seconds(self.0.saturating_sub(earlier.0) / Tick::PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_to_the_sixteenth_and_never_overflows() {
        let start = Tick::from_millis(10_000);
        assert_eq!(start.after(Seconds(4)), Tick(161 + 64));
        assert_eq!(Tick(161 + 63).seconds_since(start), Seconds(3));
        assert_eq!(start.seconds_since(Tick(200)), Seconds(0));
        assert_eq!(start.after(Seconds(u32::MAX)), Tick(u32::MAX));
        assert_eq!(start.after(Seconds(9)).before(Seconds(9)), start);
        assert_eq!(start.before(Seconds(u32::MAX)), Tick(1));
        assert!(Tick::from_millis(0) > Tick(0), "0 is never");
        assert!(Tick::since_start(0).before(Seconds(86_400)) > Tick(1), "there was a time before");
        let left = |now| start.after(Seconds(4)).seconds_until(Tick(now));
        assert_eq!((left(161), left(162), left(225)), (Seconds(4), Seconds(4), Seconds(0)));
    }
}
