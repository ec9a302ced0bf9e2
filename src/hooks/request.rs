//! A request comes: it learns what its connection knows, and is admitted or denied.

use super::{body, body_wait, live::Live};
use crate::ffi::bindings::{self as httpd, conn_rec, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::{connection::Connection, keep_alive, request::Request};
use crate::monitor;
use core::ffi::c_int;
use qos_engine::client::countries;
use qos_engine::context::Marks;
use qos_engine::phases;
use qos_engine::rules::server::Page;
use qos_engine::rules::{body_limit, publication};
use qos_engine::verdict::Answer;

const DECLINED: c_int = httpd::DECLINED;
const OK: c_int = httpd::OK as c_int;

/// A connection is about to be waited on for a request.
pub unsafe extern "C" fn create_request(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("create_request");
    guard(&CALLBACK, OK, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        if let Some(request) = unsafe { Request::new(request) } {
            keep_alive::wait(request);
        }
        OK
    })
}

pub unsafe extern "C" fn pre_read_request(_: *mut request_rec, connection: *mut conn_rec) {
    static CALLBACK: Callback = Callback::new("pre_read_request");
    guard(&CALLBACK, (), || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(connection) = (unsafe { Connection::new(connection) }) else { return };
        if connection.primary().is_none()
            && let Some(tracked) = connection.tracked()
        {
            monitor::begin_head(connection, tracked);
        }
    });
}

pub unsafe extern "C" fn post_read_request(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("post_read_request");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(mut live) = (unsafe { Live::of(request) }) else { return DECLINED };
        let request = live.request;
        let tracked = live.tracked();
        let texts = &tracked.texts;
        let set = |name, text: Option<_>| {
            text.into_iter().for_each(|text| request.set_lasting(name, text))
        };
        if let Some(country) = &texts.country {
            request.set_lasting(countries::VARIABLE, country);
        }
        set(publication::SERVER_CONNECTIONS, texts.server.as_ref());
        set(publication::ADDRESS_CONNECTIONS, texts.address.as_ref());
        set(publication::ALL_CONNECTIONS, texts.all.as_ref());
        if let Some(id) = &texts.id {
            request.set_lasting(publication::CONNECTION_ID, id);
        }
        if let Some(previous) = request.previous() {
            for name in live.rules().policy.inherited() {
                if let Some(value) = previous.own_variable(name) {
                    request.set_copied(name, value);
                }
            }
        } else {
            if live.connection().is_some_and(|connection| connection.primary().is_some()) {
                tracked.connection.marks.set(Marks::HTTP2);
            }
            body_wait::watch(request, tracked);
        }
        live.run(phases::read);
        if request.has_path() {
            return DECLINED;
        }
        match live.run(|_, exchange, _| phases::refuse_line(exchange)) {
            Answer::Deny(status) => c_int::from(status),
            Answer::Pass => DECLINED,
        }
    })
}

pub unsafe extern "C" fn post_read_request_late(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("post_read_request_late");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        if let Some(mut live) = unsafe { Live::of(request) }
            && phases::wants_read_late(live.rules())
        {
            live.run(phases::read_late);
        }
        DECLINED
    })
}

pub unsafe extern "C" fn header_parser_early(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("header_parser_early");
    // SAFETY: httpd's argument, alive while the hook runs.
    guard(&CALLBACK, DECLINED, || unsafe {
        judge(request, |live| {
            if !phases::wants_prepare(live.rules(), || live.request.has_body()) {
                return Answer::Pass;
            }
            let (answer, watched) = live.run(|rules, exchange, facts| {
                let answer = phases::prepare(rules, exchange, facts);
                (answer, body_limit::watched(exchange, &mut facts.body_limit))
            });
            body::watch(live, watched);
            answer
        })
    })
}

pub unsafe extern "C" fn header_parser(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("header_parser");
    // SAFETY: httpd's argument, alive while the hook runs.
    guard(&CALLBACK, DECLINED, || unsafe {
        judge(request, |live| {
            keep_alive::apply(live.request, live.tracked());
            live.run(phases::admit)
        })
    })
}

pub unsafe extern "C" fn fixups(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("fixups");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        if let Some(mut live) = unsafe { Live::of(request) }
            && phases::wants_fix_up(live.rules(), || live.request.has_user())
        {
            live.run(phases::fix_up);
        }
        DECLINED
    })
}

/// Runs a phase that may deny.
///
/// # Safety
/// `request` is what httpd handed to a hook.
unsafe fn judge(request: *mut request_rec, phase: impl FnOnce(&mut Live) -> Answer) -> c_int {
    // SAFETY: the caller's word.
    let Some(mut live) = (unsafe { Live::of(request) }) else { return DECLINED };
    // Rules judge what the client sent, not where httpd redirects it to: an error page is served.
    if !live.request.is_initial() {
        return DECLINED;
    }
    match phase(&mut live) {
        Answer::Deny(status) => c_int::from(deny(&live, status)),
        Answer::Pass => DECLINED,
    }
}

/// Puts the page of denied requests in the place of this status, if there is one. Returns the status to
/// answer with.
pub fn deny(live: &Live, status: u16) -> u16 {
    let server = &live.rules().policy.server;
    let Some(page) = server.page(live.request.own_variable(c"QS_ErrorPage")) else {
        return status;
    };
    if let Some(connection) = live.connection() {
        connection.close_after_response();
    }
    match page {
        Page::Path(path) => {
            live.request.answer_with(server.error_status, path);
            server.error_status
        }
        Page::Url(url) => {
            // As httpd does itself for a path.
            if let Some(number) = live.request.own_variable(c"QS_ErrorNotes") {
                live.request.set_copied(c"ERROR_NOTES", number);
            }
            live.request.send_elsewhere(url);
            302
        }
    }
}
