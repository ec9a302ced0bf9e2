//! One picture of the server, or one after the other.

use super::server::Server;
use super::text::{Table, printable, span};
use super::{Failure, Outcome, say, warn};
use serde_json::Value;
use std::io::IsTerminal;
use std::time::Duration;

/// The form of the viewer's answer that is understood here.
const SCHEMA: u64 = 1;

/// How much of each kind fits into one screen of 24 lines.
const RULES: usize = 6;
const ADDRESSES: usize = 3;
const BLOCKED: usize = 3;
const DENIALS: usize = 3;

/// `qosctl status`
pub fn once(server: &Server, is_json: bool) -> Result<Outcome, Failure> {
    let (text, page) = look(server, "json")?;
    say(&if is_json { text } else { format!("{}\n", whole(&page).join("\n")) })?;
    Ok(Outcome::Done)
}

/// `qosctl top --once`
pub fn top_once(server: &Server, is_json: bool) -> Result<Outcome, Failure> {
    let (text, page) = look(server, "json&option=ip")?;
    say(&if is_json { text } else { format!("{}\n", screen(&page).join("\n")) })?;
    Ok(Outcome::Done)
}

/// `qosctl top`: until somebody ends it. A server that was there may come back.
pub fn top(server: &Server, is_json: bool, interval: u64) -> Result<Outcome, Failure> {
    let is_terminal = std::io::stdout().is_terminal() && !is_json;
    let mut was_reached = false;
    loop {
        match look(server, "json&option=ip") {
            Ok((text, _)) if is_json => say(&text)?,
            Ok((_, page)) => show(server, &screen(&page), is_terminal, interval)?,
            Err(failure) if !was_reached => return Err(failure),
            Err(failure) if is_terminal => {
                show(server, &[printable(&failure.words())], true, interval)?;
            }
            Err(failure) => warn(&failure.words()),
        }
        was_reached = true;
        std::thread::sleep(Duration::from_secs(interval));
    }
}

/// Draws a screen over the one before: home, each line and what is right of it, all below; lines that are too
/// long are cut by the terminal meanwhile.
fn show(
    server: &Server,
    lines: &[String],
    is_terminal: bool,
    interval: u64,
) -> Result<(), Failure> {
    if !is_terminal {
        return say(&format!("{}\n\n", lines.join("\n")));
    }
    let head =
        format!("{}, every {interval} s, end with Ctrl-C", printable(&server.url().to_string()));
    let mut frame = format!("\x1b[?7l\x1b[H{head}\x1b[K\n");
    for line in lines {
        frame.push_str(line);
        frame.push_str("\x1b[K\n");
    }
    frame.push_str("\x1b[J\x1b[?7h");
    say(&frame)
}

fn look(server: &Server, query: &str) -> Result<(String, Value), Failure> {
    let text = server.view(query)?;
    let page: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::NotUnderstood(format!("{}: {error}", server.url())))?;
    match page.get("schema").and_then(Value::as_u64) {
        Some(SCHEMA) => Ok((text, page)),
        _ => Err(Failure::NotUnderstood(format!("its schema is not {SCHEMA}"))),
    }
}

/// All that there is to say.
fn whole(page: &Value) -> Vec<String> {
    let mut lines = head(page);
    let mut rules = rules(page);
    rules.sort_by_key(|rule| rule.place);
    section(&mut lines, table_of_rules(&rules));
    section(&mut lines, held(page, usize::MAX));
    section(&mut lines, denials(page, usize::MAX));
    lines
}

/// What fits into a screen: of each kind what matters most.
fn screen(page: &Value) -> Vec<String> {
    let mut lines = head(page);
    let mut rules = rules(page);
    rules.sort_by(|a, b| b.share().total_cmp(&a.share()).then_with(|| a.place.cmp(&b.place)));
    rules.truncate(RULES);
    section(&mut lines, table_of_rules(&rules));
    section(&mut lines, addresses(page));
    section(&mut lines, held(page, BLOCKED));
    section(&mut lines, denials(page, DENIALS));
    lines
}

fn section(lines: &mut Vec<String>, more: Vec<String>) {
    if more.len() > 1 {
        lines.push(String::new());
        lines.extend(more);
    }
}

fn head(page: &Value) -> Vec<String> {
    let number = |path: &str| number(page.pointer(path));
    let mut first = format!(
        "{} of {} connections, {} workers busy, {} waiting",
        number("/connections"),
        number("/max_clients"),
        number("/workers/busy"),
        number("/workers/waiting")
    );
    if let Some(load) = page.get("load").and_then(Value::as_f64) {
        first.push_str(&format!(", load {load:.2}"));
    }
    let second = format!(
        "{} clients known, {} connected, {} blocked, {} limited",
        number("/clients/known"),
        number("/clients/connected"),
        number("/clients/blocked"),
        number("/clients/limited")
    );
    let mut lines = vec![first, second];
    if page.pointer("/busy_watch/is_busy").and_then(Value::as_bool) == Some(true) {
        let (busy, threshold) = (number("/busy_watch/busy"), number("/busy_watch/threshold"));
        lines.push(format!("the server is busy: {busy} of {threshold}, see QS_SrvBusyWatch"));
    }
    if page.get("log_only").and_then(Value::as_bool) == Some(true) {
        lines.push("rules are not enforced: QS_LogOnly is on".to_owned());
    }
    lines
}

/// A rule of a server.
struct Rule {
    place: usize,
    server: String,
    directive: String,
    argument: String,
    current: u64,
    limit: u64,
    unit: String,
}

impl Rule {
    /// How much of its limit is used up.
    fn share(&self) -> f64 {
        self.current as f64 / self.limit.max(1) as f64
    }
}

fn rules(page: &Value) -> Vec<Rule> {
    let mut all = Vec::new();
    for server in list(page, "/servers") {
        let name = format!("{}:{}", text(server.get("host")), number(server.get("port")));
        for rule in list(server, "/rules") {
            all.push(Rule {
                place: all.len(),
                server: name.clone(),
                directive: text(rule.get("directive")),
                argument: text(rule.get("rule")),
                current: number(rule.get("current")),
                limit: number(rule.get("limit")),
                unit: text(rule.get("unit")),
            });
        }
    }
    all
}

fn table_of_rules(rules: &[Rule]) -> Vec<String> {
    let mut table = Table::new(&["SERVER", "DIRECTIVE", "RULE", "CURRENT", "LIMIT", "UNIT"]);
    for rule in rules {
        table.push(vec![
            rule.server.clone(),
            rule.directive.clone(),
            rule.argument.clone(),
            rule.current.to_string(),
            rule.limit.to_string(),
            rule.unit.clone(),
        ]);
    }
    table.lines()
}

fn addresses(page: &Value) -> Vec<String> {
    let mut all: Vec<(u64, String)> = Vec::new();
    for server in list(page, "/servers") {
        for entry in list(server, "/addresses") {
            all.push((number(entry.get("connections")), text(entry.get("address"))));
        }
    }
    all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut table = Table::new(&["CONNECTIONS FROM", "NOW"]);
    for (count, address) in all.into_iter().take(ADDRESSES) {
        table.push(vec![address, count.to_string()]);
    }
    table.lines()
}

/// Blocked networks and clients, then limited ones.
fn held(page: &Value, most: usize) -> Vec<String> {
    let mut table = Table::new(&["HELD", "RULE", "COUNT", "LIMIT", "LEFT"]);
    list(page, "/blocked_networks").take(most).for_each(|it| table.push(network(page, it)));
    for kind in ["/clients/blocked_clients", "/clients/limited_clients"] {
        for client in list(page, kind).take(most) {
            let mut rule = text(client.get("directive"));
            if let Some(variable) = client.get("variable").and_then(Value::as_str) {
                rule.push_str(&format!("({variable})"));
            }
            table.push(vec![
                text(client.get("address")),
                rule,
                number(client.get("count")).to_string(),
                number(client.get("limit")).to_string(),
                span(number(client.get("remaining"))),
            ]);
        }
    }
    table.lines()
}

fn network(page: &Value, network: &Value) -> Vec<String> {
    let rule = if page.get("busy_watch").is_some() { "QS_SrvBusyWatch" } else { "-" };
    let limit =
        network.get("limit").map_or("-".to_owned(), |limit| number(Some(limit)).to_string());
    vec![
        text(network.get("network")),
        rule.to_owned(),
        number(network.get("connections")).to_string(),
        limit,
        span(number(network.get("remaining"))),
    ]
}

fn denials(page: &Value, most: usize) -> Vec<String> {
    let now = number(page.get("time"));
    let mut all: Vec<&Value> = list(page, "/denials").collect();
    all.sort_by_key(|denial| core::cmp::Reverse(number(denial.get("time"))));
    let mut table = Table::new(&["DENIED", "EVENT", "WHEN"]);
    for denial in all.into_iter().take(most) {
        let is_log_only = denial.get("log_only").and_then(Value::as_bool) == Some(true);
        let ago = span(now.saturating_sub(number(denial.get("time"))));
        let mark = if is_log_only { " (log only)" } else { "" };
        table.push(vec![
            text(denial.get("address")),
            text(denial.get("event")),
            format!("{ago} ago{mark}"),
        ]);
    }
    table.lines()
}

fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// A member may be missing: the server knows nothing of it.
fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or(0)
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or("").to_owned()
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn page() -> Value {
        serde_json::json!({
            "schema": 1, "time": 1000, "load": 0.5, "connections": 12, "max_clients": 150,
            "workers": {"busy": 3, "waiting": 29},
            "servers": [{"host": "a", "port": 0, "rules": [
                {"directive": "QS_SrvMaxConn", "rule": "", "limit": 100, "current": 12, "unit": "connections"},
                {"directive": "QS_LocRequestLimit", "rule": "/app", "limit": 4, "current": 3, "unit": "requests"}],
                "addresses": [{"address": "192.0.2.1", "connections": 2}, {"address": "::/64", "connections": 9}]}],
            "clients": {"known": 7, "connected": 2, "blocked": 1, "limited": 0, "blocked_clients": [
                {"address": "192.0.2.9", "directive": "QS_ClientEventBlockCount", "count": 20, "limit": 20, "remaining": 61}]},
            "busy_watch": {"is_busy": true, "busy": 12, "threshold": 10},
            "blocked_networks": [
                {"network": "198.51.100.0/24", "connections": 104, "limit": 100, "remaining": 590}],
            "denials": [{"time": 990, "event": "060", "address": "192.0.2.9", "log_only": false},
                        {"time": 999, "event": "031", "address": "\u{1b}]0;x", "log_only": true}]
        })
    }

    #[test]
    fn a_picture_becomes_tables() {
        assert_eq!(
            whole(&page()),
            [
                "12 of 150 connections, 3 workers busy, 29 waiting, load 0.50",
                "7 clients known, 2 connected, 1 blocked, 0 limited",
                "the server is busy: 12 of 10, see QS_SrvBusyWatch",
                "",
                "SERVER  DIRECTIVE           RULE  CURRENT  LIMIT  UNIT",
                "a:0     QS_SrvMaxConn                  12    100  connections",
                "a:0     QS_LocRequestLimit  /app        3      4  requests",
                "",
                "HELD             RULE                      COUNT  LIMIT  LEFT",
                "198.51.100.0/24  QS_SrvBusyWatch             104    100  9 min 50 s",
                "192.0.2.9        QS_ClientEventBlockCount     20     20  1 min 1 s",
                "",
                "DENIED     EVENT  WHEN",
                "?]0;x        031  1 s ago (log only)",
                "192.0.2.9    060  10 s ago",
            ]
        );
    }

    #[test]
    fn a_screen_has_what_is_nearest_to_its_limit_first() {
        let lines = screen(&page());
        let at = |text: &str| lines.iter().position(|line| line.contains(text)).expect(text);
        assert!(at("QS_LocRequestLimit") < at("QS_SrvMaxConn"));
        assert!(at("::/64") < at("192.0.2.1"));
        assert!(lines.len() < 24);
        assert_eq!(screen(&Value::Null).len(), 2, "whatever is missing");
    }
}
