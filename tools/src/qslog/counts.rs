//! What is counted of the lines of a minute, and the columns that say it.

use super::events::{Names, Tally};
use super::format::Element::{
    Average, Deeds, Events, KeepAlive, Maximum, Micros, Millis, OtherAverage, Received, Seconds,
    Sent, Status, Sum,
};
use super::format::{Fields, Format, number};
use std::io::Write;

/// The interval of a record, always.
const SECONDS_OF_A_MINUTE: u64 = 60;
/// Classes of durations below a second, by their upper ends.
const BELOW: [(&str, u64); 4] =
    [("0-49ms", 50), ("50-99ms", 100), ("100-499ms", 500), ("500-999ms", 1000)];
/// Classes by whole seconds; the last takes all the rest.
pub const WHOLE: [&str; 7] = ["<1s", "1s", "2s", "3s", "4s", "5s", ">5s"];
const DEEDS: &[u8; 10] = b"VvSDKTLsAu";
/// Classes of statuses.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Which columns a format brings with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// `i`: ib/s.
    pub received: bool,
    /// `k`: esco.
    pub connections: bool,
    /// `D` or `t`: durations in milliseconds.
    pub millis: bool,
    /// `D`, `t` or `T`.
    pub durations: bool,
    /// `Q`: what the module did.
    pub deeds: bool,
    /// Any of `s`, `a`, `A` and `M`.
    pub numbers: bool,
}

impl Columns {
    /// Returns those of a format.
    pub fn of(format: &Format) -> Columns {
        Columns {
            received: format.has(Received),
            connections: format.has(KeepAlive),
            millis: format.has_any(&[Micros, Millis]),
            durations: format.has_any(&[Micros, Millis, Seconds]),
            deeds: format.has(Deeds),
            numbers: format.has_any(&[Sum, Average, OtherAverage, Maximum]),
        }
    }
}

/// How long a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration {
    /// In whole seconds.
    pub seconds: u64,
    /// In milliseconds; 0 where the log has seconds only.
    pub millis: u64,
}

impl Duration {
    /// Returns it in milliseconds, where the log has seconds only, too.
    pub fn in_millis(self) -> u64 {
        self.millis.max(self.seconds.saturating_mul(1000))
    }
}

/// Returns the duration in a line, if it has one.
pub fn duration(fields: &Fields) -> Option<Duration> {
    let millis = match (fields.get(Micros), fields.get(Millis)) {
        (Some(micros), _) => number(micros) / 1000,
        (None, Some(millis)) => number(millis),
        (None, None) => {
            let seconds = number(fields.get(Seconds)?);
            return Some(Duration { seconds, millis: 0 });
        }
    };
    Some(Duration { seconds: millis / 1000, millis })
}

/// Counts a status by its first digit.
pub fn count_class(classes: &mut [u64; 5], status: Option<&[u8]>) {
    let class = status.and_then(<[u8]>::first).and_then(|first| first.checked_sub(b'1'));
    if let Some(count) = class.and_then(|class| classes.get_mut(usize::from(class))) {
        *count += 1;
    }
}

/// Counts a duration by its whole seconds.
pub fn count_whole(whole: &mut [u64; 7], seconds: u64) {
    if let Some(count) = whole.get_mut(seconds.min(6) as usize) {
        *count += 1;
    }
}

/// Appends `name;value;` for each.
pub fn columns<'a>(out: &mut Vec<u8>, columns: impl IntoIterator<Item = (&'a str, u64)>) {
    for (name, value) in columns {
        // A vector takes everything.
        let _ = write!(out, "{name};{value};");
    }
}

/// The part of a sum that falls on one of so many; 0 of none.
pub fn average(sum: u64, of: u64) -> u64 {
    sum.checked_div(of).unwrap_or(0)
}

/// A sum, and of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: u64,
    of: u64,
}

impl Mean {
    fn add(&mut self, value: Option<&[u8]>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.sum = self.sum.saturating_add(number(value));
            self.of += 1;
        }
    }
}

/// All of a minute.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Lines.
    pub requests: u64,
    sent: u64,
    received: u64,
    connections: u64,
    classes: [u64; 5],
    millis: u64,
    seconds: u64,
    below: [u64; 4],
    whole: [u64; 7],
    deeds: [u64; 10],
    sum: u64,
    average: Mean,
    other_average: Mean,
    maximum: u64,
    events: Tally,
}

impl Counts {
    /// Begins with names of events that shall always be there.
    pub fn new(names: Names) -> Counts {
        Counts { events: Tally::new(names), ..Counts::default() }
    }

    /// Counts a line.
    pub fn count(&mut self, fields: &Fields) {
        let value = |element| fields.get(element).map_or(0, number);
        self.requests += 1;
        self.sent = self.sent.saturating_add(value(Sent));
        self.received = self.received.saturating_add(value(Received));
        self.connections += u64::from(fields.get(KeepAlive) == Some(b"0"));
        count_class(&mut self.classes, fields.get(Status));
        if let Some(duration) = duration(fields) {
            self.count_duration(duration);
        }
        if let Some(deeds) = fields.get(Deeds) {
            for (count, deed) in self.deeds.iter_mut().zip(DEEDS) {
                *count += u64::from(deeds.contains(deed));
            }
        }
        self.sum = self.sum.saturating_add(value(Sum));
        self.average.add(fields.get(Average));
        self.other_average.add(fields.get(OtherAverage));
        self.maximum = self.maximum.max(value(Maximum));
        if let Some(events) = fields.get(Events) {
            self.events.count(events);
        }
    }

    fn count_duration(&mut self, duration: Duration) {
        self.millis = self.millis.saturating_add(duration.millis);
        self.seconds = self.seconds.saturating_add(duration.seconds);
        count_whole(&mut self.whole, duration.seconds);
        let class = BELOW.iter().position(|(_, end)| duration.millis < *end);
        if let Some(count) = class.and_then(|class| self.below.get_mut(class)) {
            *count += 1;
        }
    }

    /// Appends the columns up to `>5s`; `connections` is for the main file only.
    pub fn write_requests(&self, shown: Columns, connections: bool, out: &mut Vec<u8>) {
        columns(
            out,
            [
                ("r/s", self.requests / SECONDS_OF_A_MINUTE),
                ("req", self.requests),
                ("b/s", self.sent / SECONDS_OF_A_MINUTE),
            ],
        );
        if shown.received {
            columns(out, [("ib/s", self.received / SECONDS_OF_A_MINUTE)]);
        }
        if shown.connections && connections {
            columns(out, [("esco", self.connections)]);
        }
        columns(out, CLASSES.into_iter().zip(self.classes));
        let mut seconds = self.seconds;
        if shown.millis {
            seconds = self.millis / 1000;
            columns(out, [("avms", average(self.millis, self.requests))]);
        }
        columns(out, [("av", average(seconds, self.requests))]);
        if shown.millis {
            columns(out, BELOW.iter().map(|(name, _)| *name).zip(self.below));
        }
        columns(out, WHOLE.into_iter().zip(self.whole));
    }

    /// Appends the columns from `qV` to `M`.
    pub fn write_numbers(&self, shown: Columns, out: &mut Vec<u8>) {
        if shown.deeds {
            let names = ["qV", "qv", "qS", "qD", "qK", "qT", "qL", "qs", "qA", "qu"];
            columns(out, names.into_iter().zip(self.deeds));
        }
        if shown.numbers {
            columns(
                out,
                [
                    ("s", self.sum),
                    ("a", average(self.average.sum, self.average.of)),
                    ("A", average(self.other_average.sum, self.other_average.of)),
                    ("M", self.maximum),
                ],
            );
        }
    }

    /// Appends the names of events.
    pub fn write_events(&self, out: &mut Vec<u8>) {
        self.events.write(out);
    }

    /// Begins anew; the names of events stay.
    pub fn reset(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        events.reset();
        *self = Counts { events, ..Counts::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns_of(format: &str, lines: &[&str]) -> String {
        let format = Format::new(format, true);
        let mut counts = Counts::default();
        for line in lines {
            counts.count(&format.split(line.as_bytes()));
        }
        let mut out = Vec::new();
        let shown = Columns::of(&format);
        counts.write_requests(shown, true, &mut out);
        counts.write_numbers(shown, &mut out);
        counts.write_events(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn no_duration_falls_between_two_classes() {
        let text =
            columns_of("t", &["0", "49", "50", "99", "100", "499", "500", "999", "1000", "-"]);
        assert!(
            text.contains("0-49ms;3;50-99ms;2;100-499ms;2;500-999ms;2;<1s;9;1s;1;2s;0;"),
            "{text}"
        );
    }

    #[test]
    fn classes_averages_and_maxima_are_those_of_the_lines_that_have_them() {
        let lines = ["404 5 x9 2,7 7", "20 - - - 3", "- 15", "099", "600"];
        let text = columns_of("SsaAM", &lines);
        assert!(text.contains("1xx;0;2xx;1;3xx;0;4xx;1;5xx;0;"), "{text}");
        assert!(text.ends_with("s;20;a;9;A;2;M;7;"), "{text}");
    }

    #[test]
    fn numbers_that_are_too_large_stay_large() {
        let text = columns_of("BsD", &["99999999999999999999 99999999999999999999 5"; 3]);
        assert!(text.contains(&format!("b/s;{};", u64::MAX / 60)), "{text}");
        assert!(text.contains(&format!(";s;{};", u64::MAX)), "{text}");
    }
}
