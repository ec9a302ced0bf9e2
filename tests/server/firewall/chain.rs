//! The whole way from an attacker to the kernel: the module finds him, fail2ban reads of it and bans, and
//! nothing of his comes through any more; while everybody else is served.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use super::fail2ban::{Action, Fail2ban};
use super::{has, run};
use crate::harness::{Connection, Httpd, Mpm, Namespace, Outcome, PATIENCE, Syslog, wait_until};

const GOOD: &str = "2001:db8:2::1";
const BAD: &str = "2001:db8:1::1";

/// The rules of the kernel, as those that an action makes can be listed.
fn rules(action: Action) -> Option<String> {
    let commands: &[&[&str]] = match action {
        Action::Nftables => &[&["nft", "list", "ruleset"]],
        Action::Iptables => &[&["iptables", "-w", "-S"], &["ip6tables", "-w", "-S"]],
    };
    let mut text = String::new();
    for command in commands {
        let listed = run(command[0], &command[1..]);
        if !listed.status.success() {
            println!("skipped: {command:?}: {}", String::from_utf8_lossy(&listed.stderr));
            return None;
        }
        text.push_str(&String::from_utf8_lossy(&listed.stdout));
    }
    Some(text)
}

fn is_in_the_kernel(action: Action, address: &str) -> bool {
    let rules = rules(action).expect("it could be listed before");
    rules.split([' ', '\n', ',', '/']).any(|word| word == address)
}

/// The attacker opens more connections than he may; the module denies, fail2ban reads of it, the kernel drops.
fn who_is_denied_is_banned_in_the_kernel(mpm: Mpm) {
    if !has(&["fail2ban-server", "fail2ban-client", "nft", "ip"]) {
        return;
    }
    Namespace::run(&[GOOD, BAD], move || {
        if rules(Action::Nftables).is_none() {
            return;
        }
        let httpd = Httpd::on(mpm).size(2, 40).with("QS_SrvMaxConnPerIP 20").start();
        httpd.expect(31);
        let fail2ban = Fail2ban::start(&httpd, Action::Nftables);
        for (bad, good) in [("127.0.0.71", "127.0.0.72"), (BAD, GOOD)] {
            let mut held: Vec<Connection> = Vec::new();
            let mut refused = 0;
            for _ in 0..60 {
                let mut connection = httpd.client(bad).connect();
                if connection.get("/").is_refused() {
                    refused += 1
                } else {
                    held.push(connection)
                }
                if refused == 3 {
                    break;
                }
            }
            assert_eq!((refused, held.len()), (3, 20), "{bad}");
            wait_until("the kernel has the address", PATIENCE * 2, || {
                assert_eq!(httpd.client(good).get("/").status(), Some(200), "{good} is served");
                is_in_the_kernel(Action::Nftables, bad)
            });
            let outcome = held[0].watch(Duration::from_millis(500));
            assert!(matches!(outcome, Outcome::TimedOut), "nothing comes through: {outcome:?}");
            assert_eq!(httpd.client(good).get("/").status(), Some(200), "{good} is served");
            fail2ban.ask(&["set", "mod-qos", "unbanip", bad]).expect("unbanned");
        }
        // The other way, by the log of authentication.
        let line = "Apache DOS Attempt: 127.0.0.73";
        wait_until("the address of the tally is banned", PATIENCE * 2, || {
            let now = run("date", &["+%b %e %H:%M:%S"]).stdout;
            let now = String::from_utf8_lossy(&now).trim().to_owned();
            let path = fail2ban.auth_log();
            let before = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, format!("{before}{now} host qostally[1]: {line}\n")).expect("written");
            std::thread::sleep(Duration::from_millis(300));
            is_in_the_kernel(Action::Nftables, "127.0.0.73")
        });
    });
}

/// No limit of connections is configured: the busy server's watch alone finds the attacker, and the line that
/// it sends to syslog has fail2ban ban him.
fn who_holds_a_busy_server_is_banned_in_the_kernel(mpm: Mpm, action: Action) {
    if !has(&["fail2ban-server", "fail2ban-client", "ip"]) {
        return;
    }
    let tools: &[&str] = match action {
        Action::Nftables => &["nft"],
        Action::Iptables => &["iptables", "ip6tables"],
    };
    if !has(tools) {
        return;
    }
    Namespace::run(&[GOOD, BAD], move || {
        let Some(syslog) = Syslog::open() else { return };
        if rules(action).is_none() {
            return;
        }
        // Each child has room for all: event closes idle connections of a child whose workers are all busy.
        let httpd = Httpd::on(mpm).size(2, 75).with("QS_SrvBusyWatch 50 30").start();
        httpd.expect(310).expect(60);
        let fail2ban = Fail2ban::start(&httpd, action);
        for (number, (bad, good)) in [("127.0.0.71", "127.0.0.72"), (BAD, GOOD)].iter().enumerate()
        {
            let mut client = httpd.client(good).hold();
            // Some are just there, some have sent half a request.
            let mut held: Vec<Connection> = (0..60).map(|_| httpd.client(bad).connect()).collect();
            for connection in held.iter_mut().step_by(2) {
                let _ = connection.send(b"GET / HTTP/1.1\r\nHo");
            }
            let mut told = Vec::new();
            wait_until("the kernel has the address", PATIENCE * 2, || {
                assert_eq!(client.get("/").status(), Some(200), "{good} is served");
                assert_eq!(httpd.client(good).get("/").status(), Some(200), "{good} is served");
                told.extend(syslog.write_to(&fail2ban.auth_log()));
                is_in_the_kernel(action, bad)
            });
            let line = format!("Apache DOS Attempt: {bad}");
            assert!(matches!(&told[..], [one] if one.ends_with(&line)), "{told:?}");
            assert_eq!(fail2ban.banned("apache-dos"), [*bad]);
            // The module closes what comes, the kernel answers nothing.
            let mut attacker = httpd.client(bad);
            attacker.patience = Duration::from_millis(500);
            let refused = attacker.try_connect().err().map(|error| error.kind());
            assert_eq!(refused, Some(ErrorKind::TimedOut), "nothing comes through");
            assert_eq!(client.get("/").status(), Some(200), "{good} is served");
            assert_eq!(httpd.events(310).len(), number + 1);
            fail2ban.ask(&["set", "apache-dos", "unbanip", bad]).expect("unbanned");
            drop(held);
        }
    });
}

fn the_watch_has_nftables_ban(mpm: Mpm) {
    who_holds_a_busy_server_is_banned_in_the_kernel(mpm, Action::Nftables);
}

#[test]
fn the_watch_has_iptables_ban() {
    who_holds_a_busy_server_is_banned_in_the_kernel(Mpm::Event, Action::Iptables);
}

on_each_mpm!(who_is_denied_is_banned_in_the_kernel, the_watch_has_nftables_ban);
