//! The minutes of a log, one after the other. Lines are written when a request ends and bear the time of its
//! beginning, so that some come late.

use super::clock::{Minute, minute_of};

/// A line may be so many minutes late. An earlier one begins anew: the next file, or day.
const LATE: i64 = 60;

/// What a line does to the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has none.
    Unknown,
    /// It is of this minute, or the first.
    Same,
    /// It is late, and belongs to this minute.
    Late,
    /// It is of another minute than all before, which was that one.
    Next {
        /// The minute that is over.
        over: Minute,
        /// Whether the other one is earlier.
        is_back: bool,
    },
}

/// Where in time we are.
#[derive(Debug, Default)]
pub struct Timeline {
    current: Option<Minute>,
}

impl Timeline {
    /// Looks at a line.
    pub fn step(&mut self, line: &[u8]) -> Step {
        let Some(found) = minute_of(line) else { return Step::Unknown };
        let Some(over) = self.current else {
            self.current = Some(found);
            return Step::Same;
        };
        if found == over {
            return Step::Same;
        }
        let is_back = found.has_date == over.has_date && found.number < over.number;
        if is_back && over.number - found.number < LATE {
            return Step::Late;
        }
        self.current = Some(found);
        Step::Next { over, is_back }
    }

    /// Returns the minute; of a log without times, the first of the day.
    pub fn now(&self) -> Minute {
        self.current.unwrap_or(Minute { number: 0, has_date: false })
    }

    /// Returns the second in which the minute began.
    pub fn second(&self) -> i64 {
        self.now().number * 60
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_lines_stay_in_their_minute_and_very_late_ones_begin_anew() {
        let mut timeline = Timeline::default();
        let mut steps = String::new();
        for line in [
            "x",
            "21/Nov/2026:10:05:00",
            "21/Nov/2026:10:05:59",
            "21/Nov/2026:10:04:59",
            "21/Nov/2026:10:03:59",
            "21/Nov/2026:10:06:00",
            "22/Nov/2026:00:00:00",
            "21/Nov/2026:10:00:00",
            "a 10:00:00 b",
        ] {
            steps.push(match timeline.step(line.as_bytes()) {
                Step::Unknown => 'F',
                Step::Same => '=',
                Step::Late => 'X',
                Step::Next { is_back: false, .. } => '>',
                Step::Next { is_back: true, .. } => '<',
            });
        }
        assert_eq!(steps, "F==XX>><>");
        assert_eq!(timeline.second(), 36_000);
    }
}
