//! Whom the client table counts, and how many of them.
//! Spec: model.md 2 and 5, additions.md 1. The size and the prefix are for the life of the segment. Phases:
//! admit and finish (whom is the request counted for?), before the rules that count it.

use crate::client::address::{Address, PrefixBits};
use crate::client::identity::Client;
use crate::context::{Aspect, Exchange, RequestView};
use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::clients::{CLIENTS, RowId};
use crate::store::layout::DEFAULT_CLIENT_ENTRIES;
use crate::time::Tick;
use crate::values::{Capacity, Problem, number};
use std::borrow::Cow;
use std::ffi::CString;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    entries: Option<u32>,
    prefix: Option<u8>,
    is_ipv6_off: Option<bool>,
    source: Option<Source>,
}

/// Where a request says whom it is counted for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// A header has the address.
    Header(CString),
    /// A header has a name, of which an address is made.
    Name(CString),
    /// The client's certificate has one.
    Certificate,
    /// mod_remoteip has found it out.
    UserAgent,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Rows of the client table.
    pub entries: u32,
    /// To what IPv6 addresses are cut.
    pub prefix: PrefixBits,
    /// `QS_SupportIPv6 off` was written, which has no effect.
    pub is_ipv6_off: bool,
    source: Option<Source>,
}

/// `mod_qos(069)`
pub static NO_ADDRESS: LogEvent = LogEvent {
    number: 69,
    level: Level::Error,
    is_counted: true,
    format: "no valid IP header found (@{where}): {header '{name}' not available|invalid header value '{value}'}, fallback to connection's IP {c}, id={id}",
    when: "a request without the address that QS_ClientIpFromHeader names, once per request",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NO_ADDRESS];

/// So much of a value that is no address is written to the log.
const LONGEST_VALUE: usize = 100;

/// The table grows in steps of so many rows.
const STEP: u32 = 640;

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientEntries",
            arguments: c"<number>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "640 to 10000639, rounded down to a multiple of 640",
            default: "50000",
            help: "How many client addresses are remembered. When more come, the longest unused goes, \
                   before any that is blocked; a client with an open connection stays. A changed number needs a stop \
                   and start.",
            spec: "model.md 2.2, 2.3",
        },
        set: |settings, arguments| {
            let entries = number(arguments.first(), STEP, 10_000_639)?;
            settings.entries = Some(entries / STEP * STEP);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientIPv6Prefix",
            arguments: c"<bits>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "32 to 128",
            default: "64",
            help: "The length to which an IPv6 address is cut before it is counted: a customer's whole \
                   network is one client. 128 counts every address by itself. IPv4 is always counted \
                   whole. A changed length needs a stop and start.",
            spec: "additions.md 1",
        },
        set: |settings, arguments| {
            let bits = number(arguments.first(), 32, 128)?;
            settings.prefix = u8::try_from(bits).ok();
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SupportIPv6",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "on, off",
            default: "on",
            help: "Accepted for the sake of existing configurations. IPv6 is always on; 'off' has no \
                   effect and says so at the start (event 303).",
            spec: "model.md 5, additions.md 1",
        },
        set: |settings, arguments| {
            settings.is_ipv6_off = Some(!arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientIpFromHeader",
            arguments: c"<header>|#<header>|#SSL_CLIENT_S_DN|#USERAGENT_IP",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "a request header that has one address and nothing else; behind a '#' one with any text, or \
                    the two words, for the names in the client's certificate and for the address that \
                    mod_remoteip has found out",
            default: "the peer of the connection",
            help: "Whom QS_ClientEventLimitCount, QS_CondClientEventLimitCount, QS_ClientEventRequestLimit and \
                   QS_ClientSerialize count a request for. A header is believed whoever sends it: use one that \
                   a proxy sets in any case, or #USERAGENT_IP. Where there is no address the peer is counted \
                   (event 069). Connections and QS_ClientEventBlockCount always go by the peer.",
            spec: "client.md QS_ClientIpFromHeader, model.md 5",
        },
        set: |settings, arguments| {
            settings.source = Some(Source::parse(arguments.first())?);
            Ok(())
        },
        set_in_location: None,
    },
];

impl Source {
    fn parse(word: &str) -> Result<Source, Problem> {
        let refused = || Problem::word(word, "the name of a request header, perhaps behind a '#'");
        let header = |name: &str| {
            let is_token = !name.is_empty()
                && name
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c));
            CString::new(name).ok().filter(|_| is_token).ok_or_else(refused)
        };
        match word.strip_prefix('#') {
            None => header(word).map(Source::Header),
            Some("USERAGENT_IP") => Ok(Source::UserAgent),
            Some("SSL_CLIENT_S_DN") => Ok(Source::Certificate),
            Some(name) => header(name).map(Source::Name),
        }
    }

    /// Returns its name, as it stands in the configuration.
    fn name(&self) -> Cow<'_, str> {
        match self {
            Source::Header(name) => name.to_string_lossy(),
            Source::Name(name) => format!("#{}", name.to_string_lossy()).into(),
            Source::Certificate => "#SSL_CLIENT_S_DN".into(),
            Source::UserAgent => "#USERAGENT_IP".into(),
        }
    }

    /// Says what is the matter with a value that is no client, or with none.
    fn lacks(&self, value: Option<&[u8]>) -> String {
        match value {
            None => format!("header '{}' not available", self.name()),
            Some(value) => {
                let value = value.get(..LONGEST_VALUE).unwrap_or(value);
                format!("invalid header value '{}'", String::from_utf8_lossy(value))
            }
        }
    }

    /// Reads who the client is. The error is what stands there instead, if anything does.
    fn read<'r>(&self, request: &'r dyn RequestView) -> Result<Client, Option<&'r [u8]>> {
        let address = |value: Option<&'r [u8]>| {
            let value = value.ok_or(None)?;
            Client::parse(value).ok_or(Some(value))
        };
        let is_there = |value: &&[u8]| !value.is_empty();
        match self {
            Source::Header(name) => address(request.header(name)),
            Source::UserAgent => address(request.aspect(Aspect::RemoteAddress)),
            Source::Name(name) => {
                let name = request.header(name).filter(is_there).ok_or(None)?;
                Ok(Client::made_of(&[name]))
            }
            Source::Certificate => {
                let subject = request.aspect(Aspect::CertificateSubject).filter(is_there);
                let issuer = request.aspect(Aspect::CertificateIssuer).unwrap_or(b"");
                Ok(Client::made_of(&[subject.ok_or(None)?, issuer]))
            }
        }
    }
}

/// Finds out whom a request is counted for, once, and holds that client's row as long as the request
/// lasts. `place` is for the log: where it was asked.
pub fn identify(policy: &Policy, exchange: &mut Exchange<'_>, place: &str) {
    if exchange.known.client.is_some() {
        return;
    }
    find_out(policy, exchange, place);
    let (moment, bits) = (exchange.moment, exchange.moment.store.prefix);
    exchange.known.client_row = if exchange.is_of_peer() {
        exchange.connection.client_row
    } else {
        let address = exchange.client().counted(bits);
        let (store, child) = (moment.store, moment.child);
        let held = store.hold_client(exchange.purse, child, CLIENTS, address, moment.now);
        held.map(|held| held.row)
    };
}

/// Gives that client's row back, where it was held for this request alone; it is worth keeping until `end`.
pub fn release(exchange: &mut Exchange<'_>, row: RowId, end: Option<Tick>) {
    let now = exchange.moment.now;
    exchange.moment.store.give_client(exchange.purse, row, end.unwrap_or(now), now);
}

fn find_out(policy: &Policy, exchange: &mut Exchange<'_>, place: &str) {
    let peer = Client::of(exchange.connection.peer);
    let Some(source) = &policy.source else {
        exchange.known.client = Some(peer);
        return;
    };
    let what = match source.read(exchange.request) {
        Ok(client) => {
            exchange.known.client = Some(client);
            return;
        }
        Err(value) => source.lacks(value),
    };
    exchange.known.client = Some(peer);
    tell(exchange, &what, place);
}

/// Returns the address that a header gives, for those who only look it up. `None` where no header is asked,
/// or where it has none.
pub fn address(policy: &Policy, exchange: &mut Exchange<'_>, place: &str) -> Option<Address> {
    let source = policy.source.as_ref().filter(|source| matches!(source, Source::Header(_)))?;
    let what = match source.read(exchange.request) {
        Ok(client) => return Some(client.address()),
        Err(value) => source.lacks(value),
    };
    tell(exchange, &what, place);
    None
}

/// Tells, once per request, that a header has no address.
fn tell(exchange: &mut Exchange<'_>, what: &str, place: &str) {
    if exchange.known.is_told_of_address {
        return;
    }
    exchange.known.is_told_of_address = true;
    let address = exchange.connection.peer.0;
    exchange.note(
        &NO_ADDRESS,
        format_args!(
            "no valid IP header found (@{place}): {what}, fallback to connection's IP {address}"
        ),
    );
}

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy {
            entries: settings.entries.unwrap_or(DEFAULT_CLIENT_ENTRIES),
            prefix: settings.prefix.map_or(PrefixBits::DEFAULT, PrefixBits),
            is_ipv6_off: settings.is_ipv6_off.unwrap_or(false),
            source: settings.source.clone(),
        }
    }
}
