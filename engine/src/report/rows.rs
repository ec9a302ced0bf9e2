//! What the rules of a server say of themselves: one row for each that counts something. Text, JSON, HTML and
//! metrics are renderings of the same rows.

use super::{Picture, ServerView};
use crate::rules::{client_preference, connection_limit, event_limit, request_limit};
use crate::time::Seconds;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Open connections.
    Connections,
    /// Requests at this moment.
    Requests,
    /// Requests a second.
    RequestsPerSecond,
    /// Kilobytes a second.
    KilobytesPerSecond,
    /// Events within a time.
    Events,
}

impl Unit {
    /// Returns it in words.
    pub fn words(self) -> &'static str {
        match self {
            Unit::Connections => "connections",
            Unit::Requests => "requests",
            Unit::RequestsPerSecond => "requests/s",
            Unit::KilobytesPerSecond => "kB/s",
            Unit::Events => "events",
        }
    }
}

/// One rule, and where it stands. Made by [`Row::new`], so that a row can learn more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The directive.
    pub directive: &'static str,
    /// Its limit.
    pub limit: u64,
    /// The time in which it counts, where that is configured.
    pub span: Option<Seconds>,
    /// What tells it from others of its kind: a location, a pattern, a variable. Empty where there is but one.
    pub rule: String,
    /// What it counts now.
    pub current: u64,
    /// What that is.
    pub unit: Unit,
}

impl Row {
    /// Makes a row.
    pub fn new(directive: &'static str, unit: Unit, limit: u32, current: u32) -> Row {
        let (limit, current) = (limit.into(), current.into());
        Row { directive, limit, span: None, rule: String::new(), current, unit }
    }

    /// Says what tells the rule from others of its kind.
    #[must_use]
    pub fn of(mut self, rule: &str) -> Row {
        rule.clone_into(&mut self.rule);
        self
    }

    /// Says in which time it counts.
    #[must_use]
    pub fn within(mut self, span: Seconds) -> Row {
        self.span = Some(span);
        self
    }

    /// Tells whether it counts connections, not requests.
    pub fn is_of_connections(&self) -> bool {
        self.unit == Unit::Connections
    }

    /// Tells whether as much is there as may be. A limit of 0 is none.
    pub fn is_full(&self) -> bool {
        self.limit > 0 && self.current >= self.limit
    }
}

/// The rows of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusRows(Vec<Row>);

impl StatusRows {
    /// Asks the families, in the order of `?auto` (status-and-console.md 2).
    pub fn of(picture: &Picture<'_>, server: &ServerView<'_>) -> StatusRows {
        let mut rows = StatusRows::default();
        if server.is_sharing_base {
            return rows;
        }
        let policy = server.policy;
        client_preference::status(&policy.client_preference, picture, server, &mut rows);
        request_limit::status(&policy.request_limit, picture, server, &mut rows);
        event_limit::status(&policy.event_limit, picture, server, &mut rows);
        connection_limit::status(&policy.connection_limit, picture, server, &mut rows);
        rows
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    /// Returns the rows in their order.
    pub fn iter(&self) -> core::slice::Iter<'_, Row> {
        self.0.iter()
    }
}
