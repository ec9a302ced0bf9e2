//! What stands around the module (contrib/): fail2ban reads our log and bans in the kernel; files for
//! nftables, sysctl and monit are taken by those programs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Connection, Httpd, Mpm, Namespace, PATIENCE, Syslog, poll};

mod chain;
mod fail2ban;

fn contrib(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(file)
}

/// Tells whether all of these programs are here; where one is not, says so.
fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).chain(["/usr/sbin".into()]).collect();
    let is_there = |program: &&&str| places.iter().any(|place| place.join(program).exists());
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    if !missing.is_empty() {
        println!("skipped: not installed: {missing:?}");
    }
    missing.is_empty()
}

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().expect(program)
}

/// The addresses that a filter finds in a log, each once.
fn found(filter: &str, log: &Path) -> BTreeSet<String> {
    let (log, filter) = (log.display().to_string(), contrib(filter).display().to_string());
    let output = run("fail2ban-regex", &["--out", "ip", &log, &filter]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("ERROR"), "{told}");
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses.iter().map(|address| (*address).to_owned()).collect()
}

#[test]
fn the_filter_finds_those_who_are_denied_in_a_real_log() {
    if !has(&["fail2ban-regex"]) {
        return;
    }
    let httpd = Httpd::on(Mpm::Event)
        .with("QS_SrvMaxConnPerIP 2\nQS_LimitRequestBody 10\nQS_ClientEventLimitCount 2 60 Often")
        .with("QS_ClientEventBlockCount 1 60\nSetEnvIf Request_URI ^/often Often")
        .with("SetEnvIf Request_URI ^/block QS_Block")
        .start();
    httpd.expect(31).expect(44).expect(60).expect(67);
    // One is over the limit of connections, one of them by IPv6.
    for many in ["127.0.0.71", "::1"] {
        let _held: Vec<Connection> = (0..2).map(|_| httpd.client(many).hold()).collect();
        httpd.client(many).get("/").assert_refused();
    }
    // What a client says stands behind what we say, and blames nobody else.
    let lie = "Referer: x, c=203.0.113.9, id=abc\r\nUser-Agent: mod_qos(031): access denied, c=203.0.113.9";
    let ask = |source: &str, line: &str, more: &str| {
        let mut connection = httpd.client(source).connect();
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{lie}\r\n{more}\r\n");
        connection.send(head.as_bytes()).expect("it is read");
        connection.response().status()
    };
    let length = "Content-Length: 11\r\n";
    assert_eq!(ask("127.0.0.72", "POST /,%20c=203.0.113.9", length), Some(413));
    assert_eq!(ask("127.0.0.73", "GET /often", ""), Some(404));
    assert_eq!(ask("127.0.0.73", "GET /often,%20c=203.0.113.9", ""), Some(500));
    assert_eq!(ask("127.0.0.74", "GET /block", ""), Some(500));
    httpd.client("127.0.0.74").get("/").assert_refused();
    assert_eq!(ask("127.0.0.75", "GET /", ""), Some(200));
    httpd.wait_for_events(60, 1);
    let log = httpd.root().join("error_log");
    let guilty = set(&["127.0.0.71", "::1", "127.0.0.73", "127.0.0.74"]);
    assert_eq!(found("fail2ban/filter.d/mod_qos.conf", &log), guilty);
    assert_eq!(found("fail2ban/filter.d/apache-dos.conf", &log), set(&[]));
}

/// Lines as they may come, and whom the filter shall find.
const SAMPLES: &[(&str, Option<&str>)] = &[
    (
        "[qos:error] [pid 7:tid 8] mod_qos(031): access denied, QS_SrvMaxConnPerIP rule: max=30, concurrent \
      connections=31, c=192.0.2.1",
        Some("192.0.2.1"),
    ),
    (
        "[qos:error] [pid 7] mod_qos(031): access denied, QS_SrvMaxConnPerIP rule: max=30, concurrent \
      connections=31, message repeated 20 times, c=192.0.2.1",
        Some("192.0.2.1"),
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(031): access denied (log only), QS_SrvMaxConnPerIP rule: max=30, \
      concurrent connections=31, c=192.0.2.1",
        None,
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(031): access denied (previously), QS_SrvMaxConnPerIP rule: max=30, \
      concurrent connections=31, message repeated 6 times, c=192.0.2.1",
        None,
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(034): access denied, QS_SrvMinDataRate rule (in:0): min=120, this \
      connection=0, c=2001:db8::1",
        Some("2001:db8::1"),
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(034): access denied, QS_SrvMinDataRate rule (enforce keep-alive), \
      c=192.0.2.1",
        Some("192.0.2.1"),
    ),
    (
        "[qos:debug] [pid 7:tid 8] mod_qos(034): log only (allowed), QS_SrvMinDataRate rule (in): min=120, \
      this connection=0, c=192.0.2.1",
        None,
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(060): access denied, QS_ClientEventBlockCount rule: max=3, \
      current=4, age=1, net=2001:db8::/64, c=2001:db8::2",
        Some("2001:db8::2"),
    ),
    (
        "[qos:error] [pid 7:tid 8] [client 192.0.2.1:3] mod_qos(067): access denied, QS_ClientEventLimitCount \
      rule: event=QS_Limit, max=3, current=4, age=1, c=192.0.2.2, id=aB@-_9",
        Some("192.0.2.2"),
    ),
    (
        "[qos:error] [pid 7:tid 8] [client 192.0.2.1:3] mod_qos(067): access denied, QS_ClientEventLimitCount \
      rule: event=QS_Limit, max=3, current=4, age=1, c=192.0.2.2, id=aB@-_9, referer: \
      http://x/, c=203.0.113.9, id=z",
        Some("192.0.2.2"),
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(310): access denied, QS_SrvBusyWatch rule: max=60, current=64, \
      c=192.0.2.1",
        Some("192.0.2.1"),
    ),
    // The server is full: not the fault of who comes then.
    (
        "[qos:error] [pid 7:tid 8] mod_qos(030): access denied, QS_SrvMaxConn rule: max=3, concurrent \
      connections=4, c=192.0.2.1",
        None,
    ),
    (
        "[qos:error] [pid 7:tid 8] mod_qos(101): access denied, QS_ClientGeoCountryPriv rule: max=3, \
      concurrent connections=4, c=192.0.2.1 country=XX",
        None,
    ),
    // Lines of others.
    (
        "[core:error] [pid 7:tid 8] [client 192.0.2.1:3] AH00126: Invalid URI in request GET \
      [qos:error] [pid 7] mod_qos(031): access denied, x rule, c=203.0.113.9",
        None,
    ),
    (
        "[php:error] [pid 7:tid 8] [client 192.0.2.1:3] mod_qos(031): access denied, x rule, c=203.0.113.9",
        None,
    ),
];

#[test]
fn the_filter_tells_every_kind_of_line_from_another() {
    if !has(&["fail2ban-regex"]) {
        return;
    }
    let directory = tempfile("filter");
    for (line, expected) in SAMPLES {
        let log = directory.0.join("log");
        fs::write(&log, format!("[Sun Nov 22 09:00:00.000001 2026] {line}\n")).expect("a log");
        let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(found("fail2ban/filter.d/mod_qos.conf", &log), expected, "{line}");
    }
}

#[test]
fn the_filter_of_the_tally_finds_its_line_and_no_other() {
    if !has(&["fail2ban-regex"]) {
        return;
    }
    let directory = tempfile("tally");
    let log = directory.0.join("auth.log");
    let lines = "Nov 22 09:00:00 host qostally: Apache DOS Attempt: 192.0.2.1\n\
                 Nov 22 09:00:00 host apache2[42]: Apache DOS Attempt: 2001:db8::1\n\
                 2026-11-22T09:00:00.000001+00:00 host qostally[9]: Apache DOS Attempt: 192.0.2.3\n\
                 Nov 22 09:00:00 host sshd[9]: Invalid user Apache DOS Attempt: 203.0.113.9 from 192.0.2.9\n\
                 Nov 22 09:00:00 host sshd[9]: Invalid user x: Apache DOS Attempt: 203.0.113.9\n";
    fs::write(&log, lines).expect("a log");
    let expected = set(&["192.0.2.1", "2001:db8::1", "192.0.2.3"]);
    assert_eq!(found("fail2ban/filter.d/apache-dos.conf", &log), expected);
}

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tempfile(name: &str) -> Directory {
    let path = std::env::temp_dir().join(format!("mod_qos_rs.{name}.{}", std::process::id()));
    fs::create_dir_all(&path).expect("a directory");
    Directory(path)
}

#[test]
fn the_rules_for_nftables_limit_the_connections_of_one_address() {
    if !has(&["nft", "ip"]) {
        return;
    }
    Namespace::run(&[], || {
        let rules = fs::read_to_string(contrib("nftables/mod-qos.nft")).expect("rules");
        let httpd = Httpd::on(Mpm::Event).size(2, 60).start();
        let directory = tempfile("nftables");
        let file = directory.0.join("rules.nft");
        let rules = rules.replace("{ 80, 443 }", &httpd.port().to_string());
        fs::write(&file, rules.replace("count over 100", "count over 5")).expect("rules");
        // Twice: it takes its own place.
        for _ in 0..2 {
            let loaded = run("nft", &["-f", &file.display().to_string()]);
            let text = String::from_utf8_lossy(&loaded.stderr).into_owned();
            if text.contains("Operation not permitted") || text.contains("not supported") {
                return println!("skipped: {text}");
            }
            assert!(loaded.status.success(), "{text}");
        }
        let held: Vec<Connection> = (0..5).map(|_| httpd.client("127.0.0.71").hold()).collect();
        assert!(httpd.client("127.0.0.71").try_connect().is_err(), "a sixth of one address");
        assert_eq!(httpd.client("127.0.0.72").get("/").status(), Some(200));
        drop(held);
    });
}

#[test]
fn the_kernel_takes_every_parameter() {
    let text = fs::read_to_string(contrib("sysctl.d/60-mod-qos.conf")).expect("parameters");
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let (name, value) = line.split_once(" = ").expect(line);
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        // Some are of the whole machine, and not shown in every container.
        if !path.exists() {
            println!("skipped: this kernel shows no {name}");
            continue;
        }
        let shape = |text: &str| text.split_whitespace().map(str::parse::<u32>).all(|n| n.is_ok());
        let now = fs::read_to_string(&path).expect(name);
        assert!(shape(value) && shape(&now), "{line}: {now}");
        assert_eq!(value.split_whitespace().count(), now.split_whitespace().count(), "{line}");
        count += 1;
    }
    assert!(count > 0, "no parameter was there to compare");
}

#[test]
fn monit_takes_the_stanza() {
    if !has(&["monit"]) {
        return;
    }
    let directory = tempfile("monit");
    let script = contrib("monit/apache_spy.sh").display().to_string();
    let stanza = fs::read_to_string(contrib("monit/apache2")).expect("the stanza");
    let stanza = stanza.replace("/usr/local/sbin/apache_spy.sh", &script);
    let root = directory.0.display();
    let own = format!("set idfile {root}/id\nset statefile {root}/state\nset pidfile {root}/pid\n");
    let file = directory.0.join("monitrc");
    fs::write(&file, own + &stanza).expect("a configuration");
    let private = run("chmod", &["600", &file.display().to_string()]);
    assert!(private.status.success());
    let checked = run("monit", &["-t", "-c", &file.display().to_string()]);
    let text = String::from_utf8_lossy(&checked.stdout).into_owned()
        + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && text.contains("syntax OK"), "{text}");
}

/// The sysadmin's chain, without its restart: monit counts prefork's children, the script takes a picture and
/// tells syslog who holds them, from where fail2ban reads it.
#[test]
fn monit_has_the_script_report_who_holds_the_children() {
    if !has(&["monit", "curl"]) {
        return;
    }
    Namespace::run(&[], || {
        if let Some(syslog) = Syslog::open() {
            monit_has_the_script_report(&syslog);
        }
    });
}

fn monit_has_the_script_report(syslog: &Syslog) {
    let httpd = Httpd::on(Mpm::Prefork)
        .modules(&["status"])
        .with("ExtendedStatus On\n<Location /server-status>\nSetHandler server-status\n</Location>")
        .start();
    let _held: Vec<Connection> = (0..12).map(|_| httpd.client("127.0.0.71").hold()).collect();
    let _good: Vec<Connection> = (0..3).map(|_| httpd.client("127.0.0.72").hold()).collect();
    let directory = tempfile("monit-run");
    let root = directory.0.display();
    let tools = crate::harness::module_under_test();
    let tools = tools.parent().expect("a directory").display();
    let script = directory.0.join("spy.sh");
    let text = format!(
        "#!/bin/sh\nexport PATH={tools}:$PATH URL=http://127.0.0.1:{}/server-status \\\n\
         DIRECTORY={root}/status MIN=10\nexec {}\n",
        httpd.port(),
        contrib("monit/apache_spy.sh").display()
    );
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let stanza = fs::read_to_string(contrib("monit/apache2"))
        .expect("the stanza")
        .replace("/run/apache2/apache2.pid", &httpd.root().join("httpd.pid").display().to_string())
        .replace("/usr/local/sbin/apache_spy.sh", &script.display().to_string())
        .replace("children > 90", "children > 8")
        .replace("port 80", &format!("port {}", httpd.port()));
    let own = format!(
        "set daemon 1\nset log {root}/log\nset idfile {root}/id\nset statefile {root}/state\n\
         set pidfile {root}/pid\n"
    );
    let file = directory.0.join("monitrc");
    fs::write(&file, own + &stanza).expect("a configuration");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is private");
    let mut monit = Command::new("monit");
    monit.arg("-I").arg("-c").arg(&file).stdin(Stdio::null());
    let mut monit = monit.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("monit");
    let mut told = Vec::new();
    let is_told = poll(PATIENCE * 2, || {
        told.extend(syslog.told());
        told.iter().any(|line| line.contains("Apache DOS Attempt")).then_some(())
    });
    // monit ends at TERM, and so does what it runs.
    let _ = Command::new("kill").arg(monit.id().to_string()).status();
    let _ = monit.wait();
    let log = fs::read_to_string(directory.0.join("log")).unwrap_or_default();
    assert!(is_told.is_some(), "{told:?}\n{log}");
    let lines: Vec<&String> = told.iter().filter(|line| line.contains("Attempt")).collect();
    // Facility auth (4), level warning (4).
    assert!(lines.iter().all(|line| line.starts_with("<36>")), "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("Apache DOS Attempt: 127.0.0.71")), "{lines:?}");
    let saved: Vec<_> =
        fs::read_dir(directory.0.join("status")).expect("pictures").flatten().collect();
    assert!(!saved.is_empty());
    let page = fs::read_to_string(saved[0].path()).expect("a picture");
    assert!(page.matches("127.0.0.71").count() >= 12, "{page}");
    // As syslog writes it to a file, the filter finds it.
    if has(&["fail2ban-regex"]) {
        let auth = directory.0.join("auth.log");
        let line = lines[0].split_once('>').expect("a priority").1;
        fs::write(&auth, format!("Nov 22 09:00:00 host {line}\n")).expect("a log");
        assert_eq!(
            found("fail2ban/filter.d/apache-dos.conf", &auth),
            set(&["127.0.0.71"]),
            "{line:?}"
        );
    }
}
