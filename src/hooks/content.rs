//! The pages: what is asked for is turned into values, the engine answers, and the answer is written.

use super::{console, live::Live};
use crate::config;
use crate::ffi::bindings::{self as httpd, request_rec};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::{request::Request, scoreboard, server::Server};
use crate::shm::segment::Shared;
use core::ffi::{CStr, c_int};
use qos_engine::context::{Aspect, RequestView};
use qos_engine::report::{self, Asked, Page, Picture, Query, ServerView};
use qos_engine::rules::pages;
use std::time::{SystemTime, UNIX_EPOCH};

const DECLINED: c_int = httpd::DECLINED;

/// The handlers by their names in a configuration.
#[derive(Clone, Copy, Debug)]
enum Handler {
    Viewer,
    Console,
    Metrics,
}

impl Handler {
    fn of(name: &CStr) -> Option<Handler> {
        match name.to_bytes() {
            b"qos-viewer" => Some(Handler::Viewer),
            b"qos-console" => Some(Handler::Console),
            b"qos-metrics" => Some(Handler::Metrics),
            _ => None,
        }
    }
}

pub unsafe extern "C" fn handler(request: *mut request_rec) -> c_int {
    static CALLBACK: Callback = Callback::new("handler");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: httpd's argument, alive while the hook runs.
        let Some(asked) = (unsafe { Request::new(request) }) else { return DECLINED };
        // Every request comes by here: first of all the name.
        let Some(handler) = asked.handler().and_then(Handler::of) else { return DECLINED };
        // SAFETY: as above.
        let Some(mut live) = (unsafe { Live::of(request) }) else { return DECLINED };
        if !live.run(|rules, exchange, _| pages::admit(&rules.policy.pages, exchange)) {
            return DECLINED;
        }
        let page = match handler {
            Handler::Viewer => answer(&mut live, report::view),
            Handler::Console => return console::answer(&mut live),
            Handler::Metrics => answer(&mut live, report::metrics::answer),
        };
        page.map_or(DECLINED, |page| asked.send(&page))
    })
}

/// A function of mod_status's hook.
type StatusHook = unsafe extern "C" fn(*mut request_rec, c_int) -> c_int;

/// Forgets the type of a hook's function, as apr's macro for optional hooks does.
pub fn as_any(hook: StatusHook) -> unsafe extern "C" fn() {
    // SAFETY: both are pointers to a function, and mod_status calls it by its own type.
    unsafe { core::mem::transmute::<StatusHook, unsafe extern "C" fn()>(hook) }
}

/// mod_status shows its page: ours below it.
pub unsafe extern "C" fn status(request: *mut request_rec, flags: c_int) -> c_int {
    /// `?auto`, in mod_status.h.
    const SHORT: c_int = 1;
    static CALLBACK: Callback = Callback::new("status_hook");
    guard(&CALLBACK, DECLINED, || {
        // SAFETY: mod_status's argument, alive while the hook runs.
        let Some(mut live) = (unsafe { Live::of(request) }) else { return DECLINED };
        if !live.run(|rules, exchange, _| pages::admit(&rules.policy.pages, exchange)) {
            return DECLINED;
        }
        let render = if flags & SHORT != 0 { report::status_text } else { report::status_html };
        if let Some(page) = answer(&mut live, render) {
            live.request.write(&page.body);
        }
        httpd::OK as c_int
    })
}

/// Hands a picture, and what is asked for, to the engine.
fn answer(live: &mut Live, page: impl FnOnce(&Picture<'_>, &Asked<'_>) -> Page) -> Option<Page> {
    live.renew();
    let view = live.request.view();
    let query = Query::parse(view.aspect(Aspect::Query).unwrap_or(b""));
    let asked = Asked {
        path: view.aspect(Aspect::Path).unwrap_or(b""),
        query: &query,
        is_head: live.request.wants_only_headers(),
    };
    Some(page(&picture(live.shared())?, &asked))
}

/// Gathers what pages show.
pub fn picture(shared: &'static Shared) -> Option<Picture<'static>> {
    let base = Server::base()?;
    let base_config = base.config()?;
    let base_policy = base_config.policy.get()?;
    let servers = base.and_following().filter_map(|server| {
        let config = server.config()?;
        let policy = config.policy.get()?;
        let is_virtual = server.is_virtual();
        Some(ServerView {
            is_virtual,
            host: server.name_and_port().0,
            port: server.address_port(),
            policy,
            scope: config.scope.get(),
            is_sharing_base: is_virtual && core::ptr::eq(config, base_config),
            has_own_connection_counters: config::owns_counters(is_virtual, policy, base_policy),
        })
    });
    Some(Picture {
        now: shared.now(),
        epoch_seconds: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        load: scoreboard::load(),
        processors: scoreboard::processors(),
        utc_offset: scoreboard::utc_offset(),
        store: &shared.store,
        base: base_policy,
        servers: servers.collect(),
        workers: scoreboard::workers(base_policy.server.max_clients),
        version: env!("CARGO_PKG_VERSION"),
    })
}
