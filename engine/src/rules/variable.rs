//! Variables that a response, or a connection's fate, sets: `QS_SetEnvIfStatus`.
//! Spec: events-and-variables.md 3.1 and 3.2, variables.md 3. Phases: respond (set), disconnect (which
//! event a connection was).

use crate::context::{Connection, Exchange, Letter, Marks, RequestView};
use crate::directive::{About, Arguments, Arity, Directive, InLocation, Place, Scope};
use crate::log_event::{Level, LogEvent};
use crate::time::Millis;
use crate::values::{Capacity, Problem, http_status};
use core::ffi::CStr;
use std::ffi::CString;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    on_status: Vec<OnStatus>,
    on_null: bool,
    on_broken: bool,
    on_address_limit: bool,
    on_data_rate: bool,
    /// Rules in locations of this server: out of sight when it is known which variables count.
    in_locations: Vec<OnStatus>,
}

/// As written in a location.
#[derive(Clone, Debug, Default)]
pub struct LocationSettings {
    on_status: Vec<OnStatus>,
}

/// Nothing is kept for a request.
pub type Facts = ();

/// A client that leaves before the server takes its connection is to blame, unless it waited so long.
const FORBEARANCE: Millis = Millis(2000);

/// `mod_qos(308)`
pub static LEFT: LogEvent = LogEvent {
    number: 308,
    level: Level::Debug,
    is_counted: true,
    format: "connection not served, its client has left after waiting for {n} ms, c={c}",
    when: "a connection is taken whose client is gone, having waited for two seconds or more, where NullConnection or BrokenConnection are block events: it is closed, and is none",
};

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What statuses set, in order.
    pub on_status: Vec<OnStatus>,
    /// A connection without a request is a block event.
    pub on_null: bool,
    /// So is one that the client broke off.
    pub on_broken: bool,
    /// So is one above the limit per address.
    pub on_address_limit: bool,
    /// So is one that sent or took too little.
    pub on_data_rate: bool,
    /// Status and variable of rules that the start-up notice 301 names.
    pub mended: Vec<(u16, String)>,
    /// What rules say that cannot be meant, now that it is known which variables count.
    pub errors: Vec<String>,
    in_locations: Vec<OnStatus>,
    /// Names of variables that count, besides those of blocks.
    counting: Vec<CString>,
}

/// A response with this status sets this variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnStatus {
    status: u16,
    variable: CString,
    value: CString,
    /// Nothing is written for the value, so it is the status; for a variable that counts it is 1.
    is_default: bool,
    /// The C module would have added the status itself, not 1.
    is_mended: bool,
}

/// `mod_qos(301)`
pub static ADDS_ONE: LogEvent = LogEvent {
    number: 301,
    level: Level::Notice,
    is_counted: false,
    format: "QS_SetEnvIfStatus {code} {VAR}: adds 1 per response, not {code}, write {VAR}=<number> to choose",
    when: "start, for a counting variable that the C module raises by the status itself",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&ADDS_ONE, &LEFT];

const ABOUT: About = About {
    name: c"QS_SetEnvIfStatus",
    arguments: c"<status>|NullConnection|BrokenConnection|QS_SrvMaxConnPerIP|QS_SrvMinDataRate <variable>[=<value>]",
    arity: Arity::Two,
    scope: Scope::Location,
    range: "a status from 100 to 599; a number as the value of a counting variable. The four words: \
            base server only, and only for QS_Block without a value",
    default: "none; without a value 1 for a variable that a limit of clients counts, else the status",
    help: "Sets a variable when a response has this status; with QS_Block it is a block event. The words \
           stand for connections: one without a request, one that the client broke off in a response, one \
           above QS_SrvMaxConnPerIP, one below QS_SrvMinDataRate or QS_SrvRequestRate. Several variables per status are possible; a virtual host or location \
           replaces the value of the same variable.",
    spec: "events-and-variables.md 3",
};

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive { about: ABOUT, set, set_in_location: Some(set_in_location) },
    Directive {
        about: About {
            name: c"QS_SetEnvStatus",
            help: "The old name of QS_SetEnvIfStatus.",
            ..ABOUT
        },
        set,
        set_in_location: Some(set_in_location),
    },
];

fn set(settings: &mut Settings, arguments: &Arguments<'_>) -> Result<(), Problem> {
    let (code, variable) = (arguments.first(), arguments.second().unwrap_or(""));
    let event = [
        ("NullConnection", &mut settings.on_null),
        ("BrokenConnection", &mut settings.on_broken),
        ("QS_SrvMaxConnPerIP", &mut settings.on_address_limit),
        ("QS_SrvMinDataRate", &mut settings.on_data_rate),
    ]
    .into_iter()
    .find(|(word, _)| word.eq_ignore_ascii_case(code));
    let Some((word, event)) = event else {
        let rule = on_status(arguments)?;
        replace(&mut settings.on_status, rule);
        return Ok(());
    };
    if arguments.place != Place::BaseServer {
        return Err(Problem::text(format!("{word} may only be defined globally")));
    }
    if !variable.eq_ignore_ascii_case("QS_Block") {
        return Err(Problem::text(format!(
            "{word} may only be defined for the event QS_Block, not for '{variable}'"
        )));
    }
    *event = true;
    Ok(())
}

fn set_in_location(
    settings: &mut LocationSettings,
    arguments: &Arguments<'_>,
) -> Result<(), Problem> {
    let code = arguments.first();
    for word in ["NullConnection", "BrokenConnection", "QS_SrvMaxConnPerIP", "QS_SrvMinDataRate"] {
        if word.eq_ignore_ascii_case(code) {
            return Err(Problem::text(format!("{word} may only be defined globally")));
        }
    }
    replace(&mut settings.on_status, on_status(arguments)?);
    Ok(())
}

fn on_status(arguments: &Arguments<'_>) -> Result<OnStatus, Problem> {
    let code = arguments.first();
    let status = http_status(code).map_err(|_| {
        Problem::word(
            code,
            "an HTTP status from 100 to 599, NullConnection, BrokenConnection, QS_SrvMaxConnPerIP or \
             QS_SrvMinDataRate",
        )
    })?;
    let word = arguments.second().unwrap_or("");
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    if name.is_empty() || name.starts_with('!') {
        return Err(Problem::word(word, "a variable's name, or <variable>=<value>"));
    }
    // Which others count is only known when all is read: `Policy::know_counting`.
    let is_block = name.eq_ignore_ascii_case("QS_Block");
    let is_counting = is_block || name.eq_ignore_ascii_case("QS_Block_Decrement");
    if let Some(value) = value
        && is_counting
        && (value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(Problem::word(
            word,
            format_args!("a number for {name}, which counts: {name}=<number>"),
        ));
    }
    let default = if is_counting { "1" } else { code };
    let c_string = |text: &str| {
        CString::new(text).map_err(|_| Problem::word(word, "text without a NUL octet"))
    };
    Ok(OnStatus {
        status,
        variable: c_string(name)?,
        value: c_string(value.unwrap_or(default))?,
        is_default: value.is_none() && !is_counting,
        is_mended: is_counting
            && value.is_none()
            && (!is_block || arguments.place == Place::Location),
    })
}

/// Adds a rule, in the place of one for the same status and variable.
fn replace(rules: &mut Vec<OnStatus>, rule: OnStatus) {
    rules.retain(|old| {
        old.status != rule.status
            || !old.variable.as_bytes().eq_ignore_ascii_case(rule.variable.as_bytes())
    });
    rules.push(rule);
}

fn over(inner: &[OnStatus], outer: &[OnStatus]) -> Vec<OnStatus> {
    let mut merged = outer.to_vec();
    for rule in inner {
        replace(&mut merged, rule.clone());
    }
    merged
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            on_status: over(&self.on_status, &base.on_status),
            in_locations: self.in_locations.clone(),
            ..base.clone()
        }
    }

    /// Takes note of what was just written in a location of this server: a location's own settings are
    /// out of sight when the server starts and has to tell of them.
    pub fn remember(&mut self, location: &LocationSettings) {
        self.in_locations.extend(location.on_status.last().cloned());
    }
}

impl InLocation for LocationSettings {
    fn is_empty(&self) -> bool {
        self.on_status.is_empty()
    }

    fn over(&self, outer: &LocationSettings) -> LocationSettings {
        LocationSettings { on_status: over(&self.on_status, &outer.on_status) }
    }
}

impl LocationSettings {
    /// Returns what statuses set here.
    pub fn on_status(&self) -> &[OnStatus] {
        &self.on_status
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy {
            on_status: settings.on_status.clone(),
            on_null: settings.on_null,
            on_broken: settings.on_broken,
            on_address_limit: settings.on_address_limit,
            on_data_rate: settings.on_data_rate,
            mended: Vec::new(),
            errors: Vec::new(),
            in_locations: settings.in_locations.clone(),
            counting: Vec::new(),
        }
    }

    /// Learns which variables count besides those of blocks, and what that makes of the rules.
    pub fn know_counting(&mut self, names: Vec<CString>) {
        self.counting = names;
        for rule in self.on_status.iter_mut().chain(&mut self.in_locations) {
            let counts = counts(&self.counting, &rule.variable);
            let value = rule.value.to_bytes();
            if counts && rule.is_default {
                rule.value = c"1".to_owned();
                rule.is_mended = true;
            } else if counts && (value.is_empty() || !value.iter().all(u8::is_ascii_digit)) {
                let name = rule.variable.to_string_lossy();
                self.errors.push(format!(
                    "QS_SetEnvIfStatus: '{name}={}' is not allowed here, it takes a number for {name}, \
                     which counts: {name}=<number>",
                    rule.value.to_string_lossy()
                ));
            }
        }
        let rules = self.on_status.iter().chain(&self.in_locations);
        self.mended = rules.filter_map(OnStatus::mended).collect();
    }

    /// Sets what the status of a response asks for; `rules` are the server's or a location's.
    pub fn respond(&self, rules: &[OnStatus], status: u16, request: &mut dyn RequestView) {
        for rule in rules.iter().filter(|rule| rule.status == status) {
            let is_one = rule.is_default && counts(&self.counting, &rule.variable);
            request.set_variable(&rule.variable, if is_one { b"1" } else { rule.value.to_bytes() });
        }
    }
}

fn counts(names: &[CString], variable: &CStr) -> bool {
    names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(variable.to_bytes()))
}

impl OnStatus {
    /// What the start-up notice 301 names, if the C module would have counted differently.
    fn mended(&self) -> Option<(u16, String)> {
        self.is_mended.then(|| (self.status, self.variable.to_string_lossy().into_owned()))
    }
}

/// Tells whether a new connection is not worth serving: its client has left, after `left_after` says how
/// long it waited until the server took the connection. Its end would be a block event, though it was the
/// server that kept the client waiting: a good client that loses patience while an attack starves the
/// server would be blocked for it, and every such connection takes a worker.
pub fn is_left(policy: &Policy, left_after: &dyn Fn() -> Option<Millis>) -> Option<Millis> {
    if !policy.on_null && !policy.on_broken {
        return None;
    }
    left_after().filter(|waited| *waited >= FORBEARANCE)
}

/// A request is logged, and its client may have gone away meanwhile. Who goes while he is still sending the
/// request breaks off no response: 400 or 408 is then said to nobody, and counts for itself.
pub fn note_broken(exchange: &mut Exchange<'_>, is_aborted: bool) {
    let marks = &exchange.connection.marks;
    if matches!(exchange.request.status(), 400 | 408) {
        marks.clear(Marks::RESPONDED);
    } else if is_aborted && !marks.has(Marks::REFUSED) {
        marks.set(Marks::BROKEN);
        exchange.add_letter(Letter::Aborted);
    }
}

/// Returns the word for the block event that a connection was, if it was one: at most one.
pub fn connection_event(policy: &Policy, connection: &Connection) -> Option<&'static str> {
    let marks = &connection.marks;
    if marks.has(Marks::BLOCK_EVENT) {
        return None;
    }
    if policy.on_address_limit && marks.has(Marks::OVER_ADDRESS_LIMIT) {
        return Some("QS_SrvMaxConnPerIP");
    }
    if policy.on_broken && marks.has(Marks::BROKEN) {
        return Some("BrokenConnection");
    }
    if policy.on_null && !marks.has(Marks::REQUEST_SEEN) {
        return Some("NullConnection");
    }
    None
}
