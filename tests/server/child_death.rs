//! Counts stay exact when a child dies, in whatever way: what it held comes back within the time
//! that httpd's parent needs to see it.

use crate::harness::{
    Builder, Client, Connection, Httpd, Mpm, Outcome, PATIENCE, RECOVERY, poll, wait_until,
};

/// What every server of this file may log: refusals while counts are still too high.
fn server(mpm: Mpm) -> Builder {
    Httpd::on(mpm).with("QS_SrvMaxConn 6\nQS_SrvMaxConnPerIP 3")
}

fn hold(httpd: &Httpd, sources: &[&str]) -> Vec<Connection> {
    sources.iter().map(|source| httpd.client(source).hold()).collect()
}

/// A lone client sees itself alone, and both limits can be used up again.
fn assert_counts_recover(httpd: &Httpd) {
    httpd.expect(30).expect(31);
    assert_alone(httpd);
    wait_until_closed(httpd);
    let mut held = hold(httpd, &["127.0.0.81", "127.0.0.81", "127.0.0.81"]);
    httpd.client("127.0.0.81").get("/").assert_refused();
    wait_until_counted(&held);
    held.extend(hold(httpd, &["127.0.0.82", "127.0.0.83", "127.0.0.84"]));
    httpd.client("127.0.0.85").get("/").assert_refused();
}

/// Within the time of recovery a lone client sees that it is alone.
#[track_caller]
fn assert_alone(httpd: &Httpd) {
    let mut seen = Vec::new();
    let is_alone = poll(RECOVERY, || {
        // Whoever is refused sees no count.
        let outcome = httpd.client("127.0.0.89").get("/");
        let count = outcome.status().map(|_| outcome.served().count("QS_AllConn"));
        seen.push(count);
        (count == Some(1)).then_some(())
    });
    seen.dedup();
    assert!(is_alone.is_some(), "not 1 within {RECOVERY:?}, but {seen:?}");
}

/// The connection of the asking client is closed for the server, too.
fn wait_until_closed(httpd: &Httpd) {
    wait_until("a lone client is alone again", PATIENCE, || {
        httpd.client("127.0.0.89").get("/").served().count("QS_AllConn") == 1
    });
}

/// A refused connection is counted until it is closed, which takes the server a moment.
fn wait_until_counted(held: &[Connection]) {
    let extra = held.len() as i64 + 1;
    let server = held[0].server();
    wait_until("only what is held is counted", PATIENCE, || {
        let probe = Client::new("127.0.0.88", server);
        match probe.get("/") {
            Outcome::Served(response) => response.count("QS_AllConn") == extra,
            _ => false,
        }
    });
    // The probe itself must be gone as well, before the next connection takes the last place.
    std::thread::sleep(std::time::Duration::from_millis(50));
}

/// Event keeps as many idle connections open as it is told to: each of them has its record.
#[test]
fn a_killed_child_gives_back_hundreds_of_idle_connections() {
    let httpd = Httpd::on(Mpm::Event)
        .size(1, 4)
        .with("AsyncRequestWorkerFactor 200\nKeepAliveTimeout 60\nQS_SrvMaxConn 5000")
        .start();
    let held: Vec<Connection> = (0..450).map(|_| httpd.client("127.0.0.81").hold()).collect();
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    drop(held);
    assert_alone(&httpd);
}

fn a_killed_child_gives_back_what_it_held(mpm: Mpm) {
    let httpd = server(mpm).start();
    let held = hold(&httpd, &["127.0.0.81", "127.0.0.81", "127.0.0.82"]);
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    for mut connection in held {
        connection.watch_until_closed().assert_refused();
    }
    assert_counts_recover(&httpd);
}

fn one_killed_child_gives_back_only_its_own(mpm: Mpm) {
    let httpd = server(mpm).size(2, 4).start();
    let mut held = hold(&httpd, &["127.0.0.81", "127.0.0.82", "127.0.0.83", "127.0.0.84"]);
    let victim = httpd.children()[0];
    httpd.kill_child(victim);
    httpd.wait_until_reaped(victim);
    // Whoever sat on the other child is still there and still counted.
    held.retain_mut(|connection| connection.get("/index.html").status() == Some(200));
    let survivors = held.len() as i64;
    wait_until("only the survivors are counted", RECOVERY, || {
        httpd.client("127.0.0.89").get("/").served().count("QS_AllConn") == survivors + 1
    });
    drop(held);
    assert_counts_recover(&httpd);
}

fn children_killed_again_and_again_leave_no_trace(mpm: Mpm) {
    let httpd = server(mpm).size(2, 4).start();
    for _ in 0..4 {
        let _held = hold(&httpd, &["127.0.0.81", "127.0.0.82"]);
        for pid in httpd.children() {
            httpd.kill_child(pid);
        }
        assert_alone(&httpd);
    }
    assert_counts_recover(&httpd);
}

fn a_crashed_child_gives_back_what_it_held(mpm: Mpm) {
    let httpd = server(mpm).start();
    httpd.expect_text("exit signal Segmentation fault (11)").expect_text("exit signal Abort");
    let _held = hold(&httpd, &["127.0.0.81", "127.0.0.82"]);
    for (index, pid) in httpd.children().into_iter().enumerate() {
        httpd.signal_child(pid, if index % 2 == 0 { libc::SIGSEGV } else { libc::SIGABRT });
    }
    assert_counts_recover(&httpd);
}

fn a_child_that_ends_gracefully_gives_back_what_it_held(mpm: Mpm) {
    let httpd = server(mpm).start();
    let held = hold(&httpd, &["127.0.0.81", "127.0.0.82"]);
    httpd.reload();
    drop(held);
    assert_counts_recover(&httpd);
}

fn children_that_reach_their_last_connection_leave_no_trace(mpm: Mpm) {
    let httpd = server(mpm).size(2, 4).max_connections_per_child(3).start();
    let first = httpd.children();
    for number in 0..40 {
        let client = httpd.client(&format!("127.0.1.{}", number % 20 + 1));
        wait_until("it is served", PATIENCE, || client.get("/").status() == Some(200));
    }
    wait_until("the first children have ended", PATIENCE, || {
        !first.iter().all(|pid| httpd.children().contains(pid))
    });
    // More than that cannot be asked: an ending child closes the connections that a test holds.
    assert_alone(&httpd);
}

fn a_block_survives_the_death_of_all_children(mpm: Mpm) {
    let httpd = server(mpm)
        .with("QS_ClientEventBlockCount 2 60\nSetEnvIf Request_URI ^/blk QS_Block")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.81");
    assert_eq!(client.get("/blk").status(), Some(404));
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    wait_until("there are new children", PATIENCE, || {
        httpd.client("127.0.0.82").get("/").status() == Some(200)
    });
    assert_eq!(client.get("/blk").status(), Some(500), "the first event was not forgotten");
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    wait_until("there are new children", PATIENCE, || {
        httpd.client("127.0.0.82").get("/").status() == Some(200)
    });
    client.get("/").assert_refused();
}

on_each_mpm!(
    a_killed_child_gives_back_what_it_held,
    one_killed_child_gives_back_only_its_own,
    children_killed_again_and_again_leave_no_trace,
    a_crashed_child_gives_back_what_it_held,
    a_child_that_ends_gracefully_gives_back_what_it_held,
    children_that_reach_their_last_connection_leave_no_trace,
    a_block_survives_the_death_of_all_children,
);
