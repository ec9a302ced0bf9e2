//! QSLog: a line for each request of the whole server, to a program that nobody waits for.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{
    Builder, Connection, Httpd, Mpm, PATIENCE, on_both_modules, poll, wait_until,
};

/// Writes its arguments, then all that it reads, into the server's directory.
const PROGRAM: &str = "echo \"$@\" >> $0.args\nexec cat >> $0.lines\n";

fn server(mpm: Mpm) -> Builder {
    logging(mpm, PROGRAM).with(
        "ErrorDocument 404 /page.html\n\
         RedirectMatch 302 ^/elsewhere$ /index.html\n\
         SetEnvIf Request_URI ^/event Event=EvA,EvB\n\
         SetEnvIf Request_URI ^/words \"Event=a b'c\"\n\
         SetEnvIf Request_URI ^/user mod_qos_user_id=u7\n\
         <VirtualHost *:@PORT@>\nServerName first.example\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName second.example\nQS_SrvMaxConn 1000\n</VirtualHost>",
    )
}

fn logging(mpm: Mpm, program: &str) -> Builder {
    Httpd::on(mpm)
        .file("log.sh", program.as_bytes().to_vec())
        .file("page.html", b"not here".to_vec())
        .file("sub/index.html", b"below".to_vec())
        .with("QSLog \"|/bin/sh @ROOT@/htdocs/log.sh -o out\"")
}

fn read(httpd: &Httpd, name: &str) -> String {
    fs::read_to_string(httpd.root().join("htdocs").join(name)).unwrap_or_default()
}

/// Waits for so many lines and returns them, without what differs each time.
#[track_caller]
fn lines(httpd: &Httpd, count: usize) -> Vec<String> {
    let all = || read(httpd, "log.sh.lines");
    let enough = poll(PATIENCE, || Some(all()).filter(|text| text.lines().count() >= count));
    let text = enough.unwrap_or_else(|| panic!("not {count} lines:\n{}", all()));
    text.lines().map(comparable).collect()
}

/// The line without the microseconds, and without the number of connections: one that a client has closed
/// may be open still. How long httpd's own error page is, is httpd's business.
fn comparable(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    assert!(words[4].parse::<u64>().is_ok_and(|micros| micros < 60_000_000), "{line}");
    words[4] = "us";
    if words[9].parse::<u32>().is_ok_and(|open| (1..=20).contains(&open)) {
        words[9] = "n";
    }
    if words[1] == "400" {
        words[2] = "n";
    }
    words.join(" ")
}

/// A request and its answer, on a connection that stays open.
#[track_caller]
fn ask(connection: &mut Connection, head: &str) -> Option<u16> {
    connection.send(format!("{head}\r\n\r\n").as_bytes()).expect("it is sent");
    connection.response().status()
}

fn each_request_of_every_host_is_a_line(mpm: Mpm) {
    let httpd = server(mpm).start();
    wait_until("it is told what a line is", PATIENCE, || {
        read(&httpd, "log.sh.args") == "-o out -f ISBiDUkEQaC\n"
    });
    let client = httpd.client("127.0.0.61");
    let mut one = client.connect();
    for (head, status) in [
        ("GET /index.html HTTP/1.1\r\nHost: first.example", 200),
        ("GET /sub/ HTTP/1.1\r\nHost: second.example", 200),
        ("GET /event HTTP/1.1\r\nHost: second.example", 404),
        ("GET /elsewhere HTTP/1.1\r\nHost: who'ever", 400),
    ] {
        assert_eq!(ask(&mut one, head), Some(status), "{head}");
    }
    drop(one);
    for head in [
        "GET /user HTTP/1.0\r\nContent-Length: 1 2 3",
        "GET /user HTTP/1.0",
        "GET /a%20b'c%22%0a%5c%ff HTTP/1.0",
        "GET /words HTTP/1.0",
        "nonsense",
        "HEAD /index.html HTTP/1.0",
    ] {
        ask(&mut client.connect(), head);
    }
    let post = "POST /index.html HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    ask(&mut client.connect(), post);

    let mut seen = lines(&httpd, 11);
    seen.sort_unstable();
    let mut expected = [
        "127.0.0.61 200 9 - us - 0 - - n 'first.example:/index.html'",
        // What mod_dir made of it.
        "127.0.0.61 200 5 - us - 1 - - n 'second.example:/sub/index.html'",
        // What the client asked for, and the octets of the page that it got.
        "127.0.0.61 404 8 - us - 2 EvA,EvB - n 'second.example:/event'",
        "127.0.0.61 400 n - us - 2 - - -  'first.example:/elsewhere'",
        // One field, whatever a client writes there.
        "127.0.0.61 400 n 1\\x202\\x203 us - 0 - - -  'first.example:/user'",
        "127.0.0.61 404 8 - us u7 0 - - n 'first.example:/user'",
        "127.0.0.61 404 8 - us - 0 - - n 'first.example:/a b\\'c\\\"\\n\\\\\\xff'",
        "127.0.0.61 404 8 - us - 0 a\\x20b\\'c - n 'first.example:/words'",
        "127.0.0.61 400 n - us - 0 - - -  'first.example:/'",
        "127.0.0.61 200 9 3 us - 0 - - n 'h:/index.html'",
        // No body.
        "127.0.0.61 200 0 - us - 0 - - n 'first.example:/index.html'",
    ];
    expected.sort_unstable();
    assert_eq!(seen, expected, "on {mpm:?}");
}

#[test]
fn lines_are_those_of_the_c_module() {
    on_both_modules(&server(Mpm::Worker), |httpd| {
        let client = httpd.client("127.0.0.61");
        let mut one = client.connect();
        for host in ["first.example", "second.example", "third.example"] {
            ask(&mut one, &format!("GET /sub/ HTTP/1.1\r\nHost: {host}"));
        }
        drop(one);
        for head in [
            "GET /index.html HTTP/1.0",
            "HEAD /index.html HTTP/1.0\r\nHost: h",
            "GET /elsewhere?query HTTP/1.0",
            "POST /index.html HTTP/1.0\r\nContent-Length: 0",
            "nonsense",
        ] {
            let mut connection = client.connect();
            connection.send(format!("{head}\r\n\r\n").as_bytes()).expect("it is sent");
            connection.watch_until_closed();
        }
        let mut lines = lines(httpd, 8);
        lines.sort_unstable();
        lines
    });
}

/// A program that reads nothing: requests go on, lines are lost, and somebody is told.
#[test]
fn nobody_waits_for_a_program_that_does_not_read() {
    // A long path that no file is looked for.
    let httpd = logging(Mpm::Event, "exec sleep 60\n").with("Redirect gone /y").start();
    httpd.expect(315);
    let client = httpd.client("127.0.0.61");
    let long = format!("/y/{}", "y".repeat(4000));
    let started = Instant::now();
    let mut connection = client.connect();
    for _ in 0..600 {
        assert_eq!(connection.get(&long).status(), Some(410));
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let line = httpd.wait_for_events(315, 1).remove(0);
    let lost = line.text.strip_prefix("QSLog: ");
    let lost =
        lost.and_then(|text| text.strip_suffix(" lines lost, the program does not read them"));
    let lost: u32 = lost.and_then(|lost| lost.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
    assert!((300..=600).contains(&lost), "a pipe holds 256 such lines at most: {lost}");
    assert_eq!(line.level, "warn");
}

#[test]
fn a_program_that_ends_is_started_again_and_so_it_is_by_a_restart() {
    let program = "read line\necho \"$line\" >> $0.lines\n";
    let httpd = logging(Mpm::Event, program).start();
    // httpd's words for a program that died, and for one that it has ended itself at a restart.
    httpd.expect_text("piped log program").expect_text("long lost child came home");
    let client = httpd.client("127.0.0.61");
    for count in 1..=2 {
        client.get("/index.html").served();
        assert_eq!(lines(&httpd, count).len(), count);
    }
    for (count, restart) in [(3, Httpd::reload as fn(&Httpd)), (4, Httpd::hard_restart)] {
        restart(&httpd);
        client.get("/index.html").served();
        assert_eq!(lines(&httpd, count).len(), count);
    }
}

#[test]
fn a_server_whose_program_is_not_there_does_not_start() {
    let started = std::panic::catch_unwind(|| {
        Httpd::on(Mpm::Event).with("QSLog \"|/no/such/program -o out\"").start()
    });
    let said = started.err().expect("it does not start");
    let said = said.downcast_ref::<String>().cloned().unwrap_or_default();
    let line = "mod_qos(009): failed to initialize the qslog facility \
                '|/no/such/program -o out -f ISBiDUkEQaC'";
    assert!(said.contains(line), "{said}");
}

on_each_mpm!(each_request_of_every_host_is_a_line);
