//! The head of a response goes out.

use crate::ffi::bindings::{self as httpd, ap_filter_t, apr_bucket_brigade, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::hooks::live::Live;
use crate::hooks::{body, goodbye, turn};
use crate::httpd::filter::Filter;
use core::ptr::null_mut;
use qos_engine::phases;

/// The filter for responses.
pub static RESPONSE_HEAD: Filter = Filter::named(c"mod_qos_response_head");
/// The filter for httpd's own error responses.
pub static ERROR_HEAD: Filter = Filter::named(c"mod_qos_error_head");

pub unsafe extern "C" fn insert_filter(request: *mut request_rec) {
    static CALLBACK: Callback = Callback::new("insert_filter");
    // SAFETY: httpd's argument.
    guard(&CALLBACK, (), || unsafe { insert(request, &RESPONSE_HEAD) });
}

pub unsafe extern "C" fn insert_error_filter(request: *mut request_rec) {
    static CALLBACK: Callback = Callback::new("insert_error_filter");
    // SAFETY: httpd's argument.
    guard(&CALLBACK, (), || unsafe { insert(request, &ERROR_HEAD) });
}

/// Adds a filter where a rule wants to know of the response; most requests pay nothing for it.
///
/// # Safety
/// `request` is what httpd handed to an insert hook.
unsafe fn insert(pointer: *mut request_rec, filter: &Filter) {
    // SAFETY: alive while the hook runs.
    let Some(live) = (unsafe { Live::of(pointer) }) else { return };
    body::watch_answer(&live);
    // SAFETY: the caller's word.
    unsafe { turn::insert(pointer, &live) };
    if phases::wants_response(live.rules())
        && let Some(connection) = live.connection()
    {
        // SAFETY: a filter of ours, on a live request.
        unsafe { filter.add_output(null_mut(), pointer, connection.as_ptr()) };
    }
}

pub unsafe extern "C" fn response_head(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("output_filter");
    // SAFETY: httpd's arguments.
    unsafe { head(&CALLBACK, filter, data, true) }
}

pub unsafe extern "C" fn error_head(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("output_filter_error");
    // SAFETY: httpd's arguments.
    unsafe { head(&CALLBACK, filter, data, false) }
}

/// Acts once, on the first data, takes itself out, and passes the data on unchanged whatever happens.
///
/// # Safety
/// `filter` and `data` are what httpd handed to an output filter.
unsafe fn head(
    callback: &Callback,
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
    is_normal: bool,
) -> httpd::apr_status_t {
    // SAFETY: the filter is alive, and so is the one behind it.
    let (next, request) = unsafe { ((*filter).next, (*filter).r) };
    // SAFETY: out of the chain before anything can go wrong; the record itself stays in its pool.
    unsafe { httpd::ap_remove_output_filter(filter) };
    guard(callback, (), || {
        // SAFETY: alive while its filters run.
        let Some(mut live) = (unsafe { Live::of(request) }) else { return };
        let scope = live.config().scope.get();
        live.renew();
        let closes = live.run_on_response(|rules, exchange, facts| {
            phases::respond(rules, exchange, facts, is_normal);
            is_normal && phases::closes_after_response(rules.policy, exchange, scope)
        });
        if closes && let Some(connection) = live.connection() {
            goodbye::say(connection);
        }
    });
    // SAFETY: outside the guard, as httpd's contract asks: what comes behind is not ours.
    unsafe { httpd::ap_pass_brigade(next, data) }
}
