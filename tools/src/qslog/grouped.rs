//! `-pc`, `-pu` and `-puc`: one line per client or URL, at the end.

use super::clients::Clients;
use super::format::Format;
use super::input::{Lines, Watched};
use super::offline::tell;
use super::output::Sinks;
use super::timeline::{Step, Timeline};
use super::urls::{Problem, Urls};
use std::io::{Read, Result, Write};

/// So much is collected before it is written.
const PIECE: usize = 64 * 1024;

/// Reads all of it for clients.
pub fn clients<R: Read>(
    lines: &mut Lines<Watched<R>>,
    format: &Format,
    mut clients: Clients,
    sinks: &mut Sinks,
    marks: &mut Marks,
    verbose: bool,
) -> Result<()> {
    let mut timeline = Timeline::default();
    let mut number = 0;
    while let Some(line) = lines.next()? {
        let step = timeline.step(line);
        if step == Step::Unknown {
            write!(sinks.screen, "F({number})")?;
        }
        marks.step(step);
        number += 1;
        let fields = format.split(line);
        if verbose {
            tell(&mut sinks.screen, number, &fields, None)?;
        }
        if clients.count(&fields, number, timeline.second()) {
            marks.full("client");
        }
    }
    marks.end();
    let mut out = Vec::new();
    clients.write(number, &mut |line| {
        out.extend_from_slice(line);
        flush(&mut out, PIECE, sinks)
    })?;
    flush(&mut out, 1, sinks)?;
    sinks.screen.flush()
}

/// Reads all of it for URLs.
pub fn urls<R: Read>(
    lines: &mut Lines<Watched<R>>,
    format: &Format,
    mut urls: Urls,
    sinks: &mut Sinks,
    marks: &mut Marks,
    verbose: bool,
) -> Result<()> {
    let mut timeline = Timeline::default();
    let mut number = 0;
    while let Some(line) = lines.next()? {
        marks.step(timeline.step(line));
        number += 1;
        let fields = format.split(line);
        match urls.count(&fields) {
            Ok(key) if verbose => tell(&mut sinks.screen, number, &fields, key)?,
            Ok(_) => {}
            Err(Problem::NoMethod) => write!(sinks.screen, "A({number})")?,
            Err(Problem::NoPath) => write!(sinks.screen, "E({number})")?,
            Err(Problem::Full) => marks.full("url"),
        }
    }
    marks.end();
    let mut out = Vec::new();
    urls.write(&mut |line| {
        out.extend_from_slice(line);
        flush(&mut out, PIECE, sinks)
    })?;
    flush(&mut out, 1, sinks)?;
    sinks.screen.flush()
}

fn flush(out: &mut Vec<u8>, least: usize, sinks: &mut Sinks) -> Result<()> {
    if out.len() >= least {
        sinks.write(out, b"")?;
        out.clear();
    }
    Ok(())
}

/// Signs of life on stderr: a point for each minute of the log, where no bar is drawn.
pub struct Marks {
    /// Whether points are written.
    pub shown: bool,
    is_full: bool,
}

impl Marks {
    /// Begins.
    pub fn new(shown: bool) -> Marks {
        Marks { shown, is_full: false }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Late => self.mark("X"),
            Step::Next { is_back: true, .. } => self.mark("X."),
            Step::Next { .. } => self.mark("."),
            Step::Same | Step::Unknown => {}
        }
    }

    fn mark(&self, mark: &str) {
        if self.shown {
            // Nobody who reads it, nothing to do.
            let _ = write!(std::io::stderr(), "{mark}");
        }
    }

    fn full(&mut self, what: &str) {
        if !std::mem::replace(&mut self.is_full, true) {
            let _ = writeln!(std::io::stderr(), "\nreached max {what} entries ({MOST})");
        }
    }

    fn end(&self) {
        self.mark(".\n");
    }
}

/// So many clients or URLs are told apart.
pub const MOST: usize = 25_000;
