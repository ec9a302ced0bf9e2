//! Metrics of servers that are made of lines of configuration.

use super::*;
use crate::report::tests::with_picture;
use crate::testing::{View, World};
use crate::time::Tick;
use crate::verdict::Answer;

fn page(world: &World) -> String {
    with_picture(world, render)
}

/// The value of a series, by how its line begins.
#[track_caller]
fn value(world: &World, series: &str) -> u64 {
    let page = page(world);
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).parse().expect("a number")
}

/// The four outcomes of a rule: pass, deny, delay, log_only.
#[track_caller]
fn outcomes(world: &World, directive: &str, rule: &str) -> [u64; 4] {
    ["pass", "deny", "delay", "log_only"].map(|outcome| {
        let rule = format!("server=\"base\",directive=\"{directive}\",rule=\"{rule}\"");
        value(world, &format!("modqos_rule_outcomes_total{{{rule},outcome=\"{outcome}\"}}"))
    })
}

#[test]
fn every_metric_is_described_and_documented() {
    let docs = include_str!("../../../../docs/metrics.md");
    let page = page(&World::new("QS_SrvMaxConn 5\nQS_SrvBusyWatch 9 9"));
    for Metric { name, kind, help } in METRICS {
        assert!(page.contains(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")), "{name}");
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{name}");
        assert!(docs.contains(&format!("| `{name}` |")), "{name} is not in docs/metrics.md");
    }
    let told = docs.lines().filter(|line| line.starts_with("| `modqos_")).count();
    assert_eq!(told, METRICS.len(), "docs/metrics.md has one that does not exist");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (_, number) = line.rsplit_once(' ').expect("a value");
        assert!(number.parse::<u64>().is_ok(), "{line}");
    }
}

#[test]
fn connections_clients_and_events_are_those_of_the_store() {
    let mut world = World::new("QS_SrvMaxConn 2\nQS_ClientEventBlockCount 1 60");
    let first = world.connect("192.0.2.1").expect("let in");
    let _second = world.connect("192.0.2.2").expect("let in");
    assert!(world.connect("192.0.2.3").is_none());
    assert_eq!(value(&world, "modqos_connections{server=\"base\"}"), 2);
    let rule = "{server=\"base\",directive=\"QS_SrvMaxConn\",rule=\"\"}";
    assert_eq!(value(&world, &format!("modqos_rule_limit{rule}")), 2);
    assert_eq!(value(&world, &format!("modqos_rule_current{rule}")), 2);
    assert_eq!(outcomes(&world, "QS_SrvMaxConn", ""), [2, 1, 0, 0]);
    assert_eq!(value(&world, "modqos_events_total{event=\"030\"}"), 1);
    assert_eq!(value(&world, "modqos_events_total{event=\"031\"}"), 0);
    assert_eq!(value(&world, "modqos_connections_max"), 40);
    assert_eq!(value(&world, "modqos_clients"), 3);
    assert_eq!(value(&world, "modqos_clients_max"), 640);
    assert_eq!(value(&world, "modqos_clients_blocked"), 0);
    world.request(&first, &mut View::with("QS_Block", "1"), 200);
    assert_eq!(value(&world, "modqos_clients_blocked"), 1);
    world.now = Tick(world.now.0 + 61 * Tick::PER_SECOND);
    assert_eq!(value(&world, "modqos_clients_blocked"), 0);
}

#[test]
fn what_becomes_of_requests_is_counted_by_rule() {
    const RULES: &str = "
        QS_LocRequestLimit /app 1
        QS_LocRequestLimitMatch \\.pdf$ 0
        QS_EventRequestLimit E=^\\d 1
        QS_ClientEventLimitCount 2 60 L
        QS_ClientEventBlockCount 2 60
        QS_ClientEventRequestLimit 1
        QS_ClientSerialize
        QS_LimitRequestBody 10";
    for is_log_only in [false, true] {
        let mut world =
            World::new(&format!("QS_LogOnly {}{RULES}", if is_log_only { "on" } else { "off" }));
        let denied = if is_log_only { [0, 0, 0, 1] } else { [0, 1, 0, 0] };
        let with_passes = |passes: u64| [passes, denied[1], 0, denied[3]];
        let client = world.connect("192.0.2.1").expect("let in");
        let mut ask = |view: View| {
            let mut view = view;
            world.request(&client, &mut view, 200)
        };
        // Of no rule's interest.
        assert_eq!(ask(View::default().at("/", None)), Answer::Pass);
        ask(View::default().at("/a.pdf", None));
        ask(View::with("L", "1").at("/", None));
        ask(View::with("L", "1").at("/", None));
        assert_eq!(outcomes(&world, "QS_LocRequestLimitMatch", "\\\\.pdf$"), [1, 0, 0, 0]);
        assert_eq!(outcomes(&world, "QS_ClientEventLimitCount", "L"), with_passes(1));

        let other = world.connect("192.0.2.2").expect("let in");
        for (view, directive, rule) in [
            (View::default().at("/app/x", None), "QS_LocRequestLimit", "/app"),
            (View::with("E", "5").at("/", None), "QS_EventRequestLimit", "var=(E=^\\\\d)"),
            (View::with("QS_EventRequest", "").at("/", None), "QS_ClientEventRequestLimit", ""),
        ] {
            let (mut one, mut two) = (view, View::default());
            (two.variables, two.aspects) = (one.variables.clone(), one.aspects.clone());
            let (answer, facts) = world.begin(&other, &mut one);
            world.request(&other, &mut two, 200);
            world.end(&other, &mut one, facts, answer, 200);
            assert_eq!(outcomes(&world, directive, rule), with_passes(1), "{directive}");
        }

        // One waits for the other; in log-only mode it would.
        let mut one = View::with("QS_Serialize", "").at("/", None);
        let (answer, facts) = world.begin(&other, &mut one);
        world.request(&other, &mut View::with("QS_Serialize", "").at("/", None), 200);
        world.end(&other, &mut one, facts, answer, 200);
        let waited = if is_log_only { [1, 0, 0, 1] } else { [1, 0, 1, 0] };
        assert_eq!(outcomes(&world, "QS_ClientSerialize", ""), waited);

        for (length, expected) in [(10, [1, 0, 0, 0]), (11, with_passes(1))] {
            let mut view = View::default().at("/", None);
            view.body = crate::context::BodyLength::Known(length);
            world.request(&other, &mut view, 200);
            assert_eq!(outcomes(&world, "QS_LimitRequestBody", ""), expected);
        }

        for _ in 0..2 {
            world.request(&other, &mut View::with("QS_Block", "").at("/", None), 200);
        }
        assert_eq!(outcomes(&world, "QS_ClientEventBlockCount", ""), with_passes(1));
    }
}

#[test]
fn a_connection_that_a_rule_does_not_look_at_is_not_counted_by_it() {
    let mut world = World::new(
        "QS_ClientGeoCountryDB countries.csv
         QS_ClientGeoCountryPriv CH 3
         QS_SrvMaxConnPerIP 1 2
         QS_ClientPrefer 10",
    );
    let mut open = vec![world.connect("10.0.1.1").expect("let in")];
    let rules = ["QS_ClientGeoCountryPriv", "QS_SrvMaxConnPerIP", "QS_ClientPrefer"];
    for rule in rules {
        assert_eq!(outcomes(&world, rule, ""), [0; 4], "{rule}: as long as few are open");
    }
    assert!(world.connect("10.0.1.1").is_none());
    assert_eq!(outcomes(&world, "QS_SrvMaxConnPerIP", ""), [0, 1, 0, 0]);
    open.extend(world.connect("10.0.1.2"));
    assert!(world.connect("10.0.2.1").is_none(), "elsewhere");
    open.extend(world.connect("10.0.1.3"));
    assert_eq!(outcomes(&world, "QS_ClientGeoCountryPriv", ""), [1, 1, 0, 0]);
    assert_eq!(outcomes(&world, "QS_ClientPrefer", ""), [0; 4], "three are not more than four");
}

#[test]
fn names_of_servers_and_values_of_labels_are_never_ambiguous() {
    let world = World::new("QS_EventRequestLimit E=a 1");
    with_picture(&world, |picture| {
        let host = |host: &str, port, is_sharing_base| ServerView {
            is_virtual: true,
            host: host.to_owned(),
            port,
            is_sharing_base,
            ..picture.servers[0].clone()
        };
        let servers = vec![
            picture.servers[0].clone(),
            host("a.example", 80, false),
            host("a.example", 80, false),
            host("b\"\\\n", 80, false),
            host("c.example", 80, true),
        ];
        let page = render(&Picture { servers, ..picture.clone() });
        let names: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("modqos_connections{"))
            .map(|rest| rest.split_once('}').expect("an end").0)
            .collect();
        let expected = [
            "server=\"base\"",
            "server=\"a.example:80\"",
            "server=\"a.example:80#2\"",
            "server=\"b\\\"\\\\\\n:80\"",
        ];
        assert_eq!(names, expected);
        let lines: Vec<&str> = page.lines().collect();
        let mut different = lines.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), lines.len(), "a series twice");
    });
}
