use super::*;
use crate::client::address::{Address, PrefixBits};
use crate::store::Store;
use crate::store::clients::Secret;
use crate::store::layout::{Layout, PrivateMemory, ServerLimits};
use crate::store::lease::LeaseWord;
use core::net::{IpAddr, Ipv4Addr};

const DAY: u32 = LOW_PRIORITY.0 * 16;

fn memory(clients: usize) -> PrivateMemory {
    let limits = ServerLimits { children: 1, threads: 1, idle_per_thread: 0 };
    PrivateMemory::new(Layout { clients, remembering: clients, ..Layout::new(limits, 640) })
}

fn store(memory: &PrivateMemory) -> Store<'_> {
    memory.store(Secret([1, 2]), PrefixBits::DEFAULT)
}

fn visit<T>(store: &Store<'_>, number: u32, now: Tick, then: impl FnOnce(RowId) -> T) -> T {
    let lease = LeaseWord::default();
    let address = Address::from(IpAddr::V4(Ipv4Addr::from(number)));
    let held = store.clients.hold(0, address, &lease, 1, now).expect("a row");
    let result = then(held.row);
    // As at the end of each connection: it is worth keeping until now, unless a mark says more.
    store.clients.keep_no_longer(held.row, now);
    store.clients.give(held.row, &lease, now);
    result
}

fn standing(store: &Store<'_>, number: u32, now: Tick) -> Standing {
    visit(store, number, now, |row| store.clients.standing(row, now))
}

#[test]
fn low_priority_lasts_a_day_after_the_last_marking_and_normal_content_longer() {
    let memory = memory(20);
    let store = store(&memory);
    store.clients.remember(wanted::PREFERENCE);
    let normal = Judgement { set: flag::NORMAL_CONTENT, clear: 0, is_low: false };
    visit(&store, 7, Tick(100), |row| {
        store.clients.judge(row, normal, Tick(100));
        assert!(!store.clients.standing(row, Tick(100)).is_low, "that is nothing bad");
        store.clients.mark(row, flag::SLOW, Tick(100));
        store.clients.mark(row, flag::BLOCKED, Tick(900));
    });
    let both = flag::SLOW | flag::BLOCKED | flag::NORMAL_CONTENT;
    assert_eq!(
        standing(&store, 7, Tick(900 + DAY - 1)),
        Standing { flags: both, is_low: true, is_vip: false }
    );
    let after = Standing { flags: flag::NORMAL_CONTENT, is_low: false, is_vip: false };
    assert_eq!(standing(&store, 7, Tick(900 + DAY)), after);
    // What is new does not bring back what is over.
    visit(&store, 7, Tick(900 + DAY), |row| {
        store.clients.mark(row, flag::LIMITED, Tick(900 + DAY))
    });
    let flags = flag::LIMITED | flag::NORMAL_CONTENT;
    assert_eq!(
        standing(&store, 7, Tick(901 + DAY)),
        Standing { flags, is_low: true, is_vip: false }
    );
}

#[test]
fn those_who_are_marked_go_last_and_vips_behind_them() {
    let memory = memory(20);
    let store = store(&memory);
    store.clients.remember(wanted::PREFERENCE | wanted::VIPS);
    visit(&store, 1, Tick(1), |row| store.clients.mark_vip(row));
    visit(&store, 2, Tick(1), |row| store.clients.mark(row, flag::SLOW, Tick(1)));
    for number in 100..1000 {
        visit(&store, number, Tick(number), |_| ());
    }
    assert!(standing(&store, 1, Tick(1000)).is_vip);
    assert!(standing(&store, 2, Tick(1000)).is_low);
    // A crowd of marked ones: the oldest mark goes, the VIP stays.
    for number in 1000..1100 {
        visit(&store, number, Tick(number), |row| {
            store.clients.mark(row, flag::SLOW, Tick(number))
        });
    }
    assert!(!standing(&store, 2, Tick(1100)).is_low);
    assert!(standing(&store, 1, Tick(1100)).is_vip);
    assert!(!standing(&store, 3, Tick(1100)).is_vip, "whoever has the row of another starts anew");
}

#[test]
fn nothing_is_remembered_that_nobody_wants() {
    let memory = memory(20);
    let store = store(&memory);
    let nothing = Standing::default();
    visit(&store, 1, Tick(5), |row| {
        store.clients.mark_vip(row);
        assert!(store.clients.contents(row).is_none() && !store.clients.remembers());
    });
    store.clients.remember(wanted::VIPS);
    assert_eq!(standing(&store, 1, Tick(6)), nothing);
    visit(&store, 1, Tick(7), |row| {
        store.clients.mark_vip(row);
        assert!(store.clients.is_vip(row));
        assert!(store.clients.contents(row).is_none());
    });
    assert_eq!(standing(&store, 1, Tick(8)), Standing { is_vip: true, ..nothing });
    store.clients.remember(0);
    assert!(store.clients.remembers(), "for as long as the server runs");
}

#[test]
fn low_priority_that_nobody_wants_is_shown_and_worth_no_row() {
    let memory = memory(20);
    let store = store(&memory);
    visit(&store, 1, Tick(1), |row| store.clients.mark(row, flag::BLOCKED, Tick(1)));
    visit(&store, 2, Tick(1), |row| store.clients.set_low(row, true, Tick(1)));
    let blocked = Standing { flags: flag::BLOCKED, is_low: true, is_vip: false };
    assert_eq!(standing(&store, 1, Tick(2)), blocked);
    for number in 100..1000 {
        visit(&store, number, Tick(number), |_| ());
    }
    assert_eq!(standing(&store, 1, Tick(1000)), Standing::default(), "its row is another's");
    assert!(standing(&store, 2, Tick(1000)).is_low, "an administrator said so");
}

#[test]
fn what_was_asked_for_goes_with_the_row() {
    let memory = memory(4);
    let store = store(&memory);
    store.clients.remember(wanted::PREFERENCE);
    visit(&store, 1, Tick(1), |row| {
        let contents = store.clients.contents(row).expect("counted");
        contents.count(0, 2);
        contents.count(4, 1);
        contents.act(1);
        assert_eq!((contents.classes(), contents.activities()), ([1, 0, 0, 0, 1], 4));
    });
    store.clients.count_for_everybody(3);
    for number in 10..30 {
        visit(&store, number, Tick(number), |row| {
            let contents = store.clients.contents(row).expect("counted");
            assert_eq!((contents.classes(), contents.activities()), ([0; 5], 0));
            contents.count(1, 1);
        });
    }
    assert_eq!(store.clients.contents_of_everybody(), [0, 0, 0, 1, 0]);
}

#[test]
fn a_killed_child_leaves_the_marks_of_what_it_held() {
    let memory = memory(20);
    let store = store(&memory);
    store.clients.remember(wanted::PREFERENCE | wanted::VIPS);
    let child = store.children.enter(77);
    let record = store.children.take_record(&child).expect("a record");
    let leases = store.children.record(record).expect("it");
    let address = Address::from(IpAddr::V4(Ipv4Addr::from(5)));
    let held =
        store.clients.hold(0, address, &leases.client, child.number(), Tick(5)).expect("row");
    store.clients.mark_vip(held.row);
    store.clients.mark(held.row, flag::SLOW, Tick(5));
    assert!(store.reclaim(77, Tick(6)).is_empty());
    for number in 100..300 {
        visit(&store, number, Tick(number), |_| ());
    }
    let expected = Standing { flags: flag::SLOW, is_low: true, is_vip: true };
    assert_eq!(standing(&store, 5, Tick(300)), expected);
}
