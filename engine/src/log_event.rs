//! Numbered log events: what is written when a rule acts, in the exact words that log watchers know.
//! Spec: log-events.md.
//!
//! A family declares its events and fills in the details; the line is put together here, and here alone
//! are "(log only)", the folding of repeats, and the client's address added.

use crate::client::address::PrefixBits;
use crate::client::countries::Country;
use crate::client::identity::Client;
use crate::store::totals::Totals;
use core::fmt;

/// httpd's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `emerg`
    Emergency,
    /// `crit`
    Critical,
    /// `error`
    Error,
    /// `warn`
    Warning,
    /// `notice`
    Notice,
    /// `info`
    Info,
    /// `debug`
    Debug,
}

/// A numbered event.
#[derive(Debug)]
pub struct LogEvent {
    /// Its number, never reused for another meaning.
    pub number: u16,
    /// The level it is written at.
    pub level: Level,
    /// Whether the event totals count it.
    pub is_counted: bool,
    /// The line with its placeholders, for the reference.
    pub format: &'static str,
    /// When it is written, for the reference.
    pub when: &'static str,
}

/// Where lines go. The module writes them through httpd's logger.
pub trait LogSink {
    /// Writes one line. It is ASCII, and no text that a client can choose stands in it unescaped.
    fn write(&mut self, level: Level, line: &str);
}

/// Which of a series of equal lines is written (connection.md, "message throttling").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The line itself.
    Full,
    /// A line that says how often it would have been written.
    Repeated(u32),
    /// Nothing.
    Silent,
}

/// How many equal lines are written before they are folded, and how many are folded into one.
pub const FOLD_AFTER: u32 = 20;

impl Fold {
    /// Decides for the `n`-th line of a series, counted from 1.
    pub fn of(n: u32) -> Fold {
        if n <= FOLD_AFTER {
            Fold::Full
        } else if n.is_multiple_of(FOLD_AFTER) {
            Fold::Repeated(FOLD_AFTER)
        } else {
            Fold::Silent
        }
    }

    /// Returns how many lines of a series of `n` have not been told of, if any were folded.
    pub fn rest(n: u32) -> Option<u32> {
        (n > FOLD_AFTER).then_some(n % FOLD_AFTER)
    }
}

/// How a line begins behind its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// `access denied`
    Enforced,
    /// `access denied (log only)`
    LogOnly,
    /// `access denied (previously)`: a series has ended.
    Previously,
    /// `log only (allowed)`: the data rate's words for what it does not enforce.
    Allowed,
}

/// What a denial's line says besides its beginning.
pub struct Details<'a> {
    /// `QS_SrvMaxConn rule: max=3, concurrent connections=4`
    pub rule: fmt::Arguments<'a>,
    /// Whether it is written, and how.
    pub fold: Fold,
    /// Whose fault it is.
    pub client: Client,
    /// To what its address is cut where that decided.
    pub prefix: PrefixBits,
    /// The request's unique id, for events of a request.
    pub id: Option<&'a str>,
    /// The client's country, where it decided.
    pub country: Option<Country>,
}

/// Counts a denial. The end of a series of them is none.
pub fn count(event: &LogEvent, denial: Denial, totals: &Totals<'_>) {
    if event.is_counted && denial != Denial::Previously {
        totals.count(event.number);
    }
}

/// Writes a denial and counts it. The only place where such a line is put together.
pub fn denial(
    event: &LogEvent,
    denial: Denial,
    details: &Details<'_>,
    totals: &Totals<'_>,
    sink: &mut dyn LogSink,
) {
    count(event, denial, totals);
    if details.fold == Fold::Silent {
        return;
    }
    let mut line = Line::new();
    let beginning = match denial {
        Denial::Enforced => "access denied",
        Denial::LogOnly => "access denied (log only)",
        Denial::Previously => "access denied (previously)",
        Denial::Allowed => "log only (allowed)",
    };
    line.push(format_args!("mod_qos({:03}): {beginning}, {}", event.number, details.rule));
    if let Fold::Repeated(times) = details.fold {
        line.push(format_args!(", message repeated {times} times"));
    }
    line.push(format_args!(", {}", details.client.in_log(details.prefix)));
    if let Some(country) = details.country {
        line.push(format_args!(" country={country}"));
    }
    if let Some(id) = details.id {
        line.push(format_args!(", id={id}"));
    }
    sink.write(event.level, line.as_str());
}

/// Writes an event that is no denial, and counts it.
pub fn note(
    event: &LogEvent,
    text: fmt::Arguments<'_>,
    totals: Option<&Totals<'_>>,
    sink: &mut dyn LogSink,
) {
    if event.is_counted
        && let Some(totals) = totals
    {
        totals.count(event.number);
    }
    let mut line = Line::new();
    line.push(format_args!("mod_qos({:03}): {text}", event.number));
    sink.write(event.level, line.as_str());
}

/// Writes a debug line; those have no number.
pub fn debug(text: fmt::Arguments<'_>, sink: &mut dyn LogSink) {
    let mut line = Line::new();
    line.push(format_args!("mod_qos(): {text}"));
    sink.write(Level::Debug, line.as_str());
}

/// A line under construction, on the stack: who is under attack writes many of them. A long one, as of a
/// rule with a long pattern, goes on on the heap: what log watchers look for stands at its end.
struct Line {
    octets: [u8; 480],
    length: usize,
    /// The whole line, once it is longer than that.
    long: String,
}

/// Longer lines are cut: httpd writes no more.
const LONGEST: usize = 8 * 1024;

impl Line {
    fn new() -> Line {
        Line { octets: [0; 480], length: 0, long: String::new() }
    }

    fn push(&mut self, text: fmt::Arguments<'_>) {
        // A full line is the only error, and then it is cut.
        let _ = fmt::Write::write_fmt(self, text);
    }

    fn as_str(&self) -> &str {
        if self.long.is_empty() { self.short() } else { &self.long }
    }

    fn short(&self) -> &str {
        let written = self.octets.get(..self.length).unwrap_or(&[]);
        core::str::from_utf8(written).unwrap_or("")
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        if self.long.is_empty()
            && let Some(free) = self.octets.get_mut(self.length..end)
        {
            free.copy_from_slice(text.as_bytes());
            self.length = end;
            return Ok(());
        }
        if self.long.is_empty() {
            self.long = self.short().to_owned();
        }
        let mut fits = text.len().min(LONGEST.saturating_sub(self.long.len()));
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.long.push_str(text.get(..fits).unwrap_or(""));
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_lines_are_written_then_every_twentieth_tells_of_the_others() {
        let written = |n| (1..=n).filter(|n| Fold::of(*n) == Fold::Full).count();
        let told = |n| (1..=n).filter(|n| Fold::of(*n) == Fold::Repeated(20)).count();
        assert_eq!((written(46), told(46), Fold::rest(46)), (20, 1, Some(6)));
        assert_eq!((written(47), told(47), Fold::rest(47)), (20, 1, Some(7)));
        assert_eq!(Fold::rest(20), None);
        assert_eq!(Fold::rest(25), Some(5));
    }

    #[test]
    fn a_long_line_is_written_whole_and_a_longer_one_cut_at_a_character() {
        let mut line = Line::new();
        for text in ["rule", &"\u{e9}".repeat(400), ", c=", "192.0.2.1"] {
            line.push(format_args!("{text}"));
        }
        assert_eq!(line.as_str().chars().count(), 4 + 400 + 4 + 9);
        assert!(
            line.as_str().starts_with("rule\u{e9}") && line.as_str().ends_with(", c=192.0.2.1")
        );
        line.push(format_args!("-{}", "\u{e9}".repeat(4000)));
        assert_eq!(line.as_str().len(), LONGEST);
        let mut line = Line::new();
        line.push(format_args!("{}", "x".repeat(480)));
        assert!(line.long.is_empty(), "so much needs no heap");
    }
}
