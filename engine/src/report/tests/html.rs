//! The page for people: every element is there, and nothing that a client wrote is more than text.

use super::*;
use crate::store::recent::Denied;

#[test]
fn each_element_is_there_where_it_is_configured() {
    let everything = "QS_ClientPrefer 80
        QS_ClientContentTypes 40 15 150 10 40
        QS_ClientEventBlockCount 3 60
        QS_ClientEventLimitCount 5 100 LOGIN
        QS_LocRequestLimit /app 100
        QS_EventRequestLimit A 7
        QS_SrvMaxConn 10
        QS_SrvMaxConnPerIP 2
        QS_SrvMinDataRate 120 1500 100";
    let always = [
        "<h2>overview</h2>",
        "connections of 40",
        "0.46",
        "load of 2 processors",
        "localhost:0 (base)",
    ];
    for (configuration, there, not_there) in [
        (
            "",
            &["max connections</th><td class=\"n\">-"][..],
            &["viewer settings", "log only", "rules</h3>"][..],
        ),
        ("QS_LogOnly on", &["rules are not enforced"], &[]),
        (
            "QS_SrvMaxConnPerIP 2",
            &["viewer settings", "client ip connections", "free ip entries"],
            &["search"],
        ),
        (
            everything,
            &[
                "title=\"QS_ClientEntries\"",
                "title=\"QS_ClientPrefer\"",
                "<td>QS_LocRequestLimit</td><td class=\"rule\">/app</td><td class=\"n\">100</td>",
                "auto refresh: off",
                "client ip connections: off",
                "name=\"address\"",
                "blocked clients: 0",
                "limited clients: 0",
                "total connections",
                "max connections</th><td class=\"n\">10<",
                "max connections per client ip</th><td class=\"n\">2<",
                "120/1500/120",
            ],
            &["log events"],
        ),
    ] {
        let page = body(&World::new(configuration), "");
        for part in always.iter().chain(there) {
            assert!(page.contains(part), "{configuration}: no {part} in\n{page}");
        }
        for part in not_there {
            assert!(!page.contains(part), "{configuration}: {part} in\n{page}");
        }
        assert!(
            page.ends_with("15.01.2027 09:00:00, mod_qos 0.0.0</footer>\n</body></html>\n"),
            "{page}"
        );
    }
}

#[test]
fn a_limit_that_is_nearly_reached_is_told_by_its_colour() {
    let mut world = World::new("QS_SrvMaxConn 10\nQS_SrvMaxConnPerIP 5");
    let mut held: Vec<_> = (1..=8).filter_map(|n| world.connect(&format!("192.0.2.{n}"))).collect();
    let page = body(&world, "");
    assert!(page.contains(
        "<td class=\"n\">8</td><td><div class=\"bar\" role=\"img\" aria-label=\"80 %\">"
    ));
    held.extend(world.connect("192.0.2.1"));
    assert!(body(&world, "").contains("<td class=\"n\">9</td><td><div class=\"bar limit\""));
    held.extend(world.connect("192.0.2.1"));
    assert!(body(&world, "").contains("<td class=\"n red\">10</td><td><div class=\"bar limit\""));
    let listed = body(&world, "option=ip");
    assert!(listed.contains("<td>192.0.2.1</td><td class=\"n\">3</td>"), "{listed}");
    held.extend((0..2).filter_map(|_| world.connect("192.0.2.2")));
    for connection in held {
        world.close(connection);
    }
}

#[test]
fn those_who_are_held_longest_are_listed_and_all_are_counted() {
    let mut world =
        World::new("QS_ClientEventBlockCount 2 60\nQS_ClientEventLimitCount 1 100 LOGIN");
    for n in 1..=150u32 {
        let address = format!("198.51.100.{n}");
        request(&mut world, &address, "QS_Block");
        request(&mut world, &address, "QS_Block");
        world.wait(125);
    }
    request(&mut world, "2001:db8::7", "LOGIN");
    let page = body(&world, "");
    assert!(
        page.contains("blocked clients: 150") && page.contains("The 100 that are blocked"),
        "{page}"
    );
    let last = "<td><a href=\"?address=198.51.100.150\">198.51.100.150</a></td><td class=\"n\">2</td>\
                <td class=\"n\">2</td><td class=\"n\">60</td>";
    assert!(page.contains(last), "{page}");
    assert!(page.contains(">198.51.100.51<") && !page.contains(">198.51.100.50<"));
    let limited = "<td><a href=\"?address=2001%3Adb8%3A%3A/64\">2001:db8::/64</a></td>\
                   <td title=\"QS_ClientEventLimitCount\">LOGIN</td><td class=\"n\">1</td>";
    assert!(page.contains("limited clients: 1") && page.contains(limited), "{page}");
    world.wait(61_000);
    let page = body(&world, "");
    assert!(page.contains("blocked clients: 0") && page.contains("limited clients: 1"), "{page}");
}

#[test]
fn a_client_that_is_searched_for_is_found_with_all_that_is_known() {
    let mut world = World::new(
        "QS_ClientEventBlockCount 2 60\nQS_ClientEventLimitCount 5 100 LOGIN\nQS_ClientPrefer 80",
    );
    request(&mut world, "198.51.100.1", "QS_Block");
    request(&mut world, "198.51.100.1", "LOGIN");
    request(&mut world, "2001:db8::7", "QS_Block");
    request(&mut world, "2001:db8::7", "QS_Block");
    world.wait(10_000);
    let page = body(&world, "action=search&address=198.51.100.1");
    for line in [
        "<th scope=\"row\">IP</th><td>198.51.100.1</td>",
        "last request</th><td>15.01.2027 08:59:50</td>",
        "vip</th><td>no</td>",
        "blocked (QS_Block, 2)</th><td>1, 10 sec</td>",
        "limited (LOGIN, 5)</th><td>1, 10 sec</td>",
        "events/sec</th><td>off</td>",
        "low prio</th><td>no (0x00)</td>",
        "concurrent events</th><td>off</td>",
        "content of this client</th><td>html 0, css/js 0, images 0, other 2, 304 0</td>",
    ] {
        assert!(page.contains(line), "no {line} in\n{page}");
    }
    for address in ["2001:db8::7", "2001%3adb8::/64", "2001:db8:0:0:ffff::1"] {
        let page = body(&world, &format!("address={address}"));
        assert!(page.contains("IP</th><td>2001:db8::/64</td>"), "{address}:\n{page}");
        assert!(
            page.contains("blocked (QS_Block, 2)</th><td>2, 10 sec, 50 sec left</td>"),
            "{page}"
        );
        assert!(page.contains("after 15.01.2027 08:59:50"), "{page}");
    }
    for address in ["198.51.100.2", "2001:db8::/48", "198.51.100.1/24", "abc", "%00", "1.2.3.4,5"] {
        assert!(
            body(&world, &format!("address={address}")).contains("<td>not found</td>"),
            "{address}"
        );
    }
    assert!(!body(&world, "address=").contains("not found"), "an empty field asks nothing");
}

#[test]
fn what_others_wrote_is_text() {
    let mut world = World::new(
        "QS_ClientEventBlockCount 3 60
         QS_LocRequestLimitMatch \"^/(<script>x</script>|&)\" 3
         QS_EventRequestLimit A='onload=alert(1) 7",
    );
    let held = world.connect("192.0.2.1").expect("let in");
    let hostile = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%00%0d%0a%ff'";
    for query in [
        format!("address={hostile}&refresh&option=ip"),
        format!("address={}", "%3Cscript%3E".repeat(5000)),
        format!("address={}", "<script>".repeat(5000)),
        format!("{hostile}={hostile}&option={hostile}ip&action={hostile}"),
    ] {
        let page = ask(&world, "/qos/\"><script>/'", &query, false);
        let page = String::from_utf8(page.body).expect("text");
        let inside = page.replace("<style>", "").to_ascii_lowercase();
        assert!(
            !inside.contains("<script") && !inside.contains("\"><s>") && !page.contains('\0'),
            "{page}"
        );
        assert!(!page.contains("='onload"), "{page}");
        assert!(page.contains("^/(&lt;script&gt;x&lt;/script&gt;|&amp;)"), "{page}");
        assert!(page.contains("A=&#39;onload=alert(1)"), "{page}");
        assert!(page.contains("href=\"/qos/%22%3E%3Cscript%3E/%27/favicon.ico\""), "{page}");
    }
    world.close(held);
}

#[test]
fn links_keep_what_a_reader_has_chosen() {
    let world = World::new("QS_ClientEventBlockCount 3 60");
    for (query, refresh, addresses) in [
        ("", "?refresh&amp;", "?option=ip&amp;"),
        ("refresh", "?", "?refresh&amp;option=ip&amp;"),
        ("option=ip", "?refresh&amp;option=ip&amp;", "?"),
        ("address=a%26b", "?refresh&amp;address=a%26b", "?option=ip&amp;address=a%26b"),
    ] {
        let page = body(&world, query);
        for (link, words) in [(refresh, "auto refresh"), (addresses, "client ip connections")] {
            assert!(
                page.contains(&format!("href=\"{link}\">{words}")),
                "{query}: {link} in\n{page}"
            );
        }
    }
}

#[test]
fn denials_in_a_row_are_one_line_and_log_only_is_told() {
    let mut world = World::new("QS_SrvMaxConnPerIP 1");
    let held = world.connect("192.0.2.1").expect("let in");
    for _ in 0..3 {
        assert!(world.connect("192.0.2.1").is_none());
        world.wait(1000);
    }
    let page = body(&world, "");
    let line = "<tr><td class=\"when\">15.01.2027 08:59:59</td><td class=\"n\">3</td>\
                <td><a href=\"?address=192.0.2.1\">192.0.2.1</a></td>";
    assert!(page.contains(line), "{page}");
    assert!(page.contains(">031</td><td>QS_SrvMaxConnPerIP</td>"), "{page}");
    assert!(page.contains("<td>mod_qos(031)</td><td class=\"n\">3</td>"), "{page}");
    let store = World::store(&world.memory);
    let address = Address::from(core::net::IpAddr::from([192, 0, 2, 9]));
    store.recent.note(Denied { when: world.now, event: 31, is_log_only: true, address });
    assert!(body(&world, "").contains(">031 (log only)</td>"));
    world.close(held);
}

#[test]
fn servers_tell_whose_counters_they_use() {
    let world = World::new("QS_SrvMaxConn 5\nQS_LocRequestLimit /app 3");
    let page = with_picture(&world, |picture| {
        let base = picture.servers[0].clone();
        let host = |name: &str| ServerView {
            is_virtual: true,
            host: name.to_owned(),
            port: 81,
            ..base.clone()
        };
        let sharing = ServerView { is_sharing_base: true, ..host("<sharing>") };
        let ruling = ServerView { has_own_connection_counters: false, ..host("ruling") };
        let mut picture = picture.clone();
        picture.servers.extend([sharing, ruling, host("owning")]);
        let page = crate::report::html::render(
            &picture,
            &Asked { path: b"/qos", query: &Query::default(), is_head: false },
        );
        let text = text::render(&picture, &Query::default());
        assert_eq!(text.matches("QS_LocRequestLimit;").count(), 3, "{text}");
        assert_eq!(text.matches("QS_SrvMaxConn;").count(), 2, "{text}");
        page
    });
    let part =
        |from: &str| page.split(from).nth(1).expect(from).split("</section>").next().expect("end");
    assert!(
        part("&lt;sharing&gt;:81 (virtual)").contains("uses base server settings and counters")
    );
    assert!(!part("&lt;sharing&gt;:81 (virtual)").contains("QS_LocRequestLimit"));
    assert!(part("ruling:81 (virtual)").contains("QS_LocRequestLimit"));
    assert!(!part("ruling:81 (virtual)").contains("current connections"));
    assert!(part("owning:81 (virtual)").contains("current connections"));
    assert!(
        !part("owning:81 (virtual)").contains("total connections"),
        "only the base server tells all"
    );
}
