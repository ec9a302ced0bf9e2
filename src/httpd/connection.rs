//! A connection: primary or secondary, its peer, and what we hang on it.

use crate::config::{self, ServerConfig};
use crate::ffi::bindings::{self as httpd, conn_rec};
use crate::httpd::{keep_alive::Wishes, pool::Pool, server::Server};
use crate::monitor::Place;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use qos_engine::client::address::Address;
use qos_engine::client::identity::Peer;
use qos_engine::context;

/// A connection of httpd's.
#[derive(Clone, Copy)]
pub struct Connection(NonNull<conn_rec>);

/// What we hang on a primary connection, in its pool.
pub struct Tracked {
    /// The engine's view.
    pub connection: context::Connection,
    /// The configuration of the server that the connection came in by; it lives as long as the child.
    pub config: &'static ServerConfig,
    /// The variables that are the same for all of its requests, as C text.
    pub texts: Texts,
    /// What its requests have asked for, for the rest of its life.
    pub wishes: Wishes,
    /// Where it stands in the list of those that are looked at.
    pub place: Place,
    /// Octets that were read of it, where it speaks TLS and its data rate is looked at.
    pub clear_text: Option<AtomicU64>,
}

/// Numbers as C text, written once per connection: those that anybody can read.
pub struct Texts {
    /// `QS_AllConn`
    pub all: Option<Text<12>>,
    /// `QS_SrvConn`
    pub server: Option<Text<12>>,
    /// `QS_IPConn`
    pub address: Option<Text<12>>,
    /// `QS_Country`
    pub country: Option<Text<3>>,
    /// `QS_ConnectionId`
    pub id: Option<Text<44>>,
}

/// Digits, or a word, as C text in place. Written by hand: the standard library's formatting of four numbers cost
/// a third of all that we do for a connection.
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// Writes a number.
    pub fn number(number: u64) -> Text<N> {
        Text::numbers([(number, 1)])
    }

    /// Writes numbers one behind the other, each with so many digits at least. One that does not fit is
    /// left out, and so are those behind it.
    pub fn numbers<const COUNT: usize>(numbers: [(u64, usize); COUNT]) -> Text<N> {
        let mut octets = [0; N];
        let (mut free, _nul) = octets.split_at_mut(N - 1);
        for (number, width) in numbers {
            let digits = number.checked_ilog10().map_or(1, |last| last as usize + 1).max(width);
            let Some((text, rest)) = free.split_at_mut_checked(digits) else { break };
            let mut number = number;
            for digit in text.iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
            free = rest;
        }
        Text(octets)
    }

    /// Writes what has no NUL in it; what does not fit is cut off.
    pub fn word(word: &str) -> Text<N> {
        let mut octets = [0; N];
        let (free, _nul) = octets.split_at_mut(N - 1);
        for (to, from) in free.iter_mut().zip(word.bytes()) {
            *to = from;
        }
        Text(octets)
    }

    /// Returns the text as C sees it: the last octet is NUL, whatever was written before it.
    pub fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// Returns the text.
    pub fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

impl Connection {
    /// Takes a connection that httpd handed to a callback.
    ///
    /// # Safety
    /// `connection` is null or alive while the value is used.
    pub unsafe fn new(connection: *mut conn_rec) -> Option<Connection> {
        NonNull::new(connection).map(Connection)
    }

    fn record(&self) -> &conn_rec {
        // SAFETY: alive by `new`. The fields read here do not change while hooks run, `aborted` and
        // `keepalive` excepted, which are read and written by the thread that runs the connection.
        unsafe { self.0.as_ref() }
    }

    /// Returns the record itself.
    pub fn as_ptr(self) -> *mut conn_rec {
        self.0.as_ptr()
    }

    /// Returns the connection that an HTTP/2 stream came in by.
    pub fn primary(self) -> Option<Connection> {
        // SAFETY: httpd keeps the primary connection alive while it has secondary ones.
        unsafe { Connection::new(self.record().master) }
    }

    /// Tells whether this is the server's own connection to a backend.
    pub fn is_outgoing(self) -> bool {
        self.record().outgoing != 0
    }

    /// Tells whether the client is gone, or we have given it up.
    pub fn is_aborted(self) -> bool {
        self.record().aborted != 0
    }

    /// Tells httpd which socket is this connection's, as core's own step does later, which httpd makes up for
    /// when a connection is refused before it and has none: filters and options for a socket that is about to
    /// be closed cost as much as everything else about it.
    ///
    /// # Safety
    /// `socket` is the connection's, from a pre_connection hook that is about to refuse it.
    pub unsafe fn close_bare(self, socket: *mut c_void) {
        // SAFETY: the vector of a live connection; the socket lives as long.
        unsafe { httpd::ap_set_core_module_config(self.record().conn_config, socket) };
    }

    /// Marks the connection as given up.
    pub fn abort(self) {
        // SAFETY: alive by `new`, and this thread runs the connection.
        unsafe { (*self.0.as_ptr()).aborted = 1 };
    }

    /// Sends a connection that was given up before it was processed straight to its end: event would
    /// wait for a request on it.
    pub fn skip_processing(self) {
        self.close_after_response();
        // SAFETY: alive by `new`; `cs` is null or the MPM's state of this very connection.
        unsafe {
            if let Some(state) = (*self.0.as_ptr()).cs.as_mut() {
                state.state = httpd::CONN_STATE_LINGER;
            }
        }
    }

    /// Closes the connection after the response.
    pub fn close_after_response(self) {
        // SAFETY: as above.
        unsafe { (*self.0.as_ptr()).keepalive = httpd::AP_CONN_CLOSE };
    }

    /// Tells whether httpd has decided to keep the connection for another request.
    pub fn is_kept(self) -> bool {
        self.record().keepalive == httpd::AP_CONN_KEEPALIVE
    }

    /// Returns for how many requests the connection was kept.
    pub fn kept_requests(self) -> u32 {
        u32::try_from(self.record().keepalives).unwrap_or(0)
    }

    /// Returns the number that httpd gives the connection.
    pub fn id(self) -> core::ffi::c_long {
        self.record().id
    }

    /// Returns the pool that lives as long as the connection.
    pub fn pool(self) -> Option<Pool> {
        // SAFETY: httpd's pool of the connection.
        unsafe { Pool::new(self.record().pool) }
    }

    /// Returns the server that the connection came in by.
    pub fn server(self) -> Option<Server> {
        // SAFETY: a server of the configuration that this child serves.
        unsafe { Server::new(self.record().base_server) }
    }

    /// Returns our configuration of that server. It lives as long as the child.
    pub fn config(self) -> Option<&'static ServerConfig> {
        let vector = self.server()?.config_vector();
        // SAFETY: a child's configuration is never freed before the child's end.
        unsafe { config::of_server(vector) }
    }

    /// Returns who holds the connection.
    pub fn peer(self) -> Option<Peer> {
        let address = NonNull::new(self.record().client_addr)?;
        // SAFETY: httpd's address of the connection; the family says which part of the union is set.
        unsafe {
            let address = address.as_ref();
            match address.family {
                libc::AF_INET => {
                    let octets = address.sa.sin.sin_addr.s_addr.to_ne_bytes();
                    Some(Peer(Address::from(core::net::IpAddr::from(octets))))
                }
                libc::AF_INET6 => {
                    let octets = address.sa.sin6.sin6_addr.__in6_u.__u6_addr8;
                    Some(Peer(Address::from_octets(octets)))
                }
                _ => None,
            }
        }
    }

    fn peer_text(&self) -> &str {
        let text = self.record().client_ip;
        if text.is_null() {
            return "";
        }
        // SAFETY: C text in the connection's pool.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
    }

    /// Hangs our state on a primary connection.
    pub fn track(self, tracked: NonNull<Tracked>) {
        // SAFETY: the vector of the connection, our place in it.
        unsafe {
            httpd::ap_set_module_config(
                self.record().conn_config,
                &raw const crate::qos_module,
                tracked.as_ptr().cast(),
            );
        }
    }

    /// Returns our state, of the primary connection for a stream. `None` where we were not asked: a
    /// backend's connection, or one that was refused before it was counted.
    pub fn tracked(&self) -> Option<&Tracked> {
        let primary = self.primary().unwrap_or(*self);
        // SAFETY: what stands in our place was put there by `track` and lives in the connection's pool;
        // after that it is changed only through atomics.
        unsafe { config::look(primary.record().conn_config).cast::<Tracked>().as_ref() }
    }

    /// Tells whether it speaks TLS. A stream's primary connection knows.
    pub fn is_tls(self) -> bool {
        // SAFETY: a live connection.
        unsafe { httpd::ap_ssl_conn_is_ssl(self.as_ptr()) != 0 }
    }

    /// Tells whether the client went away while a response was on its way. A stream that it merely
    /// cancels is none of that: its connection stands. And a client that takes its leave of HTTP/2 when it
    /// has everything leaves at most our own farewell unread.
    pub fn is_broken_off(self) -> bool {
        match self.primary() {
            None => self.is_aborted(),
            Some(primary) => {
                self.is_aborted() && primary.lost().is_some_and(|lost| lost > FAREWELL)
            }
        }
    }

    /// Tells whether the peer has reset the connection while it had not taken all that we sent.
    pub fn was_reset_in_response(self) -> bool {
        let is_reset = self.descriptor().and_then(tcp_state) == Some(TCP_CLOSE);
        is_reset && self.lost().is_some_and(|lost| lost > 0)
    }

    /// Tells whether a part of the next request was read with the last one.
    pub fn has_read_ahead(self) -> bool {
        self.record().data_in_input_filters != 0
    }

    /// Returns for how many seconds a read of it waits.
    pub fn timeout_seconds(self) -> Option<u32> {
        let mut micros = -1;
        // SAFETY: httpd's socket of a live connection; this thread runs it.
        let status = unsafe {
            let socket = httpd::ap_get_conn_socket(self.0.as_ptr());
            if socket.is_null() {
                return None;
            }
            httpd::apr_socket_timeout_get(socket, &raw mut micros)
        };
        let micros = u64::try_from(micros).ok().filter(|_| status == 0)?;
        u32::try_from(micros.div_ceil(1_000_000)).ok()
    }

    /// Returns how many octets the peer has not taken, if it has closed or reset the connection.
    fn lost(self) -> Option<libc::c_int> {
        let descriptor = self.descriptor()?;
        let state = tcp_state(descriptor)?;
        let mut octets: libc::c_int = 0;
        // SAFETY: the kernel writes one int.
        let result = unsafe { libc::ioctl(descriptor, libc::TIOCOUTQ, &raw mut octets) };
        (matches!(state, TCP_CLOSE | TCP_CLOSE_WAIT | TCP_LAST_ACK) && result == 0)
            .then_some(octets)
    }

    /// Returns the socket's descriptor. It is open until pre_close_connection is over, and while there
    /// are streams; nobody asks later.
    pub fn descriptor(self) -> Option<libc::c_int> {
        let mut descriptor = -1;
        // SAFETY: httpd's socket of a live connection.
        unsafe {
            let socket = httpd::ap_get_conn_socket(self.0.as_ptr());
            (!socket.is_null() && httpd::apr_os_sock_get(&mut descriptor, socket) == 0)
                .then_some(descriptor)
        }
    }
}

/// The peer's address as httpd writes it.
impl AsRef<str> for Connection {
    fn as_ref(&self) -> &str {
        self.peer_text()
    }
}

/// More octets than GOAWAY and TLS's closing alert take together.
const FAREWELL: libc::c_int = 1024;

// States of the kernel's enum (netinet/tcp.h).
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;
const TCP_LAST_ACK: u8 = 9;

fn tcp_state(descriptor: libc::c_int) -> Option<u8> {
    let (mut state, mut length) = (0u8, 1 as libc::socklen_t);
    // SAFETY: the kernel writes at most `length` octets; the first of tcp_info is the state.
    let result = unsafe {
        let option = (&raw mut state).cast();
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, option, &mut length)
    };
    (result == 0).then_some(state)
}
