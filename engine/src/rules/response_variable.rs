//! Variables that a response's headers, and variables of the request at that time, set.
//! Spec: variables.md 3. Phases: respond (K.2 headers, K.3 variables).

use crate::assignment::{Assignment, Names};
use crate::context::{Exchange, RequestView};
use crate::directive::{About, Arity, Directive, Scope};
use crate::lasting;
use crate::log_event::LogEvent;
use crate::matching::budget;
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::values::{Capacity, Problem};
use core::ffi::CStr;
use std::sync::Arc;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    matched_headers: Vec<Arc<MatchedHeader>>,
    headers: Vec<Header>,
    variables: Vec<Arc<Variable>>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();

/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced: what is written.
#[derive(Clone, Debug)]
pub struct Policy(Settings);

/// A header that becomes a variable of the same name.
#[derive(Clone, Copy, Debug)]
struct Header {
    name: &'static CStr,
    /// The client does not get it.
    is_dropped: bool,
}

/// A header that becomes a variable if it matches.
#[derive(Debug)]
struct MatchedHeader {
    name: &'static CStr,
    pattern: Pattern,
}

/// A variable that sets another one if it matches.
#[derive(Debug)]
struct Variable {
    name: &'static CStr,
    pattern: Pattern,
    assignment: Assignment,
}

/// This family logs nothing of its own.
pub const LOG_EVENTS: &[&LogEvent] = &[];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_SetEnvResHeader",
            arguments: c"<header> [drop]",
            arity: Arity::OneOrTwo,
            scope: Scope::Server,
            range: "the name of a header",
            default: "none",
            help: "Sets a variable of the header's name to the header's value, if the response has it; with \
                   drop the client does not get the header. An application can so tell the rules what to \
                   count: QS_Block, for one.",
            spec: "variables.md 3",
        },
        set: |settings, arguments| {
            let is_dropped = match arguments.second() {
                None => false,
                Some(word) if word.eq_ignore_ascii_case("drop") => true,
                Some(word) => return Err(Problem::word(word, "'drop' or nothing")),
            };
            add(&mut settings.headers, Header { name: header(arguments.first())?, is_dropped });
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SetEnvResHeaderMatch",
            arguments: c"<header> <pattern>",
            arity: Arity::Two,
            scope: Scope::Server,
            range: "the name of a header; a regular expression, without regard to case",
            default: "none",
            help: "Sets a variable of the header's name to the header's value, if the response has it and it \
                   matches. Several patterns per header are possible.",
            spec: "variables.md 3",
        },
        set: |settings, arguments| {
            let pattern = Pattern::new(
                arguments.second().unwrap_or(""),
                Options { ignore_case: true, dot_all: true },
            )?;
            let name = header(arguments.first())?;
            settings.matched_headers.push(Arc::new(MatchedHeader { name, pattern }));
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SetEnvRes",
            arguments: c"<variable> <pattern> <variable2>[=<value>]",
            arity: Arity::Any,
            scope: Scope::Server,
            range: "names of variables; a regular expression",
            default: "none; without a value 1",
            help: "Sets a variable, when the response begins, if another one matches a pattern, whose groups \
                   the value may name as $0 to $9.",
            spec: "variables.md 3",
        },
        set: |settings, arguments| {
            let [name, pattern, variable] = *arguments.words else {
                return Err(Problem::text("requires 3 arguments"));
            };
            if variable.starts_with('!') {
                return Err(Problem::word(variable, "a variable's name, or <variable>=<value>"));
            }
            settings.variables.push(Arc::new(Variable {
                name: lasting::variable(name)?,
                pattern: Pattern::new(pattern, Options::default())?,
                assignment: Assignment::parse(variable, "1", Names::Groups)?,
            }));
            Ok(())
        },
        set_in_location: None,
    },
];

fn header(word: &str) -> Result<&'static CStr, Problem> {
    let is_good = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&octet);
    if word.is_empty() || !word.bytes().all(is_good) {
        return Err(Problem::word(word, "the name of a header"));
    }
    lasting::text(word)
}

/// Adds a rule, in the place of one for the same header.
fn add(headers: &mut Vec<Header>, rule: Header) {
    headers.retain(|old| !old.name.to_bytes().eq_ignore_ascii_case(rule.name.to_bytes()));
    headers.push(rule);
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        let mut merged = base.clone();
        merged.matched_headers.extend(self.matched_headers.iter().cloned());
        merged.variables.extend(self.variables.iter().cloned());
        for header in &self.headers {
            add(&mut merged.headers, *header);
        }
        merged
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy(settings.clone())
    }

    /// Tells whether a response is of any interest.
    pub fn is_empty(&self) -> bool {
        self.0.matched_headers.is_empty()
            && self.0.headers.is_empty()
            && self.0.variables.is_empty()
    }
}

/// Sets what the response asks for, first its headers (K.2), then variables (K.3).
pub fn set(policy: &Policy, exchange: &mut Exchange<'_>) {
    for rule in &policy.0.matched_headers {
        rule.apply(exchange);
    }
    for rule in &policy.0.headers {
        rule.apply(exchange.request);
    }
    for rule in &policy.0.variables {
        rule.apply(exchange);
    }
}

impl Header {
    fn apply(&self, request: &mut dyn RequestView) {
        let Some(value) = request.response_header(self.name).map(<[u8]>::to_vec) else { return };
        request.set_variable(self.name, &value);
        if self.is_dropped {
            request.remove_response_header(self.name);
        }
    }
}

impl MatchedHeader {
    fn apply(&self, exchange: &mut Exchange<'_>) {
        let Some(value) = exchange.request.response_header(self.name) else { return };
        match self.pattern.is_match(value) {
            Matched::No => {}
            Matched::Yes => {
                let value = value.to_vec();
                exchange.request.set_variable(self.name, &value);
            }
            Matched::OverBudget => {
                budget::tell("QS_SetEnvResHeaderMatch", &self.pattern, None, false, exchange);
            }
        }
    }
}

impl Variable {
    fn apply(&self, exchange: &mut Exchange<'_>) {
        let request = &*exchange.request;
        let Some(value) = request.variable(self.name) else { return };
        match self.pattern.is_match(value) {
            Matched::No => {}
            Matched::Yes => {
                if let Some(ready) = self.assignment.ready_for(&self.pattern, value, request) {
                    ready.apply(exchange.request);
                }
            }
            Matched::OverBudget => {
                budget::tell("QS_SetEnvRes", &self.pattern, None, false, exchange);
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use crate::testing::{View, World, refused};

    #[test]
    fn headers_of_the_response_become_variables() {
        let mut world = World::new(
            "QS_SetEnvResHeader X-Event drop\n\
             QS_SetEnvResHeader X-Kept\n\
             QS_SetEnvResHeaderMatch X-M FAIL(ed)?\n\
             QS_SetEnvResHeaderMatch X-M second\n\
             QS_SetEnvRes X-Event ^(b+)$ QS_Seen=$1!\n\
             QS_SetEnvRes QS_Seen ! QS_Block",
        );
        let connection = world.connect("192.0.2.1").expect("free");
        let mut view = View::default();
        for (name, value) in [("x-event", "bb"), ("x-kept", "k"), ("x-m", "failed")] {
            view.response_headers.push((name.into(), value.into()));
        }
        world.request(&connection, &mut view, 200);
        assert_eq!(view.text("X-Event"), Some("bb"));
        assert_eq!(view.text("X-Kept"), Some("k"));
        assert_eq!(view.text("X-M"), Some("failed"));
        assert_eq!(view.text("QS_Seen"), Some("bb!"));
        assert_eq!(view.text("QS_Block"), Some("1"));
        let left: Vec<&str> = view.response_headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["x-kept", "x-m"]);

        let mut other = View::default();
        other.response_headers.push(("x-m".into(), b"well".to_vec()));
        world.request(&connection, &mut other, 200);
        assert_eq!((other.text("X-M"), other.text("QS_Block")), (None, None));
        world.close(connection);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, reason) in [
            ("QS_SetEnvResHeader X-A away", "'drop' or nothing"),
            ("QS_SetEnvResHeader X:A", "the name of a header"),
            ("QS_SetEnvResHeader \"X A\" drop", "the name of a header"),
            ("QS_SetEnvResHeaderMatch X-A (", "a ')' is missing"),
            ("QS_SetEnvResHeaderMatch X=A a", "the name of a header"),
            ("QS_SetEnvResHeaderMatch X-A [b-a]", "runs backwards"),
            ("QS_SetEnvRes A b", "requires 3 arguments"),
            ("QS_SetEnvRes A ( C", "a ')' is missing"),
            ("QS_SetEnvRes A b !C", "'!C'"),
            ("QS_SetEnvRes A b =1", "'=1'"),
            ("QS_SetEnvRes A=B c D", "'A=B'"),
        ] {
            let error = refused(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
