//! The page for people: what holds whom up, and how near the limits are. No script, nothing from elsewhere; what
//! others wrote gets in through [`escape`] alone.
//!
//! Title attributes name the directives (status-and-console.md 1).

mod client;
mod escape;
mod servers;
mod watch;

use super::clients::{self, Held, Top, Walk};
use super::clock::WallClock;
use super::{Asked, Picture};
use crate::rules;
use crate::store::recent::Denied;
use core::fmt::{self, Write as _};
use escape::{Escaped, InLink};

const STYLE: &str = include_str!("html/style.css");

/// What a reader has chosen, and what links keep.
#[derive(Clone, Copy, Debug)]
struct Choice<'a> {
    refreshes: bool,
    with_addresses: bool,
    address: Option<&'a [u8]>,
}

impl<'a> Choice<'a> {
    fn of(asked: &Asked<'a>) -> Choice<'a> {
        Choice {
            refreshes: asked.query.has("refresh"),
            with_addresses: asked.query.wants_addresses(),
            address: asked.query.get("address").filter(|address| !address.is_empty()),
        }
    }
}

/// The query of a link to the same page.
impl fmt::Display for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("?")?;
        if self.refreshes {
            f.write_str("refresh&amp;")?;
        }
        if self.with_addresses {
            f.write_str("option=ip&amp;")?;
        }
        if let Some(address) = self.address {
            write!(f, "address={}", InLink(address))?;
        }
        Ok(())
    }
}

/// Writes the whole page.
pub fn render(picture: &Picture<'_>, asked: &Asked<'_>) -> String {
    let mut out = String::new();
    let choice = Choice::of(asked);
    let host = picture.servers.first().map_or("", |server| server.host.as_str());
    let mut path = asked.path;
    while let [beginning @ .., b'/'] = path {
        path = beginning;
    }
    // A String takes everything: nowhere here is an error to look at.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>mod_qos - {}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <link rel=\"icon\" href=\"{}/favicon.ico\"><style>\n{STYLE}</style></head><body>\n\
         <header><h1>mod_qos <span class=\"soft\">{}</span></h1></header>\n<main>\n",
        Escaped(host),
        InLink(path),
        Escaped(host),
    );
    let walk = clients::walk(picture);
    overview(picture, &walk, &mut out);
    settings(picture, choice, &mut out);
    watch::section(picture, &mut out);
    restrained(picture, &walk, &mut out);
    watch::networks(picture, &mut out);
    denials(picture, &mut out);
    servers::all(picture, &walk, choice.with_addresses, &mut out);
    events(picture, &mut out);
    let _ = write!(
        out,
        "</main>\n<footer>{}, mod_qos {}</footer>\n</body></html>\n",
        WallClock::of(picture),
        Escaped(picture.version)
    );
    out
}

/// Writes what goes below mod_status's own page: no style, no buttons.
pub fn section(picture: &Picture<'_>) -> String {
    let mut out = String::new();
    let _ = write!(out, "<hr />\n<h1>mod_qos {}</h1>\n", Escaped(picture.version));
    let walk = clients::walk(picture);
    overview(picture, &walk, &mut out);
    servers::all(picture, &walk, false, &mut out);
    out
}

fn overview(picture: &Picture<'_>, walk: &Walk<'_>, out: &mut String) {
    let open = picture.open_connections();
    let max = picture.workers.max_clients;
    let (busy, load) = (picture.workers.busy(), picture.load.unwrap_or(0.0));
    if picture.base.server.is_log_only {
        out.push_str(
            "<p class=\"note\" title=\"QS_LogOnly\"><b>log only:</b> rules are not enforced</p>\n",
        );
    }
    out.push_str("<section id=\"overview\"><h2>overview</h2>\n<div class=\"tiles\">\n");
    let share = percent(open.into(), max.into());
    let _ = writeln!(
        out,
        "<div class=\"tile\" title=\"QS_MaxClients\"><b id=\"connections\"{}>{open}</b>\
         connections of {max}{}</div>",
        red_if(share >= 90),
        Bar(share)
    );
    let share = percent(busy.into(), max.into());
    let _ = writeln!(
        out,
        "<div class=\"tile\"><b{}>{busy}</b>busy workers{}</div>",
        red_if(share >= 90),
        Bar(share)
    );
    let share = (load * 100.0 / f64::from(picture.processors.max(1))) as u64;
    let _ = writeln!(
        out,
        "<div class=\"tile\"><b>{load:.2}</b>load of {} processors{}</div>",
        picture.processors,
        Bar(share)
    );
    for (count, words, directive) in [
        (walk.blocked.total, "clients blocked", "QS_ClientEventBlockCount"),
        (walk.limited.total, "clients limited", "QS_ClientEventLimitCount"),
    ] {
        let _ = writeln!(
            out,
            "<div class=\"tile\" title=\"{directive}\"><b{}>{count}</b>{words}</div>",
            red_if(count > 0)
        );
    }
    out.push_str("</div></section>\n");
}

fn settings(picture: &Picture<'_>, choice: Choice<'_>, out: &mut String) {
    let has_clients = has_clients(picture);
    if !has_clients && picture.base.connection_limit.per_address.is_none() {
        return;
    }
    out.push_str("<section id=\"settings\"><h2>viewer settings</h2><div class=\"settings\">\n");
    let Choice { refreshes, with_addresses, .. } = choice;
    for (is_on, words, other) in [
        (refreshes, "auto refresh", Choice { refreshes: !refreshes, ..choice }),
        (
            with_addresses,
            "client ip connections",
            Choice { with_addresses: !with_addresses, ..choice },
        ),
    ] {
        let (class, state) = if is_on { (" on", "on") } else { ("", "off") };
        let _ = writeln!(out, "<a class=\"button{class}\" href=\"{other}\">{words}: {state}</a>");
    }
    if has_clients {
        out.push_str("<form method=\"get\" title=\"QS_ClientEntries\">");
        for (is_on, field) in [
            (refreshes, "<input type=\"hidden\" name=\"refresh\" value=\"\">"),
            (with_addresses, "<input type=\"hidden\" name=\"option\" value=\"ip\">"),
        ] {
            out.push_str(if is_on { field } else { "" });
        }
        let _ = write!(
            out,
            "<input name=\"address\" aria-label=\"client address\" placeholder=\"client address\" \
             value=\"{}\"><button name=\"action\" value=\"search\">search</button></form>",
            escape::octets(choice.address.unwrap_or(b""))
        );
    }
    out.push_str("</div>\n");
    if let Some(text) = choice.address.filter(|_| has_clients) {
        client::render(picture, text, out);
    }
    out.push_str("</section>\n");
}

/// Tells whether anything is known of clients.
fn has_clients(picture: &Picture<'_>) -> bool {
    picture.base.counts_clients() || picture.store.clients.remembers()
}

fn restrained(picture: &Picture<'_>, walk: &Walk<'_>, out: &mut String) {
    let (blocks, limits) =
        (picture.base.client_limit.block.is_some(), picture.base.client_event_limit.is_on());
    if !blocks && !limits {
        return;
    }
    out.push_str("<div class=\"two\">");
    if blocks {
        held(picture, "blocked", "QS_ClientEventBlockCount", &walk.blocked, out);
    }
    if limits {
        held(picture, "limited", "QS_ClientEventLimitCount", &walk.limited, out);
    }
    out.push_str("</div>\n");
}

fn held(picture: &Picture<'_>, what: &str, directive: &str, top: &Top<'_>, out: &mut String) {
    let Top { total, list } = top;
    let _ = writeln!(
        out,
        "<section id=\"{what}\"><h2 title=\"{directive}\">{what} clients: {total}</h2>"
    );
    if (list.len() as u64) < *total {
        let listed = list.len();
        let _ = writeln!(out, "<p class=\"soft\">The {listed} that are {what} for longest:</p>");
    }
    if !list.is_empty() {
        let is_limit = list.iter().any(|held| !held.variable.is_empty());
        let variable = if is_limit { "<th>variable</th>" } else { "" };
        let _ = writeln!(
            out,
            "<table><tr><th>address</th>{variable}<th class=\"n\">events</th><th class=\"n\">limit</th>\
             <th class=\"n\">seconds left</th></tr>"
        );
        for Held { address, directive, variable, count, limit, remaining } in list {
            let shown = picture.shown(*address);
            let _ = write!(
                out,
                "<tr><td><a href=\"?address={}\">{shown}</a></td>",
                InLink(shown.to_string().as_bytes())
            );
            if is_limit {
                let _ = write!(out, "<td title=\"{directive}\">{}</td>", Escaped(variable));
            }
            let seconds = remaining.0;
            let _ = writeln!(
                out,
                "<td class=\"n\">{count}</td><td class=\"n\">{limit}</td><td class=\"n\">{seconds}</td></tr>"
            );
        }
        out.push_str("</table>");
    } else {
        out.push_str("<p class=\"soft\">nobody</p>");
    }
    out.push_str("</section>\n");
}

/// What an event is about: when it is written.
fn about(number: u16) -> &'static str {
    let event = rules::log_events().find(|event| event.number == number);
    event.map_or("", |event| event.when)
}

/// The directive that an event's line names.
fn directive_of(number: u16) -> &'static str {
    let event = rules::log_events().find(|event| event.number == number);
    let format = event.map_or("", |event| event.format);
    let rest = format.find("QS_").and_then(|at| format.get(at..)).unwrap_or("");
    rest.split([' ', '(', '*', ':']).next().unwrap_or("")
}

fn denials(picture: &Picture<'_>, out: &mut String) {
    let recent = picture.store.recent.all();
    if recent.is_empty() {
        return;
    }
    out.push_str(
        "<section id=\"denials\"><h2>last denials</h2>\n<table><tr><th>time</th><th class=\"n\">times</th>\
         <th>address</th><th>event</th><th>directive</th></tr>\n",
    );
    let is_same = |one: &Denied, other: &Denied| {
        (one.event, one.address, one.is_log_only) == (other.event, other.address, other.is_log_only)
    };
    for series in recent.chunk_by(is_same) {
        let Some(denied) = series.first() else { continue };
        let Denied { when, event, is_log_only, address } = *denied;
        let _ = writeln!(
            out,
            "<tr><td class=\"when\">{}</td><td class=\"n\">{}</td><td><a href=\"?address={}\">{address}</a></td>\
             <td title=\"{}\">{event:03}{}</td><td>{}</td></tr>",
            WallClock::at(picture, when),
            series.len(),
            InLink(address.to_string().as_bytes()),
            Escaped(about(event)),
            if is_log_only { " (log only)" } else { "" },
            Escaped(directive_of(event))
        );
    }
    out.push_str("</table></section>\n");
}

fn events(picture: &Picture<'_>, out: &mut String) {
    let totals = &picture.store.totals;
    let happened = super::events::numbers().into_iter().map(|event| (event, totals.of(event)));
    let happened: Vec<(u16, u64)> = happened.filter(|(_, total)| *total > 0).collect();
    if happened.is_empty() {
        return;
    }
    out.push_str(
        "<section id=\"events\"><h2 title=\"QS_EventCount\">log events since the start</h2>\n<table><tr>\
         <th>event</th><th class=\"n\">total</th><th>what</th></tr>\n",
    );
    for (event, total) in happened {
        let _ = writeln!(
            out,
            "<tr><td>mod_qos({event:03})</td><td class=\"n\">{total}</td><td class=\"soft\">{}</td></tr>",
            Escaped(about(event))
        );
    }
    out.push_str("</table></section>\n");
}

fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100) / whole.max(1)
}

fn red_if(is_red: bool) -> &'static str {
    if is_red { " class=\"red\"" } else { "" }
}

/// A bar of so many hundredths; from ninety on in the colour of a limit.
struct Bar(u64);

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, width) = (self.0, self.0.min(100));
        let class = if share >= 90 { "bar limit" } else { "bar" };
        write!(
            f,
            "<div class=\"{class}\" role=\"img\" aria-label=\"{share} %\"><i style=\"width:{width}%\"></i></div>"
        )
    }
}
