#![allow(deprecated)] // SipHasher: the reference that ours is compared with

use super::hash::sip_hash;
use super::index::FINAL;
use super::*;
use crate::atomic::AtomicU32;
use crate::client::address::PrefixBits;
use crate::store::Store;
use crate::store::children::Child;
use crate::store::layout::{Layout, PrivateMemory};
use core::hash::{Hasher, SipHasher};
use core::net::Ipv4Addr;
use proptest::prelude::*;
use std::collections::HashMap;

const SECRET: Secret = Secret([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);

fn memory(clients: usize) -> PrivateMemory {
    memory_with_spare(clients, clients)
}

fn memory_with_spare(clients: usize, remembering: usize) -> PrivateMemory {
    let tables = Layout { peers: 64, clients, remembering, columns: 2, ..Layout::SMALL };
    PrivateMemory::new(Layout { slots: 4, chunks: 40, sheets: 40, places: 4, ..tables })
}

fn address(number: u32) -> Address {
    Address::from(core::net::IpAddr::from(Ipv4Addr::from(0x7f00_0000 + number)))
}

/// Holds an address, runs something, and gives it back.
fn visit<T>(store: &Store<'_>, number: u32, now: Tick, then: impl FnOnce(RowId) -> T) -> T {
    let lease = LeaseWord::default();
    let held = store.clients.hold(0, address(number), &lease, 1, now).expect("a row");
    let result = then(held.row);
    store.clients.give(held.row, &lease, now);
    result
}

fn knows(store: &Store<'_>, number: u32) -> bool {
    store.clients.peek(0, address(number)).is_some()
}

#[test]
fn the_hash_is_siphash() {
    for words in [[0u64, 0], [1, 2], [u64::MAX, 0x1234_5678_9abc_def0]] {
        let mut reference = SipHasher::new_with_keys(SECRET.0[0], SECRET.0[1]);
        for word in words {
            reference.write(&word.to_le_bytes());
        }
        assert_eq!(sip_hash::<2, 4, 2>(SECRET.0, words), reference.finish(), "{words:?}");
    }
}

#[test]
fn an_address_is_counted_in_one_row_and_another_in_another() {
    let memory = memory(64);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    let leases: [LeaseWord; 3] = Default::default();
    let first = store.clients.hold(0, address(1), &leases[0], 1, Tick(1)).expect("row");
    let second = store.clients.hold(0, address(1), &leases[1], 1, Tick(1)).expect("row");
    let other = store.clients.hold(0, address(2), &leases[2], 1, Tick(1)).expect("row");
    assert_eq!((first.connections, second.connections, other.connections), (1, 2, 1));
    assert_eq!(first.row, second.row);
    assert_ne!(first.row, other.row);
    let elsewhere = LeaseWord::default();
    let scoped = store.clients.hold(9, address(1), &elsewhere, 1, Tick(1)).expect("row");
    assert_eq!(scoped.connections, 1, "another server counts for itself");
}

#[test]
fn a_full_table_forgets_the_longest_unused() {
    let memory = memory(640);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    for number in 0..640 {
        visit(&store, number, Tick(10 + number), |_| ());
    }
    assert!((0..640).all(|number| knows(&store, number)), "640 rows hold 640 addresses");
    for number in 0..320 {
        visit(&store, number, Tick(5000 + number), |_| ());
    }
    for number in 1000..1320 {
        visit(&store, number, Tick(6000 + number), |_| ());
    }
    assert!((0..320).all(|number| knows(&store, number)), "those used again stay");
    assert!(!(320..640).any(|number| knows(&store, number)), "the others went");
    assert!((1000..1320).all(|number| knows(&store, number)));
}

#[test]
fn marked_rows_outlive_any_crowd_and_go_soonest_end_first_when_nothing_else_is_left() {
    let memory = memory(640);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    for number in 0..639 {
        visit(&store, number, Tick(10), |row| {
            store.clients.keep(row, Tick(100_000 + number));
        });
    }
    for number in 1000..5000 {
        visit(&store, number, Tick(20 + number), |_| ());
    }
    assert!((0..639).all(|number| knows(&store, number)), "all marked rows are there");
    visit(&store, 4999, Tick(6000), |row| store.clients.keep(row, Tick(200_000)));
    visit(&store, 9000, Tick(6001), |row| store.clients.keep(row, Tick(200_000)));
    assert!(!knows(&store, 0), "its mark ends soonest");
    assert!((1..639).all(|number| knows(&store, number)));
}

#[test]
fn held_and_marked_rows_do_not_use_up_the_configured_number() {
    let memory = memory_with_spare(740, 640);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    for number in 0..700 {
        visit(&store, number, Tick(10 + number), |_| ());
    }
    let known = (0..700).filter(|number| knows(&store, *number)).count();
    assert_eq!(known, 640, "no more are remembered than are configured");
    // All that are remembered get a mark; newcomers still find room, and no mark is lost.
    for number in 60..700 {
        visit(&store, number, Tick(1000), |row| store.clients.keep(row, Tick(90_000 + number)));
    }
    for number in 2000..4000 {
        visit(&store, number, Tick(2000 + number), |_| ());
    }
    assert!((60..700).all(|number| knows(&store, number)));
}

#[test]
fn a_row_whose_mark_is_taken_away_goes_like_any_other() {
    let memory = memory(100);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    visit(&store, 1, Tick(10), |row| {
        store.clients.keep(row, Tick(1000));
        store.clients.keep_no_longer(row, Tick(11));
    });
    for number in 100..300 {
        visit(&store, number, Tick(20), |_| ());
    }
    assert!(!knows(&store, 1));
}

#[test]
fn a_held_row_stays_however_old_it_is() {
    let memory = memory(100);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    let lease = LeaseWord::default();
    let held = store.clients.hold(0, address(1), &lease, 1, Tick(1)).expect("row");
    for number in 100..3000 {
        visit(&store, number, Tick(20 + number), |_| ());
    }
    assert!(knows(&store, 1));
    assert_eq!(store.clients.row(held.row).expect("row").open_connections(), 1);
}

#[test]
fn a_table_full_of_held_rows_says_so_and_recovers() {
    let memory = memory(20);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    let leases: Vec<LeaseWord> = (0..21).map(|_| LeaseWord::default()).collect();
    let held: Vec<Option<Held>> = leases
        .iter()
        .zip(0..)
        .map(|(lease, number)| store.clients.hold(0, address(number), lease, 1, Tick(9)))
        .collect();
    assert_eq!(held.iter().flatten().count(), 20);
    store.clients.give(held[0].expect("first").row, &leases[0], Tick(10));
    assert!(store.clients.hold(0, address(77), &leases[20], 1, Tick(10)).is_some());
}

#[test]
fn a_new_row_knows_nothing_of_its_former_owner() {
    let memory = memory(20);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    for number in 0..2000 {
        visit(&store, number, Tick(10 + number), |id| {
            let row = store.clients.row(id).expect("row");
            assert_eq!(row.block.look().count, 0, "address {number}");
            assert_eq!(row.suppressed.load(Ordering::Relaxed), 0);
            assert_eq!(row.address(), address(number));
            row.block.add(5, Tick(10), crate::time::Seconds(9));
            row.suppressed.store(3, Ordering::Relaxed);
        });
    }
    assert_eq!(store.clients.evicted(), 1980);
}

/// How often each address stands in the index as final: never more than once.
fn final_slots(store: &Store<'_>) -> HashMap<u64, usize> {
    let mut seen = HashMap::new();
    for slot in store.clients.index.as_flattened() {
        let word = slot.load(Ordering::Relaxed);
        if word & FINAL != 0 {
            let row = &store.clients.rows[word as u32 as usize];
            *seen.entry(row.tag.load(Ordering::Relaxed)).or_default() += 1;
        }
    }
    seen
}

#[test]
fn threads_that_want_the_same_few_rows_never_miscount() {
    let memory = memory(24);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    let now = AtomicU32::new(1);
    std::thread::scope(|scope| {
        for thread in 1..5u32 {
            let (store, now) = (&store, &now);
            scope.spawn(move || {
                let mut random = thread;
                let leases: [LeaseWord; 4] = Default::default();
                let mut mine: [Option<(u32, RowId)>; 4] = [None; 4];
                for _ in 0..60_000 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let place = (random >> 10) as usize % 4;
                    let number = (random >> 16) % 40;
                    let tick = Tick(now.fetch_add(1, Ordering::Relaxed));
                    match mine[place].take() {
                        Some((held, row)) => {
                            let found = store.clients.row(row).expect("row");
                            assert_eq!(found.address(), address(held), "a held row changed");
                            store.clients.give(row, &leases[place], tick);
                        }
                        None => {
                            let held = store.clients.hold(
                                0,
                                address(number),
                                &leases[place],
                                thread,
                                tick,
                            );
                            let held = held.expect("24 rows, 16 leases");
                            assert!((1..=16).contains(&held.connections));
                            mine[place] = Some((number, held.row));
                        }
                    }
                }
                for (lease, mine) in leases.iter().zip(mine) {
                    if let Some((_, row)) = mine {
                        store.clients.give(row, lease, Tick(u32::MAX / 2));
                    }
                }
            });
        }
    });
    assert!(store.clients.rows.iter().all(|row| row.connections.look().count() == 0));
    assert!(!store.clients.rows.iter().any(|row| row.connections.look().is_claimed()));
    assert!(final_slots(&store).values().all(|count| *count == 1));
    let child = Child::numbered(1);
    assert_eq!(child.number(), 1);
}

proptest! {
    #[test]
    fn random_visits_count_like_a_plain_map(steps in prop::collection::vec((0u32..30, any::<bool>()), 1..400)) {
        let memory = memory(64);
        let store = memory.store(SECRET, PrefixBits::DEFAULT);
        let mut open: Vec<(u32, RowId, LeaseWord)> = Vec::new();
        let mut model: HashMap<u32, u32> = HashMap::new();
        for (now, (number, is_close)) in (1u32..).zip(steps) {
            let oldest = open.iter().position(|(held, ..)| *held == number);
            if let (true, Some(place)) = (is_close, oldest) {
                let (held, row, lease) = open.swap_remove(place);
                store.clients.give(row, &lease, Tick(now));
                *model.get_mut(&held).expect("counted") -= 1;
            } else if open.len() < 60 {
                let lease = LeaseWord::default();
                let held = store.clients.hold(0, address(number), &lease, 1, Tick(now)).expect("a row");
                let expected = model.entry(number).or_default();
                *expected += 1;
                prop_assert_eq!(held.connections, *expected);
                open.push((number, held.row, lease));
            }
        }
        for (number, expected) in model {
            let row = store.clients.peek(0, address(number)).and_then(|row| store.clients.row(row));
            prop_assert_eq!(row.map_or(0, Row::open_connections), expected);
        }
    }
}

#[test]
fn a_large_table_of_marked_rows_loses_none_while_a_spare_one_is_free() {
    let memory = memory_with_spare(20_100, 20_000);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    for number in 0..20_000 {
        visit(&store, number, Tick(10), |_| ());
    }
    for number in 0..20_000 {
        visit(&store, number, Tick(11), |row| store.clients.keep(row, Tick(9000 + number)));
    }
    for number in 30_000..30_050 {
        visit(&store, number, Tick(20), |_| ());
    }
    let lost = (0..20_000).filter(|number| !knows(&store, *number)).count();
    assert_eq!(lost, 0, "marked rows lost");
}

#[test]
fn a_held_row_among_marked_ones_does_not_hide_the_one_whose_mark_ends_soonest() {
    let memory = memory_with_spare(74, 64);
    let store = memory.store(SECRET, PrefixBits::DEFAULT);
    let lease = LeaseWord::default();
    store.clients.hold(0, address(1), &lease, 1, Tick(10)).expect("a row");
    for number in 100..173 {
        visit(&store, number, Tick(10), |row| store.clients.keep(row, Tick(9000 + number)));
    }
    visit(&store, 500, Tick(20), |_| ());
    assert!(knows(&store, 1), "held");
    assert!(!knows(&store, 100), "its mark ended soonest");
    assert!((101..173).all(|number| knows(&store, number)));
}
