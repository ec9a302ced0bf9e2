//! The busy server's watch, and the networks that are blocked as a whole.

use super::escape::{Escaped, InLink};
use super::{Bar, percent, red_if};
use crate::report::Picture;
use crate::report::clock::WallClock;
use crate::report::watch::{self, Watched};
use core::fmt::{self, Write as _};

/// Writes how the watch is configured, and whether the server is busy.
pub fn section(picture: &Picture<'_>, out: &mut String) {
    let Some(seen) = watch::look(picture) else { return };
    let Watched { watch, busy, span, directory, program, since, calm_since } = seen;
    let share = percent(busy.into(), watch.threshold.into());
    let _ = write!(
        out,
        "<section id=\"watch\"><h2 title=\"QS_SrvBusyWatch\">busy watch</h2>\n<table>\n\
         <tr title=\"QS_SrvBusyWatch\"><th scope=\"row\">busy workers or open connections</th>\
         <td{}>{busy} of {}</td><td>{}</td></tr>\n",
        red_if(share >= 100),
        watch.threshold,
        Bar(share)
    );
    let state = match (since, calm_since) {
        (None, _) => "not busy".to_owned(),
        (Some(since), None) => format!("busy since {}", WallClock::at(picture, since)),
        (Some(since), Some(calm)) => {
            let quiet = picture.now.seconds_since(calm).0;
            format!("busy since {}, calm for {quiet} sec", WallClock::at(picture, since))
        }
    };
    line(out, "QS_SrvBusyWatch", "state", &state);
    line(out, "QS_SrvBusyWatch", "offender: an address with", &Connections(watch.per_address));
    if let Some(count) = watch.per_network {
        let words = format!("offender: a network (/{}, /{}) with", watch.bits.0, watch.bits.1);
        line(out, "QS_SrvBusyWatch, QS_SrvBusyWatchNetwork", &words, &Connections(count));
    }
    line(out, "QS_ClientEventBlockCount", "is blocked for", &format_args!("{} sec", span.0));
    let files = directory
        .map_or("no files".to_owned(), |(path, kept)| format!("{path}, the last {kept} files"));
    line(out, "QS_SrvBusyWatchDir", "who held what", &files);
    line(out, "QS_SrvBusyWatchExec", "program", &program.unwrap_or("-"));
    out.push_str("</table></section>\n");
}

struct Connections(u32);

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} connection{plural}", self.0)
    }
}

/// Lists the networks that are blocked.
pub fn networks(picture: &Picture<'_>, out: &mut String) {
    let (blocked, limit) = (watch::networks(picture), picture.base.busy_watch.per_network());
    if blocked.is_empty() && limit.is_none() {
        return;
    }
    let _ = writeln!(
        out,
        "<section id=\"networks\"><h2 title=\"QS_SrvBusyWatch\">blocked networks: {}</h2>",
        blocked.len()
    );
    if blocked.is_empty() {
        out.push_str("<p class=\"soft\">none</p></section>\n");
        return;
    }
    out.push_str(
        "<table><tr><th>network</th><th class=\"n\">connections</th><th class=\"n\">limit</th>\
         <th class=\"n\">seconds left</th></tr>\n",
    );
    let limit = limit.map_or("-".to_owned(), |limit| limit.to_string());
    for block in blocked {
        let (network, left) = (block.network, block.until.seconds_until(picture.now).0);
        let _ = writeln!(
            out,
            "<tr><td><a href=\"?address={}\">{network}</a></td><td class=\"n\">{}</td>\
             <td class=\"n\">{limit}</td><td class=\"n\">{left}</td></tr>",
            InLink(network.to_string().as_bytes()),
            block.count
        );
    }
    out.push_str("</table></section>\n");
}

fn line(out: &mut String, directive: &str, words: &str, value: &dyn fmt::Display) {
    let _ = writeln!(
        out,
        "<tr title=\"{directive}\"><th scope=\"row\">{}</th><td>{}</td><td></td></tr>",
        Escaped(words),
        Escaped(value)
    );
}
