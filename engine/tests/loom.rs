//! Every interleaving of the lock-free routines, up to a number of preemptions: two threads stand for two
//! children, and loom runs them in every order that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p qos-engine --release --test loom`
#![cfg(loom)]

use loom::sync::Arc;
use loom::thread;
use qos_engine::client::address::{Address, PrefixBits};
use qos_engine::meter::concurrency::Concurrency;
use qos_engine::meter::window::Window;
use qos_engine::store::Store;
use qos_engine::store::children::Child;
use qos_engine::store::clients::Secret;
use qos_engine::store::layout::{Layout, PrivateMemory};
use qos_engine::store::lease::LeaseWord;
use qos_engine::store::loans::Purse;
use qos_engine::store::unit::Unit;
use qos_engine::time::{Seconds, Tick};
use std::net::{IpAddr, Ipv4Addr};

fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 100_000;
    model.check(body);
}

fn memory(clients: usize) -> Arc<PrivateMemory> {
    let layout = Layout { clients, remembering: clients, ..Layout::SMALL };
    Arc::new(PrivateMemory::new(layout))
}

fn store(memory: &PrivateMemory) -> Store<'_> {
    memory.store(Secret([1, 2]), PrefixBits::DEFAULT)
}

fn address(number: u32) -> Address {
    Address::from(IpAddr::from(Ipv4Addr::from(0x7f00_0000 + number)))
}

#[test]
fn two_that_count_at_once_get_different_counts() {
    check(5, || {
        let word = Arc::new(Concurrency::default());
        let other = word.clone();
        let thread = thread::spawn(move || other.acquire().expect("room"));
        let mine = word.acquire().expect("room");
        let theirs = thread.join().expect("joined");
        assert_ne!(mine, theirs);
        word.release();
        assert_eq!(word.count(), 1);
    });
}

#[test]
fn a_word_is_either_claimed_or_counts() {
    check(5, || {
        let word = Arc::new(Concurrency::default());
        let other = word.clone();
        let thread = thread::spawn(move || other.acquire().is_some());
        let is_claimed = word.claim(word.look(), 7);
        let has_counted = thread.join().expect("joined");
        if is_claimed {
            assert!(!has_counted);
            word.settle(0);
        }
        assert_eq!(word.count(), u32::from(has_counted));
    });
}

#[test]
fn events_of_two_children_all_count_and_a_window_is_cleared_once() {
    check(5, || {
        let window = Arc::new(Window::default());
        let span = Seconds(4);
        let old = window.add(3, Tick(1), span);
        let other = window.clone();
        let thread = thread::spawn(move || {
            other.clear(old) as u32 + 10 * other.add(1, Tick(900), span).count
        });
        let cleared = window.clear(old) as u32;
        window.add(1, Tick(900), span);
        let theirs = thread.join().expect("joined");
        assert!(cleared + theirs % 10 <= 1);
        assert_eq!(window.look().count, 2, "the old window is over, both new events count");
    });
}

#[test]
fn two_that_bring_the_same_new_address_share_one_row() {
    check(4, || {
        let memory = memory(3);
        let other = memory.clone();
        let hold = |memory: &PrivateMemory, child: u32| {
            let lease = LeaseWord::default();
            let held = store(memory).clients.hold(0, address(1), &lease, child, Tick(5));
            held.map(|held| (held.row, held.connections))
        };
        let thread = thread::spawn(move || hold(&other, 2));
        let mine = hold(&memory, 1);
        let theirs = thread.join().expect("joined");
        let (Some(mine), Some(theirs)) = (mine, theirs) else {
            panic!("no row: {mine:?} {theirs:?}")
        };
        assert_eq!(mine.0, theirs.0);
        assert_eq!(mine.1.max(theirs.1), 2, "{mine:?} {theirs:?}");
        let store = store(&memory);
        assert_eq!(store.clients.peek(0, address(1)), Some(mine.0));
    });
}

#[test]
fn an_address_coming_back_and_one_that_needs_its_row_do_not_share_it() {
    check(3, || {
        // Two rows: one is held by another address, so the newcomer wants the one of address 1.
        let memory = memory(2);
        {
            let store = store(&memory);
            let lease = LeaseWord::default();
            let held = store.clients.hold(0, address(1), &lease, 1, Tick(1)).expect("row");
            store.clients.give(held.row, &lease, Tick(1));
            let lease = LeaseWord::default();
            store.clients.hold(0, address(9), &lease, 1, Tick(9)).expect("row");
        }
        let other = memory.clone();
        let thread = thread::spawn(move || {
            let lease = LeaseWord::default();
            store(&other).clients.hold(0, address(2), &lease, 2, Tick(20)).map(|held| held.row)
        });
        let lease = LeaseWord::default();
        let back = store(&memory).clients.hold(0, address(1), &lease, 1, Tick(20));
        let newcomer = thread.join().expect("joined");
        // There is one row for two: exactly one gets it, and it is whole.
        let store = store(&memory);
        match (back, newcomer) {
            (Some(held), None) => {
                let row = store.clients.row(held.row).expect("row");
                assert_eq!((row.address(), held.connections), (address(1), 1));
            }
            (None, Some(id)) => {
                let row = store.clients.row(id).expect("row");
                assert_eq!((row.address(), row.open_connections()), (address(2), 1));
                assert_eq!(store.clients.peek(0, address(1)), None);
            }
            both => panic!("{both:?}"),
        }
    });
}

#[test]
fn a_recount_is_exact_while_another_child_goes_on() {
    check(3, || {
        let memory = memory(1);
        {
            // A child that died in the middle of counting: the counter says 1, nobody holds it.
            let store = store(&memory);
            let dead = store.children.enter(100);
            let id = store.children.take_record(&dead).expect("record");
            store.scopes.connections(1).expect("scope").acquire();
            let record = store.children.record(id).expect("record");
            record.scope.set(qos_engine::store::lease::Lease::Want(1));
            store.children.enter(200);
        }
        let other = memory.clone();
        let thread = thread::spawn(move || {
            let store = store(&other);
            let child = Child::numbered(2);
            let id = store.children.take_record(&child).expect("record");
            let record = store.children.record(id).expect("record");
            let counter = store.scopes.connections(1).expect("scope");
            record.scope.take(counter, 1);
        });
        let unsure = store(&memory).reclaim(100, Tick(5));
        thread.join().expect("joined");
        let store = store(&memory);
        for what in unsure {
            assert!(store.settle(what), "now that the other one stands still");
        }
        assert_eq!(store.scopes.open(1), 1);
    });
}

#[test]
fn two_connections_of_a_child_get_different_records() {
    check(4, || {
        let memory = memory(1);
        store(&memory).children.enter(100);
        let other = memory.clone();
        let thread = thread::spawn(move || store(&other).children.take_record(&Child::numbered(1)));
        let mine = store(&memory).children.take_record(&Child::numbered(1));
        let theirs = thread.join().expect("joined");
        assert!(mine.is_some() && theirs.is_some() && mine != theirs);
    });
}

#[test]
fn of_two_requests_only_one_has_the_turn_and_all_comes_back() {
    check(3, || {
        let memory = memory(1);
        store(&memory).children.enter(100);
        let other = memory.clone();
        let request = |memory: &PrivateMemory| {
            let (store, child) = (store(memory), Child::numbered(1));
            let mut purse = Purse::default();
            let turn = store.borrow_below(&mut purse, &child, Unit::Rule(1), 1);
            let count = store.borrow(&mut purse, &child, Unit::Rule(2));
            (purse, turn.is_some(), count)
        };
        let thread = thread::spawn(move || request(&other));
        let (mut mine, has_turn, count) = request(&memory);
        let (mut theirs, have_turn, their_count) = thread.join().expect("joined");
        assert!(has_turn != have_turn, "both wait for nothing");
        assert!(count != their_count && count.max(their_count) == Some(2));
        let store = store(&memory);
        store.give_all(&mut mine, Tick(1));
        store.give_all(&mut theirs, Tick(1));
        assert_eq!((store.rules.open(1), store.rules.open(2)), (0, 0));
    });
}

#[test]
fn a_rule_is_recounted_exactly_while_requests_come_and_go() {
    check(3, || {
        let memory = memory(1);
        {
            // A child that died in the middle of a request: the rule says 1, nobody knows why.
            let store = store(&memory);
            let dead = store.children.enter(100);
            let mut purse = Purse::default();
            store.borrow(&mut purse, &dead, Unit::Rule(1)).expect("counted");
            let place = store.children.enter(200);
            assert_eq!(place.number(), 2);
        }
        let other = memory.clone();
        let thread = thread::spawn(move || {
            let store = store(&other);
            let mut purse = Purse::default();
            store.borrow(&mut purse, &Child::numbered(2), Unit::Rule(1)).expect("counted");
            store.give_all(&mut purse, Tick(1));
            store.borrow(&mut purse, &Child::numbered(2), Unit::Rule(1)).expect("counted");
        });
        // Recounted for no reason: whatever the other one is doing, the count stays right.
        let is_settled = store(&memory).settle(Unit::Rule(1));
        let unsure = store(&memory).reclaim(100, Tick(5));
        thread.join().expect("joined");
        let store = store(&memory);
        assert!(unsure.is_empty());
        if !is_settled {
            assert!(store.settle(Unit::Rule(1)), "now that the other one stands still");
        }
        assert_eq!(store.rules.open(1), 1);
    });
}

#[test]
fn the_oldest_row_is_found_whatever_is_used_meanwhile() {
    check(3, || {
        use loom::sync::atomic::AtomicU32;
        use qos_engine::store::ages::{Ages, words_for};
        const ROWS: usize = 18;
        let words: Arc<Vec<AtomicU32>> =
            Arc::new((0..words_for(ROWS)).map(|_| AtomicU32::new(0)).collect());
        let ages = Ages::new(&words, ROWS);
        for row in 0..ROWS as u32 {
            ages.raise(row, Tick(if row == 17 { 5 } else { 10 + row }));
        }
        let other = words.clone();
        let thread = thread::spawn(move || Ages::new(&other, ROWS).raise(17, Tick(90)));
        ages.oldest();
        thread.join().expect("joined");
        // A bound is never above what it bounds, so asking until it is sure finds row 0.
        let mut asked = (0..8).map(|_| ages.oldest());
        assert_eq!(asked.find(|oldest| oldest.is_sure).map(|oldest| oldest.row), Some(0));
    });
}
