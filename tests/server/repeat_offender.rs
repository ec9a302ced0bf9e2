//! Clients that repeat what they should not: QS_ClientEventBlockCount, what counts as an event
//! (QS_Block, a status, an empty or broken connection), and what a blocked client gets to see.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{
    Backend, Builder, Client, Curl, Httpd, Mpm, Namespace, PATIENCE, poll, wait_until,
};

/// Requests for /blk.. are events, those of /two.. count twice, and so on.
const EVENTS: &str = "\
    SetEnvIf Request_URI ^/blk QS_Block\n\
    SetEnvIf Request_URI ^/two QS_Block=2\n\
    SetEnvIf Request_URI ^/zero QS_Block=0\n\
    SetEnvIf Request_URI ^/word QS_Block=abc\n\
    SetEnvIf Request_URI ^/forgive QS_Block_Decrement=1";

fn server(mpm: Mpm, limit: &str) -> Builder {
    Httpd::on(mpm).with(&format!("QS_ClientEventBlockCount {limit}\n{EVENTS}"))
}

/// Makes a client blocked by requests for /blk.
fn block(httpd: &Httpd, client: &Client) {
    httpd.expect(60);
    let is_blocked = poll(PATIENCE, || client.get("/blk").is_refused().then_some(()));
    assert!(is_blocked.is_some(), "{} was never blocked", client.source);
}

fn statuses(client: &Client, paths: &[&str]) -> Vec<Option<u16>> {
    paths.iter().map(|path| client.get(path).status()).collect()
}

/// The same, each only when the one before was logged: a decrement, or a status, counts then.
fn logged_statuses(httpd: &Httpd, client: &Client, paths: &[&str]) -> Vec<Option<u16>> {
    let get = |path: &&str| {
        let before = httpd.access_log().len();
        let status = client.get(path).status();
        wait_until("it is logged", PATIENCE, || httpd.access_log().len() > before);
        status
    };
    paths.iter().map(get).collect()
}

/// A connection without a byte.
fn null_connection(client: &Client) {
    drop(client.connect());
}

/// Waits until everything that clients have closed is closed for the server, too.
fn wait_until_alone(httpd: &Httpd) {
    wait_until("no other connection is open", PATIENCE, || {
        httpd.newcomer().get("/").served().count("QS_AllConn") == 1
    });
}

#[track_caller]
fn assert_line(text: &str, before_age: &str, after_age: &str) {
    let age = text.strip_prefix(before_age).and_then(|rest| rest.strip_suffix(after_age));
    let age = age.unwrap_or_else(|| panic!("{text}\nis not {before_age}<age>{after_age}"));
    let age: u64 = age.parse().unwrap_or_else(|_| panic!("the age is no number: {text}"));
    assert!(age < 600, "the age is one of seconds: {text}");
}

// ---- the block

fn the_third_event_is_denied_and_then_every_connection(mpm: Mpm) {
    let httpd = server(mpm, "3 60").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let (mut older, mut another) = (client.hold(), client.hold());
    assert_eq!(statuses(&client, &["/blk", "/blk", "/blk"]), [Some(404), Some(404), Some(500)]);
    client.get("/index.html").assert_refused();
    client.connect().watch_until_closed().assert_refused();
    assert_eq!(older.get("/index.html").status(), Some(500), "an older connection is no way out");
    assert_eq!(another.get("/blk").status(), Some(500));
    assert_eq!(httpd.client("127.0.0.62").get("/blk").status(), Some(404), "others are not");

    let lines = httpd.wait_for_events(60, 5);
    let rule = "access denied, QS_ClientEventBlockCount rule: max=3, current=";
    let (requests, connections): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.text.contains(", id="));
    assert_eq!((requests.len(), connections.len()), (3, 2));
    for line in &connections {
        assert_line(&line.text, &format!("{rule}3, age="), ", c=127.0.0.61");
        assert_eq!((line.level.as_str(), &line.client), ("error", &None));
    }
    for (line, current) in requests.iter().zip([3, 3, 4]) {
        assert_line(line.without_id(), &format!("{rule}{current}, age="), ", c=127.0.0.61");
        assert!(line.client.as_ref().is_some_and(|from| from.starts_with("127.0.0.61:")));
        assert!(!line.text.ends_with("id="), "the request has an id");
    }
    let denied = httpd.wait_for_access("/index.html", 3);
    let denied = denied.iter().find(|line| line.status() == 500).expect("one was denied");
    assert_eq!(denied.letters(), "D;r;");
    assert_eq!(denied.notes(), Some("060"));
}

fn a_block_ends_its_time_after_the_first_event(mpm: Mpm) {
    let httpd = server(mpm, "2 4").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let mut older = client.hold();
    let first = Instant::now();
    assert_eq!(statuses(&client, &["/blk", "/blk"]), [Some(404), Some(500)]);
    wait_until("two seconds are over", PATIENCE, || first.elapsed() > Duration::from_secs(2));
    assert_eq!(older.get("/blk").status(), Some(500), "which adds to the count, not to the time");
    client.get("/").assert_refused();
    wait_until("it may come again", PATIENCE, || client.get("/").status() == Some(200));
    // Seconds may be counted whole.
    let over = first.elapsed();
    assert!(over > Duration::from_secs(3) && over < Duration::from_secs(6), "{over:?}");
    assert_eq!(statuses(&client, &["/blk", "/blk"]), [Some(404), Some(500)], "it starts anew");
}

fn the_age_in_the_log_grows_during_the_block(mpm: Mpm) {
    let httpd = server(mpm, "1 60").start();
    let client = httpd.client("127.0.0.61");
    block(&httpd, &client);
    wait_until("the age is shown as two", PATIENCE, || {
        client.get("/").assert_refused();
        httpd.events(60).iter().any(|line| line.text.contains("age=2, c=127.0.0.61"))
            || httpd.events(60).len() > 18
    });
}

fn an_event_counts_the_points_of_its_value(mpm: Mpm) {
    let httpd = server(mpm, "3 60").start();
    httpd.expect(60);
    let of = |source: &str, paths: &[&str]| statuses(&httpd.client(source), paths);
    assert_eq!(of("127.0.0.61", &["/two", "/word"]), [Some(404), Some(500)], "2 and 1");
    assert_eq!(of("127.0.0.62", &["/zero", "/zero", "/zero"]), [Some(404), Some(404), Some(500)]);
    assert_eq!(of("127.0.0.63", &["/two", "/two"]), [Some(404), Some(500)], "4 is above 3");
    assert_eq!(of("127.0.0.64", &["/blk", "/blk"]), [Some(404), Some(404)]);
}

fn a_decrement_takes_points_back(mpm: Mpm) {
    let httpd = server(mpm, "3 60").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(
        logged_statuses(&httpd, &client, &["/blk", "/blk", "/forgive", "/blk", "/blk"]),
        [Some(404), Some(404), Some(404), Some(404), Some(500)]
    );
}

fn counts_and_limits_are_wider_than_sixteen_bits(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 70000 60")
        .with("SetEnvIf Request_URI ^/much QS_Block=40000")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(statuses(&client, &["/much", "/much"]), [Some(404), Some(500)]);
    client.get("/").assert_refused();
}

fn a_limit_of_zero_blocks_nobody(mpm: Mpm) {
    let httpd = server(mpm, "0").start();
    let client = httpd.client("127.0.0.61");
    assert_eq!(statuses(&client, &["/blk", "/blk", "/blk", "/"]).last(), Some(&Some(200)));
}

fn an_expired_window_starts_anew_with_the_next_empty_connection(mpm: Mpm) {
    // Once the count went on in the old window: the next connection found it expired, and the
    // event was forgotten, so that a client that was slow enough was never blocked.
    let httpd = server(mpm, "2 2").with("QS_SetEnvIfStatus NullConnection QS_Block").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let first = Instant::now();
    null_connection(&client);
    wait_until("the window is over", PATIENCE, || first.elapsed() > Duration::from_millis(3100));
    null_connection(&client);
    wait_until_alone(&httpd);
    null_connection(&client);
    wait_until("two within one window are enough", Duration::from_millis(1500), || {
        client.get("/").is_refused()
    });
}

// ---- who is judged

fn an_exempt_address_is_never_blocked(mpm: Mpm) {
    let httpd = server(mpm, "2 60")
        .with("QS_ClientEventBlockExcludeIP 127.0.6.1\nQS_ClientEventBlockExcludeIP 127.0.7.")
        .start();
    httpd.expect(60);
    for exempt in ["127.0.6.1", "127.0.7.1"] {
        let answers = statuses(&httpd.client(exempt), &["/blk", "/blk", "/blk", "/"]);
        assert_eq!(answers, [Some(404), Some(404), Some(404), Some(200)], "{exempt}");
    }
    let other = httpd.client("127.0.6.2");
    assert_eq!(statuses(&other, &["/blk", "/blk"]), [Some(404), Some(500)]);
    other.get("/").assert_refused();
}

fn an_exempt_network_is_never_blocked(mpm: Mpm) {
    let httpd = server(mpm, "2 60").with("QS_ClientEventBlockExcludeIP 127.0.8.0/23").start();
    httpd.expect(60);
    let answers = statuses(&httpd.client("127.0.9.255"), &["/blk", "/blk", "/blk", "/"]);
    assert_eq!(answers.last(), Some(&Some(200)));
    let other = httpd.client("127.0.10.0");
    assert_eq!(statuses(&other, &["/blk", "/blk"]), [Some(404), Some(500)]);
}

fn addresses_exempt_from_connection_limits_are_blocked_all_the_same(mpm: Mpm) {
    let httpd = server(mpm, "2 60").with("QS_SrvMaxConnExcludeIP 127.0.6.1").start();
    httpd.expect(60);
    let client = httpd.client("127.0.6.1");
    assert_eq!(statuses(&client, &["/blk", "/blk"]), [Some(404), Some(500)]);
    client.get("/").assert_refused();
}

fn a_blocked_ipv6_client_takes_its_network_with_it(mpm: Mpm) {
    let (one, neighbour, stranger) = ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1");
    Namespace::run(&[one, neighbour, stranger], || {
        let httpd = server(mpm, "2 60").start();
        httpd.expect(60);
        assert_eq!(statuses(&httpd.client(one), &["/blk", "/blk"]), [Some(404), Some(500)]);
        httpd.client(neighbour).get("/").assert_refused();
        assert_eq!(httpd.client(stranger).get("/").status(), Some(200));
        let lines = httpd.wait_for_events(60, 2);
        let rule = "access denied, QS_ClientEventBlockCount rule: max=2, current=2, age=";
        let net = ", net=2001:db8:0:1::/64, c=";
        assert_line(lines[0].without_id(), rule, &format!("{net}{one}"));
        assert_line(&lines[1].text, rule, &format!("{net}{neighbour}"));
    });
}

// ---- a status as event

fn a_status_of_the_server_is_one_event(mpm: Mpm) {
    for name in ["QS_SetEnvIfStatus", "QS_SetEnvStatus"] {
        let httpd = Httpd::on(mpm)
            .with(&format!("QS_ClientEventBlockCount 3 60\n{name} 404 QS_Block"))
            .start();
        httpd.expect(60);
        let client = httpd.client("127.0.0.61");
        let answers = statuses(&client, &["/no", "/", "/no", "/no"]);
        assert_eq!(answers, [Some(404), Some(200), Some(404), Some(404)], "{name}");
        wait_until("the third counts when it is logged", PATIENCE, || client.get("/").is_refused());
    }
}

fn a_status_may_count_more_points(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 4 60\nQS_SetEnvIfStatus 404 QS_Block=2")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(client.get("/no").status(), Some(404));
    assert_eq!(client.get("/").status(), Some(200));
    assert_eq!(client.get("/no").status(), Some(404));
    wait_until("twice two is four", PATIENCE, || client.get("/").is_refused());
}

fn a_good_status_may_be_an_event_too(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 2 60\nQS_SetEnvIfStatus 200 QS_Block")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(statuses(&client, &["/no", "/no", "/", "/"])[3], Some(200));
    wait_until("two good ones are enough", PATIENCE, || client.get("/no").is_refused());
}

fn a_status_of_a_location_counts_one_event(mpm: Mpm) {
    // Once the status itself was taken as the number of points: a single 404 blocked.
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 3 60")
        .with("<Location /app>\nQS_SetEnvIfStatus 404 QS_Block\n</Location>")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(statuses(&client, &["/no", "/no", "/no", "/no"])[3], Some(404), "elsewhere: none");
    assert_eq!(statuses(&client, &["/app/no", "/app/no"]), [Some(404), Some(404)]);
    wait_until_alone(&httpd);
    assert_eq!(client.get("/app/no").status(), Some(404), "two are not enough");
    wait_until("three are", PATIENCE, || client.get("/").is_refused());
}

fn a_status_counts_for_a_virtual_host_only_where_it_is_said(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(2)
        .with("QS_ClientEventBlockCount 2 60\nQS_SetEnvIfStatus 404 QS_Block")
        .with(
            "<VirtualHost *:@PORT1@>\nServerName other\nQS_SetEnvIfStatus 403 QS_Block\n\
             QS_SetEnvIfStatus 404 AAA\n<Location /secret>\nRequire all denied\n</Location>\n\
             </VirtualHost>",
        )
        .start();
    httpd.expect(60).expect_text("AH01630: client denied by server configuration");
    let base = httpd.client("127.0.0.61");
    let host = httpd.client_of_port(1, "127.0.0.62");
    assert_eq!(statuses(&base, &["/no", "/no"]), [Some(404), Some(404)]);
    wait_until("404 counts in the base server", PATIENCE, || base.get("/").is_refused());
    assert_eq!(statuses(&host, &["/secret", "/secret"]), [Some(403), Some(403)]);
    wait_until("403 counts in the host", PATIENCE, || host.get("/").is_refused());
}

fn a_status_may_set_several_variables(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 9 60\nCustomLog @ROOT@/vars \"%U %{AAA}e %{BBB}e %{CCC}e\"")
        .with("QS_SetEnvIfStatus 404 AAA\nQS_SetEnvIfStatus 404 BBB=two")
        .with("QS_SetEnvIfStatus 200 CCC")
        .start();
    let client = httpd.client("127.0.0.61");
    assert_eq!(logged_statuses(&httpd, &client, &["/no", "/"]), [Some(404), Some(200)]);
    httpd.wait_for_file(
        "vars",
        "/no 404 two -
/index.html - - 200
",
    );
}

fn an_inner_location_wins_over_an_outer_one(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("CustomLog @ROOT@/vars \"%U %{AAA}e %{BBB}e\"")
        .with("<Location /a>\nQS_SetEnvIfStatus 404 AAA=outer\nQS_SetEnvIfStatus 404 BBB=b\n")
        .with("</Location>\n<Location /a/b>\nQS_SetEnvIfStatus 404 AAA=inner\n</Location>")
        .start();
    let client = httpd.client("127.0.0.61");
    let answers = logged_statuses(&httpd, &client, &["/a/no", "/a/b/no"]);
    assert_eq!(answers, [Some(404), Some(404)]);
    httpd.wait_for_file(
        "vars",
        "/a/no outer b
/a/b/no inner b
",
    );
}

fn a_request_counts_once_however_often_it_is_an_event(mpm: Mpm) {
    let httpd = server(mpm, "4 60").with("QS_SetEnvIfStatus 404 QS_Block").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(
        statuses(&client, &["/blk", "/blk", "/blk", "/blk"]),
        [Some(404), Some(404), Some(404), Some(500)]
    );
}

fn a_status_takes_back_one_event_when_it_sets_the_decrement(mpm: Mpm) {
    let httpd = server(mpm, "3 60").with("QS_SetEnvIfStatus 200 QS_Block_Decrement").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    assert_eq!(
        logged_statuses(&httpd, &client, &["/blk", "/blk", "/", "/blk", "/blk"]),
        [Some(404), Some(404), Some(200), Some(404), Some(500)],
        "one, not 200"
    );
}

fn a_denial_may_be_an_event_too(mpm: Mpm) {
    let httpd = server(mpm, "2 60").with("QS_SetEnvIfStatus 500 QS_Block").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let (mut one, mut two) = (client.hold(), client.hold());
    assert_eq!(statuses(&client, &["/blk", "/blk"]), [Some(404), Some(500)]);
    assert_eq!(one.get("/index.html").status(), Some(500));
    wait_until("it is counted when it is logged", PATIENCE, || {
        httpd.access_log().iter().filter(|line| line.status() == 500).count() == 2
    });
    assert_eq!(two.get("/index.html").status(), Some(500));
    let lines = httpd.wait_for_events(60, 3);
    assert!(lines[2].text.contains("current=3, age="), "{:?}", lines[2]);
}

// ---- a connection as event

fn an_empty_connection_is_an_event(mpm: Mpm) {
    let httpd = server(mpm, "2 60").with("QS_SetEnvIfStatus NullConnection QS_Block").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    null_connection(&client);
    wait_until_alone(&httpd);
    assert_eq!(client.get("/").status(), Some(200), "one is not enough");
    let mut half = client.connect();
    half.send(b"GET /index").expect("the server reads");
    drop(half);
    wait_until("half a request line is none", PATIENCE, || client.get("/").is_refused());
}

fn a_connection_with_a_request_is_not_empty(mpm: Mpm) {
    let httpd = server(mpm, "1 60").with("QS_SetEnvIfStatus NullConnection QS_Block").start();
    let client = httpd.client("127.0.0.61");
    drop(client.hold());
    client.hold().abort();
    let mut bad = client.connect();
    bad.send(b"this is no request\r\n\r\n").expect("the server reads");
    assert_eq!(bad.response().served().status, 400);
    drop(bad);
    let mut head = client.connect();
    head.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: y").expect("the server reads");
    wait_until_alone_but_for(&httpd, 1);
    drop(head);
    wait_until_alone(&httpd);
    assert_eq!(client.get("/").status(), Some(200));
}

fn a_slow_request_is_no_event(mpm: Mpm) {
    let httpd = server(mpm, "1 60")
        .with("QS_SetEnvIfStatus NullConnection QS_Block")
        .with("QS_SetEnvIfStatus BrokenConnection QS_Block")
        .start();
    let client = httpd.client("127.0.0.61");
    let mut slow = client.connect();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    slow.send_slowly(request, Duration::from_millis(20)).expect("the server reads");
    assert_eq!(slow.response().served().status, 200);
    drop(slow);
    wait_until_alone(&httpd);
    assert_eq!(client.get("/").status(), Some(200));
}

/// Waits until so many connections are counted besides the asking one.
fn wait_until_alone_but_for(httpd: &Httpd, others: i64) {
    wait_until("the others are counted", PATIENCE, || {
        httpd.newcomer().get("/").served().count("QS_AllConn") == others + 1
    });
}

fn a_proxied_response_that_the_client_aborts_is_an_event(mpm: Mpm) {
    let backend = Backend::start();
    let httpd = server(mpm, "2 60")
        .modules(&["proxy", "proxy_http"])
        .with("QS_SetEnvIfStatus BrokenConnection QS_Block")
        .with(&format!("ProxyPass /app http://127.0.0.1:{}/", backend.port))
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    abort_download(&client, "/app");
    let line = &httpd.wait_for_access("/app", 1)[0];
    assert_eq!(line.letters(), "A;");
    wait_until_alone(&httpd);
    assert_eq!(client.get("/").status(), Some(200), "one is not enough");
    abort_download(&client, "/app");
    wait_until("two are", PATIENCE, || client.get("/").is_refused());
}

fn a_file_that_the_client_aborts_is_an_event(mpm: Mpm) {
    // A file is handed to the network in one step, which hid the abort once.
    let httpd = server(mpm, "2 60")
        .with("QS_SetEnvIfStatus BrokenConnection QS_Block")
        .file("big.bin", vec![b'x'; 20_000_000])
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    for _ in 0..2 {
        abort_download(&client, "/big.bin");
        wait_until_alone(&httpd);
    }
    wait_until("two are enough", PATIENCE, || client.get("/").is_refused());
}

/// Begins to read a response and resets the connection in the middle of it.
fn abort_download(client: &Client, path: &str) {
    let mut connection = client.connect();
    connection.shrink_receive_buffer(4096);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.send(request.as_bytes()).expect("the server reads");
    connection.read_at_least(1000).expect("the response begins");
    connection.abort();
}

fn a_response_that_was_read_to_its_end_is_no_broken_connection(mpm: Mpm) {
    let httpd = server(mpm, "1 60")
        .with("QS_SetEnvIfStatus BrokenConnection QS_Block")
        .file("big.bin", vec![b'x'; 3_000_000])
        .start();
    let client = httpd.client("127.0.0.61");
    assert_eq!(client.get("/big.bin").served().body.len(), 3_000_000);
    let mut kept = client.connect();
    assert_eq!(kept.get("/big.bin").served().body.len(), 3_000_000);
    assert_eq!(kept.get("/no").status(), Some(404));
    drop(kept);
    let mut reset = client.connect();
    assert_eq!(reset.get("/big.bin").served().body.len(), 3_000_000);
    reset.abort();
    null_connection(&client);
    wait_until_alone(&httpd);
    assert_eq!(client.get("/").status(), Some(200));
}

fn a_connection_above_the_limit_of_its_address_may_be_an_event(mpm: Mpm) {
    let httpd = server(mpm, "2 60")
        .with("QS_SrvMaxConnPerIP 1\nQS_SetEnvIfStatus QS_SrvMaxConnPerIP QS_Block")
        .start();
    httpd.expect(31).expect(60);
    let client = httpd.client("127.0.0.61");
    let mut held = client.hold();
    client.get("/").assert_refused();
    wait_until_alone_but_for(&httpd, 1);
    assert_eq!(held.get("/index.html").status(), Some(200), "one is not enough");
    // The event may be counted a moment after the connection has left the counters.
    wait_until("two are", PATIENCE, || {
        client.get("/").assert_refused();
        !httpd.events(60).is_empty()
    });
    let refused_by_the_limit = httpd.events(31).len();
    client.get("/").assert_refused();
    assert_eq!(httpd.events(31).len(), refused_by_the_limit, "the block comes first");
    for line in httpd.wait_for_events(60, 2) {
        let rule = "access denied, QS_ClientEventBlockCount rule: max=2, current=";
        assert!(line.text.starts_with(rule), "{line:?}");
        assert!(line.text.ends_with(", c=127.0.0.61"), "{line:?}");
    }
}

fn log_only_counts_a_connection_above_the_limit_of_its_address(mpm: Mpm) {
    let httpd = server(mpm, "1 60")
        .with("QS_SrvMaxConnPerIP 1\nQS_SetEnvIfStatus QS_SrvMaxConnPerIP QS_Block\nQS_LogOnly on")
        .start();
    httpd.expect(31).expect(60);
    let client = httpd.client("127.0.0.61");
    let _held = client.hold();
    assert_eq!(client.get("/").status(), Some(200));
    wait_until("the event was counted", PATIENCE, || {
        assert_eq!(client.get("/").status(), Some(200));
        !httpd.events(60).is_empty()
    });
}

// ---- TLS

fn a_blocked_client_is_refused_before_the_tls_handshake(mpm: Mpm) {
    let httpd = server(mpm, "2 60").tls().start();
    httpd.expect(60);
    let good = handshake(&httpd, "127.0.0.62");
    assert!(good.contains("BEGIN CERTIFICATE"), "a good client sees the certificate:\n{good}");
    let answers = Curl::tls_http1(&httpd, "127.0.0.61").get(&["/blk", "/blk"]);
    let answers: Vec<u16> = answers.responses.iter().map(|response| response.status).collect();
    assert_eq!(answers, [404, 500]);
    let refused = handshake(&httpd, "127.0.0.61");
    assert!(refused.contains("no peer certificate available"), "nothing was shaken:\n{refused}");
    httpd.client("127.0.0.61").connect().watch_until_closed().assert_refused();
    httpd.wait_for_events(60, 3);
}

fn a_tls_handshake_without_a_request_is_an_empty_connection(mpm: Mpm) {
    let httpd = server(mpm, "2 60").tls().with("QS_SetEnvIfStatus NullConnection QS_Block").start();
    httpd.expect(60);
    assert!(handshake(&httpd, "127.0.0.61").contains("BEGIN CERTIFICATE"));
    let mut hello = httpd.client("127.0.0.61").connect();
    hello.send(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).expect("the server reads");
    drop(hello);
    wait_until("both are counted", PATIENCE, || {
        Curl::tls_http1(&httpd, "127.0.0.61").get(&["/"]).responses.is_empty()
    });
}

/// What openssl tells about a handshake with the server.
fn handshake(httpd: &Httpd, source: &str) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", httpd.port())])
        .args(["-bind", &format!("{source}:0")])
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// ---- what is seen of it

fn log_only_blocks_nobody_and_says_so_at_both_levels(mpm: Mpm) {
    let httpd = server(mpm, "2 60").with("QS_LogOnly on").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let answers = statuses(&client, &["/blk", "/blk", "/"]);
    assert_eq!(answers, [Some(404), Some(404), Some(200)]);
    let lines = httpd.wait_for_events(60, 3);
    let rule = "access denied (log only), QS_ClientEventBlockCount rule: max=2, current=2, age=";
    let (requests, connections): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.text.contains(", id="));
    assert!(requests.len() >= 2 && !connections.is_empty(), "{lines:?}");
    for line in &requests {
        assert_line(line.without_id(), rule, ", c=127.0.0.61");
    }
    for line in &connections {
        assert_line(&line.text, rule, ", c=127.0.0.61");
    }
    let seen = &httpd.wait_for_access("/index.html", 1)[0];
    assert!(seen.letters().contains("D;"), "a denial that was only logged: {seen:?}");
    assert_eq!(seen.notes(), Some("060"));
}

fn the_error_code_of_a_denied_request_can_be_chosen(mpm: Mpm) {
    for code in [403, 429, 503] {
        let httpd = server(mpm, "1 60").with(&format!("QS_ErrorResponseCode {code}")).start();
        httpd.expect(60);
        let client = httpd.client("127.0.0.61");
        assert_eq!(client.get("/blk").status(), Some(code));
        client.get("/").assert_refused();
    }
}

fn a_denied_request_gets_the_error_page(mpm: Mpm) {
    let httpd = server(mpm, "1 60")
        .file("sorry.html", b"come back later\n".to_vec())
        .with("QS_ErrorPage /sorry.html\nQS_ErrorResponseCode 429")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let mut older = client.hold();
    let response = client.get("/blk").served();
    assert_eq!((response.status, response.text().as_str()), (429, "come back later\n"));
    let response = older.get("/index.html").served();
    assert_eq!((response.status, response.text().as_str()), (429, "come back later\n"));
    assert!(response.closes());
}

fn a_denied_request_is_sent_to_an_error_page_elsewhere(mpm: Mpm) {
    let httpd = server(mpm, "1 60").with("QS_ErrorPage http://sorry.example.test/page").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let mut older = client.hold();
    let response = client.get("/blk").served();
    assert_eq!(response.status, 302);
    assert_eq!(response.header("Location"), Some("http://sorry.example.test/page"));
    let response = older.get("/index.html").served();
    assert_eq!(response.status, 302);
    assert!(response.closes());
}

fn a_variable_replaces_the_error_page(mpm: Mpm) {
    let httpd = server(mpm, "1 60")
        .file("sorry.html", b"sorry\n".to_vec())
        .file("special.html", b"special\n".to_vec())
        .with("QS_ErrorPage /sorry.html\nSetEnvIf Request_URI special QS_ErrorPage=/special.html")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let mut older = client.hold();
    assert_eq!(client.get("/blk").served().text(), "sorry\n");
    assert_eq!(older.get("/special").served().text(), "special\n");
}

fn a_virtual_host_has_its_own_error_page_or_that_of_the_base(mpm: Mpm) {
    let httpd = server(mpm, "1 60")
        .ports(3)
        .file("base.html", b"base\n".to_vec())
        .file("own.html", b"own\n".to_vec())
        .with("QS_ErrorPage /base.html")
        .with("<VirtualHost *:@PORT1@>\nServerName own\nQS_ErrorPage /own.html\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nServerName heir\nQS_SrvMaxConn 9\n</VirtualHost>")
        .start();
    httpd.expect(60);
    for (port, page) in [(0, "base\n"), (1, "own\n"), (2, "base\n")] {
        let client = httpd.client_of_port(port, &format!("127.0.0.{}", 61 + port));
        assert_eq!(client.get("/blk").served().text(), page);
    }
}

fn the_access_log_shows_the_event_of_a_response_whose_error_document_is_missing(mpm: Mpm) {
    let httpd = server(mpm, "9 60")
        .with("ErrorDocument 404 /missing-too.html\nQS_SetEnvIfStatus 404 QS_Block=2")
        .with("CustomLog events_log \"%{QS_Block}e\"")
        .start();
    assert_eq!(httpd.client("127.0.0.61").get("/missing.html").status(), Some(404));
    httpd.wait_for_file("events_log", "2\n");
}

fn repeated_refusals_of_a_blocked_client_are_folded(mpm: Mpm) {
    let httpd = server(mpm, "1 4").start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.61");
    let first = Instant::now();
    assert_eq!(client.get("/blk").status(), Some(500));
    assert_eq!(httpd.wait_for_events(60, 1).len(), 1);
    let mark = httpd.mark();
    for _ in 0..47 {
        client.connect().watch_until_closed().assert_refused();
    }
    assert!(first.elapsed() < Duration::from_secs(3), "the block must still last");
    let lines = httpd.wait_for_events_since(mark, 60, 21);
    assert_eq!(lines.len(), 21, "20 in full and one for the next 20");
    let rule = "access denied, QS_ClientEventBlockCount rule: max=1, current=1, ";
    for line in &lines[..20] {
        assert_line(&line.text, &format!("{rule}age="), ", c=127.0.0.61");
    }
    assert_eq!(lines[20].text, format!("{rule}message repeated 20 times, c=127.0.0.61"));
    wait_until("the block is over", PATIENCE, || first.elapsed() > Duration::from_millis(5200));
    assert_eq!(client.get("/").status(), Some(200));
    let lines = httpd.wait_for_events_since(mark, 60, 22);
    let (before, after) =
        lines[21].text.split_once("current=").expect("the count is part of the line");
    assert_eq!(before, "access denied (previously), QS_ClientEventBlockCount rule: max=1, ");
    let count = after.strip_suffix(", message repeated 7 times, c=127.0.0.61");
    assert!(count.is_some_and(|count| count.parse::<u32>().is_ok()), "{:?}", lines[21]);
}

on_each_mpm!(
    the_third_event_is_denied_and_then_every_connection,
    a_block_ends_its_time_after_the_first_event,
    the_age_in_the_log_grows_during_the_block,
    an_event_counts_the_points_of_its_value,
    a_decrement_takes_points_back,
    counts_and_limits_are_wider_than_sixteen_bits,
    a_limit_of_zero_blocks_nobody,
    an_expired_window_starts_anew_with_the_next_empty_connection,
    an_exempt_address_is_never_blocked,
    an_exempt_network_is_never_blocked,
    addresses_exempt_from_connection_limits_are_blocked_all_the_same,
    a_blocked_ipv6_client_takes_its_network_with_it,
    a_status_of_the_server_is_one_event,
    a_status_may_count_more_points,
    a_good_status_may_be_an_event_too,
    a_status_of_a_location_counts_one_event,
    a_status_counts_for_a_virtual_host_only_where_it_is_said,
    a_status_may_set_several_variables,
    an_inner_location_wins_over_an_outer_one,
    a_request_counts_once_however_often_it_is_an_event,
    a_status_takes_back_one_event_when_it_sets_the_decrement,
    a_denial_may_be_an_event_too,
    an_empty_connection_is_an_event,
    a_connection_with_a_request_is_not_empty,
    a_slow_request_is_no_event,
    a_proxied_response_that_the_client_aborts_is_an_event,
    a_file_that_the_client_aborts_is_an_event,
    a_response_that_was_read_to_its_end_is_no_broken_connection,
    a_connection_above_the_limit_of_its_address_may_be_an_event,
    log_only_counts_a_connection_above_the_limit_of_its_address,
    a_blocked_client_is_refused_before_the_tls_handshake,
    a_tls_handshake_without_a_request_is_an_empty_connection,
    log_only_blocks_nobody_and_says_so_at_both_levels,
    the_error_code_of_a_denied_request_can_be_chosen,
    a_denied_request_gets_the_error_page,
    a_denied_request_is_sent_to_an_error_page_elsewhere,
    a_variable_replaces_the_error_page,
    a_virtual_host_has_its_own_error_page_or_that_of_the_base,
    the_access_log_shows_the_event_of_a_response_whose_error_document_is_missing,
    repeated_refusals_of_a_blocked_client_are_folded,
);
