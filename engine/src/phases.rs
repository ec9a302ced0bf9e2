//! What happens to a connection from accept to close, in order. One function per phase, and nothing
//! else decides in what order rules are asked.
//!
//! In each phase first everything is counted (a refused connection was one, too), then judged; the first
//! denial ends the list. `enforce` turns what a rule found into what happens: it alone knows log-only mode.
//! Spec: model.md 6.

pub mod watch;

use crate::client::address::PrefixBits;
use crate::client::identity::{Client, Peer};
use crate::context::{Connection, Exchange, Letter, Marks, Moment, RequestView, note_number};
use crate::directive::InLocation;
use crate::log_event::{self, Denial, Details, LogEvent, LogSink};
use crate::meter::progress::Progress;
use crate::rules::body_limit::Layer;
use crate::rules::data_rate::shedding::{self, Holder, Pulse};
use crate::rules::data_rate::watch::Side;
use crate::rules::request_variable::Marker;
use crate::rules::{
    Facts, LocationSettings, Policy, body_limit, client_concurrency, client_event_limit,
    client_identity, client_limit, client_preference, client_rate, connection_limit,
    connection_variable, data_rate, delay, event_limit, geo, request_limit, request_variable,
    response_variable, serialize, server, set_env_if_plus, variable, vip_session,
};
use crate::store::children::Record;
use crate::store::loans::Purse;
use crate::store::marks::Standing;
use crate::store::recent::Denied;
use crate::store::rules::Outcome;
use crate::time::Millis;
use crate::verdict::{Answer, Verdict, Violation};

/// A new connection, before anything is allocated and before any TLS handshake (C1).
/// `text` is the peer's address as httpd writes it, asked for only where a list needs it; `left_after` says
/// how long the peer waited for us, if it has gone meanwhile.
pub fn arrive(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    text: &dyn AsRef<str>,
    left_after: &dyn Fn() -> Option<Millis>,
    sink: &mut dyn LogSink,
) -> Verdict {
    // The cheapest question first, and the only one for most: is it blocked?
    match client_limit::judge_arrival(&policy.client_limit, moment, peer, text) {
        Some(client_limit::Finding::Blocked(violation)) => {
            enforce(policy, moment, peer, &violation, None, sink)
        }
        Some(client_limit::Finding::Ended(rest)) => {
            rest.into_iter().for_each(|rest| tell_rest(moment, peer, &rest, sink));
            Verdict::Pass
        }
        None => {
            let is_exempt =
                || connection_limit::is_address_exempt(&policy.connection_limit, peer.0, text);
            let limits = &policy.client_limit;
            match client_limit::judge_network(limits, moment, peer, text, &is_exempt) {
                Some(violation) => enforce(policy, moment, peer, &violation, None, sink),
                None => close_if_left(policy, moment, peer, left_after, sink),
            }
        }
    }
}

fn close_if_left(
    policy: &Policy,
    moment: &Moment<'_>,
    peer: Peer,
    left_after: &dyn Fn() -> Option<Millis>,
    sink: &mut dyn LogSink,
) -> Verdict {
    let waited = variable::is_left(&policy.variable, left_after);
    let Some(Millis(waited)) = waited.filter(|_| !policy.server.is_log_only) else {
        return Verdict::Pass;
    };
    let text = format_args!(
        "connection not served, its client has left after waiting for {waited} ms, {}",
        peer.in_log(PrefixBits::WHOLE)
    );
    log_event::note(&variable::LEFT, text, Some(&moment.store.totals), sink);
    Verdict::Close
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
        country: policy.geo.country_of(peer.0),
        standing: Standing::default(),
        is_vip: false,
        is_exempt_from_block: client_limit::is_exempt(&policy.client_limit, peer, text),
        marks: Marks::default(),
        progress: Progress::new(moment.now),
    };
    connection.leases(moment.store).set_address(peer.0);
    let mut hashed = None;
    if policy.counts_clients() || moment.store.clients.remembers() {
        let client = moment.store.clients.hash(peer.counted(moment.store.prefix));
        client_limit::hold(moment, &mut connection, client);
        hashed = Some(client);
    }
    connection_limit::count(&policy.connection_limit, moment, &mut connection, hashed);
    client_preference::look(&policy.client_preference, moment, &mut connection);
    connection.is_vip = connection.standing.is_vip
        || connection_limit::is_exempt(&policy.connection_limit, &connection, text);

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
    // In the order of model.md 6. The server's limit before the address's: who is over both is told of the one that holds for all.
    let violations = [
        client_limit::judge_without_row(&policy.client_limit, connection),
        client_preference::judge(&policy.client_preference, moment, connection),
        geo::judge(&policy.geo, moment, connection),
        connection_limit::judge_server(limits, moment, connection),
    ];
    for violation in violations.iter().flatten() {
        if enforce(policy, moment, connection.peer, violation, None, sink) == Verdict::Close {
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

/// The rules that hold for a request: those of its server, and what its location says.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Of the server that the request's host chose.
    pub policy: &'a Policy,
    /// Of the location, where it is known and says anything.
    pub location: Option<&'a LocationSettings>,
}

/// A request was read (variables.md 1, step B): before mod_setenvif, whose conditions see what is set here.
/// Also for internal redirects.
pub fn read(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    // Before all others, which may take their time: the client is not waited for any more.
    data_rate::begin(&rules.policy.data_rate, exchange.connection, &mut facts.data_rate);
    // B.2, B.3 the client's country, where a header says another one than the connection.
    if rules.policy.geo.database.is_some()
        && let Some(address) =
            client_identity::address(&rules.policy.client_identity, exchange, "prr")
    {
        geo::tell(&rules.policy.geo, address, exchange);
    }
    // B.4 counters of events that other requests left.
    // B.5 marks of the client.
    client_preference::tell(exchange);
    vip_session::read(exchange);
    // B.6 QS_LogEnv.
    request_variable::tell(&rules.policy.request_variable, Marker::Read, exchange);
}

/// A request without a path was read (B.6): there is nothing that rules could judge. Also in log-only mode.
pub fn refuse_line(exchange: &mut Exchange<'_>) -> Answer {
    let violation = server::no_path();
    note_number(violation.event, exchange.request);
    let Exchange { moment, connection, request, sink, .. } = exchange;
    write(moment, connection.peer, &violation, Denial::Enforced, Some(&mut **request), *sink);
    Answer::Deny(violation.status.unwrap_or(400))
}

/// The same, behind mod_setenvif (steps C and D).
pub fn read_late(rules: Rules<'_>, exchange: &mut Exchange<'_>, _facts: &mut Facts) {
    // C server-level SetEnvIfPlus, where mod_setenvifplus would run.
    set_env_if_plus::set(&rules.policy.set_env_if_plus, exchange);
    // D QS_LogEnv.
    request_variable::tell(&rules.policy.request_variable, Marker::ReadLate, exchange);
}

/// The headers are parsed, before the main step (steps E to G): initial requests only, like all that
/// judges. Rules judge what the client sent, not where httpd redirects it to: an error page is served.
pub fn prepare(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts) -> Answer {
    // E QS_LogEnv.
    request_variable::tell(&rules.policy.request_variable, Marker::Prepare, exchange);
    // F location-level SetEnvIfPlus.
    if let Some(location) = rules.location {
        set_env_if_plus::set(&location.set_env_if_plus, exchange);
    }
    request_variable::tell(&rules.policy.request_variable, Marker::Prepared, exchange);
    // G the size of the body.
    let location = rules.location.map(|location| &location.body_limit);
    let limit = &rules.policy.body_limit;
    if let Some(violation) = body_limit::judge(limit, location, exchange, &mut facts.body_limit)
        && let Answer::Deny(status) = deny(rules.policy, &violation, exchange)
    {
        return Answer::Deny(status);
    }
    Answer::Pass
}

/// Octets of a body were read: they are counted, and the first that are too many told of.
pub fn receive(
    rules: Rules<'_>,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
    layer: Layer,
    count: u64,
) -> Answer {
    let Some(violation) = body_limit::receive(&mut facts.body_limit, layer, count) else {
        return Answer::Pass;
    };
    let answer = deny(rules.policy, &violation, exchange);
    if let Answer::Deny(status) = answer {
        body_limit::refuse(&mut facts.body_limit, status);
    }
    answer
}

/// A request whose other modules' variables are known (step I, R5): initial requests only.
pub fn admit(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts) -> Answer {
    let policy = rules.policy;
    request_variable::tell(&policy.request_variable, Marker::Admit, exchange);
    // I.4 keep-alive of the connection.
    let is_log_only = policy.server.is_log_only;
    connection_variable::keep_alive(&policy.connection_variable, is_log_only, exchange);
    // I.5 cookies of sessions are taken out, I.6 variables, then: is it a VIP?
    vip_session::take_session(&policy.vip_session, exchange, &mut facts.vip_session);
    let location = rules.location.map(|location| &location.request_variable);
    request_variable::set(&policy.request_variable, location, exchange);
    vip_session::settle(&policy.vip_session, exchange);
    // I.7 the socket's timeout.
    connection_variable::timeout(&policy.connection_variable, is_log_only, exchange);
    // I.10 event concurrency: all rules count, and each that is exceeded tells of it.
    let mut answer = Answer::Pass;
    for rule in &policy.event_limit.rules {
        if let Some(violation) = event_limit::count(rule, exchange)
            && let denied @ Answer::Deny(_) = deny(policy, &violation, exchange)
        {
            answer = denied;
        }
    }
    if answer != Answer::Pass {
        return answer;
    }
    // I.12 comparisons.
    if let Some(location) = location {
        request_variable::compare(location, exchange.request);
    }
    // Who is the client? Asked only where a rule wants to know.
    if policy.client_event_limit.is_on()
        || policy.client_concurrency.is_event(exchange)
        || policy.serialize.is_by_client(exchange)
    {
        client_identity::identify(&policy.client_identity, exchange, "hp");
    }
    // I.13 requests of one client at once.
    let violation = client_concurrency::admit(&policy.client_concurrency, exchange);
    if let Some(denied) = judged(policy, violation, exchange) {
        return denied;
    }
    // I.14 one after the other, I.15 the same for the server.
    let turns = &mut facts.serialize;
    let violation = serialize::admit_of_client(&policy.serialize, exchange, turns, is_log_only);
    if let Some(denied) = judged(policy, violation, exchange) {
        return denied;
    }
    let violation = serialize::admit_of_server(&policy.serialize, exchange, turns, is_log_only);
    if let Some(denied) = judged(policy, violation, exchange) {
        return denied;
    }
    // I.16 rules of the client: events per second, blocks, limits. Counted before it is judged: the event
    // that reaches the limit is denied already.
    let violation = client_rate::admit(&policy.client_rate, exchange, is_log_only);
    if let Some(denied) = judged(policy, violation, exchange) {
        return denied;
    }
    let rest = client_limit::count_request(&policy.client_limit, exchange);
    if let Some(rest) = rest {
        tell_rest(&exchange.moment, exchange.connection.peer, &rest, exchange.sink);
    }
    let blocked = client_limit::judge_request(&policy.client_limit, exchange);
    // A limit counts also what a block denies; and of both only one is told of, the block where it is the
    // same client's.
    let limits = &mut facts.client_event_limit;
    let limited = client_event_limit::admit(&policy.client_event_limit, exchange, limits);
    let violation =
        if blocked.is_some() && exchange.is_of_peer() { blocked } else { limited.or(blocked) };
    if let Some(denied) = judged(policy, violation, exchange) {
        return denied;
    }
    // I.17 rules of the location: requests at once, of all and then of some.
    for count in [request_limit::count_location, request_limit::count_conditional] {
        if let Some(violation) = count(&policy.request_limit, exchange, &mut facts.request_limit)
            && let Answer::Deny(status) = deny(policy, &violation, exchange)
        {
            return Answer::Deny(status);
        }
    }
    // I.18 QS_Delay. Who waits is counted meanwhile.
    let violation = delay::pause(&policy.delay, is_log_only, exchange);
    judged(policy, violation, exchange).unwrap_or(Answer::Pass)
}

/// All that comes before the content is done (step J, R6): also for subrequests and redirects.
pub fn fix_up(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    // J late SetEnvIfPlus.
    set_env_if_plus::set_late(&rules.policy.set_env_if_plus, exchange);
    if let Some(location) = rules.location {
        set_env_if_plus::set_late(&location.set_env_if_plus, exchange);
    }
    // J authenticated VIPs.
    vip_session::fix_up(&rules.policy.vip_session, exchange, &mut facts.vip_session);
    // J QS_LogEnv.
    request_variable::tell(&rules.policy.request_variable, Marker::FixUp, exchange);
    // J QS_SrvMinDataRateOffEvent.
    allow_by_event(rules, exchange);
}

/// Tells whether any rule wants to see the head of this request's response: most requests pay nothing.
pub fn wants_response(rules: Rules<'_>) -> bool {
    rules.policy.wants.respond
        || rules.location.is_some_and(|location| !location.variable.is_empty())
        || rules.location.is_some_and(|location| !location.data_rate.is_empty())
}

/// Tells whether [`read_late`] has anything to do.
pub fn wants_read_late(rules: Rules<'_>) -> bool {
    rules.policy.wants.read_late
}

/// Tells whether [`prepare`] has anything to do.
pub fn wants_prepare(rules: Rules<'_>, has_body: impl FnOnce() -> bool) -> bool {
    let wants = rules.policy.wants;
    let by_location = |location: &LocationSettings| {
        !location.set_env_if_plus.is_empty() || !location.body_limit.is_empty()
    };
    wants.prepare || rules.location.is_some_and(by_location) || (wants.prepare_body && has_body())
}

/// Tells whether [`fix_up`] has anything to do.
pub fn wants_fix_up(rules: Rules<'_>, has_user: impl FnOnce() -> bool) -> bool {
    let wants = rules.policy.wants;
    let by_location = |location: &LocationSettings| {
        !location.set_env_if_plus.is_empty() || !location.data_rate.is_empty()
    };
    wants.fix_up || rules.location.is_some_and(by_location) || (wants.fix_up_user && has_user())
}

/// The head of a response goes out (step K, R7). `is_normal` is false for httpd's own error responses,
/// for which only variables are set.
pub fn respond(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts, is_normal: bool) {
    exchange.connection.marks.set(Marks::RESPONDED);
    let status = exchange.request.status();
    // K.1 what the status sets: server first, then location.
    let policy = &rules.policy.variable;
    policy.respond(&policy.on_status, status, exchange.request);
    if let Some(location) = rules.location {
        policy.respond(location.variable.on_status(), status, exchange.request);
    }
    // K.2 and K.3 what headers and variables set.
    response_variable::set(&rules.policy.response_variable, exchange);
    // Behind all that sets variables.
    allow_by_event(rules, exchange);
    if is_normal {
        // K.5 VIPs by response headers.
        vip_session::respond(&rules.policy.vip_session, exchange, &facts.vip_session);
        // K.8 QS_Set_DSCP. K.9 keep-alive again.
        let variables = &rules.policy.connection_variable;
        connection_variable::mark_packets(variables, exchange);
        connection_variable::keep_alive(variables, rules.policy.server.is_log_only, exchange);
    }
}

/// Tells whether a connection shall not be kept after this response (K.10); `scope` is that of the
/// request's server. Only in the head of normal responses.
pub fn closes_after_response(policy: &Policy, exchange: &mut Exchange<'_>, scope: u32) -> bool {
    if policy.server.is_log_only
        || !connection_limit::is_keep_alive_off(&policy.connection_limit, &exchange.moment, scope)
    {
        return false;
    }
    exchange.add_letter(Letter::KeepAliveOff);
    true
}

/// The answer of a request is handed over; it is logged later. Turns that others wait for come back.
pub fn answered(_rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    serialize::finish(exchange, &mut facts.serialize);
}

/// A request is logged (step L, R9): what its response made of it is counted.
pub fn finish(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts, is_aborted: bool) {
    exchange.connection.marks.set(Marks::REQUEST_SEEN);
    let is_counted = exchange.known.client.is_some();
    if rules.policy.wants.finish || rules.location.is_some() || is_counted {
        count_response(rules, exchange, facts, is_aborted);
    }
    // L.7 what the request holds is given back.
    exchange.moment.store.give_all(exchange.purse, exchange.moment.now);
    if exchange.connection.is_vip {
        exchange.add_letter(Letter::Vip);
    }
}

fn count_response(
    rules: Rules<'_>,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
    is_aborted: bool,
) {
    let policy = rules.policy;
    if policy.variable.on_broken {
        variable::note_broken(exchange, is_aborted);
    }
    // L.3 QS_LogEnv. L.4 QS_SetEnvIf again.
    request_variable::tell(&policy.request_variable, Marker::Finish, exchange);
    let location = rules.location.map(|location| &location.request_variable);
    request_variable::set_again(&policy.request_variable, location, exchange);
    // L.5 counters of the client: decrements, clears, events of the response.
    client_limit::finish(&policy.client_limit, exchange);
    let limits = &policy.client_event_limit;
    if exchange.known.client.is_some() || client_event_limit::has_late_events(limits, exchange) {
        client_identity::identify(&policy.client_identity, exchange, "logger");
        client_event_limit::finish(limits, exchange, &mut facts.client_event_limit);
    }
    // QS_SrvMinDataRateOffEvent once more: its response may be on its way for long still.
    allow_by_event(rules, exchange);
    data_rate::end(&policy.data_rate, &exchange.moment, exchange.connection, &mut facts.data_rate);
    client_preference::finish(&policy.client_preference, exchange);
    request_limit::finish(exchange, &facts.request_limit);
    let held = exchange.known.client_row.take();
    if let Some(row) = held.filter(|row| exchange.connection.client_row != Some(*row)) {
        let end = client_event_limit::worth(limits, &exchange.moment, row);
        client_identity::release(exchange, row, end);
    }
}

/// Tells whether [`release`] has anything to do. A request that was logged has given back all.
pub fn owes(purse: &Purse, facts: &Facts) -> bool {
    !purse.is_empty() || data_rate::is_begun(&facts.data_rate)
}

/// The request's memory ends, whether it was logged or not: what it still holds is given back.
pub fn release(rules: Rules<'_>, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    exchange.moment.store.give_all(exchange.purse, exchange.moment.now);
    let Exchange { moment, connection, .. } = exchange;
    data_rate::release(&rules.policy.data_rate, moment, connection, &mut facts.data_rate);
}

fn allow_by_event(rules: Rules<'_>, exchange: &Exchange<'_>) {
    let location = rules.location.map(|location| &location.data_rate);
    data_rate::allow_by_event(&rules.policy.data_rate, location, exchange);
}

/// A look at the connections of a child, where a data rate is asked for: who sends or takes too little is
/// marked, told of, counted as a block event, and closed. `policy` is the base server's.
pub fn tick(
    policy: &Policy,
    moment: &Moment<'_>,
    pulse: &mut Pulse,
    holders: &mut [Holder<'_>],
    sink: &mut dyn LogSink,
) {
    let Some(look) = shedding::look(&policy.data_rate, moment, pulse) else { return };
    let findings = shedding::examine(&policy.data_rate, &look, holders);
    if look.is_beyond && !findings.is_empty() {
        tell_of_count(moment, &look, sink);
    }
    for finding in findings {
        let Some(holder) = holders.get_mut(finding.index) else { continue };
        let marks = &holder.connection.marks;
        marks.set(Marks::SLOW);
        if policy.variable.on_data_rate
            && policy.client_limit.block.is_some()
            && marks.set(Marks::BLOCK_EVENT)
        {
            client_limit::count_connection(&policy.client_limit, moment, holder.connection);
        }
        let is_log_only = policy.server.is_log_only;
        let outcome = match (finding.is_allowed, is_log_only) {
            (true, _) => Outcome::Pass,
            (_, true) => Outcome::LogOnly,
            _ => Outcome::Deny,
        };
        moment.store.rules.count(policy.data_rate.tally, outcome);
        tell_of_slowness(moment, &look, &finding, holder.connection.peer, is_log_only, sink);
        if !finding.is_allowed && !is_log_only {
            marks.set(Marks::CUT_OFF);
            holder.close = Some(shedding::close(finding.slowness.side));
        }
    }
}

fn tell_of_slowness(
    moment: &Moment<'_>,
    look: &shedding::Look,
    finding: &shedding::Finding,
    peer: Peer,
    is_log_only: bool,
    sink: &mut dyn LogSink,
) {
    let denial = if finding.is_allowed || is_log_only { Denial::Allowed } else { Denial::Enforced };
    let event =
        if finding.is_allowed { &data_rate::TOO_SLOW_BUT_ALLOWED } else { &data_rate::TOO_SLOW };
    let details = |rule| Details {
        rule,
        fold: log_event::Fold::Full,
        client: Client::of(peer),
        // Judged by itself, whatever network it is of.
        prefix: PrefixBits::WHOLE,
        country: None,
        id: None,
    };
    let totals = &moment.store.totals;
    remember(moment, event, denial, Client::of(peer));
    let way = match finding.slowness.side {
        Side::In { is_silent: true } => "in:0",
        Side::In { is_silent: false } => "in",
        Side::Out => "out",
        Side::KeepAlive => {
            let rule = format_args!("QS_SrvMinDataRate rule (enforce keep-alive)");
            return log_event::denial(event, denial, &details(rule), totals, sink);
        }
    };
    let (required, rate) = (look.required, finding.slowness.rate);
    let rule =
        format_args!("QS_SrvMinDataRate rule ({way}): min={required}, this connection={rate}");
    log_event::denial(event, denial, &details(rule), totals, sink);
}

/// Counts, and far beyond what can be served also tells, that more connections are open than there should be.
fn tell_of_count(moment: &Moment<'_>, look: &shedding::Look, sink: &mut dyn LogSink) {
    let event = &data_rate::UNEXPECTED_COUNT;
    let totals = &moment.store.totals;
    if !look.is_far_beyond {
        return totals.count(event.number);
    }
    let shedding::Look { open, required, max, .. } = *look;
    let text = format_args!(
        "QS_SrvMinDataRate: unexpected connection status! connections={open}, cal. request rate={required}, \
         max. limit={max}. Check log for unclean child exit and consider to do a graceful server restart if \
         this condition persists."
    );
    log_event::note(event, text, Some(totals), sink);
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
    client_preference::disconnect(&policy.client_preference, moment, connection);
    connection_limit::release(moment, connection);
    let limits = &policy.client_event_limit;
    let end = connection.client_row.and_then(|row| client_event_limit::worth(limits, moment, row));
    client_limit::release(&policy.client_limit, moment, connection, end);
    // Last, when none of its leases says anything any more.
    if let Some(record) = connection.record {
        moment.store.children.give_record(record);
    }
}

/// Denies a request for what a rule has found; `None` where it goes on.
fn judged(
    policy: &Policy,
    violation: Option<Violation>,
    exchange: &mut Exchange<'_>,
) -> Option<Answer> {
    match deny(policy, &violation?, exchange) {
        Answer::Pass => None,
        denied => Some(denied),
    }
}

/// Denies a request, or tells that it would be denied.
fn deny(policy: &Policy, violation: &Violation, exchange: &mut Exchange<'_>) -> Answer {
    exchange.add_letter(Letter::Denied);
    exchange.known.is_denied = true;
    note_number(violation.event, exchange.request);
    let Exchange { moment, connection, request, sink, .. } = exchange;
    match enforce(policy, moment, connection.peer, violation, Some(&mut **request), *sink) {
        Verdict::Close => Answer::Deny(violation.status.unwrap_or(policy.server.error_status)),
        Verdict::Pass => Answer::Pass,
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
    let (denial, outcome) = if is_log_only {
        (Denial::LogOnly, Outcome::LogOnly)
    } else {
        (Denial::Enforced, Outcome::Deny)
    };
    moment.store.rules.count(violation.tally, outcome);
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
    // Most refusals of who does not give up: nothing has to be looked up for what is not written.
    if violation.fold == log_event::Fold::Silent {
        return log_event::count(violation.event, denial, &moment.store.totals);
    }
    let details = Details {
        rule: format_args!("{}", violation.words),
        fold: violation.fold,
        client: violation.client.unwrap_or(Client::of(peer)),
        prefix: if violation.is_of_client { moment.store.prefix } else { PrefixBits::WHOLE },
        id: request.map(RequestView::unique_id),
        country: violation.country,
    };
    log_event::denial(violation.event, denial, &details, &moment.store.totals, sink);
    remember(moment, violation.event, denial, details.client);
}

/// Remembers for the status page what was just told of.
fn remember(moment: &Moment<'_>, event: &LogEvent, denial: Denial, client: Client) {
    let is_log_only = match denial {
        Denial::Enforced => false,
        Denial::LogOnly => true,
        Denial::Previously | Denial::Allowed => return,
    };
    let (when, event, address) = (moment.now, event.number, client.address());
    moment.store.recent.note(Denied { when, event, is_log_only, address });
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
