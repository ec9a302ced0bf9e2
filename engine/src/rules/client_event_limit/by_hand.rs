//! Limits that an administrator sets and takes away: the very ones that events reach.

use super::{Policy, Rule};
use crate::context::Moment;
use crate::meter::window::Reading;
use crate::store::clients::RowId;
use crate::time::Seconds;
use crate::verdict::Restraint;

/// What happens to the events of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The limit is reached, from now on.
    Reach,
    /// They are forgotten.
    Forget,
    /// There is one more.
    Add,
}

/// Returns what is counted of a client, also when it is over, and for how long it still counts; nothing
/// where no limit counts this variable.
pub fn look(policy: &Policy, moment: &Moment<'_>, row: RowId, variable: &[u8]) -> (u32, Seconds) {
    let look = |rule: &Rule| {
        let reading = rule.cell(moment, row)?.look();
        Some((reading.count, reading.remaining(moment.now, rule.written.span)))
    };
    find(policy, variable).and_then(look).unwrap_or((0, Seconds(0)))
}

/// Changes what is counted of the client of a held row; nothing where no limit counts this variable.
pub fn change(policy: &Policy, moment: &Moment<'_>, row: RowId, variable: &[u8], change: Change) {
    let Some(rule) = find(policy, variable) else { return };
    let Some(cell) = rule.cell(moment, row) else { return };
    match change {
        Change::Reach => {
            cell.set(Reading::by_hand(moment.now, rule.written.max));
            moment.store.clients.keep(row, moment.now.after(rule.written.span));
        }
        Change::Forget => cell.reset(),
        Change::Add => {
            rule.add(moment, row, cell, 1);
        }
    }
}

/// Returns the limits that a client has reached; one without a row only those of no event at all.
pub fn restraints<'p>(
    policy: &'p Policy,
    moment: &Moment<'_>,
    row: Option<RowId>,
) -> Vec<Restraint<'p>> {
    let restraint = |rule: &'p Rule| {
        let span = rule.written.span;
        let cell = row.and_then(|row| rule.cell(moment, row));
        let reading = cell.map(|cell| cell.look().unless_over(moment.now, span));
        let (count, start) = reading.map_or((0, moment.now), |r| (r.count, r.start));
        (count >= rule.written.max).then(|| Restraint {
            directive: rule.directive(),
            variable: Some(rule.written.variable.as_c_str()),
            count,
            limit: rule.written.max,
            remaining: reading.map_or(Seconds(0), |reading| reading.remaining(moment.now, span)),
            since: if count == 0 { moment.now } else { start },
        })
    };
    policy.rules.iter().filter_map(restraint).collect()
}

fn find<'p>(policy: &'p Policy, variable: &[u8]) -> Option<&'p Rule> {
    let is_it = |rule: &&Rule| rule.written.variable.as_bytes().eq_ignore_ascii_case(variable);
    policy.rules.iter().find(is_it)
}
