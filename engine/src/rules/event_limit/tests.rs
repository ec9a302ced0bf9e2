use super::*;
use crate::rules::Facts as AllFacts;
use crate::testing::{View, World, refused, settings};
use crate::verdict::Answer;

fn request(name: &str, value: &str) -> View {
    View::with(name, value).at("/", None)
}

/// Holds one request of each view, and returns the answer to the last one, its view, and what was told.
fn last_of(configuration: &str, views: Vec<View>) -> (Answer, View, Vec<String>) {
    let mut world = World::new(configuration);
    let connection = world.connect("10.0.0.1").expect("connected");
    let mut held: Vec<(View, AllFacts, Answer)> = Vec::new();
    for mut view in views {
        let (answer, facts) = world.begin(&connection, &mut view);
        held.push((view, facts, answer));
    }
    let told = world.told();
    let (mut last, facts, answer) = held.pop().expect("one");
    world.end(&connection, &mut last, facts, answer, 200);
    for (mut view, facts, answer) in held {
        world.end(&connection, &mut view, facts, answer, 200);
    }
    // All is given back: the first of the same kind is the first again.
    (answer, last, told)
}

#[test]
fn the_example_of_the_specification() {
    let limit = "QS_EventRequestLimit EVV=^(a|b)$ 1";
    let (answer, view, told) = last_of(limit, vec![request("EVV", "b"), request("evv", "a")]);
    assert_eq!(answer, Answer::Deny(500));
    assert_eq!(
        told,
        ["mod_qos(012): access denied, QS_EventRequestLimit rule: var=(EVV=^(a|b)$)(1), \
          concurrent requests=2, c=10.0.0.1, id=ID"]
    );
    assert_eq!(view.text("QS_ErrorNotes"), Some("012"));
    assert_eq!(view.text("QS_EventRequestLimit_EVV_Counter"), Some("2"));
    let (answer, view, told) = last_of(limit, vec![request("EVV", "b"), request("EVV", "c")]);
    assert_eq!((answer, told.len()), (Answer::Pass, 0));
    assert_eq!(view.text("QS_EventRequestLimit_EVV_Counter"), None, "it is no such event");
}

#[test]
fn any_value_is_an_event_and_zero_denies_each() {
    let (answer, _, told) = last_of("QS_EventRequestLimit EV 0", vec![request("EV", "")]);
    assert_eq!(answer, Answer::Deny(500));
    assert!(told[0].contains("rule: var=(EV)(0), concurrent requests=1, c="), "{told:?}");
    let (answer, ..) = last_of("QS_EventRequestLimit EV 0", vec![request("OTHER", "")]);
    assert_eq!(answer, Answer::Pass);
}

#[test]
fn all_rules_count_and_each_that_is_exceeded_tells() {
    let configuration = "QS_EventRequestLimit A 1\nQS_EventRequestLimit B 9\nQS_EventRequestLimit A=x 1\n\
                         QS_EventRequestLimit C 1\nQS_LocRequestLimit / 1";
    let all = || request("A", "x").and("B", "").and("C", "");
    let (answer, view, told) = last_of(configuration, vec![all(), all()]);
    assert_eq!(answer, Answer::Deny(500));
    let rules: Vec<&str> = told.iter().filter_map(|line| line.split("rule: ").nth(1)).collect();
    assert_eq!(rules.len(), 3, "{told:?}");
    assert!(rules[0].starts_with("var=(A)(1), concurrent requests=2"));
    assert!(rules[1].starts_with("var=(A=x)(1), concurrent requests=2"));
    assert!(rules[2].starts_with("var=(C)(1), concurrent requests=2"));
    assert_eq!(view.text("QS_EventRequestLimit_B_Counter"), Some("2"), "counted though A denies");
    assert_eq!(view.known.rule_requests, None, "no location counts it");
}

#[test]
fn a_vip_is_no_exception() {
    let mut vip = request("EV", "1");
    vip.known.is_vip = true;
    let (answer, ..) = last_of("QS_EventRequestLimit EV 1", vec![request("EV", "1"), vip]);
    assert_eq!(answer, Answer::Deny(500));
}

#[test]
fn log_only_goes_on_to_the_location() {
    let configuration = "QS_LogOnly on\nQS_EventRequestLimit EV 1\nQS_LocRequestLimit / 1";
    let (answer, view, told) = last_of(configuration, vec![request("EV", ""), request("EV", "")]);
    assert_eq!(answer, Answer::Pass);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|line| line.contains("access denied (log only), ")), "{told:?}");
    assert_eq!(view.text("QS_ErrorNotes"), Some("010"), "the last one wins");
}

#[test]
fn the_same_event_is_one_rule() {
    let lines = "QS_EventRequestLimit EV 1\nQS_EventRequestLimit ev 5\nQS_EventRequestLimit EV=a 2\n\
                 QS_EventRequestLimit EV=A 3";
    let base = settings(lines).event_limit;
    let limits = |settings: &Settings| -> Vec<(String, u32)> {
        settings.limits.iter().map(|limit| (limit.argument.clone(), limit.max)).collect()
    };
    let own = |text: &str, max| (text.to_owned(), max);
    assert_eq!(limits(&base), [own("ev", 5), own("EV=a", 2), own("EV=A", 3)]);
    let host = settings("QS_EventRequestLimit OTHER 1\nQS_EventRequestLimit EV 7").event_limit;
    assert_eq!(
        limits(&host.over(&base)),
        [own("OTHER", 1), own("EV", 7), own("EV=a", 2), own("EV=A", 3)]
    );
}

#[test]
fn what_is_no_event_or_no_limit_is_refused() {
    for line in [
        "QS_EventRequestLimit EV 5x",
        "QS_EventRequestLimit EV -1",
        "QS_EventRequestLimit EV x",
        "QS_EventRequestLimit EV 2147483648",
        "QS_EventRequestLimit EV=( 5",
        "QS_EventRequestLimit EV=a** 5",
        "QS_EventRequestLimit =a 5",
        "QS_EventRequestLimit \"\" 5",
        "QS_EventRequestLimit !EV 5",
    ] {
        assert!(refused(line).starts_with("QS_EventRequestLimit: "), "{line}");
    }
}

#[test]
fn a_value_that_takes_a_pattern_too_long_is_an_event_and_told_of() {
    let limit = r#"QS_EventRequestLimit "EV=^(?=a)(a|aa|b\1?)+$" 1"#;
    let hard = format!("{}!", "a".repeat(40));
    let (answer, _, told) = last_of(limit, vec![request("EV", &hard), request("EV", &hard)]);
    assert_eq!(answer, Answer::Deny(500));
    assert_eq!(
        told[0],
        r"mod_qos(304): QS_EventRequestLimit rule: regular expression reached its step limit, taken as match, rule=EV=^(?=a)(a|aa|b\1?)+$, c=10.0.0.1, id=ID"
    );
    assert_eq!(told.len(), 2, "once in a second, and the denial");
}
