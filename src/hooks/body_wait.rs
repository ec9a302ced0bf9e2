//! A request's body is read: whoever waits for the client says so, for as long as it waits.

use crate::ffi::bindings::{self as httpd, ap_filter_t, apr_bucket_brigade};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::connection::Tracked;
use crate::httpd::filter::Filter;
use crate::httpd::request::Request;
use crate::monitor;

use core::ptr::from_ref;
use qos_engine::meter::progress::Progress;

/// The filter.
pub static WAIT: Filter = Filter::named(c"mod_qos_body_wait");

/// Adds the filter, where the connection is looked at; a request without a body pays nothing for it.
pub fn watch(request: Request, tracked: &Tracked) {
    if !monitor::is_watched(tracked) || !request.has_body() {
        return;
    }
    let Some(connection) = request.connection() else { return };
    let progress = from_ref(&tracked.connection.progress).cast_mut().cast();
    // SAFETY: a filter of ours, on a live request; the connection's state outlives it.
    unsafe {
        WAIT.add_input(progress, request.as_ptr(), connection.as_ptr());
    }
}

pub unsafe extern "C" fn wait(
    filter: *mut ap_filter_t,
    data: *mut apr_bucket_brigade,
    mode: httpd::ap_input_mode_t,
    block: httpd::apr_read_type_e,
    octets: httpd::apr_off_t,
) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("input_filter");
    // SAFETY: the filter is alive, and so is the one behind it; its context was set by `watch`.
    let (next, progress) = unsafe { ((*filter).next, (*filter).ctx.cast::<Progress>().as_ref()) };
    let progress = progress.filter(|_| block == httpd::APR_BLOCK_READ);
    guard(&CALLBACK, (), || progress.into_iter().for_each(Progress::begin_wait));
    // SAFETY: outside the guard, as httpd's contract asks: what comes behind is not ours.
    let status = unsafe { httpd::ap_get_brigade(next, data, mode, block, octets) };
    guard(&CALLBACK, (), || progress.into_iter().for_each(Progress::end_wait));
    status
}
