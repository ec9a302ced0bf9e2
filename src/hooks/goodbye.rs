//! How a connection is told that it shall end after this response.
//!
//! HTTP/1 has `Connection: close`. An HTTP/2 connection has to announce it (GOAWAY) and to finish its
//! streams; mod_http2 does just that when the MPM says that it is stopping, and asks it at every turn.
//! So for the connection that shall go, and only on the thread that works on it, the MPM's answer is
//! "stopping".

use crate::ffi::bindings::{self as httpd, conn_rec};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::connection::{Connection, Tracked};
use crate::monitor;
use core::cell::Cell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};
use parking_lot::Mutex;
use std::collections::BTreeSet;

const DECLINED: c_int = httpd::DECLINED;

thread_local! {
    /// The primary connection that this thread works on, by the address of our state: a name, never
    /// looked at, so it does no harm when the connection is long gone.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// The HTTP/2 connections of this process that shall end. A lock of the process alone, held for a
/// look-up, and only touched while `COUNT` says that there are any: the server is nearly full then.
static LEAVING: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Ends a connection after the response that is about to be sent on it.
pub fn say(connection: Connection) {
    if connection.primary().is_none() {
        connection.close_after_response();
    } else if let Some(tracked) = connection.tracked() {
        let mut leaving = LEAVING.lock();
        leaving.insert(name(tracked));
        COUNT.store(leaving.len(), Ordering::Release);
    }
}

/// Forgets a connection that is over.
pub fn forget(tracked: &Tracked) {
    if COUNT.load(Ordering::Acquire) > 0 {
        let mut leaving = LEAVING.lock();
        leaving.remove(&name(tracked));
        COUNT.store(leaving.len(), Ordering::Release);
    }
}

fn name(tracked: &Tracked) -> usize {
    core::ptr::from_ref(tracked).addr()
}

pub unsafe extern "C" fn process_connection(connection: *mut conn_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("process_connection");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(connection) = (unsafe { Connection::new(connection) }) else { return DECLINED };
        if connection.primary().is_some() {
            return DECLINED;
        }
        CURRENT.set(connection.tracked().map_or(0, name));
        if connection.is_aborted() {
            connection.skip_processing(); // refused, with QS_ForcedClose off
            return httpd::OK as c_int;
        }
        if let Some(tracked) = connection.tracked() {
            monitor::begin(connection, tracked);
        }
        DECLINED
    })
}

pub unsafe extern "C" fn mpm_query(
    code: c_int,
    answer: *mut c_int,
    status: *mut httpd::apr_status_t,
) -> c_int {
    // Asked often, and nearly always for nothing of ours.
    if COUNT.load(Ordering::Acquire) == 0 || code != httpd::AP_MPMQ_MPM_STATE as c_int {
        return DECLINED;
    }
    static CALLBACK: Callback = Callback::new("mpm_query");
    guard(&CALLBACK, DECLINED, || {
        if !LEAVING.lock().contains(&CURRENT.get()) {
            return DECLINED;
        }
        // SAFETY: httpd's arguments, to be written by whoever answers.
        unsafe {
            *answer = httpd::AP_MPMQ_STOPPING as c_int;
            *status = 0;
        }
        httpd::OK as c_int
    })
}
