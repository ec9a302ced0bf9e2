//! Known clients first: while the server is busy, those who misbehaved or ask for an unusual mix of content find
//! it full before the others do.
//! Spec: client.md QS_ClientPrefer. Phases: connect (look, judge), read (tell), finish (count, judge the
//! content), disconnect (count).

use crate::context::{Connection, Exchange, Letter, Marks, Moment};
use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::report::rows::{Row, Unit};
use crate::report::{Picture, ServerView, StatusRows};
use crate::store::clients::RowId;
use crate::store::marks::{CLASSES, Judgement, LOW_PRIORITY as A_DAY, Standing, flag};
use crate::store::rules::{Finder, Tally};
use crate::store::slots;
use crate::time::Seconds;
use crate::values::{Capacity, MAX_NUMBER, Problem, Unreachable, number};
use crate::verdict::{Restraint, Violation, Words};
use core::ffi::CStr;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    percent: Option<u32>,
    tolerance: Option<u32>,
    contents: Option<Shares>,
}

/// Hundredths of all responses, per class of content.
type Shares = [u32; CLASSES];

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// With more open connections than that clients are told apart.
    pub preference: Option<Preference>,
    /// How far a client's share may be from the usual one, in hundredths of all responses.
    tolerance: u32,
    /// What is usual; without it what all clients together ask for.
    usual: Option<Shares>,
    /// Something is written that only `QS_ClientPrefer` makes use of.
    pub lacks_preference: bool,
    /// A number of connections that can never be open.
    pub unreachable: Option<Unreachable>,
}

/// `QS_ClientPrefer`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    /// With more open connections than that the server is busy.
    pub above: u32,
    /// With so many it is full.
    max_clients: u32,
    /// Where outcomes are counted.
    tally: Tally,
}

/// `mod_qos(066)`
pub static LESS_WELCOME: LogEvent = LogEvent {
    number: 66,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_ClientPrefer rule (penalty={p} 0x{flags}): max={N}, concurrent connections={n}, c={c}",
    when: "a connection of a client for which too few free connections are left, by what is known of it (flags: 01 slow data, 02 normal content, 04 unusual content, 08 blocked, 10 limited, 20 time-out)",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&LESS_WELCOME];

/// The variable that requests see.
const LOW_PRIORITY: &CStr = c"QS_ClientLowPrio";

/// The penalty of a client that nothing is known of, and what they are parts of.
const PENALTY_OF_UNKNOWN: u32 = 4;
const WHOLE_PENALTY: u64 = 12;
/// What each flag adds to it while a client has low priority.
const PENALTIES: [(u8, u32); 5] = [
    (flag::SLOW, 1),
    (flag::UNUSUAL_CONTENT, 2),
    (flag::BLOCKED, 2),
    (flag::LIMITED, 2),
    (flag::TIMED_OUT, 1),
];
/// What a normal mix of content takes away.
const BONUS: u32 = 2;

/// More activities than that are enough to judge a client's mix of content.
const ENOUGH: u32 = 50;
/// More responses of HTML than that, to all clients, are enough to know what is usual.
const ENOUGH_OF_EVERYBODY: u64 = 50_000;

/// Where each class stands in `QS_ClientContentTypes`.
const HTML: usize = 0;
const CSS_OR_SCRIPT: usize = 1;
const IMAGE: usize = 2;
const OTHER: usize = 3;
const NOT_MODIFIED: usize = 4;

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientPrefer",
            arguments: c"[<percent>[%]]",
            arity: Arity::Any,
            scope: Scope::BaseServer,
            range: "1 to 99",
            default: "off; without an argument 80",
            help: "With more open connections than this share of what httpd can serve, clients are told \
                   apart: the fewer connections are free, the more of those are refused who are known to be \
                   slow, blocked, over a limit, timed out, or to ask for an unusual mix of content; then \
                   those that nobody knows; and last those with a normal mix (event 066). What a client did \
                   counts for a day. Privileged and excluded addresses are always served.",
            spec: "client.md QS_ClientPrefer",
        },
        set: |settings, arguments| {
            settings.percent = Some(match arguments.words {
                [] => 80,
                [word] => percent(word, 1, 99)?,
                [_, word, ..] => {
                    return Err(Problem::word(word, "one percentage at most"));
                }
            });
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientTolerance",
            arguments: c"<percent>[%]",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "5 to 80",
            default: "20",
            help: "How far a client's share of a class of content may be from the usual one, in hundredths of \
                   all its responses, before QS_ClientPrefer counts it as a deviation.",
            spec: "client.md QS_ClientTolerance",
        },
        set: |settings, arguments| {
            settings.tolerance = Some(percent(arguments.first(), 5, 80)?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientContentTypes",
            arguments: c"<html> <css/js> <images> <other> <304>",
            arity: Arity::Any,
            scope: Scope::Server,
            range: "five numbers from 1 to 2147483647, of which shares are made",
            default: "what all clients together ask for, once that is more than 50000 pages",
            help: "What mix of content is usual, for QS_ClientPrefer: how many responses are HTML, style sheets \
                   or scripts, images, something else, and 'not modified'. A client with more than 50 requests \
                   is compared with it: within the tolerance it is preferred, with a deviation it has low \
                   priority.",
            spec: "client.md QS_ClientContentTypes",
        },
        set: |settings, arguments| {
            let mut parts = [0u64; CLASSES];
            if arguments.words.len() != CLASSES {
                let count = arguments.words.len();
                return Err(Problem::text(format!(
                    "takes five numbers: <html> <css/js> <images> <other> <304>, not {count}"
                )));
            }
            for (part, word) in parts.iter_mut().zip(arguments.words) {
                *part = number(word, 1, MAX_NUMBER)?.into();
            }
            settings.contents = Some(shares(parts));
            Ok(())
        },
        set_in_location: None,
    },
];

fn percent(word: &str, min: u32, max: u32) -> Result<u32, Problem> {
    number(word.strip_suffix('%').unwrap_or(word), min, max)
        .map_err(|_| Problem::word(word, format_args!("a percentage from {min} to {max}")))
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            percent: base.percent,
            tolerance: base.tolerance,
            contents: self.contents.or(base.contents),
        }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let max_clients = capacity.max_clients;
        let preference = settings.percent.map(|percent| {
            let above = u64::from(max_clients) * u64::from(percent) / 100;
            Preference {
                above: u32::try_from(above).unwrap_or(u32::MAX),
                max_clients,
                tally: Tally::default(),
            }
        });
        let refines = settings.tolerance.is_some() || settings.contents.is_some();
        Policy {
            preference,
            tolerance: settings.tolerance.unwrap_or(20),
            usual: settings.contents,
            lacks_preference: refines && preference.is_none(),
            // It begins with the connection above that.
            unreachable: preference.and_then(|preference| {
                capacity.unreachable("QS_ClientPrefer", preference.above.saturating_add(1))
            }),
        }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if let Some(preference) = &mut self.preference {
            preference.tally = finder.of_all("QS_ClientPrefer", "");
        }
    }
}

impl Policy {
    /// Returns what is configured as usual, in hundredths of all responses.
    pub fn usual_shares(&self) -> Option<[u32; CLASSES]> {
        self.usual
    }
}

/// Looks at what is known of a new connection's client.
pub fn look(policy: &Policy, moment: &Moment<'_>, connection: &mut Connection) {
    let clients = &moment.store.clients;
    let Some(row) = connection.client_row.filter(|_| clients.remembers()) else { return };
    connection.standing = clients.standing(row, moment.now);
    if policy.preference.is_none() {
        connection.standing =
            Standing { is_vip: connection.standing.is_vip, ..Standing::default() };
    }
}

/// Judges a new connection by what is known of its client, and by how many more can be served.
pub fn judge(policy: &Policy, moment: &Moment<'_>, connection: &Connection) -> Option<Violation> {
    // As long as the server is not busy all are alike, and nobody is counted.
    let preference = policy.preference.filter(|of| connection.all_connections > of.above)?;
    let found = less_welcome(preference, connection);
    Violation::or_pass(found, preference.tally, &moment.store.rules)
}

fn less_welcome(preference: Preference, connection: &Connection) -> Option<Violation> {
    let Preference { above, max_clients, .. } = preference;
    let current = connection.all_connections;
    if connection.is_vip {
        return None;
    }
    let penalty = penalty(connection.standing);
    let free = i64::from(max_clients) - i64::from(current);
    (free < i64::from(reserved(max_clients, above, penalty))).then(|| {
        let flags = connection.standing.flags;
        Violation::of_client(&LESS_WELCOME, Words::Penalty { penalty, flags, max: above, current })
    })
}

/// Tells whether a client's next connection would be refused; of one without a row nothing is known.
pub fn restraint(
    policy: &Policy,
    moment: &Moment<'_>,
    row: Option<RowId>,
) -> Option<Restraint<'static>> {
    let Preference { above, max_clients, .. } = policy.preference?;
    let (clients, now) = (&moment.store.clients, moment.now);
    let standing = row.map_or(Standing::default(), |row| clients.standing(row, now));
    let count = moment.store.scopes.open(slots::ALL).saturating_add(1);
    let limit = max_clients.saturating_sub(reserved(max_clients, above, penalty(standing)));
    let since = row.and_then(|row| clients.low_since(row, now));
    (count > above.max(limit) && !standing.is_vip).then(|| Restraint {
        directive: "QS_ClientPrefer",
        variable: None,
        count,
        limit: limit.max(above),
        remaining: since.map_or(Seconds(0), |since| since.after(A_DAY).seconds_since(now)),
        since: since.unwrap_or(now),
    })
}

/// How many connections are kept free of a client.
fn reserved(max_clients: u32, above: u32, penalty: u32) -> u32 {
    let all = u64::from(max_clients.saturating_sub(above));
    u32::try_from(all * u64::from(penalty) / WHOLE_PENALTY).unwrap_or(u32::MAX)
}

/// How many twelfths of the connections above the threshold are kept free of this client.
fn penalty(standing: Standing) -> u32 {
    let has = |flag| standing.flags & flag != 0;
    let added: u32 = PENALTIES
        .iter()
        .filter(|(flag, _)| standing.is_low && has(*flag))
        .map(|(_, penalty)| penalty)
        .sum();
    let bonus = if has(flag::NORMAL_CONTENT) { BONUS } else { 0 };
    PENALTY_OF_UNKNOWN + added - bonus
}

/// Tells a request that its client had low priority when the connection was opened (B.5).
pub fn tell(exchange: &mut Exchange<'_>) {
    let Standing { flags, is_low, .. } = exchange.connection.standing;
    if is_low {
        let digit = |n: u8| b"0123456789abcdef".get(usize::from(n & 15)).copied().unwrap_or(b'0');
        exchange.request.set_variable(LOW_PRIORITY, &[b'0', b'x', digit(flags >> 4), digit(flags)]);
    }
}

/// Counts what a request was answered with, and judges what its client asks for (L).
pub fn finish(policy: &Policy, exchange: &mut Exchange<'_>) {
    if policy.preference.is_none() {
        return;
    }
    let Some(row) = exchange.connection.client_row else { return };
    let (clients, now) = (&exchange.moment.store.clients, exchange.moment.now);
    let Some(contents) = clients.contents(row) else { return };
    let status = exchange.request.status();
    if status == 408 {
        clients.mark(row, flag::TIMED_OUT, now);
        exchange.add_letter(Letter::LowPriority);
    }
    if exchange.connection.marks.has(Marks::SLOW) {
        clients.mark(row, flag::SLOW, now);
        exchange.add_letter(Letter::LowPriority);
    }
    let class = if status == 304 { NOT_MODIFIED } else { class(exchange.request.content_type()) };
    contents.count(class, if class == HTML { 2 } else { 1 });
    clients.count_for_everybody(class);
    let usual = || policy.usual.or_else(|| usual_of(clients.contents_of_everybody()));
    let usual = if contents.activities() > ENOUGH { usual() } else { None };
    let judgement = match usual {
        Some(usual) => judgement(deviations(contents.classes(), usual, policy.tolerance)),
        None => Judgement { set: 0, clear: flag::NORMAL_CONTENT, is_low: false },
    };
    clients.judge(row, judgement, now);
    if judgement.is_low {
        exchange.add_letter(Letter::LowPriority);
    }
}

/// A connection is over, which is an activity, too.
pub fn disconnect(policy: &Policy, moment: &Moment<'_>, connection: &Connection) {
    if policy.preference.is_some()
        && let Some(row) = connection.client_row
        && let Some(contents) = moment.store.clients.contents(row)
    {
        contents.act(1);
        // Of a connection that was cut off only what was logged on it says that its client is slow.
        if connection.marks.has(Marks::SLOW) && !connection.marks.has(Marks::CUT_OFF) {
            moment.store.clients.mark(row, flag::SLOW, moment.now);
        }
    }
}

/// Tells pages where the rule stands: all connections, above which clients are told apart.
pub fn status(
    policy: &Policy,
    picture: &Picture<'_>,
    server: &ServerView<'_>,
    out: &mut StatusRows,
) {
    if let Some(preference) = policy.preference.filter(|_| !server.is_virtual) {
        let current = picture.open_connections();
        out.push(Row::new("QS_ClientPrefer", Unit::Connections, preference.above, current));
    }
}

/// The class of a type of content; the first that fits.
fn class(content_type: Option<&[u8]>) -> usize {
    let text = content_type.unwrap_or(b"");
    let mut class = OTHER;
    for at in 0..text.len() {
        let rest = text.get(at..).unwrap_or(b"");
        let begins = |word: &[u8]| {
            rest.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        match rest.first().map(u8::to_ascii_lowercase) {
            Some(b'h') if begins(b"html") => return HTML,
            Some(b'i') if begins(b"image") => class = IMAGE,
            Some(b'c') if class == OTHER && begins(b"css") => class = CSS_OR_SCRIPT,
            Some(b'j') if class == OTHER && begins(b"javascript") => class = CSS_OR_SCRIPT,
            _ => {}
        }
    }
    class
}

/// What is usual, once enough is known of what all clients ask for.
fn usual_of(everybody: [u64; CLASSES]) -> Option<Shares> {
    let [html, ..] = everybody;
    (html > ENOUGH_OF_EVERYBODY && everybody.iter().all(|count| *count > 0))
        .then(|| shares(everybody))
}

fn shares(parts: [u64; CLASSES]) -> Shares {
    let sum = parts.iter().sum::<u64>().max(1);
    parts.map(|part| (part.saturating_mul(100) / sum) as u32)
}

/// In how many classes a client's share is not the usual one. A class that is hardly ever asked for may be
/// missing.
fn deviations(counts: [u32; CLASSES], usual: Shares, tolerance: u32) -> usize {
    // Each counter begins with 1.
    let mine = shares(counts.map(|count| u64::from(count) + 1));
    mine.iter()
        .zip(usual)
        .filter(|(mine, usual)| {
            **mine > usual + tolerance || (*usual > tolerance && **mine < usual - tolerance)
        })
        .count()
}

fn judgement(deviations: usize) -> Judgement {
    match deviations {
        0 => Judgement { set: flag::NORMAL_CONTENT, clear: flag::UNUSUAL_CONTENT, is_low: false },
        1 => Judgement { set: 0, clear: flag::NORMAL_CONTENT, is_low: true },
        _ => Judgement { set: flag::UNUSUAL_CONTENT, clear: flag::NORMAL_CONTENT, is_low: true },
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
