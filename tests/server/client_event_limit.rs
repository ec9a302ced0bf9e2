//! Limits of events per client: QS_ClientEventLimitCount, its conditional form, and whom they count when
//! a header says who the client is (QS_ClientIpFromHeader).

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    Builder, Client, Connection, Http2Connection, Httpd, Mpm, Outcome, PATIENCE, Response, poll,
    wait_until,
};

/// Requests for /evt are events, and so on; the counters show in response headers.
const EVENTS: &str = "\
    SetEnvIf Request_URI ^/evt EVT=1\n\
    SetEnvIf Request_URI ^/two EVT=2\n\
    SetEnvIf Request_URI ^/clear EVT_Clear\n\
    SetEnvIf Request_URI ^/less EVT_Decrement=1\n\
    SetEnvIf Request_URI bad$ QS_Cond=bad\n\
    SetEnvIf Request_URI good$ QS_Cond=good\n\
    Header always set X-Var-EVT_Counter %{EVT_Counter}e\n\
    Header always set X-Var-EVT_Remaining %{EVT_Remaining}e";

fn server(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm).with(directives).with(EVENTS)
}

/// Each on a connection of its own: httpd ends one behind an answer of 500.
fn statuses(client: &Client, paths: &[&str]) -> Vec<Option<u16>> {
    paths.iter().map(|path| client.get(path).status()).collect()
}

fn counter(outcome: Outcome) -> i64 {
    outcome.served().count("EVT_Counter")
}

/// The same request, by a proxy that says for whom it is.
fn get_for(proxy: &Client, path: &str, header: &str) -> Outcome {
    proxy.connect().get_with(path, &format!("{header}\r\nConnection: close\r\n"))
}

// ---- the limit

fn the_third_event_is_denied_and_so_is_all_else_until_the_window_ends(mpm: Mpm) {
    let httpd = server(mpm, "QS_ClientEventLimitCount 3 3 EVT").start();
    httpd.expect(67);
    let client = httpd.client("127.0.0.121");
    let mut older = client.hold();
    let first = Instant::now();
    let response = client.get("/evt").served();
    assert_eq!((response.count("EVT_Counter"), response.count("EVT_Remaining")), (1, 3));
    assert_eq!(statuses(&client, &["/evt", "/evt"]), [Some(404), Some(500)]);
    assert_eq!(older.get("/").status(), Some(500), "an innocent request of the same client");
    assert_eq!(client.get("/").status(), Some(500), "and one on a new connection");
    assert_eq!(httpd.client("127.0.0.122").get("/evt").status(), Some(404), "others are not");

    let lines = httpd.wait_for_events(67, 3);
    let text = lines[0].without_id();
    let rule = "access denied, QS_ClientEventLimitCount rule: event=EVT, max=3, current=3, age=";
    assert!(text.starts_with(rule) && text.ends_with(", c=127.0.0.121"), "{text}");
    assert!(lines.iter().all(|line| line.level == "error" && line.text.contains(", id=")));
    let denied = httpd.wait_for_access("/evt", 4);
    let denied = denied.iter().find(|line| line.status() == 500).expect("one was denied");
    assert_eq!((denied.letters(), denied.notes()), ("D;r;", Some("067")));

    wait_until("the window ends", PATIENCE, || client.get("/").status() == Some(200));
    let over = first.elapsed();
    assert!(over > Duration::from_secs(2) && over < Duration::from_secs(6), "{over:?}");
    assert_eq!(counter(client.get("/evt")), 1, "it starts anew");
}

fn points_are_added_taken_back_and_forgotten(mpm: Mpm) {
    let httpd = server(mpm, "QS_ClientEventLimitCount 9 60 EVT").start();
    let mut connection = httpd.client("127.0.0.121").connect();
    assert_eq!(counter(connection.get("/evt")), 1);
    assert_eq!(counter(connection.get("/two")), 3);
    assert_eq!(counter(connection.get("/less")), 3, "taken back when it is logged");
    wait_until("it is logged", PATIENCE, || counter(connection.get("/")) == 2);
    assert_eq!(counter(connection.get("/clear")), 0);
    assert_eq!(connection.get("/").served().count("EVT_Remaining"), 0);
    assert_eq!(counter(connection.get("/evt")), 1);
}

fn a_condition_chooses_who_is_denied(mpm: Mpm) {
    let httpd = server(mpm, "QS_CondClientEventLimitCount 2 60 EVT ^bad$").start();
    httpd.expect(67);
    let client = httpd.client("127.0.0.121");
    assert_eq!(statuses(&client, &["/evt", "/evt", "/evt", "/evt"]), [Some(404); 4]);
    assert_eq!(statuses(&client, &["/good", "/bad", "/"]), [Some(404), Some(500), Some(200)]);
    let line = &httpd.wait_for_events(67, 1)[0];
    let rule =
        "access denied, QS_CondClientEventLimitCount rule: event=EVT, max=2, current=4, age=";
    assert!(line.text.starts_with(rule), "{}", line.text);
    assert_eq!(statuses(&client, &["/clear", "/bad"]), [Some(404), Some(404)]);
}

fn a_status_counts_one_and_a_staged_defence_ends_in_a_block(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_ClientEventBlockCount 2 60\nQS_ClientEventLimitCount 3 60 EVT\n\
         QS_SetEnvIfStatus 404 EVT\nQS_SetEnvIfStatus 500 QS_Block",
    )
    .start();
    httpd.expect(60).expect(67);
    let client = httpd.client("127.0.0.121");
    for expected in [404, 404, 404, 500, 500] {
        let before = httpd.access_log().len();
        assert_eq!(client.get("/no").status(), Some(expected));
        wait_until("it is logged", PATIENCE, || httpd.access_log().len() > before);
    }
    client.get("/").assert_refused();
    assert_eq!(httpd.client("127.0.0.122").get("/").status(), Some(200));
}

fn an_error_page_sees_the_counters(mpm: Mpm) {
    let httpd = server(mpm, "QS_ClientEventLimitCount 2 60 EVT\nQS_ErrorPage /index.html").start();
    httpd.expect(67);
    let client = httpd.client("127.0.0.121");
    assert_eq!(client.get("/evt").status(), Some(404));
    let response = client.get("/evt").served();
    assert_eq!((response.status, response.text()), (500, "it works\n".to_owned()));
    assert_eq!((response.count("EVT_Counter"), response.var("QS_ErrorNotes")), (2, Some("067")));
    assert_eq!(counter(client.get("/evt")), 3, "and the page itself is no event");
}

fn log_only_tells_and_lets_through(mpm: Mpm) {
    let httpd = server(mpm, "QS_LogOnly on\nQS_ClientEventLimitCount 1 60 EVT").start();
    httpd.expect(67);
    let client = httpd.client("127.0.0.121");
    assert_eq!(client.get("/evt").status(), Some(404));
    assert!(
        httpd.wait_for_events(67, 1)[0].text.starts_with("access denied (log only), QS_Client")
    );
    assert_eq!(httpd.wait_for_access("/evt", 1)[0].letters(), "D;r;");
}

fn a_value_that_is_no_number_is_refused_for_a_limit(mpm: Mpm) {
    let check =
        server(mpm, "QS_SetEnvIfStatus 404 EVT=x\nQS_ClientEventLimitCount 3 3 EVT").check();
    assert!(!check.is_ok && check.text.contains("a number for EVT"), "{}", check.text);
    let check = server(mpm, "QS_SetEnvIfStatus 404 EVT=x").check();
    assert!(check.is_ok, "{}", check.text);
}

// ---- restarts

/// Asks until a child of the new configuration answers: behind a graceful restart an old one may still take
/// connections for a moment.
fn ask_anew(
    client: &Client,
    path: &str,
    is_new: impl Fn(&Response) -> bool,
) -> (Connection, Response) {
    let ask = || {
        let mut connection = client.connect();
        let response = connection.get(path).served();
        is_new(&response).then_some((connection, response))
    };
    poll(PATIENCE, ask).expect("a child of the new configuration answers")
}

fn limits_come_and_go_with_a_restart_and_counts_stay(mpm: Mpm) {
    let mut httpd = server(mpm, "QS_ClientEventLimitCount 4 60 EVT").start();
    httpd.expect(67);
    let client = httpd.client("127.0.0.121");
    assert_eq!(counter(client.get("/evt")), 1);
    let both = "QS_ClientEventLimitCount 2 60 NEW\nQS_ClientEventLimitCount 4 60 EVT";
    let new = "SetEnvIf Request_URI ^/new NEW\nHeader always set X-Var-NEW_Counter %{NEW_Counter}e";
    httpd.rewrite(&format!("{both}\n{new}\n{EVENTS}"));
    httpd.reload();
    let (mut connection, response) =
        ask_anew(&client, "/new", |now| now.var("NEW_Counter").is_some());
    assert_eq!((response.count("NEW_Counter"), response.count("EVT_Counter")), (1, 1));
    assert_eq!(connection.get("/new").status(), Some(500));
    // The first one goes, the second stays with what it has counted.
    httpd.rewrite(&format!("QS_ClientEventLimitCount 2 60 NEW\n{new}\n{EVENTS}"));
    httpd.reload();
    let (_, response) = ask_anew(&client, "/", |now| now.var("EVT_Counter").is_none());
    assert_eq!((response.status, response.count("NEW_Counter")), (500, 2));
    // It comes back in time and finds its counts; a hard restart keeps them, too.
    httpd.rewrite(&format!("QS_ClientEventLimitCount 4 60 EVT\n{EVENTS}"));
    httpd.hard_restart();
    assert_eq!(counter(client.get("/")), 1);
}

// ---- whom it counts

fn a_header_says_whom_a_limit_counts(mpm: Mpm) {
    let httpd = server(mpm, "QS_ClientIpFromHeader X-F\nQS_ClientEventLimitCount 2 60 EVT").start();
    httpd.expect(67).expect(69);
    let proxy = httpd.client("127.0.0.121");
    let get = |header: &str| get_for(&proxy, "/evt", header).status();
    assert_eq!([get("X-F: 203.0.113.5"), get("X-F: 203.0.113.5")], [Some(404), Some(500)]);
    assert_eq!(get("X-F: 203.0.113.6"), Some(404));
    assert_eq!(get("X-F: ::ffff:203.0.113.6"), Some(500), "the same address");
    // A customer's whole network is one client.
    assert_eq!([get("X-F: 2001:db8::1"), get("X-F: 2001:db8::2")], [Some(404), Some(500)]);
    assert_eq!(get("X-F: 2001:db8:0:1::2"), Some(404));
    let lines = httpd.wait_for_events(67, 3);
    assert!(lines[0].without_id().ends_with(", c=203.0.113.5"), "{}", lines[0].text);
    assert!(lines[2].without_id().ends_with(", net=2001:db8::/64, c=2001:db8::2"));
    assert!(httpd.events(69).is_empty(), "all of these were addresses");

    // What is no address is the peer's, and told of.
    let bad = ["abc", "1.2.3.4, 5.6.7.8", "1.2.3.4:80", "[::1]", "01.2.3.4", "1.2.3.4%0a"];
    for (count, value) in (1..).zip(bad) {
        let outcome = get_for(&proxy, "/", &format!("X-F: {value}"));
        assert_eq!(counter(outcome), 0);
        let line = &httpd.wait_for_events(69, count)[count - 1];
        let expected = format!(
            "no valid IP header found (@hp): invalid header value '{value}', fallback to connection's IP 127.0.0.121"
        );
        assert_eq!((line.without_id(), line.level.as_str()), (expected.as_str(), "error"));
    }
    let mark = httpd.mark();
    get_for(&proxy, "/", "X-F: 1.2.3.4\"\\\u{e9}x");
    let text = &httpd.wait_for_events_since(mark, 69, 1)[0].text;
    assert!(text.contains(r#"'1.2.3.4"\\\xc3\xa9x'"#), "{text}");
    let mark = httpd.mark();
    get_for(&proxy, "/", &format!("X-F: {}", "9".repeat(4000)));
    assert!(httpd.wait_for_events_since(mark, 69, 1)[0].text.len() < 400);
    let mark = httpd.mark();
    assert_eq!(proxy.get("/evt").status(), Some(404));
    let line = &httpd.wait_for_events_since(mark, 69, 1)[0];
    assert!(line.text.contains("header 'X-F' not available"), "{}", line.text);
}

fn a_block_goes_by_the_peer_whatever_a_header_says(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_ClientIpFromHeader X-F\nQS_ClientEventLimitCount 9 60 EVT\nQS_ClientEventBlockCount 2 60\n\
         SetEnvIf Request_URI ^/blk QS_Block",
    )
    .start();
    httpd.expect(60).expect(69);
    let peer = httpd.client("127.0.0.121");
    for _ in 0..2 {
        get_for(&peer, "/blk", "X-F: 127.0.0.122");
    }
    wait_until("the peer is blocked", PATIENCE, || peer.get("/").is_refused());
    assert_eq!(httpd.client("127.0.0.122").get("/").status(), Some(200), "the framed one is not");
}

fn what_mod_remoteip_has_found_out_is_used(mpm: Mpm) {
    let httpd = server(
        mpm,
        "RemoteIPHeader X-Real\nRemoteIPInternalProxy 127.0.0.121\n\
         QS_ClientIpFromHeader #USERAGENT_IP\nQS_ClientEventLimitCount 2 60 EVT",
    )
    .modules(&["remoteip"])
    .start();
    httpd.expect(67);
    let proxy = httpd.client("127.0.0.121");
    let get = |address: &str| get_for(&proxy, "/evt", &format!("X-Real: {address}")).status();
    assert_eq!([get("203.0.113.5"), get("203.0.113.6")], [Some(404), Some(404)]);
    assert_eq!(get("203.0.113.5"), Some(500));
    assert!(httpd.wait_for_events(67, 1)[0].without_id().ends_with(", c=203.0.113.5"));
    // Nobody believes a header of someone who is no proxy of ours.
    let liar = httpd.client("127.0.0.122");
    let lie = |address: &str| get_for(&liar, "/evt", &format!("X-Real: {address}")).status();
    assert_eq!([lie("203.0.113.7"), lie("203.0.113.8")], [Some(404), Some(500)]);
}

fn a_certificate_says_whom_a_limit_counts(mpm: Mpm) {
    let httpd = server(
        mpm,
        "SSLVerifyClient optional_no_ca\nQS_ClientIpFromHeader #SSL_CLIENT_S_DN\n\
         QS_ClientEventLimitCount 2 60 EVT",
    )
    .tls()
    .start();
    httpd.expect(67).expect(69);
    let url = format!("https://127.0.0.1:{}/evt", httpd.port());
    let get = |source: &str, with_certificate: bool| {
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "-k", "-o", "/dev/null", "-w", "%{http_code}", "-m", "20"]);
        command.args(["--noproxy", "*", "--interface", source, &url]);
        if with_certificate {
            command.arg("--cert").arg(httpd.root().join("server.crt"));
            command.arg("--key").arg(httpd.root().join("server.key"));
        }
        String::from_utf8_lossy(&command.output().expect("curl runs").stdout).into_owned()
    };
    assert_eq!(get("127.0.0.121", true), "404");
    assert_eq!(get("127.0.0.122", false), "404");
    let line = &httpd.wait_for_events(69, 1)[0];
    assert!(line.text.contains("header '#SSL_CLIENT_S_DN' not available"), "{}", line.text);
    assert_eq!(get("127.0.0.123", true), "500", "the same name from another address");
}

fn streams_count_like_requests(mpm: Mpm) {
    let httpd =
        server(mpm, "QS_ClientEventLimitCount 3 60 EVT\nProtocols h2c http/1.1\nH2Direct on")
            .modules(&["http2"])
            .start();
    httpd.expect(67);
    let client = httpd.client("127.0.0.121");
    let mut connection = Http2Connection::open(&client);
    let mut answers = connection.get(&["/evt", "/evt", "/evt", "/evt", "/evt"]);
    answers.sort_unstable();
    assert_eq!(answers, [Some(404), Some(404), Some(500), Some(500), Some(500)]);
    assert_eq!(client.get("/").status(), Some(500), "HTTP/1 of the same client");
    assert_eq!(httpd.client("127.0.0.122").get("/").status(), Some(200));
}

on_each_mpm!(
    the_third_event_is_denied_and_so_is_all_else_until_the_window_ends,
    points_are_added_taken_back_and_forgotten,
    a_condition_chooses_who_is_denied,
    a_status_counts_one_and_a_staged_defence_ends_in_a_block,
    an_error_page_sees_the_counters,
    log_only_tells_and_lets_through,
    a_value_that_is_no_number_is_refused_for_a_limit,
    limits_come_and_go_with_a_restart_and_counts_stay,
    a_header_says_whom_a_limit_counts,
    a_block_goes_by_the_peer_whatever_a_header_says,
    what_mod_remoteip_has_found_out_is_used,
    a_certificate_says_whom_a_limit_counts,
);

mod http2 {
    use crate::harness::Mpm;
    #[test]
    fn worker() {
        super::streams_count_like_requests(Mpm::Worker);
    }
    #[test]
    fn event() {
        super::streams_count_like_requests(Mpm::Event);
    }
}
