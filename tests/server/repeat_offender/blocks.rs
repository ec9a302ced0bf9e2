//! What a block does: whom it holds, for how long, and what a blocked client gets to see.

use std::time::{Duration, Instant};

use super::{assert_line, block, handshake, null_connection, server, statuses, wait_until_alone};
use crate::harness::{Curl, Mpm, Namespace, PATIENCE, wait_until};

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
    a_limit_of_zero_blocks_nobody,
    an_expired_window_starts_anew_with_the_next_empty_connection,
    an_exempt_address_is_never_blocked,
    an_exempt_network_is_never_blocked,
    addresses_exempt_from_connection_limits_are_blocked_all_the_same,
    a_blocked_ipv6_client_takes_its_network_with_it,
    a_blocked_client_is_refused_before_the_tls_handshake,
    log_only_blocks_nobody_and_says_so_at_both_levels,
    the_error_code_of_a_denied_request_can_be_chosen,
    a_denied_request_gets_the_error_page,
    a_denied_request_is_sent_to_an_error_page_elsewhere,
    a_variable_replaces_the_error_page,
    a_virtual_host_has_its_own_error_page_or_that_of_the_base,
    the_access_log_shows_the_event_of_a_response_whose_error_document_is_missing,
    repeated_refusals_of_a_blocked_client_are_folded,
);
