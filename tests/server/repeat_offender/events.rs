//! What counts as an event, and how often: QS_Block, statuses, empty and broken connections.

use std::time::Duration;

use super::{handshake, logged_statuses, null_connection, server, statuses, wait_until_alone};
use crate::harness::{Backend, Client, Curl, Httpd, Mpm, PATIENCE, wait_until};

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

on_each_mpm!(
    an_event_counts_the_points_of_its_value,
    a_decrement_takes_points_back,
    counts_and_limits_are_wider_than_sixteen_bits,
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
    a_tls_handshake_without_a_request_is_an_empty_connection,
);
