//! The answer of a request that has a turn is handed over: whoever waits for it need not wait until the
//! request is logged, which it is when the client has taken all of it, or later: a stream of HTTP/2 when
//! mod_http2 likes, and one that others are pipelined behind only when these are worked on. One of them
//! that waited for the same turn would wait for itself.

use crate::ffi::bindings::{self as httpd, ap_filter_t, apr_bucket_brigade, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::hooks::live::Live;
use crate::httpd::filter::Filter;
use core::ptr::null_mut;
use qos_engine::phases;

/// The filter.
pub static TURN: Filter = Filter::named(c"mod_qos_turn");

/// Adds the filter to a request that has a turn.
///
/// # Safety
/// `pointer` is what httpd handed to an insert hook.
pub unsafe fn insert(pointer: *mut request_rec, live: &Live) {
    // A part of an answer has an end of its own.
    if live.has_turn()
        && live.request.main().is_none()
        && let Some(connection) = live.connection()
    {
        // SAFETY: a filter of ours, on a live request.
        unsafe {
            TURN.add_output(null_mut(), pointer, connection.as_ptr());
        }
    }
}

/// Passes everything on, and gives the turn back behind the end of the answer.
pub unsafe extern "C" fn turn(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("turn_filter");
    // SAFETY: the filter is alive, and so is the one behind it.
    let (next, request) = unsafe { ((*filter).next, (*filter).r) };
    // SAFETY: httpd's brigade; asked before it is passed on, which empties it.
    let is_end = unsafe { httpd::qos_has_end(data) } != 0;
    if is_end {
        // SAFETY: out of the chain while it is surely alive; the record itself stays in its pool.
        unsafe { httpd::ap_remove_output_filter(filter) };
    }
    // SAFETY: outside the guard, as httpd's contract asks: what comes behind is not ours.
    let status = unsafe { httpd::ap_pass_brigade(next, data) };
    if is_end {
        guard(&CALLBACK, (), || {
            // SAFETY: a request outlives the handing over of its answer: it ends with its own bucket, which
            // comes later.
            if let Some(mut live) = unsafe { Live::of(request) } {
                live.renew();
                live.run(phases::answered);
            }
        });
    }
    status
}
