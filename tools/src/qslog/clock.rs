//! When a line was written, as it says itself, and minutes as text.

use std::fmt;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const MINUTES_OF_A_DAY: i64 = 24 * 60;

/// A minute in the log's own time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Since the beginning of 1970, or of the day where the log has no date.
    pub number: i64,
    /// Whether the log has a date.
    pub has_date: bool,
}

impl Minute {
    /// Returns the minute after this one, so many times.
    pub fn after(self, minutes: i64) -> Minute {
        Minute { number: self.number + minutes, ..self }
    }
}

/// As the first column has it. Without a date it begins with a blank.
impl fmt::Display for Minute {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let of_day = self.number.rem_euclid(MINUTES_OF_A_DAY);
        if self.has_date {
            let (year, month, day) = date_of(self.number.div_euclid(MINUTES_OF_A_DAY));
            write!(out, "{day:02}.{month:02}.{year:04}")?;
        }
        write!(out, " {:02}:{:02}:00", of_day / 60, of_day % 60)
    }
}

/// Finds the minute in which a line was written.
pub fn minute_of(line: &[u8]) -> Option<Minute> {
    apache(line).or_else(|| with_millis(line)).or_else(|| time_only(line))
}

/// `21/Nov/2026:10:00:01`
fn apache(line: &[u8]) -> Option<Minute> {
    positions(line, b'/').find_map(|slash| {
        let text = line.get(slash.checked_sub(2)?..slash + 18)?;
        if !fits(text, b"00/aaa/0000:00:00:00") {
            return None;
        }
        let month = MONTHS.iter().position(|name| text.get(3..6) == Some(*name))?;
        dated(digits(text, 7..11)?, month as i64 + 1, digits(text, 0..2)?, text.get(12..17)?)
    })
}

/// `2026-11-21 10:00:01,123`, also with blanks, or a point before the milliseconds.
fn with_millis(line: &[u8]) -> Option<Minute> {
    positions(line, b':').find_map(|colon| {
        let text = line.get(colon.checked_sub(13)?..colon + 10)?;
        let fits = [&b"0000-00-00-00:00:00,000"[..]].iter().any(|shape| {
            text.iter().zip(*shape).all(|(octet, wanted)| match wanted {
                b'0' => octet.is_ascii_digit(),
                b'-' => matches!(octet, b' ' | b'-'),
                b',' => matches!(octet, b',' | b'.'),
                _ => octet == wanted,
            })
        });
        if !fits {
            return None;
        }
        dated(digits(text, 0..4)?, digits(text, 5..7)?, digits(text, 8..10)?, text.get(11..16)?)
    })
}

/// ` 10:00:01 `
fn time_only(line: &[u8]) -> Option<Minute> {
    positions(line, b':').find_map(|colon| {
        let text = line.get(colon.checked_sub(3)?..colon + 7)?;
        if !fits(text, b" 00:00:00 ") {
            return None;
        }
        Some(Minute { number: minute_of_day(text.get(1..6)?)?, has_date: false })
    })
}

fn dated(year: i64, month: i64, day: i64, time: &[u8]) -> Option<Minute> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let number = day_number(year, month, day) * MINUTES_OF_A_DAY + minute_of_day(time)?;
    Some(Minute { number, has_date: true })
}

/// The minute of `10:00`.
fn minute_of_day(time: &[u8]) -> Option<i64> {
    let (hour, minute) = (digits(time, 0..2)?, digits(time, 3..5)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

fn positions(line: &[u8], wanted: u8) -> impl Iterator<Item = usize> {
    line.iter().enumerate().filter(move |(_, octet)| **octet == wanted).map(|(at, _)| at)
}

/// Whether a text has a shape: `0` is a digit, `a` a letter, all else itself.
fn fits(text: &[u8], shape: &[u8]) -> bool {
    text.iter().zip(shape).all(|(octet, wanted)| match wanted {
        b'0' => octet.is_ascii_digit(),
        b'a' => octet.is_ascii_alphabetic(),
        _ => octet == wanted,
    })
}

fn digits(text: &[u8], range: std::ops::Range<usize>) -> Option<i64> {
    Some(text.get(range)?.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit & 15)))
}

/// The day since the beginning of 1970, in the calendar of today for all times. Years are counted from March on,
/// so that the leap day is the last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + of_year - 719_468
}

/// Year, month and day of a day's number.
fn date_of(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_of_a_line_is_found() {
        for (line, expected) in [
            ("1 [21/Nov/2026:10:00:01 +0000] x", Some("21.11.2026 10:00:00")),
            ("21/Nov/2026:23:59:59", Some("21.11.2026 23:59:00")),
            ("/a/b/29/Feb/2024:00:07:00", Some("29.02.2024 00:07:00")),
            ("01/Jan/1970:00:00:00 31/Dec/1999:00:00:00", Some("01.01.1970 00:00:00")),
            ("31/Dec/0001:00:00:00", Some("31.12.0001 00:00:00")),
            ("2026 11 21 10:00:01,123 x", Some("21.11.2026 10:00:00")),
            ("x 2026-11-21 10:01:01.123", Some("21.11.2026 10:01:00")),
            ("x 10:02:01 y", Some(" 10:02:00")),
            ("10:02:01 y", None),
            ("2026-11-21 10:01:01", None),
            ("[10:02:01] y", None),
            ("21/Foo/2026:10:00:01", None),
            ("99/Jan/2026:10:00:01", None),
            ("21/Nov/2026:25:00:01", None),
            ("21/Nov/2026:10:00", None),
            ("", None),
        ] {
            let found = minute_of(line.as_bytes()).map(|minute| minute.to_string());
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn days_are_counted_there_and_back() {
        assert_eq!(day_number(1970, 1, 1), 0);
        assert_eq!(day_number(2000, 3, 1), 11_017);
        for day in (-800_000..3_000_000).step_by(97) {
            let (year, month, of_month) = date_of(day);
            assert_eq!(day_number(year, month, of_month), day);
        }
    }
}
