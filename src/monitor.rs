//! The thread that looks at the connections of a child, where a data rate is asked for, or where those of a
//! blocked client shall end (QS_SrvBusyWatch).
//!
//! A connection is on the list from process_connection to pre_close_connection: that long its socket is open
//! under the same number, and its state is alive. The list has a lock of this process, which is held while
//! sockets are acted upon; so none can be closed, and its number be another client's, in between. While the
//! list is empty the thread waits and nothing wakes it.
//!
//! What a connection is at, its hooks note in a few words of its own (`Progress`); all else the thread asks the
//! kernel. Requests pay next to nothing.

use crate::config;
use crate::ffi::bindings::{self as httpd, apr_pool_t};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::connection::{Connection, Tracked};
use crate::httpd::kernel;
use crate::httpd::server::Server;
use crate::shm::child;
use crate::shm::segment::{self, Shared};
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use parking_lot::{Condvar, Mutex};
use qos_engine::context::{Marks, Moment};
use qos_engine::log_event::{self, Level, LogSink};
use qos_engine::phases::{
    self,
    watch::{self, Heard},
};
use qos_engine::rules::Policy;
use qos_engine::rules::data_rate::{
    self,
    clear_text::ClearText,
    shedding::{Close, Holder, Pulse},
    watch::Watch,
};
use qos_engine::time::Seconds;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A connection's place in the list, kept with the connection.
pub struct Place(AtomicU32);

impl Place {
    const NONE: u32 = u32::MAX;

    /// Not in the list.
    pub const fn none() -> Place {
        Place(AtomicU32::new(Place::NONE))
    }

    fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Place::NONE
    }
}

struct Entry {
    descriptor: c_int,
    tracked: NonNull<Tracked>,
    /// Its server asks for a data rate.
    is_rated: bool,
    clear_text: ClearText,
    watch: Watch,
}

// SAFETY: what `tracked` points to is looked at under the lock only, where `forget` takes it off the list
// before it goes; its parts that change are atomics.
unsafe impl Send for Entry {}

struct List {
    entries: Vec<Entry>,
    /// The thread waits for an entry.
    is_parked: bool,
}

static LIST: Mutex<List> = Mutex::new(List { entries: Vec::new(), is_parked: false });
/// Tells the thread of the first entry, and of the end.
static CHANGE: Condvar = Condvar::new();
/// This process has a thread that looks.
static IS_ACTIVE: AtomicBool = AtomicBool::new(false);
static IS_OVER: AtomicBool = AtomicBool::new(false);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// How long a child's end waits for the thread. It ends at once, unless the child ends in a signal handler
/// (prefork does) that came while this very process held the lock.
const PATIENCE: Duration = Duration::from_secs(2);

thread_local! {
    /// This thread holds the lock. A signal handler that ends the process may find it so.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Works on the list; `None` in a signal handler that came in the middle of such work.
fn with_list<T>(work: impl FnOnce(&mut List) -> T) -> Option<T> {
    if IS_INSIDE.replace(true) {
        return None;
    }
    let result = work(&mut LIST.lock());
    IS_INSIDE.set(false);
    Some(result)
}

/// Starts the thread, at a child's start, where it is needed.
pub fn start(base: Server, pool: *mut apr_pool_t) {
    // SAFETY: the configuration that this child serves; it lives until the child's end.
    let config = unsafe { config::of_server(base.config_vector()) };
    let policy: Option<&'static Policy> = config.and_then(|config| config.policy.get());
    let (Some(policy), Some(shared)) = (policy, segment::shared()) else { return };
    if policy.data_rate.rule.is_none() && !policy.busy_watch.is_on() {
        return;
    }
    IS_OVER.store(false, Ordering::Relaxed);
    let spawned = without_signals(|| {
        let thread = std::thread::Builder::new().name("qos-data-rate".to_owned());
        thread.stack_size(256 * 1024).spawn(move || run(policy, shared))
    });
    match spawned {
        Ok(thread) => {
            *THREAD.lock() = Some(thread);
            IS_ACTIVE.store(true, Ordering::Relaxed);
            // SAFETY: the child's pool; before all that hangs on it, connections included.
            unsafe { httpd::apr_pool_pre_cleanup_register(pool, core::ptr::null(), Some(end)) };
        }
        Err(_) => {
            let mut sink = base;
            log_event::note(
                &data_rate::NO_THREAD,
                format_args!(
                    "could not create supervisor thread (create thread), disable request rate enforcement"
                ),
                None,
                &mut sink,
            );
        }
    }
}

/// A new thread takes over the mask of the one that makes it: httpd's signals must not come to it.
fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are filled before they are read; the mask is of this thread alone.
    unsafe {
        let mut all: libc::sigset_t = core::mem::zeroed();
        let mut before: libc::sigset_t = core::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let result = work();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, core::ptr::null_mut());
        result
    }
}

/// The child ends: so does the thread, before the memory that it looks at goes.
unsafe extern "C" fn end(_: *mut c_void) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("monitor_end");
    guard(&CALLBACK, (), || {
        IS_ACTIVE.store(false, Ordering::Relaxed);
        IS_OVER.store(true, Ordering::Relaxed);
        let Some(thread) = THREAD.try_lock().and_then(|mut thread| thread.take()) else { return };
        let deadline = Instant::now() + PATIENCE;
        while !thread.is_finished() && Instant::now() < deadline {
            // Again and again: it may just have looked at the word, and not wait yet.
            CHANGE.notify_all();
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    });
    0
}

/// A connection is about to be processed: for the first time, or because an idle one has sent something.
pub fn begin(connection: Connection, tracked: &Tracked) {
    if !IS_ACTIVE.load(Ordering::Relaxed) {
        return;
    }
    if !tracked.place.is_none() {
        // Between the streams of HTTP/2 comes what is no head of a request.
        if !tracked.connection.marks.has(Marks::HTTP2) {
            tracked.connection.progress.begin_head();
        }
        return;
    }
    let Some(policy) = tracked.config.policy.get() else { return };
    let is_rated = policy.data_rate.is_on();
    let is_on = is_rated || policy.busy_watch.is_on();
    let Some(descriptor) = connection.descriptor().filter(|_| is_on) else { return };
    with_list(|list| {
        tracked.place.0.store(list.entries.len() as u32, Ordering::Relaxed);
        // Room is kept, so this seldom allocates.
        list.entries.push(Entry {
            descriptor,
            tracked: NonNull::from(tracked),
            is_rated,
            clear_text: ClearText::default(),
            watch: Watch::default(),
        });
        if list.is_parked {
            CHANGE.notify_all();
        }
    });
}

/// A worker begins to wait for a request's head, or has a part of it already.
pub fn begin_head(connection: Connection, tracked: &Tracked) {
    if tracked.place.is_none() {
        return;
    }
    let progress = &tracked.connection.progress;
    if connection.has_read_ahead() {
        progress.begin_head();
    } else if let Some(limit) = connection.timeout_seconds() {
        progress.wait_for_head(Seconds(limit));
    }
}

/// Tells whether a connection is looked at.
pub fn is_watched(tracked: &Tracked) -> bool {
    !tracked.place.is_none()
}

/// A connection is about to be closed: its socket is not touched any more when this returns.
pub fn forget(tracked: &Tracked) {
    if tracked.place.is_none() {
        return;
    }
    with_list(|list| {
        let place = tracked.place.0.swap(Place::NONE, Ordering::Relaxed) as usize;
        if place >= list.entries.len() {
            return;
        }
        list.entries.swap_remove(place);
        if let Some(moved) = list.entries.get(place) {
            // SAFETY: what is on the list is alive.
            unsafe { moved.tracked.as_ref() }.place.0.store(place as u32, Ordering::Relaxed);
        }
    });
}

fn run(policy: &'static Policy, shared: &'static Shared) {
    static CALLBACK: Callback = Callback::new("monitor_look");
    let mut pulse = Pulse::default();
    let mut heard = Heard::default();
    let mut lines = Lines(Vec::new());
    while !IS_OVER.load(Ordering::Relaxed) {
        let mut list = LIST.lock();
        if list.entries.is_empty() {
            list.is_parked = true;
            if !IS_OVER.load(Ordering::Relaxed) {
                CHANGE.wait(&mut list);
            }
            list.is_parked = false;
            continue;
        }
        let _ = CHANGE.wait_for(&mut list, Duration::from_millis(pulse.millis()));
        if IS_OVER.load(Ordering::Relaxed) {
            return;
        }
        guard(&CALLBACK, (), || {
            look(policy, shared, &mut pulse, &mut list, &mut lines);
            if policy.busy_watch.is_on() {
                end_blocked(shared, &mut heard, &list);
            }
        });
        drop(list);
        // The log may be slow: not while connections wait for the lock.
        if let Some(server) = Server::base() {
            lines.0.drain(..).for_each(|(level, line)| server.log(level, &line));
        }
    }
}

fn look(
    policy: &Policy,
    shared: &Shared,
    pulse: &mut Pulse,
    list: &mut List,
    sink: &mut dyn LogSink,
) {
    let child = child::this();
    let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
    let (descriptors, mut holders): (Vec<c_int>, Vec<Holder<'_>>) = list
        .entries
        .iter_mut()
        .filter(|entry| entry.is_rated)
        .filter_map(|entry| {
            let mut sample = kernel::sample(entry.descriptor)?;
            // SAFETY: what is on the list is alive, and stays so while the lock is held.
            let tracked = unsafe { entry.tracked.as_ref() };
            if let Some(octets) = &tracked.clear_text {
                let unpacked = octets.load(Ordering::Relaxed);
                let stage = tracked.connection.progress.stretch().stage();
                sample.received = entry.clear_text.received(sample.received, unpacked, stage);
            }
            let connection = &tracked.connection;
            let holder = Holder { connection, watch: &mut entry.watch, sample, close: None };
            Some((entry.descriptor, holder))
        })
        .unzip();
    phases::tick(policy, &moment, pulse, &mut holders, sink);
    for (descriptor, holder) in descriptors.into_iter().zip(holders) {
        if let Some(how) = holder.close {
            kernel::shut(descriptor, how);
        }
    }
}

/// Ends connections of those whom the watch has blocked.
fn end_blocked(shared: &Shared, heard: &mut Heard, list: &List) {
    let child = child::this();
    let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
    if !heard.news(&moment) {
        return;
    }
    for entry in &list.entries {
        // SAFETY: what is on the list is alive, and stays so while the lock is held.
        let tracked = unsafe { entry.tracked.as_ref() };
        if let Some(policy) = tracked.config.policy.get()
            && watch::ends(policy, &moment, &tracked.connection)
        {
            kernel::shut(entry.descriptor, Close::Whole);
        }
    }
}

/// Lines that wait until the lock is free.
struct Lines(Vec<(Level, String)>);

impl LogSink for Lines {
    fn write(&mut self, level: Level, line: &str) {
        self.0.push((level, line.to_owned()));
    }
}
