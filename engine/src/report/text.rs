//! `?auto`: one fact a line, for scripts. Order and spelling are interface (status-and-console.md 2).

use super::events;
use super::rows::Row;
use super::{Picture, Query, ServerView, StatusRows};
use core::fmt::Write as _;

/// Writes all lines.
pub fn render(picture: &Picture<'_>, query: &Query) -> String {
    let mut text = String::new();
    lines(picture, query, &mut text);
    text
}

fn lines(picture: &Picture<'_>, query: &Query, out: &mut String) {
    // A String takes everything, so there is no error to look at.
    let _ = writeln!(out, "b;system.load: {:.2}", picture.load.unwrap_or(0.0));
    if picture.base.client_preference.preference.is_some() {
        let [html, css, images, other, same] = picture.store.clients.contents_of_everybody();
        let _ = writeln!(
            out,
            "b;clientContentTypes(html,css/js,images,other,304): {html} {css} {images} {other} {same}"
        );
    }
    for server in &picture.servers {
        of_server(picture, server, query, out);
    }
    if picture.base.pages.shows_events {
        for event in events::numbers() {
            let (new, total) = picture.store.totals.take_new(event);
            let _ = writeln!(out, "e;mod_qos({event:03});new: {new}");
            let _ = writeln!(out, "e;mod_qos({event:03});total: {total}");
        }
    }
}

fn of_server(picture: &Picture<'_>, server: &ServerView<'_>, query: &Query, out: &mut String) {
    let ServerView { host, port, .. } = server;
    let letter = server.letter();
    if !server.is_virtual {
        let open = picture.open_connections();
        let _ = writeln!(out, "{letter};{host};{port};QS_AllConn: {open}");
    }
    for row in StatusRows::of(picture, server).iter() {
        let Row { directive, limit, span, rule, current, .. } = row;
        let _ = write!(out, "{letter};{host};{port};{directive};{limit}");
        if let Some(span) = span {
            let _ = write!(out, "/{}", span.0);
        }
        let _ = writeln!(out, "[{rule}]: {current}");
    }
    if query.wants_addresses() {
        for (address, count) in server.addresses(picture) {
            let address = picture.shown(address);
            let _ = writeln!(out, "{letter};{host};{port};QS_SrvMaxConnPerIP;{address}: {count}");
        }
    }
}
