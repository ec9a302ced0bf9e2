//! What the status pages show: a picture of the server at one moment, and its renderings.
//!
//! ```text
//!   Picture            everything there is to show: the store, the rules of each server, the workers
//!     -> rows          each family tells of its rules
//!       -> text        `?auto`, also below mod_status
//!       -> json        `?json`
//!       -> html        for people, a part of it below mod_status
//!     -> clients       who is blocked or limited, and what is known of one client
//!     -> watch         whether the server is busy, and which networks are blocked
//!       -> metrics     for Prometheus
//! ```
//! Nothing is held up for a page: it reads counters that others go on changing.
//! Spec: status-and-console.md 1, 2; additions.md 5.

pub mod clients;
mod clock;
pub mod events;
mod html;
pub mod json;
pub mod metrics;
pub mod query;
pub mod rows;
pub mod text;
pub mod watch;

pub use query::Query;
pub use rows::{Row, StatusRows};

use crate::client::address::{Address, PrefixBits};
use crate::rules::Policy;
use crate::store::{Store, slots};
use crate::time::Tick;
use core::ffi::CStr;
use core::fmt;

/// An answer, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its status. An error without a body gets httpd's own page.
    pub status: u16,
    /// The type of its body.
    pub content_type: &'static str,
    /// Headers besides.
    pub headers: Vec<(&'static CStr, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Page {
    /// Makes a page that nobody shall keep.
    pub fn new(content_type: &'static str, body: impl Into<Vec<u8>>) -> Page {
        Page {
            status: 200,
            content_type,
            headers: vec![(c"Cache-Control", "no-cache".to_owned())],
            body: body.into(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn and(mut self, name: &'static CStr, value: &str) -> Page {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The path, decoded.
    pub path: &'a [u8],
    /// The parameters.
    pub query: &'a Query,
    /// Only the headers of the answer are wanted.
    pub is_head: bool,
}

/// Everything that a page can show.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// When it is taken.
    pub now: Tick,
    /// The same, in seconds since 1970.
    pub epoch_seconds: u64,
    /// The load of the last minute, where the system tells it.
    pub load: Option<f64>,
    /// How many processors there are.
    pub processors: u32,
    /// How many seconds the clock on the wall is ahead of Greenwich's.
    pub utc_offset: i32,
    /// Where counters live.
    pub store: &'a Store<'a>,
    /// The rules of the base server.
    pub base: &'a Policy,
    /// All servers in the order of the configuration, the base server first.
    pub servers: Vec<ServerView<'a>>,
    /// What httpd's workers are at.
    pub workers: Workers,
    /// The version of this module.
    pub version: &'static str,
}

impl Picture<'_> {
    /// Returns how many connections are open, of all servers together.
    pub fn open_connections(&self) -> u32 {
        self.store.scopes.open(slots::ALL)
    }

    /// Returns an address of a table as pages show it.
    pub fn shown(&self, address: Address) -> Shown {
        Shown::new(address, self.store.prefix)
    }
}

/// One server of the configuration.
#[derive(Clone, Debug)]
pub struct ServerView<'a> {
    /// A `<VirtualHost>`, not the base server.
    pub is_virtual: bool,
    /// Its name.
    pub host: String,
    /// The port of its address, 0 for the base server.
    pub port: u16,
    /// Its rules.
    pub policy: &'a Policy,
    /// The row of its connections.
    pub scope: u32,
    /// A virtual host without a directive of ours: it has the base server's rules and counters.
    pub is_sharing_base: bool,
    /// Its connections are counted for itself.
    pub has_own_connection_counters: bool,
}

impl ServerView<'_> {
    /// Returns the letter that `?auto` has for it.
    pub fn letter(&self) -> char {
        if self.is_virtual { 'v' } else { 'b' }
    }

    /// Returns how many connections it has open.
    pub fn connections(&self, picture: &Picture<'_>) -> u32 {
        picture.store.scopes.open(self.scope)
    }

    /// Returns the addresses that hold its connections, with how many each holds, most first. Only where
    /// connections per address are limited, and counted for this server.
    pub fn addresses(&self, picture: &Picture<'_>) -> Vec<(Address, u32)> {
        let is_limited = self.policy.connection_limit.per_address.is_some();
        if !is_limited || self.is_sharing_base || !self.has_own_connection_counters {
            return Vec::new();
        }
        let mut all: Vec<(Address, u32)> = picture.store.peers.holders(self.scope).collect();
        all.sort_by_key(|(address, count)| (core::cmp::Reverse(*count), *address));
        all
    }
}

/// How many of httpd's workers are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// No worker there.
    pub open: u32,
    /// Waits for a connection.
    pub waiting: u32,
    /// Reads a request.
    pub read: u32,
    /// Answers one.
    pub write: u32,
    /// Waits for the next one of its connection.
    pub keepalive: u32,
    /// Starts.
    pub start: u32,
    /// Writes a log line.
    pub log: u32,
    /// Looks up a name.
    pub dns: u32,
    /// Closes a connection.
    pub closing: u32,
    /// Finishes before it ends.
    pub finishing: u32,
    /// Ends, since there is nothing to do.
    pub idle: u32,
    /// How many connections can be served (model.md 4).
    pub max_clients: u32,
}

impl Workers {
    /// Returns all states by their names, in the order in which they are shown.
    pub fn states(&self) -> [(&'static str, u32); 11] {
        [
            ("open", self.open),
            ("waiting", self.waiting),
            ("read", self.read),
            ("write", self.write),
            ("keepalive", self.keepalive),
            ("start", self.start),
            ("log", self.log),
            ("dns", self.dns),
            ("closing", self.closing),
            ("finishing", self.finishing),
            ("idle", self.idle),
        ]
    }

    /// Returns how many work on a connection.
    pub fn busy(&self) -> u32 {
        self.read + self.write + self.keepalive + self.log + self.dns
    }
}

/// An address as pages show it: `<prefix>/<bits>` where it was cut before it was counted (additions.md 2).
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    address: Address,
    bits: PrefixBits,
}

impl Shown {
    /// Takes an address of a table that cuts addresses to so many bits.
    pub fn new(address: Address, bits: PrefixBits) -> Shown {
        Shown { address, bits }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { address, bits } = *self;
        if address.is_v4() || bits == PrefixBits::WHOLE {
            return write!(f, "{address}");
        }
        // What has more bits than that was made of a name, and is counted whole.
        let is_whole = address.cut(bits) != address;
        write!(f, "{address}/{}", if is_whole { 128 } else { bits.0 })
    }
}

/// The page's icon: a shield.
const ICON: &[u8] = include_bytes!("report/favicon.ico");

/// Answers the handler `qos-viewer`.
pub fn view(picture: &Picture<'_>, asked: &Asked<'_>) -> Page {
    if asked.path.windows(11).any(|part| part == b"favicon.ico") {
        let headers = vec![(c"Cache-Control", "public, max-age=2592000".to_owned())];
        return Page { headers, ..Page::new("image/x-icon", ICON) };
    }
    // Who wants only headers does not read: what is new to others stays new.
    let body = |render: &dyn Fn() -> String| if asked.is_head { String::new() } else { render() };
    if asked.query.has("auto") {
        return Page::new("text/plain", body(&|| text::render(picture, asked.query)));
    }
    if asked.query.has("json") {
        return Page::new("application/json", body(&|| json::render(picture, asked.query)));
    }
    let page = Page::new("text/html; charset=utf-8", body(&|| html::render(picture, asked)))
        .and(c"Content-Security-Policy", POLICY)
        .and(c"X-Content-Type-Options", "nosniff")
        .and(c"Referrer-Policy", "no-referrer");
    if asked.query.has("refresh") { page.and(c"Refresh", "10") } else { page }
}

/// Should anything ever slip into the page that does not belong there: no script runs, and nobody is told.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'self'";

/// Adds to what mod_status tells scripts.
pub fn status_text(picture: &Picture<'_>, asked: &Asked<'_>) -> Page {
    Page::new("text/plain", text::render(picture, asked.query))
}

/// Adds to what mod_status shows.
pub fn status_html(picture: &Picture<'_>, _: &Asked<'_>) -> Page {
    Page::new("text/html", html::section(picture))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
