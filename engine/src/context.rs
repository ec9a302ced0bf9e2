//! What a phase hands to a rule: the time, the store, and what has been learned so far.

use crate::atomic::{AtomicU32, Ordering};
use crate::client::countries::Country;
use crate::client::identity::{Client, Peer};
use crate::log_event::{self, LogEvent, LogSink};
use crate::meter::progress::Progress;
use crate::store::Store;
use crate::store::children::{Child, Record, RecordId};
use crate::store::clients::RowId;
use crate::store::loans::Purse;
use crate::store::marks::Standing;
use crate::time::{Millis, Seconds, Tick};
use core::ffi::CStr;
use core::fmt;

/// What every phase is given.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// When it happens.
    pub now: Tick,
    /// Where counters live.
    pub store: &'a Store<'a>,
    /// Which child it happens in.
    pub child: &'a Child,
}

/// What happened on a connection so far. Streams of HTTP/2 come from several threads at once.
#[derive(Debug, Default)]
pub struct Marks(AtomicU32);

impl Marks {
    /// A request was logged on it.
    pub const REQUEST_SEEN: u32 = 1;
    /// It raised a block event, or was refused for one: no second one at its end.
    pub const BLOCK_EVENT: u32 = 1 << 1;
    /// It was over the limit of connections per address.
    pub const OVER_ADDRESS_LIMIT: u32 = 1 << 2;
    /// The client went away in the middle of a response.
    pub const BROKEN: u32 = 1 << 3;
    /// A response was begun on it.
    pub const RESPONDED: u32 = 1 << 4;
    /// It carries HTTP/2 streams.
    pub const HTTP2: u32 = 1 << 5;
    /// It was refused by us.
    pub const REFUSED: u32 = 1 << 6;
    /// Its address is marked as VIP, or a request on it made it one.
    pub const VIP: u32 = 1 << 7;
    /// It sent or took too little.
    pub const SLOW: u32 = 1 << 12;
    /// It was cut off for that.
    pub const CUT_OFF: u32 = 1 << 13;

    /// Sets a mark; true when it was not set before.
    pub fn set(&self, mark: u32) -> bool {
        self.0.fetch_or(mark, Ordering::Relaxed) & mark == 0
    }

    /// Takes a mark away.
    pub fn clear(&self, mark: u32) {
        self.0.fetch_and(!mark, Ordering::Relaxed);
    }

    /// Tells whether a mark is set.
    pub fn has(&self, mark: u32) -> bool {
        self.0.load(Ordering::Relaxed) & mark != 0
    }
}

/// A TCP connection that is counted: what it holds, and the numbers it saw when it came.
#[derive(Debug)]
pub struct Connection {
    /// Who holds it.
    pub peer: Peer,
    /// Which server counts it.
    pub scope: u32,
    /// Its leases in shared memory; without a record they are in `own`.
    pub record: Option<RecordId>,
    /// Leases of a connection without a record: exact as long as the child ends in peace.
    pub own: Record,
    /// The row of its address at its server.
    pub peer_row: Option<RowId>,
    /// The row of its client, where client rules are configured.
    pub client_row: Option<RowId>,
    /// `QS_AllConn`: all open connections, this one included.
    pub all_connections: u32,
    /// `QS_SrvConn`: those of its server.
    pub server_connections: u32,
    /// `QS_IPConn`: those of its address, where `QS_SrvMaxConnPerIP` is configured.
    pub address_connections: Option<u32>,
    /// `QS_Country`: where the peer's address is, where a file of countries is configured and has it.
    pub country: Option<Country>,
    /// What was known of its client when it came.
    pub standing: Standing,
    /// On the list of `QS_SrvMaxConnExcludeIP`, or marked as VIP.
    pub is_vip: bool,
    /// On the list of `QS_ClientEventBlockExcludeIP`.
    pub is_exempt_from_block: bool,
    /// What happened so far.
    pub marks: Marks,
    /// What it is at.
    pub progress: Progress,
}

impl Connection {
    /// Returns where its leases are written.
    pub fn leases<'a>(&'a self, store: &'a Store<'_>) -> &'a Record {
        self.record.and_then(|id| store.children.record(id)).unwrap_or(&self.own)
    }
}

/// What is known of a request besides its headers and variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aspect {
    /// `GET`
    Method,
    /// `HTTP/1.1`
    Protocol,
    /// The path, decoded once and normalised, without the query.
    Path,
    /// Path and query as the client sent them.
    RawUri,
    /// The query, undecoded; `None` when there is none.
    Query,
    /// The path that the client asked for, decoded once and normalised, whatever mod_rewrite has made of it.
    SentPath,
    /// The query that the client sent, in the same way.
    SentQuery,
    /// The client's name, or its address where it has none or nobody looked it up.
    RemoteHost,
    /// The client's address, as mod_remoteip resolved it.
    RemoteAddress,
    /// The address that the client connected to.
    ServerAddress,
    /// The port that the client connected to.
    ServerPort,
    /// Who was authenticated.
    User,
    /// The subject's name in the client's certificate, empty where there is none.
    CertificateSubject,
    /// The issuer's name in the client's certificate.
    CertificateIssuer,
}

/// A request, as rules see it. The module puts httpd's behind it. Values end before the first NUL, and
/// names compare without regard to case, as everywhere in httpd.
pub trait RequestView {
    /// Returns a variable of the request's environment.
    fn variable(&self, name: &CStr) -> Option<&[u8]>;
    /// Sets a variable; both are copied.
    fn set_variable(&mut self, name: &CStr, value: &[u8]);
    /// Sets a variable to text that lives as long as the process: nothing is copied.
    fn set_lasting(&mut self, name: &'static CStr, value: &'static CStr) {
        self.set_variable(name, value.to_bytes());
    }
    /// Removes a variable.
    fn remove_variable(&mut self, name: &CStr);
    /// Hands out all variables, the one that was set last first.
    fn each_variable(&self, tell: &mut dyn FnMut(&[u8], &[u8]));
    /// Returns a request header, the first of its name.
    fn header(&self, name: &CStr) -> Option<&[u8]>;
    /// Hands out all request headers in their order.
    fn each_header(&self, tell: &mut dyn FnMut(&[u8], &[u8]));
    /// Sets a request header in the place of all of its name; `None` removes them.
    fn set_header(&mut self, name: &CStr, value: Option<&[u8]>);
    /// Returns a header of the response, the first of its name; of normal headers before those that
    /// errors have, too.
    fn response_header(&self, name: &CStr) -> Option<&[u8]>;
    /// Returns the type of the response's content.
    fn content_type(&self) -> Option<&[u8]>;
    /// Removes a header of the response.
    fn remove_response_header(&mut self, name: &CStr);
    /// Adds a header to the response, whatever its status.
    fn add_response_header(&mut self, name: &CStr, value: &[u8]);
    /// Returns what is known of the request line and of who sent it.
    fn aspect(&self, aspect: Aspect) -> Option<&[u8]>;
    /// Tells whether it came by TLS.
    fn is_tls(&self) -> bool;
    /// Returns the status of the response, as far as it is known.
    fn status(&self) -> u16;
    /// Returns the unique id, made up when there is none.
    fn unique_id(&mut self) -> &str;
    /// Holds the request up, its worker with it; returns the time after that.
    fn pause(&mut self, span: Millis) -> Tick;
    /// Returns what is known of the length of its body.
    fn body_length(&self) -> BodyLength;
    /// Returns when it came, in seconds since 1970: for what outlives the server.
    fn arrived_at(&self) -> u64;
    /// Tells whether httpd made it for the sake of another request.
    fn is_subrequest(&self) -> bool;
    /// Fills in random octets; false when there are none to be had.
    fn fill_randomly(&mut self, octets: &mut [u8]) -> bool;
    /// Tells whether this is asked for the first time in this process, for events told of once.
    fn is_first_time(&mut self, event: u16) -> bool;
    /// Changes how long, and for how many requests, the connection is kept from now on.
    fn keep_alive(&mut self, wanted: KeepAlive) -> Kept;
    /// Changes how long the server waits for the client to send or take data, from now on.
    fn wait_no_longer(&mut self, span: Seconds);
    /// Marks the packets to the client.
    fn set_dscp(&mut self, dscp: u8) -> Result<(), DscpFailure>;
}

/// How long the body of a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    #[default]
    None,
    /// So many octets, and no more will be read.
    Known(u64),
    /// It shows when it has been read.
    Unknown,
    /// The header that should say it is no number.
    Invalid,
}

/// For how long and how many requests a connection shall be kept; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// Seconds between two requests; 0 closes after this one.
    pub timeout: Option<u32>,
    /// Requests on the connection after the first; 0 is no limit.
    pub max: Option<u32>,
}

/// What became of a wish to keep a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is done.
    AsWanted,
    /// The server cannot wait so long for a single connection; the rest is done.
    NotForSoLong,
    /// It means nothing on this connection: it carries HTTP/2.
    NotHere,
}

/// Why packets could not be marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DscpFailure {
    /// The connection has a socket.
    pub has_socket: bool,
    /// What the kernel said; -2 where it was not asked.
    pub code: i32,
}

/// What was learned of a request so far, for whichever family wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Event letters so far.
    pub letters: Letters,
    /// Privileged: by a session, by a variable.
    pub is_vip: bool,
    /// Denied, in log-only mode too.
    pub is_denied: bool,
    /// `mod_qos_cr`: requests that its location served with this one, where a rule counts them.
    pub rule_requests: Option<u32>,
    /// Whom it is counted for, once somebody has asked: the peer, or whom a header says.
    pub client: Option<Client>,
    /// It was told that the header which should say so does not.
    pub is_told_of_address: bool,
    /// The row of that client, held as long as the request lasts.
    pub client_row: Option<RowId>,
}

/// A request under way, as a phase hands it to a rule.
pub struct Exchange<'a> {
    /// When it happens, and where counters live.
    pub moment: Moment<'a>,
    /// The connection, the primary one for a stream of HTTP/2.
    pub connection: &'a Connection,
    /// What the client sent, not where httpd redirected it to, and no subrequest.
    pub is_initial: bool,
    /// What was learned so far.
    pub known: &'a mut Known,
    /// What it has on loan: given back when it is logged, or when its memory ends.
    pub purse: &'a mut Purse,
    /// httpd's request.
    pub request: &'a mut dyn RequestView,
    /// Where its log lines go.
    pub sink: &'a mut dyn LogSink,
}

impl Exchange<'_> {
    /// Adds a letter to `mod_qos_ev`.
    pub fn add_letter(&mut self, letter: Letter) {
        self.known.letters.add(letter);
    }

    /// Writes an event of the request that is no denial; the id is added.
    pub fn note(&mut self, event: &LogEvent, text: fmt::Arguments<'_>) {
        note_number(event, self.request);
        let id = self.request.unique_id();
        let totals = Some(&self.moment.store.totals);
        log_event::note(event, format_args!("{text}, id={id}"), totals, self.sink);
    }

    /// The same without the id: some lines of the C module have none.
    pub fn note_without_id(&mut self, event: &LogEvent, text: fmt::Arguments<'_>) {
        note_number(event, self.request);
        log_event::note(event, text, Some(&self.moment.store.totals), self.sink);
    }

    /// Returns whom the request is counted for: the peer, until somebody has asked for more.
    pub fn client(&self) -> Client {
        self.known.client.unwrap_or(Client::of(self.connection.peer))
    }

    /// Tells whether it is counted for the peer that holds its connection.
    pub fn is_of_peer(&self) -> bool {
        let bits = self.moment.store.prefix;
        self.client().counted(bits) == self.connection.peer.counted(bits)
    }
}

const ERROR_NOTES: &CStr = c"QS_ErrorNotes";

/// Tells the request's error page, and the access log, which event was the last.
pub fn note_number(event: &LogEvent, request: &mut dyn RequestView) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let number = event.number;
    request.set_variable(ERROR_NOTES, &[digit(number / 100), digit(number / 10), digit(number)]);
}

/// Event letters of `mod_qos_ev` (events-and-variables.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// `D`: denied, in log-only mode too.
    Denied,
    /// `S`: passed because of VIP.
    Vip,
    /// `K`: keep-alive switched off.
    KeepAliveOff,
    /// `r`: marked as slow or bad.
    LowPriority,
    /// `A`: aborted by the client.
    Aborted,
    /// `V`: a session of a VIP was begun.
    Session,
    /// `v`: the address was marked as VIP.
    VipAddress,
    /// `T`: the connection's keep-alive was changed.
    KeepAliveChanged,
    /// `L`: held up.
    Delayed,
    /// `s`: waited for its turn.
    Serialized,
}

impl Letter {
    /// Returns the letter.
    pub fn octet(self) -> u8 {
        match self {
            Letter::Denied => b'D',
            Letter::Vip => b'S',
            Letter::KeepAliveOff => b'K',
            Letter::LowPriority => b'r',
            Letter::Aborted => b'A',
            Letter::Session => b'V',
            Letter::VipAddress => b'v',
            Letter::KeepAliveChanged => b'T',
            Letter::Delayed => b'L',
            Letter::Serialized => b's',
        }
    }
}

/// How many different letters there are, and a few to spare.
pub const MAX_LETTERS: usize = 16;

/// The letters of one request, newest first, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Letters {
    octets: [u8; MAX_LETTERS],
    count: u8,
}

impl Letters {
    /// Puts a letter in front.
    pub fn add(&mut self, letter: Letter) {
        if self.octets.contains(&letter.octet()) {
            return;
        }
        self.octets.rotate_right(1);
        if let Some(first) = self.octets.first_mut() {
            *first = letter.octet();
        }
        self.count += 1;
    }

    /// Returns the letters, newest first.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.count)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_newest_first_and_once() {
        let mut letters = Letters::default();
        for letter in [Letter::LowPriority, Letter::Denied, Letter::LowPriority] {
            letters.add(letter);
        }
        assert_eq!(letters.octets(), b"Dr");
    }
}
