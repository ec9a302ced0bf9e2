//! What a directive is: one row says all there is to know about it.
//!
//! The command table that httpd gets, the checks, and the reference in `docs/` are derived from these rows.

use crate::client::countries::Countries;
use crate::values::Problem;
use core::ffi::CStr;
use std::sync::Arc;

/// How many arguments a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// None at all.
    None,
    /// Exactly one.
    One,
    /// One, and a second that may be left out.
    OneOrTwo,
    /// One to three.
    OneToThree,
    /// Exactly two.
    Two,
    /// Two, and a third that may be left out.
    TwoOrThree,
    /// Exactly three.
    Three,
    /// As many as are written.
    Any,
}

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only outside of every `<VirtualHost>`.
    BaseServer,
    /// Also in a `<VirtualHost>`.
    Server,
    /// Also in a `<Location>`, `<Directory>` or `<Files>`.
    Location,
}

impl Scope {
    /// Returns httpd's words for it.
    pub fn words(self) -> &'static str {
        match self {
            Scope::BaseServer => "server config",
            Scope::Server => "server config, virtual host",
            Scope::Location => "server config, virtual host, location",
        }
    }
}

/// Where one use of a directive stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Outside of every section.
    BaseServer,
    /// In a `<VirtualHost>`.
    VirtualHost,
    /// In a `<Location>`, `<Directory>` or `<Files>`.
    Location,
}

/// What is known of a directive besides how it is set.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its name, as in a configuration. C text, since httpd keeps a pointer to it.
    pub name: &'static CStr,
    /// Its arguments, as in a manual: `<N> [<seconds>]`. httpd adds them to its own complaint about
    /// their number.
    pub arguments: &'static CStr,
    /// How many of them.
    pub arity: Arity,
    /// Where it may stand.
    pub scope: Scope,
    /// What its arguments may be, with units.
    pub range: &'static str,
    /// What is the case without it.
    pub default: &'static str,
    /// What it does, in a sentence or three.
    pub help: &'static str,
    /// The page of the specification that it follows.
    pub spec: &'static str,
}

impl About {
    /// Returns the name as Rust's text.
    pub fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or("")
    }

    /// Returns the arguments as Rust's text.
    pub fn arguments(&self) -> &'static str {
        self.arguments.to_str().unwrap_or("")
    }
}

/// Checks a directive's arguments and records them in settings.
pub type Set<S> = fn(&mut S, &Arguments<'_>) -> Result<(), Problem>;

/// A directive of a family whose settings are an `S`, and an `L` in a location.
pub struct Directive<S, L> {
    /// Everything but the code.
    pub about: About,
    /// Checks the arguments and records them.
    pub set: Set<S>,
    /// The same in a location, for directives that may stand there.
    pub set_in_location: Option<Set<L>>,
}

/// What a family's directives say, where they stand in the base server alone, or there are none: a virtual
/// host has the same.
pub trait OfBaseServer: Clone {
    /// Completes a virtual host's settings by the base server's.
    #[must_use]
    fn over(&self, base: &Self) -> Self {
        base.clone()
    }
}

/// What a family's directives say in a location.
pub trait InLocation {
    /// Tells whether nothing is written.
    fn is_empty(&self) -> bool;
    /// Completes an inner location's settings by an outer one's.
    #[must_use]
    fn over(&self, outer: &Self) -> Self;
}

/// For families whose directives stand in no location.
impl InLocation for () {
    fn is_empty(&self) -> bool {
        true
    }

    fn over(&self, (): &()) {}
}

/// The words behind a directive's name.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// The words, already counted by httpd.
    pub words: &'a [&'a str],
    /// Where the directive stands.
    pub place: Place,
    /// Answers whether a file or directory is there: the engine itself looks at none.
    pub directory_exists: fn(&str) -> bool,
    /// Reads a file of countries. The error is a sentence about the file.
    pub load_countries: fn(&str) -> Result<Arc<Countries>, String>,
}

impl<'a> Arguments<'a> {
    /// Returns the first word.
    pub fn first(&self) -> &'a str {
        self.words.first().copied().unwrap_or("")
    }

    /// Returns the second word, if there is one.
    pub fn second(&self) -> Option<&'a str> {
        self.words.get(1).copied()
    }

    /// Returns the third word, if there is one.
    pub fn third(&self) -> Option<&'a str> {
        self.words.get(2).copied()
    }

    /// Reads the only word as a flag.
    pub fn flag(&self) -> Result<bool, Problem> {
        let word = self.first();
        if word.eq_ignore_ascii_case("on") {
            Ok(true)
        } else if word.eq_ignore_ascii_case("off") {
            Ok(false)
        } else {
            Err(Problem::word(word, "'on' or 'off'"))
        }
    }
}
