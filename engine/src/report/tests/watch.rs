//! The busy server's watch and the networks that are blocked, on every page.

use super::*;
use crate::client::address::Network;
use crate::phases::watch::{self, Hands};
use crate::report::metrics;
use crate::store::networks::Block;
use crate::time::Seconds;
use serde_json::{Value, json};

struct NoHands;

impl Hands for NoHands {
    fn save(&mut self, _: &str) -> Option<String> {
        None
    }

    fn report(&mut self, _: Address) {}
}

fn look(world: &mut World) {
    world.with(|policy, moment, sink| {
        watch::watch(&[policy], moment, &Workers::default(), &mut NoHands, sink);
    });
}

fn page(world: &World) -> Value {
    serde_json::from_str(&body(world, "json")).expect("an object")
}

fn metric(world: &World, name: &str) -> Option<u64> {
    let text = with_picture(world, metrics::render);
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn pages_tell_how_the_watch_is_configured_and_what_it_sees() {
    let mut world = World::new(
        "QS_SrvBusyWatch 4 3 4
         QS_SrvBusyWatchNetwork 20 56
         QS_SrvBusyWatchDir /var/log/<b>&qos 7
         QS_SrvBusyWatchExec /bin/true
         QS_ClientEventBlockCount 9 60",
    );
    world.wait(10_000);
    look(&mut world);
    let configured = json!({"busy": 0, "threshold": 4, "per_address": 3, "per_network": 4, "bits_ipv4": 20,
        "bits_ipv6": 56, "block_seconds": 60, "directory": "/var/log/<b>&qos", "files_kept": 7,
        "program": "/bin/true", "is_busy": false});
    assert_eq!(page(&world)["busy_watch"], configured);
    assert_eq!(page(&world)["blocked_networks"], json!([]));
    assert_eq!(metric(&world, "modqos_busy_watch_episode"), Some(0));
    let shown = body(&world, "");
    for part in [
        "<td>not busy</td>",
        "0 of 4</td>",
        "offender: an address with</th><td>3 connections</td>",
        "offender: a network (/20, /56) with</th><td>4 connections</td>",
        "is blocked for</th><td>60 sec</td>",
        "/var/log/&lt;b&gt;&amp;qos, the last 7 files</td>",
        "<td>/bin/true</td>",
        "blocked networks: 0",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }

    let held: Vec<_> = ["198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.101.7"]
        .map(|who| world.connect(who).expect("let in"))
        .into();
    look(&mut world);
    world.wait(5_000);
    look(&mut world);
    let seen = page(&world);
    assert_eq!(
        (&seen["busy_watch"]["is_busy"], &seen["busy_watch"]["busy"], &seen["busy_watch"]["since"]),
        (&json!(true), &json!(4), &json!(1_799_999_995))
    );
    assert_eq!(seen["busy_watch"]["calm_seconds"], json!(0));
    let network =
        json!({"network": "198.51.96.0/20", "connections": 4, "limit": 4, "remaining": 55});
    assert_eq!(seen["blocked_networks"], json!([network]));
    assert_eq!(metric(&world, "modqos_busy_watch_episode"), Some(1));
    assert_eq!(metric(&world, "modqos_networks_blocked"), Some(1));
    let shown = body(&world, "address=198.51.111.9");
    let row = "198.51.96.0/20</a></td><td class=\"n\">4</td><td class=\"n\">4</td><td class=\"n\">55</td>";
    for part in [
        "busy since ",
        "blocked networks: 1",
        row,
        "blocked network</th><td>198.51.96.0/20, 4 connections, 55 sec left</td>",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(!shown.contains("not found"));
    assert!(body(&world, "address=198.51.96.0/20").contains(", 55 sec left</td>"));

    for connection in held {
        world.close(connection);
    }
    look(&mut world);
    world.wait(3_000);
    look(&mut world);
    assert_eq!(page(&world)["busy_watch"]["calm_seconds"], json!(3));
    assert!(body(&world, "").contains(", calm for 3 sec</td>"));
    // Nobody looks any more.
    world.wait(121_000);
    assert_eq!(page(&world)["busy_watch"]["is_busy"], json!(false));
    assert_eq!(page(&world)["blocked_networks"], json!([]));
    assert!(body(&world, "address=198.51.111.9").contains("not found"));
}

#[test]
fn where_there_is_no_watch_pages_tell_of_networks_that_are_blocked_by_hand() {
    let mut world = World::new("QS_ClientEventBlockCount 3 60");
    assert!(!body(&world, "").contains("blocked networks"));
    let address = Address::from("2001:db8::".parse::<core::net::IpAddr>().expect("an address"));
    world.with(|_, moment, _| {
        let (network, until) = (Network { address, bits: 48 }, moment.now.after(Seconds(60)));
        assert!(moment.store.networks.block(Block { network, until, count: 1003 }, moment.now));
    });
    let network = json!({"network": "2001:db8::/48", "connections": 1003, "remaining": 60});
    let seen = page(&world);
    assert_eq!(seen["blocked_networks"], json!([network]));
    assert_eq!(seen.get("busy_watch"), None);
    assert!(body(&world, "").contains("blocked networks: 1"));
    assert!(!body(&world, "").contains("busy watch"));
    assert_eq!(metric(&world, "modqos_busy_watch_episode"), None);
    assert_eq!(metric(&world, "modqos_networks_blocked"), Some(1));
    // Nobody is blocked where no rule says for how long.
    world.restart("QS_SrvMaxConn 9", 2);
    assert_eq!(page(&world)["blocked_networks"], json!([]));
}
