//! The directives of VIPs and their sessions, as written.

use super::{LocationSettings, Trigger};
use crate::directive::{About, Arguments, Arity, Directive, Scope};
use crate::matching::pattern::{Options, Pattern};
use crate::time::Seconds;
use crate::values::{Problem, is_token, seconds};
use std::ffi::CString;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `QS_VipHeaderName`
    pub(super) header: Option<Trigger>,
    /// `QS_VipUser`
    pub(super) is_by_user: bool,
    /// `QS_VipIPHeaderName`
    pub(super) address_header: Option<Trigger>,
    /// `QS_VipIPUser`
    pub(super) is_address_by_user: bool,
    /// `QS_SessionKey`
    pub(super) key: Option<Vec<u8>>,
    /// `QS_SessionTimeout`
    pub(super) timeout: Option<Seconds>,
    /// `QS_SessionCookieName`
    pub(super) cookie_name: Option<Vec<u8>>,
    /// `QS_SessionCookiePath`
    pub(super) cookie_path: Option<String>,
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            header: self.header.clone().or_else(|| base.header.clone()),
            is_by_user: self.is_by_user || base.is_by_user,
            address_header: self.address_header.clone().or_else(|| base.address_header.clone()),
            is_address_by_user: self.is_address_by_user || base.is_address_by_user,
            key: self.key.clone().or_else(|| base.key.clone()),
            timeout: self.timeout.or(base.timeout),
            cookie_name: self.cookie_name.clone().or_else(|| base.cookie_name.clone()),
            cookie_path: self.cookie_path.clone().or_else(|| base.cookie_path.clone()),
        }
    }
}

const SPEC: &str = "client.md VIP";
const HEADER: &str =
    "a header's name, or <name>=<regular expression> for its value; then 'drop' or nothing";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_VipHeaderName",
            arguments: c"<header>[=<regex>] [drop]",
            arity: Arity::OneOrTwo,
            scope: Scope::Server,
            range: HEADER,
            default: "none",
            help: "A response header by which the application makes a VIP, at best at log-in: the client gets \
                   a session cookie, and its address is marked as VIP. A request with a valid cookie is not \
                   held to the limits that spare VIPs. 'drop' keeps the header from the client.",
            spec: SPEC,
        },
        set: |settings, arguments| {
            settings.header = Some(trigger(arguments)?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_VipIPHeaderName",
            arguments: c"<header>[=<regex>] [drop]",
            arity: Arity::OneOrTwo,
            scope: Scope::Server,
            range: HEADER,
            default: "none",
            help: "A response header by which the application marks the client's address as VIP, until a stop \
                   of the server. Its connections are not held to the limits that spare VIPs. 'drop' keeps \
                   the header from the client.",
            spec: SPEC,
        },
        set: |settings, arguments| {
            settings.address_header = Some(trigger(arguments)?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_VipUser",
            arguments: c"",
            arity: Arity::None,
            scope: Scope::Server,
            range: "no argument",
            default: "off; on in the base server is on in all virtual hosts",
            help: "Who is authenticated by httpd gets a session cookie, like by QS_VipHeaderName.",
            spec: SPEC,
        },
        set: |settings, _| {
            settings.is_by_user = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_VipIPUser",
            arguments: c"",
            arity: Arity::None,
            scope: Scope::Server,
            range: "no argument",
            default: "off; on in the base server is on in all virtual hosts",
            help: "The address of who is authenticated by httpd is marked as VIP, like by QS_VipIPHeaderName.",
            spec: SPEC,
        },
        set: |settings, _| {
            settings.is_address_by_user = true;
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SessionKey",
            arguments: c"<secret>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "any text that is not empty; it should be long and random",
            default: "a random key, new at each start and restart: sessions end then",
            help: "The secret by which session cookies are encrypted and authenticated. The same on several \
                   servers, it lets sessions hold on all of them.",
            spec: SPEC,
        },
        set: |settings, arguments| {
            let word = arguments.first();
            if word.is_empty() {
                return Err(Problem::word(word, "a secret that is not empty"));
            }
            settings.key = Some(word.as_bytes().to_vec());
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SessionTimeout",
            arguments: c"<seconds>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "1 to 2147483647 seconds",
            default: "3600",
            help: "So long a session lasts. Its cookie is not renewed.",
            spec: SPEC,
        },
        set: |settings, arguments| {
            settings.timeout = Some(seconds(arguments.first())?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SessionCookieName",
            arguments: c"<name>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "a cookie's name: letters, digits and !#$%&'*+-.^_`|~",
            default: "MODQOS",
            help: "The name of the session cookie. No cookie of this name reaches an application.",
            spec: SPEC,
        },
        set: |settings, arguments| {
            let word = arguments.first();
            if !is_token(word) {
                return Err(Problem::word(
                    word,
                    "a cookie's name: letters, digits and !#$%&'*+-.^_`|~",
                ));
            }
            settings.cookie_name = Some(word.as_bytes().to_vec());
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SessionCookiePath",
            arguments: c"<path>",
            arity: Arity::One,
            scope: Scope::Server,
            range: "a path that begins with '/', of visible ASCII without ';' and ','",
            default: "/",
            help: "The path for which clients send the session cookie.",
            spec: SPEC,
        },
        set: |settings, arguments| {
            let word = arguments.first();
            let is_good = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b';' | b',');
            if !word.starts_with('/') || !word.bytes().all(is_good) {
                return Err(Problem::word(
                    word,
                    "a path that begins with '/', of visible ASCII without ';' and ','",
                ));
            }
            settings.cookie_path = Some(word.to_owned());
            Ok(())
        },
        set_in_location: None,
    },
];

fn trigger(arguments: &Arguments<'_>) -> Result<Trigger, Problem> {
    let word = arguments.first();
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let name = Some(name).filter(|name| is_token(name)).and_then(|name| CString::new(name).ok());
    let Some(name) = name else {
        return Err(Problem::word(word, "a header's name, or <name>=<regular expression>"));
    };
    if value == Some("") {
        return Err(Problem::word(word, "a regular expression behind the '='"));
    }
    let value = value.map(|value| Pattern::new(value, Options::default())).transpose()?;
    let is_dropped = match arguments.second() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("drop") => true,
        Some(word) => return Err(Problem::word(word, "'drop' or nothing")),
    };
    Ok(Trigger { name, value, is_dropped })
}
