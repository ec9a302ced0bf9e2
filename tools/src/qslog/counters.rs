//! The rules of `QSCOUNTERPATH`: what `QS_ClientEventLimitCount` would have done.

use super::events::in_element;
use super::format::Element::{Events, Status};
use super::format::Fields;

/// `<name>:<event1>-<n>*<event2>/<duration>=<limit>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The column.
    pub name: String,
    /// The event that counts; statuses, with `_` between them, where the name begins with STATUS.
    up: String,
    /// So much the other event takes away.
    step: u64,
    down: String,
    seconds: i64,
    limit: u64,
}

/// The state of a counter for one client.
#[derive(Clone, Debug, Default)]
pub struct Window {
    count: u64,
    since: i64,
    /// How often the limit was reached.
    pub reached: u64,
}

impl Counter {
    fn parse(line: &str) -> Option<Counter> {
        let (name, rest) = line.split_once(':')?;
        let (rest, limit) = rest.rsplit_once('=')?;
        let (rest, seconds) = rest.rsplit_once('/')?;
        let (rest, down) = rest.split_once('*')?;
        let (up, step) = rest.rsplit_once('-')?;
        let is_name =
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !is_name || up.is_empty() {
            return None;
        }
        Some(Counter {
            name: name.to_owned(),
            up: up.to_owned(),
            step: step.parse().ok()?,
            down: down.to_owned(),
            seconds: i64::from(seconds.parse::<u32>().ok()?),
            limit: limit.parse().ok()?,
        })
    }

    /// Counts a line of a client.
    pub fn count(&self, fields: &Fields, now: i64, window: &mut Window) {
        if self.name.starts_with("STATUS") {
            let status = fields.get(Status).unwrap_or_default();
            if self.up.split('_').any(|listed| listed.as_bytes() == status) {
                self.add(now, window);
            }
            return;
        }
        for name in fields.get(Events).into_iter().flat_map(in_element) {
            if name == self.up.as_bytes() {
                self.add(now, window);
            }
            if name == self.down.as_bytes() {
                window.count = window.count.saturating_sub(self.step);
            }
        }
    }

    fn add(&self, now: i64, window: &mut Window) {
        if window.count > 0 && now - window.since > self.seconds {
            window.count = 0;
        }
        if window.count == 0 {
            window.since = now;
        }
        window.count += 1;
        window.reached += u64::from(window.count == self.limit);
    }
}

/// Reads a file of them; `remark` is told of lines that are none.
pub fn read(text: &str, remark: &mut dyn FnMut(&str)) -> Vec<Counter> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut counters = Vec::new();
    for line in lines {
        match Counter::parse(line) {
            Some(counter) => counters.push(counter),
            None => remark(&format!(
                "no counter like <name>:<event1>-<n>*<event2>/<duration>=<limit>: '{line}'"
            )),
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qslog::format::Format;

    fn reached(rule: &str, lines: &[(i64, &str)]) -> Option<u64> {
        let counter = Counter::parse(rule)?;
        let format = Format::new("SE", true);
        let mut window = Window::default();
        for (second, line) in lines {
            counter.count(&format.split(line.as_bytes()), *second, &mut window);
        }
        Some(window.reached)
    }

    #[test]
    fn the_limit_is_reached_within_the_time() {
        let events = [(0, "200 Ev1"), (60, "200 Ev2,Ev1"), (60, "200 Ev10")];
        assert_eq!(reached("a:Ev1-1*x/60=2", &events), Some(1));
        assert_eq!(reached("a:Ev1-1*x/59=2", &events), Some(0));
        assert_eq!(reached("a:Ev1-1*Ev2/60=2", &events), Some(0));
        let again = [(0, "200 E"), (0, "200 E"), (0, "200 D"), (0, "200 E"), (0, "200 E")];
        assert_eq!(reached("a:E-2*D/60=2", &again), Some(2));
        let statuses = [(0, "404 -"), (1, "500 -"), (2, "40 -"), (3, "200 -")];
        assert_eq!(reached("STATUSa:404_500-1*x/60=2", &statuses), Some(1));
    }

    #[test]
    fn lines_that_are_no_counter_are_told() {
        let text = "a:b\na:b-1*c/60\na:b-x*c/60=1\na b:b-1*c/60=1\na:b-1*c/60=\na:-1*/60=1\n\
                    a:b/60=1\n:b-1*c/60=1\na:b-1*c/x=1\n# words\n\nok:b-1*/60=1\n";
        let mut told = 0;
        let counters = read(text, &mut |_| told += 1);
        assert_eq!((counters.len(), told), (1, 9));
    }
}
