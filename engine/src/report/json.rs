//! `?json`: the same facts for programs. What is here is described in docs/status.md; a member may be added under
//! the same schema number, never renamed or retyped.
//! Spec: additions.md 5.

mod watch;
mod writer;

use super::clients::{Top, Walk};
use super::{Picture, Query, ServerView, StatusRows, clients, events};
use writer::{Array, Object};

/// The number of the form that this page has.
const SCHEMA: u64 = 1;

/// Writes the whole object.
pub fn render(picture: &Picture<'_>, query: &Query) -> String {
    let mut text = writer::object(|page| {
        page.number("schema", SCHEMA);
        page.text("version", picture.version);
        page.number("time", picture.epoch_seconds);
        page.decimal("load", picture.load);
        page.flag("log_only", picture.base.server.is_log_only);
        page.number("connections", picture.open_connections().into());
        page.number("max_clients", picture.workers.max_clients.into());
        page.object("workers", |out| workers(picture, out));
        if picture.base.client_preference.preference.is_some() {
            page.object("content_types", |out| {
                let names = ["html", "css_js", "images", "other", "not_modified"];
                for (name, count) in
                    names.into_iter().zip(picture.store.clients.contents_of_everybody())
                {
                    out.number(name, count);
                }
            });
        }
        page.array("servers", |out| {
            for server in &picture.servers {
                out.object(|out| of_server(picture, server, query, out));
            }
        });
        page.object("clients", |out| of_clients(picture, out));
        page.array("blocked_networks", |out| watch::networks(picture, out));
        watch::member(picture, page);
        page.array("denials", |out| denials(picture, out));
        if picture.base.pages.shows_events {
            page.array("events", |out| {
                for event in events::numbers() {
                    let (new, total) = picture.store.totals.take_new(event);
                    out.object(|out| {
                        out.text("event", &format!("{event:03}"));
                        out.number("new", new);
                        out.number("total", total);
                    });
                }
            });
        }
    });
    text.push('\n');
    text
}

fn workers(picture: &Picture<'_>, out: &mut Object<'_>) {
    let workers = &picture.workers;
    for (name, count) in [
        ("busy", workers.busy()),
        ("open", workers.open),
        ("waiting", workers.waiting),
        ("read", workers.read),
        ("write", workers.write),
        ("keepalive", workers.keepalive),
        ("start", workers.start),
        ("log", workers.log),
        ("dns", workers.dns),
        ("closing", workers.closing),
        ("finishing", workers.finishing),
        ("idle", workers.idle),
    ] {
        out.number(name, count.into());
    }
}

fn of_server(picture: &Picture<'_>, server: &ServerView<'_>, query: &Query, out: &mut Object<'_>) {
    out.flag("virtual", server.is_virtual);
    out.text("host", &server.host);
    out.number("port", server.port.into());
    out.flag("uses_base", server.is_sharing_base);
    if server.has_own_connection_counters && !server.is_sharing_base {
        out.number("connections", server.connections(picture).into());
    }
    out.array("rules", |out| {
        for row in StatusRows::of(picture, server).iter() {
            out.object(|out| {
                out.text("directive", row.directive);
                out.text("rule", &row.rule);
                out.number("limit", row.limit);
                if let Some(span) = row.span {
                    out.number("seconds", span.0.into());
                }
                out.number("current", row.current);
                out.text("unit", row.unit.words());
            });
        }
    });
    if query.wants_addresses() {
        out.array("addresses", |out| {
            for (address, count) in server.addresses(picture) {
                out.object(|out| {
                    out.text("address", &picture.shown(address).to_string());
                    out.number("connections", count.into());
                });
            }
        });
    }
}

fn of_clients(picture: &Picture<'_>, out: &mut Object<'_>) {
    let Walk { known, connected, blocked, limited, .. } = clients::walk(picture);
    out.number("known", known);
    out.number("connected", connected);
    out.number("evicted", picture.store.clients.evicted());
    out.number("blocked", blocked.total);
    out.number("limited", limited.total);
    out.array("blocked_clients", |out| held(picture, &blocked, out));
    out.array("limited_clients", |out| held(picture, &limited, out));
}

fn held(picture: &Picture<'_>, top: &Top<'_>, out: &mut Array<'_>) {
    for held in &top.list {
        out.object(|out| {
            out.text("address", &picture.shown(held.address).to_string());
            out.text("directive", held.directive);
            if !held.variable.is_empty() {
                out.text("variable", held.variable);
            }
            out.number("count", held.count.into());
            out.number("limit", held.limit.into());
            out.number("remaining", held.remaining.0.into());
        });
    }
}

fn denials(picture: &Picture<'_>, out: &mut Array<'_>) {
    for denied in picture.store.recent.all() {
        out.object(|out| {
            let ago = picture.now.seconds_since(denied.when).0;
            out.number("time", picture.epoch_seconds.saturating_sub(ago.into()));
            out.text("event", &format!("{:03}", denied.event));
            out.text("address", &denied.address.to_string());
            out.flag("log_only", denied.is_log_only);
        });
    }
}
