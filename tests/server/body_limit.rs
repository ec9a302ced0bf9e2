//! QS_LimitRequestBody: how large a request's body may be, with and without a length, packed or not.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Builder, Client, Curl, Httpd, Mpm, Outcome, wait_until};

/// `/echo` sends the body back; its handler answers a failed read by status 400.
const ECHO: &str = "<Location /echo>\nSetHandler reflector\nReflectorHeader X-Echo\n</Location>";

fn server(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm).modules(&["reflector"]).with(ECHO).with(directives)
}

/// `/app/` is handed on to a second server without a limit.
fn proxy(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm)
        .modules(&["proxy", "proxy_http"])
        .ports(2)
        .with("<Location /app/>\nProxyPass http://127.0.0.1:@PORT1@/\n</Location>")
        .with(
            "<VirtualHost *:@PORT1@>\n\
             QS_LimitRequestBody 1000000\n\
             CustomLog /dev/null qos\n\
             <IfModule mod_ssl.c>\nSSLEngine off\n</IfModule>\n\
             </VirtualHost>",
        )
        .with(directives)
}

/// What mod_proxy itself says of a body that fails.
const PROXY_TELLS: [&str; 2] = ["AH02608: read request body failed", "AH01097: pass request body"];

fn head(path: &str, headers: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

/// Posts a body of a stated length.
fn post(client: &Client, path: &str, length: usize) -> Outcome {
    let mut connection = client.connect();
    let mut bytes = head(path, &format!("Content-Length: {length}\r\n"));
    bytes.extend(vec![b'x'; length]);
    let _ = connection.send(&bytes);
    connection.response()
}

/// Posts a body in chunks of a thousand octets, and tells whether the connection was closed after that.
fn post_chunks(client: &Client, path: &str, chunks: usize, headers: &str) -> (Outcome, bool) {
    let mut connection = client.connect();
    let _ = connection.send(&head(path, &format!("Transfer-Encoding: chunked\r\n{headers}")));
    for _ in 0..chunks {
        let chunk = [b"3e8\r\n", &[b'x'; 1000][..], b"\r\n"].concat();
        if connection.send(&chunk).is_err() {
            break;
        }
    }
    let _ = connection.send(b"0\r\n\r\n");
    let outcome = connection.response();
    let is_closed = !matches!(connection.watch(Duration::from_millis(300)), Outcome::TimedOut);
    (outcome, is_closed)
}

/// How much of a body came back. The echo of one without a length has chunks around it.
fn echoed(outcome: Outcome) -> usize {
    outcome.served().body.iter().filter(|octet| **octet == b'x').count()
}

fn a_body_of_stated_length_is_held_to_the_limit(mpm: Mpm) {
    let httpd = server(mpm, "QS_LimitRequestBody 1000").start();
    httpd.expect(44);
    let (bad, good) = (httpd.client("127.0.0.71"), httpd.client("127.0.0.72"));
    let response = post(&bad, "/echo", 1001).served();
    assert_eq!((response.status, response.closes()), (413, true));
    let response = post(&good, "/echo", 1000).served();
    assert_eq!((response.status, response.body.len()), (200, 1000), "so much is allowed");
    assert_eq!(good.get("/").status(), Some(200));
    let lines = httpd.wait_for_events(44, 1);
    assert_eq!(
        lines[0].without_id(),
        "access denied, QS_LimitRequestBody: max=1000 this=1001, c=127.0.0.71"
    );
    assert_eq!(lines[0].level, "error");
    let logged = httpd.wait_for_access("/echo", 2);
    let denied = logged.iter().find(|line| line.status() == 413).expect("413 is logged");
    assert_eq!((denied.letters(), denied.notes()), ("D;", Some("044")));
}

fn a_body_in_chunks_is_cut_at_the_limit_and_told_of_once(mpm: Mpm) {
    // The C module answered 400 (the handler's view of a failed read), and told of it at every read.
    let httpd = proxy(mpm, "QS_LimitRequestBody 20000").start();
    httpd.expect(44).expect_text(PROXY_TELLS[0]).expect_text(PROXY_TELLS[1]);
    let (outcome, is_closed) = post_chunks(&httpd.client("127.0.0.71"), "/app/", 100, "");
    assert_eq!((outcome.status(), is_closed), (Some(413), true), "{outcome:?}");
    let (outcome, _) = post_chunks(&httpd.client("127.0.0.72"), "/app/", 20, "");
    assert_eq!(outcome.status(), Some(200), "so much is allowed");
    let (outcome, is_closed) = post_chunks(&httpd.client("127.0.0.73"), "/index.html", 100, "");
    assert_eq!((outcome.status(), is_closed), (Some(413), true), "a file's handler discards it");
    let lines = httpd.wait_for_events(44, 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].text.starts_with("access denied, QS_LimitRequestBody: max=20000 this=2"));
    let logged = httpd.wait_for_access("/app/", 2);
    let denied = logged.iter().find(|line| line.status() == 413).expect("413 is logged");
    assert_eq!((denied.letters(), denied.notes()), ("D;", Some("044")));
}

fn what_a_careless_handler_answers_is_thrown_away(mpm: Mpm) {
    // This one does not look whether reading worked, like mod_php.
    let script = "function handle(r)\n\
                  local body = r:requestbody()\n\
                  r.content_type = 'text/plain'\n\
                  r:puts('stored ' .. tostring(body and #body))\n\
                  return apache2.OK\n\
                  end\n";
    let httpd = Httpd::on(mpm)
        .modules(&["lua"])
        .file("store.lua", script.into())
        .with("<Files store.lua>\nSetHandler lua-script\n</Files>")
        .with("QS_LimitRequestBody 5000\nErrorDocument 413 \"no more\"\nQS_SetEnvIfStatus 413 Seen")
        .with("Header always set X-Seen %{Seen}e")
        .start();
    httpd.expect(44).expect_text("requestbody");
    let (outcome, is_closed) = post_chunks(&httpd.client("127.0.0.71"), "/store.lua", 50, "");
    let response = outcome.served();
    assert_eq!((response.status, response.text().as_str()), (413, "no more"));
    assert!(is_closed);
    assert_eq!(response.header("X-Seen"), Some("413"), "rules for the status see it");
    let good = post(&httpd.client("127.0.0.72"), "/store.lua", 4000).served();
    assert_eq!(good.text(), "stored 4000");
    assert_eq!(httpd.wait_for_events(44, 1).len(), 1);
}

fn a_packed_body_is_held_to_the_limit_unpacked(mpm: Mpm) {
    let httpd = proxy(mpm, "QS_LimitRequestBody 20000")
        .modules(&["deflate"])
        .with("<Location /app/>\nSetInputFilter DEFLATE\n</Location>")
        .start();
    httpd.expect(44).expect_text(PROXY_TELLS[0]).expect_text(PROXY_TELLS[1]);
    let client = httpd.client("127.0.0.71");
    let send = |octets: usize| {
        let text: String =
            (0..octets / 10).map(|n| format!("{:05}xxxxx", n * 7919 % 100_000)).collect();
        let packed = gzip(text.as_bytes());
        assert!(packed.len() < octets / 2 && packed.len() < 20_000, "it is small on the way");
        let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len());
        let mut connection = client.connect();
        let _ = connection.send(&[head("/app/", &headers), packed].concat());
        connection.response().status()
    };
    assert_eq!(send(40_000), Some(413));
    assert_eq!(send(15_000), Some(200));
    assert_eq!(httpd.wait_for_events(44, 1).len(), 1);
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut command = Command::new("gzip");
    let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().expect("a pipe").write_all(octets).expect("gzip reads");
    child.wait_with_output().expect("gzip ends").stdout
}

fn location_and_variable_have_precedence(mpm: Mpm) {
    let httpd = server(mpm, "QS_LimitRequestBody 1000")
        .with("<Location /echo/large>\nQS_LimitRequestBody 3000\n</Location>")
        .with("<Location /echo/large/none>\nQS_LimitRequestBody 0\n</Location>")
        .with("SetEnvIf X-Max (.+) QS_LimitRequestBody=$1\nSetEnvIf X-Max ^$ !QS_LimitRequestBody")
        .start();
    httpd.expect(44);
    let client = httpd.client("127.0.0.71");
    let status = |path: &str, length| post(&client, path, length).status();
    assert_eq!(status("/echo/large", 3000), Some(200));
    assert_eq!(status("/echo/large", 3001), Some(413));
    assert_eq!(status("/echo/large/none", 1), Some(413));
    assert_eq!(status("/echo/large/none", 0), Some(200));
    let with = |max: &str, length: usize| {
        let headers = format!("X-Max: {max}\r\nContent-Length: {length}\r\n");
        let mut connection = client.connect();
        let _ = connection.send(&[head("/echo", &headers), vec![b'x'; length]].concat());
        connection.response().status()
    };
    assert_eq!(with("5000", 5000), Some(200), "it can raise the limit");
    assert_eq!(with("10", 11), Some(413), "and lower it");
    assert_eq!(with("many", 1000), Some(200), "what is no number is ignored");
    assert_eq!(with("many", 1001), Some(413));
    assert!(!httpd.wait_for_events(314, 1).is_empty(), "and told of");
}

fn a_virtual_host_inherits_the_limit_or_has_its_own(mpm: Mpm) {
    let httpd = server(mpm, "QS_LimitRequestBody 1000")
        .ports(3)
        .with("<VirtualHost *:@PORT1@>\nQS_LimitRequestBody 10\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nServerName second\n</VirtualHost>")
        .start();
    httpd.expect(44);
    for (port, max) in [(0, 1000), (1, 10), (2, 1000)] {
        let client = httpd.client_of_port(port, "127.0.0.71");
        assert_eq!(post(&client, "/echo", max).status(), Some(200), "port {port}");
        assert_eq!(post(&client, "/echo", max + 1).status(), Some(413), "port {port}");
    }
}

fn log_only_mode_lets_all_through_and_tells_of_each_once(mpm: Mpm) {
    let httpd = server(mpm, "QS_LimitRequestBody 1000\nQS_LogOnly on").start();
    httpd.expect(44);
    let client = httpd.client("127.0.0.71");
    assert_eq!(post(&client, "/echo", 2000).served().body.len(), 2000);
    let (outcome, _) = post_chunks(&client, "/echo", 50, "");
    assert_eq!(echoed(outcome), 50_000);
    let lines = httpd.wait_for_events(44, 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let beginning = "access denied (log only), QS_LimitRequestBody: max=1000 this=";
    assert!(lines.iter().all(|line| line.text.starts_with(beginning)));
}

fn the_error_page_is_served(mpm: Mpm) {
    let httpd = server(mpm, "QS_LimitRequestBody 1000\nQS_ErrorPage /sorry.html")
        .file("sorry.html", b"sorry".to_vec())
        .start();
    httpd.expect(44);
    let response = post(&httpd.client("127.0.0.71"), "/echo", 2000).served();
    assert_eq!((response.status, response.text().as_str()), (500, "sorry"), "as for all denials");
    // Also where it shows only when the body is read, whatever the handler makes of that.
    for path in ["/index.html", "/none"] {
        let (outcome, is_closed) = post_chunks(&httpd.client("127.0.0.72"), path, 50, "");
        let response = outcome.served();
        assert_eq!((response.status, response.text().as_str()), (500, "sorry"), "{path}");
        assert!(is_closed, "{path}");
    }
    drop(httpd);
    let httpd = server(mpm, "QS_LimitRequestBody 1000\nQS_ErrorPage http://other/").start();
    httpd.expect(44);
    let (outcome, _) = post_chunks(&httpd.client("127.0.0.71"), "/index.html", 50, "");
    let response = outcome.served();
    assert_eq!((response.status, response.header("Location")), (302, Some("http://other/")));
}

fn http2_bodies_without_a_length_are_cut_as_well(mpm: Mpm) {
    if mpm == Mpm::Prefork {
        return; // mod_http2 refuses to work there.
    }
    let httpd = proxy(mpm, "QS_LimitRequestBody 20000")
        .modules(&["http2"])
        .tls()
        .with("Protocols h2 http/1.1")
        .file("large", vec![b'x'; 200_000])
        .file("small", vec![b'x'; 20_000])
        .start();
    httpd.expect(44).expect_text(PROXY_TELLS[0]).expect_text(PROXY_TELLS[1]);
    let put = |file: &str| {
        let path = httpd.root().join("htdocs").join(file).display().to_string();
        let chunked = "Transfer-Encoding: chunked";
        Curl::tls(&httpd, "127.0.0.71")
            .with(&["-T", &path, "-X", "POST", "-H", chunked])
            .get(&["/app/"])
    };
    let outcome = put("small");
    assert_eq!(outcome.responses[0].status, 200, "{outcome:?}");
    // curl 7.88 may give up before it reads the answer to what it is still sending.
    let outcome = put("large");
    let answer = outcome.responses.first().map_or(413, |response| response.status);
    assert_eq!(answer, 413, "{outcome:?}");
    // curl adds the file's name to a path that ends in a slash.
    let logged = httpd.wait_for_access("/app/large", 1);
    assert_eq!(logged[0].status(), 413, "{logged:?}");
    assert_eq!(httpd.wait_for_events(44, 1).len(), 1);
    wait_until("others are served", Duration::from_secs(5), || {
        Curl::tls(&httpd, "127.0.0.72").get(&["/"]).code == 0
    });
}

on_each_mpm!(
    a_body_of_stated_length_is_held_to_the_limit,
    a_body_in_chunks_is_cut_at_the_limit_and_told_of_once,
    what_a_careless_handler_answers_is_thrown_away,
    a_packed_body_is_held_to_the_limit_unpacked,
    location_and_variable_have_precedence,
    a_virtual_host_inherits_the_limit_or_has_its_own,
    log_only_mode_lets_all_through_and_tells_of_each_once,
    the_error_page_is_served,
    http2_bodies_without_a_length_are_cut_as_well,
);
