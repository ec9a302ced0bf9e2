//! `qostally` as a program: what it reads, says, and ends with.

#![allow(clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs it with words and an input; returns how it ended, and what it said on stdout and stderr.
fn run(words: &str, input: &[u8]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qostally"));
    command.args(words.split(' ').filter(|word| !word.is_empty()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // One that wants no input may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |octets| String::from_utf8(octets).expect("text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("qostally.{}.{name}", std::process::id()));
    std::fs::write(&path, content).expect("a file");
    path
}

/// What the script of the sysadmin's chain got from awk, and whom it told syslog of.
#[test]
fn a_list_of_addresses_gives_those_that_stand_in_it_sixty_times() {
    let mut list = String::new();
    for (address, times) in [("203.0.113.7", 60), ("198.51.100.1", 59), ("192.0.2.200", 61)] {
        list.push_str(&format!("{address}\n").repeat(times));
    }
    let expected = "192.0.2.200 61\n203.0.113.7 60\n".to_owned();
    assert_eq!(run("", list.as_bytes()), (0, expected, String::new()));
    let all = "192.0.2.200 61\n203.0.113.7 60\n198.51.100.1 59\n".to_owned();
    assert_eq!(run("--min 1 -", list.as_bytes()), (0, all, String::new()));
    assert_eq!(run("--min 62", list.as_bytes()), (1, String::new(), String::new()));
    let networks = "128.0.0.0/1 180\n".to_owned();
    assert_eq!(run("--prefix4 1", list.as_bytes()), (0, networks, String::new()));
}

#[test]
fn what_it_ends_with_says_how_it_went() {
    let skipped = "qostally: lines without an address: 2\n";
    let nothing = "qostally: nothing in it can be read as an address\n";
    assert_eq!(run("--min 1", b"::1\n\nx\ny z\n"), (0, "::1 1\n".to_owned(), skipped.to_owned()));
    assert_eq!(run("", b"x\ny z\n"), (2, String::new(), format!("{skipped}{nothing}")));
    assert_eq!(run("", b""), (2, String::new(), nothing.to_owned()));
    for words in ["--min 0", "--nothing", "--prefix4 33", "--url ftp://x/"] {
        let (code, out, error) = run(words, b"");
        assert_eq!((code, out.as_str()), (2, ""), "{words}");
        assert!(error.contains("error: "), "{words}: {error}");
    }
    let (code, out, error) = run("--min 1 /no/such/file -", b"::1\n");
    assert_eq!((code, out.as_str()), (2, "::1 1\n"), "the others are counted");
    assert!(error.starts_with("qostally: /no/such/file: "), "{error}");
    let (code, _, error) = run("--url http://127.0.0.1:1/server-status", b"");
    assert!(code == 2 && error.contains("qostally: http://127.0.0.1:1/server-status: "), "{error}");
    assert_eq!(run("--help", b"").0, 0);
    assert!(run("--version", b"").1.starts_with("qostally "));
}

/// The script that waits for exit code 0 must not take a full disk for nobody.
#[test]
fn what_cannot_be_written_is_told() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qostally"));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux");
    command.args(["--min", "1"]).stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(b"::1\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.starts_with("qostally: stdout: No space left"), "{error}");
}

#[test]
fn a_page_that_names_no_client_is_told_from_other_text() {
    let hint = "of status pages those with a table of workers name clients";
    for page in [
        // Without ExtendedStatus, with ?notable, as lynx has it, and mod_status' own ?auto.
        &b"<html><h1>Apache Server Status for a (via ::1)</h1><dl><dt>1 requests</dt></dl><pre>_W.</pre>"[..],
        b"<html><b>Server 0-0</b> (1): 0|1|1 [<b>_</b>]<br /><i>127.0.0.1 {GET / HTTP/1.1}</i>",
        b"               Apache Server Status for a (via 127.0.0.1)\n\n   Server MPM: event\n_W.\n",
        b"localhost\nServerVersion: Apache/2.4.62\nTotal Accesses: 3\nScoreboard: _W.\n",
    ] {
        let (code, out, error) = run("--min 1", page);
        assert_eq!((code, out.as_str()), (2, ""), "{error}");
        assert!(error.contains(hint), "{error}");
    }
    assert!(!run("--min 1", b"_W.\n").2.contains(hint));
}

#[test]
fn several_files_of_different_kinds_are_counted_together() {
    let page = b"<html><table><tr><th>Srv</th><th>Client</th></tr>\
        <tr><td>0-0</td><td>192.0.2.1</td></tr><tr><td>1-0</td><td>2001:db8::1</td></tr></table>";
    let log =
        b"192.0.2.1 - - [x] \"GET / HTTP/1.1\" 200 5\n2001:db8:0:0:5::6 - - [x] \"GET /\" 200 5\n";
    let (page, log) = (file("page", page), file("log", log));
    let words = format!("--min 2 --prefix6 64 --json {} {} -", page.display(), log.display());
    let (code, out, error) = run(&words, b"192.0.2.1\n");
    let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let expected = serde_json::json!({
        "schema": 1, "min": 2, "skipped": 0,
        "found": [
            { "address": "192.0.2.1", "count": 3, "addresses": 1 },
            { "network": "2001:db8::/64", "count": 2, "addresses": 2 },
        ],
    });
    assert_eq!((code, said, error.as_str()), (0, expected, ""));
    for path in [page, log] {
        std::fs::remove_file(path).expect("our own");
    }
}

/// A million lines of a thousand addresses, and one line of ten megabytes.
#[test]
fn memory_goes_by_how_many_addresses_there_are() {
    let mut input = Vec::new();
    for line in 0..1_000_000u32 {
        let _ = writeln!(input, "10.0.{}.{} - - \"GET / HTTP/1.1\"", line / 250 % 4, line % 250);
    }
    input.extend_from_slice(&vec![b'x'; 10_000_000]);
    let mut command = Command::new("sh");
    // Half of what a list in memory would take.
    command.args(["-c", "ulimit -v 60000; exec \"$0\" --min 1000", env!("CARGO_BIN_EXE_qostally")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(&input).expect("it reads all");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1000);
}

#[test]
fn a_page_is_fetched_and_its_status_looked_at() {
    for (head, expected) in [("200 OK", 0), ("403 Forbidden", 2), ("302 Found\r\nLocation: /", 2)] {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/server-status", server.local_addr().expect("bound"));
        let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n192.0.2.1\n192.0.2.1\n");
        let thread = std::thread::spawn(move || {
            let mut connection = server.accept().expect("a client").0;
            let mut seen = Vec::new();
            let mut buffer = [0; 1000];
            while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
                let read = std::io::Read::read(&mut connection, &mut buffer).expect("a request");
                seen.extend_from_slice(&buffer[..read]);
            }
            connection.write_all(answer.as_bytes()).expect("it reads");
        });
        let (code, out, error) = run(&format!("--min 2 --url {url}"), b"");
        thread.join().expect("it was asked");
        assert_eq!(code, expected, "{error}");
        assert_eq!(out, if expected == 0 { "192.0.2.1 2\n" } else { "" });
    }
}
