//! Pages of servers that are made of lines of configuration.

mod html;
mod json;
mod million;
mod watch;

use super::*;
use crate::testing::{View, World};

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
        processors: 2,
        utc_offset: 3600,
        store: &store,
        base: &world.policy,
        servers: vec![server],
        workers: Workers { max_clients: 40, ..Workers::default() },
        version: "0.0.0",
    })
}

/// The answer to a query on a path.
fn ask(world: &World, path: &str, query: &str, is_head: bool) -> Page {
    let query = Query::parse(query.as_bytes());
    let asked = Asked { path: path.as_bytes(), query: &query, is_head };
    with_picture(world, |picture| view(picture, &asked))
}

/// The body of the page.
fn body(world: &World, query: &str) -> String {
    String::from_utf8(ask(world, "/qos", query, false).body).expect("text")
}

/// A request with a variable, from an address.
fn request(world: &mut World, address: &str, variable: &str) {
    let Some(connection) = world.connect(address) else { return };
    world.request(&connection, &mut View::with(variable, ""), 200);
    world.close(connection);
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
b;localhost;0;QS_EventRequestLimit;7[var=(A=^x)]: 0
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

#[test]
fn each_kind_of_page_has_its_type_and_headers() {
    let world = World::new("");
    let header = |page: &Page, name: &CStr| {
        page.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
    };
    for (path, query, content_type, refresh) in [
        ("/qos", "", "text/html; charset=utf-8", None),
        ("/qos", "refresh", "text/html; charset=utf-8", Some("10")),
        ("/qos", "option=ip&refresh=1", "text/html; charset=utf-8", Some("10")),
        ("/qos", "auto&refresh", "text/plain", None),
        ("/qos", "json", "application/json", None),
        ("/qos/auto/json", "x=auto", "text/html; charset=utf-8", None),
    ] {
        for is_head in [false, true] {
            let page = ask(&world, path, query, is_head);
            assert_eq!((page.status, page.content_type), (200, content_type), "{query}");
            assert_eq!(header(&page, c"Cache-Control").as_deref(), Some("no-cache"));
            assert_eq!(header(&page, c"Refresh").as_deref(), refresh, "{query}");
            assert_eq!(page.body.is_empty(), is_head);
        }
    }
    let icon = ask(&world, "/qos/favicon.ico", "auto", false);
    assert_eq!((icon.content_type, icon.headers.len()), ("image/x-icon", 1));
    assert_eq!(header(&icon, c"Cache-Control").as_deref(), Some("public, max-age=2592000"));
    assert_eq!(icon.body.get(..6), Some(&[0, 0, 1, 0, 1, 0][..]), "one icon");
    assert_eq!(icon.body.len(), 1406, "16 x 16, with a palette");
}

#[test]
fn events_are_new_to_whoever_reads_first_and_to_nobody_who_wants_headers_only() {
    let mut world = World::new("QS_EventCount on\nQS_SrvMaxConn 1");
    let held = world.connect("192.0.2.1").expect("let in");
    assert!(world.connect("192.0.2.2").is_none());
    assert!(body(&world, "").contains("mod_qos(030)"), "a page for people takes nothing away");
    ask(&world, "/qos", "auto", true);
    let text = auto(&world, "auto");
    assert!(text.contains("e;mod_qos(030);new: 1\ne;mod_qos(030);total: 1\n"), "{text}");
    assert!(auto(&world, "auto").contains("e;mod_qos(030);new: 0\ne;mod_qos(030);total: 1\n"));
    assert!(text.contains("e;mod_qos(147);total: 0\ne;mod_qos(304);new: 0\n"), "{text}");
    world.close(held);
    let world = World::new("QS_EventCount off");
    assert!(!auto(&world, "auto").contains("e;"));
}
