//! A client that leaves before the server has taken its connection: whose fault was it?

use std::time::Duration;

use crate::harness::{Connection, Httpd, Mpm, PATIENCE, wait_until};

const RULES: &str = "QS_ClientEventBlockCount 1 60\nQS_SetEnvIfStatus BrokenConnection QS_Block\n\
                     QS_SetEnvIfStatus NullConnection QS_Block";

/// Takes all workers: half a request each.
fn crowd(httpd: &Httpd) -> Vec<Connection> {
    let begin = |_| {
        let mut connection = httpd.client("127.0.0.71").connect();
        connection.send(b"GET / HTTP/1.1\r\n").expect("it is taken by the kernel at least");
        connection
    };
    (0..2).map(begin).collect()
}

fn who_was_kept_waiting_is_not_blocked_for_leaving(mpm: Mpm) {
    let httpd = Httpd::on(mpm).size(1, 2).with(RULES).start();
    httpd.expect(60);
    let crowd = crowd(&httpd);
    // Until nobody is served any more: who asks then has to wait.
    let asking = |source: &str| {
        let mut connection = httpd.client(source).connect();
        connection.send(b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        connection
    };
    let mut good = asking("127.0.0.72");
    while !matches!(good.watch(Duration::from_millis(200)), crate::harness::Outcome::TimedOut) {
        good = asking("127.0.0.72");
    }
    let mut hasty = asking("127.0.0.72");
    let _ = hasty.watch(Duration::from_millis(2300));
    drop((good, hasty));
    for mut connection in crowd {
        connection.send(b"Host: x\r\nConnection: close\r\n\r\n").expect("it is read");
        assert_eq!(connection.response().status(), Some(200));
    }
    let neighbour = httpd.client("127.0.0.73");
    wait_until("the server serves again", PATIENCE, || neighbour.get("/").status() == Some(200));
    for _ in 0..3 {
        assert_eq!(httpd.client("127.0.0.72").get("/").status(), Some(200), "it is not blocked");
    }
    // Who leaves although he would have been served at once, is.
    drop(httpd.client("127.0.0.74").connect());
    wait_until("it is blocked", PATIENCE, || httpd.client("127.0.0.74").get("/").is_refused());
}

on_each_mpm!(who_was_kept_waiting_is_not_blocked_for_leaving);
