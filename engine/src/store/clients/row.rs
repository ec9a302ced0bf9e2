//! What is remembered of one address.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::client::address::Address;
use crate::meter::concurrency::Concurrency;
use crate::meter::window::Window;

/// What is remembered of one address.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Row {
    pub(super) tag: AtomicU64,
    address: [AtomicU64; 2],
    /// Block events (`QS_Block`) in their window.
    pub block: Window,
    /// Connections that hold this row.
    pub(super) connections: Concurrency,
    /// Denials since the last connection that was let through, for the folding of log lines.
    pub suppressed: AtomicU32,
}

const _: () = assert!(cfg!(loom) || size_of::<Row>() == 40);

impl Row {
    /// Returns the address, cut to what was counted.
    pub fn address(&self) -> Address {
        let [high, low] = &self.address;
        Address::from_words(high.load(Ordering::Relaxed), low.load(Ordering::Relaxed))
    }

    /// Returns how many connections hold this row.
    pub fn open_connections(&self) -> u32 {
        self.connections.count()
    }

    /// Makes a claimed row another address's; returns the stamp for its slot.
    pub(super) fn write(&self, tag: u64, address: Address) -> u64 {
        let (high, low) = address.words();
        for (word, value) in self.address.iter().zip([high, low]) {
            word.store(value, Ordering::Relaxed);
        }
        self.block.reset();
        self.suppressed.store(0, Ordering::Relaxed);
        // Release: who finds the tag finds the columns that belong to it.
        self.tag.store(tag, Ordering::Release);
        self.connections.look().stamp()
    }
}
