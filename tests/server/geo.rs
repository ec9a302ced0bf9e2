//! Countries: QS_ClientGeoCountryDB in both formats, QS_Country, and QS_ClientGeoCountryPriv, which serves
//! only some of them while the server is busy.

use std::ffi::CString;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::harness::mmdb::write_mmdb;
use crate::harness::{Builder, Client, Connection, Httpd, Mpm, Namespace, PATIENCE, wait_until};

const FILE: &str = "QS_ClientGeoCountryDB htdocs/countries.csv";

/// Loopback addresses of three countries, and one that the file calls none.
const PLACES: &[(&str, &str)] =
    &[("127.0.1.0", "CH"), ("127.0.2.0", "DE"), ("127.0.3.0", "FR"), ("127.0.4.0", "-")];

fn csv() -> String {
    let line = |(first, country): &(&str, &str)| {
        let number = u32::from(first.parse::<Ipv4Addr>().expect(first));
        format!("\"{first}\",\"..\",\"{number}\",\"{}\",\"{country}\",\"A name\"\n", number + 255)
    };
    PLACES.iter().map(line).collect()
}

fn server(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm).file("countries.csv", csv().into_bytes()).with(directives)
}

fn hold(httpd: &Httpd, sources: &[&str]) -> Vec<Connection> {
    sources.iter().map(|source| httpd.client(source).hold()).collect()
}

fn country(client: &Client) -> Option<String> {
    client.get("/").served().var("QS_Country").map(str::to_owned)
}

// ---- the variable

fn a_request_knows_its_country(mpm: Mpm) {
    let httpd = server(mpm, FILE)
        .with("SetEnvIf QS_Country ^CH$ SWISS=yes\nHeader always set X-Swiss %{SWISS}e")
        .start();
    let of = |source| country(&httpd.client(source));
    assert_eq!(of("127.0.1.0").as_deref(), Some("CH"));
    assert_eq!(of("127.0.1.255").as_deref(), Some("CH"));
    assert_eq!(of("127.0.2.7").as_deref(), Some("DE"));
    assert_eq!(of("127.0.4.1").as_deref(), Some("-"));
    assert_eq!(of("127.0.5.1"), None, "the file ends before");
    // mod_setenvif sees it; and so does each request of a connection.
    let mut swiss = httpd.client("127.0.1.9").connect();
    for _ in 0..2 {
        assert_eq!(swiss.get("/").served().header("X-Swiss"), Some("yes"));
    }
    let german = httpd.client("127.0.2.9").get("/").served();
    assert_ne!(german.header("X-Swiss"), Some("yes"));
}

fn a_header_says_where_a_request_comes_from(mpm: Mpm) {
    let httpd = server(mpm, FILE)
        .with("QS_ClientIpFromHeader X-Client\nSetEnvIf QS_Country ^DE$ GERMAN=yes")
        .with("Header always set X-German %{GERMAN}e")
        .start();
    httpd.expect(69);
    let ask = |headers: &str| httpd.client("127.0.1.1").connect().get_with("/", headers).served();
    let german = ask("X-Client: 127.0.2.9\r\n");
    assert_eq!((german.var("QS_Country"), german.header("X-German")), (Some("DE"), Some("yes")));
    assert_eq!(ask("X-Client: 192.0.2.1\r\n").var("QS_Country"), None);
    let without = ask("");
    assert_eq!(without.var("QS_Country"), Some("CH"), "the connection's");
    let line = &httpd.wait_for_events(69, 1)[0];
    assert_eq!(
        line.without_id(),
        "no valid IP header found (@prr): header 'X-Client' not available, fallback to connection's IP \
         127.0.1.1"
    );
}

fn a_database_has_both_kinds_of_address(mpm: Mpm) {
    let low = |text: &str| u128::from(u32::from(text.parse::<Ipv4Addr>().expect(text)));
    let database = write_mmdb(28, &[(1, 128, "AT"), (low("127.0.2.0"), 120, "DE")]);
    let httpd = Httpd::on(mpm)
        // Its content says what it is, not its name.
        .file("countries.csv", database)
        .with(FILE)
        .with("QS_ClientGeoCountryPriv AT 3")
        .start();
    httpd.expect(101);
    assert_eq!(country(&httpd.client("127.0.2.7")).as_deref(), Some("DE"));
    assert_eq!(country(&httpd.client("127.0.3.7")), None);
    if !httpd.has_ipv6() {
        return println!("skipped: no ::1 here");
    }
    assert_eq!(country(&httpd.client("::1")).as_deref(), Some("AT"));
    let _held = hold(&httpd, &["::1", "::1"]);
    httpd.client("127.0.2.7").get("/").assert_refused();
    assert_eq!(country(&httpd.client("::1")).as_deref(), Some("AT"));
}

/// The whole address decides, though limits count the network.
fn an_ipv6_network_can_be_in_several_countries(mpm: Mpm) {
    let (swiss, german) = ("2001:db8:0:1::1", "2001:db8:0:1::2");
    Namespace::run(&[swiss, german], || {
        let number = |text: &str| text.parse::<std::net::Ipv6Addr>().expect(text).into();
        let database = write_mmdb(24, &[(number(swiss), 128, "CH"), (number(german), 128, "DE")]);
        let httpd = Httpd::on(mpm)
            .file("countries.csv", database)
            .with(FILE)
            .with("QS_ClientGeoCountryPriv CH 1")
            .start();
        httpd.expect(101);
        assert_eq!(country(&httpd.client(swiss)).as_deref(), Some("CH"));
        httpd.client(german).get("/").assert_refused();
        let line = &httpd.wait_for_events(101, 1)[0];
        let end = ", c=2001:db8:0:1::2 country=DE";
        assert!(line.text.ends_with(end) && !line.text.contains("net="), "{}", line.text);
    });
}

// ---- the rule

/// The worked example of the specification.
fn a_busy_server_serves_only_privileged_countries(mpm: Mpm) {
    let httpd = server(mpm, FILE).with("QS_ClientGeoCountryPriv CH,FR 4").start();
    httpd.expect(101);
    let held = hold(&httpd, &["127.0.2.1", "127.0.4.1", "127.0.5.1"]);
    for (refused, end) in [
        ("127.0.2.2", ", c=127.0.2.2 country=DE"),
        ("127.0.4.2", ", c=127.0.4.2 country=-"),
        ("127.0.5.2", ", c=127.0.5.2 country=--"),
    ] {
        let mark = httpd.mark();
        httpd.client(refused).get("/").assert_refused();
        let line = &httpd.wait_for_events_since(mark, 101, 1)[0].text;
        // The one before may still be closing.
        let rule = "access denied, QS_ClientGeoCountryPriv rule: max=4, concurrent connections=";
        assert!(line.starts_with(rule) && line.ends_with(end), "{line}");
    }
    assert_eq!(httpd.client("127.0.1.2").get("/").status(), Some(200), "the good one beside");
    assert_eq!(httpd.client("127.0.3.2").get("/").status(), Some(200), "and the other");
    let lines = httpd.wait_for_events(101, 3);
    assert_eq!((lines[0].level.as_str(), &lines[0].client), ("error", &None));
    drop(held);
    wait_until("others are served again", PATIENCE, || {
        httpd.client("127.0.2.2").get("/").status() == Some(200)
    });
}

fn lists_add_up_and_unknown_addresses_may_be_let_in(mpm: Mpm) {
    let httpd = server(mpm, FILE)
        .with("QS_ClientGeoCountryPriv CH 1\nQS_ClientGeoCountryPriv FR 1 excludeUnknown")
        .with("QS_SrvMaxConnExcludeIP 127.0.2.")
        .start();
    httpd.expect(101);
    for served in ["127.0.1.1", "127.0.3.1", "127.0.5.1"] {
        assert_eq!(httpd.client(served).get("/").status(), Some(200), "{served}");
    }
    for refused in ["127.0.4.1", "127.0.2.1"] {
        httpd.client(refused).get("/").assert_refused();
    }
}

fn log_only_lets_every_country_in(mpm: Mpm) {
    let httpd = server(mpm, FILE).with("QS_ClientGeoCountryPriv CH 1\nQS_LogOnly on").start();
    httpd.expect(101);
    assert_eq!(httpd.client("127.0.2.1").get("/").status(), Some(200));
    let line = &httpd.wait_for_events(101, 1)[0].text;
    assert_eq!(
        line,
        "access denied (log only), QS_ClientGeoCountryPriv rule: max=1, concurrent connections=1, \
         c=127.0.2.1 country=DE"
    );
}

fn without_a_file_the_rule_says_so_and_refuses_nobody(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(2)
        .with("QS_ClientGeoCountryPriv CH 100000")
        .with("<VirtualHost *:@PORT1@>\nQS_SrvMaxConn 9\n</VirtualHost>")
        .start();
    httpd.expect(100);
    assert_eq!(httpd.client("127.0.1.1").get("/").status(), Some(200));
    let lines = httpd.events(100);
    assert_eq!(lines.len(), 1, "once, whatever hosts there are");
    assert_eq!(lines[0].text, "QS_ClientGeoCountryDB has not been configured");
    assert_eq!(lines[0].level, "crit");
    let notices = httpd.events(300);
    assert_eq!(notices.len(), 1);
    let text = &notices[0].text;
    assert!(
        text.starts_with("QS_ClientGeoCountryPriv: threshold 100000 cannot be reached, at most "),
        "{text}"
    );
}

fn a_killed_child_takes_its_connections_out_of_the_count(mpm: Mpm) {
    let httpd = server(mpm, FILE).with("QS_ClientGeoCountryPriv CH 4").start();
    httpd.expect(101);
    let held = hold(&httpd, &["127.0.1.1", "127.0.1.2", "127.0.1.3"]);
    httpd.client("127.0.2.1").get("/").assert_refused();
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    drop(held);
    wait_until("a single one is served again", PATIENCE, || {
        httpd.client("127.0.2.1").try_connect().is_ok()
            && httpd.client("127.0.2.1").get("/").status() == Some(200)
    });
    let _held = hold(&httpd, &["127.0.1.1", "127.0.1.2"]);
    // Those who asked last may still be counted.
    wait_until("the third of three is served", PATIENCE, || {
        httpd.client("127.0.2.1").get("/").status() == Some(200)
    });
}

// ---- the file

fn a_restart_reads_the_file_again(mpm: Mpm) {
    let httpd = server(mpm, FILE).start();
    let client = httpd.client("127.0.1.1");
    assert_eq!(country(&client).as_deref(), Some("CH"));
    let file = httpd.root().join("htdocs/countries.csv");
    fs::write(&file, csv().replace("CH", "AT")).expect("written");
    assert_eq!(country(&client).as_deref(), Some("CH"), "not before");
    httpd.reload();
    wait_until("the new file holds", PATIENCE, || country(&client).as_deref() == Some("AT"));
    fs::write(&file, csv()).expect("written");
    httpd.hard_restart();
    wait_until("and again", PATIENCE, || country(&client).as_deref() == Some("CH"));
}

/// httpd reads its configuration twice at a start.
fn a_start_reads_the_file_once_and_a_restart_once_more(mpm: Mpm) {
    let path =
        std::env::temp_dir().join(format!("countries-{}-{}", std::process::id(), mpm.name()));
    fs::write(&path, csv()).expect("written");
    let opened = Opened::of(&path);
    let httpd = Httpd::on(mpm).with(&format!("QS_ClientGeoCountryDB {}", path.display())).start();
    assert_eq!(country(&httpd.client("127.0.1.1")).as_deref(), Some("CH"));
    assert_eq!(opened.count(), 1);
    httpd.reload();
    assert_eq!(opened.count(), 1);
    fs::remove_file(&path).expect("removed");
}

/// Counts how often a file is opened.
struct Opened(libc::c_int);

impl Opened {
    fn of(path: &Path) -> Opened {
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
        let kinds = libc::IN_OPEN | libc::IN_CLOSE_NOWRITE;
        // SAFETY: a new descriptor of the kernel's, and a path that lives during the call.
        unsafe {
            let watch = libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC);
            assert!(watch >= 0 && libc::inotify_add_watch(watch, path.as_ptr(), kinds) >= 0);
            Opened(watch)
        }
    }

    /// Since the last call. That it was closed again is told, too: of two equal events in a row the kernel
    /// would drop one.
    fn count(&self) -> usize {
        let mut octets = [0u8; 4096];
        // SAFETY: the kernel writes at most so many octets.
        let got = unsafe { libc::read(self.0, octets.as_mut_ptr().cast(), octets.len()) };
        let got = usize::try_from(got).unwrap_or(0);
        let events = octets[..got].chunks_exact(size_of::<libc::inotify_event>());
        let mask = |event: &[u8]| u32::from_ne_bytes(event[4..8].try_into().expect("four octets"));
        events.filter(|event| mask(event) & libc::IN_OPEN != 0).count()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: our own descriptor, closed once.
        unsafe { libc::close(self.0) };
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_by_the_configuration_test() {
    let check = |content: &[u8], directives: &str| {
        Httpd::on(Mpm::Event).file("countries.csv", content.to_vec()).with(directives).check()
    };
    let good = check(csv().as_bytes(), FILE);
    assert!(good.is_ok, "{}", good.text);
    let bad = format!("{}no range\n", csv());
    let cut = write_mmdb(24, &[(1, 128, "AT")]).split_off(60);
    for (content, directives, part) in [
        (bad.as_bytes(), FILE, "'htdocs/countries.csv': line 5: has no \"<from>\""),
        (&cut[..], FILE, "'htdocs/countries.csv': "),
        (b"", "QS_ClientGeoCountryDB htdocs/none.csv", "'htdocs/none.csv' cannot be read: No such"),
        (b"", "QS_ClientGeoCountryDB htdocs", "'htdocs' is no file"),
        (b"", "<VirtualHost *:1>\nQS_ClientGeoCountryDB x\n</VirtualHost>", "cannot occur within"),
        (b"", "QS_ClientGeoCountryPriv CH", "takes two or three arguments"),
        (b"", "QS_ClientGeoCountryPriv CH 1\nQS_ClientGeoCountryPriv DE 2", "'2' is not allowed"),
    ] {
        let check = check(content, directives);
        assert!(!check.is_ok && check.text.contains(part), "{directives}: {}", check.text);
    }
}

on_each_mpm!(
    a_request_knows_its_country,
    a_header_says_where_a_request_comes_from,
    a_database_has_both_kinds_of_address,
    an_ipv6_network_can_be_in_several_countries,
    a_busy_server_serves_only_privileged_countries,
    lists_add_up_and_unknown_addresses_may_be_let_in,
    log_only_lets_every_country_in,
    without_a_file_the_rule_says_so_and_refuses_nobody,
    a_killed_child_takes_its_connections_out_of_the_count,
    a_restart_reads_the_file_again,
    a_start_reads_the_file_once_and_a_restart_once_more,
);
