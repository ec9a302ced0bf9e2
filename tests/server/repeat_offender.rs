//! Clients that repeat what they should not: QS_ClientEventBlockCount, what counts as an event
//! (QS_Block, a status, an empty or broken connection), and what a blocked client gets to see.

mod blocks;
mod events;

use std::process::{Command, Stdio};

use crate::harness::{Builder, Client, Httpd, Mpm, PATIENCE, poll, wait_until};

/// Requests for /blk.. are events, those of /two.. count twice, and so on.
const EVENTS: &str = "\
    SetEnvIf Request_URI ^/blk QS_Block\n\
    SetEnvIf Request_URI ^/two QS_Block=2\n\
    SetEnvIf Request_URI ^/zero QS_Block=0\n\
    SetEnvIf Request_URI ^/word QS_Block=abc\n\
    SetEnvIf Request_URI ^/forgive QS_Block_Decrement=1";

fn server(mpm: Mpm, limit: &str) -> Builder {
    Httpd::on(mpm).with(&format!("QS_ClientEventBlockCount {limit}\n{EVENTS}"))
}

/// Makes a client blocked by requests for /blk.
fn block(httpd: &Httpd, client: &Client) {
    httpd.expect(60);
    let is_blocked = poll(PATIENCE, || client.get("/blk").is_refused().then_some(()));
    assert!(is_blocked.is_some(), "{} was never blocked", client.source);
}

fn statuses(client: &Client, paths: &[&str]) -> Vec<Option<u16>> {
    paths.iter().map(|path| client.get(path).status()).collect()
}

/// The same, each only when the one before was logged: a decrement, or a status, counts then.
fn logged_statuses(httpd: &Httpd, client: &Client, paths: &[&str]) -> Vec<Option<u16>> {
    let get = |path: &&str| {
        let before = httpd.access_log().len();
        let status = client.get(path).status();
        wait_until("it is logged", PATIENCE, || httpd.access_log().len() > before);
        status
    };
    paths.iter().map(get).collect()
}

/// A connection without a byte.
fn null_connection(client: &Client) {
    drop(client.connect());
}

/// Waits until everything that clients have closed is closed for the server, too.
fn wait_until_alone(httpd: &Httpd) {
    wait_until("no other connection is open", PATIENCE, || {
        httpd.newcomer().get("/").served().count("QS_AllConn") == 1
    });
}

#[track_caller]
fn assert_line(text: &str, before_age: &str, after_age: &str) {
    let age = text.strip_prefix(before_age).and_then(|rest| rest.strip_suffix(after_age));
    let age = age.unwrap_or_else(|| panic!("{text}\nis not {before_age}<age>{after_age}"));
    let age: u64 = age.parse().unwrap_or_else(|_| panic!("the age is no number: {text}"));
    assert!(age < 600, "the age is one of seconds: {text}");
}

/// What openssl tells about a handshake with the server.
fn handshake(httpd: &Httpd, source: &str) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", httpd.port())])
        .args(["-bind", &format!("{source}:0")])
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
