//! What every server test stands on: a private httpd, clients, and the log it wrote.

mod backend;
mod client;
mod config;
mod differential;
mod gate;
mod http2;
mod httpd;
mod log;
pub mod mmdb;
#[macro_use]
mod mpm;
mod namespace;
mod process;
mod syslog;
mod tls;

use std::time::{Duration, Instant};

pub use backend::Backend;
pub use client::{Client, Connection, Outcome, Response};
pub use config::{module_under_test, modules_dir, panicking_module};
pub use differential::{comparable, on_both_modules};
pub use gate::Gate;
pub use http2::{Curl, Http2Connection, Http2End};
pub use httpd::{Builder, Check, Httpd};
pub use log::Line;
pub use mpm::Mpm;
pub use namespace::Namespace;
pub use process::Usage;
pub use syslog::Syslog;

/// How long a test waits for something that must happen, unless it says otherwise. Generous: it is
/// only ever used up by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The time within which counts must be right again after a child died: httpd's parent looks for
/// dead children once a second.
pub const RECOVERY: Duration = Duration::from_secs(3);

/// Asks until there is an answer, or the time is over.
pub fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a condition holds; fails the test, naming the condition, when it does not in time.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    if poll(patience, || holds().then_some(())).is_none() {
        panic!("not within {patience:?}: {what}");
    }
}
