//! The limits as pages show them: what is counted of a client, and whether that is too much.

use super::Policy;
use crate::meter::window::Reading;
use crate::store::Store;
use crate::store::clients::RowId;
use crate::store::columns::Column;
use crate::time::{Seconds, Tick};

/// One limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'p> {
    /// Its directive.
    pub directive: &'static str,
    /// The variable whose events it counts.
    pub variable: &'p str,
    /// So many are too many.
    pub max: u32,
    /// From the first event on.
    pub span: Seconds,
    column: Option<Column>,
}

/// Returns all limits in the order of the configuration.
pub fn all(policy: &Policy) -> impl Iterator<Item = Limit<'_>> {
    policy.rules.iter().map(|rule| Limit {
        directive: rule.directive(),
        variable: rule.written.variable.to_str().unwrap_or("?"),
        max: rule.written.max,
        span: rule.written.span,
        column: rule.column,
    })
}

impl Limit<'_> {
    /// Returns what is counted of a client within its time.
    pub fn reading(&self, store: &Store<'_>, row: RowId, now: Tick) -> Option<Reading> {
        let cell = store.clients.columns().cell(self.column?, row.0)?;
        Some(cell.look().unless_over(now, self.span))
    }

    /// The same of a client that has reached the limit by what it did.
    pub fn reached(&self, store: &Store<'_>, row: RowId, now: Tick) -> Option<Reading> {
        let reading = self.reading(store, row, now)?;
        (reading.count > 0 && reading.count >= self.max).then_some(reading)
    }
}
