//! How long a connection is kept, and for how many requests, where a request's variables change it.
//!
//! httpd reads both from the server's record when it writes a response's head, so a request gets a record
//! of its own there, equal but for these values. A pooled connection to a backend may remember the record
//! of the request that opened it; so the records are made once per pair of values and stay as long as the
//! child. Between two requests prefork and worker wait on the socket, whose timeout is set when the next
//! request's record is made. Event waits in a queue per server: it cannot wait longer for one connection,
//! and where it should wait less the connection is closed instead.

use crate::ffi::bindings::server_rec;
use crate::httpd::connection::{Connection, Tracked};
use crate::httpd::mpm;
use crate::httpd::request::Request;
use crate::httpd::socket;
use core::sync::atomic::{AtomicU32, Ordering};
use parking_lot::Mutex;
use qos_engine::context::{KeepAlive, Kept};
use qos_engine::time::Seconds;

/// What requests have asked for, for the rest of their connection. Atomics only because the state of a
/// connection is shared between threads; these are used by the one that runs it.
#[derive(Debug)]
pub struct Wishes {
    timeout: AtomicU32,
    max: AtomicU32,
    wait: AtomicU32,
}

const NONE: u32 = u32::MAX;

impl Default for Wishes {
    fn default() -> Wishes {
        let none = || AtomicU32::new(NONE);
        Wishes { timeout: none(), max: none(), wait: none() }
    }
}

fn look(wish: &AtomicU32) -> Option<u32> {
    Some(wish.load(Ordering::Relaxed)).filter(|wish| *wish != NONE)
}

/// Remembers what a request asks for, and does it.
pub fn change(request: Request, wanted: KeepAlive) -> Kept {
    let Some(connection) = own(request) else { return Kept::NotHere };
    let Some(tracked) = connection.tracked() else { return Kept::NotHere };
    let wishes = &tracked.wishes;
    let Some(server) = request.server() else { return Kept::NotHere };
    if let Some(max) = wanted.max {
        wishes.max.store(max.min(NONE - 1), Ordering::Relaxed);
    }
    let mut kept = Kept::AsWanted;
    if let Some(timeout) = wanted.timeout {
        let current = server.keep_alive_timeout();
        if mpm::is_async() && timeout > current {
            kept = Kept::NotForSoLong;
        } else {
            wishes.timeout.store(timeout.min(NONE - 1), Ordering::Relaxed);
            if mpm::is_async() && timeout < current {
                connection.close_after_response();
            }
        }
    }
    apply(request, tracked);
    kept
}

/// Remembers that the server waits no longer than this for the client's data, and does it.
pub fn wait_no_longer(request: Request, span: Seconds) {
    let Some(connection) = own(request) else { return };
    if let Some(tracked) = connection.tracked() {
        tracked.wishes.wait.store(span.0.min(NONE - 1), Ordering::Relaxed);
        socket::set_timeout(connection, span);
    }
}

/// Does for this request what an earlier one of its connection has asked for.
pub fn apply(request: Request, tracked: &Tracked) {
    let wishes = &tracked.wishes;
    let (timeout, max, wait) = (look(&wishes.timeout), look(&wishes.max), look(&wishes.wait));
    if timeout.is_none() && max.is_none() && wait.is_none() {
        return;
    }
    let Some(connection) = own(request) else { return };
    if let Some(wait) = wait {
        socket::set_timeout(connection, Seconds(wait));
    }
    if timeout.is_some() || max.is_some() {
        match record_like(request.server_record(), timeout, max) {
            Some(record) => request.set_server_record(record),
            // Too many different values: what cannot be shown is done all the same.
            None if max.is_some_and(|max| connection.kept_requests() >= max) => {
                connection.close_after_response();
            }
            None => {}
        }
    }
}

/// A connection that was kept is about to be waited on for its next request.
pub fn wait(request: Request) {
    if !request.is_initial() {
        return;
    }
    let Some(connection) = own(request) else { return };
    if let Some(tracked) = connection.tracked()
        && let Some(timeout) = look(&tracked.wishes.timeout)
        && connection.is_kept()
    {
        socket::set_timeout(connection, Seconds(timeout));
    }
}

/// Returns a request's connection, if it is one of its own: a stream of HTTP/2 wishes nothing.
fn own(request: Request) -> Option<Connection> {
    request.connection().filter(|connection| connection.primary().is_none())
}

/// Forgets the records of an earlier configuration, when a child starts.
pub fn forget() {
    RECORDS.lock().clear();
}

/// A server's record that differs from the original in these values only. It is never freed, and written
/// before anybody else sees it.
struct Record {
    original: *mut server_rec,
    values: (Option<u32>, Option<u32>),
    copy: *mut server_rec,
}

// SAFETY: the pointers are compared and handed out, and never written through.
unsafe impl Send for Record {}

static RECORDS: Mutex<Vec<Record>> = Mutex::new(Vec::new());

/// So many different values are remembered: a value may come from a client, by `$1`.
const MOST: usize = 256;

/// Returns a record equal to this one but for the values; it stays as long as the child.
fn record_like(
    server: *mut server_rec,
    timeout: Option<u32>,
    max: Option<u32>,
) -> Option<*mut server_rec> {
    let mut records = RECORDS.lock();
    // A copy already: the connection has asked before, perhaps for something else.
    let original = records.iter().find(|record| record.copy == server);
    let original = original.map_or(server, |record| record.original);
    let values = (timeout, max);
    let found =
        records.iter().find(|record| record.original == original && record.values == values);
    if let Some(found) = found {
        return Some(found.copy);
    }
    if records.len() >= MOST {
        return None;
    }
    // SAFETY: the record of a server that this child serves: plain data.
    let mut copy = Box::new(unsafe { *original });
    if let Some(timeout) = timeout {
        copy.keep_alive_timeout = i64::from(timeout).saturating_mul(1_000_000);
        copy.set_keep_alive_timeout_set(1);
    }
    if let Some(max) = max {
        copy.keep_alive_max = i32::try_from(max).unwrap_or(i32::MAX);
    }
    let copy = Box::into_raw(copy);
    records.push(Record { original, values, copy });
    Some(copy)
}
