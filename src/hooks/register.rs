//! Every hook and filter on one page, each with its place and why.

use super::{
    body, body_wait, clear_text, connection, content, filters, goodbye, lifecycle, log, request,
    turn,
};
use crate::ffi::bindings::{self as httpd, apr_pool_t};
use crate::ffi::guard::{Callback, guard, install_panic_hook};
use core::ffi::{c_char, c_int};
use core::ptr::null;

/// A list of module names, ended by null, as httpd wants it.
type Modules<const N: usize> = [*const c_char; N];

const FIRST: c_int = httpd::APR_HOOK_FIRST as c_int;
const MIDDLE: c_int = httpd::APR_HOOK_MIDDLE as c_int;
const LAST: c_int = httpd::APR_HOOK_LAST as c_int;

pub unsafe extern "C" fn register_hooks(_: *mut apr_pool_t) {
    static CALLBACK: Callback = Callback::new("register_hooks");
    guard(&CALLBACK, (), || {
        install_panic_hook();
        // SAFETY: called by httpd while it loads the module; the functions have the types that the
        // bindings say, and the module is never unloaded (-z nodelete). The lists are read at once or,
        // for sorting, before this configuration ends: they are constants.
        unsafe {
            life_of_the_server();
            life_of_a_connection();
            life_of_a_request();
        }
    });
}

unsafe fn life_of_the_server() {
    // SAFETY: see `register_hooks`.
    unsafe {
        // Where `apachectl -t` still comes by.
        httpd::ap_hook_check_config(Some(lifecycle::check_config), null(), null(), MIDDLE);
        httpd::ap_hook_post_config(Some(lifecycle::post_config), null(), null(), MIDDLE);
        // Behind core, which makes the scoreboard there. A graceful restart does not come by.
        httpd::ap_hook_pre_mpm(Some(lifecycle::pre_mpm), null(), null(), LAST);
        httpd::ap_hook_child_init(Some(lifecycle::child_init), null(), null(), MIDDLE);
        // In the parent, at each child's end, whatever its cause.
        httpd::ap_hook_child_status(Some(lifecycle::child_status), null(), null(), MIDDLE);
        // In the parent, every ten seconds or so.
        httpd::ap_hook_monitor(Some(lifecycle::monitor), null(), null(), MIDDLE);
    }
}

unsafe fn life_of_a_connection() {
    const LOGIO: Modules<2> = [c"mod_logio.c".as_ptr(), null()];
    const TLS: Modules<2> = [c"mod_ssl.c".as_ptr(), null()];
    const ALL_BEFORE: Modules<4> =
        [c"mod_ssl.c".as_ptr(), c"mod_setenvif.c".as_ptr(), c"mod_setenvifplus.c".as_ptr(), null()];
    // SAFETY: see `register_hooks`.
    unsafe {
        // Behind mod_logio, which counts octets, and before mod_ssl: who is blocked costs no handshake.
        httpd::ap_hook_pre_connection(
            Some(connection::pre_connection_early),
            LOGIO.as_ptr(),
            TLS.as_ptr(),
            FIRST,
        );
        // Behind everything that may have something to say of a connection. Core comes later still: it
        // sets the socket.
        httpd::ap_hook_pre_connection(
            Some(connection::pre_connection_late),
            ALL_BEFORE.as_ptr(),
            null(),
            LAST,
        );
        // While the socket is still open: did the peer break off?
        httpd::ap_hook_pre_close_connection(
            Some(connection::pre_close_connection),
            null(),
            null(),
            MIDDLE,
        );
        // Before every protocol: which connection does this thread work on?
        httpd::ap_hook_process_connection(
            Some(goodbye::process_connection),
            null(),
            null(),
            httpd::APR_HOOK_REALLY_FIRST as c_int,
        );
        // Before the MPM's own answer, for the one question that an HTTP/2 connection asks it.
        httpd::ap_hook_mpm_query(
            Some(goodbye::mpm_query),
            null(),
            null(),
            httpd::APR_HOOK_REALLY_FIRST as c_int,
        );
    }
}

unsafe fn life_of_a_request() {
    const SETENVIF: Modules<4> = [
        c"mod_setenvif.c".as_ptr(),
        c"mod_setenvifplus.c".as_ptr(),
        c"mod_parp.c".as_ptr(),
        null(),
    ];
    const LATE: Modules<4> = [
        c"mod_setenvif.c".as_ptr(),
        c"mod_setenvifplus.c".as_ptr(),
        c"mod_unique_id.c".as_ptr(),
        null(),
    ];
    const BEFORE_PARP: Modules<3> =
        [c"mod_setenvif.c".as_ptr(), c"mod_setenvifplus.c".as_ptr(), null()];
    const PARP: Modules<2> = [c"mod_parp.c".as_ptr(), null()];
    const FIXERS: Modules<3> = [c"mod_ssl.c".as_ptr(), c"mod_setenvifplus.c".as_ptr(), null()];
    // SAFETY: see `register_hooks`.
    unsafe {
        // Before httpd waits for the next request of a connection that it has kept.
        httpd::ap_hook_create_request(Some(request::create_request), null(), null(), MIDDLE);
        // The same moment, once that has settled how long httpd waits: a request is about to be read.
        httpd::ap_hook_pre_read_request(Some(request::pre_read_request), null(), null(), MIDDLE);
        // Before mod_setenvif, whose conditions shall see our variables.
        httpd::ap_hook_post_read_request(
            Some(request::post_read_request),
            null(),
            SETENVIF.as_ptr(),
            FIRST,
        );
        // Behind mod_setenvif and mod_unique_id: what their variables say.
        httpd::ap_hook_post_read_request(
            Some(request::post_read_request_late),
            LATE.as_ptr(),
            null(),
            MIDDLE,
        );
        // Behind mod_setenvif's step for locations, before mod_parp reads the body.
        httpd::ap_hook_header_parser(
            Some(request::header_parser_early),
            BEFORE_PARP.as_ptr(),
            PARP.as_ptr(),
            FIRST,
        );
        // Behind mod_setenvif's step for locations: now all event variables are known.
        httpd::ap_hook_header_parser(
            Some(request::header_parser),
            SETENVIF.as_ptr(),
            null(),
            MIDDLE,
        );
        // Behind mod_ssl and whoever authenticates, which are done by then.
        httpd::ap_hook_fixups(Some(request::fixups), FIXERS.as_ptr(), null(), MIDDLE);
        // The pages, where a location's handler names one.
        httpd::ap_hook_handler(Some(content::handler), null(), null(), MIDDLE);
        // mod_status asks whoever is here, if it is there.
        httpd::apr_optional_hook_add(
            c"status_hook".as_ptr(),
            Some(content::as_any(content::status)),
            null(),
            null(),
            MIDDLE,
        );
        httpd::ap_hook_insert_filter(Some(filters::insert_filter), null(), null(), LAST);
        httpd::ap_hook_insert_error_filter(
            Some(filters::insert_error_filter),
            null(),
            null(),
            LAST,
        );
        // One step behind content generators and before mod_headers and mod_deflate: variables that a
        // status sets can stand in response headers.
        let head = httpd::AP_FTYPE_RESOURCE + 1;
        filters::RESPONSE_HEAD.register_output(Some(filters::response_head), head);
        filters::ERROR_HEAD.register_output(Some(filters::error_head), head);
        // Below whatever unpacks a body, and above it. The answer is looked at before anybody else sees it.
        body::SENT.register_input(Some(body::sent), httpd::AP_FTYPE_PROTOCOL - 1);
        body::UNPACKED.register_input(Some(body::unpacked), httpd::AP_FTYPE_RESOURCE);
        body::ANSWER.register_output(Some(body::answer), httpd::AP_FTYPE_RESOURCE);
        // In front of what mod_http2 does with a stream's answer, behind all that still changes it.
        turn::TURN.register_output(Some(turn::turn), httpd::AP_FTYPE_CONTENT_SET);
        // Below HTTP's own filter, which redirects keep: all that is read of a body comes by here.
        body_wait::WAIT.register_input(Some(body_wait::wait), httpd::AP_FTYPE_PROTOCOL + 1);
        // Right above mod_ssl, below whoever reads: HTTP/1, HTTP/2.
        clear_text::COUNT.register_input(Some(clear_text::count), httpd::AP_FTYPE_CONNECTION + 4);
        // First, so that the access log sees what we set.
        httpd::ap_hook_log_transaction(Some(log::log_transaction), null(), null(), FIRST);
    }
}
