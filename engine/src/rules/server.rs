//! What holds for the whole server: log-only mode, answers to denied requests, sizes.
//! Spec: model.md 4, 7 and 8. Phases: none of its own; `phases` asks this policy for every verdict.

use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::{Level, LogEvent};
use crate::values::{Capacity, MAX_NUMBER, Problem, is_known_error_status, number};
use crate::verdict::{Violation, Words};
use core::ffi::CStr;
use std::ffi::CString;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    is_log_only: Option<bool>,
    error_status: Option<u16>,
    error_page: Option<String>,
    forced_close: Option<bool>,
    max_clients: Option<u32>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// What a denied request is answered with, besides httpd's own page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// A path of this server.
    Path(&'a CStr),
    /// A URL that the client is sent to.
    Url(&'a CStr),
}

/// The page of denied requests where none is configured: the first of these files that is there below
/// ServerRoot, under [`DEFAULT_PAGE_PATH`].
pub const DEFAULT_PAGES: [&str; 6] = [
    "server_error.html",
    "forbidden.html",
    "500.html",
    "error.html",
    "error500.html",
    "gateway_error.html",
];
/// Where these files are, below ServerRoot.
pub const DEFAULT_PAGE_DIRECTORY: &str = "work/errorpages";
/// The path that they are served under.
pub const DEFAULT_PAGE_PATH: &str = "/errorpages";

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Violations are logged and counted, nothing is enforced.
    pub is_log_only: bool,
    /// The status of a denied request.
    pub error_status: u16,
    /// A path or URL to answer denied requests with.
    pub error_page: Option<CString>,
    /// A refused connection ends by an error of the hook, not by the aborted flag.
    pub forced_close: bool,
    /// How many connections httpd can serve, or `QS_MaxClients`.
    pub max_clients: u32,
}

/// `mod_qos(002)`
pub static NOT_STARTED: LogEvent = LogEvent {
    number: 2,
    level: Level::Emergency,
    is_counted: false,
    format: "failed to create shared memory (ACT)(-): {error} ({n} bytes)",
    when: "the server cannot start; also with another reason in words",
};

/// `mod_qos(007)`
pub static MAX_CLIENTS_APPLIED: LogEvent = LogEvent {
    number: 7,
    level: Level::Notice,
    is_counted: false,
    format: "calculated MaxClients/MaxRequestWorkers (max connections): {calculated}, applied limit: {n}",
    when: "start, if QS_MaxClients is another number than httpd's own",
};

/// `mod_qos(009)`
pub static RUNNING_LOG_ONLY: LogEvent = LogEvent {
    number: 9,
    level: Level::Notice,
    is_counted: false,
    format: "running in 'log only' mode - rules are NOT enforced!",
    when: "start, with QS_LogOnly on",
};

/// `mod_qos(009)`
pub static NO_UNIQUE_ID: LogEvent = LogEvent {
    number: 9,
    level: Level::Warning,
    is_counted: false,
    format: "mod_unique_id not available (mod_qos generates simple request id if required)",
    when: "start, without mod_unique_id",
};

/// `mod_qos(009)`
pub static UNUSUAL_MPM: LogEvent = LogEvent {
    number: 9,
    level: Level::Notice,
    is_counted: false,
    format: "loaded MPM is '{mpm}' but mod_qos should be used with MPM 'Worker' or 'Event' only.",
    when: "start, with another MPM than worker and event",
};

/// `mod_qos(009)`
pub static DEFAULT_PAGE: LogEvent = LogEvent {
    number: 9,
    level: Level::Notice,
    is_counted: false,
    format: "found default error document '{path}'. Use the QS_ErrorPage directive to override this default page.",
    when: "start, without QS_ErrorPage, if such a page is in ServerRoot's work/errorpages",
};

/// `mod_qos(045)`
pub static NO_PATH: LogEvent = LogEvent {
    number: 45,
    level: Level::Error,
    is_counted: true,
    format: "access denied, invalid request line: can't parse uri, c={c}, id={id}",
    when: "a request line without a path, as of CONNECT; refused in log-only mode, too",
};

/// `mod_qos(303)`
pub static NEEDS_STOP_AND_START: LogEvent = LogEvent {
    number: 303,
    level: Level::Notice,
    is_counted: false,
    format: "{directive}: the change needs a stop and start, {old} stays in force",
    when: "restart, if QS_ClientEntries or QS_ClientIPv6Prefix has changed; also `QS_SupportIPv6 off: has no effect, IPv6 is always on`",
};

/// `mod_qos(305)`
pub static INTERNAL_ERROR: LogEvent = LogEvent {
    number: 305,
    level: Level::Error,
    is_counted: true,
    format: "internal error in {callback}: {text}",
    when: "a bug was caught at the border to httpd; once per callback and process, the request passes",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[
    &NOT_STARTED,
    &MAX_CLIENTS_APPLIED,
    &RUNNING_LOG_ONLY,
    &NO_UNIQUE_ID,
    &UNUSUAL_MPM,
    &DEFAULT_PAGE,
    &NO_PATH,
    &NEEDS_STOP_AND_START,
    &INTERNAL_ERROR,
];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_LogOnly",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "on, off",
            default: "off",
            help: "Evaluates all rules and logs every violation with '(log only)', but enforces \
                   nothing: the way to try limits on a running site.",
            spec: "model.md 7.3",
        },
        set: |settings, arguments| {
            settings.is_log_only = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ErrorResponseCode",
            arguments: c"<status>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "an HTTP status from 400 to 599 that httpd knows",
            default: "500",
            help: "The status with which a request is denied. Refused connections get no answer at all.",
            spec: "model.md 7.1",
        },
        set: |settings, arguments| {
            let word = arguments.first();
            let status = number(word, 400, 599).ok().and_then(|n| u16::try_from(n).ok());
            match status.filter(|status| is_known_error_status(*status)) {
                Some(status) => settings.error_status = Some(status),
                None => {
                    return Err(Problem::word(
                        word,
                        "an HTTP status from 400 to 599 that httpd knows, like 403, 429 or 503",
                    ));
                }
            }
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ErrorPage",
            arguments: c"<path>|<url>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "a path of this server that begins with '/', or a URL that begins with 'http'",
            default: "the first of server_error.html, forbidden.html, 500.html, error.html, error500.html and \
                      gateway_error.html in ServerRoot's work/errorpages, served under /errorpages (a notice \
                      names it at start); else httpd's own page",
            help: "What a denied request is answered with: a path is served with the status of \
                   QS_ErrorResponseCode, a URL is redirected to (302); the connection is closed after it. \
                   The request's variable QS_ErrorPage overrides it, if it is one of both.",
            spec: "model.md 7.1",
        },
        set: |settings, arguments| {
            let word = arguments.first();
            if !word.starts_with('/') && !word.starts_with("http") {
                return Err(Problem::word(word, "an absolute path ('/...') or a URL ('http...')"));
            }
            settings.error_page = Some(word.to_owned());
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ForcedClose",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "on, off",
            default: "on",
            help: "How a refused connection is ended inside httpd: on, the connection hook returns an \
                   error; off, the connection is marked as aborted. The client sees the same: a closed \
                   connection.",
            spec: "model.md 7.2",
        },
        set: |settings, arguments| {
            settings.forced_close = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_MaxClients",
            arguments: c"<connections>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "1 to 2147483647",
            default: "processes times threads, as httpd's MPM says",
            help: "How many connections the server can serve: what percentages are taken of. Event keeps \
                   more connections open than it has threads; set it there to what you want 100 % to be.",
            spec: "model.md 4",
        },
        set: |settings, arguments| {
            settings.max_clients = Some(number(arguments.first(), 1, MAX_NUMBER)?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SemMemFile",
            arguments: c"<path>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "a directory that exists, with a final '/', or a file name in one",
            default: "none",
            help: "Accepted for the sake of existing configurations: the path is checked, no file is ever \
                   made. Shared memory is anonymous, and there are no locks.",
            spec: "model.md 8, additions.md 1",
        },
        set: |_, arguments| {
            let word = arguments.first();
            let directory = match word.rfind('/') {
                Some(0) => "/",
                Some(end) => word.get(..end).unwrap_or("."),
                None => "",
            };
            if !word.starts_with('/') || !(arguments.directory_exists)(directory) {
                return Err(Problem::word(
                    word,
                    "the path of a directory that exists ('/var/tmp/'), or of a file in one",
                ));
            }
            Ok(())
        },
        set_in_location: None,
    },
];

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            is_log_only: base.is_log_only,
            error_status: base.error_status,
            error_page: self.error_page.clone().or_else(|| base.error_page.clone()),
            forced_close: base.forced_close,
            max_clients: base.max_clients,
        }
    }

    /// Returns the capacity that percentages are taken of: `QS_MaxClients`, or what httpd computed.
    pub fn applied(&self, computed: Capacity) -> Capacity {
        Capacity { max_clients: self.max_clients.unwrap_or(computed.max_clients), ..computed }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        Policy {
            is_log_only: settings.is_log_only.unwrap_or(false),
            error_status: settings.error_status.unwrap_or(500),
            // A word of a configuration file has no NUL in it.
            error_page: settings.error_page.clone().and_then(|page| CString::new(page).ok()),
            forced_close: settings.forced_close.unwrap_or(true),
            max_clients: capacity.max_clients,
        }
    }
    /// Takes a page for where none is configured.
    pub fn use_default_page(&mut self, path: &CStr) {
        self.error_page.get_or_insert_with(|| path.to_owned());
    }

    /// Returns the page for a denied request, whose variable has precedence if a page it is.
    pub fn page<'a>(&'a self, variable: Option<&'a CStr>) -> Option<Page<'a>> {
        variable.and_then(page).or_else(|| self.error_page.as_deref().and_then(page))
    }
}

fn page(text: &CStr) -> Option<Page<'_>> {
    let octets = text.to_bytes();
    if octets.first() == Some(&b'/') {
        return Some(Page::Path(text));
    }
    octets.get(..4)?.eq_ignore_ascii_case(b"http").then_some(Page::Url(text))
}

/// What is wrong with a request line in which httpd found no path.
pub fn no_path() -> Violation {
    let words = Words::Text("invalid request line: can't parse uri".to_owned());
    Violation { status: Some(400), ..Violation::new(&NO_PATH, words) }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_variable_has_precedence_if_it_is_a_page() {
        let capacity = Capacity { max_clients: 1, connections: 1 };
        let mut policy = Policy::resolve(&Settings::default(), capacity);
        assert_eq!(policy.page(None), None);
        assert_eq!(policy.page(Some(c"nothing")), None, "text of whom knows whom is no page");
        policy.use_default_page(c"/errorpages/500.html");
        policy.use_default_page(c"/another");
        let default = Some(Page::Path(c"/errorpages/500.html"));
        for (variable, expected) in [
            (None, default),
            (Some(c"/own"), Some(Page::Path(c"/own"))),
            (Some(c"http://x/"), Some(Page::Url(c"http://x/"))),
            (Some(c"HTTPS://x/"), Some(Page::Url(c"HTTPS://x/"))),
            (Some(c"httpfoo"), Some(Page::Url(c"httpfoo"))),
            (Some(c"own"), default),
            (Some(c""), default),
            (Some(c"<b>"), default),
        ] {
            assert_eq!(policy.page(variable), expected, "{variable:?}");
        }
    }
}
