use super::*;
use crate::context::Connection;
use crate::testing::{View, World, refused as refused_line};
use crate::verdict::Answer;

const RULES: &str = "QS_ClientEventBlockCount 3 60
    QS_ClientEventLimitCount 3 60
    QS_CondClientEventLimitCount 5 100 EVT x";

/// An administrator at a server.
pub(super) struct Admin {
    pub(super) world: World,
    connection: Connection,
}

impl Admin {
    pub(super) fn new(rules: &str) -> Admin {
        let mut world = World::new(rules);
        let connection = world.connect("127.0.0.1").expect("open");
        Admin { world, connection }
    }

    pub(super) fn send(&mut self, view: &mut View, body: &[u8]) -> (u16, String) {
        self.world.exchange(&self.connection, view, |rules, exchange| {
            let page = match begin(rules.policy, exchange) {
                Step::Answer(page) => page,
                Step::Body => load(rules.policy, exchange, body),
                Step::List(mut page, lines) => {
                    let epoch = exchange.request.arrived_at();
                    list(rules.policy, &exchange.moment, epoch, &lines, &mut |line| {
                        page.body.extend_from_slice(line.as_bytes());
                        true
                    });
                    page
                }
            };
            (page.status, String::from_utf8(page.body).expect("text"))
        })
    }

    fn ask(&mut self, query: &str) -> (u16, String) {
        self.send(&mut request("GET", query), b"")
    }

    /// What a good action answers.
    #[track_caller]
    pub(super) fn get(&mut self, query: &str) -> String {
        let (status, text) = self.ask(query);
        assert_eq!(status, 200, "{query}: {text}");
        text
    }

    pub(super) fn load(&mut self, body: &str) -> (u16, String) {
        self.send(&mut request("POST", "action=load"), body.as_bytes())
    }

    pub(super) fn told(&mut self) -> Vec<String> {
        self.world.told()
    }
}

pub(super) fn request(method: &str, query: &str) -> View {
    let mut view = View::default().at("/console", Some(query));
    view.aspects.insert(Aspect::Method, method.as_bytes().to_vec());
    view
}

fn not_acceptable_line(text: &str) -> String {
    format!("mod_qos(070): console, not acceptable, {text}, id=ID")
}

#[test]
fn each_action_says_what_it_made_of_the_client() {
    let mut admin = Admin::new(RULES);
    for (query, answer) in [
        ("action=search&address=1.2.3.4", "not available"),
        ("action=block&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=1003/60 limit=0/0"),
        ("action=search&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=1003/60 limit=0/0"),
        ("action=unblock&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=0/0"),
        ("action=limit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=1003/60"),
        ("address=1.2.3.4&action=unlimit", "1.2.3.4 vip=no lowprio=no block=0/0 limit=0/0"),
        ("action=inclimit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=1/60"),
        ("action=inclimit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=2/60"),
        (
            "action=limit&address=1.2.3.4&event=EVT",
            "1.2.3.4 vip=no lowprio=no block=0/0 limit=1005/100",
        ),
        (
            "event=qs_limit&action=search&address=1.2.3.4",
            "1.2.3.4 vip=no lowprio=no block=0/0 limit=2/60",
        ),
        ("action=limit&address=1.2.3.4&event=no", "1.2.3.4 vip=no lowprio=no block=0/0 limit=0/0"),
        (
            "action=SetVip&address=2001%3Adb8%3A%3A2",
            "2001:db8::2 vip=yes lowprio=no block=0/0 limit=0/0",
        ),
        (
            "action=search&address=2001:DB8::/64",
            "2001:DB8::/64 vip=yes lowprio=no block=0/0 limit=0/0",
        ),
        (
            "action=unsetvip&address=2001:db8::3",
            "2001:db8::3 vip=no lowprio=no block=0/0 limit=0/0",
        ),
        ("action=setlowprio&address=1.2.3.4", "1.2.3.4 vip=no lowprio=yes block=0/0 limit=2/60"),
        ("action=unsetlowprio&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=2/60"),
    ] {
        assert_eq!(admin.get(query), format!("{answer}\n"), "{query}");
    }
}

#[test]
fn what_is_done_is_told_of_and_a_new_client_before_it() {
    let mut admin = Admin::new(RULES);
    admin.get("action=search&address=192.0.2.1");
    admin.get("action=Block&address=192.0.2.1");
    admin.get("action=why&address=192.0.2.1");
    let applied = |action: &str| {
        format!(
            "mod_qos(071): console, action '{action}' applied to client ip entry '192.0.2.1', id=ID"
        )
    };
    let added = "mod_qos(071): console, add new client ip entry '192.0.2.1', is=ID".to_owned();
    assert_eq!(admin.told(), [applied("search"), added, applied("Block"), applied("why")]);
    let mut view = request("GET", "action=search&address=192.0.2.1");
    admin.send(&mut view, b"");
    assert_eq!(view.text("QS_ErrorNotes"), Some("071"));
}

#[test]
fn what_makes_no_sense_is_not_acceptable_and_changes_nothing() {
    let mut admin = Admin::new(RULES);
    let missing = "missing request query (action/address)";
    let wrong = "invalid ip/wrong format";
    let long = format!("action={}&address=1.2.3.4", "x".repeat(1 << 20));
    let long_address = format!("action=block&address={}", "1".repeat(1 << 20));
    for (query, text) in [
        ("", missing),
        ("action=block", missing),
        ("address=1.2.3.4", missing),
        ("Action=block&address=1.2.3.4", missing),
        (&long, missing),
        ("action=foo&address=1.2.3.4", "unknown action 'foo'"),
        ("action=&address=1.2.3.4", "unknown action ''"),
        ("action=block%00&address=1.2.3.4", "unknown action 'block\0'"),
        ("action=<b>&address=1.2.3.4", "unknown action '<b>'"),
        ("action=%zz%&address=1.2.3.4", "unknown action '%zz%'"),
        ("action=block&address=*", wrong),
        ("action=foo&address=*", wrong),
        ("action=block&address=", wrong),
        ("action=block&address=abc", wrong),
        ("action=block&address=1.2.3.4%00", wrong),
        ("action=block&address=1.2.3.4/7", wrong),
        ("action=setvip&address=1.2.3.4/24", wrong),
        ("action=foo&address=1.2.3.4/7", wrong),
        ("action=block&address=2001:db8::/15", wrong),
        ("action=block&address=<script>alert(1)</script>", wrong),
        ("action=setvip&address=9001:5098:3cd2:4fb0:d696:3f7d:28e1:7f72/128", wrong),
        (&long_address, wrong),
    ] {
        let (status, body) = admin.ask(query);
        assert_eq!((status, body), (406, format!("not acceptable, {text}\n")), "{query:.60}");
        assert_eq!(admin.told(), [not_acceptable_line(text)], "{query:.60}");
    }
    assert_eq!(admin.get("action=search&address=1.2.3.4"), "not available\n");

    let mut admin = Admin::new("QS_SrvMaxConn 5");
    let text = "client data store has not been enabled";
    assert_eq!(admin.ask("action=search&address=*").0, 406);
    assert_eq!(admin.told(), [not_acceptable_line(text)]);

    let mut admin = Admin::new("QS_ClientEventLimitCount 3 60");
    let text = "qos client control has not been activated";
    assert_eq!(admin.ask("action=block&address=1.2.3.4").0, 406);
    assert_eq!(admin.load("# mod_qos block list 1\n").0, 406);
    assert_eq!(admin.told(), [not_acceptable_line(text), not_acceptable_line(text)]);
}

/// It was 2147484647, which is negative to who reads it as 32 bits.
#[test]
fn where_no_number_of_events_blocks_a_block_by_hand_does_not_count_beyond_all_numbers() {
    let mut admin = Admin::new("QS_SrvBusyWatch 10 5");
    let answer = "192.0.2.7 vip=no lowprio=no block=2147483647/600 limit=0/0\n";
    assert_eq!(admin.get("action=block&address=192.0.2.7"), answer);
    assert!(admin.world.connect("192.0.2.7").is_none(), "blocked");
}

#[test]
fn a_blocked_client_is_refused_at_once_and_for_as_long_as_events_would_do_it() {
    let mut admin = Admin::new(RULES);
    let open = admin.world.connect("192.0.2.1").expect("open");
    admin.get("action=block&address=192.0.2.1");
    let mut view = View::default();
    assert_eq!(admin.world.request(&open, &mut view, 200), Answer::Deny(500));
    assert!(admin.world.connect("192.0.2.1").is_none());
    admin.world.wait(59_900);
    assert!(admin.world.connect("192.0.2.1").is_none());
    admin.world.wait(200);
    assert!(admin.world.connect("192.0.2.1").is_some());
    admin.get("action=block&address=192.0.2.1");
    assert!(admin.world.connect("192.0.2.1").is_none());
    admin.get("action=unblock&address=192.0.2.1");
    assert!(admin.world.connect("192.0.2.1").is_some());
}

#[test]
fn a_limit_by_hand_denies_requests_and_a_privileged_client_is_known_as_one() {
    let mut admin = Admin::new(RULES);
    let open = admin.world.connect("192.0.2.1").expect("open");
    admin.get("action=limit&address=192.0.2.1");
    assert_eq!(admin.world.request(&open, &mut View::default(), 200), Answer::Deny(500));
    admin.get("action=unlimit&address=192.0.2.1");
    assert_eq!(admin.world.request(&open, &mut View::default(), 200), Answer::Pass);
    admin.get("action=setvip&address=192.0.2.1");
    let mut view = View::default();
    admin.world.request(&open, &mut view, 200);
    assert_eq!(view.text("QS_IsVipRequest"), Some("yes"));
    assert!(admin.world.connect("192.0.2.1").expect("open").is_vip);
    admin.get("action=unsetvip&address=192.0.2.1");
    assert!(!admin.world.connect("192.0.2.1").expect("open").is_vip);
}

#[test]
fn low_priority_by_hand_is_the_worst_there_is() {
    let mut admin = Admin::new("QS_ClientPrefer 80");
    admin.get("action=setlowprio&address=192.0.2.1");
    let open = admin.world.connect("192.0.2.1").expect("open");
    let mut view = View::default();
    admin.world.request(&open, &mut view, 200);
    assert_eq!(view.text("QS_ClientLowPrio"), Some("0xfd"));
    admin.world.close(open);
    admin.get("action=unsetlowprio&address=192.0.2.1");
    let open = admin.world.connect("192.0.2.1").expect("open");
    assert!(!open.standing.is_low);
    admin.world.close(open);
}

/// More others come by than the table has rows: who is blocked, limited or marked is still known afterwards.
#[test]
fn what_is_set_by_hand_outlives_a_crowd() {
    let mut admin = Admin::new(RULES);
    for (action, address) in [
        ("block", "10.0.0.1"),
        ("limit", "10.0.0.2"),
        ("setvip", "10.0.0.3"),
        ("setlowprio", "10.0.0.4"),
    ] {
        admin.get(&format!("action={action}&address={address}"));
    }
    admin.get("action=inclimit&address=10.0.0.5");
    admin.world.wait(1000);
    for number in 0..750 {
        let address = format!("10.1.{}.{}", number / 250, number % 250);
        let connection = admin.world.connect(&address).expect("open");
        admin.world.close(connection);
        admin.world.wait(70);
    }
    let states = [1, 2, 3, 4].map(|n| admin.get(&format!("action=search&address=10.0.0.{n}")));
    for (state, word) in states.iter().zip(["block=1003/", "limit=1003/", "vip=yes", "lowprio=yes"])
    {
        assert!(state.contains(word), "{state}");
    }
    assert_eq!(admin.get("action=search&address=10.0.0.5"), "not available\n", "that is no mark");
    // What was taken back is worth no more than others.
    for (action, address) in [("unblock", 1), ("unlimit", 2), ("unsetvip", 3), ("unsetlowprio", 4)]
    {
        admin.get(&format!("action={action}&address=10.0.0.{address}"));
    }
    for number in 0..750 {
        let address = format!("10.2.{}.{}", number / 250, number % 250);
        let connection = admin.world.connect(&address).expect("open");
        admin.world.close(connection);
        admin.world.wait(70);
    }
    for n in 1..5 {
        assert_eq!(admin.get(&format!("action=search&address=10.0.0.{n}")), "not available\n");
    }
}

#[test]
fn all_clients_are_listed_by_their_addresses() {
    let mut admin = Admin::new(RULES);
    admin.get("action=block&address=192.0.2.9");
    admin.get("action=inclimit&address=192.0.2.1");
    admin.get("action=setvip&address=2001:db8::7");
    admin.world.wait(10_000);
    let list = admin.get("action=search&address=*");
    assert_eq!(
        list,
        "0000000000 127.0.0.1 vip=no lowprio=no block=0/0 limit=0/0 1000000\n\
         0000000001 192.0.2.1 vip=no lowprio=no block=0/0 limit=1/50 999990\n\
         0000000002 192.0.2.9 vip=no lowprio=no block=1003/50 limit=0/0 999990\n\
         0000000003 2001:db8::/64 vip=yes lowprio=no block=0/0 limit=0/0 1000000\n"
    );
    assert!(
        admin.told().iter().all(|line| !line.contains("search")),
        "a look at all is not told of"
    );
}

#[test]
fn why_names_each_rule_that_holds_a_client_and_makes_no_row() {
    let mut admin = Admin::new(&format!(
        "{RULES}\nQS_ClientEventRequestLimit 1\nQS_SrvMaxConnPerIP 2\nQS_ClientEventBlockExcludeIP 192.0.2.8"
    ));
    assert_eq!(admin.get("action=why&address=192.0.2.1"), "192.0.2.1 rule=none\n");
    assert_eq!(admin.get("action=search&address=192.0.2.1"), "not available\n");
    admin.get("action=block&address=192.0.2.1");
    admin.get("action=block&address=192.0.2.8");
    admin.world.wait(2000);
    admin.get("action=limit&address=192.0.2.1&event=EVT");
    admin.get("action=inclimit&address=192.0.2.1");
    admin.world.wait(3000);
    assert_eq!(
        admin.get("action=why&address=192.0.2.1"),
        "192.0.2.1 rule=QS_ClientEventBlockCount count=1003/3 remaining=55 since=1970-01-12T13:46:35Z\n\
         192.0.2.1 rule=QS_CondClientEventLimitCount(EVT) count=1005/5 remaining=97 since=1970-01-12T13:46:37Z\n"
    );
    assert_eq!(admin.get("action=why&address=192.0.2.8"), "192.0.2.8 rule=none\n", "it is exempt");
    let first = admin.world.connect("192.0.2.2").expect("open");
    let second = admin.world.connect("192.0.2.2").expect("open");
    let mut view = View::with("QS_EventRequest", "");
    let (answer, facts) = admin.world.begin(&first, &mut view);
    let now = "remaining=0 since=1970-01-12T13:46:40Z";
    assert_eq!(
        admin.get("action=why&address=192.0.2.2"),
        format!(
            "192.0.2.2 rule=QS_SrvMaxConnPerIP count=2/2 {now}\n\
             192.0.2.2 rule=QS_ClientEventRequestLimit count=1/1 {now}\n"
        )
    );
    admin.world.end(&first, &mut view, facts, answer, 200);
    admin.world.close(first);
    admin.world.close(second);
    assert_eq!(admin.get("action=why&address=192.0.2.2"), "192.0.2.2 rule=none\n");
}

#[test]
fn a_slow_down_a_turn_and_a_busy_server_are_told_of_too() {
    let mut admin = Admin::new("QS_ClientEventPerSecLimit 1\nQS_ClientSerialize");
    let open = admin.world.connect("192.0.2.2").expect("open");
    for _ in 0..60 {
        admin.world.request(&open, &mut View::with("QS_Event", ""), 200);
        admin.world.wait(250);
    }
    let mut view = View::with("QS_Serialize", "");
    let (answer, facts) = admin.world.begin(&open, &mut view);
    let why = admin.get("action=why&address=192.0.2.2");
    assert!(why.contains("192.0.2.2 rule=QS_ClientEventPerSecLimit count="), "{why}");
    assert!(why.contains("192.0.2.2 rule=QS_ClientSerialize count=1/1 remaining=0 "), "{why}");
    admin.world.end(&open, &mut view, facts, answer, 200);

    let mut admin = Admin::new("QS_ClientPrefer 10\nQS_ClientEventBlockCount 3 60");
    admin.get("action=setlowprio&address=192.0.2.2");
    assert_eq!(admin.get("action=why&address=192.0.2.2"), "192.0.2.2 rule=none\n");
    let _open: Vec<_> =
        (0..20).map(|n| admin.world.connect(&format!("10.0.0.{n}")).expect("open")).collect();
    let why = admin.get("action=why&address=192.0.2.2");
    assert!(why.starts_with("192.0.2.2 rule=QS_ClientPrefer count=22/4 remaining=86400 "), "{why}");
    assert_eq!(admin.get("action=why&address=192.0.2.3"), "192.0.2.3 rule=none\n");
}

#[test]
fn a_list_of_one_server_restores_the_blocks_on_another_that_has_just_begun() {
    let mut first = Admin::new(RULES);
    first.get("action=block&address=192.0.2.1");
    first.get("action=block&address=2001:db8::1");
    first.world.wait(20_000);
    first.get("action=block&address=192.0.2.2");
    first.get("action=inclimit&address=192.0.2.3");
    let list = first.get("action=dump");
    let mut lines: Vec<&str> = list.lines().skip(1).collect();
    lines.sort_unstable();
    assert!(list.starts_with("# mod_qos block list 1\n"));
    assert_eq!(lines, ["192.0.2.1 40 1003", "192.0.2.2 60 1003", "2001:db8::/64 40 1003"]);

    // It blocks for another time, and for more events: the ends stay.
    let mut second = Admin::new("QS_ClientEventBlockCount 2000 300");
    second.world.now = Tick::since_start(0);
    assert_eq!(second.load(&list), (200, "loaded=3 ignored=0\n".to_owned()));
    assert_eq!(
        second.get("action=search&address=192.0.2.1"),
        "192.0.2.1 vip=no lowprio=no block=2000/40 limit=0/0\n"
    );
    assert!(second.get("action=why&address=192.0.2.1").contains("count=2000/2000 remaining=40 "));
    let refused = |admin: &mut Admin, address: &str| admin.world.connect(address).is_none();
    assert!(refused(&mut second, "192.0.2.1") && refused(&mut second, "2001:db8::99"));
    second.world.wait(39_000);
    assert!(refused(&mut second, "192.0.2.1") && refused(&mut second, "192.0.2.2"));
    second.world.wait(1500);
    assert!(!refused(&mut second, "192.0.2.1") && !refused(&mut second, "2001:db8::99"));
    assert!(refused(&mut second, "192.0.2.2"));
}

#[test]
fn of_two_blocks_the_later_end_wins_and_what_is_over_is_ignored() {
    let mut admin = Admin::new(RULES);
    admin.get("action=block&address=192.0.2.1");
    let head = "# mod_qos block list 1\n";
    let list = format!("{head}192.0.2.1 30 5\n192.0.2.2 0 5\n192.0.2.3 500 5\n192.0.2.3 50 5\n");
    assert_eq!(admin.load(&list), (200, "loaded=3 ignored=1\n".to_owned()));
    assert!(admin.get("action=dump").contains("192.0.2.1 60 1003\n"), "the longer one stays");
    assert!(admin.get("action=dump").contains("192.0.2.3 500 5\n"), "longer than blocks last here");
    assert_eq!(admin.get("action=search&address=192.0.2.2"), "not available\n");
    admin.load(&format!("{head}192.0.2.1 61 5\n"));
    assert!(admin.get("action=dump").contains("192.0.2.1 61 5\n"));
    assert_eq!(admin.load(&format!("{head}192.0.2.4 4294967295 5\n")).0, 200);
    assert!(admin.world.connect("192.0.2.4").is_none());
    assert_eq!(
        admin.told().iter().find(|line| line.contains("load")).map(String::as_str),
        Some("mod_qos(071): console, action 'load' applied to 3 client ip entries, id=ID")
    );
}

#[test]
fn one_bad_line_refuses_the_whole_list() {
    let mut admin = Admin::new(RULES);
    let (status, body) = admin.load("# mod_qos block list 1\n192.0.2.1 30 5\n192.0.2.2 30\n");
    assert_eq!((status, body.as_str()), (406, "not acceptable, bad line 3\n"));
    assert_eq!(admin.told(), [not_acceptable_line("bad line 3")]);
    assert_eq!(admin.get("action=dump"), "# mod_qos block list 1\n");
}

#[test]
fn another_site_changes_nothing() {
    let mut admin = Admin::new(RULES);
    for query in ["action=block&address=192.0.2.1", "action=load"] {
        let mut view = request("POST", query)
            .and_header("Host", "www.example.com")
            .and_header("Origin", "https://evil.example.com");
        let (status, body) = admin.send(&mut view, b"# mod_qos block list 1\n192.0.2.1 30 5\n");
        assert_eq!((status, body.as_str()), (403, "refused, comes from another site\n"));
        let line = "mod_qos(309): console, refused, comes from another site, id=ID";
        assert_eq!(admin.told(), [line]);
        assert_eq!(view.text("QS_ErrorNotes"), Some("309"));
    }
    let elsewhere = |query| request("GET", query).and_header("Sec-Fetch-Site", "cross-site");
    let looked = admin.send(&mut elsewhere("action=search&address=192.0.2.1"), b"");
    assert_eq!(looked, (200, "not available\n".to_owned()));
    assert_eq!(admin.send(&mut elsewhere("action=dump"), b"").0, 200);
}

#[test]
fn where_post_is_required_nothing_else_changes_anything() {
    let mut admin = Admin::new(&format!("{RULES}\nQS_ConsoleRequirePost on"));
    for method in ["GET", "HEAD", "PUT", "post", "DELETE", "XYZ"] {
        let (status, _) = admin.send(&mut request(method, "action=block&address=192.0.2.1"), b"");
        assert_eq!(status, 403, "{method}");
        let line = "mod_qos(309): console, refused, POST required, id=ID";
        assert_eq!(admin.told(), [line]);
    }
    assert_eq!(admin.get("action=search&address=192.0.2.1"), "not available\n");
    let post = admin.send(&mut request("POST", "action=block&address=192.0.2.1"), b"");
    assert_eq!(post.0, 200);
    assert!(admin.get("action=dump").contains("192.0.2.1 60 1003"));

    let mut admin = Admin::new(RULES);
    assert_eq!(admin.ask("action=load").0, 403, "a list is sent with POST in any case");
    assert_eq!(admin.send(&mut request("PUT", "action=block&address=192.0.2.1"), b"").0, 200);
}

#[test]
fn a_client_made_of_a_name_is_limited_by_all_its_bits() {
    let mut admin = Admin::new("QS_ClientEventLimitCount 3 60\nQS_ClientIpFromHeader #X-User");
    let open = admin.world.connect("192.0.2.1").expect("open");
    let mut view = View::with("QS_Limit", "").and_header("X-User", "abc");
    admin.world.request(&open, &mut view, 200);
    let name = "9001:5098:3cd2:4fb0:d696:3f7d:28e1:7f72/128";
    let list = admin.get("action=search&address=*");
    assert!(list.contains(&format!(" {name} vip=no lowprio=no block=0/0 limit=1/60 ")), "{list}");
    admin.get(&format!("action=limit&address={name}"));
    let mut view = View::default().and_header("X-User", "abc");
    assert_eq!(admin.world.request(&open, &mut view, 200), Answer::Deny(500));
    assert!(
        admin
            .get(&format!("action=why&address={name}"))
            .contains("rule=QS_ClientEventLimitCount(QS_Limit)")
    );
}

#[test]
fn nothing_is_left_on_loan() {
    let mut admin = Admin::new(RULES);
    for action in ["block", "limit", "search", "setvip", "why"] {
        let mut view = request("GET", &format!("action={action}&address=192.0.2.1"));
        admin.send(&mut view, b"");
        let is_free = admin.world.with(|_, moment: &Moment<'_>, _| {
            let clients = &moment.store.clients;
            let target = Target::parse(b"192.0.2.1", moment.store.prefix).expect("a client");
            let row = clients.peek(CLIENTS, target.address).and_then(|row| clients.row(row));
            row.is_none_or(|row| row.open_connections() == 0)
        });
        assert!(is_free, "{action}");
        admin.world.exchange(&admin.connection, &mut view, |_, exchange| {
            exchange.moment.store.give_all(exchange.purse, exchange.moment.now);
        });
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for word in ["maybe", "", "1", "onn", "on\0"] {
        let error = refused_line(&format!("QS_ConsoleRequirePost \"{word}\""));
        assert!(error.contains("'on' or 'off'"), "{error}");
    }
}
