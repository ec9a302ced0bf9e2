//! `qos-metrics`: the text that Prometheus reads. Names, labels and units are interface (additions.md 5); no
//! label tells of a client, so there are as many series as the configuration has rules.

use super::rows::{Row, Unit};
use super::{Asked, Page, Picture, ServerView, StatusRows, events, watch};
use crate::rules::client_limit;
use crate::store::rules::{Outcome, Tallied};
use core::fmt::{self, Write as _};
use std::collections::{HashMap, HashSet};

/// A metric. All are told of in `docs/metrics.md`.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident: $kind:literal $name:literal, $help:literal;)+) => {
        $(const $constant: Metric = Metric { name: $name, kind: $kind, help: $help };)+
        #[cfg(test)]
        const METRICS: &[&Metric] = &[$(&$constant),+];
    };
}

metrics! {
    INFO: "gauge" "modqos_info", "The version of this module; always 1.";
    CONNECTIONS: "gauge" "modqos_connections", "Open connections, of each server that counts its own.";
    CONNECTIONS_MAX: "gauge" "modqos_connections_max", "Connections that can be served: what percentages are taken of.";
    WORKERS: "gauge" "modqos_workers", "Workers of httpd by what they are at; open is a free place of the scoreboard.";
    RULE_CURRENT: "gauge" "modqos_rule_current", "What a rule counts now: connections, requests, events, requests or octets per second.";
    RULE_LIMIT: "gauge" "modqos_rule_limit", "The limit of a rule, in the same unit; 0 is none.";
    OUTCOMES: "counter" "modqos_rule_outcomes_total", "What rules made of the connections, requests and events that they counted.";
    EVENTS: "counter" "modqos_events_total", "Numbered log events, those included that were not written.";
    CLIENTS: "gauge" "modqos_clients", "Clients that are remembered.";
    CLIENTS_MAX: "gauge" "modqos_clients_max", "Clients that can be remembered without being connected.";
    EVICTED: "counter" "modqos_clients_evicted_total", "Clients that were forgotten for others.";
    BLOCKED: "gauge" "modqos_clients_blocked", "Clients that are blocked now by QS_ClientEventBlockCount.";
    NETWORKS: "gauge" "modqos_networks_blocked", "Networks that are blocked now as a whole.";
    EPISODE: "gauge" "modqos_busy_watch_episode", "1 while QS_SrvBusyWatch finds the server busy.";
    WAITING: "gauge" "modqos_requests_waiting", "Requests that are held up, or wait for their turn.";
    RECLAIMED: "counter" "modqos_leases_reclaimed_total", "Counted units that came back from children that were killed.";
}

/// Answers the handler `qos-metrics`.
pub fn answer(picture: &Picture<'_>, asked: &Asked<'_>) -> Page {
    let body = if asked.is_head { String::new() } else { render(picture) };
    Page::new("text/plain; version=0.0.4; charset=utf-8", body)
}

/// Writes all metrics.
pub fn render(picture: &Picture<'_>) -> String {
    let mut text = Text(String::with_capacity(8192));
    let named = names(picture);
    text.one(&INFO, &[("version", picture.version)], 1);

    let connections = named.iter().filter(|(server, _)| server.has_own_connection_counters);
    let connections = connections.map(|(server, name)| {
        (labels(&[("server", name)]), u64::from(server.connections(picture)))
    });
    text.all(&CONNECTIONS, connections);
    text.one(&CONNECTIONS_MAX, &[], picture.workers.max_clients.into());
    let workers = picture.workers.states().into_iter();
    text.all(&WORKERS, workers.map(|(state, n)| (labels(&[("state", state)]), u64::from(n))));

    let rows = rows(picture, &named);
    let of_rows = |value: fn(&Row) -> u64| {
        rows.iter().map(move |(labels, row)| (labels.clone(), value(row) * scale(row.unit)))
    };
    text.all(&RULE_CURRENT, of_rows(|row| row.current));
    text.all(&RULE_LIMIT, of_rows(|row| row.limit));
    text.all(&OUTCOMES, outcomes(picture, &named));

    let totals = &picture.store.totals;
    let events = events::numbers().into_iter().map(|number| {
        let event = format!("{number:03}");
        (labels(&[("event", &event)]), totals.of(number))
    });
    text.all(&EVENTS, events);

    let clients = &picture.store.clients;
    text.one(&CLIENTS, &[], clients.all().count() as u64);
    text.one(&CLIENTS_MAX, &[], clients.remembering() as u64);
    text.one(&EVICTED, &[], clients.evicted());
    let blocked = client_limit::blocked_clients(&picture.base.client_limit, picture);
    text.one(&BLOCKED, &[], blocked as u64);
    text.one(&NETWORKS, &[], watch::networks(picture).len() as u64);
    let seen = watch::look(picture);
    text.all(&EPISODE, seen.map(|seen| (String::new(), u64::from(seen.since.is_some()))));
    text.one(&WAITING, &[], picture.store.sleepers.count().into());
    text.one(&RECLAIMED, &[], picture.store.children.reclaimed());
    text.0
}

/// A name for each server that has anything of its own: `base`, or name and port, with a number behind
/// those that others have, too.
fn names<'p, 's>(picture: &'p Picture<'s>) -> Vec<(&'p ServerView<'s>, String)> {
    let mut used: HashMap<String, u32> = HashMap::new();
    let own = picture.servers.iter().filter(|server| !server.is_sharing_base);
    own.map(|server| {
        if !server.is_virtual {
            return (server, "base".to_owned());
        }
        let name = format!("{}:{}", server.host, server.port);
        let count = used.entry(name.clone()).or_default();
        *count += 1;
        (server, if *count > 1 { format!("{name}#{count}") } else { name })
    })
    .collect()
}

/// The rows that pages show, with their labels.
fn rows(picture: &Picture<'_>, named: &[(&ServerView<'_>, String)]) -> Vec<(String, Row)> {
    let of_server = |(server, name): &(&ServerView<'_>, String)| {
        let rows: Vec<(String, Row)> = StatusRows::of(picture, server)
            .iter()
            .map(|row| (of_rule(name, row.directive, &row.rule), row.clone()))
            .collect();
        rows
    };
    named.iter().flat_map(of_server).collect()
}

fn outcomes(picture: &Picture<'_>, named: &[(&ServerView<'_>, String)]) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for (server, name) in named {
        for Tallied { directive, rule, is_of_all, tally } in &server.policy.pages.tallied {
            // What counts for all servers is told of once.
            if *is_of_all && server.is_virtual {
                continue;
            }
            let of_rule = of_rule(name, directive, rule);
            for outcome in Outcome::ALL {
                let labels = format!("{of_rule},outcome=\"{}\"", outcome.name());
                all.push((labels, picture.store.rules.counted(*tally, outcome)));
            }
        }
    }
    all
}

/// Octets are the base unit.
fn scale(unit: Unit) -> u64 {
    if unit == Unit::KilobytesPerSecond { 1024 } else { 1 }
}

fn of_rule(server: &str, directive: &str, rule: &str) -> String {
    labels(&[("server", server), ("directive", directive), ("rule", rule)])
}

fn labels(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // A String takes everything.
        let _ = write!(text, "{comma}{name}=\"{}\"", Escaped(value));
    }
    text
}

/// The value of a label: three letters have to be escaped, and no others may be.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => f.write_str("\\\\"),
                '"' => f.write_str("\\\""),
                '\n' => f.write_str("\\n"),
                letter => f.write_char(letter),
            }?;
        }
        Ok(())
    }
}

struct Text(String);

impl Text {
    fn one(&mut self, metric: &Metric, of: &[(&str, &str)], value: u64) {
        self.all(metric, [(labels(of), value)]);
    }

    /// Writes a metric with all of its series; one without any is left out. A second series with the same
    /// labels would make the whole page unreadable.
    fn all(&mut self, metric: &Metric, series: impl IntoIterator<Item = (String, u64)>) {
        let Metric { name, kind, help } = metric;
        let mut seen = HashSet::new();
        for (labels, value) in series {
            if seen.is_empty() {
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
            }
            if seen.contains(&labels) {
                continue;
            }
            let _ = match labels.as_str() {
                "" => writeln!(self.0, "{name} {value}"),
                labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
            };
            seen.insert(labels);
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
