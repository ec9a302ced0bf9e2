//! The status pages: who may have them, and whether they tell of events.
//! Spec: status-and-console.md 1, 5. Phases: none; the handlers ask before they answer.

use crate::context::Exchange;
use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::rules::Tallied;
use crate::values::Capacity;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    is_disabled: Option<bool>,
    shows_events: Option<bool>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The handlers do not answer.
    pub is_disabled: bool,
    /// Scripts are told how often each event happened.
    pub shows_events: bool,
    /// The server's rules whose outcomes are counted; none before the policy is in force.
    pub tallied: Vec<Tallied>,
}

/// `mod_qos(072)`
pub static DISABLED: LogEvent = LogEvent {
    number: 72,
    level: Level::Error,
    is_counted: true,
    format: "handler has been disabled for this host, id={id}",
    when: "a request for one of the pages, where QS_DisableHandler is on",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&DISABLED];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_DisableHandler",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::Server,
            range: "on, off",
            default: "off",
            help: "Switches the handlers qos-viewer, qos-console and qos-metrics off, and what mod_status shows of \
               this module: a request for one of them is answered as if the handler were not set (event 072). \
               A virtual host's word wins over the base server's.",
            spec: "status-and-console.md 1",
        },
        set: |settings, arguments| {
            settings.is_disabled = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_EventCount",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "on, off",
            default: "off",
            help: "Adds to ?auto and ?json of the status page, and to ?auto of mod_status, how often each log event \
               happened since the server was started, and since somebody last asked in one of these ways. The \
               numbers are those of all virtual hosts together, and outlive a restart.",
            spec: "status-and-console.md 2, 5",
        },
        set: |settings, arguments| {
            settings.shows_events = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
];

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            is_disabled: self.is_disabled.or(base.is_disabled),
            shows_events: base.shows_events,
        }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy {
            is_disabled: settings.is_disabled.unwrap_or(false),
            shows_events: settings.shows_events.unwrap_or(false),
            tallied: Vec::new(),
        }
    }
}

/// Tells whether a page may be answered; where it may not, that is told of.
pub fn admit(policy: &Policy, exchange: &mut Exchange<'_>) -> bool {
    if policy.is_disabled {
        exchange.note(&DISABLED, format_args!("handler has been disabled for this host"));
    }
    !policy.is_disabled
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::testing::{View, World, refused, settings};

    #[test]
    fn a_virtual_hosts_word_wins() {
        for (base, host, is_disabled) in
            [("", "", false), ("on", "", true), ("on", "off", false), ("off", "ON", true)]
        {
            let read = |word: &str| match word {
                "" => Settings::default(),
                word => settings(&format!("QS_DisableHandler {word}")).pages,
            };
            let capacity = Capacity { max_clients: 10, connections: 10 };
            let policy = Policy::resolve(&read(host).over(&read(base)), capacity);
            assert_eq!(policy.is_disabled, is_disabled, "base {base:?}, host {host:?}");
        }
        for directive in ["QS_DisableHandler", "QS_EventCount"] {
            for word in ["", "yes", "1", "on off", "true"] {
                let error = refused(&format!("{directive} \"{word}\""));
                assert!(error.contains("'on' or 'off'"), "{error}");
            }
        }
    }

    #[test]
    fn who_asks_for_a_disabled_page_is_told_of() {
        for (word, told) in [
            ("on", vec!["mod_qos(072): handler has been disabled for this host, id=ID"]),
            ("off", vec![]),
        ] {
            let mut world = World::new(&format!("QS_DisableHandler {word}"));
            let connection = world.connect("192.0.2.1").expect("let in");
            let mut view = View::default();
            let is_admitted = world.exchange(&connection, &mut view, |rules, exchange| {
                admit(&rules.policy.pages, exchange)
            });
            assert_eq!(
                (is_admitted, world.told()),
                (told.is_empty(), told.iter().map(|line| (*line).to_owned()).collect())
            );
        }
    }
}
