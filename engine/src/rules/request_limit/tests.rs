use super::*;
use crate::context::Connection;
use crate::phases;
use crate::rules::Facts as AllFacts;
use crate::testing::{View, World, refused, settings};
use crate::verdict::Answer;

/// A server with requests that are held open.
struct Site {
    world: World,
    connection: Connection,
    held: Vec<(View, AllFacts, Answer)>,
}

impl Site {
    fn new(configuration: &str) -> Site {
        let mut world = World::new(configuration);
        let connection = world.connect("10.0.0.1").expect("connected");
        Site { world, connection, held: Vec::new() }
    }

    fn begin(&mut self, mut view: View) -> Answer {
        let (answer, facts) = self.world.begin(&self.connection, &mut view);
        self.held.push((view, facts, answer));
        answer
    }

    /// Begins a request that passes and stays.
    #[track_caller]
    fn hold(&mut self, path: &str, times: usize) {
        for _ in 0..times {
            assert_eq!(self.begin(View::default().at(path, None)), Answer::Pass, "{path}");
        }
    }

    /// The words of a new request's denial; it ends at once.
    fn denied(&mut self, view: View) -> Option<String> {
        let answer = self.begin(view);
        self.end_last();
        let told = self.world.told();
        assert_eq!(told.len(), usize::from(answer != Answer::Pass), "{told:?}");
        let line = told.into_iter().next()?;
        let (_, words) = line.split_once("rule: ").expect("a rule");
        Some(words.split(", c=").next().expect("words").to_owned())
    }

    fn end_last(&mut self) -> View {
        let (mut view, facts, answer) = self.held.pop().expect("a request");
        self.world.end(&self.connection, &mut view, facts, answer, 200);
        view
    }

    fn end_all(&mut self) {
        while !self.held.is_empty() {
            self.end_last();
        }
    }
}

const TABLE: &str = r#"
    QS_LocRequestLimit /app 2
    QS_LocRequestLimit /app/sub 1
    QS_LocRequestLimitDefault 50
    QS_LocRequestLimitMatch "\.gif" 3
    QS_LocRequestLimitMatch "^/m/" 2
    QS_LocRequestLimitMatch "^/m/z" 5
"#;

fn at(path: &str) -> View {
    View::default().at(path, None)
}

/// As the client sent it, and as httpd serves it.
fn sent(raw: &str, path: &str) -> View {
    let mut view = at(path);
    view.aspects.insert(Aspect::RawUri, raw.as_bytes().to_vec());
    view
}

#[test]
fn the_table_of_the_specification() {
    let over_app = Some("/app(2), concurrent requests=3");
    for (held, times, new, expected) in [
        ("/app/", 2, at("/app/"), over_app),
        ("/app/", 2, sent("/%61pp/", "/app/"), over_app),
        ("/app/", 2, sent("//app/", "/app/"), over_app),
        ("/app/", 2, at("/appx"), over_app),
        ("/app/", 2, at("/ap"), None),
        ("/app/", 2, at("/APP"), None),
        ("/app/", 1, at("/app/"), None),
        ("/app/sub", 1, at("/app/sub/x"), Some("/app/sub(1), concurrent requests=2")),
        ("/app/", 2, at("/app/sub/x"), None),
        ("/app/", 2, at("/app/x.gif"), None),
        ("/app/", 2, at("/app/?x.gif"), None),
        ("/app/x.gif", 3, at("/x.gif"), Some(r"\.gif(3), concurrent requests=4")),
        ("/app/x.gif", 3, sent("/x%2egif", "/x.gif"), Some(r"\.gif(3), concurrent requests=4")),
        ("/m/z", 2, at("/m/z"), Some("^/m/(2), concurrent requests=3")),
        ("/m/z", 2, sent("/%6d/z", "/m/z"), Some("^/m/(2), concurrent requests=3")),
        ("/m/z", 2, sent("//m/z", "/m/z"), Some("^/m/(2), concurrent requests=3")),
        ("/zz", 50, at("/yy"), Some("/(50), concurrent requests=51")),
        ("/zz", 50, at("/app/"), None),
    ] {
        let mut site = Site::new(TABLE);
        site.hold(held, times);
        let name = format!("{times} x {held}, then {:?}", new.aspects.get(&Aspect::RawUri));
        assert_eq!(site.denied(new).as_deref(), expected, "{name}");
        site.end_all();
        let (store, policy) = (World::store(&site.world.memory), &site.world.policy.request_limit);
        let rules = policy.locations.iter().chain(policy.patterns.iter().map(|(_, rule)| rule));
        for rule in rules {
            assert_eq!(store.rules.open(rule.row), 0, "all is given back");
        }
    }
}

#[test]
fn a_denied_request_counts_until_it_ends_and_then_no_more() {
    let mut site = Site::new("QS_LocRequestLimit /app 1");
    site.hold("/app", 1);
    assert_eq!(site.begin(at("/app")), Answer::Deny(500));
    assert_eq!(site.begin(at("/app")), Answer::Deny(500));
    assert!(site.world.told().iter().any(|line| line.contains("concurrent requests=3, ")));
    site.end_last();
    let words =
        "mod_qos(010): access denied, QS_LocRequestLimit* rule: /app(1), concurrent requests=";
    let view = site.end_last();
    assert_eq!(view.text("QS_ErrorNotes"), Some("010"));
    assert_eq!(view.letters(), "D");
    site.world.told();
    assert_eq!(site.begin(at("/app")), Answer::Deny(500));
    assert_eq!(site.world.told(), [format!("{words}2, c=10.0.0.1, id=ID")]);
    site.end_all();
    site.hold("/app", 1);
}

#[test]
fn log_only_counts_and_tells_and_lets_through() {
    let mut site = Site::new("QS_LocRequestLimit /app 1\nQS_LogOnly on");
    site.hold("/app", 3);
    let line = "mod_qos(010): access denied (log only), QS_LocRequestLimit* rule: /app(1), \
                concurrent requests=3, c=10.0.0.1, id=ID";
    assert_eq!(site.world.told().last().map(String::as_str), Some(line));
    assert_eq!(site.end_last().letters(), "D");
}

#[test]
fn a_vip_is_counted_and_never_denied_and_marked_only_where_it_mattered() {
    let vip = |path: &str| {
        let mut view = at(path);
        view.known.is_vip = true;
        view
    };
    let mut site = Site::new(
        "QS_LocRequestLimit /app 1\nQS_CondLocRequestLimitMatch ^/c 0 x\n\
         QS_CondLocRequestLimitMatch ^/cond 1 x",
    );
    assert_eq!(site.begin(vip("/app")), Answer::Pass);
    assert_eq!(site.end_last().letters(), "");
    site.hold("/app", 1);
    assert_eq!(site.begin(vip("/app")), Answer::Pass);
    assert_eq!(site.held.last().map(|(view, ..)| view.letters()), Some("S"));
    assert_eq!(site.denied(at("/app")).as_deref(), Some("/app(1), concurrent requests=3"));
    assert!(site.world.told().is_empty());
}

#[test]
fn a_limit_of_zero_counts_and_a_pattern_with_it_exempts() {
    let mut site = Site::new(
        "QS_LocRequestLimit /app 1\nQS_LocRequestLimit /free 0\n\
         QS_LocRequestLimitMatch health 0\nQS_LocRequestLimitMatch ^/app/h 1",
    );
    site.hold("/app/health", 4);
    site.hold("/free", 3);
    assert_eq!(site.end_last().known.rule_requests, Some(3));
    site.hold("/app", 1);
    assert!(site.denied(at("/app")).is_some());
    let unlimited: Vec<&str> = site.world.policy.request_limit.unlimited().collect();
    assert_eq!(unlimited, ["/free", "health"]);
}

#[test]
fn of_equal_limits_the_first_in_the_file_counts() {
    let mut site = Site::new(
        "QS_LocRequestLimitMatch a 1\nQS_LocRequestLimitMatch b 1\nQS_LocRequestLimitMatch c 1",
    );
    site.hold("/cb", 1);
    assert_eq!(site.denied(at("/cba")), None, "that is a's");
    assert_eq!(site.denied(at("/bc")).as_deref(), Some("b(1), concurrent requests=2"));
}

const CONDITIONAL: &str =
    "QS_LocRequestLimitMatch ^/c/ 4\nQS_CondLocRequestLimitMatch ^/c/ 1 spider";

#[test]
fn a_conditional_limit_counts_all_and_denies_some() {
    let spider = || at("/c/").and("QS_Cond", "a spider");
    let mut site = Site::new(CONDITIONAL);
    assert_eq!(site.begin(spider()), Answer::Pass, "the first");
    site.end_last();
    site.hold("/c/", 1);
    assert_eq!(site.denied(at("/c/")), None, "without the condition");
    assert_eq!(site.denied(at("/c/").and("QS_Cond", "ant")), None, "with another one");
    assert_eq!(site.denied(spider()).as_deref(), Some("^/c/(1), concurrent requests=2"));
    site.begin(spider());
    assert_eq!(
        site.world.told(),
        ["mod_qos(011): access denied, QS_CondLocRequestLimitMatch rule: ^/c/(1), \
          concurrent requests=2, c=10.0.0.1, id=ID"]
    );
    let view = site.end_last();
    assert_eq!((view.text("QS_ErrorNotes"), view.letters()), (Some("011"), "D"));
    let mut vip = spider();
    vip.known.is_vip = true;
    assert_eq!(site.begin(vip), Answer::Pass);
    assert_eq!(site.end_last().letters(), "S");
}

#[test]
fn who_is_over_the_location_s_limit_is_not_counted_for_the_condition() {
    let mut site = Site::new(
        "QS_LocRequestLimit /c 1\nQS_CondLocRequestLimitMatch ^/c 1 x\nQS_LocRequestLimit / 9",
    );
    site.hold("/c", 1);
    let spider = || at("/c").and("QS_Cond", "x");
    assert_eq!(site.denied(spider()).as_deref(), Some("/c(1), concurrent requests=2"));
    site.end_all();
    site.hold("/c", 1);
}

#[test]
fn what_was_counted_is_known_when_it_is_logged() {
    let mut site =
        Site::new("QS_LocRequestLimit /app 9\nQS_CondLocRequestLimitMatch ^/(app|c) 9 x");
    site.hold("/app", 2);
    site.hold("/c", 1);
    assert_eq!(site.end_last().known.rule_requests, Some(3), "of the conditional rule");
    assert_eq!(site.end_last().known.rule_requests, Some(2), "of the location");
    site.hold("/other", 1);
    assert_eq!(site.end_last().known.rule_requests, None);
}

#[test]
fn a_later_line_replaces_one_of_the_same_key_and_no_other() {
    let mut site = Site::new(
        "QS_LocRequestLimit /y 1\nQS_LocRequestLimit /Y 9\nQS_LocRequestLimitMatch /z 1\n\
         QS_LocRequestLimit /z 9\nQS_LocRequestLimit /y 2",
    );
    site.hold("/y", 2);
    assert_eq!(site.denied(at("/y")).as_deref(), Some("/y(2), concurrent requests=3"));
    site.hold("/Y", 9);
    site.hold("/z", 1);
    assert_eq!(site.denied(at("/z")).as_deref(), Some("/z(1), concurrent requests=2"));
}

#[test]
fn a_virtual_host_has_its_own_rules_first_and_those_of_the_base_besides() {
    let base =
        settings("QS_LocRequestLimit /a 1\nQS_LocRequestLimit /b 2\nQS_LocRequestLimitMatch x 1");
    let host = settings(
        "QS_LocRequestLimitMatch y 1\nQS_LocRequestLimit /b 3\nQS_CondLocRequestLimitMatch z 1 z",
    );
    let merged = host.over(&base).request_limit;
    let prefixes: Vec<(&str, u32)> =
        merged.prefixes.iter().map(|(text, max)| (text.as_str(), *max)).collect();
    assert_eq!(prefixes, [("/b", 3), ("/a", 1)]);
    let patterns: Vec<&str> = merged.patterns.iter().map(|(pattern, _)| pattern.text()).collect();
    assert_eq!(patterns, ["y", "x"]);
    assert_eq!(merged.conditional.len(), 1);
}

#[test]
fn servers_count_for_themselves_and_find_their_counts_again() {
    let world = World::new("");
    let store = World::store(&world.memory);
    let policy = || {
        let settings = settings(
            "QS_LocRequestLimit /a 1\nQS_LocRequestLimitMatch /a 1\nQS_EventRequestLimit /a 1",
        );
        crate::rules::Policy::resolve(&settings, Capacity { max_clients: 1, connections: 1 })
    };
    let mut rows = Vec::new();
    for server in [1, 2] {
        let mut first = policy();
        first.find_rows(&store, server, 1).expect("rows");
        let mut again = policy();
        again.find_rows(&store, server, 2).expect("rows");
        let row = |policy: &crate::rules::Policy| {
            (policy.request_limit.locations[0].row, policy.request_limit.patterns[0].1.row)
        };
        assert_eq!(row(&first), row(&again));
        rows.extend([row(&first).0, row(&first).1]);
    }
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 4, "each rule of each server has its own");
}

#[test]
fn what_is_no_limit_is_refused() {
    for line in [
        "QS_LocRequestLimit /app 5x",
        "QS_LocRequestLimit /app -1",
        "QS_LocRequestLimit /app 2147483648",
        "QS_LocRequestLimit /app x",
        "QS_LocRequestLimit /app \"\"",
        "QS_LocRequestLimit \"\" 5",
        "QS_LocRequestLimitDefault 5x",
        "QS_LocRequestLimitDefault -1",
        "QS_LocRequestLimitDefault x",
        "QS_LocRequestLimitDefault 1.5",
        "QS_LocRequestLimitDefault 99999999999",
        "QS_LocRequestLimitMatch ( 5",
        "QS_LocRequestLimitMatch [a 5",
        "QS_LocRequestLimitMatch a{2,1} 5",
        "QS_LocRequestLimitMatch a 5x",
        "QS_LocRequestLimitMatch a -1",
        "QS_CondLocRequestLimitMatch ( 5 a",
        "QS_CondLocRequestLimitMatch a 5 (",
        "QS_CondLocRequestLimitMatch a 5 *",
        "QS_CondLocRequestLimitMatch a x a",
        "QS_CondLocRequestLimitMatch a -1 a",
    ] {
        let error = refused(line);
        assert!(error.starts_with(line.split(' ').next().expect("a name")), "{error}");
    }
    assert_eq!(
        refused("QS_LocRequestLimit /app 5x"),
        "QS_LocRequestLimit: '5x' is not allowed here, it takes a whole number from 0 to 2147483647"
    );
}

#[test]
fn a_request_that_is_never_logged_is_given_back_with_its_memory() {
    let mut site = Site::new("QS_LocRequestLimit /app 1");
    site.hold("/app", 1);
    let (mut view, mut facts, _) = site.held.pop().expect("held");
    site.world.exchange(&site.connection, &mut view, |rules, exchange| {
        phases::release(rules, exchange, &mut facts);
    });
    site.hold("/app", 1);
}

#[test]
fn a_uri_that_takes_a_pattern_too_long_is_counted_and_told_of() {
    let hard = format!("/{}!", "a".repeat(40));
    let mut site = Site::new(
        r#"QS_LocRequestLimitMatch "^/(?=a)(a|aa|b\1?)+$" 1
           QS_CondLocRequestLimitMatch ^/c 1 "^(?=a)(a|aa|b\1?)+$""#,
    );
    site.hold(&hard, 1);
    let told = |rule: &str, pattern: &str| {
        format!(
            "mod_qos(304): {rule} rule: regular expression reached its step limit, taken as match, \
             rule={pattern}, c=10.0.0.1, id=ID"
        )
    };
    let pattern = r"^/(?=a)(a|aa|b\1?)+$";
    assert_eq!(site.world.told(), [told("QS_LocRequestLimitMatch", pattern)]);
    assert!(site.denied(at(&hard)).is_some(), "it is no way around");
    site.hold("/c", 1);
    let cond = &hard[1..];
    assert_eq!(site.begin(at("/c").and("QS_Cond", cond)), Answer::Deny(500));
    let told_of = site.world.told();
    assert_eq!(
        told_of.first(),
        Some(&told("QS_CondLocRequestLimitMatch", &pattern.replace("^/", "^")))
    );
    assert_eq!(told_of.len(), 2, "and the denial");
}
