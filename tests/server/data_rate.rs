//! How fast a client must send and read: QS_SrvMinDataRate and its kin. The interval is two seconds here, the
//! shortest there is; what is slow is let be slow in parallel.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Backend, Client, Connection, Http2Connection, Httpd, Line, Mpm, Outcome, PATIENCE, wait_until,
};

const RATE: &str = "QS_SrvMinDataRate 120\nQS_SrvSampleRate 2";
/// Two seconds, and a look before and after.
const ENOUGH: Duration = Duration::from_millis(4500);
const BIG: usize = 8_000_000;

fn of<'a>(lines: &'a [Line], address: &str) -> Vec<&'a Line> {
    let end = format!("c={address}");
    lines.iter().filter(|line| line.text.ends_with(&end)).collect()
}

/// The only line about an address, without the figures that no test can know.
#[track_caller]
fn assert_line(lines: &[Line], address: &str, way: &str) {
    let found = of(lines, address);
    let text = format!("access denied, QS_SrvMinDataRate rule ({way}): min=120, this connection=");
    assert_eq!(found.len(), 1, "{address}: {lines:#?}");
    assert!(found[0].text.starts_with(&text), "{}", found[0].raw);
    assert_eq!(found[0].level, "error");
    assert_eq!(found[0].client, None, "a line of the server");
}

/// Reads so few octets a second until the server closes, or the time is over.
fn read_slowly(mut connection: Connection, patience: Duration) -> Outcome {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if connection.is_reset() || connection.read_exactly(8).is_err() {
            return Outcome::Reset;
        }
        thread::sleep(Duration::from_millis(200));
    }
    Outcome::TimedOut
}

fn ask_for_much(client: Client, path: &str) -> Connection {
    let mut connection = client.connect();
    connection.shrink_receive_buffer(2048);
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.send(head.as_bytes()).expect("the server reads");
    connection
}

fn slow_senders_are_closed_and_the_others_served(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .modules(&["reqtimeout"])
        .with("RequestReadTimeout header=0 body=0")
        .with(RATE);
    let httpd = httpd.file("form", Vec::new()).start();
    httpd.expect(34);
    let mut idle = httpd.client("127.0.0.20").hold();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut silent = httpd.client("127.0.0.11").connect();
            silent.watch_until_closed().assert_refused();
        });
        scope.spawn(|| {
            let mut slow = httpd.client("127.0.0.12").connect();
            slow.send(b"GET / HTTP/1.1\r\nHost: x\r\n").expect("the server reads");
            while slow.send(b"X-a: b\r\n").is_ok()
                && matches!(slow.watch(Duration::from_millis(300)), Outcome::TimedOut)
            {}
        });
        scope.spawn(|| {
            let mut slow = httpd.client("127.0.0.13").connect();
            slow.send(b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
                .expect("read");
            while slow.send(b"a=b&").is_ok()
                && matches!(slow.watch(Duration::from_millis(300)), Outcome::TimedOut)
            {}
        });
        scope.spawn(|| {
            // A request that was served before does not excuse the next one.
            let mut slow = httpd.client("127.0.0.14").hold();
            slow.send(b"GET / HT").expect("the server reads");
            while slow.send(b"x").is_ok()
                && matches!(slow.watch(Duration::from_millis(300)), Outcome::TimedOut)
            {}
        });
        scope.spawn(|| {
            let mut able = httpd.client("127.0.0.21").connect();
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-a: {}\r\n\r\n", "b".repeat(900));
            for part in head.as_bytes().chunks(50) {
                able.send(part).expect("fast enough");
                thread::sleep(Duration::from_millis(250));
            }
            assert_eq!(able.response().status(), Some(200), "200 octets a second will do");
        });
        let begin = Instant::now();
        while begin.elapsed() < ENOUGH {
            assert_eq!(httpd.newcomer().get("/").status(), Some(200));
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(idle.get("/").status(), Some(200), "between two requests nobody is waited for");
    let lines = httpd.wait_for_events(34, 4);
    assert_line(&lines, "127.0.0.11", "in:0");
    for address in ["127.0.0.12", "127.0.0.13", "127.0.0.14"] {
        assert_line(&lines, address, "in");
    }
    assert_eq!(lines.len(), 4, "{lines:#?}");
}

fn slow_readers_are_closed_and_slow_backends_are_not_their_fault(mpm: Mpm) {
    let (endless, pausing) = (Backend::start(), Backend::pausing(ENOUGH));
    let httpd = Httpd::on(mpm)
        .modules(&["proxy", "proxy_http"])
        .with(RATE)
        .with(&format!("ProxyPass /endless http://127.0.0.1:{}/", endless.port))
        .with(&format!("ProxyPass /pausing http://127.0.0.1:{}/", pausing.port))
        .file("big.bin", vec![b'x'; BIG])
        .start();
    httpd.expect(34).expect_text("AH01102").expect_text("AH01110").expect_text("proxy_http");
    thread::scope(|scope| {
        scope.spawn(|| {
            let reader = ask_for_much(httpd.client("127.0.0.11"), "/big.bin");
            read_slowly(reader, ENOUGH * 2).assert_refused();
        });
        scope.spawn(|| {
            let reader = ask_for_much(httpd.client("127.0.0.12"), "/endless");
            read_slowly(reader, ENOUGH * 2).assert_refused();
        });
        scope.spawn(|| {
            let patient = httpd.client("127.0.0.21").get("/pausing").served();
            assert_eq!((patient.status, patient.text().as_str()), (200, "abcde"));
        });
        scope.spawn(|| {
            let reader = httpd.client("127.0.0.22").get("/big.bin").served();
            assert_eq!(reader.body.len(), BIG);
        });
    });
    let lines = httpd.wait_for_events(34, 2);
    assert_line(&lines, "127.0.0.11", "out");
    assert_line(&lines, "127.0.0.12", "out");
    assert_eq!(lines.len(), 2, "{lines:#?}");
}

fn the_rate_rises_and_holds_from_a_threshold_on(mpm: Mpm) {
    let rule = "QS_SrvMinDataRate 100 1000 4\nQS_SrvSampleRate 2\nLogLevel qos:debug";
    let httpd = Httpd::on(mpm).with(rule).start();
    httpd.expect(34);
    let mut silent = httpd.client("127.0.0.11").connect();
    let lines = httpd.wait_for_events(34, 1);
    assert_eq!(
        lines[0].text,
        "log only (allowed), QS_SrvMinDataRate rule (in:0): min=100, this connection=0, c=127.0.0.11"
    );
    assert_eq!(lines[0].level, "debug");
    let _held: Vec<Connection> =
        (2..7).map(|n| httpd.client(&format!("127.0.0.2{n}")).hold()).collect();
    silent.watch_until_closed().assert_refused();
    let lines = httpd.events(34);
    // Six of 32 are open.
    assert_eq!(
        lines.last().expect("a line").text,
        "access denied, QS_SrvMinDataRate rule (in:0): min=287, this connection=0, c=127.0.0.11"
    );
}

fn who_may_be_slow_is_let_be(mpm: Mpm) {
    let hosts = "<VirtualHost *:@PORT1@>\nQS_SrvDataRateOff\n</VirtualHost>\n\
                 <VirtualHost *:@PORT2@>\nServerName plain\n</VirtualHost>\n\
                 <VirtualHost *:@PORT2@>\nServerName off\nQS_SrvDataRateOff\n</VirtualHost>\n";
    let events = "SetEnvIf Request_URI big.bin SLOW\nQS_SrvMinDataRateOffEvent +SLOW\n\
                  <Location /not>\nQS_SrvMinDataRateOffEvent -SLOW\n</Location>";
    let httpd = Httpd::on(mpm)
        .ports(3)
        .with(RATE)
        .with("QS_SrvMaxConnExcludeIP 127.0.0.11\nLogLevel qos:debug\nAlias /not/ @ROOT@/htdocs/")
        .with(events)
        .with(hosts)
        .file("big.bin", vec![b'x'; BIG])
        .file("also.bin", vec![b'x'; BIG])
        .start();
    httpd.expect(34);
    let is_open = |outcome: Outcome| assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");
    thread::scope(|scope| {
        let read = |address: &'static str, path: &'static str| {
            let reader = ask_for_much(httpd.client(address), path);
            scope.spawn(move || read_slowly(reader, ENOUGH))
        };
        let event = read("127.0.0.12", "/big.bin");
        let taken_away = read("127.0.0.13", "/not/big.bin");
        let without = read("127.0.0.16", "/also.bin");
        scope.spawn(|| is_open(httpd.client("127.0.0.11").connect().watch(ENOUGH)));
        scope.spawn(|| is_open(httpd.client_of_port(1, "127.0.0.14").connect().watch(ENOUGH)));
        scope.spawn(|| {
            let mut reader = httpd.client_of_port(2, "127.0.0.15").connect();
            reader.shrink_receive_buffer(2048);
            let head = b"GET /also.bin HTTP/1.1\r\nHost: off\r\n\r\n";
            reader.send(head).expect("the server reads");
            is_open(read_slowly(reader, ENOUGH));
        });
        is_open(event.join().expect("joined"));
        taken_away.join().expect("joined").assert_refused();
        without.join().expect("joined").assert_refused();
    });
    let lines = httpd.events(34);
    for (address, words) in [
        ("127.0.0.11", "log only (allowed)"),
        ("127.0.0.12", "log only (allowed)"),
        ("127.0.0.13", "access denied"),
        ("127.0.0.16", "access denied"),
    ] {
        let found = of(&lines, address);
        assert!(!found.is_empty(), "{address}");
        assert!(found.iter().all(|line| line.text.starts_with(words)), "{found:#?}");
    }
    for address in ["127.0.0.14", "127.0.0.15"] {
        assert!(of(&lines, address).is_empty(), "{address} is not looked at: {lines:#?}");
    }
}

fn the_list_of_vips_can_be_overruled(mpm: Mpm) {
    let rule = "QS_SrvMaxConnExcludeIP 127.0.0.11\nQS_SrvMinDataRateIgnoreVIP on";
    let httpd = Httpd::on(mpm).with(RATE).with(rule).start();
    httpd.expect(34);
    httpd.client("127.0.0.11").connect().watch_until_closed().assert_refused();
    assert_line(&httpd.wait_for_events(34, 1), "127.0.0.11", "in:0");
}

fn log_only_closes_nobody(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with(RATE).with("QS_LogOnly on").start();
    httpd.expect(34);
    let mut slow = httpd.client("127.0.0.11").connect();
    let lines = httpd.wait_for_events(34, 1);
    assert_eq!(
        lines[0].text,
        "log only (allowed), QS_SrvMinDataRate rule (in:0): min=120, this connection=0, c=127.0.0.11"
    );
    assert_eq!(lines[0].level, "error");
    assert_eq!(slow.get("/").status(), Some(200));
}

fn slow_connections_are_block_events(mpm: Mpm) {
    let rule = "QS_ClientEventBlockCount 2 60\nQS_SetEnvIfStatus QS_SrvMinDataRate QS_Block";
    let httpd = Httpd::on(mpm).with(RATE).with(rule).start();
    httpd.expect(34).expect(60);
    let mut held = httpd.client("127.0.0.11").hold();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                httpd.client("127.0.0.11").connect().watch_until_closed().assert_refused();
            });
        }
    });
    httpd.client("127.0.0.11").get("/").assert_refused();
    assert_eq!(held.get("/").status(), Some(500), "the open connection is no way out");
    assert_eq!(httpd.client("127.0.0.12").get("/").status(), Some(200));
}

fn the_slowest_go_when_workers_run_out(mpm: Mpm) {
    let httpd =
        Httpd::on(mpm).size(2, 8).with("QS_SrvMinDataRate 120 1500\nQS_SrvSampleRate 30").start();
    httpd.expect(34);
    // Twice as many as there are workers; they come again whenever they are closed.
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let is_over = &is_over;
    thread::scope(|scope| {
        for n in 0..32 {
            let client = httpd.client(&format!("127.0.1.{n}"));
            scope.spawn(move || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let Ok(mut slow) = client.try_connect() else { continue };
                    let _ = slow.send(b"GET / HTTP/1.1\r\nHost: x\r\n");
                    let _ = slow.watch(Duration::from_secs(3));
                }
            });
        }
        wait_until("all workers are taken", Duration::from_secs(5), || {
            !httpd.events(34).is_empty()
        });
        let begin = Instant::now();
        let mut served = 0;
        for _ in 0..10 {
            served += u32::from(httpd.newcomer().get("/").status() == Some(200));
        }
        let spent = begin.elapsed();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(served, 10, "all are served");
        assert!(spent < Duration::from_secs(10), "{spent:?}");
    });
}

fn an_old_child_ends_when_its_slow_clients_are_cut_off(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with(RATE).start();
    // Of the hard restart at the end: a worker that waits for a client keeps an event child from its end.
    httpd.expect(34).expect_text("still did not exit");
    let slow = || -> Vec<Connection> {
        let half = |_| {
            let mut slow = httpd.client("127.0.0.11").connect();
            slow.send(b"GET / HT").expect("the server reads");
            slow
        };
        (0..6).map(half).collect()
    };
    let _slow = slow();
    wait_until("the children have all six", Duration::from_secs(15), || {
        httpd.newcomer().get("/").served().count("QS_AllConn") == 7
    });
    let old = httpd.children();
    httpd.reload();
    assert_eq!(httpd.client("127.0.0.12").get("/").status(), Some(200));
    wait_until("the old children are gone", Duration::from_secs(15), || {
        let children = httpd.children();
        old.iter().all(|pid| !children.contains(pid))
    });
    httpd.wait_for_events(34, 1);
    let _slow = slow();
    httpd.hard_restart();
    assert_eq!(httpd.client("127.0.0.12").get("/").status(), Some(200));
}

on_each_mpm!(
    slow_senders_are_closed_and_the_others_served,
    slow_readers_are_closed_and_slow_backends_are_not_their_fault,
    the_rate_rises_and_holds_from_a_threshold_on,
    who_may_be_slow_is_let_be,
    the_list_of_vips_can_be_overruled,
    log_only_closes_nobody,
    slow_connections_are_block_events,
    the_slowest_go_when_workers_run_out,
    an_old_child_ends_when_its_slow_clients_are_cut_off,
);

/// HTTP/2, which prefork cannot do; and what is the same on all MPMs.
mod once {
    use super::*;

    #[test]
    fn http2_is_measured_on_the_connection_and_not_between_its_streams() {
        for mpm in [Mpm::Worker, Mpm::Event] {
            let pausing = Backend::pausing(ENOUGH);
            let httpd = Httpd::on(mpm)
                .modules(&["http2", "proxy", "proxy_http"])
                .with("Protocols h2c http/1.1")
                .with(RATE)
                .with(&format!("ProxyPass /pausing http://127.0.0.1:{}/", pausing.port))
                .file("big.bin", vec![b'x'; BIG])
                .start();
            httpd.expect(34);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut idle = Http2Connection::open(&httpd.client("127.0.0.21"));
                    assert_eq!(idle.get(&["/"]), [Some(200)]);
                    thread::sleep(ENOUGH);
                    assert_eq!(idle.get(&["/"]), [Some(200)], "idle is not slow");
                });
                scope.spawn(|| {
                    let mut patient = Http2Connection::open(&httpd.client("127.0.0.22"));
                    assert_eq!(patient.get(&["/pausing", "/"]), [Some(200); 2]);
                });
                scope.spawn(|| {
                    let mut slow = httpd.client("127.0.0.11").connect();
                    slow.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the server reads");
                    // What the server says first is no answer.
                    while matches!(slow.watch(ENOUGH), Outcome::Truncated) {}
                });
            });
            let lines = httpd.wait_for_events(34, 1);
            assert_line(&lines, "127.0.0.11", "in");
            assert_eq!(lines.len(), 1, "{lines:#?}");
        }
    }

    #[test]
    fn a_tls_handshake_is_measured_too() {
        for mpm in [Mpm::Prefork, Mpm::Worker, Mpm::Event] {
            let httpd = Httpd::on(mpm).tls().with(RATE).start();
            httpd.expect(34);
            let mut silent = httpd.client("127.0.0.11").connect();
            let mut half = httpd.client("127.0.0.12").connect();
            half.send(&[22, 3, 1, 2, 0, 1]).expect("the server reads");
            let curl = crate::harness::Curl::tls_http1(&httpd, "127.0.0.21").get(&["/", "/"]);
            assert_eq!((curl.code, curl.responses.len()), (0, 2));
            assert!(!matches!(silent.watch_until_closed(), Outcome::TimedOut));
            assert!(!matches!(half.watch_until_closed(), Outcome::TimedOut));
            let lines = httpd.wait_for_events(34, 2);
            assert_line(&lines, "127.0.0.11", "in:0");
            assert_line(&lines, "127.0.0.12", "in:0");
        }
    }

    #[test]
    fn a_threshold_out_of_reach_is_told_of_beside_the_other_ones() {
        let rules = "QS_SrvMinDataRate 120 1500 500\nQS_SrvMaxConnPerIP 30 501";
        let httpd = Httpd::on(Mpm::Worker).with(rules).start();
        let lines = httpd.wait_for_events(300, 2);
        let mut texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        texts.sort_unstable();
        assert_eq!(
            texts,
            [
                "QS_SrvMaxConnPerIP: threshold 501 cannot be reached, at most 32 connections are possible",
                "QS_SrvMinDataRate: threshold 500 cannot be reached, at most 32 connections are possible",
            ]
        );
    }

    /// Records of TLS around single octets once made a client twenty times as fast as it was.
    #[test]
    fn over_tls_what_is_in_the_records_counts() {
        let httpd = Httpd::on(Mpm::Event)
            .tls()
            .modules(&["reqtimeout"])
            .with("RequestReadTimeout handshake=0 header=0 body=0")
            .with(RATE)
            .file("form", Vec::new())
            .start();
        httpd.expect(34);
        let send = |source: &str, head: &str| {
            let address = format!("127.0.0.1:{}", httpd.ports()[0]);
            let mut client = Command::new("openssl")
                .args(["s_client", "-quiet", "-no_ign_eof", "-connect", &address])
                .args(["-bind", &format!("{source}:0")])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("openssl runs");
            let mut to_server = client.stdin.take().expect("a pipe");
            let _ = to_server.write_all(head.as_bytes());
            // Until the server closes: on a busy machine the handshake alone may take long.
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end && matches!(client.try_wait(), Ok(None)) {
                let _ = to_server.write_all(b"a").and_then(|()| to_server.flush());
                thread::sleep(Duration::from_millis(40));
            }
            drop(to_server);
            let _ = client.kill().and_then(|()| client.wait());
        };
        let head = "GET / HTTP/1.1\r\nHost: x\r\nX-a: ";
        let body = "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n";
        thread::scope(|scope| {
            scope.spawn(|| send("127.0.0.22", head));
            scope.spawn(|| send("127.0.0.23", body));
        });
        let lines = httpd.wait_for_events(34, 2);
        for address in ["127.0.0.22", "127.0.0.23"] {
            let found = of(&lines, address);
            assert_eq!(found.len(), 1, "{address}: {lines:#?}");
            // On a busy machine its first line may come late.
            let begins = found[0].text.starts_with("access denied, QS_SrvMinDataRate rule (in");
            assert!(begins, "{}", found[0].raw);
        }
    }

    #[test]
    fn a_child_without_connections_is_never_woken() {
        let httpd = Httpd::on(Mpm::Worker).with(RATE).start();
        let threads = |pid| {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("tasks");
            let looking = tasks.filter_map(Result::ok).filter(|task| {
                let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                name.trim() == "qos-data-rate"
            });
            looking.map(|task| task.path().join("status")).collect::<Vec<_>>()
        };
        let switches = || -> Vec<String> {
            let all = httpd.children().into_iter().flat_map(threads);
            let text = all.map(|path| std::fs::read_to_string(path).unwrap_or_default());
            text.flat_map(|text| {
                let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
                lines.map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
        };
        wait_until("each child has its thread", Duration::from_secs(5), || switches().len() == 4);
        thread::sleep(Duration::from_millis(300));
        let before = switches();
        thread::sleep(Duration::from_millis(2200));
        assert_eq!(switches(), before);
    }
}
