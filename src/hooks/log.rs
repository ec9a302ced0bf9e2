//! A request is logged: what its response made of it is counted, and the access log's variables are set.

use crate::ffi::bindings::{self as httpd, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::hooks::request::INHERITED;
use crate::httpd::connection::Text;
use crate::httpd::request::Request;
use crate::shm::{child, segment};
use core::ffi::{CStr, c_int};
use qos_engine::context::Moment;
use qos_engine::phases;

const DECLINED: c_int = httpd::DECLINED;

pub unsafe extern "C" fn log_transaction(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("log_transaction");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(request) = (unsafe { Request::new(request) }) else { return DECLINED };
        let Some(connection) = request.connection() else { return DECLINED };
        let Some(tracked) = connection.tracked() else { return DECLINED };
        let policy = tracked.config.policy.get();
        let (Some(policy), Some(shared)) = (policy, segment::shared()) else { return DECLINED };
        let child = child::this();
        let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
        // An internally redirected request is logged with the variables of its last part.
        let last = request.last();
        let was_redirected = last.as_ptr() != request.as_ptr();
        for name in INHERITED.into_iter().filter(|_| was_redirected) {
            if let (Some(value), None) = (request.own_variable(name), last.own_variable(name)) {
                last.set_copied(name, value);
            }
        }
        let mut view = request.view();
        let is_aborted = connection.is_broken_off();
        phases::finish(policy, &moment, &tracked.connection, is_aborted, &mut view);

        let set = |name: &CStr, value: &CStr| {
            request.set_copied(name, value);
            if was_redirected {
                last.set_copied(name, value);
            }
        };
        if policy.connection_limit.max.is_some() {
            let open = shared.store.scopes.open(tracked.connection.scope);
            set(c"mod_qos_con", Text::<12>::number(open.into()).as_c());
        }
        // The state was made where a letter was added; without one there is nothing to say.
        if let Some(state) = request.existing_state() {
            let mut letters = [0u8; 25];
            for (to, letter) in letters.chunks_mut(2).zip(state.letters.octets()) {
                if let [first, second] = to {
                    (*first, *second) = (*letter, b';');
                }
            }
            if !state.letters.octets().is_empty()
                && let Ok(letters) = CStr::from_bytes_until_nul(&letters)
            {
                set(c"mod_qos_ev", letters);
            }
        }
        DECLINED
    })
}
