//! Rules of connections and of bodies, against the C module: the same clients are served, refused, and told of in
//! the same words.

use std::net::Ipv4Addr;

use crate::harness::{Builder, Connection, Httpd, Mpm, Outcome, comparable, on_both_modules};

/// What became of a client: its status, and what its response shows. Not how many connections are open: one that
/// was just refused may still be counted, or not.
type Seen = (String, Option<u16>, Vec<Option<String>>);

const SHOWN: &[&str] = &["QS_IPConn", "QS_Country", "QS_ClientLowPrio"];

fn seen(source: &str, outcome: &Outcome) -> Seen {
    let shown = match outcome {
        Outcome::Served(response) => {
            SHOWN.iter().map(|name| response.var(name).map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    (source.to_owned(), outcome.status(), shown)
}

/// Clients come one after the other and stay, as far as they are let in; then the lines of these events.
fn come_and_stay(server: &Builder, sources: &[&str], events: &[u16]) {
    on_both_modules(server, |httpd| {
        // It has remarks at its start.
        httpd.expect(9).expect(100).expect(300);
        for event in events {
            httpd.expect(*event);
        }
        let mut held: Vec<Connection> = Vec::new();
        let mut all = Vec::new();
        for source in sources {
            let mut connection = httpd.client(source).connect();
            let outcome = connection.get_with("/index.html", "Connection: keep-alive\r\n");
            all.push(seen(source, &outcome));
            if outcome.status().is_some() {
                held.push(connection);
            }
        }
        let lines: Vec<_> = events.iter().flat_map(|event| httpd.events_since(0, *event)).collect();
        let mut lines = comparable(&lines);
        for (_, _, text) in &mut lines {
            if let Some(at) = text.find("connections=").map(|at| at + "connections=".len()) {
                let digits = text[at..].chars().take_while(char::is_ascii_digit).count();
                text.replace_range(at..at + digits, "*");
            }
        }
        (all, lines)
    });
}

fn worker(rules: &str) -> Builder {
    Httpd::on(Mpm::Worker).with(rules)
}

#[test]
fn connections_above_the_limits_are_refused() {
    let many = ["127.0.0.61", "127.0.0.61", "127.0.0.61", "127.0.0.62", "127.0.0.61", "127.0.0.63"];
    come_and_stay(&worker("QS_SrvMaxConnPerIP 2"), &many, &[30, 31]);
    come_and_stay(&worker("QS_SrvMaxConnPerIP 2 4"), &many, &[30, 31]);
    come_and_stay(&worker("QS_SrvMaxConn 3\nQS_SrvMaxConnExcludeIP 127.0.0.63"), &many, &[30, 31]);
    let log_only = "QS_LogOnly on\nQS_SrvMaxConn 2\nQS_SrvMaxConnPerIP 1";
    come_and_stay(&worker(log_only), &many, &[30, 31]);
}

#[test]
fn only_some_countries_are_served_when_the_server_is_busy() {
    let line = |(first, country): (&str, &str)| {
        let number = u32::from(first.parse::<Ipv4Addr>().expect(first));
        format!("\"{first}\",\"..\",\"{number}\",\"{}\",\"{country}\",\"A name\"\n", number + 255)
    };
    let places = [("127.0.1.0", "CH"), ("127.0.2.0", "DE"), ("127.0.3.0", "FR")];
    let file: String = places.into_iter().map(line).collect();
    let server =
        worker("QS_ClientGeoCountryDB htdocs/countries.csv\nQS_ClientGeoCountryPriv CH,DE 3")
            .file("countries.csv", file.into_bytes());
    let sources = ["127.0.1.1", "127.0.3.1", "127.0.9.1", "127.0.3.2", "127.0.9.2", "127.0.2.1"];
    come_and_stay(&server, &sources, &[101]);
}

#[test]
fn bodies_of_stated_length_are_held_to_the_limit() {
    let rules = "QS_LimitRequestBody 1000\n<Location /small>\nQS_LimitRequestBody 10\n</Location>\n\
                 SetEnvIf X-Limit (.+) QS_LimitRequestBody=$1";
    on_both_modules(&worker(rules), |httpd| {
        httpd.expect(44).expect_text("AH00111");
        let mut all = Vec::new();
        for (path, length, more) in [
            ("/index.html", 1000, ""),
            ("/index.html", 1001, ""),
            ("/small", 10, ""),
            ("/small", 11, ""),
            ("/index.html", 50, "X-Limit: 49\r\n"),
            ("/index.html", 5000, "X-Limit: 6000\r\n"),
            ("/small", 50, "X-Limit: 60\r\n"),
        ] {
            let mark = httpd.mark();
            let mut connection = httpd.client("127.0.0.61").connect();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n"
            );
            let mut octets = head.into_bytes();
            octets.resize(octets.len() + length, b'x');
            let _ = connection.send(&octets);
            let status = connection.response().status();
            all.push((path, length, status, comparable(&httpd.events_since(mark, 44))));
        }
        all
    });
}
