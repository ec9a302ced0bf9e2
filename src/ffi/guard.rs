//! Every function that httpd calls has one body: [`guard`]. A panic behind it is a bug of ours; it ends
//! there, is logged once, and the request passes.

use crate::httpd::server;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A function that httpd calls, by the name that a log line shows.
pub struct Callback {
    name: &'static str,
    was_reported: AtomicBool,
}

impl Callback {
    /// Names a callback.
    pub const fn new(name: &'static str) -> Callback {
        Callback { name, was_reported: AtomicBool::new(false) }
    }
}

/// What the last panic of a thread said, and where. Plain octets: no destructor, no allocation.
#[derive(Clone, Copy)]
struct Said {
    octets: [u8; 200],
    length: usize,
}

thread_local! {
    static SAID: Cell<Said> = const { Cell::new(Said { octets: [0; 200], length: 0 }) };
}

/// Runs a callback's body. If it panics: one line in the error log (305), once per callback and process,
/// and `default`, which lets the connection or request go on.
pub fn guard<T>(callback: &Callback, default: T, body: impl FnOnce() -> T) -> T {
    let body = || {
        #[cfg(feature = "panic-injection")]
        inject(callback.name);
        body()
    };
    // AssertUnwindSafe: what a callback shares is atomics, which a panic leaves as whole as ever.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(_) => {
            if !callback.was_reported.swap(true, Ordering::Relaxed) {
                let said = SAID.get();
                let text =
                    said.octets.get(..said.length).and_then(|text| str::from_utf8(text).ok());
                // Logging may panic itself; then there is nothing left to say.
                let _ = catch_unwind(|| {
                    server::log_internal_error(callback.name, text.unwrap_or("panic"));
                });
            }
            default
        }
    }
}

/// Replaces the standard panic message, which would write raw lines into the error log.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let mut said = Said { octets: [0; 200], length: 0 };
        let payload = info.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("panic");
        let mut rest = &mut said.octets[..];
        let _ = match info.location() {
            Some(place) => write!(rest, "{text} ({}:{})", place.file(), place.line()),
            None => write!(rest, "{text}"),
        };
        said.length = 200 - rest.len();
        SAID.set(said);
    }));
}

#[cfg(feature = "panic-injection")]
fn inject(callback: &str) {
    use std::sync::OnceLock;
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| std::env::var("MOD_QOS_PANIC").ok());
    #[allow(clippy::panic)] // the purpose of this build
    if wanted.as_deref() == Some(callback) {
        panic!("injected by a test");
    }
}
