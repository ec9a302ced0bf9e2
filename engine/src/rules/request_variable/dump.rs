//! `QS_LogEnv`

use super::Policy;
use crate::context::Exchange;
use crate::log_event::{Level, LogEvent};
use core::fmt::Write;

/// `mod_qos(210)`
pub static ALL_VARIABLES: LogEvent = LogEvent {
    number: 210,
    level: Level::Notice,
    is_counted: false,
    format: "ENV {>PR_1|>PR_2|>HP_1|>HP_2|>HP_3|>FX_1|<LG_1} {name=value;...} {id}",
    when: "QS_LogEnv: all variables of a request, the one that was set last first, when it was read, before and behind mod_setenvif (PR), when its headers are parsed, at first, with its location's variables, and before it is judged (HP), before its content (FX), when it is logged (LG)",
};

/// Where in a request's life its variables are told of.
#[derive(Clone, Copy, Debug)]
pub enum Marker {
    /// `>PR_1`: read, before mod_setenvif.
    Read,
    /// `>PR_2`: read, behind it.
    ReadLate,
    /// `>HP_1`: headers are parsed.
    Prepare,
    /// `>HP_2`: the location's variables are known.
    Prepared,
    /// `>HP_3`: before it is judged.
    Admit,
    /// `>FX_1`: before its content.
    FixUp,
    /// `<LG_1`: it is logged.
    Finish,
}

impl Marker {
    fn text(self) -> &'static str {
        match self {
            Marker::Read => ">PR_1",
            Marker::ReadLate => ">PR_2",
            Marker::Prepare => ">HP_1",
            Marker::Prepared => ">HP_2",
            Marker::Admit => ">HP_3",
            Marker::FixUp => ">FX_1",
            Marker::Finish => "<LG_1",
        }
    }
}

/// Tells of all variables, where that is wanted.
#[inline]
pub fn tell(policy: &Policy, marker: Marker, exchange: &mut Exchange<'_>) {
    if policy.logs {
        tell_all(marker, exchange);
    }
}

/// For finding faults, so it may cost something.
#[cold]
fn tell_all(marker: Marker, exchange: &mut Exchange<'_>) {
    let id = exchange.request.unique_id().to_owned();
    let mut line = format!("mod_qos(210): ENV {} ", marker.text());
    exchange.request.each_variable(&mut |name, value| {
        for octet in name.iter().chain(b"=").chain(value).chain(b";") {
            match octet {
                b' '..=b'~' => line.push(char::from(*octet)),
                // A String takes everything.
                _ => drop(write!(line, "\\x{octet:02x}")),
            }
        }
    });
    line.push(' ');
    line.push_str(&id);
    exchange.sink.write(ALL_VARIABLES.level, &line);
}
