//! What the console does with networks that are blocked as a whole.

use super::action::Action;
use super::{Page, page, with_row};
use crate::client::address::{Address, Network};
use crate::client::target::Target;
use crate::context::{Exchange, Moment};
use crate::rules::Policy;
use crate::rules::client_limit::by_hand as blocks;
use crate::store::clients::RowId;
use crate::time::Seconds;

/// Does something to a network, which is written as `text`.
pub fn apply(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    action: Action,
    network: Network,
    text: &[u8],
) -> Page {
    let moment = exchange.moment;
    let text = String::from_utf8_lossy(text);
    match action {
        Action::Why => return page(super::why::of_network(policy, exchange, network, &text)),
        Action::Block => {
            if let Some(limit) = policy.client_limit.block
                && !blocks::block_network(limit, &moment, network, policy.busy_watch.per_network())
            {
                return Page { status: 503, ..page("") };
            }
        }
        Action::Unblock => {
            // Larger ones, too: nobody of it is let in while they are refused.
            let is_meant = |known: Network| known.is_within(network) || network.is_within(known);
            moment.store.networks.release(is_meant);
            unblock(policy, exchange, |address, row| {
                // One that was made of a name is in no network, but was never blocked either.
                network.contains(address) && blocks::look(&policy.client_limit, &moment, row).0 > 0
            });
        }
        _ => {}
    }
    match moment.store.networks.find_whole(network, moment.now) {
        None if action == Action::Search => page("not available\n"),
        found => {
            let (count, left) = found.map_or((0, Seconds(0)), |block| {
                (block.count, block.until.seconds_until(moment.now))
            });
            page(format!("{text} vip=no lowprio=no block={count}/{} limit=0/0\n", left.0))
        }
    }
}

/// Forgets the block events of all clients of which this says so; returns how many those are.
pub fn unblock(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    is_meant: impl Fn(Address, RowId) -> bool,
) -> usize {
    let moment = exchange.moment;
    let clients = &moment.store.clients;
    let all: Vec<Address> =
        clients.all().filter(|(address, row)| is_meant(*address, *row)).map(|it| it.0).collect();
    let unblock = |address: &&Address| {
        let target = Target { text: "", seen: **address, address: **address, is_made_up: false };
        with_row(policy, exchange, &target, |exchange, row| blocks::unblock(&exchange.moment, row))
            .is_some()
    };
    all.iter().filter(unblock).count()
}

/// Writes the blocked networks as lines of a block list. One that is a client of the table stands in the list
/// as that, where its block lasts as long.
pub fn dump(policy: &Policy, moment: &Moment<'_>, write: &mut dyn FnMut(&str) -> bool) -> bool {
    let (store, now) = (moment.store, moment.now);
    let is_listed = |network: Network, until| {
        let client = network.address;
        let is_client = !client.is_v4() && network.bits == store.prefix.0;
        let row = store.clients.peek(crate::store::clients::CLIENTS, client);
        is_client
            && row
                .and_then(|row| blocks::blocked_until(&policy.client_limit, moment, row))
                .is_some_and(|(end, _)| end >= until)
    };
    let left = store.networks.all(now).into_iter();
    left.filter(|block| !is_listed(block.network, block.until)).all(|block| {
        let seconds = block.until.seconds_since(now).0;
        write(&format!("{} {seconds} {}\n", block.network, block.count))
    })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
