use crate::console::tests::{Admin, request};
use crate::testing::View;
use crate::verdict::Answer;

const RULES: &str = "QS_ClientEventBlockCount 3 60\nQS_ClientEventBlockExcludeIP 198.51.100.99\n\
                     QS_SrvBusyWatch 500 50 100";

fn comes_in(admin: &mut Admin, address: &str) -> bool {
    let connection = admin.world.connect(address);
    let is_in = connection.is_some();
    connection.into_iter().for_each(|connection| admin.world.close(connection));
    is_in
}

#[test]
fn a_network_is_blocked_and_freed_as_a_whole() {
    let mut admin = Admin::new(RULES);
    let open = admin.world.connect("198.51.100.5").expect("let in");
    let state = |block| format!("198.51.100.0/24 vip=no lowprio=no block={block} limit=0/0\n");
    assert_eq!(admin.get("action=search&address=198.51.100.0/24"), "not available\n");
    assert_eq!(admin.get("action=block&address=198.51.100.0/24"), state("1100/60"));
    assert!(!comes_in(&mut admin, "198.51.100.1"));
    assert!(comes_in(&mut admin, "198.51.100.99"), "it is on a list");
    assert!(comes_in(&mut admin, "198.51.101.1"));
    assert_eq!(admin.world.request(&open, &mut View::default(), 200), Answer::Deny(500));
    admin.world.wait(30_000);
    assert_eq!(admin.get("action=search&address=198.51.100.0/24"), state("1100/30"));
    // Whoever of it is blocked by himself is free with it, and others stay as they are.
    admin.get("action=block&address=198.51.100.7");
    admin.get("action=block&address=198.51.101.7");
    assert_eq!(admin.get("action=unblock&address=198.51.100.0/24"), state("0/0"));
    assert!(comes_in(&mut admin, "198.51.100.1") && comes_in(&mut admin, "198.51.100.7"));
    assert!(!comes_in(&mut admin, "198.51.101.7"));
    assert_eq!(admin.world.request(&open, &mut View::default(), 200), Answer::Pass);
    let told = admin.told();
    let applied = "mod_qos(071): console, action 'unblock' applied to client ip entry \
                   '198.51.100.0/24', id=ID";
    assert!(told.iter().any(|line| line == applied), "{told:?}");
}

#[test]
fn an_address_and_a_larger_network_free_it_too() {
    let mut admin = Admin::new(RULES);
    for freed in ["198.51.100.9", "198.51.0.0/16", "198.51.100.128/25"] {
        admin.get("action=block&address=198.51.100.0/24");
        admin.get("action=block&address=2001:db8::/48");
        admin.get(&format!("action=unblock&address={freed}"));
        assert!(comes_in(&mut admin, "198.51.100.9"), "{freed}");
        assert!(!comes_in(&mut admin, "2001:db8:0:77::1"), "{freed}");
    }
    admin.get("action=unblock&address=2001:db8:0:77::/64");
    assert!(comes_in(&mut admin, "2001:db8:0:1::1"));
}

#[test]
fn why_names_what_holds_a_network_and_those_of_it() {
    let mut admin = Admin::new(RULES);
    admin.get("action=block&address=198.51.100.0/24");
    admin.world.wait(10_000);
    let rest = "rule=QS_SrvBusyWatch count=1100/100 remaining=50 since=";
    for who in ["198.51.100.0/24", "198.51.100.64/26", "198.51.100.7"] {
        let answer = admin.get(&format!("action=why&address={who}"));
        assert!(answer.starts_with(&format!("{who} {rest}")), "{answer}");
        assert_eq!(answer.lines().count(), 1);
    }
    for who in ["198.51.0.0/16", "198.51.101.0/24", "198.51.100.99", "2001:db8::/48"] {
        let answer = admin.get(&format!("action=why&address={who}"));
        assert_eq!(answer, format!("{who} rule=none\n"));
    }
    // Without the watch a network can be blocked as well.
    let mut admin = Admin::new("QS_ClientEventBlockCount 3 60");
    admin.get("action=block&address=2001:db8::/48");
    let answer = admin.get("action=why&address=2001:db8::1");
    let words = "2001:db8::1 rule=QS_ClientEventBlockCount count=1003/3 remaining=60 since=";
    assert!(answer.starts_with(words), "{answer}");
}

#[test]
fn a_list_takes_networks_to_another_server() {
    let mut one = Admin::new(RULES);
    for who in ["198.51.100.0/24", "2001:db8::/48", "192.0.2.7"] {
        one.get(&format!("action=block&address={who}"));
        one.world.wait(10_000);
    }
    let list = one.get("action=dump");
    let lines: Vec<&str> = list.lines().collect();
    let expected = [
        "# mod_qos block list 1",
        "2001:db8::/48 40 1100",
        "198.51.100.0/24 30 1100",
        "192.0.2.7 50 1003",
    ];
    assert_eq!(lines, expected);

    let mut other = Admin::new("QS_ClientEventBlockCount 9 100");
    other.world.wait(200_000);
    assert_eq!(other.load(&list), (200, "loaded=3 ignored=0\n".to_owned()));
    for who in ["198.51.100.1", "2001:db8:0:9::1", "192.0.2.7"] {
        assert!(!comes_in(&mut other, who), "{who}");
    }
    assert_eq!(other.get("action=dump"), list);
    // Of two blocks the later end wins.
    other
        .load("# mod_qos block list 1\n198.51.100.0/24 10 5\n2001:db8::/48 90 5\n10.0.0.0/8 0 5\n");
    let list = other.get("action=dump");
    assert!(list.contains("\n2001:db8::/48 90 5\n198.51.100.0/24 30 1100\n"), "{list}");
    other.world.wait(30_000);
    assert!(comes_in(&mut other, "198.51.100.1"));
}

#[test]
fn a_network_that_is_a_client_stands_in_the_list_once() {
    let mut admin = Admin::new(RULES);
    let network = |text: &str| crate::client::address::Network {
        address: crate::client::address::Address::from(
            text.parse::<core::net::IpAddr>().expect(text),
        ),
        bits: 64,
    };
    admin.world.with(|_, moment, _| {
        for text in ["2001:db8:0:1::", "2001:db8:0:2::"] {
            let until = moment.now.after(crate::time::Seconds(60));
            let block = crate::store::networks::Block { network: network(text), until, count: 104 };
            assert!(moment.store.networks.block(block, moment.now));
        }
    });
    admin.get("action=block&address=2001:db8:0:1::1");
    let list = admin.get("action=dump");
    let lines = list.lines().skip(1).collect::<Vec<_>>();
    assert_eq!(lines, ["2001:db8:0:2::/64 60 104", "2001:db8:0:1::/64 60 1003"]);
}

#[test]
fn a_list_of_more_networks_than_there_is_room_for_keeps_those_that_last() {
    let mut admin = Admin::new(RULES);
    let line = |n: u32| format!("10.{}.{}.0/24 {} 5\n", n / 200, n % 200, 30 + n);
    let list: String = (0..300).map(line).collect();
    let answer = admin.load(&format!("# mod_qos block list 1\n{list}"));
    assert_eq!(answer, (200, "loaded=300 ignored=0\n".to_owned()));
    let answer = admin.load(&format!("# mod_qos block list 1\n{}", line(0)));
    assert_eq!(answer, (200, "loaded=0 ignored=1\n".to_owned()));
    let kept = admin.get("action=dump");
    assert_eq!(kept.lines().count(), 1 + 256);
    assert!(!kept.contains("10.0.43.0/24 ") && kept.contains("10.0.44.0/24 "), "{kept}");
}

#[test]
fn clear_ends_all_blocks_and_nothing_else() {
    let mut admin = Admin::new(&format!("{RULES}\nQS_ClientEventLimitCount 3 60"));
    for who in ["198.51.100.0/24", "2001:db8::/48", "192.0.2.7", "192.0.2.8"] {
        admin.get(&format!("action=block&address={who}"));
    }
    admin.get("action=limit&address=192.0.2.9");
    let refused = admin.send(&mut request("GET", "action=clear"), b"");
    assert_eq!(refused, (403, "refused, POST required\n".to_owned()));
    admin.told();
    let cleared = admin.send(&mut request("POST", "action=clear"), b"");
    assert_eq!(cleared, (200, "cleared=4\n".to_owned()));
    let told = admin.told();
    assert_eq!(
        told,
        ["mod_qos(071): console, action 'clear' applied to 4 client ip entries, id=ID"]
    );
    assert_eq!(admin.get("action=dump"), "# mod_qos block list 1\n");
    for who in ["198.51.100.1", "2001:db8::1", "192.0.2.7"] {
        assert!(comes_in(&mut admin, who), "{who}");
    }
    assert!(admin.get("action=search&address=192.0.2.9").ends_with(" limit=1003/60\n"));
    let mut view = request("POST", "action=clear").and_header("Sec-Fetch-Site", "cross-site");
    assert_eq!(admin.send(&mut view, b"").0, 403);
}
