use super::*;
use crate::directive::Place;
use crate::testing::{View, World, refused, set, settings};

fn response(content_type: &str) -> View {
    let mut view = View::default();
    view.response_headers.push(("content-type".to_owned(), content_type.as_bytes().to_vec()));
    view
}

/// One request on a connection of its own.
fn visit(world: &mut World, address: &str, content_type: &str, status: u16) -> View {
    let connection = world.connect(address).expect("open");
    let mut view = response(content_type);
    world.request(&connection, &mut view, status);
    world.close(connection);
    view
}

fn standing(world: &mut World, address: &str) -> Standing {
    let connection = world.connect(address).expect("open");
    let standing = connection.standing;
    world.close(connection);
    standing
}

fn mark(world: &mut World, address: &str, flags: u8) {
    let connection = world.connect(address).expect("open");
    let row = connection.client_row.expect("a row");
    world.with(|_, moment, _| moment.store.clients.mark(row, flags, moment.now));
    world.close(connection);
}

/// So many connections of as many addresses.
fn crowd(world: &mut World, count: usize) -> Vec<Connection> {
    let address = |n| format!("198.51.100.{n}");
    (0..count).map(|n| world.connect(&address(n)).expect("below the threshold")).collect()
}

#[test]
fn words_that_nobody_can_mean_are_refused() {
    for (line, word) in [
        ("QS_ClientPrefer 0", "'0'"),
        ("QS_ClientPrefer 100", "'100'"),
        ("QS_ClientPrefer 100%", "'100%'"),
        ("QS_ClientPrefer -5", "'-5'"),
        ("QS_ClientPrefer 80%x", "'80%x'"),
        ("QS_ClientPrefer 80 90", "'90'"),
        ("QS_ClientPrefer %", "'%'"),
        ("QS_ClientTolerance 4", "'4'"),
        ("QS_ClientTolerance 81%", "'81%'"),
        ("QS_ClientTolerance abc", "'abc'"),
        ("QS_ClientTolerance 5x", "'5x'"),
        ("QS_ClientTolerance -20", "'-20'"),
        ("QS_ClientContentTypes 1 2 3 4", "not 4"),
        ("QS_ClientContentTypes 1 2 3 4 5 6", "not 6"),
        ("QS_ClientContentTypes 1 2 3 0 5", "'0'"),
        ("QS_ClientContentTypes 1 2 3 x 5", "'x'"),
        ("QS_ClientContentTypes 1 2 3 -4 5", "'-4'"),
    ] {
        let error = refused(line);
        assert!(error.contains(word), "{line}: {error}");
    }
    for (line, above) in
        [("QS_ClientPrefer", 32), ("QS_ClientPrefer 50", 20), ("QS_ClientPrefer 50%", 20)]
    {
        let policy = World::new(line).policy;
        assert_eq!(policy.client_preference.preference.expect("on").above, above, "{line}");
    }
    let far = World::new("QS_MaxClients 1000\nQS_ClientPrefer 4%").policy.client_preference;
    assert_eq!(far.unreachable.map(|it| (it.threshold, it.possible)), Some((41, 40)));
    let alone = World::new("QS_ClientContentTypes 1 1 1 1 1000").policy;
    assert!(alone.client_preference.lacks_preference);
    assert_eq!(alone.client_preference.usual, Some([0, 0, 0, 0, 99]));
    assert_eq!(alone.complaints().count(), 1);
}

#[test]
fn a_virtual_host_has_its_own_mix_or_that_of_the_base() {
    let base = settings("QS_ClientPrefer\nQS_ClientContentTypes 1 1 1 1 1");
    let mut host = Settings::default();
    assert_eq!(host.over(&base.client_preference).contents, Some([20; 5]));
    let mut all = crate::rules::Settings::default();
    let line = "QS_ClientContentTypes 96 1 1 1 1";
    set(&mut all, &mut Default::default(), Place::VirtualHost, line).expect(line);
    host = all.client_preference.over(&base.client_preference);
    assert_eq!((host.contents, host.percent), (Some([96, 1, 1, 1, 1]), Some(80)));
    for line in ["QS_ClientPrefer 5", "QS_ClientTolerance 5"] {
        set(&mut all, &mut Default::default(), Place::VirtualHost, line).expect_err(line);
    }
}

/// The worked example of the specification (client.md: maxClients 24, 50 %).
#[test]
fn the_less_welcome_a_client_is_the_earlier_the_server_is_full() {
    let configuration = "QS_MaxClients 24\nQS_ClientPrefer 50%\nQS_SrvMaxConnExcludeIP 192.0.2.9";
    let mut world = World::new(configuration);
    mark(&mut world, "192.0.2.1", 0xfd);
    let mut open = crowd(&mut world, 11);
    let twelfth = world.connect("192.0.2.1").expect("the server is not busy");
    world.close(twelfth);
    open.push(world.connect("203.0.113.1").expect("the 12th"));
    assert!(world.connect("192.0.2.1").is_none(), "the 13th");
    assert_eq!(
        world.told(),
        [
            "mod_qos(066): access denied, QS_ClientPrefer rule (penalty=12 0xfd): max=12, concurrent connections=13, c=192.0.2.1"
        ]
    );
    for n in 13..=20 {
        open.push(world.connect(&format!("203.0.113.{n}")).expect("nobody knows it"));
    }
    assert!(world.connect("203.0.113.99").is_none(), "the 21st");
    assert!(world.told()[0].contains("(penalty=4 0x00): max=12, concurrent connections=21, c="));
    for n in 21..30 {
        open.push(world.connect("192.0.2.9").unwrap_or_else(|| panic!("the {n}th")));
    }
    assert!(world.told().is_empty(), "who is let through is not told of");
}

#[test]
fn each_flag_has_its_weight_only_for_a_day_and_normal_content_lasts() {
    for (flags, penalty_then) in [
        (0x01, 5),
        (0x04, 6),
        (0x08, 6),
        (0x10, 6),
        (0x20, 5),
        (0x02, 2),
        (0x3d, 12),
        (0x3f, 10),
        (0xc0, 4),
    ] {
        let standing = Standing { flags, is_low: true, is_vip: false };
        assert_eq!(penalty(standing), penalty_then, "{flags:#x}");
    }
    let over = Standing { flags: 0x02, is_low: false, is_vip: false };
    assert_eq!((penalty(over), penalty(Standing::default())), (2, 4));
}

#[test]
fn a_request_knows_that_its_client_has_low_priority() {
    let mut world = World::new("QS_ClientPrefer");
    let open = world.connect("192.0.2.1").expect("open");
    mark(&mut world, "192.0.2.1", flag::BLOCKED | flag::UNUSUAL_CONTENT);
    let mut view = View::default();
    world.request(&open, &mut view, 200);
    assert_eq!(view.text("QS_ClientLowPrio"), None, "it was not when the connection was opened");
    world.close(open);
    let view = visit(&mut world, "192.0.2.1", "text/html", 200);
    assert_eq!(view.text("QS_ClientLowPrio"), Some("0x0c"));
    world.wait(86_400_000);
    assert_eq!(visit(&mut world, "192.0.2.1", "text/html", 200).text("QS_ClientLowPrio"), None);
    assert_eq!(visit(&mut world, "192.0.2.2", "text/html", 200).text("QS_ClientLowPrio"), None);
}

#[test]
fn a_time_out_and_a_block_are_marks() {
    let mut world = World::new("QS_ClientPrefer\nQS_ClientEventBlockCount 1 5");
    assert_eq!(visit(&mut world, "192.0.2.1", "text/html", 408).letters(), "r");
    let found = standing(&mut world, "192.0.2.1");
    assert_eq!((found.flags, found.is_low), (flag::TIMED_OUT, true));
    let connection = world.connect("192.0.2.2").expect("open");
    world.request(&connection, &mut View::with("QS_Block", "1"), 200);
    world.close(connection);
    world.wait(6000);
    assert_eq!(standing(&mut world, "192.0.2.2").flags, flag::BLOCKED);
    let mut world = World::new("QS_ClientEventBlockCount 9 5");
    assert_eq!(visit(&mut world, "192.0.2.1", "text/html", 408).letters(), "");
    assert_eq!(standing(&mut world, "192.0.2.1"), Standing::default(), "nobody wants to know");
}

// ---- content

/// The worked examples of the specification: one new connection per request.
#[test]
fn a_client_is_judged_by_what_it_asks_for() {
    let usual = "QS_ClientPrefer\nQS_ClientContentTypes 40 15 150 10 40";
    let judged = |content_type: &str, requests: usize| {
        let mut world = World::new(usual);
        for _ in 0..requests {
            visit(&mut world, "192.0.2.1", content_type, 200);
        }
        standing(&mut world, "192.0.2.1")
    };
    let low = |flags| Standing { flags, is_low: true, is_vip: false };
    for (content_type, first, expected) in [
        ("text/html; charset=UTF-8", 18, low(0x04)),
        ("text/plain", 26, low(0x04)),
        ("image/png", 26, low(0x00)),
    ] {
        assert_eq!(judged(content_type, first - 1), Standing::default(), "{content_type}");
        assert_eq!(judged(content_type, first), expected, "{content_type}");
    }
    let mut world = World::new(usual);
    let mix = ["text/html", "image/png", "image/gif", "image/svg+xml", "text/css"];
    for content_type in mix.into_iter().cycle().take(25) {
        visit(&mut world, "192.0.2.1", content_type, 200);
    }
    let expected = Standing { flags: 0x02, is_low: false, is_vip: false };
    assert_eq!(standing(&mut world, "192.0.2.1"), expected);
    // Pages show what all clients ask for, also where that decides nothing.
    let everybody = world.with(|_, moment, _| moment.store.clients.contents_of_everybody());
    assert_eq!(everybody, [5, 5, 15, 0, 0]);
    // It changes its mind: the good mark goes, and later the bad one.
    let mut letters = String::new();
    for _ in 0..60 {
        letters = visit(&mut world, "192.0.2.1", "text/html", 200).letters().to_owned();
    }
    assert_eq!((standing(&mut world, "192.0.2.1"), letters.as_str()), (low(0x04), "r"));
}

#[test]
fn without_a_given_mix_that_of_all_clients_counts_once_it_is_known() {
    let mut world = World::new("QS_ClientPrefer");
    for content_type in ["text/css", "image/png", "text/plain", "text/html"] {
        visit(&mut world, "198.51.100.1", content_type, 200);
    }
    visit(&mut world, "198.51.100.1", "", 304);
    let crawler = world.connect("192.0.2.1").expect("open");
    for _ in 0..60 {
        world.request(&crawler, &mut response("text/plain"), 200);
    }
    assert!(!standing(&mut world, "192.0.2.1").is_low, "too little is known yet");
    world.with(|_, moment, _| {
        for _ in 0..50_001 {
            moment.store.clients.count_for_everybody(HTML);
        }
    });
    world.request(&crawler, &mut response("text/plain"), 200);
    assert_eq!(standing(&mut world, "192.0.2.1").flags, 0x04);
}

#[test]
fn a_type_of_content_has_one_class() {
    for (text, expected) in [
        ("text/html", HTML),
        ("application/xhtml+xml;charset=utf-8", HTML),
        ("TEXT/HTML", HTML),
        ("image/png", IMAGE),
        ("IMAGE/svg+css", IMAGE),
        ("text/css", CSS_OR_SCRIPT),
        ("application/javascript", CSS_OR_SCRIPT),
        ("Text/JavaScript", CSS_OR_SCRIPT),
        ("application/json", OTHER),
        ("text/htm", OTHER),
        ("", OTHER),
    ] {
        assert_eq!(class(Some(text.as_bytes())), expected, "{text}");
    }
    assert_eq!(class(None), OTHER);
}

#[test]
fn shares_are_compared_with_the_tolerance() {
    let usual = [15, 5, 58, 3, 15];
    for (counts, expected) in [
        ([15, 5, 58, 4, 18], 0),
        ([40, 4, 52, 2, 2], 1),
        ([0, 0, 0, 100, 0], 2),
        ([0, 0, 100, 0, 0], 1),
    ] {
        assert_eq!(deviations(counts, usual, 20), expected, "{counts:?}");
    }
    assert_eq!(deviations([40, 4, 52, 2, 2], usual, 40), 0);
    assert_eq!(usual_of([50_000, 1, 1, 1, 1]), None);
    assert_eq!(usual_of([50_001, 0, 1, 1, 1]), None);
    assert_eq!(usual_of([60_000, 10_000, 20_000, 5_000, 5_000]), Some([60, 10, 20, 5, 5]));
    assert_eq!(shares([u64::MAX / 200; 5]), [20; 5]);
}

#[test]
fn log_only_refuses_nobody_and_a_vip_is_always_served() {
    let configuration = "QS_MaxClients 24\nQS_ClientPrefer 50%";
    let mut world = World::new(&format!("{configuration}\nQS_LogOnly on"));
    let _open = crowd(&mut world, 30);
    let told = world.told();
    assert_eq!(told.len(), 10, "from the 21st on");
    assert!(told[0].contains("access denied (log only), QS_ClientPrefer rule (penalty=4 0x00)"));

    let mut world = World::new(configuration);
    world.with(|_, moment, _| moment.store.clients.remember(crate::store::marks::wanted::VIPS));
    let connection = world.connect("192.0.2.7").expect("open");
    let row = connection.client_row.expect("a row");
    world.with(|_, moment, _| moment.store.clients.mark_vip(row));
    let _open = crowd(&mut world, 19);
    assert!(world.connect("203.0.113.1").is_none());
    let vip =
        world.connect("192.0.2.7").expect("from its marking on, not from its connection's end");
    assert!(vip.is_vip && !connection.is_vip);
}

#[test]
fn a_slow_client_has_low_priority_unless_nothing_of_it_was_logged() {
    let mut world = World::new("QS_ClientPrefer 80%\nQS_SrvMinDataRate 1");
    for (address, marks, has_request, is_low) in [
        ("192.0.2.1", Marks::SLOW, false, true),
        ("192.0.2.2", Marks::SLOW | Marks::CUT_OFF, false, false),
        ("192.0.2.3", Marks::SLOW | Marks::CUT_OFF, true, true),
        ("192.0.2.4", 0, true, false),
    ] {
        let connection = world.connect(address).expect("open");
        connection.marks.set(marks);
        if has_request {
            let mut view = response("text/html");
            world.request(&connection, &mut view, 200);
            assert_eq!(view.letters(), if is_low { "r" } else { "" }, "{address}");
        }
        world.close(connection);
        assert_eq!(standing(&mut world, address).flags & flag::SLOW != 0, is_low, "{address}");
    }
}
