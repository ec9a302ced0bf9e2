//! Patterns that run in time linear in the subject, which is nearly all.
//!
//! A table of states is made when the configuration is read, if it stays small: then a look takes a few
//! instructions per octet and no memory. What the table cannot do (groups, long subjects with words to
//! look for, patterns with too many states) is done by the `regex` crate's engine.

use super::backtracking::Backtracking;
use super::dialect::Dialect;
use super::pattern::{Groups, Matched, Options};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::{NonMaxUsize, StateID};
use regex_automata::util::start;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};
use regex_syntax::{ast, hir};

/// A table of states may take this many octets, and its making this many.
const LARGEST_TABLE: usize = 128 * 1024;
const LARGEST_MAKING: usize = 1024 * 1024;
/// A compiled pattern may take this many octets.
const LARGEST_PROGRAM: usize = 4 * 1024 * 1024;

/// From this length on, an engine that jumps to the next place where a word of the pattern stands is
/// worth its start.
const LONG: usize = 512;

/// A table of states, and the one in which a subject begins.
struct Table {
    states: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Table {
    /// Tells whether the pattern is in a subject: by hand, since subjects are short, and what the crate's
    /// search prepares for long ones costs more than the look itself.
    fn is_match(&self, subject: &[u8]) -> bool {
        let mut state = self.start;
        for octet in subject {
            state = self.states.next_state(state, *octet);
            if self.states.is_special_state(state) {
                if self.states.is_match_state(state) {
                    return true;
                }
                if self.states.is_dead_state(state) {
                    return false;
                }
            }
        }
        self.states.is_match_state(self.states.next_eoi_state(state))
    }
}

/// Stands in a parsed pattern for "at the end, or before a newline at the end": PCRE's `$`. The engine
/// knows it as an end of line of another system's files, which PCRE's patterns cannot ask for.
const SOFT_END: &str = "(?mR:$)";
const SOFT_END_LOOK: Look = Look::EndCRLF;

pub(super) struct Linear {
    table: Option<Table>,
    engine: meta::Regex,
    /// The group that marks where a soft end was found before the last newline.
    marker: Option<usize>,
    /// Where a soft end has more behind it, a subject that ends in a newline has to be tried out.
    with_newline: Option<Backtracking>,
}

impl Linear {
    pub(super) fn new(pattern: &Dialect, options: Options) -> Result<Linear, String> {
        if let Some(reason) = pattern.needs_tries {
            return Err(reason.to_owned());
        }
        let parsed = parse(&pattern.text(SOFT_END), options)?;
        let groups = parsed.properties().explicit_captures_len();
        let (hir, marker, with_newline) = if !has_soft_end(&parsed) {
            (parsed, None, None)
        } else if let Some(rewritten) = soften(&parsed, groups + 1, true) {
            (rewritten, Some(groups + 1), None)
        } else {
            (harden(&parsed), None, Some(Backtracking::new(pattern, options)?))
        };
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(LARGEST_PROGRAM))
            // Ours is asked first.
            .dfa(false);
        let engine = meta::Builder::new()
            .configure(config)
            .build_from_hir(&hir)
            .map_err(|error| error.to_string())?;
        Ok(Linear { table: table(&hir), engine, marker, with_newline })
    }

    pub(super) fn is_match(&self, subject: &[u8]) -> Matched {
        if let Some(tries) = self.tries_for(subject) {
            return tries.is_match(subject);
        }
        let found = match &self.table {
            Some(table) if subject.len() < LONG => table.is_match(subject),
            _ => self.engine.is_match(Input::new(subject).earliest(true)),
        };
        if found { Matched::Yes } else { Matched::No }
    }

    pub(super) fn groups<'s>(&self, subject: &'s [u8]) -> Option<Groups<'s>> {
        if let Some(tries) = self.tries_for(subject) {
            return tries.groups(subject);
        }
        // Of the groups of a pattern only the first can be named, but the marker is behind all of them.
        let mut slots = vec![None::<NonMaxUsize>; 2 * self.engine.captures_len()];
        self.engine.search_slots(&Input::new(subject), &mut slots)?;
        let slot = |n: usize| slots.get(n).copied().flatten().map(NonMaxUsize::get);
        // The newline behind a soft end was eaten, though it is not part of what matched.
        let end = self.marker.and_then(|n| slot(2 * n)).unwrap_or(subject.len());
        let named = self.marker.unwrap_or(Groups::MOST);
        Some(Groups::of(subject, |n| {
            let (from, to) = (slot(2 * n)?, slot(2 * n + 1)?);
            (n < named).then(|| (from.min(end), to.min(end)))
        }))
    }

    pub(super) fn is_always_linear(&self) -> bool {
        self.with_newline.is_none()
    }

    fn tries_for(&self, subject: &[u8]) -> Option<&Backtracking> {
        self.with_newline.as_ref().filter(|_| subject.last() == Some(&b'\n'))
    }
}

fn parse(text: &str, options: Options) -> Result<Hir, String> {
    let tree = ast::parse::Parser::new().parse(text).map_err(|error| error.kind().to_string())?;
    hir::translate::TranslatorBuilder::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(options.dot_all)
        .build()
        .translate(text, &tree)
        .map_err(|error| error.kind().to_string())
}

fn table(hir: &Hir) -> Option<Table> {
    let program = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(LARGEST_PROGRAM)),
        )
        .build_from_hir(hir)
        .ok()?;
    let states = dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Unanchored)
                // For short subjects a jump costs more than it saves.
                .accelerate(false)
                .dfa_size_limit(Some(LARGEST_TABLE))
                .determinize_size_limit(Some(LARGEST_MAKING)),
        )
        .build_from_nfa(&program)
        .ok()?;
    let start = states.start_state(&start::Config::new().anchored(Anchored::No)).ok()?;
    Some(Table { states, start })
}

fn has_soft_end(hir: &Hir) -> bool {
    hir.properties().look_set().contains(SOFT_END_LOOK)
}

/// Writes soft ends as "the end, or a newline and the end", with a group that marks where it began.
/// That is the same only where nothing but other soft ends stands behind; else there is no answer.
fn soften(hir: &Hir, marker: usize, is_last: bool) -> Option<Hir> {
    if !has_soft_end(hir) {
        return Some(hir.clone());
    }
    match hir.kind() {
        HirKind::Look(_) if is_last => Some(soft_end(marker)),
        HirKind::Capture(capture) => {
            let inner = soften(&capture.sub, marker, is_last)?;
            Some(Hir::capture(Capture { sub: Box::new(inner), ..capture.clone() }))
        }
        HirKind::Repetition(repeated) if repeated.max == Some(1) => {
            let inner = soften(&repeated.sub, marker, is_last)?;
            Some(Hir::repetition(Repetition { sub: Box::new(inner), ..repeated.clone() }))
        }
        HirKind::Alternation(branches) => {
            let branches = branches.iter().map(|branch| soften(branch, marker, is_last));
            branches.collect::<Option<Vec<_>>>().map(Hir::alternation)
        }
        HirKind::Concat(parts) => {
            let mut rewritten = Vec::with_capacity(parts.len());
            let mut is_last = is_last;
            for part in parts.iter().rev() {
                rewritten.push(soften(part, marker, is_last)?);
                is_last &= is_only_soft_ends(part);
            }
            rewritten.reverse();
            Some(Hir::concat(rewritten))
        }
        _ => None,
    }
}

fn is_only_soft_ends(hir: &Hir) -> bool {
    let looks = hir.properties().look_set();
    hir.properties().maximum_len() == Some(0)
        && (looks.is_empty() || (looks.len() == 1 && looks.contains(SOFT_END_LOOK)))
}

fn soft_end(marker: usize) -> Hir {
    let marked = Capture {
        index: u32::try_from(marker).unwrap_or(u32::MAX),
        name: None,
        sub: Box::new(Hir::empty()),
    };
    let end = || Hir::look(Look::End);
    let newline = Hir::literal(*b"\n");
    Hir::alternation(vec![end(), Hir::concat(vec![Hir::capture(marked), newline, end()])])
}

/// Writes soft ends as the end, for subjects without a newline there.
fn harden(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(look) if *look == SOFT_END_LOOK => Hir::look(Look::End),
        HirKind::Capture(capture) => {
            let sub = Box::new(harden(&capture.sub));
            Hir::capture(Capture { sub, ..capture.clone() })
        }
        HirKind::Repetition(repeated) => {
            let sub = Box::new(harden(&repeated.sub));
            Hir::repetition(Repetition { sub, ..repeated.clone() })
        }
        HirKind::Alternation(branches) => Hir::alternation(branches.iter().map(harden).collect()),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(harden).collect()),
        _ => hir.clone(),
    }
}
