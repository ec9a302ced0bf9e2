//! What a rule found, and what shall happen.

use crate::log_event::{Fold, LogEvent};

/// What a rule found: it is exceeded. Whether anything is enforced, `phases` decides.
#[derive(Debug)]
pub struct Violation {
    /// The event that tells of it.
    pub event: &'static LogEvent,
    /// The directive.
    pub directive: &'static str,
    /// What is counted: `concurrent connections` or `current`.
    pub measure: &'static str,
    /// The limit.
    pub max: u32,
    /// What was counted.
    pub current: u32,
    /// Whole seconds since the window opened, for rules that have one.
    pub age: Option<u32>,
    /// Which line of a series this is.
    pub fold: Fold,
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
    /// It is denied; the module answers with the configured status or page.
    Deny,
}
