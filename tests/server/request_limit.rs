//! Separation of applications: how many requests of a location, or with an event, are served at once
//! (QS_LocRequestLimit.., QS_CondLocRequestLimitMatch, QS_EventRequestLimit), and QS_Delay.

use std::time::{Duration, Instant};

use crate::harness::{
    Builder, Connection, Http2Connection, Httpd, Mpm, Outcome, PATIENCE, RECOVERY, poll, wait_until,
};

/// Every path is the index page. `ANY` counts what is open, so that a test knows when its requests have
/// come; who asks for /~probe is counted by nothing else.
const SITE: &str = "AliasMatch ^/(?!e\\.html).* @ROOT@/htdocs/index.html\n\
    QS_LocRequestLimitMatch ^/~probe 0\n\
    SetEnvIf Remote_Addr . ANY\n\
    QS_EventRequestLimit ANY 9999\n\
    Header always set X-Var-open %{QS_EventRequestLimit_ANY_Counter}e\n\
    SetEnvIf Request_URI ^/slow QS_Delay=600";

pub fn server(mpm: Mpm, rules: &str) -> Builder {
    Httpd::on(mpm).with(SITE).with(rules)
}

fn start(mpm: Mpm, rules: &str) -> Httpd {
    started(server(mpm, rules))
}

fn started(builder: Builder) -> Httpd {
    let httpd = builder.start();
    // The probe's rule has no limit; denials of all kinds are what this file is about.
    httpd.expect(3).expect(10).expect(11).expect(12);
    httpd
}

/// A request that stays in its handler until its body, one octet, comes.
pub fn hold_with(httpd: &Httpd, path: &str, headers: &str) -> Connection {
    hold_of_port(httpd, 0, path, headers)
}

fn hold_of_port(httpd: &Httpd, port: usize, path: &str, headers: &str) -> Connection {
    let source = httpd.newcomer().source.to_string();
    let mut connection = httpd.client_of_port(port, &source).connect();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 1\r\n\r\n");
    connection.send(head.as_bytes()).expect("the server reads");
    connection
}

fn hold_many(httpd: &Httpd, path: &str, times: usize) -> Vec<Connection> {
    let held = (0..times).map(|_| hold_with(httpd, path, "")).collect();
    wait_for_open(httpd, times);
    held
}

fn open(httpd: &Httpd) -> usize {
    open_at(httpd, 0)
}

fn open_at(httpd: &Httpd, port: usize) -> usize {
    let source = httpd.newcomer().source.to_string();
    match httpd.client_of_port(port, &source).get("/~probe") {
        Outcome::Served(response) if response.status == 200 => response.count("open") as usize - 1,
        // A server that restarts.
        _ => usize::MAX,
    }
}

#[track_caller]
pub fn wait_for_open(httpd: &Httpd, count: usize) {
    wait_until(&format!("{count} requests are open"), PATIENCE, || open(httpd) == count);
}

#[track_caller]
pub fn release(mut held: Vec<Connection>) {
    for connection in &mut held {
        connection.send(b"x").expect("the server reads");
        assert_eq!(connection.response().served().status, 200);
    }
}

fn get(httpd: &Httpd, path: &str, headers: &str) -> Option<u16> {
    let headers = format!("{headers}Connection: close\r\n");
    httpd.newcomer().connect().get_with(path, &headers).status()
}

/// Asks; the words of the rule that denied it.
fn denied(httpd: &Httpd, event: u16, path: &str, headers: &str) -> Option<String> {
    let before = httpd.events(event).len();
    let status = get(httpd, path, headers);
    if status != Some(500) {
        assert_eq!(status, Some(200), "{path}");
        return None;
    }
    let line = httpd.wait_for_events(event, before + 1).pop().expect("a line");
    assert_eq!(line.level, "error");
    let (words, client) = line.without_id().split_once(", c=127.99.").expect("a client");
    assert!(!client.is_empty() && line.text.contains(", id="), "{}", line.text);
    Some(words.strip_prefix("access denied, ").expect("its beginning").to_owned())
}

fn the_table_of_the_specification(mpm: Mpm) {
    let httpd = start(
        mpm,
        "QS_LocRequestLimit /app 2\nQS_LocRequestLimit /app/sub 1\nQS_LocRequestLimitDefault 5\n\
         QS_LocRequestLimitMatch [.]gif 3\nQS_LocRequestLimitMatch ^/m/ 2\n\
         QS_LocRequestLimitMatch ^/m/z 5",
    );
    let over_app = Some("/app(2), concurrent requests=3");
    let over_m = Some("^/m/(2), concurrent requests=3");
    for (held, times, cases) in [
        (
            "/app/",
            2,
            &[
                ("/app/", over_app),
                ("/%61pp/", over_app),
                ("//app/", over_app),
                ("/x/../app/", over_app),
                ("/./app/", over_app),
                ("/appx", over_app),
                ("/app/x.gif", None),
                ("/app/?x.gif", None),
                ("/app/sub/x", None),
                ("/yy", None),
            ][..],
        ),
        (
            "/app/sub",
            1,
            &[("/app/sub/x", Some("/app/sub(1), concurrent requests=2")), ("/app/", None)],
        ),
        ("/app/x.gif", 3, &[("/x.gif", Some("[.]gif(3), concurrent requests=4")), ("/app/", None)]),
        ("/m/z", 2, &[("/m/z", over_m), ("/%6d/z", over_m), ("//m/z", over_m), ("/m", None)]),
        ("/zz", 5, &[("/yy", Some("/(5), concurrent requests=6")), ("/app/", None)]),
    ] {
        let connections = hold_many(&httpd, held, times);
        for (path, expected) in cases {
            let words = denied(&httpd, 10, path, "");
            let rule =
                words.as_deref().and_then(|words| words.strip_prefix("QS_LocRequestLimit* rule: "));
            assert_eq!(rule, *expected, "{times} x {held}, then {path}: {words:?}");
            // Who was denied is counted until his answer is logged.
            wait_for_open(&httpd, times);
        }
        release(connections);
        wait_for_open(&httpd, 0);
    }
}

fn a_conditional_limit_counts_all_and_denies_some(mpm: Mpm) {
    let rules = "QS_LocRequestLimitMatch ^/c/ 4\nQS_CondLocRequestLimitMatch ^/c/ 1 spider\n\
                 BrowserMatch slurp QS_Cond=spider";
    let slurp = "User-Agent: slurp\r\n";
    let httpd = start(mpm, rules);
    let held = hold_many(&httpd, "/c/", 1);
    assert_eq!(denied(&httpd, 11, "/c/", ""), None, "a normal agent");
    wait_for_open(&httpd, 1);
    assert_eq!(
        denied(&httpd, 11, "/%63/", slurp).as_deref(),
        Some("QS_CondLocRequestLimitMatch rule: ^/c/(1), concurrent requests=2")
    );
    drop(held);
    wait_for_open(&httpd, 0);
    assert_eq!(denied(&httpd, 11, "/c/", slurp), None, "it is the only one");
}

fn a_vip_is_counted_and_never_denied(mpm: Mpm) {
    let httpd = start(
        mpm,
        "QS_VipHeaderName X-Vip\nSetEnvIf X-Is-Vip . QS_VipRequest=yes\nSetEnvIf X-Is-Vip . QS_Cond=x\n\
         QS_LocRequestLimit /app 2\nQS_CondLocRequestLimitMatch ^/c/ 1 x\n\
         QS_EventRequestLimit EV 1\nSetEnvIf X-Event . EV",
    );
    let vip = "X-Is-Vip: 1\r\n";
    assert_eq!(get(&httpd, "/app/vip", vip), Some(200));
    let line = httpd.wait_for_access("/app/vip", 1).pop().expect("logged");
    assert_eq!(line.letters(), "", "it was nobody's exception");
    let mut held = hold_many(&httpd, "/app", 2);
    assert_eq!(get(&httpd, "/app", vip), Some(200));
    let line = httpd.wait_for_access("/app", 1).pop().expect("logged");
    assert_eq!((line.letters(), line.cr()), ("S;", Some("3")));
    wait_for_open(&httpd, 2);
    held.push(hold_with(&httpd, "/app", vip));
    wait_for_open(&httpd, 3);
    assert_eq!(
        denied(&httpd, 10, "/app", "").as_deref(),
        Some("QS_LocRequestLimit* rule: /app(2), concurrent requests=4"),
        "VIPs take places, too"
    );
    held.push(hold_with(&httpd, "/c/", "X-Event: 1\r\n"));
    wait_for_open(&httpd, 4);
    assert_eq!(get(&httpd, "/c/", vip), Some(200));
    assert_eq!(httpd.wait_for_access("/c/", 1)[0].letters(), "S;");
    assert_eq!(
        get(&httpd, "/", &format!("{vip}X-Event: 1\r\n")),
        Some(500),
        "an event is an event"
    );
    release(held);
}

fn an_event_limit_counts_whoever_has_the_event(mpm: Mpm) {
    let httpd = start(
        mpm,
        "QS_EventRequestLimit EVV=^(a|b)$ 1\nSetEnvIf X-Event (.+) EVV=$1\n\
         Header always set X-Var-count %{QS_EventRequestLimit_EVV_Counter}e\nQS_LocRequestLimit / 9",
    );
    let held = hold_with(&httpd, "/", "X-Event: b\r\n");
    wait_for_open(&httpd, 1);
    assert_eq!(
        denied(&httpd, 12, "/ev", "X-Event: a\r\n").as_deref(),
        Some("QS_EventRequestLimit rule: var=(EVV=^(a|b)$)(1), concurrent requests=2")
    );
    let line = httpd.wait_for_access("/ev", 1).pop().expect("logged");
    assert_eq!((line.notes(), line.letters(), line.cr()), (Some("012"), "D;", None));
    wait_for_open(&httpd, 1);
    assert_eq!(denied(&httpd, 12, "/", "X-Event: c\r\n"), None);
    release(vec![held]);
    wait_for_open(&httpd, 0);
    let mut alone = httpd.newcomer().connect();
    let response = alone.get_with("/", "X-Event: a\r\n").served();
    assert_eq!((response.status, response.count("count")), (200, 1));
}

fn an_error_page_is_served_and_not_counted_again(mpm: Mpm) {
    let page = b"sorry\n".to_vec();
    let httpd = started(
        server(mpm, "QS_LocRequestLimit / 1\nQS_ErrorPage /e.html\nQS_ErrorResponseCode 503")
            .with("Header always set X-Var-notes %{REDIRECT_ERROR_NOTES}e")
            .file("e.html", page),
    );
    let held = hold_many(&httpd, "/app", 1);
    let response = httpd.newcomer().get("/app").served();
    assert_eq!((response.status, response.text().as_str()), (503, "sorry\n"));
    assert_eq!((response.var("notes"), response.var("QS_ErrorNotes")), (Some("010"), Some("010")));
    let lines = httpd.wait_for_access("/app", 1);
    let denied = lines.iter().find(|line| line.status() == 503).expect("logged");
    assert_eq!((denied.letters(), denied.notes(), denied.cr()), ("D;", Some("010"), Some("2")));
    assert_eq!(httpd.events(10).len(), 1);
    release(held);
    wait_for_open(&httpd, 0);
    assert_eq!(get(&httpd, "/app", ""), Some(200));
}

fn log_only_lets_through_and_says_so(mpm: Mpm) {
    let httpd = start(
        mpm,
        "QS_LogOnly on\nQS_LocRequestLimit /app 1\nQS_CondLocRequestLimitMatch ^/app 1 .\n\
         SetEnvIf Remote_Addr . QS_Cond=1",
    );
    let held = hold_many(&httpd, "/app", 1);
    assert_eq!(get(&httpd, "/app", ""), Some(200));
    for (event, directive) in
        [(10, "QS_LocRequestLimit* rule: /app"), (11, "QS_CondLocRequestLimitMatch rule: ^/app")]
    {
        let line = httpd.wait_for_events(event, 1).pop().expect("a line");
        let words = format!("access denied (log only), {directive}(1), concurrent requests=2, c=");
        assert!(line.text.starts_with(&words), "{}", line.text);
    }
    let line = httpd.wait_for_access("/app", 1).pop().expect("logged");
    assert_eq!((line.letters(), line.cr()), ("D;", Some("2")));
    release(held);
    let before = Instant::now();
    assert_eq!(get(&httpd, "/slow", ""), Some(200));
    assert!(before.elapsed() < Duration::from_millis(500), "QS_Delay holds nobody up");
}

fn the_access_log_says_how_many_a_location_served(mpm: Mpm) {
    let httpd = start(mpm, "QS_LocRequestLimit /app 9\nQS_CondLocRequestLimitMatch ^/c 9 x");
    let held = hold_many(&httpd, "/app", 2);
    for (path, expected) in [("/app/x", Some("3")), ("/c", Some("1")), ("/other", None)] {
        assert_eq!(get(&httpd, path, ""), Some(200));
        let line = httpd.wait_for_access(path, 1).pop().expect("logged");
        assert_eq!(line.cr(), expected, "{path}");
    }
    release(held);
}

fn a_killed_child_gives_its_slots_back(mpm: Mpm) {
    let httpd = started(
        server(mpm, "QS_LocRequestLimit /app 2\nQS_CondLocRequestLimitMatch ^/app 9 x").size(2, 4),
    );
    let mut held = hold_many(&httpd, "/app", 2);
    assert_eq!(get(&httpd, "/app", ""), Some(500));
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    for connection in &mut held {
        connection.watch_until_closed().assert_refused();
    }
    let is_right = poll(RECOVERY, || (open(&httpd) == 0).then_some(()));
    assert!(is_right.is_some(), "still {} are open", open(&httpd));
    // As many as before are served again, and no more.
    let held = hold_many(&httpd, "/app", 2);
    assert_eq!(get(&httpd, "/app", ""), Some(500));
    release(held);
}

fn a_client_that_goes_away_frees_its_slot(mpm: Mpm) {
    let httpd = start(mpm, "QS_LocRequestLimit /app 1");
    for round in 0..3 {
        let held = hold_many(&httpd, "/app", 1);
        assert_eq!(get(&httpd, "/app", ""), Some(500), "round {round}");
        for connection in held {
            connection.abort();
        }
        wait_for_open(&httpd, 0);
    }
    assert_eq!(get(&httpd, "/app", ""), Some(200));
}

fn a_restart_keeps_counting(mpm: Mpm) {
    let mut httpd = start(mpm, "QS_LocRequestLimit /app 2");
    let held = hold_many(&httpd, "/app", 1);
    httpd.rewrite(&format!("{SITE}\nQS_LocRequestLimit /new 7\nQS_LocRequestLimit /app 1"));
    httpd.reload();
    // An old child may still take the first ones.
    wait_until("the new limit holds for the old request", PATIENCE, || {
        get(&httpd, "/app", "") == Some(500)
    });
    let line = httpd.wait_for_events(10, 1).pop().expect("a line");
    assert!(line.text.contains(" rule: /app(1), concurrent requests="), "{}", line.text);
    release(held);
    wait_for_open(&httpd, 0);
    assert_eq!(get(&httpd, "/app", ""), Some(200));
    wait_for_open(&httpd, 0);
    let held = hold_many(&httpd, "/app", 1);
    // A child waits for its requests, but not for long; no test needs to see the end of its patience.
    let leaver = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    httpd.hard_restart();
    leaver.join().expect("it only sleeps");
    wait_for_open(&httpd, 0);
    assert_eq!(
        get(&httpd, "/app", ""),
        Some(200),
        "a hard restart ends requests and gives them back"
    );
}

fn a_host_with_directives_of_its_own_counts_for_itself(mpm: Mpm) {
    let host = |port: u32, name: &str, rules: &str| {
        format!(
            "<VirtualHost *:@PORT{port}@>\nServerName {name}\nAliasMatch ^/.* @ROOT@/htdocs/index.html\n{rules}\n</VirtualHost>"
        )
    };
    let httpd = started(
        server(mpm, "QS_LocRequestLimit /app 1")
            .ports(4)
            .with(&host(1, "plain", ""))
            .with(&host(2, "copies", "QS_LocRequestLimit /other 1"))
            .with(&host(
                3,
                "owner",
                "<Location /l>\nQS_SetEnvIfStatus 404 X\n</Location>\nQS_LocRequestLimit /app 2",
            )),
    );
    let line = httpd.events(302).pop().expect("who shares is told");
    assert_eq!(
        line.text,
        format!(
            "plain:{} shares its counters with localhost:{}",
            httpd.client_of_port(1, "127.0.0.1").server.port(),
            0
        )
    );
    let status = |port: usize| httpd.client_of_port(port, "127.0.0.77").get("/app").status();
    let held = hold_with(&httpd, "/app", "");
    wait_for_open(&httpd, 1);
    assert_eq!([0, 1].map(status), [Some(500), Some(500)], "one counter for both");
    let own = hold_of_port(&httpd, 2, "/app", "");
    wait_until("it has come", PATIENCE, || open_at(&httpd, 2) == 1);
    assert_eq!([2, 3].map(status), [Some(500), Some(200)], "each its own counter");
    release(vec![held, own]);
}

fn a_limit_of_zero_is_told_of_at_the_start(mpm: Mpm) {
    let httpd = start(mpm, "QS_LocRequestLimit /free 0\nQS_CondLocRequestLimitMatch x 0 y");
    let texts: Vec<String> = httpd.events(3).iter().map(|line| line.text.clone()).collect();
    let text =
        |rule: &str| format!("request level rule {rule} has no concurrent request limitations");
    assert_eq!(texts, [text("/free"), text("^/~probe")]);
    assert_eq!(httpd.events(3)[0].level, "warn");
    let held = hold_many(&httpd, "/free", 3);
    assert_eq!(get(&httpd, "/free", ""), Some(200));
    release(held);
}

fn a_delay_holds_a_request_up_which_counts_meanwhile(mpm: Mpm) {
    let httpd = start(mpm, "QS_LocRequestLimit /slow 1");
    let before = Instant::now();
    let mut slow = httpd.newcomer().connect();
    slow.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").expect("the server reads");
    wait_for_open(&httpd, 1);
    assert_eq!(get(&httpd, "/slow", ""), Some(500));
    assert_eq!(get(&httpd, "/fast", ""), Some(200));
    assert_eq!(slow.response().served().status, 200);
    let over = before.elapsed();
    assert!(over >= Duration::from_millis(590), "only {over:?}");
    let line = httpd.wait_for_access("/slow", 2).into_iter().find(|line| line.status() == 200);
    assert_eq!(line.expect("logged").letters(), "L;");
}

on_each_mpm!(
    the_table_of_the_specification,
    a_conditional_limit_counts_all_and_denies_some,
    a_vip_is_counted_and_never_denied,
    an_event_limit_counts_whoever_has_the_event,
    an_error_page_is_served_and_not_counted_again,
    log_only_lets_through_and_says_so,
    the_access_log_says_how_many_a_location_served,
    a_killed_child_gives_its_slots_back,
    a_client_that_goes_away_frees_its_slot,
    a_restart_keeps_counting,
    a_host_with_directives_of_its_own_counts_for_itself,
    a_limit_of_zero_is_told_of_at_the_start,
    a_delay_holds_a_request_up_which_counts_meanwhile,
);

fn streams_of_one_connection_are_requests_each(mpm: Mpm) {
    let httpd = started(
        server(mpm, "QS_LocRequestLimit /slow 2")
            .modules(&["http2"])
            .with("Protocols h2c http/1.1\nH2Direct on"),
    );
    let mut connection = Http2Connection::open(&httpd.client("127.0.0.78"));
    let mut statuses = connection.get(&["/slow", "/slow", "/slow", "/slow", "/fast"]);
    assert_eq!(statuses.pop(), Some(Some(200)));
    statuses.sort_unstable();
    assert_eq!(statuses, [Some(200), Some(200), Some(500), Some(500)]);
    drop(connection);
    wait_for_open(&httpd, 0);
    assert_eq!(get(&httpd, "/slow", ""), Some(200));
}

mod http2 {
    on_threaded_mpms!(streams_of_one_connection_are_requests_each);
    use super::streams_of_one_connection_are_requests_each;
}

#[test]
fn all_arguments_are_asked_for() {
    for (line, is_right) in [
        ("QS_CondLocRequestLimitMatch ^/c/ 1 spider", true),
        ("QS_CondLocRequestLimitMatch ^/c/ 1", false),
        ("QS_CondLocRequestLimitMatch ^/c/ 1 spider more", false),
        ("QS_LocRequestLimit /app", false),
        ("QS_LocRequestLimitDefault / 3", false),
        ("<Location />\nQS_LocRequestLimit /app 3\n</Location>", false),
    ] {
        let check = Httpd::check(line);
        assert_eq!(check.is_ok, is_right, "{line}: {}", check.text);
    }
}
