//! How large the body of a request may be: `QS_LimitRequestBody`.
//! Spec: request-filter.md 5. Phases: prepare (a body of known length), receive (one of unknown length,
//! while it is read), wants_body (whether there is anything to watch).

use crate::context::{BodyLength, Exchange};
use crate::directive::{About, Arguments, Arity, Directive, InLocation, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::rules::{Finder, Outcome, Tally};
use crate::values::{Capacity, Problem, octets};
use crate::verdict::{Violation, Words};
use core::ffi::CStr;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    max: Option<u64>,
}

/// As written in a location.
#[derive(Clone, Debug, Default)]
pub struct LocationSettings {
    max: Option<u64>,
}

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// This many octets are taken.
    max: Option<u64>,
    /// Whether the variable is asked for: somebody can set it.
    is_variable_read: bool,
    /// Where outcomes are counted.
    tally: Tally,
}

/// What is kept of one request.
#[derive(Debug, Default)]
pub struct Facts {
    /// What holds for this request.
    max: Option<u64>,
    /// Where the outcome is counted.
    tally: Tally,
    /// Octets that came, and octets that became of them where the body is unpacked.
    received: [u64; 2],
    /// It is counted while it is read.
    is_watched: bool,
    /// It was told of already.
    is_told: bool,
    /// It has to be answered by this status.
    refused: Option<u16>,
}

/// Where octets of a body are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// As they came, without the chunks around them.
    Sent,
    /// As the application gets them.
    Unpacked,
}

/// What of a body has to be watched while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Its length is not known beforehand.
    pub sent: bool,
    /// It may be unpacked on its way.
    pub unpacked: bool,
}

/// `mod_qos(044)`
pub static TOO_LARGE: LogEvent = LogEvent {
    number: 44,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_LimitRequestBody: {max={N} this={n}|invalid content-length header}, c={c}, id={id}",
    when: "a request with a larger body; one of unknown length when it grows over the limit, once",
};

/// `mod_qos(314)`
pub static NO_LIMIT: LogEvent = LogEvent {
    number: 314,
    level: Level::Notice,
    is_counted: true,
    format: "QS_LimitRequestBody: the variable's value is no number of octets and is ignored, id={id}",
    when: "a request that sets the variable QS_LimitRequestBody to something else; once per process",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&TOO_LARGE, &NO_LIMIT];

/// The variable that takes precedence over the directive.
pub const VARIABLE: &CStr = c"QS_LimitRequestBody";
const STATUS: u16 = 413;

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QS_LimitRequestBody",
        arguments: c"<octets>",
        arity: Arity::One,
        scope: Scope::Location,
        range: "0 to 9223372036854775807 octets; 0 takes no body at all",
        default: "no limit",
        help: "A request with a larger body is answered by status 413 and its connection is closed (event 044); \
               one of unknown length as soon as it has grown over the limit. What is sent compressed is held to \
               the limit unpacked, too. The variable QS_LimitRequestBody of a request has precedence.",
        spec: "request-filter.md 5",
    },
    set: |settings, arguments| {
        settings.max = Some(max(arguments)?);
        Ok(())
    },
    set_in_location: Some(|settings, arguments| {
        settings.max = Some(max(arguments)?);
        Ok(())
    }),
}];

fn max(arguments: &Arguments<'_>) -> Result<u64, Problem> {
    octets(arguments.first())
}

impl Settings {
    /// Completes a virtual host's settings by the base server's.
    pub fn over(&self, base: &Settings) -> Settings {
        Settings { max: self.max.or(base.max) }
    }
}

impl InLocation for LocationSettings {
    fn is_empty(&self) -> bool {
        self.max.is_none()
    }

    fn over(&self, outer: &LocationSettings) -> LocationSettings {
        LocationSettings { max: self.max.or(outer.max) }
    }
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        Policy { max: settings.max, is_variable_read: true, tally: Tally::default() }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if self.max.is_some() {
            self.tally = finder.of_server("QS_LimitRequestBody", "");
        }
    }

    /// Tells whether any body is limited here.
    pub fn is_on(&self) -> bool {
        self.max.is_some() || self.is_variable_read
    }

    /// Asks for the variable only where it can be set at all; `is_used` knows of whom.
    pub fn bind(&mut self, is_used: &dyn Fn(&CStr) -> bool) {
        self.is_variable_read = is_used(VARIABLE);
    }
}

/// Settles which limit holds, and judges a body whose length is known (step G).
pub fn judge(
    policy: &Policy,
    location: Option<&LocationSettings>,
    exchange: &mut Exchange<'_>,
    facts: &mut Facts,
) -> Option<Violation> {
    let configured = location.and_then(|location| location.max).or(policy.max);
    if configured.is_none() && !policy.is_variable_read {
        return None;
    }
    // Most requests have no body, and are asked for nothing else.
    let length = exchange.request.body_length();
    if length == BodyLength::None {
        return None;
    }
    facts.max = variable(policy, exchange).or(configured);
    facts.tally = policy.tally;
    let max = facts.max?;
    let words = match length {
        BodyLength::Known(length) if length > max => {
            format!("QS_LimitRequestBody: max={max} this={length}")
        }
        BodyLength::Invalid => "QS_LimitRequestBody: invalid content-length header".to_owned(),
        BodyLength::Known(_) => {
            exchange.moment.store.rules.count(policy.tally, Outcome::Pass);
            return None;
        }
        // It shows while it is read; then it is only counted where it is too large.
        _ => return None,
    };
    facts.is_told = true;
    Some(too_large(words).by(policy.tally))
}

/// Returns what the variable says, if that can be meant.
fn variable(policy: &Policy, exchange: &mut Exchange<'_>) -> Option<u64> {
    if !policy.is_variable_read {
        return None;
    }
    let value = exchange.request.variable(VARIABLE)?;
    let max = core::str::from_utf8(value).ok().and_then(|text| octets(text).ok());
    if max.is_none() && exchange.request.is_first_time(NO_LIMIT.number) {
        exchange.note(
            &NO_LIMIT,
            format_args!(
                "QS_LimitRequestBody: the variable's value is no number of octets and is ignored"
            ),
        );
    }
    max
}

/// Tells what of the request's body has to be watched: nothing, for most requests.
pub fn watched(exchange: &Exchange<'_>, facts: &mut Facts) -> Watched {
    if facts.max.is_none() || facts.is_told {
        return Watched::default();
    }
    let watched = Watched {
        sent: exchange.request.body_length() == BodyLength::Unknown,
        unpacked: exchange.request.header(c"Content-Encoding").is_some(),
    };
    facts.is_watched = watched != Watched::default();
    watched
}

/// Tells whether the body is watched, and so the answer to it.
pub fn is_watched(facts: &Facts) -> bool {
    facts.is_watched
}

/// Counts octets of the body as they come (while it is read); tells of the first that are too many.
pub fn receive(facts: &mut Facts, layer: Layer, count: u64) -> Option<Violation> {
    let [sent, unpacked] = &mut facts.received;
    let received = match layer {
        Layer::Sent => sent,
        Layer::Unpacked => unpacked,
    };
    *received = received.saturating_add(count);
    let (max, this) = (facts.max?, *received);
    if this <= max || facts.is_told {
        return None;
    }
    facts.is_told = true;
    Some(too_large(format!("QS_LimitRequestBody: max={max} this={this}")).by(facts.tally))
}

/// Notes that what [`receive`] told of is enforced: the request is answered by this status, whatever its
/// handler makes of the failed read.
pub fn refuse(facts: &mut Facts, status: u16) {
    facts.refused = Some(status);
}

/// Returns the status that the response must have, if its handler answers something else; once, since
/// the page of that status is a response, too.
pub fn overruled(facts: &mut Facts, status: u16) -> Option<u16> {
    let wanted = facts.refused.filter(|wanted| facts.is_watched && status != *wanted)?;
    facts.is_watched = false;
    Some(wanted)
}

/// Tells whether reading goes on failing.
pub fn is_refused(facts: &Facts) -> bool {
    facts.refused.is_some()
}

fn too_large(words: String) -> Violation {
    Violation { status: Some(STATUS), ..Violation::new(&TOO_LARGE, Words::Text(words)) }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
