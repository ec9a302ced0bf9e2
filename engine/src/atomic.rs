//! The atomics that all shared rows are made of.
//!
//! One door, so that the interleaving checks (`--cfg loom`) can put their own atomics behind every
//! lock-free routine without a second copy of it.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Tells the processor, or the interleaving checker, that this thread waits for another one.
pub fn spin() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
