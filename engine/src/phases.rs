//! What happens to a connection from accept to close, in order. One function per phase, and nothing
//! else decides in what order rules are asked.
//!
//! In each phase first everything is counted (a refused connection was one, too), then judged; the first
//! denial ends the list. `enforce` turns what a rule found into what happens: it alone knows log-only mode.
//! Spec: model.md 6.

use crate::client::identity::Peer;
use crate::context::{Connection, Letter, Marks, Moment, RequestView};
use crate::log_event::{self, Denial, Details, LogSink};
use crate::rules::{Policy, client_limit, connection_limit, variable};
use crate::store::children::Record;
use crate::verdict::{Answer, Verdict, Violation};
use core::ffi::CStr;

/// A new connection, before anything is allocated and before any TLS handshake (C1).
/// `text` is the peer's address as httpd writes it; it is only asked for where a list needs it.
pub fn arrive(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    text: &dyn AsRef<str>,
    sink: &mut dyn LogSink,
) -> Verdict {
    // The cheapest question first, and the only one for most: is it blocked?
    match client_limit::judge_arrival(&policy.client_limit, moment, peer, text) {
        Some(client_limit::Finding::Blocked(violation)) => {
            enforce(policy, moment, peer, &violation, None, sink)
        }
        Some(client_limit::Finding::Ended(Some(rest))) => {
            tell_rest(moment, peer, &rest, sink);
            Verdict::Pass
        }
        _ => Verdict::Pass,
    }
}

/// The same connection, when all other modules have had their say: it is counted and judged (C2).
pub fn connect(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    text: &dyn AsRef<str>,
    scope: u32,
    sink: &mut dyn LogSink,
) -> (Connection, Verdict) {
    let mut connection = Connection {
        peer,
        scope,
        record: moment.store.children.take_record(moment.child),
        own: Record::default(),
        peer_row: None,
        client_row: None,
        all_connections: 0,
        server_connections: 0,
        address_connections: None,
        is_vip: false,
        is_exempt_from_block: client_limit::is_exempt(&policy.client_limit, peer, text),
        marks: Marks::default(),
    };
    client_limit::hold(&policy.client_limit, moment, &mut connection);
    connection_limit::count(&policy.connection_limit, moment, &mut connection);
    connection.is_vip = connection_limit::is_exempt(&policy.connection_limit, &connection, text);

    let verdict = judge(policy, moment, &connection, sink);
    if verdict == Verdict::Close {
        connection.marks.set(Marks::REFUSED);
    }
    (connection, verdict)
}

/// Asks the rules about a connection that is counted; the first denial ends the list.
fn judge(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
    sink: &mut dyn LogSink,
) -> Verdict {
    let limits = &policy.connection_limit;
    // The server's limit before the address's: who is over both is told of the one that holds for all.
    let violations = [
        client_limit::judge_without_row(&policy.client_limit, connection),
        connection_limit::judge_server(limits, connection),
    ];
    for violation in violations.into_iter().flatten() {
        if enforce(policy, moment, connection.peer, &violation, None, sink) == Verdict::Close {
            return Verdict::Close;
        }
    }
    // Last and by itself: it counts its own denials, so it is not asked about a connection that another
    // rule has refused.
    if let Some(violation) = connection_limit::judge_address(limits, moment, connection) {
        connection.marks.set(Marks::OVER_ADDRESS_LIMIT);
        return enforce(policy, moment, connection.peer, &violation, None, sink);
    }
    if let Some(rest) = connection_limit::end_series(limits, moment, connection) {
        tell_rest(moment, connection.peer, &rest, sink);
    }
    Verdict::Pass
}

/// A request whose other modules' variables are known (R5): initial requests only.
pub fn admit(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
    request: &mut dyn RequestView,
    sink: &mut dyn LogSink,
) -> Answer {
    // Counted before it is judged: the event that reaches the limit is denied already.
    let rest = client_limit::count_request(&policy.client_limit, moment, connection, request);
    if let Some(rest) = rest {
        tell_rest(moment, connection.peer, &rest, sink);
    }
    match client_limit::judge_request(&policy.client_limit, moment, connection, request) {
        Some(violation) => deny(policy, moment, connection.peer, &violation, request, sink),
        None => Answer::Pass,
    }
}

/// The head of a response goes out (R7): what its status sets. Server first, then location.
pub fn respond(
    policy: &Policy,
    location: Option<&variable::LocationSettings>,
    connection: Option<&Connection>,
    status: u16,
    request: &mut dyn RequestView,
) {
    if let Some(connection) = connection {
        connection.marks.set(Marks::RESPONDED);
    }
    variable::respond(&policy.variable.on_status, status, request);
    if let Some(location) = location {
        variable::respond(location.on_status(), status, request);
    }
}

/// Tells whether a connection shall not be kept after this response; `scope` is that of the request's
/// server. Only in the head of normal responses.
pub fn closes_after_response(
    policy: &Policy,
    moment: &Moment<'_>,
    scope: u32,
    request: &mut dyn RequestView,
) -> bool {
    if policy.server.is_log_only
        || !connection_limit::is_keep_alive_off(&policy.connection_limit, moment, scope)
    {
        return false;
    }
    request.add_letter(Letter::KeepAliveOff);
    true
}

/// A request is logged (R9): what its response made of it is counted.
pub fn finish(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
    is_aborted: bool,
    request: &mut dyn RequestView,
) {
    connection.marks.set(Marks::REQUEST_SEEN);
    if is_aborted && policy.variable.on_broken && !connection.marks.has(Marks::REFUSED) {
        connection.marks.set(Marks::BROKEN);
        request.add_letter(Letter::Aborted);
    }
    client_limit::finish(&policy.client_limit, moment, connection, request);
    if connection.is_vip {
        request.add_letter(Letter::Vip);
    }
}

/// A connection is over (C4), whatever way it ended: it is an event itself, perhaps, and gives back all.
pub fn disconnect(
    policy: &Policy,
    moment: &Moment<'_>,
    connection: &Connection,
    sink: &mut dyn LogSink,
) {
    if let Some(event) = variable::connection_event(&policy.variable, connection)
        && policy.client_limit.block.is_some()
        && connection.marks.set(Marks::BLOCK_EVENT)
    {
        log_event::debug(
            format_args!(
                "QS_ClientEventBlockCount rule: {event} event detected {}",
                connection.peer.in_log(moment.store.prefix)
            ),
            sink,
        );
        client_limit::count_connection(&policy.client_limit, moment, connection);
    }
    connection_limit::release(moment, connection);
    client_limit::release(&policy.client_limit, moment, connection);
    // Last, when none of its leases says anything any more.
    if let Some(record) = connection.record {
        moment.store.children.give_record(record);
    }
}

const ERROR_NOTES: &CStr = c"QS_ErrorNotes";

fn deny(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    violation: &Violation,
    request: &mut dyn RequestView,
    sink: &mut dyn LogSink,
) -> Answer {
    request.add_letter(Letter::Denied);
    note_number(violation, request);
    match enforce(policy, moment, peer, violation, Some(request), sink) {
        Verdict::Close => Answer::Deny,
        Verdict::Pass => Answer::Pass,
    }
}

fn note_number(violation: &Violation, request: &mut dyn RequestView) {
    let digits = violation.event.number % 1000;
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let text = [digit(digits / 100), digit(digits / 10), digit(digits), 0];
    if let Ok(number) = CStr::from_bytes_with_nul(&text) {
        request.set_variable(ERROR_NOTES, number);
    }
}

fn enforce(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    violation: &Violation,
    request: Option<&mut dyn RequestView>,
    sink: &mut dyn LogSink,
) -> Verdict {
    let is_log_only = policy.server.is_log_only;
    let denial = if is_log_only { Denial::LogOnly } else { Denial::Enforced };
    write(moment, peer, violation, denial, request, sink);
    if is_log_only { Verdict::Pass } else { Verdict::Close }
}

fn tell_rest(moment: &Moment<'_>, peer: Peer, rest: &Violation, sink: &mut dyn LogSink) {
    // A series that ends is told of by a line of the server, also where a request ended it.
    write(moment, peer, rest, Denial::Previously, None, sink);
}

fn write(
    moment: &Moment<'_>,
    peer: Peer,
    violation: &Violation,
    denial: Denial,
    request: Option<&mut dyn RequestView>,
    sink: &mut dyn LogSink,
) {
    let Violation { directive, measure, max, current, .. } = *violation;
    let id = request.map(RequestView::unique_id);
    let details =
        |rule| Details { rule, fold: violation.fold, peer, prefix: moment.store.prefix, id };
    let totals = &moment.store.totals;
    match violation.age {
        Some(age) => log_event::denial(
            violation.event,
            denial,
            &details(format_args!("{directive} rule: max={max}, {measure}={current}, age={age}")),
            totals,
            sink,
        ),
        None => log_event::denial(
            violation.event,
            denial,
            &details(format_args!("{directive} rule: max={max}, {measure}={current}")),
            totals,
            sink,
        ),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
