//! A line of the error log each minute: what the workers are at.
//! Spec: status-and-console.md 4. Phases: none; the parent asks every ten seconds or so.

use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::report::Workers;
use crate::store::marks::CLASSES;
use crate::values::Capacity;
use std::fmt::Write;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    is_on: Option<bool>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether a line is written at each full minute.
    pub is_on: bool,
}

/// `mod_qos(200)`
pub static STATUS: LogEvent = LogEvent {
    number: 200,
    level: Level::Notice,
    is_counted: false,
    format: "{ \"scoreboard\": { \"open\": n, .. }, \"maxclients\": { \"max\": n, \"busy\": n, \"QS_AllConn\": n }, \"clientContentTypes\": { .. } }",
    when: "each full minute, with QS_Status on; the last part only with QS_ClientPrefer",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&STATUS];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QS_Status",
        arguments: c"on|off",
        arity: Arity::One,
        scope: Scope::BaseServer,
        range: "on, off",
        default: "off",
        help: "Writes event 200 at each full minute, once for the whole server: how many workers are in which \
               state, how many are busy, and all open connections (QS_AllConn), as JSON on one line. httpd \
               looks at the time every ten seconds, so the line comes up to ten seconds late.",
        spec: "status-and-console.md 4",
    },
    set: |settings, arguments| {
        settings.is_on = Some(arguments.flag()?);
        Ok(())
    },
    set_in_location: None,
}];

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy { is_on: settings.is_on.unwrap_or(false) }
    }
}

/// When the last line was due.
#[derive(Debug, Default)]
pub struct Minutes {
    last: Option<u64>,
}

impl Minutes {
    /// None so far.
    pub const fn new() -> Minutes {
        Minutes { last: None }
    }

    /// The server has started: what is left of this minute is no whole one.
    pub fn start(&mut self, epoch_seconds: u64) {
        self.last.get_or_insert(epoch_seconds / 60);
    }

    /// Tells whether another minute has begun since this was last asked. A clock that is set back begins
    /// one, too: no line for hours would be worse than one too many.
    pub fn has_begun(&mut self, epoch_seconds: u64) -> bool {
        let minute = epoch_seconds / 60;
        self.last.replace(minute).is_some_and(|last| last != minute)
    }
}

/// Puts the line together, behind its number.
pub fn line(workers: &Workers, connections: u32, contents: Option<[u64; CLASSES]>) -> String {
    let mut text = String::with_capacity(512);
    // A String takes everything.
    let mut push = |words: core::fmt::Arguments<'_>| {
        let _ = text.write_fmt(words);
    };
    push(format_args!("{{ \"scoreboard\": {{"));
    for (index, (name, count)) in workers.states().into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        push(format_args!("{comma} \"{name}\": {count}"));
    }
    let (max, busy) = (workers.max_clients, workers.busy());
    push(format_args!(
        " }}, \"maxclients\": {{ \"max\": {max}, \"busy\": {busy}, \"QS_AllConn\": {connections} }}"
    ));
    if let Some([html, css_or_script, images, other, not_modified]) = contents {
        push(format_args!(
            ", \"clientContentTypes\": {{ \"html\": {html}, \"css/js\": {css_or_script}, \
             \"images\": {images}, \"other\": {other}, \"304\": {not_modified} }}"
        ));
    }
    push(format_args!(" }}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_once_in_each_minute_that_is_seen_to_begin() {
        let mut minutes = Minutes::new();
        let due: Vec<bool> = [59, 60, 61, 119, 120, 130, 179, 200, 400, 401, 60, 65]
            .into_iter()
            .map(|second| minutes.has_begun(second))
            .collect();
        let expected = [
            false, // the server has just started, in the middle of a minute
            true, false, false, true, false, false, true,
            true,  // whoever looks late tells of the last minute only
            false, // and once
            true,  // the clock was set back
            false,
        ];
        assert_eq!(due, expected);
    }

    #[test]
    fn the_first_minute_counts_that_begins_after_the_start() {
        let mut minutes = Minutes::new();
        minutes.start(59);
        assert!(minutes.has_begun(61), "nobody had looked before");
        minutes.start(121);
        assert!(minutes.has_begun(122), "a restart takes no minute away");
    }

    #[test]
    fn the_line_is_that_of_the_specification() {
        let workers = Workers {
            open: 96,
            waiting: 30,
            write: 1,
            keepalive: 1,
            max_clients: 32,
            ..Workers::default()
        };
        let scoreboard = "{ \"scoreboard\": { \"open\": 96, \"waiting\": 30, \"read\": 0, \"write\": 1, \
            \"keepalive\": 1, \"start\": 0, \"log\": 0, \"dns\": 0, \"closing\": 0, \"finishing\": 0, \
            \"idle\": 0 }, \"maxclients\": { \"max\": 32, \"busy\": 2, \"QS_AllConn\": 7 }";
        assert_eq!(line(&workers, 7, None), format!("{scoreboard} }}"));
        assert_eq!(
            line(&workers, 7, Some([4, 0, 0, 9, 1])),
            format!(
                "{scoreboard}, \"clientContentTypes\": {{ \"html\": 4, \"css/js\": 0, \"images\": 0, \
                 \"other\": 9, \"304\": 1 }} }}"
            )
        );
    }
}
