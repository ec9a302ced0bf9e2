//! The server's one helper process: what has to be done every second, and is nobody's request.
//!
//! It is a child of the parent that serves nobody, forked where the scoreboard is there: at a start in
//! `pre_mpm`, at a restart in `post_config`. It has the server's User, holds no listening socket, ends with
//! the configuration it was made for, and with the parent however that ends. When it dies the parent starts
//! another one. Nothing that a request needs depends on it.

mod eyes;
mod files;
mod program;
mod syslog;

pub use files::prepare as prepare_directory;
pub use program::check as check_program;

use crate::ffi::bindings::{self as httpd};
use crate::ffi::guard::{Callback, guard};
use crate::httpd::{pool::Pool, server::Server};
use crate::shm::{child, segment};
use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_int, c_void};
use eyes::Eyes;
use qos_engine::log_event;
use qos_engine::rules::busy_watch::TROUBLE;
use std::time::{Duration, Instant};

/// Who dies younger than that is started again later and later.
const INFANCY: Duration = Duration::from_secs(10);
/// So many seconds later at most.
const LATEST: u32 = 60;
/// So long the parent waits for the end of a helper that it has told to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the parent knows of its helper. It lives in the configuration's pool.
pub struct Helper {
    server: Server,
    pool: Pool,
    /// 0 while there is none.
    pid: Cell<libc::pid_t>,
    born: Cell<Option<Instant>>,
    delay: Cell<u32>,
    is_over: Cell<bool>,
    /// What apr watches it by.
    process: UnsafeCell<httpd::apr_proc_t>,
}

impl Helper {
    /// Prepares for a helper of this configuration; it ends with the pool.
    pub fn new(server: Server, pool: Pool) -> &'static Helper {
        let helper = pool.own(Helper {
            server,
            pool,
            pid: Cell::new(0),
            born: Cell::new(None),
            delay: Cell::new(0),
            is_over: Cell::new(false),
            // SAFETY: numbers and pointers, for which all zeroes is a good value.
            process: UnsafeCell::new(unsafe { core::mem::zeroed() }),
        });
        // SAFETY: the pool owns it, and ends the helper before it drops it: cleanups run in reverse order.
        unsafe {
            pool.at_end(helper.cast(), end);
            &*helper
        }
    }

    /// Starts the process if there is none.
    pub fn start(&self) {
        if self.pid.get() != 0 || self.is_over.get() {
            return;
        }
        // SAFETY: reads the process's own number.
        let parent = unsafe { libc::getpid() };
        // SAFETY: the record and the pool live as long as the configuration; the parent has one thread.
        let status = unsafe { httpd::apr_proc_fork(self.process.get(), self.pool.as_ptr()) };
        match status {
            httpd::APR_INCHILD => run(self, parent),
            httpd::APR_INPARENT => {
                // SAFETY: just written by apr.
                self.pid.set(unsafe { (*self.process.get()).pid });
                self.born.set(Some(Instant::now()));
                // SAFETY: record, data and pool live as long as the configuration.
                unsafe {
                    httpd::apr_proc_other_child_register(
                        self.process.get(),
                        Some(maintain),
                        core::ptr::from_ref(self).cast_mut().cast(),
                        core::ptr::null_mut(),
                        self.pool.as_ptr(),
                    );
                }
            }
            _ => tell(self.server, format_args!("no helper process can be started")),
        }
    }

    /// The process has ended unasked, or is lost.
    fn bury(&self) {
        let pid = self.pid.replace(0);
        if let (Some(shared), Ok(pid)) = (segment::shared(), u32::try_from(pid)) {
            child::reclaim(shared, pid);
        }
        if self.is_over.get() || is_stopping() {
            return;
        }
        let was_young = self.born.get().is_some_and(|born| born.elapsed() < INFANCY);
        self.delay.set(if was_young { (self.delay.get() * 2).clamp(1, LATEST) } else { 0 });
        let delay = self.delay.get();
        tell(
            self.server,
            format_args!(
                "the helper process {pid} has ended, another one looks in {delay} seconds"
            ),
        );
        self.start();
    }
}

fn tell(mut server: Server, text: core::fmt::Arguments<'_>) {
    log_event::note(&TROUBLE, format_args!("QS_SrvBusyWatch: {text}"), None, &mut server);
}

fn is_stopping() -> bool {
    let mut state: c_int = 0;
    // SAFETY: writes the answer.
    let status = unsafe { httpd::ap_mpm_query(httpd::AP_MPMQ_MPM_STATE as c_int, &mut state) };
    status == 0 && state == httpd::AP_MPMQ_STOPPING as c_int
}

/// In the parent: apr has something to say of the helper.
unsafe extern "C" fn maintain(reason: c_int, data: *mut c_void, _: c_int) {
    static CALLBACK: Callback = Callback::new("helper_maintain");
    guard(&CALLBACK, (), || {
        // SAFETY: registered with the helper, which lives as long as the registration.
        let Some(helper) = (unsafe { data.cast::<Helper>().as_ref() }) else { return };
        let is_gone = reason == httpd::APR_OC_REASON_DEATH || reason == httpd::APR_OC_REASON_LOST;
        if is_gone || reason == httpd::APR_OC_REASON_RESTART {
            // SAFETY: the data of the registration; it is taken back, and this is called once more for that.
            unsafe { httpd::apr_proc_other_child_unregister(data) };
        }
        if is_gone {
            helper.bury();
        }
    });
}

/// In the parent: the configuration ends.
unsafe extern "C" fn end(data: *mut c_void) -> httpd::apr_status_t {
    static CALLBACK: Callback = Callback::new("helper_end");
    guard(&CALLBACK, (), || {
        // SAFETY: registered with the helper, which the pool drops later.
        let Some(helper) = (unsafe { data.cast::<Helper>().as_ref() }) else { return };
        helper.is_over.set(true);
        let pid = helper.pid.replace(0);
        if pid <= 0 {
            return;
        }
        // One that waits for a disk that does not answer cannot even be killed: httpd collects it later, and what
        // it holds comes back then.
        let is_gone = end_within(pid, libc::SIGTERM) || end_within(pid, libc::SIGKILL);
        if let (true, Some(shared), Ok(pid)) = (is_gone, segment::shared(), u32::try_from(pid)) {
            child::reclaim(shared, pid);
        }
    });
    0
}

/// Sends a signal to our own child, which nobody has waited for, and waits for its end, for a while.
fn end_within(pid: libc::pid_t, signal: c_int) -> bool {
    // SAFETY: the child's number is its own until it is waited for.
    unsafe { libc::kill(pid, signal) };
    let deadline = Instant::now() + PATIENCE;
    let mut status = 0;
    // SAFETY: as above; the status is written.
    while unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// In the helper: its whole life.
fn run(helper: &Helper, parent: libc::pid_t) -> ! {
    static CALLBACK: Callback = Callback::new("helper_look");
    let is_ready = guard(&CALLBACK, false, || settle_in(helper));
    let mut eyes =
        guard(&CALLBACK, None, || segment::shared().and_then(|it| Eyes::open(helper, it)));
    let is_awake = is_ready && !is_told_to_end(parent, helper.delay.get());
    while is_awake && !is_told_to_end(parent, 1) {
        guard(&CALLBACK, (), || eyes.iter_mut().for_each(Eyes::look));
    }
    guard(&CALLBACK, (), || eyes.iter_mut().for_each(Eyes::close));
    // SAFETY: ends this process, without what httpd registered for its own.
    unsafe { libc::_exit(0) }
}

/// Becomes a process of its own: another name and user, no sockets of the server's, no signals.
fn settle_in(helper: &Helper) -> bool {
    // SAFETY: all of this changes this new process alone, which has one thread. The set is filled before it is
    // used; the name is C text.
    unsafe {
        let mut all: libc::sigset_t = core::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, core::ptr::null_mut());
        libc::prctl(libc::PR_SET_NAME, c"apache2-qos".as_ptr());
        httpd::ap_close_listeners();
        if httpd::ap_run_drop_privileges(helper.pool.as_ptr(), helper.server.as_ptr()) != 0 {
            return false;
        }
        // Behind the change of the user, which clears it.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
    }
    segment::shared().is_some_and(child::enter)
}

/// Waits so many seconds, or until this process shall end.
fn is_told_to_end(parent: libc::pid_t, seconds: u32) -> bool {
    // SAFETY: sets and times are filled before they are read.
    unsafe {
        if libc::getppid() != parent {
            return true;
        }
        let mut ends: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&mut ends);
        libc::sigaddset(&mut ends, libc::SIGTERM);
        libc::sigaddset(&mut ends, libc::SIGINT);
        let time = libc::timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        libc::sigtimedwait(&ends, core::ptr::null_mut(), &time) > 0
    }
}
