//! What httpd's workers are at: its scoreboard, read while they write it. And what else pages tell of the machine.

use super::mpm;
use crate::ffi::bindings as httpd;
use core::ffi::c_int;
use qos_engine::report::Workers;

/// Tells whether httpd has made its scoreboard.
pub fn is_there() -> bool {
    // SAFETY: a query without side effect.
    unsafe { httpd::ap_exists_scoreboard_image() != 0 }
}

/// Counts httpd's workers by what they are at; none while there is no scoreboard.
pub fn workers(max_clients: u32) -> Workers {
    let mut workers = Workers { max_clients, ..Workers::default() };
    if !is_there() {
        return workers;
    }
    let limits = mpm::server_limits();
    for child in 0..limits.children {
        for thread in 0..limits.threads {
            let Some(status) = status(child, thread) else { continue };
            let counter = match status {
                httpd::SERVER_DEAD => &mut workers.open,
                httpd::SERVER_STARTING => &mut workers.start,
                httpd::SERVER_READY => &mut workers.waiting,
                httpd::SERVER_BUSY_READ => &mut workers.read,
                httpd::SERVER_BUSY_WRITE => &mut workers.write,
                httpd::SERVER_BUSY_KEEPALIVE => &mut workers.keepalive,
                httpd::SERVER_BUSY_LOG => &mut workers.log,
                httpd::SERVER_BUSY_DNS => &mut workers.dns,
                httpd::SERVER_CLOSING => &mut workers.closing,
                httpd::SERVER_GRACEFUL => &mut workers.finishing,
                httpd::SERVER_IDLE_KILL => &mut workers.idle,
                _ => continue,
            };
            *counter += 1;
        }
    }
    workers
}

fn status(child: u32, thread: u32) -> Option<i32> {
    let (child, thread) = (c_int::try_from(child).ok()?, c_int::try_from(thread).ok()?);
    // SAFETY: httpd checks both numbers and returns null for those that it does not have; the scoreboard is
    // there as long as the process.
    let score = unsafe { httpd::ap_get_scoreboard_worker_from_indexes(child, thread) };
    if score.is_null() {
        return None;
    }
    // SAFETY: one octet of shared memory, which its worker may write meanwhile.
    let status = unsafe { (&raw const (*score).status).read_volatile() };
    Some(i32::from(status))
}

/// Returns the load of the last minute.
pub fn load() -> Option<f64> {
    let mut loads = [0.0; 1];
    // SAFETY: writes at most one number.
    let count = unsafe { libc::getloadavg(loads.as_mut_ptr(), 1) };
    loads.first().copied().filter(|_| count == 1)
}

/// Returns how many processors there are.
pub fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

/// Returns how many seconds the clock on the wall is ahead of Greenwich's.
pub fn utc_offset() -> i32 {
    // SAFETY: all zeroes is a good value of both; each call reads the first and writes the second.
    let (mut now, mut local): (libc::time_t, libc::tm) = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    let result = unsafe {
        libc::time(&raw mut now);
        libc::localtime_r(&raw const now, &raw mut local)
    };
    if result.is_null() { 0 } else { i32::try_from(local.tm_gmtoff).unwrap_or(0) }
}
