//! This process's place among the children, and the parent's care for those that are gone.

use super::segment::Shared;
use core::sync::atomic::{AtomicU32, Ordering};
use qos_engine::store::children::Child;
use qos_engine::store::unit::Unit;
use std::sync::Mutex;

/// The number of this child; 0 in the parent, and in a child without a slot.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Counters that the parent could not settle yet. Only the parent's one thread takes this lock, and
/// only when a child has died.
static UNSURE: Mutex<Vec<Unit>> = Mutex::new(Vec::new());

/// Returns this child.
pub fn this() -> Child {
    Child::numbered(NUMBER.load(Ordering::Relaxed))
}

/// Takes a slot for this process, at a child's start. False when there is none left.
pub fn enter(shared: &Shared) -> bool {
    let number = shared.store.children.enter(std::process::id()).number();
    NUMBER.store(number, Ordering::Relaxed);
    number != 0
}

/// Gives back what a dead child held (parent only).
pub fn reclaim(shared: &Shared, pid: u32) {
    let mut unsure = UNSURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    unsure.extend(shared.store.reclaim(pid, shared.now()));
    unsure.retain(|what| !shared.store.settle(*what));
}

/// Looks for children that died unseen (parent only): httpd tells of every death, this is the net below.
pub fn sweep(shared: &Shared) {
    for pid in shared.store.children.pids() {
        if is_gone(pid) {
            reclaim(shared, pid);
        }
    }
    let mut unsure = UNSURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    unsure.retain(|what| !shared.store.settle(*what));
}

/// Tells whether a process is no child of ours any more. A dead child that httpd has not collected yet
/// still is one; so a pid that the kernel gave to somebody else is never mistaken.
fn is_gone(pid: u32) -> bool {
    if pid == std::process::id() {
        return false; // one process for everything: httpd -X
    }
    // SAFETY: all zeroes is a valid siginfo_t; waitid writes into it at most.
    let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
    // SAFETY: WNOWAIT leaves the child for httpd to collect.
    let result = unsafe {
        libc::waitid(libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
    };
    result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}
