//! Makes the segment, and finds it again after each restart.
//!
//! One anonymous shared mapping, made in the parent while it reads its first real configuration. Children
//! inherit it by fork, at the same address; it has no name, leaves nothing behind when the server is
//! killed, and nobody else can open it. Pages that nobody touches cost nothing, so it is laid out for the
//! most that the server can ever need.

use super::map;
use crate::httpd::{mpm, server::Server};
use core::ffi::CStr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use qos_engine::rules::client_identity;
use qos_engine::store::Store;
use qos_engine::store::clients::Secret;
use qos_engine::store::layout::{Layout, VERSION};
use qos_engine::time::Tick;

/// What a process knows of the segment. `repr(C)`, the version first: after a reload from another file
/// another build of this module may be the one that looks at it.
#[derive(Debug)]
#[repr(C)]
pub struct Shared {
    layout_version: u32,
    /// The engine's view of it.
    pub store: Store<'static>,
    /// The client entries it was made for.
    pub entries: u32,
    /// CLOCK_MONOTONIC when it was made, in milliseconds.
    epoch_millis: u64,
    /// Configurations read since.
    generation: core::sync::atomic::AtomicU32,
}

/// Set once in the parent, inherited by all children. A static may hold it: it is right for the whole
/// life of the process, whatever configuration is in force.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(core::ptr::null_mut());

const KEY: &CStr = c"mod_qos_rs segment";

/// Returns the segment, once it is made.
pub fn shared() -> Option<&'static Shared> {
    // SAFETY: the pointer is null or comes from a leaked box (`make`), which is never freed.
    unsafe { SHARED.load(Ordering::Acquire).as_ref() }
}

/// Finds the segment of this server, or makes it.
pub fn find_or_make(
    base: Server,
    wanted: &client_identity::Policy,
) -> Result<&'static Shared, String> {
    let pool = base.process_pool().ok_or("httpd has no process pool")?;
    let found = pool.find(KEY).cast::<Shared>();
    let pointer = match NonNull::new(found) {
        Some(found) => found.as_ptr(),
        None => {
            let made = Box::into_raw(Box::new(make(wanted)?));
            pool.hang(KEY, made.cast());
            made
        }
    };
    SHARED.store(pointer, Ordering::Release);
    let shared = shared().ok_or("no segment")?;
    if shared.layout_version != VERSION {
        return Err(format!(
            "the running server has a segment of layout {}, this module has {VERSION}: stop and start it",
            shared.layout_version
        ));
    }
    Ok(shared)
}

impl Shared {
    /// Returns the moment that it is now.
    pub fn now(&self) -> Tick {
        Tick::since_start(monotonic_millis().saturating_sub(self.epoch_millis))
    }

    /// Counts one more configuration.
    pub fn next_generation(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn make(wanted: &client_identity::Policy) -> Result<Shared, String> {
    let layout = Layout::new(mpm::server_limits(), wanted.entries);
    let size = map::size(layout);
    // SAFETY: a new mapping at an address of the kernel's choice; nothing of ours is there.
    let memory = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        let error = std::io::Error::last_os_error();
        return Err(format!("failed to create shared memory (ACT)(-): {error} ({size} bytes)"));
    }
    let memory = NonNull::new(memory.cast::<u8>()).ok_or("mapped at address 0")?;
    // SAFETY: fresh anonymous memory is zeroed, page-aligned, of this size, and never unmapped.
    let parts = unsafe { map::parts(memory, layout) };
    Ok(Shared {
        store: Store::new(parts, secret()?, wanted.prefix),
        entries: wanted.entries,
        layout_version: VERSION,
        epoch_millis: monotonic_millis(),
        generation: core::sync::atomic::AtomicU32::new(0),
    })
}

fn secret() -> Result<Secret, String> {
    let mut octets = [0u8; 16];
    // SAFETY: the kernel writes at most so many octets into the array.
    let got = unsafe { libc::getrandom(octets.as_mut_ptr().cast(), octets.len(), 0) };
    if got != 16 {
        return Err(format!("no random data: {}", std::io::Error::last_os_error()));
    }
    let word = u128::from_ne_bytes(octets);
    Ok(Secret([(word >> 64) as u64, word as u64]))
}

/// The clock of all windows: it never steps, and is the same in all processes.
fn monotonic_millis() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel (or its vDSO: no system call) writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}
