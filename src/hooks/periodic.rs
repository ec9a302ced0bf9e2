//! What the parent tells of every now and then: the status line of each minute, and lines that were lost.

use crate::config;
use crate::httpd::{scoreboard, server::Server};
use crate::shm::segment::Shared;
use qos_engine::log_event::{self, LogSink};
use qos_engine::rules::Policy;
use qos_engine::rules::request_log::LINES_LOST;
use qos_engine::rules::status_log::{self, Minutes, STATUS};
use qos_engine::store::slots;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What was told last. Only the parent's one thread takes this lock.
static TOLD: Mutex<Told> = Mutex::new(Told { minutes: Minutes::new(), lost: 0 });

struct Told {
    minutes: Minutes,
    lost: u64,
}

/// From now on minutes are counted.
pub fn start() {
    told().minutes.start(now());
}

fn told() -> MutexGuard<'static, Told> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Tells what there is to tell. Only the parent calls this, so each thing is told once.
pub fn tell(base: Server, shared: &Shared) {
    // SAFETY: the configuration that is in force.
    let config = unsafe { config::of_server(base.config_vector()) };
    let Some(policy) = config.and_then(|config| config.policy.get()) else { return };
    let mut told = told();
    if told.minutes.has_begun(now()) && policy.status_log.is_on {
        tell_status(base, shared, policy);
    }
    let lost = shared.store.totals.of(LINES_LOST.number);
    let n = lost - told.lost.min(lost);
    told.lost = lost;
    if n > 0 {
        let text = format_args!("QSLog: {n} lines lost, the program does not read them");
        let mut sink = base;
        log_event::note(&LINES_LOST, text, None, &mut sink);
    }
}

fn tell_status(mut base: Server, shared: &Shared, policy: &Policy) {
    let store = &shared.store;
    let is_preferring = policy.client_preference.preference.is_some();
    let line = status_log::line(
        &scoreboard::workers(policy.server.max_clients),
        store.scopes.open(slots::ALL),
        is_preferring.then(|| store.clients.contents_of_everybody()),
    );
    base.write(STATUS.level, &format!("mod_qos({}): {line}", STATUS.number));
}
