use crate::context::Connection;
use crate::testing::{View, World, refused, settings};
use crate::values::Capacity;
use crate::verdict::Answer;

const CAPACITY: Capacity = Capacity { max_clients: 40, connections: 40 };
const DENIED: Answer = Answer::Deny(500);

/// One request; its answer, the counter it saw and the time that remains.
fn ask(world: &mut World, connection: &Connection, mut view: View) -> (Answer, String, String) {
    let answer = world.request(connection, &mut view, 200);
    let text = |name| view.text(name).unwrap_or("-").to_owned();
    (answer, text("EVT_Counter"), text("EVT_Remaining"))
}

fn seen(answer: Answer, counter: &str, remaining: &str) -> (Answer, String, String) {
    (answer, counter.to_owned(), remaining.to_owned())
}

fn event() -> View {
    View::with("EVT", "1")
}

#[test]
fn the_third_of_three_is_denied_and_so_is_everything_until_the_window_ends() {
    let mut world = World::new("QS_ClientEventLimitCount 3 4 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    assert_eq!(ask(&mut world, &client, View::default()), seen(Answer::Pass, "0", "0"));
    assert_eq!(ask(&mut world, &client, event()), seen(Answer::Pass, "1", "4"));
    world.wait(900);
    // All of them in the first second, and none is left only when it is over.
    assert_eq!(ask(&mut world, &client, View::default()), seen(Answer::Pass, "1", "4"));
    world.wait(125);
    assert_eq!(ask(&mut world, &client, event()), seen(Answer::Pass, "2", "3"));
    let mut third = event();
    assert_eq!(world.request(&client, &mut third, 200), DENIED);
    assert_eq!((third.letters(), third.text("QS_ErrorNotes")), ("Dr", Some("067")));
    assert_eq!(
        world.told(),
        [
            "mod_qos(067): access denied, QS_ClientEventLimitCount rule: event=EVT, max=3, current=3, age=1, c=192.0.2.1, id=ID"
        ]
    );
    assert_eq!(ask(&mut world, &client, View::default()), seen(DENIED, "3", "3"));
    assert_eq!(ask(&mut world, &client, event()), seen(DENIED, "4", "3"));
    let other = world.connect("192.0.2.2").expect("let in");
    assert_eq!(ask(&mut world, &other, event()), seen(Answer::Pass, "1", "4"));
    // The window is that of the first event: denied requests do not move it.
    world.wait(2900);
    assert_eq!(ask(&mut world, &client, View::default()), seen(DENIED, "4", "1"));
    world.wait(200);
    assert_eq!(ask(&mut world, &client, View::default()), seen(Answer::Pass, "0", "0"));
    assert_eq!(ask(&mut world, &client, event()), seen(Answer::Pass, "1", "4"));
}

#[test]
fn points_are_taken_back_and_forgotten() {
    let mut world = World::new("QS_ClientEventLimitCount 3 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    let mut counter = |view: View| ask(&mut world, &client, view).1;
    assert_eq!(counter(event()), "1");
    // Counts at the end of the request that has it.
    assert_eq!(counter(View::with("EVT_Decrement", "1")), "1");
    assert_eq!(counter(View::default()), "0");
    assert_eq!(counter(View::with("EVT", "2")), "2");
    assert_eq!(counter(View::with("EVT_Clear", "x")), "0");
    assert_eq!(counter(View::with("EVT", "abc")), "1");
    assert_eq!(counter(View::with("EVT", "0")), "2");
    assert_eq!(counter(View::with("EVT_Decrement", "-5")), "2");
    assert_eq!(counter(View::with("EVT", "40000")), "40001");
}

#[test]
fn what_the_response_sets_counts_at_its_end_and_once() {
    let mut world = World::new("QS_ClientEventLimitCount 2 60 EVT\nQS_SetEnvIfStatus 404 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    for expected in [Answer::Pass, Answer::Pass, DENIED] {
        assert_eq!(world.request(&client, &mut View::default(), 404), expected);
    }
    let other = world.connect("192.0.2.2").expect("let in");
    assert_eq!(world.request(&other, &mut event(), 404), Answer::Pass, "counted before");
    assert_eq!(ask(&mut world, &other, View::default()).1, "1");
}

#[test]
fn a_value_for_a_limit_is_a_number_wherever_it_stands() {
    let policy = |lines: &str| crate::rules::Policy::resolve(&settings(lines), CAPACITY);
    let limit = "QS_ClientEventLimitCount 2 60 EVT";
    for (line, is_wrong) in [
        ("QS_SetEnvIfStatus 404 EVT", false),
        ("QS_SetEnvIfStatus 404 EVT=2", false),
        ("QS_SetEnvIfStatus 404 evt=x", true),
        ("QS_SetEnvIfStatus 404 EVT_Decrement=-1", true),
        ("QS_SetEnvIfStatus 404 OTHER=x", false),
    ] {
        for lines in [format!("{line}\n{limit}"), format!("{limit}\n{line}")] {
            assert_eq!(policy(&lines).errors().count() > 0, is_wrong, "{lines}");
        }
    }
    let mended = policy(&format!("QS_SetEnvIfStatus 404 EVT\n{limit}")).variable.mended;
    assert_eq!(mended, [(404, "EVT".to_owned())]);
}

#[test]
fn a_condition_decides_who_is_denied_and_not_what_counts() {
    let mut world = World::new("QS_CondClientEventLimitCount 2 60 EVT ^bad$");
    let client = world.connect("192.0.2.1").expect("let in");
    for _ in 0..4 {
        assert_eq!(ask(&mut world, &client, event()).0, Answer::Pass);
    }
    let good = View::with("QS_Cond", "good");
    assert_eq!(ask(&mut world, &client, good).0, Answer::Pass);
    assert_eq!(ask(&mut world, &client, View::with("QS_Cond", "bad")).0, DENIED);
    let line = "mod_qos(067): access denied, QS_CondClientEventLimitCount rule: event=EVT, max=2, current=4, age=0, c=192.0.2.1, id=ID";
    assert_eq!(world.told(), [line]);
    let mut marked = View::with("QS_Cond", "good");
    world.request(&client, &mut marked, 200);
    assert_eq!(marked.letters(), "r", "over the limit, though not denied");
    ask(&mut world, &client, View::with("EVT_Clear", ""));
    assert_eq!(ask(&mut world, &client, View::with("QS_Cond", "bad")).0, Answer::Pass);
}

#[test]
fn a_limit_of_zero_denies_everybody_and_log_only_nobody() {
    let mut world = World::new("QS_ClientEventLimitCount 0 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    assert_eq!(ask(&mut world, &client, View::default()).0, DENIED);
    let line =
        "QS_ClientEventLimitCount rule: event=EVT, max=0, current=0, age=0, c=192.0.2.1, id=ID";
    assert_eq!(world.told(), [format!("mod_qos(067): access denied, {line}")]);
    let mut world = World::new("QS_LogOnly on\nQS_ClientEventLimitCount 0 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    let mut view = View::default();
    assert_eq!(world.request(&client, &mut view, 200), Answer::Pass);
    assert_eq!(view.letters(), "Dr");
    assert_eq!(world.told(), [format!("mod_qos(067): access denied (log only), {line}")]);
}

#[test]
fn each_limit_counts_for_itself_and_the_first_in_the_configuration_is_told_of() {
    let mut world = World::new(
        "QS_ClientEventLimitCount 2 60 A\nQS_ClientEventLimitCount 2 60 B\nQS_ClientEventLimitCount 9",
    );
    let client = world.connect("192.0.2.1").expect("let in");
    let both = || View::with("A", "1").and("B", "1").and("QS_Limit", "1");
    assert_eq!(world.request(&client, &mut both(), 200), Answer::Pass);
    let mut second = both();
    assert_eq!(world.request(&client, &mut second, 200), DENIED);
    assert_eq!([second.text("A_Counter"), second.text("B_Counter")], [Some("2"), Some("2")]);
    assert_eq!(second.text("QS_Limit_Remaining"), Some("600"));
    let told = world.told();
    assert!(told.len() == 1 && told[0].contains("event=A, max=2"), "{told:?}");
    let mut clear = View::with("a_clear", "1");
    assert_eq!(world.request(&client, &mut clear, 200), DENIED, "by the other one");
    assert!(world.told()[0].contains("event=B, max=2"));
}

#[test]
fn a_block_is_told_of_before_a_limit() {
    let mut world = World::new("QS_ClientEventBlockCount 1 60\nQS_ClientEventLimitCount 1 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    let mut view = event().and("QS_Block", "1");
    assert_eq!(world.request(&client, &mut view, 200), DENIED);
    assert_eq!(view.text("EVT_Counter"), Some("1"), "and the limit has counted");
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("mod_qos(060)"), "{told:?}");
}

#[test]
fn a_header_says_whom_a_limit_counts_but_not_whom_a_block_does() {
    let mut world = World::new(
        "QS_ClientIpFromHeader X-F\nQS_ClientEventLimitCount 2 60 EVT\nQS_ClientEventBlockCount 9 60",
    );
    let proxy = world.connect("192.0.2.1").expect("let in");
    let of = |address: &str| event().and_header("X-F", address);
    assert_eq!(ask(&mut world, &proxy, of("203.0.113.5")).0, Answer::Pass);
    let mut second = of("203.0.113.5").and("QS_Block", "1");
    assert_eq!(world.request(&proxy, &mut second, 200), DENIED);
    assert_eq!(second.letters(), "D", "the peer is not marked");
    assert_eq!(
        world.told(),
        [
            "mod_qos(067): access denied, QS_ClientEventLimitCount rule: event=EVT, max=2, current=2, age=0, c=203.0.113.5, id=ID"
        ]
    );
    assert_eq!(ask(&mut world, &proxy, of("203.0.113.6")).0, Answer::Pass);
    assert_eq!(ask(&mut world, &proxy, of("2001:db8::1")).0, Answer::Pass);
    assert_eq!(ask(&mut world, &proxy, of("2001:db8::2")).0, DENIED, "one network is one client");
    assert!(world.told()[0].contains("net=2001:db8::/64, c=2001:db8::2, id=ID"));
    // The peer is a client like any other.
    assert_eq!(ask(&mut world, &proxy, of("192.0.2.1")).1, "1");
    assert!(world.told().is_empty());
}

#[test]
fn a_request_without_a_good_address_is_the_peers_and_told_of_once() {
    let mut world = World::new("QS_ClientIpFromHeader X-F\nQS_ClientEventLimitCount 9 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    let fallback = "fallback to connection's IP 192.0.2.1, id=ID";
    assert_eq!(ask(&mut world, &client, event()).1, "1");
    assert_eq!(
        world.told(),
        [format!(
            "mod_qos(069): no valid IP header found (@hp): header 'X-F' not available, {fallback}"
        )]
    );
    let long = "x".repeat(300);
    for (value, shown) in
        [("1.2.3.4, 5.6.7.8", "1.2.3.4, 5.6.7.8"), ("abc", "abc"), ("", ""), (&*long, &long[..100])]
    {
        let mut view = event().and_header("X-F", value);
        world.request(&client, &mut view, 200);
        assert_eq!(view.text("QS_ErrorNotes"), Some("069"));
        let line = format!(
            "mod_qos(069): no valid IP header found (@hp): invalid header value '{shown}', {fallback}"
        );
        assert_eq!(world.told(), [line]);
    }
    assert_eq!(ask(&mut world, &client, View::default()).1, "5");
}

#[test]
fn a_name_in_a_header_is_a_client_of_its_own() {
    let mut world = World::new("QS_ClientIpFromHeader #X-User\nQS_ClientEventLimitCount 2 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    let of = |name: &str| event().and_header("X-User", name);
    for (name, expected) in
        [("abc", Answer::Pass), ("abd", Answer::Pass), ("abc", DENIED), ("xyz", Answer::Pass)]
    {
        assert_eq!(ask(&mut world, &client, of(name)).0, expected, "{name}");
    }
    assert!(world.told()[0].contains("c=9001:5098:3cd2:4fb0:d696:3f7d:28e1:7f72, id=ID"));
    ask(&mut world, &client, event());
    assert!(world.told()[0].contains("header '#X-User' not available"));
}

#[test]
fn limits_come_and_go_with_restarts_and_keep_what_they_counted() {
    let mut world = World::new("QS_ClientEventLimitCount 2 60 EVT");
    let client = world.connect("192.0.2.1").expect("let in");
    assert_eq!(ask(&mut world, &client, event()).1, "1");
    world.restart("QS_ClientEventLimitCount 5 60 NEW\nQS_ClientEventLimitCount 2 60 evt", 2);
    let mut view = View::with("NEW", "1").and("evt", "1");
    assert_eq!(world.request(&client, &mut view, 200), DENIED);
    assert_eq!([view.text("new_counter"), view.text("evt_counter")], [Some("1"), Some("2")]);
    world.restart("QS_ClientEventLimitCount 5 60 NEW", 3);
    assert_eq!(world.request(&client, &mut View::default(), 200), Answer::Pass);
}

#[test]
fn a_limited_client_keeps_its_row_in_a_crowd() {
    let mut world =
        World::new("QS_ClientEventLimitCount 1 600 EVT\nQS_ClientEventLimitCount 9 60 B");
    let client = world.connect("192.0.2.1").expect("let in");
    assert_eq!(world.request(&client, &mut event().and("B", "1"), 200), DENIED);
    let harmless = world.connect("192.0.2.2").expect("let in");
    assert_eq!(world.request(&harmless, &mut View::with("B", "1"), 200), Answer::Pass);
    world.close(client);
    world.close(harmless);
    world.wait(1000);
    for number in 0..2000 {
        let address = format!("10.0.{}.{}", number / 250, number % 250);
        let passer_by = world.connect(&address).expect("let in");
        world.close(passer_by);
    }
    let client = world.connect("192.0.2.1").expect("let in");
    assert_eq!(world.request(&client, &mut View::default(), 200), DENIED);
    let harmless = world.connect("192.0.2.2").expect("let in");
    let mut view = View::default();
    world.request(&harmless, &mut view, 200);
    assert_eq!(view.text("B_Counter"), Some("0"), "its row went, and is clean");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, word) in [
        ("QS_ClientEventLimitCount -1", "'-1'"),
        ("QS_ClientEventLimitCount 5x", "'5x'"),
        ("QS_ClientEventLimitCount 2147483648", "'2147483648'"),
        ("QS_ClientEventLimitCount 5 0", "'0'"),
        ("QS_ClientEventLimitCount 5 60s", "'60s'"),
        ("QS_ClientEventLimitCount 5 60 A=1", "'A=1'"),
        ("QS_ClientEventLimitCount 5 60 !A", "'!A'"),
        ("QS_ClientEventLimitCount 5 60 A B", "one to three"),
        ("QS_ClientEventLimitCount", "one to three"),
        ("QS_CondClientEventLimitCount 5 60 A", "four"),
        ("QS_CondClientEventLimitCount 5 60 A b c", "four"),
        ("QS_CondClientEventLimitCount 5 60 A (b", "'(b'"),
        ("QS_CondClientEventLimitCount 5 0 A b", "'0'"),
        ("QS_CondClientEventLimitCount x 60 A b", "'x'"),
    ] {
        let error = refused(line);
        assert!(error.contains(word), "{line}: {error}");
    }
    let taken = std::panic::catch_unwind(|| {
        settings("QS_ClientEventLimitCount 5 60 A\nQS_CondClientEventLimitCount 5 60 a b")
    });
    assert!(taken.is_err(), "one variable, two limits");
}

#[test]
fn there_may_be_many_limits_but_not_any_number() {
    let lines = |count: u32| {
        (0..count).map(|n| format!("QS_ClientEventLimitCount 5 60 V{n}\n")).collect::<String>()
    };
    let mut world = World::new(&lines(192));
    let client = world.connect("192.0.2.1").expect("let in");
    let mut view = View::with("V191", "3");
    world.request(&client, &mut view, 200);
    assert_eq!((view.text("V191_Counter"), view.text("V190_Counter")), (Some("3"), Some("0")));
    // All others at once: those that went give their columns away.
    world.restart(&lines(192).replace('V', "W"), 2);
    let mut view = View::default();
    world.request(&client, &mut view, 200);
    assert_eq!(view.text("W191_Counter"), Some("0"));
    assert!(std::panic::catch_unwind(|| settings(&lines(193))).is_err());
}
