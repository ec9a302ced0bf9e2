//! A request is logged: what its response made of it is counted, and the access log's variables are set.

use crate::ffi::bindings::{self as httpd, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::hooks::{live::Live, request_log};
use crate::httpd::connection::{Connection, Text};
use core::ffi::{CStr, c_int};
use qos_engine::context::MAX_LETTERS;
use qos_engine::phases;
use qos_engine::rules::{INHERITED, Policy, publication};

const DECLINED: c_int = httpd::DECLINED;

pub unsafe extern "C" fn log_transaction(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("log_transaction");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(mut live) = (unsafe { Live::of(request) }) else { return DECLINED };
        let request = live.request;
        // An internally redirected request is logged with the variables of its last part. What concerns the
        // client counts wherever it was set, but not what conditions make of an error document's URL.
        let last = request.last();
        let was_redirected = last.as_ptr() != request.as_ptr();
        if was_redirected {
            for name in INHERITED {
                if request.own_variable(name).is_none()
                    && let Some(value) = request.later_variable(name)
                {
                    request.set_copied(name, value);
                }
            }
            for name in live.rules().policy.inherited() {
                if let (Some(value), None) = (request.own_variable(name), last.own_variable(name)) {
                    last.set_copied(name, value);
                }
            }
        }
        let is_aborted = live.connection().is_some_and(Connection::is_broken_off);
        live.renew();
        live.run(|rules, exchange, facts| phases::finish(rules, exchange, facts, is_aborted));

        let set = |name: &CStr, value: &CStr| {
            request.set_copied(name, value);
            if was_redirected {
                last.set_copied(name, value);
            }
        };
        let tracked = live.tracked();
        let told = &live.rules().policy.publication;
        let is_limited = |policy: &Policy| policy.connection_limit.max.is_some();
        if told.logged_connections && tracked.config.policy.get().is_some_and(is_limited) {
            let open = live.shared().store.scopes.open(tracked.connection.scope);
            set(publication::LOGGED_CONNECTIONS, Text::<12>::number(open.into()).as_c());
        }
        let known = live.known();
        if let Some(requests) = known.rule_requests.filter(|_| told.logged_requests) {
            set(publication::LOGGED_REQUESTS, Text::<12>::number(requests.into()).as_c());
        }
        let letters = known.letters.octets();
        if told.logged_letters && !letters.is_empty() {
            let mut octets = [0u8; 2 * MAX_LETTERS + 1];
            for (to, letter) in octets.chunks_mut(2).zip(letters) {
                if let [first, second] = to {
                    (*first, *second) = (*letter, b';');
                }
            }
            if let Ok(letters) = CStr::from_bytes_until_nul(&octets) {
                set(publication::LOGGED_LETTERS, letters);
            }
        }
        request_log::write(&live);
        DECLINED
    })
}
