//! One section for each server: its rules, its connections, its settings.

use super::escape::Escaped;
use super::{Bar, percent, red_if};
use crate::report::clients::Walk;
use crate::report::rows::Row;
use crate::report::{Picture, ServerView, StatusRows};
use core::fmt::Write as _;

/// So many addresses of a server are listed.
const ADDRESSES: usize = 1000;

/// Writes all servers.
pub fn all(picture: &Picture<'_>, walk: &Walk<'_>, with_addresses: bool, out: &mut String) {
    for server in &picture.servers {
        let ServerView { host, port, is_virtual, .. } = server;
        let kind = if *is_virtual { "virtual" } else { "base" };
        let _ = writeln!(out, "<section><h2>{}:{port} ({kind})</h2>", Escaped(host));
        if server.is_sharing_base {
            out.push_str("<p class=\"soft\">uses base server settings and counters</p>");
        } else {
            if !is_virtual {
                clients(picture, walk, out);
            }
            rules(picture, server, out);
            connections(picture, server, walk, out);
            if with_addresses {
                addresses(picture, server, out);
            }
        }
        out.push_str("</section>\n");
    }
}

fn clients(picture: &Picture<'_>, walk: &Walk<'_>, out: &mut String) {
    if !super::has_clients(picture) {
        return;
    }
    let most = picture.base.client_identity.entries;
    let _ = write!(
        out,
        "<h3>clients</h3><table><tr><th></th><th class=\"n\">max</th><th class=\"n\">limit</th>\
         <th class=\"n\">current</th></tr>\n<tr title=\"QS_ClientEntries\"><th scope=\"row\">clients in memory\
         </th><td class=\"n\">{most}</td><td class=\"n\">-</td><td class=\"n\">{}</td></tr>\n",
        walk.known
    );
    if let Some(preference) = picture.base.client_preference.preference {
        let (max, limit) = (picture.base.server.max_clients, preference.above);
        let current = picture.open_connections();
        let _ = writeln!(
            out,
            "<tr title=\"QS_ClientPrefer\"><th scope=\"row\">connections</th><td class=\"n\">{max}</td>\
             <td class=\"n\">{limit}</td><td class=\"n{}\">{current}</td></tr>",
            if current > limit { " red" } else { "" }
        );
    }
    out.push_str("</table>\n");
}

/// The rules that count requests and events; those of connections come below.
fn rules(picture: &Picture<'_>, server: &ServerView<'_>, out: &mut String) {
    let rows = StatusRows::of(picture, server);
    let mut is_begun = false;
    for row in rows.iter().filter(|row| !row.is_of_connections()) {
        if !is_begun {
            out.push_str(
                "<h3>rules</h3><table><tr><th>directive</th><th>rule</th><th class=\"n\">limit</th>\
                 <th class=\"n\">current</th><th></th></tr>\n",
            );
            is_begun = true;
        }
        let Row { directive, limit, span, rule, current, unit } = row;
        let _ = write!(
            out,
            "<tr><td>{directive}</td><td class=\"rule\">{}</td><td class=\"n\">",
            Escaped(rule)
        );
        let _ = match (limit, span) {
            (0, _) => out.write_str("-"),
            (limit, Some(span)) => write!(out, "{limit} in {} s", span.0),
            (limit, None) => write!(out, "{limit}"),
        };
        let _ = write!(
            out,
            "</td><td class=\"n{}\">{current} {}</td><td>",
            if row.is_full() { " red" } else { "" },
            unit.words()
        );
        if *limit > 0 {
            let _ = write!(out, "{}", Bar(percent(*current, *limit)));
        }
        out.push_str("</td></tr>\n");
    }
    if is_begun {
        out.push_str("</table>\n");
    }
}

fn connections(picture: &Picture<'_>, server: &ServerView<'_>, walk: &Walk<'_>, out: &mut String) {
    out.push_str("<h3>connections</h3>");
    let policy = server.policy;
    let limits = &policy.connection_limit;
    if !server.has_own_connection_counters {
        out.push_str("<p class=\"soft\">the base server's counters and limits are used</p>\n");
        return;
    }
    out.push_str("<table>\n");
    if limits.per_address.is_some() {
        let free = picture.store.peers.size().saturating_sub(walk.held_peers);
        line(out, "QS_SrvMaxConnPerIP", "free ip entries", &free);
    }
    let current = server.connections(picture);
    let limit = [limits.max, limits.close_above].into_iter().flatten().min();
    let is_red = limit.is_some_and(|limit| current >= limit);
    let _ = write!(
        out,
        "<tr title=\"QS_SrvMaxConn, QS_SrvMaxConnClose\"><th scope=\"row\">current connections</th>\
         <td class=\"n{}\">{current}</td><td>",
        if is_red { " red" } else { "" }
    );
    if let Some(limit) = limit {
        let _ = write!(out, "{}", Bar(percent(current.into(), limit.into())));
    }
    out.push_str("</td></tr>\n");
    if !server.is_virtual {
        line(out, "QS_AllConn", "total connections", &picture.open_connections());
    }
    let or_none = |limit: Option<u32>| limit.map_or("-".to_owned(), |limit| limit.to_string());
    line(out, "QS_SrvMaxConn", "max connections", &or_none(limits.max));
    line(
        out,
        "QS_SrvMaxConnClose",
        "max connections with keep-alive",
        &or_none(limits.close_above),
    );
    line(out, "QS_SrvMaxConnPerIP", "max connections per client ip", &or_none(limits.per_address));
    let rate = policy.data_rate.rule.map_or("-".to_owned(), |rule| {
        let (min, max) = (rule.ramp.min, or_none(rule.ramp.max));
        let now = rule.ramp.required(picture.open_connections(), picture.base.server.max_clients);
        format!("{min}/{max}/{now}")
    });
    line(out, "QS_SrvMinDataRate", "min. data rate (min/max/current)", &rate);
    out.push_str("</table>\n");
}

fn addresses(picture: &Picture<'_>, server: &ServerView<'_>, out: &mut String) {
    let addresses = server.addresses(picture);
    if addresses.is_empty() {
        return;
    }
    let listed = addresses.len().min(ADDRESSES);
    let most = if listed < addresses.len() { ", those with most connections" } else { "" };
    let _ = writeln!(
        out,
        "<h3>connections per address: {}{most}</h3><table><tr><th>address</th>\
         <th class=\"n\">connections</th><th></th></tr>",
        addresses.len()
    );
    for (address, count) in addresses.into_iter().take(listed) {
        let is_red = server.policy.connection_limit.per_address.is_some_and(|limit| count >= limit);
        let shown = picture.shown(address);
        let _ = writeln!(
            out,
            "<tr title=\"QS_SrvMaxConnPerIP\"><td{}>{shown}</td><td class=\"n\">{count}</td><td></td></tr>",
            red_if(is_red)
        );
    }
    out.push_str("</table>\n");
}

fn line(out: &mut String, directive: &str, words: &str, value: &dyn core::fmt::Display) {
    let _ = writeln!(
        out,
        "<tr title=\"{directive}\"><th scope=\"row\">{words}</th><td class=\"n\">{}</td><td></td></tr>",
        Escaped(value)
    );
}
