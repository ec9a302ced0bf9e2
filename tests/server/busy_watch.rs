//! QS_SrvBusyWatch: who holds a busy server is found, told of, blocked and cut off; and the helper process
//! that does it lives exactly as long as the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Connection, Httpd, Mpm, PATIENCE, poll, wait_until};

/// The living helpers of a server.
fn helpers(httpd: &Httpd) -> Vec<i32> {
    let is_helper = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "apache2-qos"
    };
    httpd.children().into_iter().filter(is_helper).collect()
}

/// Waits until there is one helper, which is none of those.
#[track_caller]
fn wait_for_helper(httpd: &Httpd, old: &[i32]) -> i32 {
    let found = || match helpers(httpd)[..] {
        [one] if !old.contains(&one) => Some(one),
        _ => None,
    };
    poll(PATIENCE, found).expect("one new helper")
}

/// What an attacker holds: connections that were served, some that say nothing, and a half head.
fn attack(httpd: &Httpd, source: &str) -> Vec<Connection> {
    let attacker = httpd.client(source);
    let mut held: Vec<Connection> = (0..4).map(|_| attacker.hold()).collect();
    held.extend((0..5).map(|_| attacker.connect()));
    let mut half = attacker.connect();
    half.send(b"GET / HTTP/1.1\r\nHo").expect("the server reads");
    held.push(half);
    held
}

/// The system's log, on machines that have none.
struct Syslog(UnixDatagram);

impl Syslog {
    const PATH: &str = "/dev/log";

    fn open() -> std::io::Result<Syslog> {
        let socket = UnixDatagram::bind(Syslog::PATH)?;
        fs::set_permissions(Syslog::PATH, fs::Permissions::from_mode(0o666))?;
        Ok(Syslog(socket))
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let _ = fs::remove_file(Syslog::PATH);
    }
}

fn pictures(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.flatten().map(|entry| entry.path()).collect()
}

fn who_holds_a_busy_server_is_found_and_cut_off(mpm: Mpm) {
    // Nobody may listen to syslog here: that is told of once.
    let httpd =
        Httpd::on(mpm).with("QS_SrvBusyWatch 12 10\nQS_SrvBusyWatchDir @ROOT@/busy 2").start();
    httpd.expect(310).expect(60).expect_text("syslog takes nothing");
    let mut good = httpd.client("127.0.0.21").hold();
    let held = attack(&httpd, "127.0.0.20");
    assert!(httpd.events(312).is_empty(), "eleven connections are not too many");
    let _last = httpd.client("127.0.0.22").hold();
    let told = httpd.wait_for_events(310, 1);
    let words = "access denied, QS_SrvBusyWatch rule: max=10, current=10, c=127.0.0.20";
    assert_eq!((told[0].text.as_str(), told[0].level.as_str()), (words, "error"));
    let begins = httpd.wait_for_events(312, 1);
    let (before, path) = begins[0].text.split_once("file=").expect("a file");
    assert!(
        before.starts_with("QS_SrvBusyWatch: busy=12, threshold=12, addresses=1, networks=0, ")
    );

    // Whatever state they are in, what the attacker holds ends, and nobody else's does.
    for mut connection in held {
        connection.watch_until_closed().assert_refused();
    }
    httpd.client("127.0.0.20").get("/").assert_refused();
    assert_eq!(good.get("/").status(), Some(200));

    let picture = fs::read_to_string(path).expect("a picture");
    assert!(picture.contains("\n127.0.0.20 10\n127.0.0.21 1\n127.0.0.22 1\n"), "{picture}");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o7777;
    assert_eq!(mode(Path::new(path)), 0o640);
    assert_eq!(mode(&httpd.root().join("busy")), 0o750);
    assert_eq!(pictures(&httpd.root().join("busy")), [PathBuf::from(path)]);
    assert_eq!(httpd.events(310).len(), 1, "once per episode");
}

fn log_only_blocks_nobody(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvBusyWatch 5 4\nQS_LogOnly on").start();
    httpd.expect(310);
    let attacker = httpd.client("127.0.0.20");
    let mut held: Vec<Connection> = (0..6).map(|_| attacker.hold()).collect();
    let told = httpd.wait_for_events(310, 1);
    assert!(told[0].text.starts_with("access denied (log only), QS_SrvBusyWatch rule: max=4, "));
    assert_eq!(attacker.get("/").status(), Some(200));
    // A child's thread would have looked by now.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(held[0].get("/").status(), Some(200));
}

fn the_helper_lives_as_long_as_the_server(mpm: Mpm) {
    let mut httpd = Httpd::on(mpm).with("QS_SrvBusyWatch 80% 10").start();
    httpd.expect(316);
    let first = wait_for_helper(&httpd, &[]);
    let status = fs::read_to_string(format!("/proc/{first}/status")).expect("a process");
    let children = httpd.children();
    let user_of =
        |status: &str| status.lines().find(|line| line.starts_with("Uid:")).map(str::to_owned);
    let of_a_child = children.iter().filter(|pid| **pid != first).find_map(|pid| {
        user_of(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default())
    });
    assert_eq!(user_of(&status), of_a_child, "it has the user of those who serve");

    httpd.kill_child(first);
    httpd.expect_text("exit signal Killed (9)");
    let second = wait_for_helper(&httpd, &[first]);
    assert_eq!(httpd.client("127.0.0.21").get("/").status(), Some(200));
    assert_eq!(httpd.wait_for_events(316, 1).len(), 1);

    httpd.reload();
    let third = wait_for_helper(&httpd, &[first, second]);
    httpd.hard_restart();
    let fourth = wait_for_helper(&httpd, &[first, second, third]);
    assert_eq!(httpd.client("127.0.0.21").get("/").status(), Some(200));

    // It works after restarts, and is gone with its directive.
    httpd.rewrite("QS_SrvBusyWatch 2 2\nQS_LogOnly on");
    httpd.expect(310);
    httpd.reload();
    let fifth = wait_for_helper(&httpd, &[fourth]);
    let attacker = httpd.client("127.0.0.20");
    let _held = [attacker.hold(), attacker.hold()];
    httpd.wait_for_events(310, 1);
    httpd.rewrite("");
    httpd.reload();
    wait_until("the helper ends", PATIENCE, || helpers(&httpd).is_empty());
    assert!(!Path::new(&format!("/proc/{fifth}")).exists(), "nor is it a zombie");
}

fn no_helper_is_left_behind(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvBusyWatch 80% 10").start();
    let helper = wait_for_helper(&httpd, &[]);
    drop(httpd);
    assert!(!Path::new(&format!("/proc/{helper}")).exists());
}

fn the_program_gets_the_file_and_syslog_the_address(mpm: Mpm) {
    // gzip takes a path as its only argument and leaves something to be seen.
    let httpd = Httpd::on(mpm)
        .with(
            "QS_SrvBusyWatch 4 4 4\nQS_SrvBusyWatchDir @ROOT@/busy\nQS_SrvBusyWatchExec /bin/gzip\n\
             QS_ClientEventBlockCount 20 60",
        )
        .start();
    httpd.expect(311).expect_text("syslog takes nothing");
    let syslog = Syslog::open();
    let _held: Vec<Connection> =
        (1..=4).map(|n| httpd.client(&format!("127.77.7.{n}")).hold()).collect();
    let told = httpd.wait_for_events(311, 1);
    let words = "access denied, QS_SrvBusyWatch rule: max=4, current=4, net=127.77.7.0/24";
    assert_eq!(told[0].text, words);
    httpd.expect(60);
    httpd.client("127.77.7.200").get("/").assert_refused();
    assert_eq!(httpd.client("127.77.8.1").get("/").status(), Some(200));
    wait_until("gzip has run", PATIENCE, || {
        let found = pictures(&httpd.root().join("busy"));
        matches!(&found[..], [one] if one.to_string_lossy().ends_with("-00.txt.gz"))
    });
    match &syslog {
        Ok(Syslog(socket)) => {
            socket.set_read_timeout(Some(PATIENCE)).expect("a time");
            let mut lines = Vec::new();
            while lines.len() < 4 {
                let mut octets = [0; 400];
                let count = socket.recv(&mut octets).expect("a line");
                let line = String::from_utf8_lossy(&octets[..count]).into_owned();
                if line.contains("127.77.7.") {
                    lines.push(line);
                }
            }
            assert!(lines[0].starts_with("<36>"), "{lines:?}");
            assert!(lines[0].contains(" apache2-qos["), "{lines:?}");
            assert!(lines[0].ends_with("]: Apache DOS Attempt: 127.77.7.1"), "{lines:?}");
        }
        Err(error) => println!("skipped: what syslog gets (/dev/log: {error})"),
    }
}

on_each_mpm!(
    who_holds_a_busy_server_is_found_and_cut_off,
    log_only_blocks_nobody,
    the_helper_lives_as_long_as_the_server,
    no_helper_is_left_behind,
);

#[test]
fn the_program_gets_the_file_and_syslog_the_address_on_worker() {
    the_program_gets_the_file_and_syslog_the_address(Mpm::Worker);
}

#[test]
fn a_handshake_that_never_comes_counts_as_well() {
    let httpd = Httpd::on(Mpm::Event).tls().with("QS_SrvBusyWatch 6 6").start();
    httpd.expect(310).expect_text("syslog takes nothing");
    let attacker = httpd.client("127.0.0.20");
    let held: Vec<Connection> = (0..6).map(|_| attacker.connect()).collect();
    httpd.wait_for_events(310, 1);
    for mut connection in held {
        connection.watch_until_closed().assert_refused();
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_no_place_for_files() {
    let started = std::panic::catch_unwind(|| {
        Httpd::on(Mpm::Event).with("QS_SrvBusyWatch 9 9\nQS_SrvBusyWatchDir /tmp").start()
    });
    let said = started.err().expect("it does not start");
    let said = said.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains("QS_SrvBusyWatchDir: '/tmp' "), "{said}");
}

#[test]
fn directives_without_an_effect_are_refused() {
    for (lines, words) in [
        ("QS_SrvBusyWatchDir /tmp", "needs QS_SrvBusyWatch"),
        ("QS_SrvBusyWatch 9 9\nQS_SrvBusyWatchExec /bin/true", "and QS_SrvBusyWatchDir"),
        ("QS_SrvBusyWatch 9", "takes two or three arguments"),
    ] {
        let check = Httpd::check(lines);
        assert!(!check.is_ok && check.text.contains(words), "{lines}: {}", check.text);
    }
}
