//! A pattern that ran out of steps: the rule takes that as a match or as none, and says so.

use super::pattern::Pattern;
use crate::client::address::PrefixBits;
use crate::context::Exchange;
use crate::log_event::{self, Level, LogEvent};

/// `mod_qos(304)`
pub static OVER_BUDGET: LogEvent = LogEvent {
    number: 304,
    level: Level::Error,
    is_counted: true,
    format: "{directive} rule: regular expression reached its step limit, taken as {match|no match}, rule={pattern}, c={c}, id={id}",
    when: "a pattern with look-around, a back reference or a possessive quantifier takes too many steps, or its subject is longer than 16 KiB; at most one line per rule, second and process",
};

/// Tells that a rule's pattern ran out of steps: at most one line in a second. `rule` is the rule's id
/// where it has one, else the pattern.
pub fn tell(
    directive: &str,
    pattern: &Pattern,
    rule: Option<&str>,
    is_match: bool,
    exchange: &mut Exchange<'_>,
) {
    let Exchange { moment, connection, request, sink, .. } = exchange;
    if !pattern.may_tell(moment.now) {
        moment.store.totals.count(OVER_BUDGET.number);
        return;
    }
    let taken_as = if is_match { "match" } else { "no match" };
    log_event::note(
        &OVER_BUDGET,
        format_args!(
            "{directive} rule: regular expression reached its step limit, taken as {taken_as}, \
             rule={}, {}, id={}",
            rule.unwrap_or(pattern.text()),
            connection.peer.in_log(PrefixBits::WHOLE),
            request.unique_id()
        ),
        Some(&moment.store.totals),
        *sink,
    );
}
