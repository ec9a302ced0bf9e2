//! Pages of servers that are made of lines of configuration.

use super::*;
use crate::testing::World;

/// Pictures of a world whose base server has these rules.
pub fn with_picture<T>(world: &World, then: impl FnOnce(&Picture<'_>) -> T) -> T {
    let store = World::store(&world.memory);
    let server = ServerView {
        is_virtual: false,
        host: "localhost".to_owned(),
        port: 0,
        policy: &world.policy,
        scope: 1,
        is_sharing_base: false,
        has_own_connection_counters: true,
    };
    then(&Picture {
        now: world.now,
        epoch_seconds: 1_800_000_000,
        load: Some(0.456),
        store: &store,
        base: &world.policy,
        servers: vec![server],
        workers: Workers { max_clients: 40, ..Workers::default() },
        version: "0.0.0",
    })
}

fn auto(world: &World, query: &str) -> String {
    with_picture(world, |picture| text::render(picture, &Query::parse(query.as_bytes())))
}

#[test]
fn lines_stand_in_the_order_of_the_specification_where_they_are_configured() {
    let world = World::new("");
    assert_eq!(auto(&world, "auto"), "b;system.load: 0.46\nb;localhost;0;QS_AllConn: 0\n");

    let mut world = World::new(
        "QS_SrvMaxConnPerIP 5
         QS_SrvMaxConnClose 50%
         QS_SrvMaxConn 10
         QS_EventRequestLimit A=^x 7
         QS_CondLocRequestLimitMatch ^/c 3 bad
         QS_LocRequestLimitMatch \\.pdf$ 4
         QS_LocRequestLimit /app 100
         QS_ClientPrefer 80",
    );
    let held: Vec<_> = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1:2"]
        .into_iter()
        .map(|address| world.connect(address).expect("let in"))
        .collect();
    let common = "b;system.load: 0.46
b;clientContentTypes(html,css/js,images,other,304): 0 0 0 0 0
b;localhost;0;QS_AllConn: 4
b;localhost;0;QS_ClientPrefer;32[]: 4
b;localhost;0;QS_LocRequestLimit;100[/app]: 0
b;localhost;0;QS_LocRequestLimitMatch;4[\\.pdf$]: 0
b;localhost;0;QS_CondLocRequestLimitMatch;3[^/c]: 0
b;localhost;0;QS_EventRequestLimit;7[A=^x]: 0
b;localhost;0;QS_SrvMaxConn;10[]: 4
b;localhost;0;QS_SrvMaxConnClose;20[]: 4
";
    assert_eq!(auto(&world, "auto"), common);
    let addresses = "b;localhost;0;QS_SrvMaxConnPerIP;192.0.2.1: 2
b;localhost;0;QS_SrvMaxConnPerIP;192.0.2.2: 1
b;localhost;0;QS_SrvMaxConnPerIP;2001:db8::/64: 1
";
    assert_eq!(auto(&world, "auto&option=ip"), format!("{common}{addresses}"));
    for connection in held {
        world.close(connection);
    }
    assert!(!auto(&world, "auto&option=ip").contains("PerIP"), "nobody is there any more");
}
