//! Known clients first: QS_ClientPrefer, what makes a client less welcome, and QS_ClientLowPrio.

use crate::harness::{Builder, Client, Connection, Httpd, Mpm, Outcome, PATIENCE, wait_until};

/// Twelve can be served, and from seven on they are told apart: nobody knows a client, penalty 4: refused when it
/// is the 11th or a later one. It was blocked, penalty 6: the 10th.
const PREFER: &str = "QS_MaxClients 12\nQS_ClientPrefer 50%";

/// A single request for /blk blocks for a second.
const BLOCK: &str = "QS_ClientEventBlockCount 1 1\nSetEnvIf Request_URI ^/blk QS_Block";

fn server(mpm: Mpm) -> Builder {
    Httpd::on(mpm).with(PREFER).with(BLOCK).with("QS_SrvMaxConnExcludeIP 127.0.9.")
}

/// One connection from each of so many addresses.
fn hold(httpd: &Httpd, count: usize) -> Vec<Connection> {
    (1..=count)
        .map(|n| {
            let client = httpd.client(&format!("127.0.1.{n}"));
            let mut held = None;
            // What others have closed may still be counted.
            wait_until("it is served", PATIENCE, || {
                let mut connection = client.connect();
                let is_served = connection.get("/index.html").status() == Some(200);
                held = is_served.then_some(connection);
                is_served
            });
            held.expect("served")
        })
        .collect()
}

fn low_priority(client: &Client) -> Option<String> {
    match client.get("/index.html") {
        Outcome::Served(response) => response.var("QS_ClientLowPrio").map(str::to_owned),
        _ => None,
    }
}

/// Makes a client one that was blocked, and waits until it is not any more.
fn misbehave(httpd: &Httpd, client: &Client) {
    httpd.expect(60);
    assert_eq!(client.get("/blk").status(), Some(500));
    wait_until("the block is over", PATIENCE, || low_priority(client).as_deref() == Some("0x08"));
}

fn on_a_busy_server_known_bad_ones_find_no_place_first(mpm: Mpm) {
    let httpd = server(mpm).start();
    httpd.expect(66);
    let bad = httpd.client("127.0.0.61");
    misbehave(&httpd, &bad);
    let mut held = hold(&httpd, 5);
    assert_eq!(bad.get("/").status(), Some(200), "the server is not busy");
    held.extend(hold(&httpd, 4));

    let mark = httpd.mark();
    bad.get("/").assert_refused();
    let line = &httpd.wait_for_events_since(mark, 66, 1)[0];
    let rule =
        "access denied, QS_ClientPrefer rule (penalty=6 0x08): max=6, concurrent connections=";
    assert!(line.text.starts_with(rule) && line.text.ends_with(", c=127.0.0.61"), "{}", line.text);
    assert_eq!((line.level.as_str(), &line.client), ("error", &None));
    wait_until("one that nobody knows is served beside it", PATIENCE, || {
        httpd.newcomer().get("/").status() == Some(200)
    });
    bad.get("/").assert_refused();

    held.extend(hold(&httpd, 1));
    let mark = httpd.mark();
    httpd.client("127.0.0.62").get("/").assert_refused();
    let line = &httpd.wait_for_events_since(mark, 66, 1)[0];
    assert!(line.text.contains("(penalty=4 0x00): max=6, "), "{}", line.text);
    for _ in 0..3 {
        let excluded = httpd.client("127.0.9.1").get("/").status();
        assert_eq!(excluded, Some(200), "excluded addresses are always served");
    }
    drop(held);
    wait_until("it has place for all again", PATIENCE, || bad.get("/").status() == Some(200));
}

fn log_only_serves_everybody(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with(PREFER).with("QS_LogOnly on").start();
    httpd.expect(66);
    let _held = hold(&httpd, 10);
    assert_eq!(httpd.client("127.0.0.61").get("/").status(), Some(200));
    let text = &httpd.wait_for_events(66, 1)[0].text;
    assert!(text.starts_with("access denied (log only), QS_ClientPrefer rule (penalty=4 0x00)"));
}

fn a_mark_outlives_restarts_and_killed_children(mpm: Mpm) {
    let httpd = server(mpm).start();
    let (bad, good) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    misbehave(&httpd, &bad);
    let is_known = || low_priority(&bad).as_deref() == Some("0x08");
    let mut held = bad.hold();
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    held.watch_until_closed();
    wait_until("new children know it", PATIENCE, is_known);
    httpd.reload();
    wait_until("and those of the next generation", PATIENCE, is_known);
    httpd.hard_restart();
    wait_until("also after a restart by force", PATIENCE, is_known);
    assert_eq!(low_priority(&good), None);
    // The dead ones are not counted any more: there is room for as many as at first.
    httpd.expect(66);
    let _held = hold(&httpd, 9);
    bad.get("/").assert_refused();
    wait_until("a good one is served beside it", PATIENCE, || good.get("/").status() == Some(200));
}

fn a_request_that_does_not_come_in_time_makes_a_mark(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_ClientPrefer\nTimeout 1").start();
    let (slow, good) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    let mut half = slow.connect();
    half.send(b"GET / HTTP/1.1\r\nHos").expect("sent");
    assert_eq!(half.response().status(), Some(408));
    wait_until("it is marked", PATIENCE, || low_priority(&slow).as_deref() == Some("0x20"));
    assert_eq!(low_priority(&good), None);
    let log = httpd.access_log();
    let line = log.iter().find(|line| line.status() == 408).expect("logged");
    assert_eq!(line.letters(), "r;");
}

/// Two children at least answer: what a client asks for is counted in one place.
fn a_client_is_judged_by_the_mix_of_what_it_asks_for(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientPrefer\nQS_ClientContentTypes 40 15 150 10 40")
        .with("AddType text/html .html\nAddType image/png .png\nAddType text/css .css")
        .file("a.png", vec![1])
        .file("a.css", vec![32])
        .start();
    let (crawler, browser) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    let mix = ["/index.html", "/a.png", "/a.png", "/a.png", "/a.css"];
    let mut connection = browser.connect();
    for path in mix.into_iter().cycle().take(60) {
        assert_eq!(connection.get(path).served().status, 200);
    }
    assert_eq!(low_priority(&browser), None);
    let mut connection = crawler.connect();
    for _ in 0..25 {
        assert_eq!(connection.get("/index.html").served().status, 200);
    }
    assert_eq!(low_priority(&crawler), None, "50 activities are not enough");
    wait_until("pages alone are not what people ask for", PATIENCE, || {
        low_priority(&crawler).as_deref() == Some("0x04")
    });
    assert_eq!(low_priority(&browser), None);
    let last = httpd.wait_for_access("/index.html", 1);
    assert!(last.iter().any(|line| line.letters() == "r;"));
}

/// What clients ask for is not even looked at where nobody wants to know.
fn without_the_rule_nothing_is_marked(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with(BLOCK).with("Timeout 1").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(client.get("/blk").status(), Some(500));
    wait_until("the block is over", PATIENCE, || client.get("/").status() == Some(200));
    assert_eq!(low_priority(&client), None);
}

#[test]
fn the_configuration_test_names_what_is_wrong() {
    for good in
        ["QS_ClientPrefer", "QS_ClientPrefer 80%", "QS_ClientTolerance 5", "QS_ClientPrefer 1"]
    {
        let check = Httpd::check(good);
        assert!(check.is_ok, "{good}: {}", check.text);
    }
    for (bad, part) in [
        ("QS_ClientPrefer 100", "QS_ClientPrefer: '100'"),
        ("QS_ClientPrefer 80 90", "QS_ClientPrefer: '90'"),
        ("QS_ClientTolerance 4", "QS_ClientTolerance: '4'"),
        ("QS_ClientContentTypes 1 2 3 4", "five numbers"),
        ("<VirtualHost *:1>\nQS_ClientPrefer\n</VirtualHost>", "cannot occur within"),
    ] {
        let check = Httpd::check(bad);
        assert!(!check.is_ok && check.text.contains(part), "{bad}: {}", check.text);
    }
    let check = Httpd::check("QS_ClientTolerance 5");
    assert!(check.text.contains("have no effect without QS_ClientPrefer"), "{}", check.text);
    let host =
        "QS_ClientPrefer\n<VirtualHost *:1>\nQS_ClientContentTypes 1 1 1 1 1000\n</VirtualHost>";
    assert!(Httpd::check(host).is_ok);
}

on_each_mpm!(
    on_a_busy_server_known_bad_ones_find_no_place_first,
    log_only_serves_everybody,
    a_mark_outlives_restarts_and_killed_children,
    a_request_that_does_not_come_in_time_makes_a_mark,
    a_client_is_judged_by_the_mix_of_what_it_asks_for,
    without_the_rule_nothing_is_marked,
);
