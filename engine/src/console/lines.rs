//! Lines about clients, as scripts know them.

use crate::context::Moment;
use crate::report::Shown;
use crate::rules::Policy;
use crate::rules::client_event_limit::by_hand as limits;
use crate::rules::client_limit::by_hand as blocks;
use crate::store::clients::RowId;
use crate::time::Tick;
use std::fmt::Write as _;

/// Returns what is known of a client: `vip=no lowprio=no block=1003/60 limit=0/0`.
pub fn state(policy: &Policy, moment: &Moment<'_>, row: RowId, variable: &[u8]) -> String {
    let standing = moment.store.clients.standing(row, moment.now);
    let (blocked, block_left) = blocks::look(&policy.client_limit, moment, row);
    let (limited, limit_left) = limits::look(&policy.client_event_limit, moment, row, variable);
    let word = |is_so: bool| if is_so { "yes" } else { "no" };
    format!(
        "vip={} lowprio={} block={blocked}/{} limit={limited}/{}",
        word(standing.is_vip),
        word(standing.is_low),
        block_left.0,
        limit_left.0
    )
}

/// Writes a line for each client, in the order of their addresses.
pub fn all(
    policy: &Policy,
    moment: &Moment<'_>,
    epoch: u64,
    variable: &[u8],
    write: &mut dyn FnMut(&str) -> bool,
) {
    let clients = &moment.store.clients;
    // Numbers, not lines: there may be millions of clients. And what others do meanwhile is shown, or not.
    let mut all: Vec<_> = clients.all().collect();
    all.sort_unstable_by_key(|(address, _)| *address);
    let mut line = String::new();
    for (place, (address, row)) in all.into_iter().enumerate() {
        let shown = Shown::new(address, moment.store.prefix);
        let used = epoch_of(last_use(policy, moment, row), moment.now, epoch);
        line.clear();
        let state = state(policy, moment, row, variable);
        // A text takes everything.
        let _ = writeln!(line, "{place:010} {shown} {state} {used}");
        if !write(&line) {
            return;
        }
    }
}

/// When a client was last seen. A mark hides that: then the last moment that is known.
fn last_use(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Tick {
    let (clients, now) = (&moment.store.clients, moment.now);
    clients.last_use(row, now).unwrap_or_else(|| {
        let block = blocks::restraint(&policy.client_limit, moment, row);
        let limits = limits::restraints(&policy.client_event_limit, moment, Some(row));
        let starts = block.into_iter().chain(limits).map(|restraint| restraint.since);
        starts.chain(clients.low_since(row, now)).max().unwrap_or(now)
    })
}

/// Turns a moment of the past into seconds since 1970.
pub fn epoch_of(moment: Tick, now: Tick, epoch: u64) -> u64 {
    epoch.saturating_sub(now.seconds_since(moment).0.into())
}
