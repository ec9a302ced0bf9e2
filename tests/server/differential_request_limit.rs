//! Requests at once, against the C module: the same requests are denied with the same words.

use crate::harness::{Httpd, Mpm, PATIENCE, comparable, on_both_modules, wait_until};
use crate::request_limit::{hold_with, release, server, wait_for_open};

type Seen = (Option<u16>, Vec<(String, Option<u16>, String)>, String);

/// One request of a client with a known address: its status, its lines, and what the access log says.
fn ask(httpd: &Httpd, path: &str, headers: &str) -> Seen {
    // What is held is logged when it is released; of the rest only probes come between.
    let all = || httpd.access_log().into_iter().filter(|line| line.path() != "/~probe");
    let (mark, before) = (httpd.mark(), all().count());
    let headers = format!("{headers}Connection: close\r\n");
    let status = httpd.client("127.0.0.61").connect().get_with(path, &headers).status();
    wait_until("it is logged", PATIENCE, || all().count() > before);
    let logged = all().next_back().expect("a line");
    let lines: Vec<_> =
        [10, 11, 12].into_iter().flat_map(|event| httpd.events_since(mark, event)).collect();
    let says = format!("{:?} {:?} {:?}", logged.letters(), logged.cr(), logged.notes());
    (status, comparable(&lines), says)
}

#[test]
fn the_same_requests_are_denied() {
    let rules = "QS_LocRequestLimit /app 2\nQS_LocRequestLimit /app/sub 1\nQS_LocRequestLimitDefault 5\n\
         QS_LocRequestLimitMatch [.]gif 3\nQS_LocRequestLimitMatch ^/m/ 2\nQS_LocRequestLimitMatch ^/m/z 5\n\
         QS_LocRequestLimitMatch ^/free/ 0\nQS_LocRequestLimitMatch ^/free/not 1\n\
         QS_LocRequestLimitMatch ^/c/ 4\nQS_CondLocRequestLimitMatch ^/c/ 1 spider\n\
         QS_CondLocRequestLimitMatch ^/only/ 1 spider\n\
         QS_VipHeaderName X-Vip\nSetEnvIf X-Is-Vip . QS_VipRequest=yes\n\
         SetEnvIf X-Cond (.+) QS_Cond=$1\nSetEnvIf X-Event (.+) EVV=$1\n\
         QS_EventRequestLimit EVV=^(a|b)$ 1\nQS_EventRequestLimit NEVER 0\nSetEnvIf X-Never . NEVER";
    let spider = "X-Cond: a spider\r\n";
    on_both_modules(&server(Mpm::Worker, rules), |httpd| {
        // httpd's reader tells of `$` and of names in braces.
        httpd.expect_text("AH00111").expect(3).expect(10).expect(11).expect(12);
        let mut seen = Vec::new();
        for (held, hold_headers, times, asked) in [
            (
                "/app/",
                "",
                2,
                &[
                    ("/app/", ""),
                    ("/%61pp/", ""),
                    ("//app/", ""),
                    ("/x/../app/", ""),
                    ("/appx", ""),
                    ("/ap", ""),
                    ("/APP/", ""),
                    ("/app/x.gif", ""),
                    ("/app/sub", ""),
                    ("/app/", "X-Is-Vip: 1\r\n"),
                ][..],
            ),
            ("/app/sub", "", 1, &[("/app/sub/x", ""), ("/app/", "")]),
            ("/app/x.gif", "", 3, &[("/x.gif", ""), ("/?x.gif", ""), ("/app/", "")]),
            ("/m/z", "", 2, &[("/m/z", ""), ("/m/a", ""), ("/m", "")]),
            ("/free/not", "", 3, &[("/free/not", ""), ("/free/", "")]),
            ("/zz", "", 5, &[("/yy", ""), ("/app/", "")]),
            (
                "/c/",
                "",
                1,
                &[
                    ("/c/", ""),
                    ("/c/", spider),
                    ("/c/x", "X-Cond: ant\r\n"),
                    ("/c/v", "X-Cond: spider\r\nX-Is-Vip: 1\r\n"),
                ],
            ),
            ("/only/", "", 1, &[("/only/", ""), ("/only/a", spider), ("/other", spider)]),
            (
                "/ev",
                "X-Event: b\r\n",
                1,
                &[
                    ("/ev", "X-Event: a\r\n"),
                    ("/ev/c", "X-Event: c\r\n"),
                    ("/ev/v", "X-Event: a\r\nX-Is-Vip: 1\r\n"),
                    ("/ev/no", ""),
                    ("/ev/never", "X-Never: 1\r\n"),
                    ("/ev/both", "X-Never: 1\r\nX-Event: a\r\n"),
                ],
            ),
        ] {
            let connections = (0..times).map(|_| hold_with(httpd, held, hold_headers)).collect();
            wait_for_open(httpd, times);
            for (path, headers) in asked {
                seen.push((held, *path, *headers, ask(httpd, path, headers)));
                wait_for_open(httpd, times);
            }
            release(connections);
            wait_for_open(httpd, 0);
        }
        seen
    });
}

#[test]
fn a_delay_is_the_same() {
    let rules = "SetEnvIf X-Delay (.*) QS_Delay=$1";
    on_both_modules(&server(Mpm::Worker, rules), |httpd| {
        httpd.expect_text("AH00111").expect(3);
        let mut seen = Vec::new();
        for (number, value) in ["40", "40ms", " 40", "0", "-40", "x"].into_iter().enumerate() {
            let path = format!("/{number}");
            let before = std::time::Instant::now();
            let (status, _, says) = ask(httpd, &path, &format!("X-Delay: {value}\r\n"));
            let is_late = before.elapsed().as_millis() >= 40;
            assert!(is_late || !says.contains('L'), "{value}: held up in word only");
            seen.push((value, status, says));
        }
        seen
    });
}
