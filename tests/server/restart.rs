//! Graceful (USR1) and hard (HUP) restarts: what is counted and who is blocked outlives them, and
//! nothing is left behind by any of them.

use std::time::{Duration, Instant};

use crate::harness::{Connection, Httpd, Mpm, PATIENCE, Usage, poll, wait_until};

fn restarted_both_ways(test: impl Fn(&dyn Fn(&Httpd), &str)) {
    test(&Httpd::reload, "USR1");
    test(&Httpd::hard_restart, "HUP");
}

fn connections_of_the_old_generation_stay_counted(mpm: Mpm) {
    // A silent connection is not idle keep-alive, so a graceful restart leaves it alone.
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 4\nQS_SrvMaxConnPerIP 2").start();
    httpd.expect(30).expect(31);
    let silent: Vec<Connection> = ["127.0.0.91", "127.0.0.91", "127.0.0.92"]
        .iter()
        .map(|source| {
            let mut connection = httpd.client(source).connect();
            connection.send(b"GET /index.html HTTP/1.1\r\nHost: x\r\n").expect("it reads");
            connection
        })
        .collect();
    wait_until("all are counted", PATIENCE, || {
        httpd.client("127.0.0.93").get("/").served().count("QS_AllConn") == 4
    });
    httpd.reload();
    httpd.client("127.0.0.91").get("/").assert_refused();
    wait_until("the old ones and the asking one are counted", PATIENCE, || {
        let outcome = httpd.client("127.0.0.93").get("/");
        outcome.is_refused() || outcome.served().count("QS_AllConn") == 4
    });
    for mut connection in silent {
        connection.send(b"\r\n").expect("an old child still reads");
        assert_eq!(connection.response().served().status, 200, "and serves");
    }
    wait_until("they are given back", PATIENCE, || {
        // The last asking one may still be counted.
        let outcome = httpd.client("127.0.0.93").get("/");
        outcome.status() == Some(200) && outcome.served().count("QS_AllConn") == 1
    });
}

fn a_hard_restart_closes_connections_and_gives_them_back(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 4").start();
    httpd.expect(30);
    let mut held: Vec<Connection> = (0..3).map(|_| httpd.client("127.0.0.91").hold()).collect();
    httpd.hard_restart();
    for connection in &mut held {
        connection.watch_until_closed().assert_refused();
    }
    wait_until("they are given back", PATIENCE, || {
        let outcome = httpd.client("127.0.0.93").get("/");
        outcome.status() == Some(200) && outcome.served().count("QS_AllConn") == 1
    });
}

fn a_block_survives_with_its_original_end(mpm: Mpm) {
    restarted_both_ways(|restart, name| {
        let httpd = Httpd::on(mpm)
            .with("QS_ClientEventBlockCount 2 5\nSetEnvIf Request_URI ^/blk QS_Block")
            .start();
        httpd.expect(60);
        let client = httpd.client("127.0.0.91");
        let first = Instant::now();
        assert_eq!(client.get("/blk").status(), Some(404), "{name}");
        restart(&httpd);
        assert_eq!(client.get("/blk").status(), Some(500), "{name}: the first event counts on");
        restart(&httpd);
        client.get("/").assert_refused();
        wait_until("the block ends", PATIENCE, || client.get("/").status() == Some(200));
        let over = first.elapsed();
        assert!(over > Duration::from_secs(4) && over < Duration::from_secs(7), "{name}: {over:?}");
    });
}

fn a_changed_limit_acts_at_once(mpm: Mpm) {
    let mut httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 5").start();
    httpd.expect(31);
    httpd.rewrite("QS_SrvMaxConnPerIP 1\nQS_ErrorResponseCode 503");
    httpd.reload();
    wait_until("the new limit acts", PATIENCE, || {
        let held = httpd.client("127.0.0.91").connect();
        let mut held = held;
        if held.get("/").status() != Some(200) {
            return false;
        }
        httpd.client("127.0.0.91").get("/").is_refused()
    });
}

fn a_rule_that_is_gone_acts_no_more(mpm: Mpm) {
    let events = "SetEnvIf Request_URI ^/blk QS_Block";
    let mut httpd =
        Httpd::on(mpm).with(&format!("QS_ClientEventBlockCount 1 60\n{events}")).start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.91");
    assert_eq!(client.get("/blk").status(), Some(500));
    client.get("/").assert_refused();
    httpd.rewrite(events);
    httpd.reload();
    wait_until("nobody is blocked", PATIENCE, || client.get("/blk").status() == Some(404));
}

fn an_error_code_that_is_gone_returns_to_500(mpm: Mpm) {
    let rule = "QS_ClientEventBlockCount 1 60\nSetEnvIf Request_URI ^/blk QS_Block";
    let mut httpd = Httpd::on(mpm).with(&format!("{rule}\nQS_ErrorResponseCode 429")).start();
    httpd.expect(60);
    assert_eq!(httpd.client("127.0.0.91").get("/blk").status(), Some(429));
    httpd.rewrite(rule);
    httpd.hard_restart();
    assert_eq!(httpd.client("127.0.0.92").get("/blk").status(), Some(500));
}

fn a_changed_table_size_is_noted_and_waits_for_a_stop(mpm: Mpm) {
    let rule = "QS_ClientEventBlockCount 1 60\nSetEnvIf Request_URI ^/blk QS_Block";
    let mut httpd = Httpd::on(mpm).with(&format!("{rule}\nQS_ClientEntries 6400")).start();
    httpd.expect(60);
    assert_eq!(httpd.client("127.0.0.91").get("/blk").status(), Some(500));
    httpd.rewrite(&format!("{rule}\nQS_ClientEntries 12800"));
    httpd.reload();
    let line = &httpd.wait_for_events(303, 1)[0];
    assert_eq!(
        line.text,
        "QS_ClientEntries: the change needs a stop and start, 6400 stays in force"
    );
    assert_eq!(line.level, "notice");
    httpd.client("127.0.0.91").get("/").assert_refused();
}

fn a_changed_ipv6_prefix_is_noted_and_waits_for_a_stop(mpm: Mpm) {
    let mut httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 9\nQS_ClientIPv6Prefix 56").start();
    httpd.rewrite("QS_SrvMaxConnPerIP 9\nQS_ClientIPv6Prefix 64");
    httpd.reload();
    let line = &httpd.wait_for_events(303, 1)[0];
    assert_eq!(
        line.text,
        "QS_ClientIPv6Prefix: the change needs a stop and start, 56 stays in force"
    );
}

fn an_unchanged_configuration_is_not_noted(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 5\nQS_ClientEntries 6400\nQS_ClientIPv6Prefix 56")
        .start();
    httpd.reload();
    httpd.hard_restart();
    assert_eq!(httpd.events(303).len(), 0);
}

fn ten_restarts_leave_the_parent_as_it_was(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_SrvMaxConnPerIP 9\nQS_ClientEventBlockCount 5 60")
        .with("QS_SetEnvIfStatus 404 QS_Block\nQS_ErrorPage /e.html")
        .start();
    let client = httpd.client("127.0.0.91");
    // What is made once for good, is made in the first restarts.
    for _ in 0..3 {
        httpd.reload();
        assert_eq!(client.get("/").status(), Some(200));
    }
    let before = settled_usage(&httpd);
    for round in 0..10 {
        if round % 2 == 0 {
            httpd.reload()
        } else {
            httpd.hard_restart()
        }
        assert_eq!(client.get("/").status(), Some(200));
    }
    let after = settled_usage(&httpd);
    assert!(after.mappings <= before.mappings + 2, "{before:?} {after:?}");
    assert!(after.shared_segments <= before.shared_segments, "{before:?} {after:?}");
    assert!(after.descriptors <= before.descriptors, "{before:?} {after:?}");
    assert!(after.resident_kib <= before.resident_kib + 1500, "{before:?} {after:?}");
}

/// The parent's usage once old children are gone, for each of which it holds a pipe or two.
fn settled_usage(httpd: &Httpd) -> Usage {
    let mut last = httpd.usage();
    let settled = poll(PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        let now = httpd.usage();
        let is_settled = now.descriptors == last.descriptors && now.mappings == last.mappings;
        last = now;
        is_settled.then_some(now)
    });
    settled.unwrap_or(last)
}

on_each_mpm!(
    connections_of_the_old_generation_stay_counted,
    a_hard_restart_closes_connections_and_gives_them_back,
    a_block_survives_with_its_original_end,
    a_changed_limit_acts_at_once,
    a_rule_that_is_gone_acts_no_more,
    an_error_code_that_is_gone_returns_to_500,
    a_changed_table_size_is_noted_and_waits_for_a_stop,
    a_changed_ipv6_prefix_is_noted_and_waits_for_a_stop,
    an_unchanged_configuration_is_not_noted,
    ten_restarts_leave_the_parent_as_it_was,
);
