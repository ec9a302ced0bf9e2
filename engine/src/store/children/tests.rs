use super::*;
use crate::client::address::{Address, PrefixBits};
use crate::store::clients::Secret;
use crate::store::layout::{Layout, PrivateMemory};
use crate::store::slots;
use core::net::Ipv4Addr;

const NOW: Tick = Tick(100);

fn memory() -> PrivateMemory {
    let tables = Layout { peers: 300, clients: 300, remembering: 300, columns: 2, ..Layout::SMALL };
    PrivateMemory::new(Layout { slots: 3, chunks: 5, sheets: 5, scopes: 4, places: 4, ..tables })
}

fn store(memory: &PrivateMemory) -> Store<'_> {
    memory.store(Secret([1, 2]), PrefixBits::DEFAULT)
}

fn address(number: u32) -> Address {
    Address::from(core::net::IpAddr::from(Ipv4Addr::from(0x7f00_0000 + number)))
}

/// A connection of one address, counted in all four ways.
fn connect(store: &Store<'_>, child: &Child, number: u32) -> (RecordId, RowId, RowId) {
    let id = store.children.take_record(child).expect("a record");
    let record = store.children.record(id).expect("the record");
    record.all.take(store.scopes.connections(slots::ALL).expect("all"), slots::ALL);
    record.scope.take(store.scopes.connections(2).expect("scope"), 2);
    let peer = store.peers.hold(2, address(number), &record.peer, child.number(), NOW);
    let client = store.clients.hold(0, address(number), &record.client, child.number(), NOW);
    (id, peer.expect("peer").row, client.expect("client").row)
}

#[test]
fn a_dead_child_gives_back_exactly_what_it_held() {
    let memory = memory();
    let store = store(&memory);
    let (dead, alive) = (store.children.enter(100), store.children.enter(200));
    for number in 0..10 {
        connect(&store, &dead, number);
        connect(&store, &alive, number);
    }
    assert_eq!(store.scopes.open(slots::ALL), 20);
    assert!(store.reclaim(100, NOW).is_empty());
    assert_eq!((store.scopes.open(slots::ALL), store.scopes.open(2)), (10, 10));
    assert_eq!(store.children.reclaimed(), 40);
    for number in 0..10 {
        let row = store.peers.peek(2, address(number)).expect("row");
        assert_eq!(store.peers.row(row).expect("row").open_connections(), 1);
    }
    assert!(store.reclaim(100, NOW).is_empty(), "a second time finds nothing");
    assert_eq!(store.scopes.open(slots::ALL), 10);
    assert_eq!(store.children.pids().collect::<Vec<_>>(), [200]);
}

#[test]
fn a_child_needs_no_more_records_than_it_can_get() {
    let memory = memory();
    let store = store(&memory);
    let child = store.children.enter(100);
    // Its own chunk and the two spare ones.
    let taken: Vec<RecordId> =
        std::iter::from_fn(|| store.children.take_record(&child)).take(1000).collect();
    assert_eq!(taken.len(), 3 * CHUNK_RECORDS);
    for id in &taken {
        store.children.give_record(*id);
    }
    assert!(store.children.take_record(&child).is_some());
    store.reclaim(100, NOW);
    let other = store.children.enter(300);
    let taken = std::iter::from_fn(|| store.children.take_record(&other)).take(1000).count();
    assert_eq!(taken, 3 * CHUNK_RECORDS, "the dead child's chunks are free again");
}

#[test]
fn a_child_without_a_slot_has_no_records_and_does_no_harm() {
    let memory = memory();
    let store = store(&memory);
    for pid in [1, 2, 3] {
        assert_ne!(store.children.enter(pid).number(), 0);
    }
    let child = store.children.enter(4);
    assert_eq!(child.number(), 0);
    assert_eq!(store.children.take_record(&child), None);
}

/// In each state that a child can die in while it takes or gives a unit, the counter ends exact: the
/// state is put there by hand, with the counter before and after its move.
#[test]
fn whatever_the_state_a_child_dies_in_the_count_ends_exact() {
    for (lease, has_counted) in [
        (Lease::Want(2), false),
        (Lease::Want(2), true),
        (Lease::Held(2), true),
        (Lease::Give(2), true),
        (Lease::Give(2), false),
    ] {
        let memory = memory();
        let store = store(&memory);
        let (dead, alive) = (store.children.enter(100), store.children.enter(200));
        connect(&store, &alive, 1);
        let id = store.children.take_record(&dead).expect("a record");
        let record = store.children.record(id).expect("the record");
        let counter = store.scopes.connections(2).expect("scope");
        if has_counted {
            counter.acquire();
        }
        record.scope.set(lease);
        assert!(store.reclaim(100, NOW).is_empty(), "{lease:?}");
        assert_eq!(store.scopes.open(2), 1, "{lease:?}, counted: {has_counted}");
    }
}

#[test]
fn a_counter_that_two_dead_children_left_open_is_settled_with_the_second() {
    let memory = memory();
    let store = store(&memory);
    let counter = store.scopes.connections(2).expect("scope");
    for pid in [100, 200] {
        let child = store.children.enter(pid);
        let id = store.children.take_record(&child).expect("a record");
        counter.acquire();
        store.children.record(id).expect("the record").scope.set(Lease::Want(2));
    }
    assert_eq!(store.reclaim(100, NOW), [Unit::Scope(2)]);
    assert!(store.reclaim(200, NOW).is_empty());
    assert_eq!(store.scopes.open(2), 0);
}

#[test]
fn a_row_claimed_by_a_dead_child_is_free_again() {
    let memory = memory();
    let store = store(&memory);
    let dead = store.children.enter(100);
    let (id, _, row) = connect(&store, &dead, 7);
    let record = store.children.record(id).expect("the record");
    // As if it had died right after claiming the row, before it wrote anything: the address's own slot
    // still stands.
    store.clients.give(row, &record.client, NOW);
    record.client.set(Lease::Want(row.0));
    let counter = store.clients.connections(row.0).expect("row");
    assert!(counter.claim(counter.look(), dead.number()));
    assert!(store.reclaim(100, NOW).is_empty());
    assert!(!counter.look().is_claimed());
    assert_eq!(store.clients.peek(0, address(7)), None);
    let alive = store.children.enter(200);
    connect(&store, &alive, 7);
}
