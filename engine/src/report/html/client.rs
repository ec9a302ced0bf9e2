//! What is known of one client that somebody asks for.

use super::escape::{self, Escaped};
use crate::report::Picture;
use crate::report::clients::{self, Known, Tally};
use crate::report::clock::WallClock;
use crate::report::watch;
use crate::store::networks::Block;
use crate::time::Tick;
use core::fmt::{self, Write as _};

/// Writes what is known of the client with this address.
pub fn render(picture: &Picture<'_>, text: &[u8], out: &mut String) {
    out.push_str("<table id=\"client\">\n");
    let network = watch::network_of(picture, text);
    match clients::look(picture, text) {
        Some(known) => lines(picture, &known, out),
        None if network.is_some() => line(out, "", "IP", &escape::octets(text).0),
        None => line(out, "", &escape::octets(text).0, &"not found"),
    }
    if let Some(Block { network, until, count }) = network {
        let left = until.seconds_until(picture.now).0;
        let words = format!("{network}, {count} connections, {left} sec left");
        line(out, "QS_SrvBusyWatch", "blocked network", &words);
    }
    out.push_str("</table>\n");
}

fn lines(picture: &Picture<'_>, known: &Known<'_>, out: &mut String) {
    line(out, "", "IP", &picture.shown(known.address));
    let last = match known.last_use {
        _ if known.connections > 0 => format!("connected, {} connections", known.connections),
        Some(moment) => WallClock::at(picture, moment).to_string(),
        // What it did so that it is marked is the last that is known.
        None => known
            .marked_since()
            .map_or("-".to_owned(), |moment| format!("after {}", WallClock::at(picture, moment))),
    };
    line(out, "", "last request", &last);
    let yes = |is_so: bool| if is_so { "yes" } else { "no" };
    line(out, "QS_VipIPHeaderName", "vip", &yes(known.standing.is_vip));
    match &known.block {
        Some(tally) => {
            let words = format!("blocked (QS_Block, {})", tally.max);
            line(out, "QS_ClientEventBlockCount", &words, &Tallied(tally, picture.now));
        }
        None => line(out, "QS_ClientEventBlockCount", "blocked", &"off"),
    }
    if known.limits.is_empty() {
        line(out, "QS_ClientEventLimitCount", "limited", &"off");
    }
    for (limit, tally) in &known.limits {
        let words = format!("limited ({}, {})", limit.variable, limit.max);
        line(out, limit.directive, &words, &Tallied(tally, picture.now));
    }
    let pace = known
        .pace
        .map_or("off".to_owned(), |(rate, delay)| format!("{rate}, delay {} ms", delay.0));
    line(out, "QS_ClientEventPerSecLimit", "events/sec", &pace);
    let standing = format!("{} (0x{:02x})", yes(known.standing.is_low), known.standing.flags);
    line(out, "QS_ClientPrefer", "low prio", &standing);
    let requests = known.requests.map_or("off".to_owned(), |count| count.to_string());
    line(out, "QS_ClientEventRequestLimit", "concurrent events", &requests);
    if let Some(own) = known.contents {
        let all = picture.store.clients.contents_of_everybody();
        for (words, numbers) in
            [("content of this client", own.map(u64::from)), ("of all clients", all)]
        {
            let [html, css, images, other, same] = numbers;
            let numbers =
                format!("html {html}, css/js {css}, images {images}, other {other}, 304 {same}");
            line(out, "QS_ClientContentTypes", words, &numbers);
        }
        if let Some(usual) = picture.base.client_preference.usual_shares() {
            let [html, css, images, other, same] = usual;
            let shares = format!(
                "html {html} %, css/js {css} %, images {images} %, other {other} %, 304 {same} %"
            );
            line(out, "QS_ClientContentTypes", "as configured", &shares);
        }
    }
}

/// Events, the seconds since the first, and for how long they still hold the client; `no` without any.
struct Tallied<'a>(&'a Tally, Tick);

impl fmt::Display for Tallied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tallied(Tally { reading, max, span }, now) = *self;
        if reading.count == 0 {
            return f.write_str("no");
        }
        write!(f, "{}, {} sec", reading.count, now.seconds_since(reading.start).0)?;
        if reading.count >= *max {
            write!(f, ", {} sec left", reading.start.after(*span).seconds_until(now).0)?;
        }
        Ok(())
    }
}

fn line(out: &mut String, directive: &str, words: &str, value: &dyn fmt::Display) {
    let _ = writeln!(
        out,
        "<tr title=\"{directive}\"><th scope=\"row\">{}</th><td>{}</td></tr>",
        Escaped(words),
        Escaped(value)
    );
}
