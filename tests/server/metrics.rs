//! `qos-metrics`: what a scrape says is what clients did, in a form that Prometheus' own parsers read.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Builder, Gate, Httpd, Mpm, PATIENCE, poll, wait_until};

fn server(mpm: Mpm) -> Builder {
    Httpd::on(mpm).with("<Location /metrics>\nSetHandler qos-metrics\n</Location>")
}

fn scrape(httpd: &Httpd) -> String {
    let response = httpd.newcomer().get("/metrics").served();
    assert_eq!(response.status, 200);
    let content_type = response.header("Content-Type");
    assert_eq!(content_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    response.text()
}

fn values(text: &str) -> HashMap<&str, u64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value"))
        .map(|(series, value)| (series, value.parse().unwrap_or_else(|_| panic!("{series}"))))
        .collect()
}

/// Waits until series have these values: who has just left may be counted for a moment.
#[track_caller]
fn wait_for(httpd: &Httpd, expected: &[(&str, u64)]) {
    let mut wrong = Vec::new();
    let is_right = poll(PATIENCE, || {
        let text = scrape(httpd);
        let values = values(&text);
        wrong = expected
            .iter()
            .map(|(series, value)| (*series, values.get(series).copied(), *value))
            .filter(|(_, found, value)| *found != Some(*value))
            .map(|(series, found, value)| format!("{series}: {found:?}, not {value}"))
            .collect();
        wrong.is_empty().then_some(())
    });
    assert!(is_right.is_some(), "{wrong:#?}");
}

fn rule(name: &str, server: &str, directive: &str, rule: &str, outcome: &str) -> String {
    let outcome = match outcome {
        "" => String::new(),
        outcome => format!(",outcome=\"{outcome}\""),
    };
    format!("{name}{{server=\"{server}\",directive=\"{directive}\",rule=\"{rule}\"{outcome}}}")
}

fn outcome(directive: &str, of: &str, outcome: &str) -> String {
    rule("modqos_rule_outcomes_total", "base", directive, of, outcome)
}

fn a_scrape_says_what_clients_did(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = server(mpm)
        .modules(&["proxy", "proxy_http"])
        .ports(2)
        .with(&format!("ProxyPass /app http://127.0.0.1:{}/", gate.port))
        .with("QS_LocRequestLimitMatch \"^/app/[\\\\w]+$\" 1\nQS_SrvMaxConnPerIP 2")
        .with("QS_ClientEventBlockCount 3 600\nSetEnvIf Request_URI ^/blk QS_Block")
        .with("<VirtualHost 127.0.0.1:@PORT1@>\nServerName second\nQS_SrvMaxConn 7\n</VirtualHost>")
        .start();
    httpd.expect(10).expect(31).expect(60);
    let _held = [
        httpd.client("127.0.0.61").hold(),
        httpd.client("127.0.0.61").hold(),
        httpd.client_of_port(1, "127.0.0.62").hold(),
    ];
    httpd.client("127.0.0.61").get("/").assert_refused();

    let mut first = httpd.client("127.0.0.63").connect();
    first.send(b"GET /app/x HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is sent");
    gate.wait_for(1);
    assert_eq!(httpd.client("127.0.0.64").get("/app/y").status(), Some(500));

    let bad = httpd.client("127.0.0.65");
    // On one connection: two that are closing would be as many as it may have.
    let mut older = bad.connect();
    let statuses: Vec<_> = (0..3).map(|_| older.get("/blk").status()).collect();
    assert_eq!(statuses, [Some(404), Some(404), Some(500)]);
    drop(older);
    bad.get("/blk").assert_refused();

    let second = format!("second:{}", httpd.ports()[1]);
    let pattern = r"^/app/[\\w]+$";
    let (current, limit) = ("modqos_rule_current", "modqos_rule_limit");
    let of_pattern = |name| rule(name, "base", "QS_LocRequestLimitMatch", pattern, "");
    let of_second = |name| rule(name, &second, "QS_SrvMaxConn", "", "");
    let counts = [
        // Those that are held, the one at work, and the one who asks.
        ("modqos_connections{server=\"base\"}".to_owned(), 4),
        (format!("modqos_connections{{server=\"{second}\"}}"), 1),
        ("modqos_connections_max".to_owned(), 32),
        (of_pattern(current), 1),
        (of_pattern(limit), 1),
        (of_second(current), 1),
        (of_second(limit), 7),
        (outcome("QS_LocRequestLimitMatch", pattern, "pass"), 1),
        (outcome("QS_LocRequestLimitMatch", pattern, "deny"), 1),
        (outcome("QS_LocRequestLimitMatch", pattern, "log_only"), 0),
        (outcome("QS_SrvMaxConnPerIP", "", "deny"), 1),
        (outcome("QS_ClientEventBlockCount", "", "pass"), 2),
        (outcome("QS_ClientEventBlockCount", "", "deny"), 2),
        (rule("modqos_rule_outcomes_total", &second, "QS_SrvMaxConn", "", "pass"), 1),
        ("modqos_events_total{event=\"010\"}".to_owned(), 1),
        ("modqos_events_total{event=\"031\"}".to_owned(), 1),
        ("modqos_events_total{event=\"060\"}".to_owned(), 2),
        ("modqos_clients_blocked".to_owned(), 1),
        ("modqos_clients_evicted_total".to_owned(), 0),
        ("modqos_leases_reclaimed_total".to_owned(), 0),
    ];
    let counts: Vec<(&str, u64)> = counts.iter().map(|(name, value)| (&**name, *value)).collect();
    wait_for(&httpd, &counts);

    // 32 workers at least, of which one answers this.
    let text = scrape(&httpd);
    let workers: u64 = values(&text)
        .iter()
        .filter(|(series, _)| series.starts_with("modqos_workers{") && !series.contains("open"))
        .map(|(_, count)| count)
        .sum();
    assert!((1..=32).contains(&workers), "{workers}");
    assert!(values(&text)["modqos_workers{state=\"write\"}"] >= 2, "{text}");
    assert_parsers_read(&text);

    // Counters go on over a restart, and a killed child's counts come back.
    gate.open();
    first.response();
    httpd.reload();
    wait_for(&httpd, &[(&outcome("QS_ClientEventBlockCount", "", "deny"), 2)]);
    let _held = httpd.client("127.0.0.66").hold();
    httpd.children().into_iter().for_each(|child| httpd.kill_child(child));
    wait_until("what children held comes back", PATIENCE, || {
        values(&scrape(&httpd))["modqos_leases_reclaimed_total"] >= 1
    });
}

#[test]
fn log_only_mode_is_an_outcome_of_its_own_and_a_disabled_handler_answers_nothing() {
    let httpd = server(Mpm::Event)
        .ports(2)
        .with("QS_LogOnly on\nQS_SrvMaxConnPerIP 1")
        .with("<VirtualHost 127.0.0.1:@PORT1@>\nQS_DisableHandler on\n</VirtualHost>")
        .start();
    httpd.expect(31).expect(72);
    let client = httpd.client("127.0.0.61");
    let _held = [client.hold(), client.hold(), client.hold()];
    wait_for(
        &httpd,
        &[
            (&outcome("QS_SrvMaxConnPerIP", "", "log_only"), 2),
            (&outcome("QS_SrvMaxConnPerIP", "", "deny"), 0),
        ],
    );
    assert_eq!(httpd.client_of_port(1, "127.0.0.62").get("/metrics").status(), Some(404));
    httpd.wait_for_events(72, 1);

    let mut head = httpd.client("127.0.0.62").connect();
    head.send(b"HEAD /metrics HTTP/1.0\r\n\r\n").expect("it is sent");
    let bytes = head.read_at_least(20).expect("an answer");
    assert!(bytes.starts_with(b"HTTP/1.1 200"));
}

/// The parsers of others, as far as they are installed.
#[track_caller]
fn assert_parsers_read(text: &str) {
    const PYTHON: &str = "import sys\n\
        from prometheus_client.parser import text_string_to_metric_families as parse\n\
        found = {family.name: len(family.samples) for family in parse(sys.stdin.read())}\n\
        assert found['modqos_rule_outcomes'] >= 8 and found['modqos_workers'] == 11, found\n";
    let python: &[&str] = &["-c", PYTHON];
    let promtool: &[&str] = &["check", "metrics"];
    for (program, probe, arguments) in [
        ("/usr/bin/python3", &["-c", "import prometheus_client"][..], python),
        ("promtool", &["--version"], promtool),
    ] {
        let is_there = Command::new(program).args(probe).stderr(Stdio::null()).output();
        if !is_there.is_ok_and(|output| output.status.success()) {
            // Around the test runner, which keeps the words of a test that passes to itself.
            let word = format!("skipped: no parser of metrics by {program}\n");
            if let Ok(mut terminal) = OpenOptions::new().append(true).open("/proc/self/fd/2") {
                let _ = terminal.write_all(word.as_bytes());
            }
            continue;
        }
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut parser = command.spawn().expect("it was there");
        let mut input = parser.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).expect("it reads");
        drop(input);
        let output = parser.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}\n{text}");
    }
}

on_each_mpm!(a_scrape_says_what_clients_did);
