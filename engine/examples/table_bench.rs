//! What one address costs in a full table of clients. Run under callgrind by `benches/table_rows.py`,
//! which counts instructions between the calls of [`mark`]; alone it does the same and says nothing.
//!
//! `table_bench <rows> <operations>`: fills the table twice over, then, with a mark before each part:
//! addresses known since a moment ago; addresses never seen; known ones with one newcomer in ten; and
//! newcomers after all known ones have come by once more.

use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr};
use qos_engine::client::address::{Address, PrefixBits};
use qos_engine::store::Store;
use qos_engine::store::clients::Secret;
use qos_engine::store::layout::{Layout, PrivateMemory, ServerLimits};
use qos_engine::store::lease::LeaseWord;
use qos_engine::time::Tick;

/// Connections in a sixteenth of a second, when 1,000 come in a second.
const PER_TICK: u32 = 62;
const CHILD: u32 = 1;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u32>());
    let (Some(Ok(rows)), Some(Ok(operations))) = (arguments.next(), arguments.next()) else {
        println!("usage: table_bench <rows> <operations>");
        return;
    };
    let layout = Layout::new(ServerLimits { children: 1, threads: 1, idle_per_thread: 0 }, rows);
    let memory = PrivateMemory::new(layout);
    let store = memory.store(Secret([11, 22]), PrefixBits(64));
    let mut table = Table { store: &store, connections: 0, newest: 0 };

    for _ in 0..layout.clients as u32 * 2 {
        table.newcomer();
    }
    mark();
    for place in 0..operations {
        table.known(place % 1000);
    }
    mark();
    for _ in 0..operations {
        table.newcomer();
    }
    mark();
    for place in 0..operations {
        if place % 10 == 0 {
            table.newcomer();
        } else {
            // From all over the table: what made its row is long ago, and its age is no longer what the
            // tree above it says.
            table.known(place.wrapping_mul(2_654_435_761) % (rows / 2));
        }
    }
    mark();
    // Not counted: everybody comes by, so that no age is what the tree above it says.
    for place in (0..rows).rev() {
        table.known(place);
    }
    mark();
    for _ in 0..operations {
        table.newcomer();
    }
    mark();
}

/// The place at which callgrind writes and clears its count.
#[inline(never)]
fn mark() {
    black_box(());
}

struct Table<'a> {
    store: &'a Store<'a>,
    connections: u32,
    newest: u32,
}

impl Table<'_> {
    fn newcomer(&mut self) {
        self.newest += 1;
        self.connection(self.newest);
    }

    /// A connection of the address that came so many newcomers before the last.
    fn known(&mut self, before: u32) {
        self.connection(self.newest - before);
    }

    fn connection(&mut self, number: u32) {
        self.connections += 1;
        let now = Tick(1 + self.connections / PER_TICK);
        let address = Address::from(IpAddr::V4(Ipv4Addr::from(number)));
        let lease = LeaseWord::default();
        if let Some(held) = self.store.clients.hold(0, address, &lease, CHILD, now) {
            self.store.clients.give(held.row, &lease, now);
        }
        black_box(&lease);
    }
}
