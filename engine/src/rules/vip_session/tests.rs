use crate::context::{Connection, Marks};
use crate::testing::{View, World, refused};
use crate::verdict::Answer;

const SESSION: &str = "QS_VipHeaderName X-Vip\nQS_SessionKey secret";

fn world(configuration: &str) -> (World, Connection) {
    let mut world = World::new(configuration);
    world.policy.vip_session.use_key(&[9; 32]);
    let connection = world.connect("127.0.0.1").expect("free");
    (world, connection)
}

fn answering(name: &str, value: &str) -> View {
    let mut view = View::default();
    view.response_headers.push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
    view
}

fn with_cookie(header: &str) -> View {
    View::default().and_header("Cookie", header)
}

fn response_header(view: &View, name: &str) -> Option<String> {
    let (_, value) = view.response_headers.iter().find(|(found, _)| found == name)?;
    Some(String::from_utf8(value.clone()).expect("text"))
}

fn cookie_header(view: &View) -> Option<String> {
    let (_, value) = view.headers.iter().find(|(name, _)| name == "cookie")?;
    Some(String::from_utf8(value.clone()).expect("text"))
}

/// `MODQOS=<value>` of a session that begins now.
fn session(world: &mut World, connection: &Connection, arrived_at: u64) -> String {
    let mut view = View { arrived_at, ..answering("X-Vip", "1") };
    world.request(connection, &mut view, 200);
    let header = response_header(&view, "set-cookie").expect("a cookie");
    header.split(';').next().expect("a pair").to_owned()
}

#[test]
fn a_response_header_begins_a_session() {
    let (mut world, connection) = world(SESSION);
    let mut view = answering("X-Vip", "anything");
    world.request(&connection, &mut view, 200);
    let cookie = response_header(&view, "set-cookie").expect("a cookie");
    let (pair, rest) = cookie.split_once("; ").expect("attributes");
    assert!(pair.starts_with("MODQOS=") && pair.len() == 7 + 66, "{pair}");
    assert_eq!(rest, "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
    assert_eq!(view.letters(), "vV");
    assert_eq!(view.text("QS_IsVipRequest"), Some("yes"));
    assert!(response_header(&view, "x-vip").is_some(), "nobody asked to drop it");
    assert!(connection.marks.has(Marks::VIP));
}

#[test]
fn the_cookie_is_as_configured() {
    let (mut world, connection) = world(
        "QS_VipHeaderName X-Vip drop\nQS_SessionCookieName SID\nQS_SessionCookiePath /app\n\
         QS_SessionTimeout 60",
    );
    let mut view = View { is_tls: true, ..answering("X-Vip", "1") };
    world.request(&connection, &mut view, 200);
    let cookie = response_header(&view, "set-cookie").expect("a cookie");
    assert!(cookie.starts_with("SID="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/app; Max-Age=60; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    assert_eq!(response_header(&view, "x-vip"), None, "it is dropped");
}

#[test]
fn a_valid_cookie_makes_a_vip_and_reaches_nobody() {
    let (mut world, connection) = world(SESSION);
    let cookie = session(&mut world, &connection, 1_000_000);
    let other = world.connect("127.0.0.2").expect("free");
    let mut view = with_cookie(&format!("a=b; {cookie}; c=d"));
    view.arrived_at = 1_000_000 + 3600;
    let (answer, _) = world.begin(&other, &mut view);
    assert_eq!(answer, Answer::Pass);
    assert_eq!(cookie_header(&view).as_deref(), Some("a=b; c=d"));
    assert_eq!(view.text("QS_VipRequest"), Some("yes"));
    assert_eq!(view.text("QS_IsVipRequest"), Some("yes"));
    assert!(view.known.is_vip && other.marks.has(Marks::VIP));
    assert!(world.told().is_empty());
    let mut later = View::default();
    world.begin(&other, &mut later);
    assert_eq!(later.text("QS_IsVipRequest"), Some("yes"), "the connection is one from then on");
    assert!(!later.known.is_vip, "but not each of its requests");
}

#[test]
fn a_session_that_holds_is_not_renewed() {
    let (mut world, connection) = world(SESSION);
    let cookie = session(&mut world, &connection, 1_000_000);
    let mut view = answering("X-Vip", "1").and_header("Cookie", &cookie);
    world.request(&connection, &mut view, 200);
    assert_eq!(response_header(&view, "set-cookie"), None);
}

#[test]
fn cookies_that_do_not_hold_are_refused_and_reach_nobody() {
    let (mut world, connection) = world(SESSION);
    let cookie = session(&mut world, &connection, 1_000_000);
    let value = cookie.strip_prefix("MODQOS=").expect("the name");
    let mut swapped = value.as_bytes().to_vec();
    swapped.swap(40, 41);
    assert_ne!(swapped, value.as_bytes());
    let swapped = String::from_utf8(swapped).expect("ASCII");
    let refused = "mod_qos(021): session cookie verification failed, decoding failed, id=ID";
    let expired = "mod_qos(023): session cookie verification failed, expired, id=ID";
    for (value, arrived_at, line) in [
        ("", 1_000_000, refused),
        ("x", 1_000_000, refused),
        (&value[1..], 1_000_000, refused),
        (&value[..65], 1_000_000, refused),
        (swapped.as_str(), 1_000_000, refused),
        // One of the C module, with the same key.
        ("XI5v4IEv5EXoQYrWGDh3KKbhZgqlOgohmeCBkbq6qFlAO8GlBKdC8izHMh+Y3hno", 1_000_000, refused),
        (value, 1_000_000 + 3601, expired),
        (value, 1_000_000 - 3601, expired),
    ] {
        let mut view = with_cookie(&format!("MODQOS={value}"));
        view.arrived_at = arrived_at;
        let (answer, _) = world.begin(&connection, &mut view);
        assert_eq!(answer, Answer::Pass, "it is no VIP, and no more");
        assert_eq!(cookie_header(&view), None, "{value}");
        assert_eq!(world.told(), [line], "{value}");
        assert!(!view.known.is_vip);
    }
}

#[test]
fn a_cookie_of_another_name_or_key_is_refused() {
    let (mut one, connection) = world(SESSION);
    let cookie = session(&mut one, &connection, 1_000_000);
    for configuration in [
        "QS_VipHeaderName X-Vip\nQS_SessionKey other",
        "QS_VipHeaderName X-Vip",
        "QS_VipHeaderName X-Vip\nQS_SessionKey secret\nQS_SessionCookieName OTHER",
    ] {
        let (mut world, connection) = world(configuration);
        let cookie = cookie
            .replace("MODQOS", if configuration.contains("OTHER") { "OTHER" } else { "MODQOS" });
        let mut view = with_cookie(&cookie);
        world.begin(&connection, &mut view);
        assert!(world.told()[0].starts_with("mod_qos(021)"), "{configuration}");
        assert!(!view.known.is_vip);
    }
}

#[test]
fn all_cookies_of_the_name_go_and_one_that_holds_is_enough() {
    let (mut world, connection) = world(SESSION);
    let cookie = session(&mut world, &connection, 1_000_000);
    let mut view =
        with_cookie("MODQOS=old; a=b").and_header("Cookie", "c=d").and_header("Cookie", &cookie);
    world.begin(&connection, &mut view);
    assert_eq!(cookie_header(&view).as_deref(), Some("a=b; c=d"));
    assert_eq!(view.headers.len(), 1);
    assert!(view.known.is_vip);
    assert!(world.told().is_empty());
}

#[test]
fn without_a_session_directive_cookies_are_left_alone() {
    let (mut world, connection) = world("QS_VipIPHeaderName X-Vip\nQS_SessionKey secret");
    let mut view = with_cookie("MODQOS=x; a=b").and("QS_VipRequest", "yes");
    world.begin(&connection, &mut view);
    assert_eq!(cookie_header(&view).as_deref(), Some("MODQOS=x; a=b"));
    assert!(!view.known.is_vip, "nor does the variable mean anything");
    assert!(world.told().is_empty());
}

#[test]
fn a_variable_makes_the_request_a_vip() {
    for (value, expected) in
        [("yes", true), ("YES", true), ("no", false), ("1", false), ("", false)]
    {
        let (mut world, connection) = world("QS_VipUser");
        let mut view = View::with("QS_VipRequest", value);
        world.begin(&connection, &mut view);
        assert_eq!(view.known.is_vip, expected, "{value:?}");
        assert_eq!(view.text("QS_IsVipRequest"), expected.then_some("yes"));
        assert!(!connection.marks.has(Marks::VIP), "the request, not the connection");
    }
}

#[test]
fn a_header_s_value_may_have_to_match() {
    for (value, expected) in [("gold member", true), ("silver", false), ("GOLD", false)] {
        let (mut world, connection) = world("QS_VipIPHeaderName X-Vip=^gold drop");
        let mut view = answering("X-Vip", value);
        world.request(&connection, &mut view, 200);
        assert_eq!(connection.marks.has(Marks::VIP), expected, "{value}");
        assert_eq!(view.letters(), if expected { "v" } else { "" });
        assert_eq!(response_header(&view, "x-vip"), None, "it is dropped, match or not");
    }
}

#[test]
fn who_was_authenticated_is_a_vip_and_who_was_not_is_none() {
    for (directive, letters) in [("QS_VipUser", "vV"), ("QS_VipIPUser", "v"), ("", "")] {
        let (mut world, connection) = world(directive);
        let mut view = View::default();
        view.aspects.insert(crate::context::Aspect::User, b"ann".to_vec());
        let mut facts = Default::default();
        world.exchange(&connection, &mut view, |rules, exchange| {
            crate::phases::fix_up(rules, exchange, &mut facts);
        });
        assert_eq!(connection.marks.has(Marks::VIP), !directive.is_empty());
        world.end(&connection, &mut view, facts, Answer::Pass, 200);
        assert_eq!(view.letters(), letters, "{directive}");
    }
}

#[test]
fn a_failed_login_and_its_error_page_make_no_vip() {
    let (mut world, connection) = world("QS_VipUser\nQS_VipIPUser\nQS_VipIPHeaderName X-Vip");
    // The name is known from the wrong password on. The page of a 401 comes to the last step before its
    // content with the status of its error; the refused request itself never does.
    let mut view = View { status: 401, ..answering("X-Vip", "1") };
    view.aspects.insert(crate::context::Aspect::User, b"ann".to_vec());
    let mut facts = Default::default();
    world.exchange(&connection, &mut view, |rules, exchange| {
        crate::phases::fix_up(rules, exchange, &mut facts);
    });
    world.end(&connection, &mut view, facts, Answer::Pass, 401);
    assert!(!connection.marks.has(Marks::VIP));
    assert_eq!((view.letters(), response_header(&view, "set-cookie")), ("", None));
}

#[test]
fn a_subrequest_makes_no_vip() {
    let (mut world, connection) = world("QS_VipIPUser");
    let mut view = View { is_subrequest: true, ..View::default() };
    view.aspects.insert(crate::context::Aspect::User, b"ann".to_vec());
    world.exchange(&connection, &mut view, |rules, exchange| {
        crate::phases::fix_up(rules, exchange, &mut Default::default());
    });
    assert!(!connection.marks.has(Marks::VIP));
}

#[test]
fn without_random_data_there_is_no_session() {
    let (mut world, connection) = world(SESSION);
    let mut view = View { has_random_data: false, ..answering("X-Vip", "1") };
    world.request(&connection, &mut view, 200);
    assert_eq!(response_header(&view, "set-cookie"), None);
    assert_eq!(
        world.told(),
        [
            "mod_qos(080): Can't generate random data, id=ID",
            "mod_qos(025): failed to create session cookie, id=ID"
        ]
    );
}

#[test]
fn wrong_words_are_refused() {
    for (line, wrong, allowed) in [
        ("QS_VipHeaderName \"X Vip\"", "X Vip", "a header's name"),
        ("QS_VipHeaderName =x", "=x", "a header's name"),
        ("QS_VipHeaderName X-Vip=", "X-Vip=", "a regular expression"),
        ("QS_VipHeaderName X-Vip=(", "(", "regular expression"),
        ("QS_VipHeaderName X-Vip dropp", "dropp", "'drop'"),
        ("QS_VipIPHeaderName X:Vip", "X:Vip", "a header's name"),
        ("QS_VipIPHeaderName X-Vip=[", "[", "regular expression"),
        ("QS_VipIPHeaderName X-Vip yes", "yes", "'drop'"),
        ("QS_VipIPHeaderName \"\"", "", "a header's name"),
        ("QS_VipIPHeaderName X-Vip=", "X-Vip=", "a regular expression"),
        ("QS_SessionKey \"\"", "", "not empty"),
        ("QS_SessionTimeout 0", "0", "from 1"),
        ("QS_SessionTimeout -5", "-5", "from 1"),
        ("QS_SessionTimeout 5x", "5x", "from 1"),
        ("QS_SessionTimeout 2147483648", "2147483648", "from 1"),
        ("QS_SessionTimeout x", "x", "from 1"),
        ("QS_SessionCookieName \"a b\"", "a b", "a cookie's name"),
        ("QS_SessionCookieName a=b", "a=b", "a cookie's name"),
        ("QS_SessionCookieName a;b", "a;b", "a cookie's name"),
        ("QS_SessionCookieName \"\"", "", "a cookie's name"),
        ("QS_SessionCookieName a,b", "a,b", "a cookie's name"),
        ("QS_SessionCookiePath x", "x", "begins with '/'"),
        ("QS_SessionCookiePath \"\"", "", "begins with '/'"),
        ("QS_SessionCookiePath /;Domain=x", "/;Domain=x", "begins with '/'"),
        ("QS_SessionCookiePath \"/a b\"", "/a b", "begins with '/'"),
        ("QS_SessionCookiePath /\u{e9}", "/\u{e9}", "begins with '/'"),
    ] {
        let error = refused(line);
        assert!(error.contains(wrong) && error.contains(allowed), "{line}: {error}");
    }
}

#[test]
fn a_mark_of_an_address_is_in_force_at_once_and_for_every_connection() {
    let (mut world, connection) =
        world("QS_VipIPHeaderName X-Vip\nQS_SrvMaxConn 3\nQS_ClientEventRequestLimit 0");
    let older = world.connect("127.0.0.1").expect("open");
    world.request(&connection, &mut answering("X-Vip", "1"), 200);
    let mut view = View::default();
    world.request(&older, &mut view, 200);
    assert_eq!(view.text("QS_IsVipRequest"), Some("yes"), "opened before");
    let third = world.connect("127.0.0.1").expect("open");
    let fourth = world.connect("127.0.0.1").expect("above the limit");
    assert!(third.is_vip && fourth.is_vip);
    assert!(world.connect("192.0.2.2").is_none(), "another address is not");
    let mut event = View::with("QS_EventRequest", "1");
    assert_eq!(world.request(&fourth, &mut event, 200), Answer::Pass);
    assert!(event.letters().contains('S'));
}
