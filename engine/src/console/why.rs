//! Which rules hold a client, as things are.

use super::lines::epoch_of;
use super::{Peer, blocks, limits};
use crate::client::address::Network;
use crate::client::target::Target;
use crate::context::Exchange;
use crate::rules::{
    Policy, client_concurrency, client_preference, client_rate, connection_limit, serialize,
};
use crate::store::clients::RowId;
use crate::verdict::Restraint;
use core::fmt;
use std::fmt::Write as _;

/// Returns a line for each rule that would refuse or hold up the client now, or one that says that there is
/// none. Makes no row for it.
pub fn render(
    policy: &Policy,
    exchange: &Exchange<'_>,
    target: &Target<'_>,
    row: Option<RowId>,
) -> String {
    lines(exchange, target.text, restraints(policy, exchange, target, row))
}

/// The same for a network of many clients.
pub fn of_network(
    policy: &Policy,
    exchange: &Exchange<'_>,
    network: Network,
    text: &str,
) -> String {
    let moment = &exchange.moment;
    let found = moment.store.networks.find_whole(network, moment.now).and_then(|block| {
        blocks::restraint_of_network(
            &policy.client_limit,
            moment,
            block,
            policy.busy_watch.per_network(),
        )
    });
    lines(exchange, text, found)
}

fn lines<'p>(
    exchange: &Exchange<'_>,
    who: &str,
    restraints: impl IntoIterator<Item = Restraint<'p>>,
) -> String {
    let (moment, epoch) = (&exchange.moment, exchange.request.arrived_at());
    let mut text = String::new();
    for restraint in restraints {
        let Restraint { directive, variable, count, limit, remaining, since } = restraint;
        let _ = write!(text, "{who} rule={directive}");
        if let Some(variable) = variable {
            let _ = write!(text, "({})", variable.to_string_lossy());
        }
        let since = Utc(epoch_of(since, moment.now, epoch));
        let _ = writeln!(text, " count={count}/{limit} remaining={} since={since}", remaining.0);
    }
    if text.is_empty() {
        let _ = writeln!(text, "{who} rule=none");
    }
    text
}

fn restraints<'p>(
    policy: &'p Policy,
    exchange: &Exchange<'_>,
    target: &Target<'_>,
    row: Option<RowId>,
) -> Vec<Restraint<'p>> {
    let moment = &exchange.moment;
    let peer = Peer(target.seen);
    let mut all: Vec<Restraint<'p>> = Vec::new();
    let is_vip = row.is_some_and(|row| moment.store.clients.is_vip(row));
    if !target.is_made_up {
        let block = row.and_then(|row| blocks::restraint(&policy.client_limit, moment, row));
        all.extend(block.filter(|_| !blocks::is_exempt(&policy.client_limit, peer)));
        let refused = moment.store.networks.find(peer.0, moment.now);
        if let Some(refused) = refused.filter(|_| !blocks::is_exempt(&policy.client_limit, peer)) {
            let (limits, max) = (&policy.client_limit, policy.busy_watch.per_network());
            all.extend(blocks::restraint_of_network(limits, moment, refused.block, max));
        }
        all.extend(client_preference::restraint(&policy.client_preference, moment, row));
        // Counted for each server by itself: here for the one that is asked.
        let scope = exchange.connection.scope;
        let rules = &policy.connection_limit;
        all.extend(connection_limit::restraint(rules, moment, scope, peer, is_vip));
    }
    all.extend(limits::restraints(&policy.client_event_limit, moment, row));
    if let Some(row) = row {
        all.extend(client_rate::restraint(&policy.client_rate, moment, row));
        all.extend(client_concurrency::restraint(&policy.client_concurrency, moment, row));
        all.extend(serialize::restraint(&policy.serialize, moment, row));
    }
    all
}

/// A moment in seconds since 1970, as RFC 3339 writes it.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Years that begin in March, so that a leap day is the last of its year; in eras of 400 years.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + next;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_335_549, "2026-11-22T08:19:09Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
    }
}
