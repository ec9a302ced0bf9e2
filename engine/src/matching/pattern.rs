//! One regular expression of the configuration.

use super::backtracking::Backtracking;
use super::dialect::{self, Dialect};
use super::linear::Linear;
use crate::time::{Seconds, Tick};
use crate::values::Problem;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// How a pattern is read; the directive says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Letters match in either case.
    pub ignore_case: bool,
    /// `.` matches a newline, too.
    pub dot_all: bool,
}

/// What a look at a subject gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The pattern is nowhere in the subject.
    No,
    /// It is.
    Yes,
    /// Nobody knows: it would have taken too many steps. Each rule says what that counts as, and tells
    /// of it (event 304).
    OverBudget,
}

/// A regular expression, compiled when the configuration is read. Copies share what was compiled.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    options: Options,
    engine: Engine,
    /// When it was last told that it ran out of steps, in this process.
    told: AtomicU32,
}

#[allow(clippy::large_enum_variant)] // it is behind an `Arc` already
enum Engine {
    Linear(Linear),
    Backtracking(Backtracking),
}

/// What the whole pattern and its groups matched: pieces of the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups<'s>([Option<&'s [u8]>; Groups::MOST]);

impl<'s> Groups<'s> {
    /// `$0` to `$9`: more cannot be named.
    pub const MOST: usize = 10;

    /// Returns group `number`, if it took part.
    pub fn get(&self, number: usize) -> Option<&'s [u8]> {
        self.0.get(number).copied().flatten()
    }

    pub(super) fn of(subject: &'s [u8], span: impl Fn(usize) -> Option<(usize, usize)>) -> Self {
        Groups(core::array::from_fn(|n| span(n).and_then(|(from, to)| subject.get(from..to))))
    }
}

impl Pattern {
    /// Compiles a pattern as it stands in the configuration.
    pub fn new(text: &str, options: Options) -> Result<Pattern, Problem> {
        let refused = |reason: &str| {
            Problem::text(format!("'{text}' is not a regular expression that works here: {reason}"))
        };
        let read = dialect::read(text).map_err(|reason| refused(&reason))?;
        let engine = match Linear::new(&read, options) {
            Ok(linear) => Engine::Linear(linear),
            Err(first) => match Backtracking::new(&read, options) {
                Ok(backtracking) => Engine::Backtracking(backtracking),
                Err(second) => {
                    return Err(refused(&format!(
                        "not in linear time ({first}), and not by trying ({second})"
                    )));
                }
            },
        };
        Ok(Pattern(Arc::new(Compiled {
            text: text.into(),
            options,
            engine,
            told: AtomicU32::new(0),
        })))
    }

    /// Returns the pattern as written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Tells whether the pattern is somewhere in the subject.
    pub fn is_match(&self, subject: &[u8]) -> Matched {
        match &self.0.engine {
            Engine::Linear(linear) => linear.is_match(subject),
            Engine::Backtracking(backtracking) => backtracking.is_match(subject),
        }
    }

    /// Returns what matched. `None` is no match, or one that is over the budget: ask [`Self::is_match`]
    /// first where that makes a difference.
    pub fn groups<'s>(&self, subject: &'s [u8]) -> Option<Groups<'s>> {
        match &self.0.engine {
            Engine::Linear(linear) => linear.groups(subject),
            Engine::Backtracking(backtracking) => backtracking.groups(subject),
        }
    }

    /// Tells whether it may be said again that it ran out of steps: once in a second.
    pub(super) fn may_tell(&self, now: Tick) -> bool {
        let last = Tick(self.0.told.load(Ordering::Relaxed));
        let may = last == Tick(0) || now.seconds_since(last) > Seconds(0);
        if may {
            self.0.told.store(now.0, Ordering::Relaxed);
        }
        may
    }

    /// Tells whether every match takes time linear in the subject, whatever the subject is.
    pub fn is_linear(&self) -> bool {
        matches!(&self.0.engine, Engine::Linear(linear) if linear.is_always_linear())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.text)
    }
}

/// Patterns are the same when they are written the same and read the same way.
impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.text == other.0.text && self.0.options == other.0.options
    }
}

impl Eq for Pattern {}

impl Dialect {
    /// Returns the text for an engine that writes "at the end, or before a newline at the end" as
    /// `soft_end`.
    pub(super) fn text(&self, soft_end: &str) -> String {
        self.text.replace(dialect::SOFT_END, soft_end)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
