//! Connection limits: how many TCP connections a server, and one address, may hold open.
//! Spec: connection.md. Phases: connect (count, judge), respond (keep-alive), disconnect (release).

use crate::atomic::Ordering;
use crate::client::address::Address;
use crate::client::exempt::{self, Exempt};
use crate::client::identity::Peer;
use crate::context::{Connection, Moment};
use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Fold, Level, LogEvent};
use crate::report::rows::{Row, Unit};
use crate::report::{Picture, ServerView, StatusRows};
use crate::store::clients::Hashed;
use crate::store::lease::Lease;
use crate::store::rules::{Finder, Tally};
use crate::store::slots;
use crate::time::Seconds;
use crate::values::{Capacity, MAX_NUMBER, NumberOrPercent, Unreachable, number};
use crate::verdict::{Restraint, Violation, Words};

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    max: Option<u32>,
    close_above: Option<NumberOrPercent>,
    per_address: Option<u32>,
    per_address_from: Option<u32>,
    ignore_vip: Option<bool>,
    exempt: Vec<Exempt>,
    /// One of the three limits stands in this very server, not in its base.
    has_own_limit: bool,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// More open connections of this server than that are refused.
    pub max: Option<u32>,
    /// With more than that a connection is closed after each response.
    pub close_above: Option<u32>,
    /// More of one address than that are refused.
    pub per_address: Option<u32>,
    /// But only while at least so many are open altogether.
    pub per_address_from: u32,
    /// The limit per address holds for VIPs, too.
    pub ignore_vip: bool,
    /// Addresses that the limits pass over.
    pub exempt: Vec<Exempt>,
    /// One of the three limits is written in this very server.
    pub has_own_limit: bool,
    /// Thresholds that can never be reached.
    pub unreachable: Vec<Unreachable>,
    /// Where the limits of the server and of the address count their outcomes.
    tallies: [Tally; 2],
}

/// `mod_qos(030)`
pub static OVER_SERVER_LIMIT: LogEvent = LogEvent {
    number: 30,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_SrvMaxConn rule: max={N}, concurrent connections={n}, c={c}",
    when: "a connection above QS_SrvMaxConn",
};

/// `mod_qos(031)`
pub static OVER_ADDRESS_LIMIT: LogEvent = LogEvent {
    number: 31,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)| (previously)}, QS_SrvMaxConnPerIP rule: max={N}, concurrent connections={n}{, message repeated {k} times}, c={c}",
    when: "a connection above QS_SrvMaxConnPerIP; after 20 in a row every 20th tells of the others",
};

/// `mod_qos(300)`
pub static UNREACHABLE: LogEvent = LogEvent {
    number: 300,
    level: Level::Notice,
    is_counted: false,
    format: "{directive}: threshold {n} cannot be reached, at most {max} connections are possible",
    when: "start",
};

/// `mod_qos(302)`
pub static SHARED_COUNTERS: LogEvent = LogEvent {
    number: 302,
    level: Level::Notice,
    is_counted: false,
    format: "{host}:{port} shares its counters with {host}:{port}",
    when: "start, for a virtual host with directives of this module but no connection limit of its own; and for one without any, where requests are limited",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] =
    &[&OVER_SERVER_LIMIT, &OVER_ADDRESS_LIMIT, &UNREACHABLE, &SHARED_COUNTERS];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_SrvMaxConn",
            arguments: c"<connections>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "1 to 2147483647",
            default: "no limit",
            help: "How many TCP connections this server may hold open, idle ones included. The next one \
                   is closed without an answer (event 030).",
            spec: "connection.md QS_SrvMaxConn",
        },
        set: |settings, arguments| {
            settings.max = Some(number(arguments.first(), 1, MAX_NUMBER)?);
            settings.has_own_limit = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvMaxConnClose",
            arguments: c"<connections>[%]",
            arity: Arity::One,
            scope: Scope::Server,
            range: "1 to 2147483647, or 1% to 99% of the connections that can be served",
            default: "never",
            help: "With more open connections than that, keep-alive is switched off: each connection is \
                   closed after its response, an HTTP/2 connection once its streams are done.",
            spec: "connection.md QS_SrvMaxConnClose",
        },
        set: |settings, arguments| {
            settings.close_above = Some(NumberOrPercent::parse(arguments.first(), 99)?);
            settings.has_own_limit = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvMaxConnPerIP",
            arguments: c"<connections> [<all connections>]",
            arity: Arity::OneOrTwo,
            scope: Scope::Server,
            range: "1 to 2147483647; from 0 for the second number",
            default: "no limit; always, without the second number",
            help: "How many TCP connections one address may hold open while the whole server has at least \
                   so many. The next one is closed without an answer (event 031).",
            spec: "connection.md QS_SrvMaxConnPerIP",
        },
        set: |settings, arguments| {
            let max = number(arguments.first(), 1, MAX_NUMBER)?;
            let from = arguments.second().map(|word| number(word, 0, MAX_NUMBER)).transpose()?;
            settings.per_address = Some(max);
            settings.per_address_from = from;
            settings.has_own_limit = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvMaxConnExcludeIP",
            arguments: c"<address>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "an address, the beginning of one up to a '.' or ':', or a network in CIDR form",
            default: "none",
            help: "An address that the connection limits pass over. May be repeated; a virtual host adds \
                   to those of the base server.",
            spec: "connection.md QS_SrvMaxConnExcludeIP",
        },
        set: |settings, arguments| {
            settings.exempt.push(Exempt::parse(arguments.first())?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvMaxConnPerIPIgnoreVIP",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::Server,
            range: "on, off",
            default: "off",
            help: "Applies QS_SrvMaxConnPerIP to privileged and excluded addresses, too.",
            spec: "connection.md QS_SrvMaxConnPerIPIgnoreVIP",
        },
        set: |settings, arguments| {
            settings.ignore_vip = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
];

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            max: self.max.or(base.max),
            close_above: self.close_above.or(base.close_above),
            // Number and threshold separately (model.md 8).
            per_address: self.per_address.or(base.per_address),
            per_address_from: self.per_address_from.or(base.per_address_from),
            ignore_vip: self.ignore_vip.or(base.ignore_vip),
            exempt: base.exempt.iter().chain(&self.exempt).cloned().collect(),
            has_own_limit: self.has_own_limit,
        }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let close_above = settings.close_above.map(|limit| limit.of(capacity.max_clients));
        let per_address_from = settings.per_address_from.unwrap_or(0);
        let unreachable = [
            ("QS_SrvMaxConnPerIP", settings.per_address.map(|_| per_address_from)),
            ("QS_SrvMaxConnClose", close_above),
        ]
        .into_iter()
        .filter_map(|(directive, threshold)| capacity.unreachable(directive, threshold?))
        .collect();
        Policy {
            max: settings.max,
            close_above,
            per_address: settings.per_address,
            per_address_from,
            ignore_vip: settings.ignore_vip.unwrap_or(false),
            exempt: settings.exempt.clone(),
            has_own_limit: settings.has_own_limit,
            unreachable,
            tallies: Default::default(),
        }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        let [server, address] = &mut self.tallies;
        if self.max.is_some() {
            *server = finder.of_server("QS_SrvMaxConn", "");
        }
        if self.per_address.is_some() {
            *address = finder.of_server("QS_SrvMaxConnPerIP", "");
        }
    }
}

/// Counts a new connection, whatever becomes of it, and notes what it saw.
pub fn count(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &mut Connection,
    hashed: Option<Hashed>,
) {
    let store = moment.store;
    // Not `leases`: the numbers of the same connection are written meanwhile.
    let record = connection.record.and_then(|id| store.children.record(id));
    let record = record.unwrap_or(&connection.own);
    if let Some(counter) = store.scopes.connections(slots::ALL) {
        connection.all_connections = record.all.take(counter, slots::ALL).unwrap_or(u32::MAX);
    }
    if let Some(counter) = store.scopes.connections(connection.scope) {
        connection.server_connections =
            record.scope.take(counter, connection.scope).unwrap_or(u32::MAX);
    }
    if policy.per_address.is_some() {
        let address = || connection.peer.counted(store.prefix);
        let held = store.peers.hold_hashed(
            connection.scope,
            hashed.unwrap_or_else(|| store.peers.hash(address())),
            &record.peer,
            moment.child.number(),
            moment.now,
        );
        connection.peer_row = held.map(|held| held.row);
        // No row is "over the limit", never "no limit".
        connection.address_connections = Some(held.map_or(u32::MAX, |held| held.connections));
    }
}

/// Tells whether an address is exempt; `text` is the address as httpd writes it.
pub fn is_exempt(policy: &Policy, connection: &Connection, text: &dyn AsRef<str>) -> bool {
    exempt::contains(&policy.exempt, connection.peer.0, text)
}

/// The same for an address of which no more is known.
pub fn is_address_exempt(policy: &Policy, address: Address, text: &dyn AsRef<str>) -> bool {
    exempt::contains(&policy.exempt, address, text)
}

/// Judges a connection against the limit of its server.
pub fn judge_server(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
) -> Option<Violation> {
    let max = policy.max?;
    let current = connection.server_connections;
    let found = (current > max && !connection.is_vip)
        .then(|| Violation::new(&OVER_SERVER_LIMIT, words("QS_SrvMaxConn", max, current)));
    let [tally, _] = policy.tallies;
    Violation::or_pass(found, tally, &moment.store.rules)
}

/// Judges a connection against the limit of its address.
pub fn judge_address(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
) -> Option<Violation> {
    let max = policy.per_address?;
    let current = connection.address_connections?;
    if connection.all_connections < policy.per_address_from {
        return None;
    }
    let is_over = current > max && (!connection.is_vip || policy.ignore_vip);
    let found = is_over.then(|| {
        let row = connection.peer_row.and_then(|row| moment.store.peers.row(row));
        let denials = row.map_or(1, |row| row.suppressed.fetch_add(1, Ordering::Relaxed) + 1);
        over_address_limit(max, current, Fold::of(denials))
    });
    let [_, tally] = policy.tallies;
    Violation::or_pass(found, tally, &moment.store.rules)
}

/// Tells whether an address's next connection to a server would be refused.
pub fn restraint(
    policy: &Policy,
    moment: &Moment<'_>,
    scope: u32,
    peer: Peer,
    is_vip: bool,
) -> Option<Restraint<'static>> {
    let (limit, store) = (policy.per_address?, moment.store);
    let row = store.peers.row(store.peers.peek(scope, peer.counted(store.prefix))?)?;
    let count = row.open_connections();
    let is_vip = is_vip || exempt::contains(&policy.exempt, peer.0, &peer.0.to_string());
    let is_busy = store.scopes.open(slots::ALL).saturating_add(1) >= policy.per_address_from;
    (count >= limit && is_busy && (!is_vip || policy.ignore_vip)).then_some(Restraint {
        directive: "QS_SrvMaxConnPerIP",
        variable: None,
        count,
        limit,
        remaining: Seconds(0),
        since: moment.now,
    })
}

/// Ends a series of denials: this connection of the address is let through. Returns what has not been
/// told of yet.
pub fn end_series(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
) -> Option<Violation> {
    let row = moment.store.peers.row(connection.peer_row?)?;
    if row.suppressed.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let rest = Fold::rest(row.suppressed.swap(0, Ordering::Relaxed))?;
    let current = connection.address_connections?;
    Some(over_address_limit(policy.per_address?, current, Fold::Repeated(rest)))
}

fn over_address_limit(max: u32, current: u32, fold: Fold) -> Violation {
    let words = words("QS_SrvMaxConnPerIP", max, current);
    Violation { fold, ..Violation::of_client(&OVER_ADDRESS_LIMIT, words) }
}

fn words(directive: &'static str, max: u32, current: u32) -> Words {
    Words::Counted { directive, measure: "concurrent connections", max, current, age: None }
}

/// Tells whether a server has so many connections that this one shall not be kept.
pub fn is_keep_alive_off(policy: &Policy, moment: &Moment<'_>, scope: u32) -> bool {
    policy.close_above.is_some_and(|limit| moment.store.scopes.open(scope) > limit)
}

/// Tells pages where the limits of the server stand; addresses have lines of their own.
pub fn status(
    policy: &Policy,
    picture: &Picture<'_>,
    server: &ServerView<'_>,
    out: &mut StatusRows,
) {
    if !server.has_own_connection_counters {
        return;
    }
    let current = server.connections(picture);
    for (directive, limit) in
        [("QS_SrvMaxConn", policy.max), ("QS_SrvMaxConnClose", policy.close_above)]
    {
        if let Some(limit) = limit {
            out.push(Row::new(directive, Unit::Connections, limit, current));
        }
    }
}

/// Gives back what [`count`] took.
pub fn release(moment: &Moment<'_>, connection: &Connection) {
    let store = moment.store;
    let record = connection.leases(moment.store);
    if let Some(row) = connection.peer_row {
        store.peers.keep_no_longer(row, moment.now);
        store.peers.give(row, &record.peer, moment.now);
    }
    for (lease, scope) in [(&record.scope, connection.scope), (&record.all, slots::ALL)] {
        if let (Lease::Held(_), Some(counter)) = (lease.look(), store.scopes.connections(scope)) {
            lease.give(counter, scope);
        }
    }
}
