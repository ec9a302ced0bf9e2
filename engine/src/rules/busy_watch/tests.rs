use super::*;
use crate::testing::{refused, settings};
use core::net::IpAddr;

fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().expect(text))
}

const WATCH: Watch =
    Watch { threshold: 100, per_address: 20, per_network: Some(50), bits: (24, 64) };

fn at(seconds: u32) -> Tick {
    Tick(1 + seconds * Tick::PER_SECOND)
}

/// So many connections of each address.
fn held(list: &[(&str, u32)]) -> Tally {
    let each = |(who, count): &(&str, u32)| core::iter::repeat_n(address(who), *count as usize);
    Tally::of(list.iter().flat_map(each))
}

fn found<T: ToString>(offenders: &[Offender<T>]) -> Vec<(String, u32)> {
    offenders.iter().map(|o| (o.who.to_string(), o.connections)).collect()
}

#[test]
fn nobody_is_counted_while_the_server_is_not_busy() {
    let mut state = State::default();
    let findings = look(&WATCH, at(0), 99, || panic!("counted"), &mut state);
    assert_eq!(findings, Findings::default());
}

#[test]
fn offenders_are_found_at_each_look() {
    let mut state = State::default();
    let tally = || held(&[("192.0.2.1", 20), ("198.51.100.1", 19), ("203.0.113.1", 30)]);
    let expected = [("203.0.113.1".to_owned(), 30), ("192.0.2.1".to_owned(), 20)];
    for (second, busy) in [(0, 100), (1, 95)] {
        let findings = look(&WATCH, at(second), busy, tally, &mut state);
        assert_eq!(findings.begins, second == 0);
        assert_eq!(found(&findings.addresses), expected);
        assert_eq!(findings.judged.0.len(), 3);
    }
    let later = || held(&[("198.51.100.1", 21)]);
    let findings = look(&WATCH, at(2), 95, later, &mut state);
    assert_eq!(found(&findings.addresses), [("198.51.100.1".to_owned(), 21)]);
}

/// Looks with so many busy from second to second; returns when episodes began, and when they were over after
/// how long.
fn seen(busy: impl Fn(u32) -> Option<u32>, seconds: u32) -> (Vec<u32>, Vec<(u32, u32)>) {
    let (mut state, mut begins, mut over) = (State::default(), Vec::new(), Vec::new());
    for second in 0..seconds {
        if let Some(busy) = busy(second) {
            let findings = look(&WATCH, at(second), busy, Tally::default, &mut state);
            begins.extend(findings.begins.then_some(second));
            over.extend(findings.over_after.map(|after| (second, after.0)));
        }
    }
    (begins, over)
}

#[test]
fn an_episode_is_over_after_ten_seconds_below_nine_tenths() {
    // Busy, calm for nine seconds, at nine tenths again, calm for ten seconds, nearly busy, busy.
    let busy = |second| match second {
        0 | 28 => 100,
        1..5 | 15 => 90,
        27 => 99,
        _ => 89,
    };
    assert_eq!(seen(|second| Some(busy(second)), 29), (vec![0, 28], vec![(26, 26)]));
}

#[test]
fn calm_that_nobody_has_seen_is_none() {
    // Nobody looks from the eighth to the fourteenth second, nor from the twentieth to the twenty-third.
    let is_seen = |second| !(8..=14).contains(&second) && !(20..=23).contains(&second);
    let busy = |second| is_seen(second).then_some(if second < 5 { 100 } else { 0 });
    assert_eq!(seen(busy, 40), (vec![0], vec![(25, 25)]));
}

#[test]
fn an_episode_that_nobody_has_watched_for_minutes_is_forgotten() {
    for (gap, expected) in [(120, vec![0]), (121, vec![0, 121])] {
        let busy = |second| (second == 0 || second == gap).then_some(100);
        assert_eq!(seen(busy, 130), (expected, vec![]), "{gap}");
    }
    // Nor is its end told of.
    let busy = |second| match second {
        0 => Some(100),
        1..=120 => None,
        _ => Some(0),
    };
    assert_eq!(seen(busy, 150), (vec![0], vec![]));
}

#[test]
fn a_crowd_of_few_networks_is_found_by_its_networks() {
    // Three hundred attackers of five networks, none with more than two connections, and a good client.
    let attackers = (0..5u8).flat_map(|n| (1..=60).map(move |host| format!("10.0.{n}.{host}")));
    let mut connections: Vec<Address> =
        attackers.flat_map(|who| [address(&who), address(&who)]).collect();
    connections.push(address("192.0.2.1"));
    let tally = || Tally::of(connections.into_iter());
    let findings = look(&WATCH, at(0), 601, tally, &mut State::default());
    assert_eq!(findings.addresses, []);
    let expected: Vec<_> = (0..5).map(|n| (format!("10.0.{n}.0/24"), 120)).collect();
    assert_eq!(found(&findings.networks), expected);
}

#[test]
fn the_neighbours_of_a_lone_offender_are_left_alone() {
    let tally = || held(&[("10.0.0.1", 90), ("2001:db8::1", 60)]);
    let findings = look(&WATCH, at(0), 150, tally, &mut State::default());
    assert_eq!(findings.addresses.len(), 2);
    assert_eq!(findings.networks, []);
}

#[test]
fn networks_are_judged_only_where_their_number_is_written() {
    let watch = Watch { per_network: None, ..WATCH };
    let tally = || held(&[("10.0.0.1", 19), ("10.0.0.2", 19), ("10.0.0.3", 19)]);
    assert_eq!(look(&watch, at(0), 150, tally, &mut State::default()).networks, []);
    assert_eq!(look(&WATCH, at(0), 150, tally, &mut State::default()).networks.len(), 1);
    let wide = Watch { bits: (16, 48), ..WATCH };
    let tally =
        || held(&[("10.0.1.1", 19), ("10.0.2.2", 19), ("10.0.3.3", 12), ("2001:db8:0:1::1", 10)]);
    let findings = look(&wide, at(0), 150, tally, &mut State::default());
    assert_eq!(found(&findings.networks), [("10.0.0.0/16".to_owned(), 50)]);
}

fn policy(lines: &str) -> Policy {
    let capacity = Capacity { max_clients: 200, connections: 600 };
    Policy::resolve(&settings(lines).busy_watch, capacity)
}

#[test]
fn words_become_a_watch() {
    let watch = policy("QS_SrvBusyWatch 80% 20").watch.expect("a watch");
    let expected = Watch { threshold: 160, per_address: 20, per_network: None, bits: (24, 64) };
    assert_eq!(watch, expected);
    let lines = "QS_SrvBusyWatch 500 20 90\nQS_SrvBusyWatchNetwork 16 48\n\
                 QS_SrvBusyWatchDir /var/log/qos 7\nQS_SrvBusyWatchExec /bin/true";
    let policy_ = policy(lines);
    let expected = Watch { threshold: 500, per_address: 20, per_network: Some(90), bits: (16, 48) };
    assert_eq!(policy_.watch, Some(expected));
    assert_eq!(policy_.directory, Some(("/var/log/qos".to_owned(), 7)));
    assert!(policy_.errors.is_empty() && policy_.unreachable.is_none());
    assert_eq!(
        policy("QS_SrvBusyWatch 601 20").unreachable.map(|found| found.threshold),
        Some(601)
    );
    assert_eq!(policy("QS_SrvBusyWatch 1% 1").watch.map(|watch| watch.threshold), Some(2));
}

#[test]
fn what_nobody_can_mean_is_refused() {
    for (line, word) in [
        ("QS_SrvBusyWatch 0 20", "'0'"),
        ("QS_SrvBusyWatch 0% 20", "'0%'"),
        ("QS_SrvBusyWatch 101% 20", "'101%'"),
        ("QS_SrvBusyWatch 80%x 20", "'80%x'"),
        ("QS_SrvBusyWatch 80% 0", "'0'"),
        ("QS_SrvBusyWatch 80% 20 x", "'x'"),
        ("QS_SrvBusyWatch -1 20", "'-1'"),
        ("QS_SrvBusyWatchNetwork 7 64", "'7'"),
        ("QS_SrvBusyWatchNetwork 33 64", "'33'"),
        ("QS_SrvBusyWatchNetwork 24 129", "'129'"),
        ("QS_SrvBusyWatchNetwork 24 15", "'15'"),
        ("QS_SrvBusyWatchNetwork /24 64", "'/24'"),
        ("QS_SrvBusyWatchDir logs", "'logs'"),
        ("QS_SrvBusyWatchDir /var/log 0", "'0'"),
        ("QS_SrvBusyWatchDir /var/log 10001", "'10001'"),
        ("QS_SrvBusyWatchDir \u{1}/x", "\u{1}"),
        ("QS_SrvBusyWatchDir /var/log x", "'x'"),
        ("QS_SrvBusyWatchExec true", "'true'"),
        ("QS_SrvBusyWatchExec |/bin/true", "'|/bin/true'"),
        ("QS_SrvBusyWatchExec ./true", "'./true'"),
    ] {
        let error = refused(line);
        assert!(error.contains(word), "{line}: {error}");
    }
    for lines in [
        "QS_SrvBusyWatchNetwork 24 64",
        "QS_SrvBusyWatch 80% 20\nQS_SrvBusyWatchNetwork 24 64",
        "QS_SrvBusyWatchDir /var/log/qos",
        "QS_SrvBusyWatch 80% 20\nQS_SrvBusyWatchExec /bin/true",
    ] {
        assert_eq!(policy(lines).errors.len(), 1, "{lines}");
    }
}
