//! Whom the client table counts, and how many of them.
//! Spec: model.md 2 and 5, additions.md 1. Phases: none; both numbers are for the life of the segment.

use crate::client::address::PrefixBits;
use crate::directive::{About, Arity, Directive, Scope};
use crate::log_event::LogEvent;
use crate::store::layout::DEFAULT_CLIENT_ENTRIES;
use crate::values::{Capacity, number};

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    entries: Option<u32>,
    prefix: Option<u8>,
    is_ipv6_off: Option<bool>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Rows of the client table.
    pub entries: u32,
    /// To what IPv6 addresses are cut.
    pub prefix: PrefixBits,
    /// `QS_SupportIPv6 off` was written, which has no effect.
    pub is_ipv6_off: bool,
}

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[];

/// The table grows in steps of so many rows.
const STEP: u32 = 640;

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientEntries",
            arguments: c"<number>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "640 to 10000639, rounded down to a multiple of 640",
            default: "50000",
            help: "How many client addresses are remembered. When more come, the longest unused goes, \
                   before any that is blocked; a client with an open connection stays. A changed number needs a stop \
                   and start.",
            spec: "model.md 2.2, 2.3",
        },
        set: |settings, arguments| {
            let entries = number(arguments.first(), STEP, 10_000_639)?;
            settings.entries = Some(entries / STEP * STEP);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientIPv6Prefix",
            arguments: c"<bits>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "32 to 128",
            default: "64",
            help: "The length to which an IPv6 address is cut before it is counted: a customer's whole \
                   network is one client. 128 counts every address by itself. IPv4 is always counted \
                   whole. A changed length needs a stop and start.",
            spec: "additions.md 1",
        },
        set: |settings, arguments| {
            let bits = number(arguments.first(), 32, 128)?;
            settings.prefix = u8::try_from(bits).ok();
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SupportIPv6",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "on, off",
            default: "on",
            help: "Accepted for the sake of existing configurations. IPv6 is always on; 'off' has no \
                   effect and says so at the start (event 303).",
            spec: "model.md 5, additions.md 1",
        },
        set: |settings, arguments| {
            settings.is_ipv6_off = Some(!arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
];

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        base.clone()
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy {
            entries: settings.entries.unwrap_or(DEFAULT_CLIENT_ENTRIES),
            prefix: settings.prefix.map_or(PrefixBits::DEFAULT, PrefixBits),
            is_ipv6_off: settings.is_ipv6_off.unwrap_or(false),
        }
    }
}
