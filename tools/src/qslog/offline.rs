//! `-p` and `-ps`: a record for each minute of a log that lies there.

use super::clock::Minute;
use super::counts::{Duration, average, duration};
use super::format::Element::{
    self, Events, KeepAlive, Micros, Millis, Received, Request, Seconds, Sent, Status, User,
};
use super::format::{Fields, Format};
use super::input::{Lines, Watched};
use super::output::Sinks;
use super::report::Report;
use super::timeline::{Step, Timeline};
use std::io::{Read, Result, Write};

/// Pauses are filled with empty records up to a day.
const LONGEST_PAUSE: i64 = 24 * 60;

/// Reads all of it.
pub fn run<R: Read>(
    lines: &mut Lines<Watched<R>>,
    format: &Format,
    report: Report,
    sinks: &mut Sinks,
    options: Options,
) -> Result<()> {
    let mut run = Run { report, sinks, main: Vec::new(), detailed: Vec::new() };
    let mut timeline = Timeline::default();
    let mut histogram = Histogram::default();
    let mut number = 0_u64;
    while let Some(line) = lines.next()? {
        match timeline.step(line) {
            Step::Same => {}
            Step::Unknown => write!(run.sinks.screen, "F({number})")?,
            Step::Late => write!(run.sinks.screen, "X")?,
            Step::Next { over, is_back } => {
                if is_back {
                    write!(run.sinks.screen, "X")?;
                }
                run.records(over, Some(timeline.now()))?;
                if run.sinks.main.is_some() && !options.verbose {
                    write!(run.sinks.screen, ".")?;
                }
            }
        }
        let fields = format.split(line);
        number += 1;
        if options.verbose {
            let duration = duration(&fields).unwrap_or_default();
            tell(&mut run.sinks.screen, number, &fields, duration, None)?;
        }
        if options.summary {
            histogram.count(&fields);
        }
        run.report.count(&fields, timeline.second());
    }
    if !run.report.is_empty() {
        run.records(timeline.now(), None)?;
    }
    if !options.verbose {
        writeln!(run.sinks.screen)?;
    }
    if options.summary && format.has_any(&[Micros, Millis, Seconds]) {
        histogram.write(&mut run.sinks.screen)?;
    }
    run.sinks.screen.flush()
}

/// What else is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Says what was found in each line.
    pub verbose: bool,
    /// Ends with a summary of durations.
    pub summary: bool,
}

/// Says what was found in a line. `key` stands for the request line where that was shortened.
pub fn tell(
    out: &mut impl Write,
    number: u64,
    fields: &Fields,
    duration: Duration,
    key: Option<&[u8]>,
) -> Result<()> {
    let shown = |element: Element| fields.get(element).unwrap_or(b"(null)");
    let mut line = format!("[{number}]").into_bytes();
    let time = format!("{}]({})", duration.seconds, duration.millis);
    for (name, value) in [
        (" I=[", shown(Element::Client)),
        ("] U=[", shown(User)),
        ("] B=[", shown(Sent)),
        ("] i=[", shown(Received)),
        ("] S=[", shown(Status)),
        ("] T=[", time.as_bytes()),
        (" Q=[", shown(Element::Deeds)),
        ("] E=[", shown(Events)),
        ("] k=[", shown(KeepAlive)),
        ("] R=[", key.unwrap_or(shown(Request))),
        ("]", b"\n"),
    ] {
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(value);
    }
    out.write_all(&line)
}

struct Run<'a> {
    report: Report,
    sinks: &'a mut Sinks,
    main: Vec<u8>,
    detailed: Vec<u8>,
}

impl Run<'_> {
    /// Writes the record of a minute, labelled with its end, and empty ones up to the next.
    fn records(&mut self, over: Minute, next: Option<Minute>) -> Result<()> {
        let pause = next
            .filter(|next| next.has_date == over.has_date)
            .map_or(1, |next| next.number - over.number);
        let records = if pause <= LONGEST_PAUSE { pause.max(1) } else { 1 };
        for past in 0..records {
            let now = over.after(past);
            let label = now.after(1).to_string();
            self.report.take(&label, now.number * 60, "", &mut self.main, &mut self.detailed);
        }
        self.sinks.write(&self.main, &self.detailed)?;
        self.main.clear();
        self.detailed.clear();
        for letter in self.report.overflowed() {
            super::notice(&format!("reached event ({letter}) count limit"));
        }
        Ok(())
    }
}

const STEP: u64 = 50;
const STEPS: usize = 20;

/// Durations in steps of 50 ms.
#[derive(Debug, Default)]
struct Histogram {
    requests: u64,
    millis: u64,
    steps: [u64; STEPS],
    longer: u64,
}

impl Histogram {
    fn count(&mut self, fields: &Fields) {
        let Some(duration) = duration(fields) else { return };
        self.requests += 1;
        self.millis = self.millis.saturating_add(duration.millis);
        match self.steps.get_mut(usize::try_from(duration.millis / STEP).unwrap_or(usize::MAX)) {
            Some(count) => *count += 1,
            None => self.longer += 1,
        }
    }

    fn write(&self, out: &mut impl Write) -> Result<()> {
        writeln!(out, "\n      requests: {}", self.requests)?;
        writeln!(out, "       average: {}ms", average(self.millis, self.requests))?;
        for (step, count) in (0..).zip(self.steps) {
            writeln!(out, "{:3}ms - {:4}ms: {count}", step * STEP, (step + 1) * STEP)?;
        }
        writeln!(out, "1000ms+       : {}", self.longer)
    }
}
