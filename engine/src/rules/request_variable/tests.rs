use crate::context::{Aspect, Connection};
use crate::directive::InLocation;
use crate::directive::Place;
use crate::phases;
use crate::rules::{LocationSettings, Settings};
use crate::testing::{self, View, World, refused};

/// A request on a connection of its own, up to its content.
fn begun(configuration: &str, mut view: View) -> View {
    let mut world = World::new(configuration);
    let connection = world.connect("192.0.2.1").expect("free");
    let _ = world.begin(&connection, &mut view);
    world.close(connection);
    view
}

fn in_location(lines: &str) -> LocationSettings {
    let mut location = LocationSettings::default();
    for line in lines.lines() {
        testing::set(&mut Settings::default(), &mut location, Place::Location, line).expect(line);
    }
    location
}

fn admit(world: &mut World, connection: &Connection, location: &LocationSettings, view: &mut View) {
    let mut facts = crate::rules::Facts::default();
    world.exchange(connection, view, |rules, exchange| {
        let rules = phases::Rules { policy: rules.policy, location: Some(location) };
        phases::admit(rules, exchange, &mut facts)
    });
}

#[test]
fn a_variable_that_matches_sets_or_removes_another() {
    for (rules, expected) in [
        ("QS_SetEnvIf VA=^(x+)(y+)$ VB=$2$1", Some("yxx")),
        ("QS_SetEnvIf VA=^(x+)(y+)$ VB=[$3]", Some("[]")),
        ("QS_SetEnvIf VA=^(x+) VB=\\$1&", Some("$1&")),
        ("QS_SetEnvIf VA=y=1 VB=1", None),
        ("QS_SetEnvIf va=y VB=", Some("")),
        ("QS_SetEnvIf NONE=.* VB=1", None),
        ("QS_SetEnvIf VA=x VB=1\nQS_SetEnvIf VB=1 !VB", None),
        ("QS_SetEnvIf VA=x VB=1\nQS_SetEnvIf VB=1 VB=2", Some("2")),
        ("QS_SetEnvIf VA VC VB=1", Some("1")),
        ("QS_SetEnvIf VA NONE VB=1", None),
        ("QS_SetEnvIf VA !NONE VB=$1=", Some("$1=")),
        ("QS_SetEnvIf !VA VC VB=1", None),
        ("QS_SetEnvIf VA VC VB=1\nQS_SetEnvIf VA VC !VB", None),
    ] {
        let view = begun(rules, View::with("VA", "xxy").and("VC", ""));
        assert_eq!(view.text("VB"), expected, "{rules}");
    }
}

#[test]
fn a_query_that_matches_sets_a_variable() {
    for (rules, query, expected) in [
        ("QS_SetEnvIfQuery id=([0-9]*) VA=$1", Some("a&id=17&b"), Some("17")),
        ("QS_SetEnvIfQuery id=%31 VA", Some("id=%31"), Some("")),
        ("QS_SetEnvIfQuery id=1 VA", Some("id=%31"), None),
        ("QS_SetEnvIfQuery .* VA", None, None),
        ("QS_SetEnvIfQuery .* VA", Some(""), Some("")),
        // One pattern sets two variables: the C module keeps the second only.
        (
            "QS_SetEnvIfQuery a VA=1\nQS_SetEnvIfQuery A VA=2\nQS_SetEnvIfQuery a VB",
            Some("a"),
            Some("1"),
        ),
    ] {
        let view = begun(rules, View::default().at("/", query));
        assert_eq!(view.text("VA"), expected, "{rules}");
    }
}

#[test]
fn a_composed_value_comes_behind_the_conditions() {
    let rules = "QS_SetEnv VB <${VA}>\nQS_SetEnv VC ${VB}${VB}\nQS_SetEnv VD ${NONE}\n\
                 QS_SetEnvIf VX=1 VA=2";
    let view = begun(rules, View::with("VX", "1"));
    assert_eq!(
        (view.text("VB"), view.text("VC"), view.text("VD")),
        (Some("<2>"), Some("<2><2>"), None)
    );
}

#[test]
fn conditions_are_asked_again_when_the_request_is_logged() {
    let mut world = World::new(
        "QS_ClientEventBlockCount 2 60\nQS_SetEnvIf QS_Late=1 QS_Block=1\nQS_SetEnvIfStatus 404 QS_Late=1",
    );
    let connection = world.connect("192.0.2.1").expect("free");
    for _ in 0..2 {
        world.request(&connection, &mut View::default().at("/", None), 404);
    }
    world.close(connection);
    assert!(world.connect("192.0.2.1").is_none(), "what was set when it was logged counts");
}

#[test]
fn outer_rules_come_first_and_the_servers_before_those_of_the_location() {
    let outer = in_location("QS_SetEnvIf VA=(.*) VA=$1o\nQS_SetEnvIfQuery . QQ=o");
    let inner = in_location("QS_SetEnvIf VA=(.*) VA=$1i\nQS_SetEnvIfQuery . QQ=i");
    let merged = inner.over(&outer);
    assert!(!merged.is_empty());
    let mut world = World::new("QS_SetEnvIf VA=(.*) VA=$1s");
    let connection = world.connect("192.0.2.1").expect("free");
    let mut view = View::with("VA", "-").at("/", Some("q"));
    admit(&mut world, &connection, &merged, &mut view);
    assert_eq!((view.text("VA"), view.text("QQ")), (Some("-soi"), Some("i")));
    world.close(connection);

    let mut base = testing::settings("QS_SetEnv VA base");
    base.request_variable =
        testing::settings("QS_SetEnv VA host").request_variable.over(&base.request_variable);
    let policy = super::Policy::resolve(
        &base.request_variable,
        crate::values::Capacity { max_clients: 1, connections: 1 },
    );
    assert_eq!(policy.compositions.len(), 2, "the host's is the last, and holds");
}

#[test]
fn variables_are_compared_in_a_location() {
    let location = in_location("QS_SetEnvIfCmp VA gt VB VC=more\nQS_SetEnvIfCmp VA EQ VB !VD");
    let mut world = World::new("");
    let connection = world.connect("192.0.2.1").expect("free");
    for (first, second, more, kept) in [
        ("5", "3", Some("more"), Some("1")),
        ("3", "5", None, Some("1")),
        ("7", "007", None, None),
        ("b", "a", Some("more"), Some("1")),
    ] {
        let mut view = View::with("VA", first).and("VB", second).and("VD", "1");
        admit(&mut world, &connection, &location, &mut view);
        assert_eq!((view.text("VC"), view.text("VD")), (more, kept), "{first} {second}");
    }
    let mut view = View::with("VA", "1");
    admit(&mut world, &connection, &location, &mut view);
    assert_eq!(view.text("VC"), None, "one of them is not set");
    world.close(connection);
}

#[test]
fn all_variables_are_told_of_at_each_step() {
    let mut world = World::new("QS_LogEnv on");
    let connection = world.connect("192.0.2.1").expect("free");
    world.request(&connection, &mut View::with("VA", "x\n\u{e4}"), 200);
    world.close(connection);
    let told = world.told();
    let markers = [">PR_1", ">PR_2", ">HP_1", ">HP_2", ">HP_3", "<LG_1"];
    assert_eq!(told.len(), markers.len());
    for (line, marker) in told.iter().zip(markers) {
        assert_eq!(line, &format!("mod_qos(210): ENV {marker} va=x\\x0a\\xc3\\xa4; ID"));
    }
}

#[test]
fn a_pattern_that_takes_too_long_does_not_match_and_says_so_once_a_second() {
    let mut world = World::new("QS_SetEnvIf VA=^(?=a)(a|aa|b\\1?)+$ VB=1");
    let connection = world.connect("192.0.2.1").expect("free");
    let view = || View::with("VA", &format!("{}!", "a".repeat(40)));
    for _ in 0..2 {
        let mut view = view();
        world.request(&connection, &mut view, 200);
        assert_eq!(view.text("VB"), None);
    }
    world.wait(1001);
    world.request(&connection, &mut view(), 200);
    let line = "mod_qos(304): QS_SetEnvIf rule: regular expression reached its step limit, taken as no match, \
                rule=^(?=a)(a|aa|b\\1?)+$, c=192.0.2.1, id=ID";
    assert_eq!(world.told(), [line, line]);
    world.close(connection);
    let store = World::store(&world.memory);
    assert_eq!(store.totals.of(304), 6, "each of them counts");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, reason) in [
        ("QS_SetEnvIf A", "takes two or three arguments"),
        ("QS_SetEnvIf A B C D", "takes two or three arguments"),
        ("QS_SetEnvIf A B C", "new variable must have the format <name>=<value>"),
        ("QS_SetEnvIf A=b C", "new variable must have the format <name>=<value>"),
        ("QS_SetEnvIf A B=1", "missing pattern for variable1"),
        ("QS_SetEnvIf A=( B=1", "a ')' is missing"),
        ("QS_SetEnvIf !A=b B=1", "'!A=b'"),
        ("QS_SetEnvIf =b B=1", "'=b'"),
        ("QS_SetEnvIf A=b =1", "'=1'"),
        ("QS_SetEnvIf A ! B=1", "'!'"),
        ("QS_SetEnvIfQuery a b", "variable name is too short (b)"),
        ("QS_SetEnvIfQuery ( bb", "a ')' is missing"),
        ("QS_SetEnvIfQuery a =bb", "'=bb'"),
        ("QS_SetEnvIfQuery a{5,2} bb", "runs backwards"),
        ("QS_SetEnvIfQuery a !=bb", "'!=bb'"),
        ("QS_SetEnv a=b c", "variable must not contain a '='"),
        ("QS_SetEnv \"\" c", "invalid parameter"),
        ("QS_SetEnv a \"\"", "invalid parameter"),
        ("QS_SetEnv !a b", "'!a'"),
        ("QS_SetEnvIfCmp A eq B C", "may only be used in a location"),
        ("QS_LogEnv yes", "'on' or 'off'"),
    ] {
        let error = refused(line);
        assert!(error.contains(reason), "{line}: {error}");
    }
    for (line, reason) in [
        ("QS_SetEnvIfCmp A eq B", "requires 4 arguments"),
        ("QS_SetEnvIfCmp A eq B C D", "requires 4 arguments"),
        ("QS_SetEnvIfCmp A ge B C", "invalid operator 'ge'"),
        ("QS_SetEnvIfCmp A eq !B C", "'!B'"),
        ("QS_SetEnvIfCmp A eq B =1", "'=1'"),
        ("QS_SetEnv A b", "cannot occur within a location"),
        ("QS_LogEnv on", "cannot occur within a location"),
    ] {
        let error = testing::set(
            &mut Settings::default(),
            &mut LocationSettings::default(),
            Place::Location,
            line,
        )
        .expect_err(line);
        assert!(error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn the_query_is_what_the_client_sent() {
    let mut view = View::default().at("/", Some("a=%2e"));
    assert!(view.aspects.contains_key(&Aspect::Query));
    view = begun("QS_SetEnvIfQuery a=%2e VA=$0", view);
    assert_eq!(view.text("VA"), Some("a=%2e"));
}
