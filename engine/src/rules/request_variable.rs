//! Variables that a request's other variables and its query set, and a look at all of them.
//! Spec: variables.md 2, 3. Phases: admit (I.6 set, I.12 compare), finish (L.4 set again), and QS_LogEnv in
//! each of them.
//!
//! Rules of one directive run in the order of the configuration, those of the base server before those of a
//! virtual host, outer locations before inner ones, and all of the server's before all of a location's.

mod comparison;
mod composition;
mod condition;
mod dump;

use crate::assignment::{Assignment, Names};
use crate::context::{Aspect, Exchange, RequestView};
use crate::directive::{About, Arguments, Arity, Directive, InLocation, Scope};
use crate::log_event::LogEvent;
use crate::matching::budget;
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::values::{Capacity, Problem};
use comparison::Comparison;
use composition::Composition;
use condition::Condition;
pub use dump::{Marker, tell};
use std::sync::Arc;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    here: Everywhere,
    compositions: Vec<Arc<Composition>>,
    logs: Option<bool>,
}

/// As written in a location.
#[derive(Clone, Debug, Default)]
pub struct LocationSettings {
    here: Everywhere,
    comparisons: Vec<Arc<Comparison>>,
}

/// What may be written in a server as in a location. Rules are shared, since locations are merged for each
/// request.
#[derive(Clone, Debug, Default)]
struct Everywhere {
    queries: Vec<Arc<Query>>,
    conditions: Vec<Arc<Condition>>,
}

/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced: what is written.
#[derive(Clone, Debug)]
pub struct Policy {
    here: Everywhere,
    compositions: Vec<Arc<Composition>>,
    /// Whether all variables are logged at each step.
    pub logs: bool,
}

/// A query that matches sets a variable.
#[derive(Debug)]
struct Query {
    pattern: Pattern,
    assignment: Assignment,
}

/// The events of this family; that of patterns which run out of steps stands here for all families.
pub const LOG_EVENTS: &[&LogEvent] = &[&dump::ALL_VARIABLES, &budget::OVER_BUDGET];

const SET_ENV_IF: About = About {
    name: c"QS_SetEnvIf",
    arguments:
        c"[!]<variable1> [!]<variable2>|<variable1>=<pattern> <variable>=<value>|!<variable>",
    arity: Arity::Any,
    scope: Scope::Location,
    range: "names of variables; a regular expression",
    default: "none",
    help: "Sets a variable, or removes it (!), if two others are set (or are not, !), or if another one \
           matches a pattern, whose groups the value may name as $0 to $9. Done before a request is judged, \
           and again when it is logged: then the counters of client rules and the variables of the response \
           are known, and what is set counts.",
    spec: "variables.md 3",
};

const SET_ENV_IF_QUERY: About = About {
    name: c"QS_SetEnvIfQuery",
    arguments: c"<pattern> [!]<variable>[=<value>]",
    arity: Arity::Two,
    scope: Scope::Location,
    range: "a regular expression; the name of a variable, at least two characters",
    default: "none; without a value the empty text",
    help: "Sets or removes a variable if the query matches, as the client sent it: nothing is decoded. The \
           value may name groups of the pattern as $0 to $9.",
    spec: "variables.md 3",
};

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: SET_ENV_IF,
        set: |settings, arguments| add(&mut settings.here.conditions, Condition::read(arguments)),
        set_in_location: Some(|settings, arguments| {
            add(&mut settings.here.conditions, Condition::read(arguments))
        }),
    },
    Directive {
        about: SET_ENV_IF_QUERY,
        set: |settings, arguments| add(&mut settings.here.queries, Query::read(arguments)),
        set_in_location: Some(|settings, arguments| {
            add(&mut settings.here.queries, Query::read(arguments))
        }),
    },
    Directive {
        about: About {
            name: c"QS_SetEnv",
            arguments: c"<variable> <value>",
            arity: Arity::Two,
            scope: Scope::Server,
            range: "the name of a variable; any text",
            default: "none",
            help: "Sets a variable to a value in which ${name} is the value of another variable, also where \
                   that one names others in turn. If one of them is not set, nothing is set.",
            spec: "variables.md 3",
        },
        set: |settings, arguments| add(&mut settings.compositions, Composition::read(arguments)),
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SetEnvIfCmp",
            arguments: c"<variable1> eq|ne|gt|lt <variable2> [!]<variable>[=<value>]",
            arity: Arity::Any,
            scope: Scope::Location,
            range: "names of variables",
            default: "none; without a value the empty text",
            help: "Only in a location. Sets or removes a variable if two others are set and compare so: by \
                   number where both are digits, else as text without regard to case. gt is greater, lt is \
                   less, for both. Done after concurrent events were counted, before client rules.",
            spec: "variables.md 3",
        },
        set: |_, _| Err(Problem::text("may only be used in a location")),
        set_in_location: Some(|settings, arguments| {
            add(&mut settings.comparisons, Comparison::read(arguments))
        }),
    },
    Directive {
        about: About {
            name: c"QS_LogEnv",
            arguments: c"on|off",
            arity: Arity::One,
            scope: Scope::Server,
            range: "on or off",
            default: "off",
            help: "Logs all variables of a request at each step of its life (event 210), to find out why a \
                   rule acts, or does not.",
            spec: "variables.md 3",
        },
        set: |settings, arguments| {
            settings.logs = Some(arguments.flag()?);
            Ok(())
        },
        set_in_location: None,
    },
];

fn add<T>(rules: &mut Vec<Arc<T>>, rule: Result<T, Problem>) -> Result<(), Problem> {
    rules.push(Arc::new(rule?));
    Ok(())
}

fn behind<T>(outer: &[Arc<T>], inner: &[Arc<T>]) -> Vec<Arc<T>> {
    outer.iter().chain(inner).cloned().collect()
}

impl Everywhere {
    fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.conditions.is_empty()
    }

    fn over(&self, outer: &Everywhere) -> Everywhere {
        Everywhere {
            queries: behind(&outer.queries, &self.queries),
            conditions: behind(&outer.conditions, &self.conditions),
        }
    }
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings {
            here: self.here.over(&base.here),
            compositions: behind(&base.compositions, &self.compositions),
            logs: self.logs.or(base.logs),
        }
    }
}

impl InLocation for LocationSettings {
    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.comparisons.is_empty()
    }

    fn over(&self, outer: &LocationSettings) -> LocationSettings {
        LocationSettings {
            here: self.here.over(&outer.here),
            comparisons: behind(&outer.comparisons, &self.comparisons),
        }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy {
            here: settings.here.clone(),
            compositions: settings.compositions.clone(),
            logs: settings.logs == Some(true),
        }
    }

    /// Tells whether each phase tells of all variables.
    pub fn logs(&self) -> bool {
        self.logs
    }

    /// Tells whether it sets variables again when a request is logged.
    pub fn sets_again(&self) -> bool {
        !self.here.conditions.is_empty()
    }
}

/// Sets what the query and other variables ask for, before the request is judged (I.6).
pub fn set(policy: &Policy, location: Option<&LocationSettings>, exchange: &mut Exchange<'_>) {
    let location = location.map(|location| &location.here);
    for query in &policy.here.queries {
        query.apply(exchange);
    }
    for query in location.map_or(&[][..], |location| &location.queries) {
        query.apply(exchange);
    }
    set_by_conditions(policy, location, exchange);
    for composition in &policy.compositions {
        composition.apply(exchange.request);
    }
}

/// Sets what variables of the response, and counters, ask for (L.4).
pub fn set_again(
    policy: &Policy,
    location: Option<&LocationSettings>,
    exchange: &mut Exchange<'_>,
) {
    set_by_conditions(policy, location.map(|location| &location.here), exchange);
}

fn set_by_conditions(policy: &Policy, location: Option<&Everywhere>, exchange: &mut Exchange<'_>) {
    for condition in &policy.here.conditions {
        condition.apply(exchange);
    }
    for condition in location.map_or(&[][..], |location| &location.conditions) {
        condition.apply(exchange);
    }
}

/// Compares variables (I.12).
pub fn compare(location: &LocationSettings, request: &mut dyn RequestView) {
    for comparison in &location.comparisons {
        comparison.apply(request);
    }
}

impl Query {
    fn read(arguments: &Arguments<'_>) -> Result<Query, Problem> {
        let variable = arguments.second().unwrap_or("");
        if variable.len() < 2 {
            return Err(Problem::text(format!("variable name is too short ({variable})")));
        }
        Ok(Query {
            pattern: Pattern::new(arguments.first(), Options::default())?,
            assignment: Assignment::parse(variable, "", Names::Groups)?,
        })
    }

    fn apply(&self, exchange: &mut Exchange<'_>) {
        let request = &*exchange.request;
        let Some(query) = request.aspect(Aspect::SentQuery) else { return };
        match self.pattern.is_match(query) {
            Matched::No => {}
            Matched::Yes => {
                if let Some(ready) = self.assignment.ready_for(&self.pattern, query, request) {
                    ready.apply(exchange.request);
                }
            }
            Matched::OverBudget => {
                budget::tell("QS_SetEnvIfQuery", &self.pattern, None, false, exchange);
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
