//! Once a second, in the server's helper process: is the server busy, and who is to blame?

use crate::client::address::{Address, Network, PrefixBits};
use crate::client::identity::{Client, Peer};
use crate::context::{Connection, Marks, Moment};
use crate::log_event::{self, Denial, Details, Fold, LogSink};
use crate::report::Workers;
use crate::rules::busy_watch::{
    self, ADDRESS, BEGINS, Findings, IS_OVER, NETWORK, Offender, Tally,
};
use crate::rules::client_limit::{self, by_hand};
use crate::rules::{Policy, connection_limit};
use crate::store::clients::CLIENTS;
use crate::store::episode::Told;
use crate::store::loans::Purse;
use crate::store::networks;
use crate::store::recent::Denied;
use crate::store::slots;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the engine cannot do itself.
pub trait Hands {
    /// Saves a picture; returns the path of its file, if one is to be had.
    fn save(&mut self, picture: &str) -> Option<String>;
    /// Reports an address to syslog.
    fn report(&mut self, address: Address);
}

/// Looks at the server. `workers` is what httpd's scoreboard says, `servers` are the rules of all of them,
/// the base server first.
pub fn watch(
    servers: &[&Policy],
    moment: &Moment<'_>,
    workers: &Workers,
    hands: &mut dyn Hands,
    sink: &mut dyn LogSink,
) {
    let Some(policy) = servers.first() else { return };
    let Some(watch) = policy.busy_watch.watch else { return };
    let open = moment.store.scopes.open(slots::ALL);
    let busy = workers.busy().max(open);
    let mut all = Tally::default();
    let count = || {
        all = Tally::of(moment.store.children.holders());
        let is_judged = |address: &Address| !is_exempt(servers, *address);
        Tally(all.0.iter().filter(|(who, _)| is_judged(who)).map(|(a, n)| (*a, *n)).collect())
    };
    let episode = &moment.store.episode;
    let mut state = episode.state();
    let findings = busy_watch::look(&watch, moment.now, busy, count, &mut state);
    episode.set(state);
    if let Some(seconds) = findings.over_after {
        let text = format_args!("QS_SrvBusyWatch: over after {} seconds, busy={busy}", seconds.0);
        log_event::note(&IS_OVER, text, None, sink);
    }
    let is_log_only = policy.server.is_log_only;
    let members = members(&watch, &findings);
    // Before all else, which may be slow: files, the log, syslog.
    if !is_log_only {
        act(policy, moment, &findings, &members);
    }
    if findings.begins {
        let file = hands.save(&picture(&all, &watch, workers, (busy, open)));
        let text = format_args!(
            "QS_SrvBusyWatch: busy={busy}, threshold={}, addresses={}, networks={}, file={}",
            watch.threshold,
            findings.addresses.len(),
            findings.networks.len(),
            file.as_deref().unwrap_or("-"),
        );
        log_event::note(&BEGINS, text, None, sink);
    }
    let hash = |address: Address| moment.store.clients.hash(address);
    // Noted when it is done: should this process die, the next one tells of one of them once more at most.
    for offender in &findings.addresses {
        let (who, told) = (hash(offender.who), Told::Address { is_log_only });
        if episode.knows(who, told) {
            continue;
        }
        tell_of_address(moment, watch.per_address, offender, is_log_only, sink);
        if !is_log_only && !episode.knows(who, Told::Member) {
            hands.report(offender.who);
        }
        episode.note(who, told);
    }
    for offender in &findings.networks {
        let Network { address, bits } = offender.who;
        let (who, told) = (hash(address), Told::Network { bits, is_log_only });
        if episode.knows(who, told) {
            continue;
        }
        tell_of_network(moment, watch.per_network.unwrap_or(0), offender, is_log_only, sink);
        // fail2ban wants addresses: all that are here now.
        let members = members.get(&offender.who).filter(|_| !is_log_only);
        for member in members.into_iter().flatten() {
            let who = hash(*member);
            let is_told = |told| episode.knows(who, told);
            if !is_told(Told::Address { is_log_only }) && !is_told(Told::Member) {
                hands.report(*member);
                episode.note(who, Told::Member);
            }
        }
        episode.note(who, told);
    }
}

/// The addresses of each network that holds too much.
fn members(watch: &busy_watch::Watch, findings: &Findings) -> BTreeMap<Network, Vec<Address>> {
    let mut members: BTreeMap<Network, Vec<Address>> =
        findings.networks.iter().map(|offender| (offender.who, Vec::new())).collect();
    for who in findings.judged.0.keys().filter(|_| !findings.networks.is_empty()) {
        if let Some(list) = members.get_mut(&who.network(watch.bits.0, watch.bits.1)) {
            list.push(*who);
        }
    }
    members
}

/// Blocks offenders; with a network all of it that is here now, so that their open connections end, too.
fn act(
    policy: &Policy,
    moment: &Moment<'_>,
    findings: &Findings,
    members: &BTreeMap<Network, Vec<Address>>,
) {
    let mut has_acted = false;
    for offender in &findings.networks {
        has_acted |= block_network(policy, moment, offender);
    }
    let addresses = findings.addresses.iter().map(|offender| &offender.who);
    for address in addresses.chain(members.values().flatten()) {
        has_acted |= block(policy, moment, *address);
    }
    if has_acted {
        moment.store.networks.note_act();
    }
}

/// For how many seconds after the watch has acted open connections are looked at: who has just passed the
/// door when it was shut is found by the second look.
const LOOKS: u32 = 3;

/// Which acts of the watch a child has heard of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    acts: u64,
    looks: u32,
}

impl Heard {
    /// Tells whether a child has to look for connections of those who are blocked; to be asked once a second.
    pub fn news(&mut self, moment: &Moment<'_>) -> bool {
        let acts = moment.store.networks.acts();
        if acts != self.acts {
            *self = Heard { acts, looks: LOOKS };
        }
        let has_to_look = self.looks > 0;
        self.looks = self.looks.saturating_sub(1);
        has_to_look
    }
}

/// Tells whether an open connection shall end, since it is of somebody who is blocked.
pub fn ends(policy: &Policy, moment: &Moment<'_>, connection: &Connection) -> bool {
    !policy.server.is_log_only
        && client_limit::is_blocked(&policy.client_limit, moment, connection)
        && connection.marks.set(Marks::CUT_OFF)
}

/// Tells whether some server's lists pass over an address.
fn is_exempt(servers: &[&Policy], address: Address) -> bool {
    let text = address.to_string();
    servers.iter().any(|policy| {
        client_limit::is_exempt(&policy.client_limit, Peer(address), &text)
            || connection_limit::is_address_exempt(&policy.connection_limit, address, &text)
    })
}

fn tell_of_address(
    moment: &Moment<'_>,
    max: u32,
    offender: &Offender<Address>,
    is_log_only: bool,
    sink: &mut dyn LogSink,
) {
    let client = Client::of(Peer(offender.who));
    let current = offender.connections;
    let details = Details {
        rule: format_args!("QS_SrvBusyWatch rule: max={max}, current={current}"),
        fold: Fold::Full,
        client,
        // An address is counted whole here.
        prefix: PrefixBits::WHOLE,
        id: None,
        country: None,
    };
    let denial = if is_log_only { Denial::LogOnly } else { Denial::Enforced };
    log_event::denial(&ADDRESS, denial, &details, &moment.store.totals, sink);
    let (when, address) = (moment.now, offender.who);
    moment.store.recent.note(Denied { when, event: ADDRESS.number, is_log_only, address });
}

fn tell_of_network(
    moment: &Moment<'_>,
    max: u32,
    offender: &Offender<Network>,
    is_log_only: bool,
    sink: &mut dyn LogSink,
) {
    let beginning = if is_log_only { "access denied (log only)" } else { "access denied" };
    let Offender { who, connections, .. } = offender;
    let text = format_args!(
        "{beginning}, QS_SrvBusyWatch rule: max={max}, current={connections}, net={who}"
    );
    log_event::note(&NETWORK, text, Some(&moment.store.totals), sink);
}

/// Blocks an address, unless it is blocked already; an IPv6 address with its prefix.
fn block(policy: &Policy, moment: &Moment<'_>, address: Address) -> bool {
    let Some(limit) = policy.client_limit.block else { return false };
    let (store, now) = (moment.store, moment.now);
    let counted = Peer(address).counted(store.prefix);
    let mut purse = Purse::default();
    let mut is_new = false;
    if let Some(held) = store.hold_client(&mut purse, moment.child, CLIENTS, counted, now) {
        is_new = by_hand::blocked_until(&policy.client_limit, moment, held.row).is_none();
        if is_new {
            by_hand::block(limit, moment, held.row);
        }
        let end = client_limit::worth(&policy.client_limit, moment, held.row).unwrap_or(now);
        store.give_client(&mut purse, held.row, end, now);
    }
    store.give_all(&mut purse, now);
    is_new
}

/// Blocks a network, unless it is blocked already. Where there is no room its addresses are blocked all the same.
fn block_network(policy: &Policy, moment: &Moment<'_>, offender: &Offender<Network>) -> bool {
    let (networks, now) = (&moment.store.networks, moment.now);
    let Some(limit) = policy.client_limit.block else { return false };
    let network = offender.who;
    let block =
        networks::Block { network, until: now.after(limit.span), count: offender.connections };
    networks.until(network, now).is_none() && networks.block_if_room(block, now)
}

/// Draws a picture: comments, then a line for each address and for each network of several addresses,
/// as `qostally` writes them.
fn picture(
    all: &Tally,
    watch: &busy_watch::Watch,
    workers: &Workers,
    (busy, open): (u32, u32),
) -> String {
    let mut text = String::from("# mod_qos busy watch 1\n");
    let mut line = |words: core::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    line(format_args!("# busy={busy} threshold={} connections={open}", watch.threshold));
    let states = workers.states().map(|(name, count)| format!("{name}={count}")).join(" ");
    line(format_args!("# workers: {states}"));
    let mut addresses: Vec<_> = all.0.iter().collect();
    addresses.sort_by_key(|(_, count)| core::cmp::Reverse(**count));
    line(format_args!("# addresses"));
    for (address, count) in addresses {
        line(format_args!("{address} {count}"));
    }
    let mut networks: Vec<_> = all.networks(watch.bits).into_iter().collect();
    networks.retain(|(_, (_, addresses))| *addresses > 1);
    networks.sort_by_key(|(_, (connections, _))| core::cmp::Reverse(*connections));
    line(format_args!("# networks of several addresses"));
    for (network, (connections, _)) in networks {
        line(format_args!("{network} {connections}"));
    }
    text
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
