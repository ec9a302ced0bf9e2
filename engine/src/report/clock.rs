//! Moments as people read them.

use super::Picture;
use crate::time::Tick;
use core::fmt;

/// A moment on the wall clock: `22.11.2026 08:13:40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// Seconds since 1970, of the place where the server is.
    local: i64,
}

impl WallClock {
    /// Returns what the clock shows in a picture.
    pub fn of(picture: &Picture<'_>) -> WallClock {
        let seconds = i64::try_from(picture.epoch_seconds).unwrap_or(0);
        WallClock { local: seconds + i64::from(picture.utc_offset) }
    }

    /// Returns what it showed at an earlier moment.
    pub fn at(picture: &Picture<'_>, moment: Tick) -> WallClock {
        let ago = picture.now.seconds_since(moment).0;
        WallClock { local: WallClock::of(picture).local - i64::from(ago) }
    }
}

impl fmt::Display for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.local.div_euclid(86_400), self.local.rem_euclid(86_400));
        let (year, month, day) = date(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{day:02}.{month:02}.{year} {hour:02}:{minute:02}:{:02}", second % 60)
    }
}

/// The date of a day since 1970: the calendar of four centuries, whose years begin in March.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        for (local, text) in [
            (0, "01.01.1970 00:00:00"),
            (951_782_399, "28.02.2000 23:59:59"),
            (951_782_400, "29.02.2000 00:00:00"),
            (1_795_335_220, "22.11.2026 08:13:40"),
            (4_107_542_400, "01.03.2100 00:00:00"),
            (4_107_542_399, "28.02.2100 23:59:59"),
            (-1, "31.12.1969 23:59:59"),
        ] {
            assert_eq!(WallClock { local }.to_string(), text);
        }
    }
}
