//! The console: its parameters, and a list that is sent to it, go to the engine; what it says goes out.

use super::live::Live;
use crate::ffi::bindings as httpd;
use crate::shm::child;
use core::ffi::c_int;
use qos_engine::console::{self, List, Step};
use qos_engine::context::{Moment, RequestView};
use qos_engine::report::Page;

/// Lines are handed over in portions of this size.
const PORTION: usize = 32 << 10;

/// Answers a request. Returns what a handler returns.
pub fn answer(live: &mut Live) -> c_int {
    live.renew();
    let page = match live.run(|rules, exchange, _| console::begin(rules.policy, exchange)) {
        Step::Answer(page) => page,
        Step::List(head, list) => return write(live, &head, &list),
        Step::Body => match load(live) {
            Ok(page) => page,
            Err(status) => return status,
        },
    };
    live.request.send(&page)
}

fn load(live: &mut Live) -> Result<Page, c_int> {
    let body = live.request.read_body(console::LARGEST_BODY)?;
    // Its sender may have taken his time.
    live.renew();
    Ok(live.run(|rules, exchange, _| match &body {
        Some(body) => console::load(rules.policy, exchange, body),
        None => console::too_large(exchange),
    }))
}

/// Writes a list, which may be longer than what one would keep in memory.
fn write(live: &Live, head: &Page, list: &List) -> c_int {
    let (request, shared) = (live.request, live.shared());
    let Some(policy) = live.config().policy.get() else { return httpd::DECLINED };
    let sent = request.send(head);
    if request.wants_only_headers() {
        return sent;
    }
    let child = child::this();
    let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
    let mut portion = Vec::with_capacity(PORTION + 256);
    // Not within a phase: writing calls httpd's filters, and ours among them.
    console::list(policy, &moment, request.view().arrived_at(), list, &mut |line| {
        portion.extend_from_slice(line.as_bytes());
        if portion.len() < PORTION {
            return true;
        }
        let is_taken = request.write(&portion);
        portion.clear();
        is_taken
    });
    request.write(&portion);
    sent
}
