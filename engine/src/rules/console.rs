//! The console's own directive and log events; what it does stands in `console.rs`.
//! Spec: status-and-console.md 3, additions.md 1 and 4. Phases: none, the module's handler asks.

use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::values::Capacity;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    requires_post: Option<bool>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What changes anything has to be sent with POST.
    pub requires_post: bool,
}

/// `mod_qos(070)`
pub static NOT_ACCEPTABLE: LogEvent = LogEvent {
    number: 70,
    level: Level::Error,
    is_counted: false,
    format: "console, not acceptable, {missing request query (action/address)|client data store has not been enabled|invalid ip/wrong format|unknown action '{action}'|qos client control has not been activated|bad line {n}|list larger than {n} octets}, id={id}",
    when: "a request to the console that makes no sense, or asks for what is not configured; it is answered by 406",
};

/// `mod_qos(071)`
pub static APPLIED: LogEvent = LogEvent {
    number: 71,
    level: Level::Info,
    is_counted: false,
    format: "console, action '{action}' applied to {client ip entry '{address}'|{n} client ip entries}, id={id}|console, add new client ip entry '{address}', is={id}",
    when: "an action of the console is done; before that where it is for a client that nothing was known of",
};

/// `mod_qos(309)`
pub static REFUSED: LogEvent = LogEvent {
    number: 309,
    level: Level::Error,
    is_counted: true,
    format: "console, refused, {comes from another site|POST required}, id={id}",
    when: "an action of the console that would change something, sent by a browser for another site's sake, or not with POST where QS_ConsoleRequirePost is on; it is answered by 403",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NOT_ACCEPTABLE, &APPLIED, &REFUSED];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QS_ConsoleRequirePost",
        arguments: c"on|off",
        arity: Arity::One,
        scope: Scope::Server,
        range: "on, off",
        default: "off",
        help: "Lets the console (SetHandler qos-console) change something only for requests with the method \
               POST; others are answered by 403 (event 309). A browser's request from another site is refused \
               in any case.",
        spec: "additions.md 1 and 4",
    },
    set: |settings, arguments| {
        settings.requires_post = Some(arguments.flag()?);
        Ok(())
    },
    set_in_location: None,
}];

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings { requires_post: self.requires_post.or(base.requires_post) }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy { requires_post: settings.requires_post.unwrap_or(false) }
    }
}
