use super::*;
use crate::client::address::PrefixBits;
use crate::store::chunks::CHUNK_RECORDS;
use crate::store::clients::Secret;
use crate::store::layout::{Layout, PrivateMemory};
use core::net::{IpAddr, Ipv4Addr};
use proptest::prelude::*;

const NOW: Tick = Tick(100);

fn memory(sheets: usize) -> PrivateMemory {
    let (clients, remembering) = (40, 8);
    let few =
        Layout { slots: 3, chunks: 3, sheets, peers: 8, clients, remembering, ..Layout::SMALL };
    PrivateMemory::new(Layout { rules: 40, columns: 2, places: 4, ..few })
}

fn store(memory: &PrivateMemory) -> Store<'_> {
    memory.store(Secret([1, 2]), PrefixBits::DEFAULT)
}

fn address(number: u32) -> Address {
    Address::from(IpAddr::from(Ipv4Addr::from(0x7f00_0000 + number)))
}

#[test]
fn a_request_gives_back_what_it_borrowed_whether_it_says_so_or_not() {
    let memory = memory(3);
    let store = store(&memory);
    let child = store.children.enter(100);
    let mut purse = Purse::default();
    assert!(purse.is_empty());
    store.give_all(&mut purse, NOW);
    assert_eq!(store.borrow(&mut purse, &child, Unit::Rule(1)), Some(1));
    assert_eq!(store.borrow(&mut purse, &child, Unit::Rule(1)), Some(2), "the same rule twice");
    assert_eq!(store.borrow(&mut purse, &child, Unit::Rule(2)), Some(1));
    assert!(!purse.is_empty());
    assert!(store.give(&mut purse, Unit::Rule(1), NOW));
    assert_eq!((store.rules.open(1), store.rules.open(2)), (1, 1));
    assert!(!store.give(&mut purse, Unit::Rule(9), NOW), "it has none of that");
    store.give_all(&mut purse, NOW);
    assert_eq!((store.rules.open(1), store.rules.open(2)), (0, 0));
    assert!(purse.is_empty());
    assert!(!store.give(&mut purse, Unit::Rule(2), NOW));
    assert_eq!(store.borrow(&mut purse, &child, Unit::Rule(99)), None, "no such counter");
}

#[test]
fn a_turn_is_had_by_one_at_a_time() {
    let memory = memory(3);
    let store = store(&memory);
    let child = store.children.enter(100);
    let [mut first, mut second] = [Purse::default(), Purse::default()];
    let turn = Unit::Rule(3);
    assert_eq!(store.borrow_below(&mut first, &child, turn, 1), Some(1));
    assert_eq!(store.borrow_below(&mut second, &child, turn, 1), None);
    store.give_all(&mut first, NOW);
    assert_eq!(store.borrow_below(&mut second, &child, turn, 1), Some(1));
    assert!(store.reclaim(100, NOW).is_empty());
    assert_eq!(store.rules.open(3), 0, "a dead child has no turn");
}

#[test]
fn a_request_of_many_units_has_more_sheets_and_returns_them_all() {
    let memory = memory(3);
    let store = store(&memory);
    let child = store.children.enter(100);
    for _ in 0..2 * CHUNK_RECORDS {
        let mut purse = Purse::default();
        for rule in 0..30 {
            assert_eq!(store.borrow(&mut purse, &child, Unit::Rule(rule)), Some(1));
        }
        let more = purse.more.as_ref().unwrap();
        assert_eq!((more.sheets.len(), more.own.len()), (3, 0));
        store.give_all(&mut purse, NOW);
    }
    assert!((0..40).all(|rule| store.rules.open(rule) == 0));
}

#[test]
fn without_a_sheet_a_unit_is_counted_all_the_same() {
    let memory = memory(3);
    let store = store(&memory);
    let child = store.children.enter(100);
    let mut purses: Vec<Purse> = (0..CHUNK_RECORDS + 10).map(|_| Purse::default()).collect();
    for (purse, count) in purses.iter_mut().zip(1..) {
        assert_eq!(store.borrow(purse, &child, Unit::Rule(1)), Some(count));
    }
    // A child without a slot has no sheet at all.
    let mut purse = Purse::default();
    assert!(store.borrow(&mut purse, &Child::default(), Unit::Rule(1)).is_some());
    for purse in purses.iter_mut().chain([&mut purse]) {
        store.give_all(purse, NOW);
    }
    assert_eq!(store.rules.open(1), 0);
}

#[test]
fn a_client_s_row_is_held_by_requests_and_connections_alike() {
    let memory = memory(3);
    let store = store(&memory);
    let (dead, alive) = (store.children.enter(100), store.children.enter(200));
    let record = store.children.record(store.children.take_record(&alive).expect("a record"));
    let connection = &record.expect("the record").client;
    let held = store.clients.hold(7, address(1), connection, alive.number(), NOW).expect("a row");
    let mut purse = Purse::default();
    let again = store.hold_client(&mut purse, &dead, 7, address(1), NOW).expect("a row");
    assert_eq!((again.row, again.connections), (held.row, 2));
    let row = store.clients.row(held.row).expect("row");
    assert!(store.give_client(&mut purse, held.row, NOW, NOW));
    assert_eq!(row.open_connections(), 1);
    store.hold_client(&mut purse, &dead, 7, address(1), NOW).expect("a row");
    // It dies while it gives the row back: nobody knows whether it did.
    let word = purse.word_of(&store.children, Unit::Client(held.row.0)).expect("held");
    word.set(Lease::Give(held.row.0));
    assert!(store.reclaim(100, NOW).is_empty());
    assert_eq!(row.open_connections(), 1, "the connection's");
}

/// In each state that a child can die in while it takes or gives a unit, the count ends exact.
#[test]
fn whatever_the_state_a_child_dies_in_the_count_ends_exact() {
    let index = Unit::Rule(5).index();
    for (lease, has_counted) in [
        (Lease::Want(index), false),
        (Lease::Want(index), true),
        (Lease::Held(index), true),
        (Lease::Give(index), true),
        (Lease::Give(index), false),
    ] {
        let memory = memory(3);
        let store = store(&memory);
        let (dead, alive) = (store.children.enter(100), store.children.enter(200));
        let [mut theirs, mut ours] = [Purse::default(), Purse::default()];
        store.borrow(&mut ours, &alive, Unit::Rule(5));
        let word = theirs.free_word(&store.children, &dead).expect("a word");
        if has_counted {
            store.rules.requests(5).expect("rule").acquire();
        }
        word.set(lease);
        assert!(store.reclaim(100, NOW).is_empty(), "{lease:?}");
        assert_eq!(store.rules.open(5), 1, "{lease:?}, counted: {has_counted}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Borrow(usize, u32),
    BorrowBelow(usize, u32, u32),
    Give(usize, u32),
    GiveAll(usize),
    Kill(usize),
}

const REQUESTS: usize = 6;
const CHILDREN: usize = 2;

fn step() -> impl Strategy<Value = Step> {
    let (request, rule) = (0..REQUESTS, 0..4u32);
    prop_oneof![
        6 => (request.clone(), rule.clone()).prop_map(|(r, u)| Step::Borrow(r, u)),
        2 => (request.clone(), rule.clone(), 0..4u32).prop_map(|(r, u, l)| Step::BorrowBelow(r, u, l)),
        3 => (request.clone(), rule).prop_map(|(r, u)| Step::Give(r, u)),
        2 => request.prop_map(Step::GiveAll),
        1 => (0..CHILDREN).prop_map(Step::Kill),
    ]
}

proptest! {
    /// Against plain lists of who holds what. Requests are spread over two children; one that is killed
    /// starts anew with empty purses.
    #[test]
    fn counts_are_what_plain_lists_say(steps in prop::collection::vec(step(), 0..120)) {
        let memory = memory(4);
        let store = store(&memory);
        let mut children: Vec<Child> = (0..CHILDREN).map(|n| store.children.enter(100 + n as u32)).collect();
        let mut purses: Vec<Purse> = (0..REQUESTS).map(|_| Purse::default()).collect();
        let mut lists: Vec<Vec<u32>> = vec![Vec::new(); REQUESTS];
        let count = |lists: &[Vec<u32>], rule: u32| {
            lists.iter().flatten().filter(|held| **held == rule).count() as u32
        };
        for step in steps {
            match step {
                Step::Borrow(request, rule) => {
                    let child = &children[request % CHILDREN];
                    let got = store.borrow(&mut purses[request], child, Unit::Rule(rule));
                    lists[request].push(rule);
                    prop_assert_eq!(got, Some(count(&lists, rule)));
                }
                Step::BorrowBelow(request, rule, limit) => {
                    let child = &children[request % CHILDREN];
                    let before = count(&lists, rule);
                    let got = store.borrow_below(&mut purses[request], child, Unit::Rule(rule), limit);
                    if before < limit {
                        lists[request].push(rule);
                        prop_assert_eq!(got, Some(before + 1));
                    } else {
                        prop_assert_eq!(got, None);
                    }
                }
                Step::Give(request, rule) => {
                    let place = lists[request].iter().position(|held| *held == rule);
                    let had = store.give(&mut purses[request], Unit::Rule(rule), NOW);
                    prop_assert_eq!(had, place.is_some());
                    if let Some(place) = place {
                        lists[request].swap_remove(place);
                    }
                }
                Step::GiveAll(request) => {
                    store.give_all(&mut purses[request], NOW);
                    lists[request].clear();
                }
                Step::Kill(number) => {
                    prop_assert!(store.reclaim(100 + number as u32, NOW).is_empty());
                    for request in (0..REQUESTS).filter(|request| request % CHILDREN == number) {
                        purses[request] = Purse::default();
                        lists[request].clear();
                    }
                    children[number] = store.children.enter(100 + number as u32);
                }
            }
            for rule in 0..4 {
                prop_assert_eq!(store.rules.open(rule), count(&lists, rule));
            }
        }
    }
}
