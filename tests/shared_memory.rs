//! The store in real shared memory, with real processes that are really killed.
//!
//! Workers count connections of few addresses as fast as they can, in all four ways, and requests of few
//! rules on them; the parent kills them at random, gives back what they held, and starts others. At the
//! end all that live give back what they hold, and every counter must be zero: one unit lost or given
//! twice would show.

#![allow(clippy::indexing_slicing, clippy::expect_used)] // a test: a wrong index is a failure, too

#[path = "../src/shm/map.rs"]
mod map;

use core::ptr::NonNull;
use qos_engine::client::address::{Address, PrefixBits};
use qos_engine::store::Store;
use qos_engine::store::children::{Child, RecordId};
use qos_engine::store::clients::{RowId, Secret};
use qos_engine::store::layout::Layout;
use qos_engine::store::loans::Purse;
use qos_engine::store::slots;
use qos_engine::store::unit::Unit;
use qos_engine::time::Tick;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const LAYOUT: Layout = Layout {
    slots: 8,
    chunks: 12,
    sheets: 12,
    scopes: 4,
    rules: RULES as usize,
    peers: 80,
    clients: 100,
    remembering: 40,
    columns: 2,
    told: 0,
    places: 4,
    totals: 4,
};
const RULES: u32 = 6;
const WORKERS: usize = 4;
const KILLS: usize = 400;
const CONNECTIONS: usize = 8;
/// The event total that tells workers to end.
const STOP: u16 = 1;

fn main() {
    // Not the test harness: it has threads, and a process with threads should not fork.
    let store = shared_store();
    let mut workers: Vec<libc::pid_t> = (0..WORKERS).map(|seed| start(&store, seed)).collect();
    let mut unsure: Vec<Unit> = Vec::new();
    let mut random = Random(4711);
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_micros(random.next() % 3000));
        let victim = random.next() as usize % WORKERS;
        let pid = workers[victim];
        // SAFETY: a child of ours, not yet waited for.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        wait_for(pid);
        unsure.extend(store.reclaim(pid as u32, Tick(kill as u32 + 2)));
        unsure.retain(|what| !store.settle(*what));
        workers[victim] = start(&store, WORKERS + kill);
    }
    store.totals.count(STOP);
    for pid in workers {
        assert_eq!(wait_for(pid), 0, "a worker that was not killed ends in peace");
        unsure.extend(store.reclaim(pid as u32, Tick(100_000)));
    }
    unsure.retain(|what| !store.settle(*what));

    assert_eq!(unsure, [], "every counter could be settled");
    assert_eq!(store.children.pids().count(), 0);
    for scope in 0..4 {
        assert_eq!(store.scopes.open(scope), 0, "scope {scope}");
    }
    for rule in 0..RULES {
        assert_eq!(store.rules.open(rule), 0, "rule {rule}");
    }
    for (name, table, rows) in [("peers", &store.peers, 80), ("clients", &store.clients, 100)] {
        for row in 0..rows {
            let counter = table.connections(row).expect("a row");
            assert!(!counter.look().is_claimed(), "{name} row {row} is claimed");
            assert_eq!(counter.count(), 0, "{name} row {row}");
        }
    }
    assert!(store.children.reclaimed() > 0, "some held something when they were killed");
    println!(
        "shared_memory: {KILLS} kills, {} leases came back, all counters are zero",
        store.children.reclaimed()
    );
    println!("1 passed, 0 failed");
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}

fn shared_store() -> Store<'static> {
    let size = map::size(LAYOUT);
    // SAFETY: a new anonymous mapping, wherever the kernel likes.
    let memory = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED);
    let memory = NonNull::new(memory.cast()).expect("mapped");
    // SAFETY: zeroed, of this size, aligned to a page, never unmapped.
    let parts = unsafe { map::parts(memory, LAYOUT) };
    Store::new(parts, Secret([11, 22]), PrefixBits::DEFAULT)
}

fn start(store: &Store<'static>, seed: usize) -> libc::pid_t {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            work(store, seed as u64);
            // SAFETY: leaves at once, as a forked helper must.
            unsafe { libc::_exit(0) }
        }
        pid => {
            assert!(pid > 0, "fork");
            pid
        }
    }
}

fn work(store: &Store<'static>, seed: u64) {
    let child = store.children.enter(std::process::id());
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut open: [Option<(RecordId, RowId, RowId)>; CONNECTIONS] = [None; CONNECTIONS];
    let mut requests: [Purse; CONNECTIONS] = Default::default();
    let until = Instant::now() + Duration::from_secs(60);
    while store.totals.of(STOP) == 0 && Instant::now() < until {
        for _ in 0..200 {
            let place = random.next() as usize % CONNECTIONS;
            open[place] = match open[place].take() {
                Some(connection) => {
                    close(store, connection);
                    None
                }
                None => connect(store, &child, random.next() as u32 % 50),
            };
            let purse = &mut requests[random.next() as usize % CONNECTIONS];
            request(store, &child, purse, random.next());
        }
    }
    for connection in open.into_iter().flatten() {
        close(store, connection);
    }
    for mut purse in requests {
        store.give_all(&mut purse, Tick(9));
    }
}

/// A step in the life of a request: it is counted by one rule more, or by one less, waits for a turn,
/// holds its client's row, or ends.
fn request(store: &Store<'static>, child: &Child, purse: &mut Purse, random: u64) {
    let (rule, number) = ((random >> 8) as u32 % RULES, (random >> 16) as u32 % 50);
    match random % 8 {
        0..3 => {
            let count = store.borrow(purse, child, Unit::Rule(rule)).expect("a rule counts");
            assert!(count < 10_000, "it only ever grows");
        }
        3 => {
            store.borrow_below(purse, child, Unit::Rule(rule), 1);
        }
        4 => {
            store.give(purse, Unit::Rule(rule), Tick(9));
        }
        // At most one row a request, so that there is always one free.
        5 if purse.is_empty() => {
            let address = Address::from(IpAddr::from(Ipv4Addr::from(0x7f00_0000 + number)));
            let now = Tick(number + 1);
            let held = store.hold_client(purse, child, 0, address, now).expect("a row");
            let row = store.clients.row(held.row).expect("its row");
            assert_eq!(row.address(), address, "a held row is another's");
        }
        _ => store.give_all(purse, Tick(9)),
    }
}

fn connect(store: &Store<'static>, child: &Child, number: u32) -> Option<(RecordId, RowId, RowId)> {
    let address = Address::from(IpAddr::from(Ipv4Addr::from(0x7f00_0000 + number)));
    let id = store.children.take_record(child)?;
    let record = store.children.record(id)?;
    record.all.take(store.scopes.connections(slots::ALL)?, slots::ALL);
    record.scope.take(store.scopes.connections(2)?, 2);
    let now = Tick(number + 1);
    // 80 rows for 32 connections, and 100 for as many requests besides: there is always one.
    let peer = store.peers.hold(2, address, &record.peer, child.number(), now)?;
    let client = store.clients.hold(0, address, &record.client, child.number(), now)?;
    let row = store.clients.row(client.row)?;
    assert_eq!(row.address(), address, "a held row is another's");
    Some((id, peer.row, client.row))
}

fn close(store: &Store<'static>, (id, peer, client): (RecordId, RowId, RowId)) {
    let Some(record) = store.children.record(id) else { return };
    store.peers.give(peer, &record.peer, Tick(9));
    store.clients.give(client, &record.client, Tick(9));
    for (lease, scope) in [(&record.scope, 2), (&record.all, slots::ALL)] {
        if let Some(counter) = store.scopes.connections(scope) {
            lease.give(counter, scope);
        }
    }
    store.children.give_record(id);
}

fn wait_for(pid: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: waits for a child of ours.
    let result = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(result, pid);
    status
}
