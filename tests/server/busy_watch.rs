//! QS_SrvBusyWatch: who holds a busy server is found, told of, blocked and cut off; and the helper process
//! that does it lives exactly as long as the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Connection, Httpd, Mpm, Namespace, PATIENCE, Syslog, poll, wait_until};

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
    let user_of = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find(|line| line.starts_with("Uid:")).map(str::to_owned)
    };
    // Each has the server's own for a moment, at its start.
    wait_until("it has the user of those who serve", PATIENCE, || {
        let others = httpd.children().into_iter().filter(|pid| *pid != first);
        let mut users = others.filter_map(user_of).peekable();
        users.peek().is_some() && users.all(|user| Some(user) == user_of(first))
    });

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

/// Holds connections by half a request each, which no restart ends.
fn hold_halves(httpd: &Httpd, source: &str, count: usize) -> Vec<Connection> {
    let hold = || {
        let mut connection = httpd.client(source).connect();
        connection.send(b"GET / HTTP/1.1\r\nHo").expect("the server reads");
        connection
    };
    (0..count).map(|_| hold()).collect()
}

/// Each helper has looked for certain when it has found somebody of its own.
fn an_episode_outlives_its_helper(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_SrvBusyWatch 6 4\nQS_SrvBusyWatchDir @ROOT@/busy\nQS_LogOnly on")
        .start();
    httpd.expect(310).expect(316).expect_text("exit signal Killed (9)");
    let first = wait_for_helper(&httpd, &[]);
    let mut held = hold_halves(&httpd, "127.0.0.20", 6);
    httpd.wait_for_events(310, 1);

    httpd.kill_child(first);
    let second = wait_for_helper(&httpd, &[first]);
    held.extend(hold_halves(&httpd, "127.0.0.21", 4));
    httpd.wait_for_events(310, 2);

    httpd.reload();
    wait_for_helper(&httpd, &[first, second]);
    held.extend(hold_halves(&httpd, "127.0.0.22", 4));
    let told = httpd.wait_for_events(310, 3);
    let who: Vec<&str> = told.iter().filter_map(|line| line.text.rsplit("c=").next()).collect();
    assert_eq!(who, ["127.0.0.20", "127.0.0.21", "127.0.0.22"], "each once");
    assert_eq!(httpd.events(312).len(), 1, "it began once");
    assert_eq!(pictures(&httpd.root().join("busy")).len(), 1);
}

/// Three hundred attackers of five networks with a connection each, which no rule for addresses finds.
fn a_crowd_of_five_networks_is_found_and_blocked(mpm: Mpm) {
    Namespace::run(&[], move || {
        let Some(syslog) = Syslog::open() else { return };
        // One child has room for all: event closes idle connections of a child whose workers are all busy.
        let httpd = Httpd::on(mpm).size(1, 330).with("QS_SrvBusyWatch 250 10 40").start();
        httpd.expect(311).expect(60);
        let mut good = httpd.client("127.60.6.1").hold();
        // Of all five networks at once: all of them are found by the first look.
        let who = |n: usize| format!("127.60.{}.{}", n % 5 + 1, n / 5 + 1);
        let held: Vec<Connection> = (0..300).map(|n| httpd.client(&who(n)).connect()).collect();
        let told = httpd.wait_for_events(311, 5);
        let mut networks: Vec<&str> =
            told.iter().filter_map(|line| line.text.rsplit("net=").next()).collect();
        networks.sort_unstable();
        let expected = (1..=5).map(|n| format!("127.60.{n}.0/24"));
        assert_eq!(networks, expected.collect::<Vec<_>>());
        assert_eq!(httpd.events(310).len(), 0, "no address for itself");
        for mut connection in held {
            connection.watch_until_closed().assert_refused();
        }
        // Who has not been there yet is refused with the others.
        (1..=5).for_each(|n| httpd.client(&format!("127.60.{n}.99")).get("/").assert_refused());
        for outcome in [good.get("/"), httpd.client("127.60.6.1").get("/")] {
            assert_eq!(outcome.status(), Some(200), "{outcome:?}");
        }
        // fail2ban hears of each address, although the system's log takes but a few lines at once.
        let mut lines = syslog.told();
        wait_until("each address is reported", PATIENCE, || {
            lines.extend(syslog.told());
            lines.len() >= 200
        });
        assert!(!lines.iter().any(|line| line.contains("127.60.6.")), "{lines:?}");
    });
}

fn the_program_gets_the_file_and_syslog_the_address(syslog: &Syslog) {
    // gzip takes a path as its only argument and leaves something to be seen.
    let httpd = Httpd::on(Mpm::Worker)
        .with(
            "QS_SrvBusyWatch 4 4 4\nQS_SrvBusyWatchDir @ROOT@/busy\nQS_SrvBusyWatchExec /bin/gzip\n\
             QS_ClientEventBlockCount 20 60\n<Location /qos>\nSetHandler qos-viewer\n</Location>",
        )
        .start();
    httpd.expect(311);
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
    // The status page has it all.
    let page = httpd.client("127.77.8.1").get("/qos?json").served().text();
    let directory = format!("\"directory\":\"{}/busy\",\"files_kept\":50", httpd.root().display());
    for part in [
        "\"threshold\":4,\"per_address\":4,\"per_network\":4,\"bits_ipv4\":24",
        "\"block_seconds\":60",
        &directory,
        "\"program\":\"/bin/gzip\"",
        "\"is_busy\":",
        "\"network\":\"127.77.7.0/24\",\"connections\":4,\"limit\":4",
    ] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }
    let page = httpd.client("127.77.8.1").get("/qos").served().text();
    assert!(page.contains("blocked networks: 1"), "{page}");
    let mut lines = Vec::new();
    wait_until("four lines", PATIENCE, || {
        lines.extend(syslog.told());
        lines.len() >= 4
    });
    for (line, n) in lines.iter().zip(1..=4) {
        assert!(line.starts_with("<36>"), "{lines:?}");
        assert!(line.contains(" apache2-qos["), "{lines:?}");
        assert!(line.ends_with(&format!("]: Apache DOS Attempt: 127.77.7.{n}")), "{lines:?}");
    }
}

on_each_mpm!(
    who_holds_a_busy_server_is_found_and_cut_off,
    log_only_blocks_nobody,
    the_helper_lives_as_long_as_the_server,
    no_helper_is_left_behind,
    an_episode_outlives_its_helper,
    a_crowd_of_five_networks_is_found_and_blocked,
);

#[test]
fn a_program_gets_the_file_and_syslog_the_address() {
    Namespace::run(&[], || {
        if let Some(syslog) = Syslog::open() {
            the_program_gets_the_file_and_syslog_the_address(&syslog);
        }
    });
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
