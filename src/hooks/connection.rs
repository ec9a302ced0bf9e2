//! A connection comes, is counted or refused, and ends.

use crate::config::ServerConfig;
use crate::ffi::bindings::{self as httpd, conn_rec};
use crate::ffi::guard::{Callback, guard};
use crate::hooks::{clear_text, goodbye};
use crate::httpd::connection::{Connection, Text, Texts, Tracked};
use crate::httpd::keep_alive::Wishes;
use crate::httpd::kernel;
use crate::httpd::server::Server;
use crate::monitor::{self, Place};
use crate::shm::child;
use crate::shm::segment::{self, Shared};
use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicU64;
use qos_engine::context::{Marks, Moment};
use qos_engine::phases;
use qos_engine::rules::Policy;
use qos_engine::verdict::Verdict;

const DECLINED: c_int = httpd::DECLINED;
const OK: c_int = httpd::OK as c_int;

/// What a hook needs to ask the engine about a new connection.
struct Arrival {
    connection: Connection,
    server: Server,
    config: &'static ServerConfig,
    policy: &'static Policy,
    shared: &'static Shared,
}

/// # Safety
/// `connection` is what httpd handed to a pre_connection hook.
unsafe fn arrival(connection: *mut conn_rec) -> Option<Arrival> {
    // SAFETY: alive while the hook runs.
    let connection = unsafe { Connection::new(connection) }?;
    // A stream belongs to its primary connection, and a backend is no client.
    if connection.primary().is_some() || connection.is_outgoing() {
        return None;
    }
    let config = connection.config()?;
    Some(Arrival {
        connection,
        server: connection.server()?,
        config,
        policy: config.policy.get()?,
        shared: segment::shared()?,
    })
}

pub unsafe extern "C" fn pre_connection_early(
    connection: *mut conn_rec,
    socket: *mut c_void,
) -> c_int {
    static CALLBACK: Callback = Callback::new("pre_connection_early");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument.
        let Some(mut arrival) = (unsafe { arrival(connection) }) else { return DECLINED };
        if arrival.policy.client_limit.block.is_none() {
            return DECLINED;
        }
        let Some(peer) = arrival.connection.peer() else { return DECLINED };
        let child = child::this();
        let moment =
            Moment { now: arrival.shared.now(), store: &arrival.shared.store, child: &child };
        match phases::arrive(
            arrival.policy,
            &moment,
            peer,
            &arrival.connection,
            // SAFETY: httpd hands the connection's socket.
            &|| unsafe { kernel::left_after(socket) },
            &mut arrival.server,
        ) {
            Verdict::Pass => DECLINED,
            Verdict::Close => {
                if arrival.policy.server.forced_close {
                    // SAFETY: httpd hands the connection's socket.
                    unsafe { arrival.connection.close_bare(socket) };
                }
                refuse(arrival.policy, arrival.connection)
            }
        }
    })
}

pub unsafe extern "C" fn pre_connection_late(connection: *mut conn_rec, _: *mut c_void) -> c_int {
    static CALLBACK: Callback = Callback::new("pre_connection_late");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument.
        let Some(mut arrival) = (unsafe { arrival(connection) }) else { return DECLINED };
        let connection = arrival.connection;
        let (Some(peer), Some(pool)) = (connection.peer(), connection.pool()) else {
            return DECLINED;
        };
        // Already given up by the early hook (QS_ForcedClose off): it is not counted.
        if connection.is_aborted() {
            return DECLINED;
        }
        let child = child::this();
        let moment =
            Moment { now: arrival.shared.now(), store: &arrival.shared.store, child: &child };
        let scope = arrival.config.scope.get();
        let (engine, verdict) =
            phases::connect(arrival.policy, &moment, peer, &connection, scope, &mut arrival.server);
        let told = &arrival.policy.publication;
        let address = engine.address_connections.filter(|_| told.address_connections);
        let country = engine.country.filter(|_| told.country);
        let texts = Texts {
            all: told.all_connections.then(|| Text::number(engine.all_connections.into())),
            server: told.server_connections.then(|| Text::number(engine.server_connections.into())),
            address: address.map(|count| Text::number(count.into())),
            country: country.map(|country| Text::word(country.code())),
            id: told.connection_id.then(|| connection_id(connection)),
        };
        let tracked = Tracked {
            connection: engine,
            config: arrival.config,
            texts,
            wishes: Wishes::default(),
            place: Place::none(),
            clear_text: is_counted_unpacked(arrival.policy, connection).then(AtomicU64::default),
        };
        // In the connection's pool: it owns nothing but numbers, so no destructor is missed.
        let Some(tracked) = pool.place_undropped(tracked) else { return DECLINED };
        connection.track(tracked);
        // SAFETY: the state was put in its place, and is shared from here on.
        clear_text::watch(connection, unsafe { tracked.as_ref() });
        // SAFETY: the state lives in this very pool.
        unsafe { pool.at_end(tracked.as_ptr().cast(), connection_cleanup) };
        if verdict == Verdict::Close {
            return refuse(arrival.policy, connection);
        }
        DECLINED
    })
}

/// Tells whether the octets of a connection are counted above TLS.
fn is_counted_unpacked(policy: &Policy, connection: Connection) -> bool {
    policy.data_rate.is_on() && connection.is_tls()
}

/// Ends a connection without a word. An error status, never DONE: for an error httpd completes the
/// connection's set-up and closes it, for DONE it goes on without a socket and crashes.
fn refuse(policy: &Policy, connection: Connection) -> c_int {
    if policy.server.forced_close {
        httpd::HTTP_FORBIDDEN as c_int
    } else {
        connection.abort();
        OK
    }
}

/// `QS_ConnectionId`: microseconds, two digits of httpd's number, and the process.
fn connection_id(connection: Connection) -> Text<44> {
    // SAFETY: reads the clock.
    let micros = unsafe { httpd::apr_time_now() };
    let number = connection.id().unsigned_abs() % 100;
    Text::numbers([(micros.unsigned_abs(), 1), (number, 2), (std::process::id().into(), 5)])
}

/// The socket is still open: ask the kernel what became of the last response.
pub unsafe extern "C" fn pre_close_connection(connection: *mut conn_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("pre_close_connection");
    guard(&CALLBACK, OK, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(connection) = (unsafe { Connection::new(connection) }) else { return OK };
        if connection.primary().is_some() {
            return OK;
        }
        let Some(tracked) = connection.tracked() else { return OK };
        // From here on its socket may be closed at any time.
        monitor::forget(tracked);
        let marks = &tracked.connection.marks;
        // One system call for a connection that had a response, and only where it can be an event.
        let is_asked = tracked.config.policy.get().is_some_and(|policy| policy.variable.on_broken);
        if is_asked
            && marks.has(Marks::RESPONDED)
            && !marks.has(Marks::HTTP2 | Marks::REFUSED | Marks::BROKEN)
            && (connection.is_aborted() || connection.was_reset_in_response())
        {
            marks.set(Marks::BROKEN);
        }
        OK
    })
}

/// The pool of a counted connection ends: whatever way it was closed, all comes back here.
unsafe extern "C" fn connection_cleanup(data: *mut c_void) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("connection_cleanup");
    guard(&CALLBACK, (), || {
        // SAFETY: registered with the connection's own state, which lives until this pool is gone.
        let Some(tracked) = (unsafe { data.cast::<Tracked>().as_ref() }) else { return };
        let (Some(policy), Some(shared)) = (tracked.config.policy.get(), segment::shared()) else {
            return;
        };
        let Some(mut server) = Server::base() else { return };
        let child = child::this();
        let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
        monitor::forget(tracked);
        goodbye::forget(tracked);
        phases::disconnect(policy, &moment, &tracked.connection, &mut server);
    });
    0
}
