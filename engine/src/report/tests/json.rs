//! The page for programs: its members, as docs/status.md describes them.

use super::*;
use serde_json::{Value, json};

fn page(world: &World, query: &str) -> Value {
    let text = body(world, query);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

#[test]
fn a_page_has_the_members_of_its_schema() {
    let page = page(&World::new(""), "json");
    let mut names: Vec<&String> = page.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "blocked_networks",
            "clients",
            "connections",
            "denials",
            "load",
            "log_only",
            "max_clients",
            "schema",
            "servers",
            "time",
            "version",
            "workers"
        ]
    );
    assert_eq!(page["schema"], json!(1));
    assert_eq!((&page["load"], &page["time"]), (&json!(0.46), &json!(1_800_000_000)));
    assert_eq!(
        page["servers"],
        json!([{"virtual": false, "host": "localhost", "port": 0, "uses_base": false, "connections": 0,
            "rules": []}])
    );
}

#[test]
fn rules_clients_and_events_are_the_same_as_elsewhere() {
    let mut world = World::new(
        "QS_SrvMaxConnPerIP 3
         QS_LocRequestLimitMatch ^/\\d<'x 4
         QS_ClientEventBlockCount 2 60
         QS_ClientEventLimitCount 1 100 LOGIN
         QS_ClientPrefer 80
         QS_EventCount on",
    );
    for variable in ["QS_Block", "QS_Block"] {
        request(&mut world, "198.51.100.1", variable);
    }
    request(&mut world, "2001:db8::7", "LOGIN");
    assert!(world.connect("198.51.100.1").is_none(), "blocked");
    let held = world.connect("192.0.2.1").expect("let in");
    world.wait(3000);
    let page = page(&world, "json&option=ip");
    assert_eq!(
        page["servers"][0],
        json!({"virtual": false, "host": "localhost", "port": 0, "uses_base": false, "connections": 1,
            "rules": [
                {"directive": "QS_ClientPrefer", "rule": "", "limit": 32, "current": 1, "unit": "connections"},
                {"directive": "QS_LocRequestLimitMatch", "rule": "^/\\d<'x", "limit": 4, "current": 0,
                 "unit": "requests"}],
            "addresses": [{"address": "192.0.2.1", "connections": 1}]})
    );
    assert_eq!(
        page["clients"],
        json!({"known": 3, "connected": 1, "evicted": 0, "blocked": 1, "limited": 1,
            "blocked_clients": [{"address": "198.51.100.1", "directive": "QS_ClientEventBlockCount", "count": 2,
                "limit": 2, "remaining": 57}],
            "limited_clients": [{"address": "2001:db8::/64", "directive": "QS_ClientEventLimitCount",
                "variable": "LOGIN", "count": 1, "limit": 1, "remaining": 97}]})
    );
    // The request that reached the limit was denied itself.
    assert_eq!(
        page["denials"][0],
        json!({"time": 1_799_999_997, "event": "060", "address": "198.51.100.1", "log_only": false})
    );
    assert_eq!(page["content_types"]["html"], json!(0));
    let of = |page: &Value, number: &str| {
        let events = page["events"].as_array().expect("events");
        events.iter().find(|event| event["event"] == number).expect(number).clone()
    };
    assert_eq!(of(&page, "067"), json!({"event": "067", "new": 1, "total": 1}));
    let again = self::page(&world, "json");
    assert_eq!(of(&again, "067"), json!({"event": "067", "new": 0, "total": 1}));
    assert!(again["servers"][0].get("addresses").is_none(), "only where they are asked for");
    world.close(held);
}
