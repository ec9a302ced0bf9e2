//! Limits on what one client may do: here, how many block events before it is refused for a time.
//! Spec: client.md, QS_ClientEventBlockCount. Phases: arrive (judge), connect (hold the client's row),
//! admit (count, judge), finish (count), disconnect (count, release).

pub mod by_hand;

use crate::atomic::Ordering;
use crate::client::exempt::{self, Exempt};
use crate::client::identity::Peer;
use crate::context::{Connection, Exchange, Letter, Moment, RequestView};
use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Fold, Level, LogEvent};
use crate::meter::window::Reading;
use crate::report::Picture;
use crate::store::clients::{CLIENTS, Hashed, Row, RowId};
use crate::store::marks::flag;
use crate::store::rules::{Finder, Outcome, Tally};
use crate::time::{Seconds, Tick};
use crate::values::{Capacity, MAX_NUMBER, number, points, seconds};
use crate::verdict::{Violation, Words};
use core::ffi::CStr;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    block: Option<(u32, Seconds)>,
    exempt: Vec<Exempt>,
}

/// Nothing of this family stands in a location, or is kept for a request.
pub type LocationSettings = ();
/// See above.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// So many block events, since the first of them, refuse a client until the span is over.
    pub block: Option<BlockLimit>,
    /// Addresses that are never refused, though counted.
    pub exempt: Vec<Exempt>,
    /// `QS_ClientEventBlockCount` is configured: events do block.
    counts_events: bool,
    reads_early: bool,
    reads_late: bool,
    reads_decrement: bool,
}

/// `QS_ClientEventBlockCount`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimit {
    /// This many events block.
    pub max: u32,
    /// From the first event on.
    pub span: Seconds,
    /// Where outcomes are counted.
    tally: Tally,
}

/// `mod_qos(060)`
pub static BLOCKED: LogEvent = LogEvent {
    number: 60,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)| (previously)}, QS_ClientEventBlockCount rule: max={N}, current={n}{, age={s}|, message repeated {k} times}, c={c}{, id={id}}",
    when: "a connection, or a request on a connection that was open already, of a blocked client; refused connections are told of like those of 031",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&BLOCKED];

/// How long a block lasts where no time is written.
const DEFAULT_SPAN: Seconds = Seconds(600);

const BLOCK: &CStr = c"QS_Block";
const BLOCK_SEEN: &CStr = c"QS_Block_seen";
const BLOCK_DECREMENT: &CStr = c"QS_Block_Decrement";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientEventBlockCount",
            arguments: c"<events> [<seconds>]",
            arity: Arity::OneOrTwo,
            scope: Scope::BaseServer,
            range: "0 to 2147483647 events, 0 switches the rule off; 1 to 2147483647 seconds",
            default: "off; with one argument 600 seconds",
            help: "Refuses a client that has caused so many block events (the variable QS_Block, and what \
                   QS_SetEnvIfStatus makes of statuses and connections): its connections are closed \
                   before any TLS handshake, until so many seconds after the first of them (event 060).",
            spec: "client.md QS_ClientEventBlockCount",
        },
        set: |settings, arguments| {
            let max = number(arguments.first(), 0, MAX_NUMBER)?;
            let span = arguments.second().map(seconds).transpose()?;
            settings.block = Some((max, span.unwrap_or(DEFAULT_SPAN)));
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientEventBlockExcludeIP",
            arguments: c"<address>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "an address, the beginning of one up to a '.' or ':', or a network in CIDR form",
            default: "none",
            help: "An address that is never refused by QS_ClientEventBlockCount, though its events are \
                   counted. May be repeated.",
            spec: "client.md QS_ClientEventBlockExcludeIP",
        },
        set: |settings, arguments| {
            settings.exempt.push(Exempt::parse(arguments.first())?);
            Ok(())
        },
        set_in_location: None,
    },
];

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        let block = settings.block.filter(|(max, _)| *max > 0);
        Policy {
            block: block.map(|(max, span)| BlockLimit { max, span, tally: Tally::default() }),
            exempt: settings.exempt.clone(),
            counts_events: block.is_some(),
            reads_early: true,
            reads_late: true,
            reads_decrement: true,
        }
    }

    /// Makes blocks possible for rules that set them without counting events: no number of events does.
    pub fn allow_blocks(&mut self) {
        let (max, span) = (MAX_NUMBER, DEFAULT_SPAN);
        self.block.get_or_insert(BlockLimit { max, span, tally: Tally::default() });
    }

    /// Tells whether events block a client.
    pub fn counts_events(&self) -> bool {
        self.counts_events
    }

    /// Asks only for variables that can be set at all.
    pub fn bind(&mut self, is_used: &dyn Fn(&CStr) -> bool, is_set_early: &dyn Fn(&CStr) -> bool) {
        self.reads_early = is_set_early(BLOCK);
        self.reads_late = is_used(BLOCK);
        self.reads_decrement = is_used(BLOCK_DECREMENT);
    }

    /// Tells whether anything of a request can count when it is logged.
    pub fn reads_when_logged(&self) -> bool {
        self.block.is_some() && (self.reads_late || self.reads_decrement)
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if let Some(limit) = &mut self.block {
            limit.tally = finder.of_all("QS_ClientEventBlockCount", "");
        }
    }
}

/// Tells whether an address is never refused; `text` is the address as httpd writes it.
pub fn is_exempt(policy: &Policy, peer: Peer, text: &dyn AsRef<str>) -> bool {
    !policy.exempt.is_empty() && exempt::contains(&policy.exempt, peer.0, text)
}

/// What a look at a blocked, or no longer blocked, client gives.
pub enum Finding {
    /// It is blocked.
    Blocked(Violation),
    /// Its block has just ended; so many lines have not been told of.
    Ended(Option<Violation>),
}

/// Returns how many clients are blocked now.
pub fn blocked_clients(policy: &Policy, picture: &Picture<'_>) -> usize {
    let Some(limit) = policy.block else { return 0 };
    let clients = &picture.store.clients;
    let is_blocked = |row: &&Row| {
        let reading = row.block.look();
        reading.count >= limit.max && !reading.is_over(picture.now, limit.span)
    };
    clients.all().filter_map(|(_, id)| clients.row(id)).filter(is_blocked).count()
}

/// Judges a new connection by its peer's row, without taking anything.
pub fn judge_arrival(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    text: &dyn AsRef<str>,
) -> Option<Finding> {
    let limit = policy.block?;
    let address = peer.counted(moment.store.prefix);
    let row = moment.store.clients.row(moment.store.clients.peek(CLIENTS, address)?)?;
    let reading = row.block.look();
    if reading.count < limit.max {
        return None;
    }
    if reading.is_over(moment.now, limit.span) {
        return row.block.clear(reading).then(|| Finding::Ended(end_series(limit, row, reading)));
    }
    if is_exempt(policy, peer, text) {
        return None;
    }
    let denials = row.suppressed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    Some(Finding::Blocked(blocked(moment, limit, reading, Fold::of(denials))))
}

/// Judges a new connection by the networks that are blocked as a whole. `is_exempt` says whether it is of
/// somebody whom connection limits pass over.
pub fn judge_network(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    text: &dyn AsRef<str>,
    is_exempt: &dyn Fn() -> bool,
) -> Option<Violation> {
    let limit = policy.block?;
    let networks = &moment.store.networks;
    let refused = networks.find(peer.0, moment.now)?;
    if self::is_exempt(policy, peer, text) || is_exempt() {
        return None;
    }
    let reading = Reading { start: refused.block.until.before(limit.span), count: limit.max };
    Some(blocked(moment, limit, reading, Fold::of(networks.deny(refused))))
}

/// Tells whether an open connection is of somebody who is blocked: by himself, or with his network.
pub fn is_blocked(policy: &Policy, moment: &Moment<'_>, connection: &Connection) -> bool {
    let Some(limit) = policy.block.filter(|_| !connection.is_exempt_from_block) else {
        return false;
    };
    let row = connection.client_row.and_then(|row| moment.store.clients.row(row));
    let reading = row.map(|row| row.block.look());
    let is_of_network = || {
        moment.store.networks.find(connection.peer.0, moment.now).is_some() && !connection.is_vip
    };
    reading.is_some_and(|seen| seen.count >= limit.max && !seen.is_over(moment.now, limit.span))
        || is_of_network()
}

/// Holds the client's row for as long as the connection lasts.
pub fn hold(moment: &Moment<'_>, connection: &mut Connection, hashed: Hashed) {
    let record = connection.leases(moment.store);
    let held = moment.store.clients.hold_hashed(
        CLIENTS,
        hashed,
        &record.client,
        moment.child.number(),
        moment.now,
    );
    connection.client_row = held.map(|held| held.row);
}

/// Judges a connection whose client has no row: the table has room for more than httpd can serve, and
/// still all rows are held. No row is "over the limit", never "no limit".
pub fn judge_without_row(policy: &Policy, connection: &Connection) -> Option<Violation> {
    let limit = policy.block?;
    (connection.client_row.is_none() && !connection.is_exempt_from_block).then(|| {
        let reading = Reading { start: Tick(0), count: u32::MAX };
        violation(limit, reading, None, Fold::Full)
    })
}

/// Counts what a request says before it is judged: once per request.
pub fn count_request(policy: &Policy, exchange: &mut Exchange<'_>) -> Option<Violation> {
    let limit = policy.block?;
    let moment = exchange.moment;
    let row_id = exchange.connection.client_row?;
    let row = moment.store.clients.row(row_id)?;
    let before = row.block.look();
    let ended = before.is_over(moment.now, limit.span) && row.block.clear(before);
    let rest =
        if ended && before.count >= limit.max { end_series(limit, row, before) } else { None };
    if policy.reads_early {
        count_event(&moment, limit, (row_id, row), exchange.request);
    }
    rest
}

/// Judges a request on a connection that is open already.
pub fn judge_request(policy: &Policy, exchange: &mut Exchange<'_>) -> Option<Violation> {
    let limit = policy.block?;
    let (moment, connection) = (exchange.moment, exchange.connection);
    if connection.is_exempt_from_block {
        return None;
    }
    let row_id = connection.client_row?;
    let row = moment.store.clients.row(row_id)?;
    let reading = row.block.look();
    if reading.count < limit.max || reading.is_over(moment.now, limit.span) {
        // One word to read while no network is blocked.
        let refused = moment.store.networks.find(connection.peer.0, moment.now)?;
        let start = refused.block.until.before(limit.span);
        let reading = Reading { start, count: limit.max };
        return (!connection.is_vip).then(|| blocked(&moment, limit, reading, Fold::Full));
    }
    moment.store.clients.mark(row_id, flag::BLOCKED, moment.now);
    exchange.add_letter(Letter::LowPriority);
    Some(blocked(&moment, limit, reading, Fold::Full))
}

/// Counts what became known of a request with its response: first what is taken back, then what is new.
pub fn finish(policy: &Policy, exchange: &mut Exchange<'_>) {
    let (Some(limit), Some(row_id)) = (policy.block, exchange.connection.client_row) else {
        return;
    };
    let (moment, request) = (exchange.moment, &mut *exchange.request);
    let Some(row) = moment.store.clients.row(row_id) else { return };
    if policy.reads_decrement
        && let Some(value) = request.variable(BLOCK_DECREMENT)
    {
        // Until when its row is worth keeping is settled when it is given back.
        row.block.subtract(points(value), moment.now, limit.span);
    }
    if policy.reads_late {
        count_event(&moment, limit, (row_id, row), request);
    }
}

/// Counts one block event that the connection itself was.
pub fn count_connection(policy: &Policy, moment: &Moment<'_>, connection: &Connection) {
    if let (Some(limit), Some(row_id)) = (policy.block, connection.client_row)
        && let Some(row) = moment.store.clients.row(row_id)
    {
        add(moment, limit, row_id, row, 1);
    }
}

/// Gives the client's row back: it is worth keeping until its block ends, if it has one.
/// Other rules may say that it is worth keeping for longer.
pub fn release(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
    other_end: Option<Tick>,
) {
    let record = connection.leases(moment.store);
    if let Some(row_id) = connection.client_row {
        let clients = &moment.store.clients;
        let end = worth(policy, moment, row_id);
        let end = end.max(other_end).unwrap_or(moment.now).max(moment.now);
        clients.keep_no_longer(row_id, end);
        clients.give(row_id, &record.client, moment.now);
    }
}

/// Returns until when a client's block makes its row worth keeping.
pub fn worth(policy: &Policy, moment: &Moment<'_>, row: RowId) -> Option<Tick> {
    let (limit, row) = policy.block.zip(moment.store.clients.row(row))?;
    let reading = row.block.look();
    (reading.count >= limit.max).then(|| reading.start.after(limit.span))
}

/// Counts a request's block event, once.
fn count_event(
    moment: &Moment<'_>,
    limit: BlockLimit,
    (row_id, row): (RowId, &Row),
    request: &mut dyn RequestView,
) {
    if let Some(value) = request.variable(BLOCK)
        && request.variable(BLOCK_SEEN).is_none()
    {
        let points = points(value);
        add(moment, limit, row_id, row, points);
        request.set_variable(BLOCK_SEEN, b"");
    }
}

fn add(moment: &Moment<'_>, limit: BlockLimit, row_id: RowId, row: &Row, points: u32) {
    let reading = row.block.add(points, moment.now, limit.span);
    if reading.count >= limit.max {
        moment.store.clients.keep(row_id, reading.start.after(limit.span));
    } else {
        moment.store.rules.count(limit.tally, Outcome::Pass);
    }
}

fn end_series(limit: BlockLimit, row: &Row, reading: Reading) -> Option<Violation> {
    let rest = Fold::rest(row.suppressed.swap(0, Ordering::Relaxed))?;
    Some(violation(limit, reading, None, Fold::Repeated(rest)))
}

fn blocked(moment: &Moment<'_>, limit: BlockLimit, reading: Reading, fold: Fold) -> Violation {
    // A line that tells of others has no age (log-events.md 4).
    let age = (fold == Fold::Full).then(|| moment.now.seconds_since(reading.start).0);
    violation(limit, reading, age, fold)
}

fn violation(limit: BlockLimit, reading: Reading, age: Option<u32>, fold: Fold) -> Violation {
    let words = Words::Counted {
        directive: "QS_ClientEventBlockCount",
        measure: "current",
        max: limit.max,
        current: reading.count,
        age,
    };
    Violation { fold, ..Violation::of_client(&BLOCKED, words).by(limit.tally) }
}
