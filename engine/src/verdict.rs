//! What a rule found, and what shall happen.

use crate::client::countries::Country;
use crate::client::identity::Client;
use crate::log_event::{Fold, LogEvent};
use crate::store::rules::{Outcome, Rules, Tally};
use crate::time::{Seconds, Tick};
use core::ffi::CStr;
use core::fmt;

/// What a rule found: it is exceeded. Whether anything is enforced, `phases` decides.
#[derive(Debug)]
pub struct Violation {
    /// The event that tells of it.
    pub event: &'static LogEvent,
    /// What the line says of the rule.
    pub words: Words,
    /// Which line of a series this is.
    pub fold: Fold,
    /// The status of the answer where it is not that of `QS_ErrorResponseCode`; an error page has that one
    /// all the same.
    pub status: Option<u16>,
    /// The client's country, for a rule that asked for it: it stands behind the address.
    pub country: Option<Country>,
    /// Whose fault it is, where that is not the peer.
    pub client: Option<Client>,
    /// What was counted is the client's own, so that an IPv6 address was cut to its prefix: the line says to
    /// which.
    pub is_of_client: bool,
    /// Where the rule counts what becomes of it.
    pub tally: Tally,
}

impl Violation {
    /// A violation that is told of in full, and answered like most.
    pub fn new(event: &'static LogEvent, words: Words) -> Violation {
        Violation {
            event,
            words,
            fold: Fold::Full,
            status: None,
            country: None,
            client: None,
            is_of_client: false,
            tally: Tally::default(),
        }
    }

    /// The same, as the finding of a rule that counts for each client.
    pub fn of_client(event: &'static LogEvent, words: Words) -> Violation {
        Violation { is_of_client: true, ..Violation::new(event, words) }
    }

    /// The same, as the finding of a rule that counts its outcomes.
    #[must_use]
    pub fn by(self, tally: Tally) -> Violation {
        Violation { tally, ..self }
    }

    /// The word of a rule that has counted something: where it found nothing, that is counted here; what
    /// becomes of a violation, `phases` says.
    pub fn or_pass(found: Option<Violation>, tally: Tally, rules: &Rules<'_>) -> Option<Violation> {
        if found.is_none() {
            rules.count(tally, Outcome::Pass);
        }
        found.map(|violation| violation.by(tally))
    }

    /// The same, as the fault of whom a header says.
    #[must_use]
    pub fn of(self, client: Client) -> Violation {
        Violation { client: Some(client), ..self }
    }
}

/// A rule that refuses, or holds up, a client as things are: for who asks why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restraint<'p> {
    /// The directive.
    pub directive: &'static str,
    /// The variable that it counts, where there are several.
    pub variable: Option<&'p CStr>,
    /// What was counted.
    pub count: u32,
    /// The limit.
    pub limit: u32,
    /// For so long still, 0 where nobody knows.
    pub remaining: Seconds,
    /// Since when: now, where nobody knows.
    pub since: Tick,
}

/// What a denial's line says between its beginning and the client's address.
#[derive(Debug)]
pub enum Words {
    /// `<directive> rule: max=<max>, <measure>=<current>[, age=<age>]`. No allocation: refused
    /// connections are told of so.
    Counted {
        /// The directive.
        directive: &'static str,
        /// What is counted: `concurrent connections` or `current`.
        measure: &'static str,
        /// The limit.
        max: u32,
        /// What was counted.
        current: u32,
        /// Whole seconds since the window opened, for rules that have one.
        age: Option<u32>,
    },
    /// Those of `QS_ClientPrefer`.
    Penalty {
        /// How much less welcome the client is.
        penalty: u32,
        /// What is known of it.
        flags: u8,
        /// The limit.
        max: u32,
        /// What was counted.
        current: u32,
    },
    /// Any other words. What a client chose in them is escaped by httpd's logger.
    Text(String),
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Words::Counted { directive, measure, max, current, age } => {
                write!(f, "{directive} rule: max={max}, {measure}={current}")?;
                age.map_or(Ok(()), |age| write!(f, ", age={age}"))
            }
            Words::Penalty { penalty, flags, max, current } => write!(
                f,
                "QS_ClientPrefer rule (penalty={penalty} {flags:#04x}): max={max}, \
                 concurrent connections={current}"
            ),
            Words::Text(text) => f.write_str(text),
        }
    }
}

/// What shall happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is closed without an answer.
    Close,
}

/// What shall happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on.
    Pass,
    /// It is denied: the module answers with this status, or with the configured page.
    Deny(u16),
}
