//! Variables that change the connection: QS_KeepAliveTimeout, QS_MaxKeepAliveRequests, QS_Timeout and
//! QS_Set_DSCP.

use std::time::{Duration, Instant};

use crate::harness::{Connection, Httpd, Mpm, Outcome, PATIENCE, Response};

/// The values come with the request.
const ASKED: &str = "\
    SetEnvIf X-Timeout (.+) QS_KeepAliveTimeout=$1\n\
    SetEnvIf X-Max (.+) QS_MaxKeepAliveRequests=$1\n\
    SetEnvIf X-Wait (.+) QS_Timeout=$1\n\
    SetEnvIf X-Dscp (.+) QS_Set_DSCP=$1\n\
    SetEnvIf X-Timeout ^$ !QS_KeepAliveTimeout\n\
    SetEnvIf X-Max ^$ !QS_MaxKeepAliveRequests\n\
    SetEnvIf X-Wait ^$ !QS_Timeout\n\
    SetEnvIf X-Dscp ^$ !QS_Set_DSCP";

fn start(mpm: Mpm, directives: &str) -> Httpd {
    Httpd::on(mpm).modules(&["reflector"]).with(ASKED).with(directives).start()
}

fn ask(connection: &mut Connection, headers: &str) -> Response {
    connection.get_with("/index.html", &format!("Connection: keep-alive\r\n{headers}")).served()
}

fn is_closed(connection: &mut Connection, within: Duration) -> bool {
    !matches!(connection.watch(within), Outcome::TimedOut)
}

fn a_connection_is_kept_for_so_many_requests(mpm: Mpm) {
    let httpd = start(mpm, "");
    let mut connection = httpd.client("127.0.0.71").connect();
    let mut other = httpd.client("127.0.0.72").hold();
    let first = ask(&mut connection, "X-Max: 2\r\n");
    assert_eq!(first.header("Keep-Alive"), Some("timeout=60, max=2"), "it shows at once");
    assert!(!ask(&mut connection, "").closes(), "and holds for the rest of the connection");
    assert!(ask(&mut connection, "").closes(), "which ends after one request more than the number");
    assert!(is_closed(&mut connection, PATIENCE));
    assert_eq!(
        ask(&mut other, "").header("Keep-Alive"),
        Some("timeout=60"),
        "others have no limit"
    );
    let lines = httpd.wait_for_access("/index.html", 5);
    let letters: Vec<&str> = lines.iter().map(|line| line.letters()).collect();
    assert_eq!(letters.iter().filter(|letters| **letters == "T;").count(), 1, "{letters:?}");
}

fn a_timeout_of_zero_closes_after_the_response(mpm: Mpm) {
    let httpd = start(mpm, "");
    let mut connection = httpd.client("127.0.0.71").connect();
    assert!(ask(&mut connection, "X-Timeout: 0\r\n").closes());
    assert!(is_closed(&mut connection, PATIENCE));
    let mut other = httpd.client("127.0.0.72").connect();
    assert!(!ask(&mut other, "X-Timeout: none\r\n").closes(), "what is no number says nothing");
}

fn a_shorter_timeout_acts_on_the_current_wait(mpm: Mpm) {
    // Once it acted from the next wait on, and not at all on event.
    let httpd = start(mpm, "");
    let mut connection = httpd.client("127.0.0.71").connect();
    let mut other = httpd.client("127.0.0.72").hold();
    let response = ask(&mut connection, "X-Timeout: 1\r\n");
    let before = Instant::now();
    assert_eq!(response.closes(), mpm == Mpm::Event, "event waits for all connections alike");
    assert!(
        is_closed(&mut connection, Duration::from_secs(5)),
        "not after the server's 60 seconds"
    );
    if mpm != Mpm::Event {
        assert!(before.elapsed() > Duration::from_millis(700), "{:?}", before.elapsed());
        assert_eq!(response.header("Keep-Alive"), Some("timeout=1"));
    }
    assert_eq!(other.get("/").status(), Some(200), "others are kept");
}

fn a_longer_timeout_holds_where_the_server_can_wait(mpm: Mpm) {
    let httpd = start(mpm, "KeepAliveTimeout 1");
    let mut connection = httpd.client("127.0.0.71").connect();
    let _ = ask(&mut connection, "X-Timeout: 20\r\n");
    if mpm == Mpm::Event {
        let text = "loaded MPM is 'event' and the QS_KeepAliveTimeout/QS_MaxKeepAliveRequests \
                    directives can't be used.";
        let _ = ask(&mut connection, "X-Timeout: 20\r\n");
        let lines = httpd.wait_for_events(37, 1);
        assert_eq!((lines.len(), lines[0].text.as_str()), (1, text), "once per process");
        assert_eq!(lines[0].level, "notice");
    } else {
        assert!(!is_closed(&mut connection, Duration::from_millis(2200)));
        assert_eq!(connection.get("/").status(), Some(200));
        assert!(httpd.events(37).is_empty());
    }
}

fn a_response_can_decide_as_well(mpm: Mpm) {
    let httpd = start(mpm, "QS_SetEnvIfStatus 404 QS_KeepAliveTimeout=0");
    let mut connection = httpd.client("127.0.0.71").connect();
    assert_eq!(connection.get("/").status(), Some(200));
    // A missing file is httpd's own error response, which does not decide; a proxy's 404 would.
    assert!(!connection.get("/none").served().closes());
}

fn a_stalled_body_is_answered_after_the_timeout(mpm: Mpm) {
    let httpd = start(mpm, "");
    let mut connection = httpd.client("127.0.0.71").connect();
    let before = Instant::now();
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nX-Wait: 1\r\n\r\nabc";
    let _ = connection.send(request.as_bytes());
    assert_eq!(connection.response().status(), Some(408));
    assert!(before.elapsed() < Duration::from_secs(5), "not after the server's 30 seconds");
    let mut good = httpd.client("127.0.0.72").connect();
    let _ = good.send(request.as_bytes());
    let _ = good.send(b"defghij");
    assert_eq!(good.response().status(), Some(200), "it was read to its end");
}

fn log_only_mode_changes_no_connection(mpm: Mpm) {
    let httpd = start(mpm, "QS_LogOnly on\n<Location /echo>\nSetHandler reflector\n</Location>");
    let mut kept = httpd.client("127.0.0.72").connect();
    assert!(!ask(&mut kept, "X-Timeout: 0\r\nX-Max: 1\r\n").closes());
    let mut connection = httpd.client("127.0.0.71").connect();
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nX-Wait: 1\r\n\r\nabc";
    let _ = connection.send(request.as_bytes());
    assert!(!is_closed(&mut connection, Duration::from_millis(1800)));
    let _ = connection.send(b"defghij");
    assert_eq!(connection.response().status(), Some(200));
}

fn packets_are_marked(mpm: Mpm) {
    let httpd = start(mpm, "");
    let mut connection = httpd.client("127.0.0.71").connect();
    assert_eq!(ask(&mut connection, "X-Dscp: 10\r\n").status, 200);
    // What the kernel says of the server's end of the connection.
    let marks = |source: &str| {
        let filter = format!("src 127.0.0.1:{} and dst {source}", httpd.port());
        let output = std::process::Command::new("ss").args(["-Htnie", "--tos", &filter]).output();
        output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if let Some(text) = marks("127.0.0.71") {
        assert!(text.contains("tos:0x28"), "{text}");
    }
    let mut other = httpd.client("127.0.0.72").connect();
    assert_eq!(ask(&mut other, "X-Dscp: 64\r\n").status, 200);
    let lines = httpd.wait_for_events(38, 1);
    assert_eq!(
        lines[0].without_id(),
        "DSCP, failed to set socket options, QS_Set_DSCP=64, socket=yes, rc=-2"
    );
    assert_eq!(lines.len(), 1, "{lines:?}");
    if mpm != Mpm::Prefork && httpd.has_ipv6() {
        let mut six = httpd.client("::1").connect();
        assert_eq!(ask(&mut six, "X-Dscp: 46\r\n").status, 200);
        assert_eq!(httpd.events(38).len(), 1, "an IPv6 socket takes it as well");
    }
}

on_each_mpm!(
    a_connection_is_kept_for_so_many_requests,
    a_timeout_of_zero_closes_after_the_response,
    a_shorter_timeout_acts_on_the_current_wait,
    a_longer_timeout_holds_where_the_server_can_wait,
    a_response_can_decide_as_well,
    a_stalled_body_is_answered_after_the_timeout,
    log_only_mode_changes_no_connection,
    packets_are_marked,
);
