//! What the multi-processing module says of itself.

use crate::ffi::bindings as httpd;
use crate::httpd::config_tree;
use core::ffi::{CStr, c_int};
use qos_engine::store::layout::ServerLimits;
use qos_engine::values::Capacity;

fn query(code: c_int) -> u32 {
    let mut answer: c_int = 0;
    // SAFETY: `answer` is written before return, or left as it is.
    let status = unsafe { httpd::ap_mpm_query(code, &mut answer) };
    if status == 0 { u32::try_from(answer).unwrap_or(0) } else { 0 }
}

/// Returns how many connections httpd can serve: processes times threads (model.md 4).
pub fn capacity() -> Capacity {
    let (daemons, threads) = workers();
    let max_clients = daemons.saturating_mul(threads);
    let connections = max_clients.saturating_mul(1 + idle_per_thread());
    Capacity { max_clients, connections }
}

/// Returns how many children, and threads of each, are configured.
pub fn workers() -> (u32, u32) {
    let daemons = query(httpd::AP_MPMQ_MAX_DAEMONS as c_int).max(1);
    (daemons, query(httpd::AP_MPMQ_MAX_THREADS as c_int).max(1))
}

/// Returns how many idle connections a child keeps open for each of its threads: event's
/// AsyncRequestWorkerFactor. The MPM has no word for it, so it is read where it is written.
fn idle_per_thread() -> u32 {
    if !is_async() {
        return 0;
    }
    let mut factor = 2.0;
    // The last one written holds.
    config_tree::each(&mut |directive, words| {
        if directive.eq_ignore_ascii_case(b"AsyncRequestWorkerFactor") {
            let word = core::str::from_utf8(words).unwrap_or("").trim();
            factor = word.parse::<f64>().unwrap_or(factor);
        }
    });
    factor.ceil() as u32
}

/// Tells whether connections wait for their next request in a queue of the server, not on a worker.
pub fn is_async() -> bool {
    query(httpd::AP_MPMQ_IS_ASYNC as c_int) != 0
}

/// Returns the limits that no restart can change.
pub fn server_limits() -> ServerLimits {
    ServerLimits {
        children: query(httpd::AP_MPMQ_HARD_LIMIT_DAEMONS as c_int).max(1),
        threads: query(httpd::AP_MPMQ_HARD_LIMIT_THREADS as c_int).max(1),
        idle_per_thread: idle_per_thread(),
    }
}

/// Returns the MPM's name: `prefork`, `worker`, `event`.
pub fn name() -> &'static str {
    // SAFETY: httpd returns a constant of the loaded MPM, which stays loaded while we run.
    let name = unsafe { httpd::ap_show_mpm() };
    if name.is_null() {
        return "";
    }
    // SAFETY: C text by httpd's contract.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap_or("")
}

/// Tells whether httpd only tries the configuration for the first of two times.
pub fn is_first_pass() -> bool {
    // SAFETY: a query without side effect.
    let state = unsafe { httpd::ap_state_query(httpd::AP_SQ_MAIN_STATE as c_int) };
    state == httpd::AP_SQ_MS_CREATE_PRE_CONFIG as c_int
}
