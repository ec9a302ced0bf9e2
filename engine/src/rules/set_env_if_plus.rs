//! `SetEnvIfPlus` of mod_setenvifplus, which no distribution packages: variables set by what a request is.
//! If that module is loaded it serves the directive itself, and nothing here is ever written.
//! Spec: variables.md 8. Phases: read_late (C, server), prepare (F, location), fix_up (J, late rules).

use crate::assignment::{Assignment, Names, Ready};
use crate::context::{Aspect, Exchange, RequestView};
use crate::directive::{About, Arguments, Arity, Directive, InLocation, Scope};
use crate::lasting;
use crate::log_event::LogEvent;
use crate::matching::budget;
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::values::{Capacity, Problem};
use core::ffi::CStr;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// As written, in a server and in a location alike. Rules are shared, since locations are merged for each
/// request.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    early: Vec<Arc<Rule>>,
    late: Vec<Arc<Rule>>,
}

/// As written in a location.
pub type LocationSettings = Settings;

/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced: what is written.
pub type Policy = Settings;

#[derive(Debug)]
struct Rule {
    subject: Subject,
    pattern: Pattern,
    assignments: Vec<Assignment>,
}

/// What a rule looks at.
#[derive(Debug)]
enum Subject {
    Aspect(Aspect),
    /// The network of the client: /24, or /64.
    Network,
    /// A request header, or else a variable of that name.
    Named(&'static CStr),
    /// All request headers whose names match.
    Headers(Pattern),
}

/// This family logs nothing of its own.
pub const LOG_EVENTS: &[&LogEvent] = &[];

const PLUS: About = About {
    name: c"SetEnvIfPlus",
    arguments: c"<attribute> <pattern> [!]<variable>[=<value>] ... [late]",
    arity: Arity::Any,
    scope: Scope::Location,
    range: "an attribute: Request_URI (the path), Request_Query, Request_Method, Request_Protocol, Remote_Host, \
            Remote_Addr, Remote_Net (a.b.c.0/24, or an IPv6 network of 64 bits), Server_Addr, Server_Port, the name of a \
            request header, a regular expression for such names, or the name of a variable",
    default: "none; without a value 1",
    help: "Sets or removes variables if an attribute matches; one that is missing is empty. A header comes \
           before a variable of its name. The value may name groups of the pattern as $0 to $9, and other \
           variables as ${name}. In a server it is done when the request was read, behind mod_setenvif; in a \
           location before the request is judged; with late before its content is made. If mod_setenvifplus \
           is loaded, that module serves the directive.",
    spec: "variables.md 8",
};

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: PLUS,
        set: |settings, arguments| settings.add(arguments, false),
        set_in_location: Some(|settings, arguments| settings.add(arguments, false)),
    },
    Directive {
        about: About {
            name: c"SetEnvIfPlusNoCase",
            help: "Like SetEnvIfPlus, but the pattern matches without regard to case.",
            ..PLUS
        },
        set: |settings, arguments| settings.add(arguments, true),
        set_in_location: Some(|settings, arguments| settings.add(arguments, true)),
    },
];

impl Settings {
    fn add(&mut self, arguments: &Arguments<'_>, ignore_case: bool) -> Result<(), Problem> {
        let (words, is_late) = match arguments.words {
            [words @ .., last] if last.eq_ignore_ascii_case("late") => (words, true),
            words => (words, false),
        };
        let [attribute, pattern, assignments @ ..] = words else {
            return Err(Problem::text("takes an attribute, a pattern and variables"));
        };
        if assignments.is_empty() {
            return Err(Problem::text("takes a variable behind the pattern"));
        }
        let rule = Arc::new(Rule {
            subject: Subject::read(attribute)?,
            pattern: Pattern::new(pattern, Options { ignore_case, dot_all: false })?,
            assignments: assignments
                .iter()
                .map(|word| Assignment::parse(word, "1", Names::GroupsAndVariables))
                .collect::<Result<_, _>>()?,
        });
        if is_late { &mut self.late } else { &mut self.early }.push(rule);
        Ok(())
    }

    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        settings.clone()
    }

    /// Tells whether [`set`] has anything to do.
    pub fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Tells whether [`set_late`] has anything to do.
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }
}

impl InLocation for Settings {
    fn is_empty(&self) -> bool {
        self.early.is_empty() && self.late.is_empty()
    }

    /// Outer rules come first, as those of a base server come before those of a virtual host.
    fn over(&self, outer: &Settings) -> Settings {
        let behind =
            |outer: &[Arc<Rule>], inner: &[Arc<Rule>]| outer.iter().chain(inner).cloned().collect();
        Settings { early: behind(&outer.early, &self.early), late: behind(&outer.late, &self.late) }
    }
}

impl Subject {
    fn read(word: &str) -> Result<Subject, Problem> {
        let aspect = match word.to_ascii_lowercase().as_str() {
            "remote_host" => Aspect::RemoteHost,
            "remote_addr" => Aspect::RemoteAddress,
            "remote_net" => return Ok(Subject::Network),
            "server_addr" => Aspect::ServerAddress,
            "server_port" => Aspect::ServerPort,
            "request_method" => Aspect::Method,
            "request_protocol" => Aspect::Protocol,
            "request_uri" => Aspect::Path,
            "request_query" => Aspect::Query,
            "" => return Err(Problem::word(word, "an attribute")),
            _ if word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => {
                return Ok(Subject::Named(lasting::text(word)?));
            }
            _ => {
                // Names of headers have no case, and HTTP/2 writes them all in lower case.
                let options = Options { ignore_case: true, dot_all: false };
                return Ok(Subject::Headers(Pattern::new(word, options)?));
            }
        };
        Ok(Subject::Aspect(aspect))
    }
}

/// Sets what requests to a server, or a location, ask for (C, F).
pub fn set(rules: &Settings, exchange: &mut Exchange<'_>) {
    for rule in &rules.early {
        rule.apply(exchange);
    }
}

/// Sets what is asked for late (J).
pub fn set_late(rules: &Settings, exchange: &mut Exchange<'_>) {
    for rule in &rules.late {
        rule.apply(exchange);
    }
}

impl Rule {
    fn apply(&self, exchange: &mut Exchange<'_>) {
        // Nearly all rules set one variable, and then nothing is allocated.
        match self.assignments.as_slice() {
            [one] => {
                if let Some(ready) = self.ready(one, exchange) {
                    ready.apply(exchange.request);
                }
            }
            // All look at the request as it was before the first of them.
            many => {
                let ready: Vec<Ready> =
                    many.iter().filter_map(|one| self.ready(one, exchange)).collect();
                for ready in ready {
                    ready.apply(exchange.request);
                }
            }
        }
    }

    fn ready(&self, assignment: &Assignment, exchange: &mut Exchange<'_>) -> Option<Ready> {
        match self.look(assignment, &*exchange.request) {
            Ok(ready) => ready,
            Err(pattern) => {
                budget::tell("SetEnvIfPlus", pattern, None, false, exchange);
                None
            }
        }
    }

    /// Looks at the request; the error is a pattern that took too long.
    fn look(
        &self,
        assignment: &Assignment,
        request: &dyn RequestView,
    ) -> Result<Option<Ready>, &Pattern> {
        let judge = |value: &[u8]| match self.pattern.is_match(value) {
            Matched::No => Ok(None),
            Matched::Yes => Ok(assignment.ready_for(&self.pattern, value, request)),
            Matched::OverBudget => Err(&self.pattern),
        };
        match &self.subject {
            Subject::Aspect(aspect) => judge(request.aspect(*aspect).unwrap_or_default()),
            Subject::Network => judge(network(request).as_bytes()),
            Subject::Named(name) => {
                judge(request.header(name).or_else(|| request.variable(name)).unwrap_or_default())
            }
            Subject::Headers(names) => {
                let mut found = Ok(None);
                let mut is_there = false;
                request.each_header(&mut |name, value| {
                    if !matches!(found, Ok(None)) {
                        return;
                    }
                    match names.is_match(name) {
                        Matched::No => {}
                        Matched::Yes => {
                            is_there = true;
                            found = judge(value);
                        }
                        Matched::OverBudget => found = Err(names),
                    }
                });
                if is_there || found.is_err() { found } else { judge(b"") }
            }
        }
    }
}

/// The network that the client is in, as text: few rules ask for it.
fn network(request: &dyn RequestView) -> String {
    let address = request.aspect(Aspect::RemoteAddress).unwrap_or_default();
    let address = core::str::from_utf8(address).unwrap_or("");
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::testing::{View, World, refused};

    /// What VA is behind the rules, in a request that has everything.
    fn value(rules: &str) -> Option<String> {
        let mut view = View::with("QS_Some", "Some").and("Other", "o").and("X-Both", "variable");
        view = view
            .and_header("X-Both", "header")
            .and_header("X-Other", "Other")
            .at("/a.jpg", Some("q=17"));
        for (aspect, text) in [
            (Aspect::Method, "GET"),
            (Aspect::Protocol, "HTTP/1.1"),
            (Aspect::RemoteHost, "client.example"),
            (Aspect::RemoteAddress, "192.0.2.17"),
            (Aspect::ServerAddress, "192.0.2.1"),
            (Aspect::ServerPort, "80"),
        ] {
            view.aspects.insert(aspect, text.into());
        }
        let mut world = World::new(rules);
        let connection = world.connect("192.0.2.17").expect("free");
        let _ = world.begin(&connection, &mut view);
        world.close(connection);
        view.text("VA").map(str::to_owned)
    }

    #[test]
    fn every_attribute_is_looked_at() {
        for (attribute, pattern, expected) in [
            ("Request_URI", "^/a", Some("1")),
            ("request_uri", "^/A", None),
            ("Request_URI", "q=", None),
            ("Request_Query", "^q=17$", Some("1")),
            ("Request_Method", "GET", Some("1")),
            ("Request_Protocol", "HTTP/1.1", Some("1")),
            ("Remote_Host", "example$", Some("1")),
            ("Remote_Addr", "^192", Some("1")),
            ("Remote_Net", "^192.0.2.0/24$", Some("1")),
            ("Server_Addr", "2.1$", Some("1")),
            ("Server_Port", "^80$", Some("1")),
            ("X-Other", "Other", Some("1")),
            ("x-other", "Other", Some("1")),
            ("X-Both", "header", Some("1")),
            ("X-Both", "variable", None),
            ("QS_Some", "Some", Some("1")),
            ("^x-.*r$", "Other", Some("1")),
            ("^X-", "Other", Some("1")),
            ("^X-", "nothing", None),
            // What is missing is empty.
            ("X-None", "^$", Some("1")),
            ("^Y-", "^$", Some("1")),
            ("^X-", "^$", None),
        ] {
            let line = format!("SetEnvIfPlus {attribute} {pattern} VA");
            assert_eq!(value(&line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn values_name_groups_and_variables() {
        for (rules, expected) in [
            ("SetEnvIfPlus Request_Query q=([0-9]) VA=$1-${Other}-$2", Some("1-o-")),
            ("SetEnvIfPlus Request_URI / VA=1 VB\nSetEnvIfPlus VB 1 VA=2", Some("2")),
            ("SetEnvIfPlus Request_URI / VA=1\nSetEnvIfPlus Request_URI / !VA", None),
            ("SetEnvIfPlusNoCase Request_Method get VA=", Some("")),
            ("SetEnvIfPlus Request_Method get VA=", None),
            ("SetEnvIfPlus VA ^$ VA=x VB=${VA}\nSetEnvIfPlus VB ^$ VA=both", Some("both")),
            // Not yet: it is late.
            ("SetEnvIfPlus Request_URI / VA=1 late", None),
        ] {
            assert_eq!(value(rules).as_deref(), expected, "{rules}");
        }
    }

    #[test]
    fn the_seed_line_has_the_meaning_of_its_alternatives() {
        let rules = "SetEnvIfPlus Request_URI / VA=1\n\
                     SetEnvIfPlus Request_URI .*\\.(jpg)|(jpeg)|(gif)|(png)|(js)|(css)$ !VA";
        assert_eq!(value(rules), None);
    }

    #[test]
    fn late_rules_run_before_the_content() {
        let mut world = World::new("SetEnvIfPlus Request_URI / VA=1 late");
        let connection = world.connect("192.0.2.17").expect("free");
        let mut view = View::default().at("/", None);
        let (_, mut facts) = world.begin(&connection, &mut view);
        assert_eq!(view.text("VA"), None);
        world.exchange(&connection, &mut view, |rules, exchange| {
            crate::phases::fix_up(rules, exchange, &mut facts);
        });
        assert_eq!(view.text("VA"), Some("1"));
        world.close(connection);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, reason) in [
            ("SetEnvIfPlus Request_URI", "takes an attribute, a pattern and variables"),
            ("SetEnvIfPlus Request_URI /", "takes a variable behind the pattern"),
            ("SetEnvIfPlus Request_URI / late", "takes a variable behind the pattern"),
            ("SetEnvIfPlus Request_URI ( VA", "a ')' is missing"),
            ("SetEnvIfPlus X-[a / VA", "a ']' is missing"),
            ("SetEnvIfPlus Request_URI / =1", "'=1'"),
            ("SetEnvIfPlusNoCase Request_URI / VA !", "'!'"),
        ] {
            let error = refused(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
