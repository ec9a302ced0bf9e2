//! Patterns that no linear engine can do: look-around, back references, possessive quantifiers.
//!
//! They are tried out, and whoever sends the subject chooses how many tries that takes. So there is a
//! budget of tries, and a longest subject, since one try may walk all of it.

use super::dialect::Dialect;
use super::pattern::{Groups, Matched, Options};
use fancy_regex::{BytesMode, Regex, RegexBuilder};

/// So many tries, then a look is given up.
const MOST_TRIES: usize = 100_000;

/// Longer subjects are not tried at all.
const LONGEST: usize = 16 * 1024;

pub(super) struct Backtracking(Regex);

impl Backtracking {
    pub(super) fn new(pattern: &Dialect, options: Options) -> Result<Backtracking, String> {
        RegexBuilder::new(&pattern.text(r"(?=\n?\z)"))
            // Octets, not characters: nothing is invalid, so nothing slips by for being so.
            .bytes_mode(BytesMode::Ascii)
            .unicode_mode(false)
            .case_insensitive(options.ignore_case)
            .dot_matches_new_line(options.dot_all)
            .backtrack_limit(MOST_TRIES)
            .build()
            .map(Backtracking)
            .map_err(|error| error.to_string())
    }

    pub(super) fn is_match(&self, subject: &[u8]) -> Matched {
        if subject.len() > LONGEST {
            return Matched::OverBudget;
        }
        match self.0.is_match(subject) {
            Ok(true) => Matched::Yes,
            Ok(false) => Matched::No,
            Err(_) => Matched::OverBudget,
        }
    }

    pub(super) fn groups<'s>(&self, subject: &'s [u8]) -> Option<Groups<'s>> {
        if subject.len() > LONGEST {
            return None;
        }
        let found = self.0.captures(subject).ok().flatten()?;
        Some(Groups::of(subject, |n| found.get(n).map(|group| (group.start(), group.end()))))
    }
}
