//! `-pc`, `-pu` and `-puc`: one line per client or URL, at the end.

use super::counts::Duration;
use super::format::{Fields, Format};
use super::input::{Lines, Watched};
use super::offline::tell;
use super::output::Sinks;
use super::timeline::{Step, Timeline};
use std::collections::HashMap;
use std::io::{Read, Result, Write};
use std::rc::Rc;

/// So much is collected before it is written.
const PIECE: usize = 64 * 1024;

/// What lines are counted for: clients, or URLs.
pub trait Groups {
    /// What one of them is called.
    const NAME: &str;
    /// Whether it matters when a line was written.
    const IS_TIMED: bool;

    /// Counts the line of that number and second.
    fn count(
        &mut self,
        fields: &Fields,
        line: u64,
        second: i64,
    ) -> std::result::Result<(), Problem>;

    /// Returns what is said of the last line: how long it took, and what it was counted for, if that is no element of it.
    fn shown(&self, fields: &Fields) -> (Duration, Option<&[u8]>);

    /// Writes a line for each. `lines` is how many the log has.
    fn write(&self, lines: u64, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;
}

/// Why a line is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its request line does not begin with a letter.
    NoMethod,
    /// That has no blank.
    NoPath,
    /// There are too many already.
    Full,
}

/// Who or what was counted, in the order of their first lines: so many, with names cut to a length.
pub struct Table<T> {
    longest: usize,
    numbers: HashMap<Rc<[u8]>, usize>,
    entries: Vec<(Rc<[u8]>, T)>,
}

impl<T> Table<T> {
    /// Begins with none.
    pub fn new(longest: usize) -> Table<T> {
        Table { longest, numbers: HashMap::new(), entries: Vec::new() }
    }

    /// Returns the entry of a name, a new one if there is none yet and there are not too many.
    pub fn entry(
        &mut self,
        name: &[u8],
        new: impl FnOnce() -> T,
    ) -> std::result::Result<&mut T, Problem> {
        let name = name.get(..self.longest).unwrap_or(name);
        let known = self.numbers.get(name).copied();
        let number = known.unwrap_or(self.entries.len());
        if known.is_none() && number < MOST {
            let name: Rc<[u8]> = name.into();
            self.numbers.insert(Rc::clone(&name), number);
            self.entries.push((name, new()));
        }
        self.entries.get_mut(number).map(|(_, entry)| entry).ok_or(Problem::Full)
    }

    /// Returns all of them, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.entries.iter().map(|(name, entry)| (name.as_ref(), entry))
    }
}

/// Reads all of it.
pub fn run<R: Read, G: Groups>(
    lines: &mut Lines<Watched<R>>,
    format: &Format,
    mut groups: G,
    sinks: &mut Sinks,
    marks: &mut Marks,
    verbose: bool,
) -> Result<()> {
    let mut timeline = Timeline::default();
    let mut number = 0;
    while let Some(line) = lines.next()? {
        let step = timeline.step(line);
        if G::IS_TIMED && step == Step::Unknown {
            write!(sinks.screen, "F({number})")?;
        }
        marks.step(step);
        number += 1;
        let fields = format.split(line);
        match groups.count(&fields, number, timeline.second()) {
            Ok(()) => {}
            Err(Problem::NoMethod) => write!(sinks.screen, "A({number})")?,
            Err(Problem::NoPath) => write!(sinks.screen, "E({number})")?,
            Err(Problem::Full) => marks.full(G::NAME),
        }
        if verbose {
            let (duration, key) = groups.shown(&fields);
            tell(&mut sinks.screen, number, &fields, duration, key)?;
        }
    }
    marks.end();
    let mut out = Vec::new();
    groups.write(number, &mut |line| {
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

/// Signs of life on stderr, where no bar is drawn: a point for each minute of the log, unless its lines are told of.
pub struct Marks {
    is_shown: bool,
    has_points: bool,
    is_full: bool,
}

impl Marks {
    /// Begins.
    pub fn new(is_shown: bool, verbose: bool) -> Marks {
        Marks { is_shown, has_points: !verbose, is_full: false }
    }

    fn step(&mut self, step: Step) {
        let (is_late, is_next) = match step {
            Step::Late => (true, false),
            Step::Next { is_back, .. } => (is_back, true),
            Step::Same | Step::Unknown => return,
        };
        if is_late {
            self.mark("X");
        }
        if is_next && self.has_points {
            self.mark(".");
        }
    }

    fn mark(&self, mark: &str) {
        if self.is_shown {
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
