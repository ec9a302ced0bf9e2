//! Blocks that an administrator sets and takes away: the very ones that events set.

use super::{BlockLimit, Policy};
use crate::atomic::Ordering;
use crate::client::address::Network;
use crate::client::identity::Peer;
use crate::context::Moment;
use crate::meter::window::Reading;
use crate::store::clients::RowId;
use crate::store::networks;
use crate::time::{Seconds, Tick};
use crate::verdict::Restraint;

/// Returns what is counted of a client, also when it is over, and for how long it still counts.
pub fn look(policy: &Policy, moment: &Moment<'_>, row: RowId) -> (u32, Seconds) {
    let reading = reading(moment, row);
    let remaining = policy.block.map(|limit| reading.remaining(moment.now, limit.span));
    (reading.count, remaining.unwrap_or(Seconds(0)))
}

/// Blocks the client of a held row from now on.
pub fn block(limit: BlockLimit, moment: &Moment<'_>, row: RowId) {
    set(limit, moment, row, Reading::by_hand(moment.now, limit.max));
}

/// Forgets all events of the client of a held row.
pub fn unblock(moment: &Moment<'_>, row: RowId) {
    if let Some(row) = moment.store.clients.row(row) {
        row.block.reset();
        row.suppressed.store(0, Ordering::Relaxed);
    }
}

/// Blocks the client of a held row until a moment, unless it is blocked for longer already.
pub fn block_until(limit: BlockLimit, moment: &Moment<'_>, row: RowId, end: Tick, count: u32) {
    let known = blocking(limit, moment, row);
    if known.is_some_and(|reading| reading.start.after(limit.span) >= end) {
        return;
    }
    // It may begin before the server did; and later than now, where the list is of a server that blocks for longer.
    set(limit, moment, row, Reading { start: end.before(limit.span), count: count.max(limit.max) });
}

/// Tells whether a client is blocked, whether or not it is exempt.
pub fn restraint(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<Restraint<'static>> {
    let limit = policy.block?;
    let reading = blocking(limit, moment, row)?;
    Some(Restraint {
        directive: "QS_ClientEventBlockCount",
        variable: None,
        count: reading.count,
        limit: limit.max,
        remaining: reading.remaining(moment.now, limit.span),
        since: reading.start.min(moment.now),
    })
}

/// The same for a network that is blocked; `per_network` is what the watch allows it, if it judges networks.
pub fn restraint_of_network(
    policy: &Policy,
    moment: &Moment<'_>,
    block: networks::Block,
    per_network: Option<u32>,
) -> Option<Restraint<'static>> {
    let BlockLimit { max, span, .. } = policy.block?;
    let by_events = "QS_ClientEventBlockCount";
    Some(Restraint {
        directive: per_network.map_or(by_events, |_| "QS_SrvBusyWatch"),
        variable: None,
        count: block.count,
        limit: per_network.unwrap_or(max),
        remaining: block.until.seconds_until(moment.now),
        since: block.until.before(span).min(moment.now),
    })
}

/// Blocks a network from now on. False where too many are blocked for longer.
pub fn block_network(
    limit: BlockLimit,
    moment: &Moment<'_>,
    network: Network,
    per_network: Option<u32>,
) -> bool {
    let (until, max) = (moment.now.after(limit.span), per_network.unwrap_or(limit.max));
    let count = Reading::by_hand(moment.now, max).count;
    let block = networks::Block { network, until, count };
    let is_blocked = moment.store.networks.block(block, moment.now);
    if is_blocked {
        moment.store.networks.note_act();
    }
    is_blocked
}

/// Blocks a network until a moment, unless it is blocked for longer already.
pub fn block_network_until(moment: &Moment<'_>, network: Network, end: Tick, count: u32) -> bool {
    let (networks, now) = (&moment.store.networks, moment.now);
    let is_longer = networks.until(network, now).is_some_and(|until| until >= end);
    is_longer || networks.block(networks::Block { network, until: end, count }, now)
}

/// Returns until when a client is blocked, and by how many events, if it is.
pub fn blocked_until(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<(Tick, u32)> {
    let limit = policy.block?;
    let reading = blocking(limit, moment, row)?;
    Some((reading.start.after(limit.span), reading.count))
}

/// Tells whether a block would hold for a peer.
pub fn is_exempt(policy: &Policy, peer: Peer) -> bool {
    super::is_exempt(policy, peer, &peer.0.to_string())
}

/// What is counted of a client, where it is enough for a block that lasts.
fn blocking(limit: BlockLimit, moment: &Moment<'_>, row: RowId) -> Option<Reading> {
    let reading = reading(moment, row);
    let is_blocked = reading.count >= limit.max && !reading.is_over(moment.now, limit.span);
    is_blocked.then_some(reading)
}

fn reading(moment: &Moment<'_>, row: RowId) -> Reading {
    let row = moment.store.clients.row(row);
    row.map_or(Reading { start: Tick(0), count: 0 }, |row| row.block.look())
}

fn set(limit: BlockLimit, moment: &Moment<'_>, id: RowId, reading: Reading) {
    if let Some(row) = moment.store.clients.row(id) {
        row.block.set(reading);
        moment.store.clients.keep(id, reading.start.after(limit.span));
    }
}
