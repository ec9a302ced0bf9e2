//! VIPs: who is one by a session, by a variable, by what the application answers, or by who was
//! authenticated. Spec: client.md VIP.
//!
//! Phases: read (marks of the connection), admit (the session's cookie is taken out of the request, then,
//! behind QS_SetEnvIf*, it is settled whether the request is a VIP's), fix_up (authenticated users),
//! respond (response headers, new sessions, the mark of the address).

mod directives;
mod session;

use crate::context::{Aspect, Exchange, Letter, Marks};
use crate::log_event::{Level, LogEvent};
use crate::matching::pattern::{Matched, Pattern};
use crate::sealed_cookie::Key;
use crate::values::Capacity;
use core::ffi::CStr;
pub use directives::{DIRECTIVES, Settings};
use std::ffi::CString;

/// Nothing of this family stands in a location.
pub type LocationSettings = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Sessions, where QS_VipHeaderName or QS_VipUser begins them.
    session: Option<Session>,
    /// A response header that marks the address.
    address_header: Option<Trigger>,
    /// Who is authenticated has the address marked.
    is_address_by_user: bool,
}

/// How sessions begin, and what their cookie looks like.
#[derive(Clone, Debug)]
struct Session {
    /// A response header that begins one.
    header: Option<Trigger>,
    /// Who is authenticated begins one.
    is_by_user: bool,
    /// What seals the cookie: `None` until the module has handed in a random one.
    key: Option<Key>,
    /// So many seconds a session lasts.
    timeout: u32,
    name: Vec<u8>,
    path: String,
}

/// A response header, and what its value has to match.
#[derive(Clone, Debug)]
pub struct Trigger {
    name: CString,
    value: Option<Pattern>,
    /// The header is for us alone: the client does not get it.
    is_dropped: bool,
}

/// What is kept of one request.
#[derive(Debug, Default)]
pub struct Facts {
    /// It came with a session that holds.
    has_session: bool,
    /// Its user was authenticated and let in.
    is_authenticated: bool,
}

/// `mod_qos(021)`
pub static SESSION_REFUSED: LogEvent = LogEvent {
    number: 21,
    level: Level::Warning,
    is_counted: true,
    format: "session cookie verification failed, decoding failed, id={id}",
    when: "a session cookie that this server did not make, or not for this name, or with another key",
};

/// `mod_qos(023)`
pub static SESSION_EXPIRED: LogEvent = LogEvent {
    number: 23,
    level: Level::Warning,
    is_counted: true,
    format: "session cookie verification failed, expired, id={id}",
    when: "a session cookie older than QS_SessionTimeout",
};

/// `mod_qos(025)`
pub static SESSION_FAILED: LogEvent = LogEvent {
    number: 25,
    level: Level::Warning,
    is_counted: true,
    format: "failed to create session cookie, id={id}",
    when: "a session could not be begun; an event 080 before it says why",
};

/// `mod_qos(080)`
pub static NO_RANDOM_DATA: LogEvent = LogEvent {
    number: 80,
    level: Level::Error,
    is_counted: false,
    format: "Can't generate random data, id={id}",
    when: "the kernel has no random data for a cookie",
};

/// `mod_qos(083)`
pub static NO_KEY: LogEvent = LogEvent {
    number: 83,
    level: Level::Error,
    is_counted: false,
    format: "Can't generate random data.",
    when: "start, where sessions need a random key: the start fails",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] =
    &[&SESSION_REFUSED, &SESSION_EXPIRED, &SESSION_FAILED, &NO_RANDOM_DATA, &NO_KEY];

const REQUEST: &CStr = c"QS_VipRequest";
const IS_VIP: &CStr = c"QS_IsVipRequest";
const YES: &[u8] = b"yes";

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        let is_session = settings.header.is_some() || settings.is_by_user;
        Policy {
            session: is_session.then(|| Session {
                header: settings.header.clone(),
                is_by_user: settings.is_by_user,
                key: settings.key.as_deref().map(Key::derive),
                timeout: settings.timeout.map_or(3600, |timeout| timeout.0),
                name: settings.cookie_name.clone().unwrap_or_else(|| b"MODQOS".to_vec()),
                path: settings.cookie_path.clone().unwrap_or_else(|| "/".to_owned()),
            }),
            address_header: settings.address_header.clone(),
            is_address_by_user: settings.is_address_by_user,
        }
    }

    /// Tells whether sessions are sealed with a key that nobody configured: [`Policy::use_key`] is waiting
    /// for one.
    pub fn wants_key(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.key.is_none())
    }

    /// Takes random octets for the key where none is configured: sessions last until the next restart.
    pub fn use_key(&mut self, random: &[u8; 32]) {
        if let Some(session) = &mut self.session {
            session.key.get_or_insert_with(|| Key::derive(random));
        }
    }

    /// Tells whether a response can make a VIP.
    pub fn wants_response(&self) -> bool {
        self.session.is_some() || self.address_header.is_some() || self.is_address_by_user
    }

    /// Tells whether somebody who is authenticated becomes a VIP.
    pub fn wants_user(&self) -> bool {
        self.is_address_by_user || self.session.as_ref().is_some_and(|s| s.is_by_user)
    }

    /// Tells whether addresses are marked, and for that remembered.
    pub fn marks_addresses(&self) -> bool {
        self.wants_response()
    }
}

/// Tells a request what its connection is (B.5): also one whose address was marked since it was opened.
pub fn read(exchange: &mut Exchange<'_>) {
    let connection = exchange.connection;
    let clients = &exchange.moment.store.clients;
    if !connection.marks.has(Marks::VIP)
        && connection.client_row.is_some_and(|row| clients.is_vip(row))
    {
        connection.marks.set(Marks::VIP);
    }
    if connection.marks.has(Marks::VIP) {
        exchange.request.set_variable(IS_VIP, YES);
    }
}

/// Takes the session's cookie out of the request, and looks at it (I.5, early).
pub fn take_session(policy: &Policy, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    let Some(session) = &policy.session else { return };
    let now = exchange.request.arrived_at();
    match session.take(exchange.request, now) {
        session::Found::Nothing => {}
        session::Found::Valid => {
            facts.has_session = true;
            exchange.known.is_vip = true;
            exchange.connection.marks.set(Marks::VIP);
            exchange.request.set_variable(REQUEST, YES);
        }
        session::Found::Refused => {
            exchange.note(
                &SESSION_REFUSED,
                format_args!("session cookie verification failed, decoding failed"),
            );
        }
        session::Found::Expired => {
            exchange.note(
                &SESSION_EXPIRED,
                format_args!("session cookie verification failed, expired"),
            );
        }
    }
}

/// Settles whether the request is a VIP's, when all of QS_SetEnvIf* is done (I.6).
pub fn settle(policy: &Policy, exchange: &mut Exchange<'_>) {
    if policy.session.is_none() {
        return;
    }
    let is_said = |value: &[u8]| value.eq_ignore_ascii_case(YES);
    if exchange.known.is_vip || exchange.request.variable(REQUEST).is_some_and(is_said) {
        exchange.known.is_vip = true;
        exchange.request.set_variable(IS_VIP, YES);
    }
}

/// Who was authenticated is a VIP from now on (step J), where the configuration says so.
///
/// Only a request that was let in comes here, with one exception: the page of a refused one, which
/// inherits the user's name from it, wrong password or not. That one has the status of its error.
pub fn fix_up(policy: &Policy, exchange: &mut Exchange<'_>, facts: &mut Facts) {
    if !policy.wants_user()
        || exchange.request.aspect(Aspect::User).is_none()
        || exchange.request.is_subrequest()
        || exchange.request.status() != 200
    {
        return;
    }
    facts.is_authenticated = true;
    exchange.connection.marks.set(Marks::VIP);
    exchange.request.set_variable(IS_VIP, YES);
}

/// Looks at what the application answered (K.5): a session begins, or the address is marked.
pub fn respond(policy: &Policy, exchange: &mut Exchange<'_>, facts: &Facts) {
    // Who could not log in is no VIP, whatever headers say.
    let is_unauthorized = exchange.request.status() == 401;
    let is_user = facts.is_authenticated && !is_unauthorized;
    let mut is_marked = is_user && policy.is_address_by_user;
    if let Some(trigger) = &policy.address_header {
        is_marked |= trigger.is_hit(exchange) && !is_unauthorized;
    }
    if let Some(session) = &policy.session
        && !facts.has_session
    {
        let is_by_header = session.header.as_ref().is_some_and(|trigger| trigger.is_hit(exchange));
        if (is_by_header && !is_unauthorized) || (is_user && session.is_by_user) {
            begin(session, exchange);
            is_marked = true;
        }
    }
    if is_marked {
        mark(exchange);
    }
}

impl Trigger {
    /// Tells whether the response has the header with a value that counts, and takes it out where that
    /// is asked for, whatever its value.
    fn is_hit(&self, exchange: &mut Exchange<'_>) -> bool {
        let Some(value) = exchange.request.response_header(&self.name) else { return false };
        // A pattern that nobody can decide in time makes no VIP.
        let is_hit = self
            .value
            .as_ref()
            .is_none_or(|pattern| matches!(pattern.is_match(value), Matched::Yes));
        if self.is_dropped {
            exchange.request.remove_response_header(&self.name);
        }
        is_hit
    }
}

/// Begins a session: the client gets its cookie.
fn begin(session: &Session, exchange: &mut Exchange<'_>) {
    let now = exchange.request.arrived_at();
    let mut nonce = [0; crate::sealed_cookie::NONCE];
    if !exchange.request.fill_randomly(&mut nonce) {
        exchange.note(&NO_RANDOM_DATA, format_args!("Can't generate random data"));
        exchange.note(&SESSION_FAILED, format_args!("failed to create session cookie"));
        return;
    }
    match session.cookie(now, &nonce, exchange.request.is_tls()) {
        Some(cookie) => {
            exchange.request.add_response_header(c"Set-Cookie", cookie.as_bytes());
            exchange.add_letter(Letter::Session);
        }
        None => exchange.note(&SESSION_FAILED, format_args!("failed to create session cookie")),
    }
}

/// Marks connection and address, which is in force for all others of that address from now on.
fn mark(exchange: &mut Exchange<'_>) {
    exchange.connection.marks.set(Marks::VIP);
    if let Some(row) = exchange.connection.client_row {
        exchange.moment.store.clients.mark_vip(row);
    }
    exchange.add_letter(Letter::VipAddress);
    exchange.request.set_variable(IS_VIP, YES);
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
