//! The families: one file each, with its directives, its checks and its log events side by side.
//!
//! This list is the only place that names them all. From it come the settings of a server, their merge,
//! the policy, the flat table of directives, and the list of log events.

pub mod body_limit;
pub mod busy_watch;
pub mod client_concurrency;
pub mod client_event_limit;
pub mod client_identity;
pub mod client_limit;
pub mod client_preference;
pub mod client_rate;
pub mod connection_limit;
pub mod connection_variable;
pub mod console;
pub mod data_rate;
pub mod delay;
pub mod event_limit;
pub mod geo;
pub mod pages;
pub mod publication;
pub mod request_limit;
pub mod request_log;
pub mod request_variable;
pub mod response_variable;
pub mod serialize;
pub mod server;
pub mod set_env_if_plus;
pub mod status_log;
pub mod unavailable;
pub mod variable;
mod variables_only;
pub mod vip_session;

use crate::directive::{About, Arguments, Arity, InLocation, OfBaseServer, Place, Scope};
use crate::log_event::LogEvent;
use crate::store::marks::wanted;
use crate::store::rules::Finder;
use crate::store::{Store, owned};
use crate::values::{Capacity, Problem};
use core::ffi::CStr;
use std::ffi::CString;

macro_rules! families {
    ($($family:ident),+ $(,)?) => {
        /// What is written in a server's configuration, as far as it is written.
        #[derive(Clone, Debug, Default)]
        pub struct Settings { $(#[doc(hidden)] pub $family: $family::Settings,)+ }

        /// What is written in a location.
        #[derive(Clone, Debug, Default)]
        pub struct LocationSettings {
            $(#[doc(hidden)] pub $family: $family::LocationSettings,)+
            /// Any of them says anything: asked for several times in each request.
            is_written: bool,
        }

        /// What the families keep for one request.
        #[derive(Debug, Default)]
        pub struct Facts { $(#[doc(hidden)] pub $family: $family::Facts,)+ }

        impl InLocation for LocationSettings {
            fn is_empty(&self) -> bool {
                !self.is_written
            }

            fn over(&self, outer: &LocationSettings) -> LocationSettings {
                LocationSettings {
                    $($family: InLocation::over(&self.$family, &outer.$family),)+
                    is_written: self.is_written || outer.is_written,
                }
            }
        }

        /// What is enforced, with everything resolved.
        #[derive(Clone, Debug)]
        pub struct Policy {
            $(#[doc(hidden)] pub $family: $family::Policy,)+
            /// In which phases it has anything to say.
            pub wants: Wants,
        }

        impl Settings {
            /// Returns these settings of a virtual host, completed by those of the base server.
            pub fn over(&self, base: &Settings) -> Settings {
                Settings { $($family: self.$family.over(&base.$family),)+ }
            }
        }

        impl Policy {
            /// Resolves settings, once everything is known.
            pub fn resolve(settings: &Settings, computed: Capacity) -> Policy {
                let capacity = settings.server.applied(computed);
                let mut policy = Policy {
                    $($family: $family::Policy::resolve(&settings.$family, capacity),)+
                    wants: Wants::default(),
                };
                policy.know_each_other();
                policy.wants = Wants::of(&policy);
                policy
            }
        }

        /// How many directives there are, those included that are refused by name.
        pub const COUNT: usize = $($family::DIRECTIVES.len() +)+ unavailable::DIRECTIVES.len();

        // A constant, because httpd reads the table before it calls anything of ours.
        #[allow(clippy::indexing_slicing)] // evaluated by the compiler
        const fn about_at(index: usize) -> &'static About {
            let mut index = index;
            $(
                if index < $family::DIRECTIVES.len() {
                    return &$family::DIRECTIVES[index].about;
                }
                index -= $family::DIRECTIVES.len();
            )+
            &unavailable::DIRECTIVES[index]
        }

        fn set_at(
            index: usize,
            settings: &mut Settings,
            location: &mut LocationSettings,
            arguments: &Arguments<'_>,
        ) -> Result<(), Problem> {
            let mut index = index;
            $(
                if let Some(row) = $family::DIRECTIVES.get(index) {
                    return match (arguments.place, row.set_in_location) {
                        (Place::Location, Some(set)) => set(&mut location.$family, arguments),
                        _ => (row.set)(&mut settings.$family, arguments),
                    };
                }
                index -= $family::DIRECTIVES.len();
            )+
            let _ = index;
            Err(Problem::text("not available in this version"))
        }

        /// Returns the log events of all families.
        pub fn log_events() -> impl Iterator<Item = &'static LogEvent> {
            let all = [$($family::LOG_EVENTS,)+];
            all.into_iter().flatten().copied()
        }
    };
}

/// All directives; a directive's number is its place here.
pub const ABOUT: [&About; COUNT] = {
    let mut all = [about_at(0); COUNT];
    let mut index = 0;
    while index < COUNT {
        #[allow(clippy::indexing_slicing)] // evaluated by the compiler
        {
            all[index] = about_at(index);
        }
        index += 1;
    }
    all
};

families!(
    server,
    client_identity,
    connection_limit,
    client_concurrency,
    serialize,
    client_rate,
    client_limit,
    client_event_limit,
    request_limit,
    event_limit,
    variable,
    geo,
    body_limit,
    connection_variable,
    vip_session,
    client_preference,
    request_variable,
    response_variable,
    set_env_if_plus,
    data_rate,
    pages,
    request_log,
    status_log,
    console,
    delay,
    publication,
    busy_watch,
);

/// Sets directive number `index`, as the configuration says. The error names the directive, the
/// offending word and what is allowed.
pub fn set(
    index: usize,
    settings: &mut Settings,
    location: &mut LocationSettings,
    arguments: &Arguments<'_>,
) -> Result<(), String> {
    let Some(about) = ABOUT.get(index) else { return Err("no such directive".to_owned()) };
    let is_misplaced = match about.scope {
        Scope::BaseServer => arguments.place != Place::BaseServer,
        Scope::Server => arguments.place == Place::Location,
        Scope::Location => false,
    };
    let result = if is_misplaced {
        let place = match arguments.place {
            Place::Location => "a location",
            _ => "a <VirtualHost>",
        };
        Err(Problem::text(format!(
            "cannot occur within {place}, its context is: {}",
            about.scope.words()
        )))
    } else if let (Arity::None, Some(word)) = (about.arity, arguments.words.first()) {
        Err(Problem::word(word, "no argument"))
    } else {
        let result = set_at(index, settings, location, arguments);
        if result.is_ok() && arguments.place == Place::Location {
            location.is_written = true;
            settings.variable.remember(&location.variable);
        }
        result
    };
    result.map_err(|problem| format!("{}: {problem}", about.name()))
}

/// The phases of a request in which a policy has anything to say. In the others it is not asked: finding
/// out that there is nothing to do costs more than some rules. What a location says is not in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants {
    /// Behind mod_setenvif.
    pub read_late: bool,
    /// When the headers are parsed, for a request without a body.
    pub prepare: bool,
    /// The same for one that has a body.
    pub prepare_body: bool,
    /// Before the content.
    pub fix_up: bool,
    /// The same for somebody who is authenticated.
    pub fix_up_user: bool,
    /// When the head of the response goes out.
    pub respond: bool,
    /// When it is logged.
    pub finish: bool,
}

impl Wants {
    fn of(policy: &Policy) -> Wants {
        let logs = policy.request_variable.logs();
        let allows = policy.data_rate.allows_by_event();
        Wants {
            read_late: logs || policy.set_env_if_plus.has_early(),
            prepare: logs,
            prepare_body: policy.body_limit.is_on(),
            fix_up: logs || allows || policy.set_env_if_plus.has_late(),
            fix_up_user: policy.vip_session.wants_user(),
            respond: allows
                || !policy.variable.on_status.is_empty()
                || policy.variable.on_broken
                || !policy.response_variable.is_empty()
                || policy.connection_limit.close_above.is_some()
                || policy.connection_variable.wants_response()
                || policy.vip_session.wants_response(),
            finish: logs
                || allows
                || policy.request_variable.sets_again()
                || policy.client_limit.reads_when_logged()
                || policy.client_event_limit.is_on()
                || policy.data_rate.rule.is_some()
                || policy.client_preference.preference.is_some()
                || policy.request_limit.has_rules()
                || policy.variable.on_broken,
        }
    }
}

/// What brings a policy into force: where its rules count.
pub struct Bound<'a> {
    /// The memory of the server.
    pub store: &'a Store<'a>,
    /// The number of this configuration.
    pub generation: u32,
    /// A hash of the server's identity.
    pub server: u64,
    /// Says whether a variable is named anywhere in the configuration, or whether anybody may set and read
    /// variables of whom we know nothing.
    pub is_used: &'a dyn Fn(&CStr) -> bool,
    /// Says whether a variable can be set before a request's content: not only by what looks at the response.
    pub is_set_early: &'a dyn Fn(&CStr) -> bool,
}

/// Directives that set a variable when the response is known, not before.
pub const SETTING_LATE: [&str; 4] =
    ["QS_SetEnvIfStatus", "QS_SetEnvRes", "QS_SetEnvResHeader", "QS_SetEnvResHeaderMatch"];

/// What an error document, or any target of an internal redirect, takes over from where it came from, and
/// gives back where it is set there (variables.md 6).
pub const INHERITED: [&CStr; 18] = [
    c"QS_ErrorNotes",
    c"QS_Serialize",
    c"QS_SrvSerialize",
    c"QS_Block",
    c"QS_Block_seen",
    c"QS_Block_Decrement",
    c"QS_Limit",
    c"QS_Limit_seen",
    c"QS_Event",
    c"QS_Cond",
    c"QS_IsVipRequest",
    c"QS_VipRequest",
    c"QS_KeepAliveTimeout",
    c"QS_MaxKeepAliveRequests",
    c"QS_SrvMinDataRate",
    c"NullConnection",
    c"BrokenConnection",
    c"QS_RuleId",
];

impl Policy {
    /// Returns the variables that the parts of an internally redirected request have in common.
    pub fn inherited(&self) -> impl Iterator<Item = &CStr> {
        let limits = &self.client_event_limit.inherited;
        INHERITED.into_iter().chain(limits.iter().map(CString::as_c_str))
    }

    /// Finds the counters of all rules, those of earlier configurations again. `server` is the tag of the
    /// server that counts. Only the parent calls this, when the policy comes into force.
    fn find_rows(
        &mut self,
        store: &Store<'_>,
        server: u64,
        generation: u32,
    ) -> Result<(), &'static str> {
        let mut find = |kind: &str, text: &str| {
            let tag = owned::tag(server, &[kind, text]);
            store.rules.find(tag, generation).ok_or("too many rules with counters of their own")
        };
        self.request_limit.find_rows(&mut find)?;
        self.event_limit.find_rows(&mut find)
    }

    /// Tells whether any rule counts requests.
    pub fn counts_requests(&self) -> bool {
        self.request_limit.has_rules() || !self.event_limit.rules.is_empty()
    }

    /// Finds the counters of all rules again, or takes new ones, and learns which variables matter; until
    /// then all do. Only the parent calls this.
    pub fn bind(&mut self, bound: &Bound<'_>) -> Result<(), String> {
        let Bound { is_used, is_set_early, .. } = *bound;
        self.body_limit.bind(is_used);
        self.connection_variable.bind(is_used);
        self.delay.bind(is_used);
        let is_logged = self.request_log.command.is_some();
        self.publication
            .bind(&|name| is_used(name) || (is_logged && request_log::READ.contains(&name)));
        self.client_limit.bind(is_used, is_set_early);
        let columns = bound.store.clients.columns();
        self.client_event_limit.bind(columns, bound.generation, bound.is_used)?;
        self.client_rate.bind(columns, bound.generation)?;
        self.find_rows(bound.store, bound.server, bound.generation)?;
        self.serialize.bind(&bound.store.rules, bound.server, bound.generation)?;
        let mut finder = Finder::new(&bound.store.rules, bound.server, bound.generation);
        self.find_tallies(&mut finder);
        self.pages.tallied = finder.into_found();
        self.wants = Wants::of(self);
        Ok(())
    }

    /// Finds where rules count their outcomes, in the order in which pages tell of them.
    fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        self.connection_limit.find_tallies(finder);
        self.client_preference.find_tallies(finder);
        self.geo.find_tallies(finder);
        self.data_rate.find_tallies(finder);
        self.client_limit.find_tallies(finder);
        self.client_event_limit.find_tallies(finder);
        self.client_rate.find_tallies(finder);
        self.client_concurrency.find_tallies(finder);
        self.serialize.find_tallies(finder);
        self.request_limit.find_tallies(finder);
        self.event_limit.find_tallies(finder);
        self.body_limit.find_tallies(finder);
    }

    /// Tells families what they have to know of each other, once all are resolved.
    fn know_each_other(&mut self) {
        self.variable.know_counting(self.client_event_limit.counting());
        if self.busy_watch.is_on() {
            self.client_limit.allow_blocks();
        }
    }

    /// Returns what is wrong with the configuration, once all of it is known.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.variable.errors.iter().chain(&self.busy_watch.errors).map(String::as_str)
    }

    /// Tells whether any rule counts clients: then each connection holds the row of its own.
    pub fn counts_clients(&self) -> bool {
        self.client_limit.block.is_some()
            || self.client_event_limit.is_on()
            || self.client_rate.is_on()
            || self.client_concurrency.max.is_some()
            || self.serialize.by_client
    }

    /// Returns what has to be remembered of clients: see [`wanted`].
    pub fn remembered(&self) -> u32 {
        let is_preferring = self.client_preference.preference.is_some();
        let mut what = if is_preferring { wanted::PREFERENCE } else { 0 };
        if self.vip_session.marks_addresses() {
            what |= wanted::VIPS;
        }
        what
    }

    /// Returns what several directives together say that cannot be meant.
    pub fn complaints(&self) -> impl Iterator<Item = &'static str> {
        let counts = self.client_limit.counts_events();
        let events = self.variable.on_null || self.variable.on_broken;
        let address_event = self.variable.on_address_limit;
        let rate_event = self.variable.on_data_rate;
        [
            (events && !counts).then_some(
                "mod_qos(): QS_SetEnvIfStatus NullConnection and BrokenConnection have no effect \
                 without QS_ClientEventBlockCount",
            ),
            (address_event && (!counts || self.connection_limit.per_address.is_none())).then_some(
                "mod_qos(): QS_SetEnvIfStatus QS_SrvMaxConnPerIP has no effect without both \
                 QS_SrvMaxConnPerIP and QS_ClientEventBlockCount",
            ),
            self.client_preference.lacks_preference.then_some(
                "mod_qos(): QS_ClientTolerance and QS_ClientContentTypes have no effect without \
                 QS_ClientPrefer",
            ),
            (rate_event && (!counts || self.data_rate.rule.is_none())).then_some(
                "mod_qos(): QS_SetEnvIfStatus QS_SrvMinDataRate has no effect without both a data rate \
                 (QS_SrvMinDataRate or QS_SrvRequestRate) and QS_ClientEventBlockCount",
            ),
        ]
        .into_iter()
        .flatten()
    }
}

/// Returns all directives that work, in the order of the reference.
pub fn directives() -> impl Iterator<Item = &'static About> {
    ABOUT.into_iter().filter(|about| !about.help.is_empty())
}

#[cfg(test)]
mod tests;
