use super::*;
use crate::rules::Bound;
use crate::store::layout::{Layout, PrivateMemory};
use crate::testing::{LIMITS, View, World};
use core::ffi::CStr;

/// The worked example of the specification (client.md, `3 4`).
#[test]
fn the_third_event_is_denied_and_the_block_ends_four_seconds_after_the_first() {
    let mut world = World::new("QS_ClientEventBlockCount 3 4");
    let older = world.connect("192.0.2.1").expect("open");
    for expected in [Answer::Pass, Answer::Pass, Answer::Deny(500)] {
        let connection = world.connect("192.0.2.1").expect("open");
        let mut view = View::with("QS_Block", "");
        assert_eq!(world.request(&connection, &mut view, 404), expected);
        world.close(connection);
    }
    assert_eq!(
        world.told(),
        [
            "mod_qos(060): access denied, QS_ClientEventBlockCount rule: max=3, current=3, age=0, c=192.0.2.1, id=ID"
        ]
    );
    assert!(world.connect("192.0.2.1").is_none());
    let mut view = View::default();
    assert_eq!(
        world.request(&older, &mut view, 200),
        Answer::Deny(500),
        "the older connection, too"
    );
    assert_eq!(view.letters(), "Dr");
    assert_eq!(view.text("QS_ErrorNotes"), Some("060"));
    assert!(world.connect("192.0.2.2").is_some(), "another client is served");
    world.wait(3900);
    assert!(world.connect("192.0.2.1").is_none());
    assert!(world.told().last().expect("a line").ends_with("age=3, c=192.0.2.1"));
    world.wait(200);
    assert!(world.connect("192.0.2.1").is_some());
}

#[test]
fn a_connection_above_the_limit_is_refused_while_the_others_last() {
    let mut world = World::new("QS_SrvMaxConnPerIP 2 4");
    let mut open: Vec<Connection> =
        (0..3).map(|_| world.connect("192.0.2.1").expect("below 4 in all")).collect();
    assert!(world.connect("192.0.2.1").is_none());
    assert_eq!(
        world.told(),
        [
            "mod_qos(031): access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent connections=4, c=192.0.2.1"
        ]
    );
    world.close(open.pop().expect("three"));
    assert!(world.connect("192.0.2.1").is_some());
}

#[test]
fn refusals_are_folded_and_the_rest_is_told_of_when_one_is_let_through() {
    let mut world = World::new("QS_SrvMaxConnPerIP 1");
    let held = world.connect("192.0.2.1").expect("open");
    for _ in 0..46 {
        assert!(world.connect("192.0.2.1").is_none());
    }
    let told = world.told();
    assert_eq!(told.len(), 21);
    assert!(told[20].ends_with("concurrent connections=2, message repeated 20 times, c=192.0.2.1"));
    world.close(held);
    assert!(world.connect("192.0.2.1").is_some());
    assert_eq!(
        world.told(),
        [
            "mod_qos(031): access denied (previously), QS_SrvMaxConnPerIP rule: max=1, concurrent connections=1, message repeated 6 times, c=192.0.2.1"
        ]
    );
}

#[test]
fn log_only_tells_of_everything_and_refuses_nothing() {
    let mut world =
        World::new("QS_LogOnly on\nQS_SrvMaxConn 1\nQS_SrvMaxConnPerIP 1\nQS_SrvMaxConnClose 1");
    let first = world.connect("192.0.2.1").expect("open");
    let _second = world.connect("192.0.2.1").expect("open, too");
    let told = world.told();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|line| line.contains("access denied (log only), QS_Srv")), "{told:?}");
    let closes = world.exchange(&first, &mut View::default(), |rules, exchange| {
        closes_after_response(rules.policy, exchange, 1)
    });
    assert!(!closes);
}

#[test]
fn a_network_is_one_client_and_the_line_says_so() {
    let mut world = World::new("QS_SrvMaxConnPerIP 1");
    let _first = world.connect("2001:db8::1").expect("open");
    assert!(world.connect("2001:db8::2").is_none());
    assert!(world.connect("2001:db8:0:1::1").is_some());
    assert!(world.told()[0].ends_with("net=2001:db8::/64, c=2001:db8::2"));
    // Where all are counted alike, no prefix decides.
    let mut world = World::new("QS_SrvMaxConn 1");
    let _first = world.connect("2001:db8::1").expect("open");
    assert!(world.connect("2001:db8:0:1::1").is_none());
    assert!(world.told()[0].ends_with("connections=2, c=2001:db8:0:1::1"));
}

#[test]
fn a_connection_is_at_most_one_event() {
    let mut world = World::new(
        "QS_ClientEventBlockCount 2 60\nQS_SrvMaxConnPerIP 1\n\
         QS_SetEnvIfStatus NullConnection QS_Block\nQS_SetEnvIfStatus QS_SrvMaxConnPerIP QS_Block",
    );
    let held = world.connect("192.0.2.1").expect("open");
    world.request(&held, &mut View::default(), 200);
    assert!(world.connect("192.0.2.1").is_none(), "above the limit, and without a request");
    world.close(held);
    let again = world.connect("192.0.2.1").expect("one event is not two");
    world.close(again);
    assert!(world.connect("192.0.2.1").is_none(), "the empty one was the second");
}

#[test]
fn who_goes_while_he_sends_a_request_breaks_off_no_response() {
    for (status, letters, is_blocked) in [(200, "A", true), (400, "", false), (408, "", false)] {
        let mut world = World::new(
            "QS_ClientEventBlockCount 1 60\nQS_SetEnvIfStatus BrokenConnection QS_Block",
        );
        let connection = world.connect("192.0.2.1").expect("open");
        connection.marks.set(Marks::RESPONDED);
        let mut view = View { status, ..View::default() };
        world.exchange(&connection, &mut view, |rules, exchange| {
            finish(rules, exchange, &mut Facts::default(), true);
        });
        assert_eq!(view.letters(), letters, "{status}");
        // Else the look at the socket, when it is closed, would take the answer for a broken one.
        assert_eq!(connection.marks.has(Marks::RESPONDED), is_blocked, "{status}");
        world.close(connection);
        assert_eq!(world.connect("192.0.2.1").is_none(), is_blocked, "{status}");
    }
}

#[test]
fn an_exempt_client_is_counted_but_never_refused() {
    let mut world = World::new(
        "QS_ClientEventBlockCount 1 60\nQS_ClientEventBlockExcludeIP 192.0.2.0/24\n\
         QS_SetEnvIfStatus 404 QS_Block",
    );
    for _ in 0..3 {
        let connection = world.connect("192.0.2.1").expect("exempt");
        assert_eq!(world.request(&connection, &mut View::default(), 404), Answer::Pass);
        world.close(connection);
    }
    assert!(world.told().is_empty());
    let other = world.connect("198.51.100.1").expect("open");
    world.request(&other, &mut View::default(), 404);
    assert!(world.connect("198.51.100.1").is_none());
}

#[test]
fn what_is_taken_back_lifts_a_block() {
    let mut world = World::new("QS_ClientEventBlockCount 3 60");
    let connection = world.connect("192.0.2.1").expect("open");
    world.request(&connection, &mut View::with("QS_Block", "2"), 200);
    world.request(&connection, &mut View::with("QS_Block_Decrement", "1"), 200);
    assert_eq!(world.request(&connection, &mut View::with("QS_Block", "1"), 200), Answer::Pass);
    assert_eq!(
        world.request(&connection, &mut View::with("QS_Block", "x"), 200),
        Answer::Deny(500)
    );
}

#[test]
fn a_table_full_of_open_connections_lets_nobody_pass_unlimited() {
    let mut world = World::new("QS_ClientEventBlockCount 9");
    let layout = Layout { clients: 20, remembering: 10, ..Layout::new(LIMITS, 640) };
    world.memory = PrivateMemory::new(layout);
    world.child = World::store(&world.memory).children.enter(7);
    let open: Vec<Connection> =
        (1..=20).filter_map(|n| world.connect(&format!("192.0.2.{n}"))).collect();
    assert_eq!(open.len(), 20);
    assert!(world.connect("198.51.100.1").is_none());
    assert!(world.told()[0].contains("QS_ClientEventBlockCount rule: max=9, current="));
    assert!(world.connect("192.0.2.1").is_some(), "who has a row is not concerned");
}

#[test]
fn everything_is_given_back_at_the_end() {
    let mut world = World::new("QS_SrvMaxConnPerIP 9\nQS_ClientEventBlockCount 9");
    let open: Vec<Connection> = (0..9).map(|_| world.connect("192.0.2.1").expect("open")).collect();
    assert_eq!(open.last().expect("nine").all_connections, 9);
    for connection in open {
        world.close(connection);
    }
    let last = world.connect("192.0.2.1").expect("open");
    assert_eq!(
        (last.all_connections, last.server_connections, last.address_connections),
        (1, 1, Some(1))
    );
}

#[test]
fn a_block_event_that_only_a_response_can_set_counts_with_it() {
    let mut world = World::new("QS_ClientEventBlockCount 2 60");
    world.policy.client_limit.bind(&|_| true, &|_| false);
    let connection = world.connect("10.0.0.1").expect("connected");
    for expected in [Answer::Pass, Answer::Pass, Answer::Deny(500)] {
        let mut view = View::with("QS_Block", "1");
        let (answer, facts) = world.begin(&connection, &mut view);
        assert_eq!(answer, expected, "it is not judged by what its own response will be");
        world.end(&connection, &mut view, facts, answer, 200);
    }
    world.close(connection);
}

#[test]
fn who_left_while_the_server_kept_him_waiting_is_not_served_and_not_blamed() {
    let events = "QS_SetEnvIfStatus BrokenConnection QS_Block";
    for (more, waited, is_taken) in [
        (events, Some(Millis(2000)), false),
        (events, Some(Millis(1999)), true),
        (events, None, true),
        ("", Some(Millis(9999)), true),
        ("QS_SetEnvIfStatus NullConnection QS_Block\nQS_LogOnly on", Some(Millis(9999)), true),
    ] {
        let mut world = World::new(&format!("QS_ClientEventBlockCount 1 60\n{more}"));
        let connection = world.connect_late("10.0.0.1", waited);
        assert_eq!(connection.is_some(), is_taken, "{more} {waited:?}");
        if !is_taken {
            let line = "mod_qos(308): connection not served, its client has left after waiting for \
                        2000 ms, c=10.0.0.1";
            assert_eq!(world.told(), [line]);
            assert!(world.connect("10.0.0.1").is_some(), "it is not blocked for it");
        }
    }
}

#[test]
fn what_a_request_does_when_it_is_logged_is_known_beforehand() {
    const LIMITS: &str = "QS_SrvMaxConnPerIP 9\nQS_ClientEventBlockCount 9 600";
    for (lines, is_used, wants) in [
        (LIMITS, false, false),
        (LIMITS, true, true),
        ("QS_SrvMaxConnPerIP 9", true, false),
        ("QS_ClientEventLimitCount 5 60 QS_Limit", false, true),
        ("QS_SetEnvIfStatus BrokenConnection QS_Block", false, true),
        ("QS_SrvMinDataRate 100", false, true),
        ("QS_ClientPrefer 80", false, true),
        ("QS_LocRequestLimit /a 5", false, true),
        ("QS_SetEnvIf A B C=1", false, true),
        ("QS_LogEnv on", false, true),
    ] {
        let mut world = World::new(lines);
        let store = World::store(&world.memory);
        let used = |_: &CStr| is_used;
        let bound =
            Bound { store: &store, generation: 2, server: 1, is_used: &used, is_set_early: &used };
        world.policy.bind(&bound).expect("room");
        assert_eq!(world.policy.wants.finish, wants, "{lines}");
    }
}
