//! The body of a request is read: counted, where a limit needs to know how much of it comes.
//!
//! Input filters are put into a request only where a limit holds and the length is not known beforehand.
//! When there is too much, reading fails with the error that httpd's own handlers answer by status 413,
//! and goes on failing. What another handler answers instead is thrown away (`answer`), and so is status 413
//! where there is a page for denied requests.

use super::{live::Live, request};
use crate::ffi::bindings::{
    self as httpd, ap_filter_t, ap_input_mode_t, apr_bucket_brigade, apr_off_t, apr_read_type_e,
    apr_status_t,
};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::filter::Filter;

use core::ptr::null_mut;
use qos_engine::phases;
use qos_engine::rules::body_limit::{self, Layer, Watched};
use qos_engine::verdict::Answer;

/// The filter for what comes, without the chunks around it.
pub static SENT: Filter = Filter::named(c"mod_qos_body_sent");
/// The filter for what the handler gets.
pub static UNPACKED: Filter = Filter::named(c"mod_qos_body_unpacked");
/// The filter for the answer.
pub static ANSWER: Filter = Filter::named(c"mod_qos_body_answer");

/// What httpd's handlers take for "too large".
const TOO_LARGE: apr_status_t = libc::ENOSPC;

/// Puts the filters into a request whose body has to be watched: none into most.
pub fn watch(live: &Live, watched: Watched) {
    if watched == Watched::default() {
        return;
    }
    let Some(connection) = live.connection() else { return };
    let (request, connection) = (live.request.as_ptr(), connection.as_ptr());
    for (filter, is_wanted) in [(&SENT, watched.sent), (&UNPACKED, watched.unpacked)] {
        if is_wanted {
            // SAFETY: a filter of ours, on a live request.
            unsafe { filter.add_input(null_mut(), request, connection) };
        }
    }
}

/// Puts the filter for the answer into such a request, when its handler is about to run.
pub fn watch_answer(live: &Live) {
    if body_limit::is_watched(&live.facts().body_limit)
        && let Some(connection) = live.connection()
    {
        let (request, connection) = (live.request.as_ptr(), connection.as_ptr());
        // SAFETY: a filter of ours, on a live request.
        unsafe { ANSWER.add_output(null_mut(), request, connection) };
    }
}

pub unsafe extern "C" fn sent(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
    mode: ap_input_mode_t,
    block: apr_read_type_e,
    wanted: apr_off_t,
) -> apr_status_t {
    static CALLBACK: Callback = Callback::new("body_sent");
    // SAFETY: httpd's arguments.
    unsafe { Reading { filter, data, mode, block, wanted }.watch(&CALLBACK, Layer::Sent) }
}

pub unsafe extern "C" fn unpacked(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
    mode: ap_input_mode_t,
    block: apr_read_type_e,
    wanted: apr_off_t,
) -> apr_status_t {
    static CALLBACK: Callback = Callback::new("body_unpacked");
    // SAFETY: httpd's arguments.
    unsafe { Reading { filter, data, mode, block, wanted }.watch(&CALLBACK, Layer::Unpacked) }
}

/// What httpd hands to an input filter.
struct Reading {
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
    mode: ap_input_mode_t,
    block: apr_read_type_e,
    wanted: apr_off_t,
}

impl Reading {
    /// Reads, and counts what was read.
    ///
    /// # Safety
    /// It is what httpd has handed to an input filter, which runs.
    unsafe fn watch(self, callback: &Callback, layer: Layer) -> apr_status_t {
        let Reading { filter, data, mode, block, wanted } = self;
        // SAFETY: the filter is alive, and so is the one behind it.
        let (next, request) = unsafe { ((*filter).next, (*filter).r) };
        let is_refused = guard(callback, false, || {
            // SAFETY: alive while its filters run.
            let live = unsafe { Live::of(request) };
            live.is_some_and(|live| body_limit::is_refused(&live.facts().body_limit))
        });
        if is_refused {
            return TOO_LARGE;
        }
        // SAFETY: outside the guard, as httpd's contract asks: what comes behind is not ours.
        let status = unsafe { httpd::ap_get_brigade(next, data, mode, block, wanted) };
        // What is only looked at will come again.
        if status != 0 || mode == httpd::AP_MODE_SPECULATIVE {
            return status;
        }
        let answer = guard(callback, Answer::Pass, || {
            let mut octets: apr_off_t = 0;
            // SAFETY: the brigade that was just filled; the length is written before return.
            unsafe { httpd::apr_brigade_length(data, 1, &mut octets) };
            let octets = u64::try_from(octets).unwrap_or(0);
            // SAFETY: alive while its filters run.
            let Some(mut live) = (unsafe { Live::of(request) }) else { return Answer::Pass };
            let answer = live.run(|rules, exchange, facts| {
                phases::receive(rules, exchange, facts, layer, octets)
            });
            if let Answer::Deny(status) = answer {
                if let Some(connection) = live.connection() {
                    connection.close_after_response();
                }
                let status = request::deny(&live, status);
                live.run(|_, _, facts| body_limit::refuse(&mut facts.body_limit, status));
            }
            answer
        });
        match answer {
            Answer::Pass => status,
            Answer::Deny(_) => {
                // SAFETY: nothing of it is for the handler.
                unsafe { httpd::apr_brigade_cleanup(data.cast()) };
                TOO_LARGE
            }
        }
    }
}

/// The answer to a request whose body is watched: what a handler made of a body that was cut off is thrown
/// away, and what denies it sent instead. Takes itself out when the answer begins before the body is too large.
pub unsafe extern "C" fn answer(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
) -> apr_status_t {
    static CALLBACK: Callback = Callback::new("body_answer");
    // SAFETY: the filter is alive, and so is the one behind it.
    let (next, request) = unsafe { ((*filter).next, (*filter).r) };
    let status = guard(&CALLBACK, None, || {
        // SAFETY: alive while its filters run.
        let mut live = unsafe { Live::of(request) }?;
        live.run(|_, exchange, facts| {
            body_limit::overruled(&mut facts.body_limit, exchange.request.status())
        })
    });
    // SAFETY: a filter of this chain; the record itself stays in its pool.
    unsafe { httpd::ap_remove_output_filter(filter) };
    match status {
        // SAFETY: the request whose answer this is; nothing of it was sent yet.
        Some(status) => unsafe { httpd::qos_answer_error(request, data, status.into()) },
        // SAFETY: outside the guard, as httpd's contract asks.
        None => unsafe { httpd::ap_pass_brigade(next, data) },
    }
}
