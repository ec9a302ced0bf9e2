//! A table of a million clients, all blocked: pages stay small and quick.

use super::*;
use crate::client::address::PrefixBits;
use crate::rules::Policy;
use crate::store::clients::{CLIENTS, Secret};
use crate::store::layout::{Layout, PrivateMemory};
use crate::store::lease::LeaseWord;
use crate::testing::{LIMITS, settings};
use crate::values::Capacity;
use core::net::IpAddr;
use std::time::{Duration, Instant};

#[test]
#[allow(clippy::disallowed_methods)] // how long it takes is what is asked
fn a_page_over_a_million_blocked_clients_is_small_and_quick() {
    let count = 1_000_000u32;
    let mut layout = Layout::new(LIMITS, count);
    // Only as many columns as the test needs: private memory is memory at once.
    layout.columns = 1;
    let memory = PrivateMemory::new(layout);
    let store = memory.store(Secret([1, 2]), PrefixBits::DEFAULT);
    let policy = Policy::resolve(
        &settings("QS_ClientEventBlockCount 2 600"),
        Capacity { max_clients: 40, connections: 40 },
    );
    let limit = policy.client_limit.block.expect("on");
    let lease = LeaseWord::default();
    for number in 0..count {
        let address = Address::from(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        let now = Tick(100 + number / 1000);
        let held = store.clients.hold(CLIENTS, address, &lease, 1, now).expect("room");
        store.clients.row(held.row).expect("row").block.add(2 + number % 3, now, limit.span);
        store.clients.give(held.row, &lease, now);
    }
    let picture = Picture {
        now: Tick(1200),
        epoch_seconds: 1_800_000_000,
        load: None,
        processors: 2,
        utc_offset: 0,
        store: &store,
        base: &policy,
        servers: Vec::new(),
        workers: Workers::default(),
        version: "0.0.0",
    };
    let begin = Instant::now();
    let walk = clients::walk(&picture);
    let span = begin.elapsed();
    assert_eq!(
        (walk.known, walk.blocked.total, walk.blocked.list.len()),
        (1_000_000, 1_000_000, 100)
    );
    let worst = &walk.blocked.list[0];
    assert_eq!((worst.address.to_string().as_str(), worst.count), ("10.15.62.90", 4));
    for query in ["", "auto", "json", "address=10.0.0.1"] {
        let query = Query::parse(query.as_bytes());
        let page = view(&picture, &Asked { path: b"/qos", query: &query, is_head: false });
        assert!(page.body.len() < 64 << 10, "{} octets", page.body.len());
    }
    eprintln!("{span:?} for a walk over a million clients");
    // Some milliseconds; the bound is for machines that do much else.
    assert!(span < Duration::from_secs(5), "{span:?}");
}
