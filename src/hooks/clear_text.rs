//! What is read of a TLS connection whose data rate is looked at: counted above mod_ssl.

use crate::ffi::bindings::{self as httpd, ap_filter_t, apr_bucket_brigade};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::connection::{Connection, Tracked};
use crate::httpd::filter::Filter;
use core::ptr::{from_ref, null_mut};
use core::sync::atomic::{AtomicU64, Ordering};

/// The filter.
pub static COUNT: Filter = Filter::named(c"mod_qos_clear_text");

/// Adds the filter to a new connection, if it speaks TLS.
pub fn watch(connection: Connection, tracked: &Tracked) {
    if let Some(octets) = &tracked.clear_text {
        let octets = from_ref(octets).cast_mut().cast();
        // SAFETY: a filter of ours, on a live connection; its state lives as long as it does.
        unsafe { COUNT.add_input(octets, null_mut(), connection.as_ptr()) };
    }
}

pub unsafe extern "C" fn count(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
    mode: httpd::ap_input_mode_t,
    block: httpd::apr_read_type_e,
    wanted: httpd::apr_off_t,
) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("clear_text");
    // SAFETY: the filter is alive, and so is the one behind it; its context was set by `watch`.
    let (next, octets) = unsafe { ((*filter).next, (*filter).ctx.cast::<AtomicU64>().as_ref()) };
    // SAFETY: outside the guard, as httpd's contract asks: what comes behind is not ours.
    let status = unsafe { httpd::ap_get_brigade(next, data, mode, block, wanted) };
    // What is only looked at will come again.
    if status == 0 && (mode == httpd::AP_MODE_READBYTES || mode == httpd::AP_MODE_GETLINE) {
        guard(&CALLBACK, (), || {
            let mut length: httpd::apr_off_t = 0;
            // SAFETY: the brigade that was just filled; the length is written before return.
            unsafe { httpd::apr_brigade_length(data, 1, &raw mut length) };
            if let (Some(octets), Ok(length)) = (octets, u64::try_from(length)) {
                octets.fetch_add(length, Ordering::Relaxed);
            }
        });
    }
    status
}
