//! A client table that is too small for the crowd: who is blocked stays blocked, and a limit works
//! for the newest address as well.

use crate::harness::{Builder, Httpd, Mpm};

const CROWD: usize = 1600;

fn server(mpm: Mpm) -> Builder {
    Httpd::on(mpm)
        .with("QS_ClientEntries 640\nQS_ClientEventBlockCount 2 300\nQS_SrvMaxConnPerIP 2")
        .with("SetEnvIf Request_URI ^/blk QS_Block")
}

/// Many addresses, each with one good request.
fn crowd_comes_by(httpd: &Httpd) {
    let serve = |from: usize, to: usize| {
        for number in from..to {
            let source = format!("127.{}.{}.{}", 2 + number % 5, number / 250, number % 250 + 1);
            let status = httpd.client(&source).get("/").status();
            assert_eq!(status, Some(200), "{source}");
        }
    };
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || serve(part * CROWD / 4, (part + 1) * CROWD / 4));
        }
    });
}

fn a_blocked_client_is_not_forgotten_for_a_crowd(mpm: Mpm) {
    let httpd = server(mpm).start();
    httpd.expect(60);
    let blocked = httpd.client("127.0.0.101");
    assert_eq!(blocked.get("/blk").status(), Some(404));
    assert_eq!(blocked.get("/blk").status(), Some(500));
    crowd_comes_by(&httpd);
    blocked.get("/").assert_refused();
}

fn limits_work_for_the_newest_address_of_a_full_table(mpm: Mpm) {
    let httpd = server(mpm).start();
    httpd.expect(31).expect(60);
    crowd_comes_by(&httpd);
    let newest = httpd.client("127.0.0.102");
    let _held = [newest.hold(), newest.hold()];
    newest.get("/").assert_refused();
    let another = httpd.client("127.0.0.103");
    assert_eq!(another.get("/blk").status(), Some(404));
    assert_eq!(another.get("/blk").status(), Some(500));
    another.get("/").assert_refused();
}

fn an_open_connection_is_not_forgotten_for_a_crowd(mpm: Mpm) {
    let httpd = server(mpm).start();
    httpd.expect(31);
    let holder = httpd.client("127.0.0.104");
    let mut held = [holder.hold(), holder.hold()];
    crowd_comes_by(&httpd);
    holder.get("/").assert_refused();
    for connection in &mut held {
        assert_eq!(connection.get("/").status(), Some(200));
    }
}

fn a_table_full_of_blocked_clients_still_limits_the_next(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEntries 640\nQS_ClientEventBlockCount 1 300\nQS_SrvMaxConnPerIP 2")
        .with("SetEnvIf Request_URI ^/blk QS_Block")
        .start();
    httpd.expect(31).expect(60);
    for number in 0..700 {
        let source = format!("127.9.{}.{}", number / 250, number % 250 + 1);
        assert_eq!(httpd.client(&source).get("/blk").status(), Some(500), "{source}");
    }
    // Whose block ends last is still there.
    httpd.client("127.9.2.200").get("/").assert_refused();
    let newest = httpd.client("127.0.0.105");
    let _held = [newest.hold(), newest.hold()];
    newest.get("/").assert_refused();
}

on_each_mpm!(
    a_blocked_client_is_not_forgotten_for_a_crowd,
    limits_work_for_the_newest_address_of_a_full_table,
    an_open_connection_is_not_forgotten_for_a_crowd,
    a_table_full_of_blocked_clients_still_limits_the_next,
);
