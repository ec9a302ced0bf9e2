//! A request comes: it learns what its connection knows, and is admitted or denied.

use crate::ffi::bindings::{self as httpd, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::request::Request;
use crate::shm::{child, segment};
use core::ffi::{CStr, c_int};
use qos_engine::context::{Marks, Moment};
use qos_engine::phases;
use qos_engine::rules::Policy;
use qos_engine::verdict::Answer;

const DECLINED: c_int = httpd::DECLINED;

/// What an error document, or any target of an internal redirect, takes over from where it came from.
pub const INHERITED: [&CStr; 4] =
    [c"QS_ErrorNotes", c"QS_Block", c"QS_Block_seen", c"QS_Block_Decrement"];

pub unsafe extern "C" fn post_read_request(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("post_read_request");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(request) = (unsafe { Request::new(request) }) else { return DECLINED };
        let Some(connection) = request.connection() else { return DECLINED };
        let Some(tracked) = connection.tracked() else { return DECLINED };
        let texts = &tracked.texts;
        request.set_lasting(c"QS_SrvConn", &texts.server);
        if let Some(address) = &texts.address {
            request.set_lasting(c"QS_IPConn", address);
        }
        request.set_lasting(c"QS_AllConn", &texts.all);
        request.set_lasting(c"QS_ConnectionId", &texts.id);
        if let Some(previous) = request.previous() {
            for name in INHERITED {
                if let Some(value) = previous.own_variable(name) {
                    request.set_copied(name, value);
                }
            }
        } else if connection.primary().is_some() {
            tracked.connection.marks.set(Marks::HTTP2);
        }
        DECLINED
    })
}

pub unsafe extern "C" fn header_parser(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("header_parser");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(mut request) = (unsafe { Request::new(request) }) else { return DECLINED };
        // Rules judge what the client sent, not where httpd redirects it to: an error page is served.
        if request.previous().or_else(|| request.main()).is_some() {
            return DECLINED;
        }
        let Some(connection) = request.connection() else { return DECLINED };
        let Some(tracked) = connection.tracked() else { return DECLINED };
        let policy = request.config().and_then(|config| config.policy.get());
        let (Some(policy), Some(shared)) = (policy, segment::shared()) else { return DECLINED };
        let child = child::this();
        let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
        let mut view = request.view();
        match phases::admit(policy, &moment, &tracked.connection, &mut view, &mut request) {
            Answer::Pass => DECLINED,
            Answer::Deny => deny(policy, request),
        }
    })
}

fn deny(policy: &Policy, request: Request) -> c_int {
    let status = policy.server.error_status;
    let page = request.own_variable(c"QS_ErrorPage").or(policy.server.error_page.as_deref());
    if let Some(page) = page {
        request.answer_with(status, page);
        if let Some(connection) = request.connection() {
            connection.close_after_response();
        }
    }
    c_int::from(status)
}
