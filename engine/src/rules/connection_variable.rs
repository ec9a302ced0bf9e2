//! What variables of a request change about its connection: how long it is kept and for how many
//! requests, how long the server waits for it, and the mark of its packets.
//! Spec: variables.md 4. Phases: admit (I.4, I.7), respond (K.8, K.9).

pub use super::variables_only::{DIRECTIVES, Facts, LocationSettings, Settings};

use crate::context::{DscpFailure, Exchange, KeepAlive, Kept, Letter, note_number};
use crate::log_event::{self, Level, LogEvent};
use crate::time::Seconds;
use crate::values::{Capacity, leading_number};
use core::ffi::CStr;

/// Which variables are asked for: those that somebody can set. All of them, unless told otherwise.
#[derive(Clone, Debug)]
pub struct Policy {
    reads_keep_alive: bool,
    reads_timeout: bool,
    reads_dscp: bool,
}

/// `mod_qos(037)`
pub static NOT_ON_EVENT: LogEvent = LogEvent {
    number: 37,
    level: Level::Notice,
    is_counted: true,
    format: "loaded MPM is 'event' and the QS_KeepAliveTimeout/QS_MaxKeepAliveRequests directives can't be used.",
    when: "a request asks for a longer keep-alive than its server's on the MPM event, which knows one per server; once per process",
};

/// `mod_qos(038)`
pub static NO_DSCP: LogEvent = LogEvent {
    number: 38,
    level: Level::Notice,
    is_counted: false,
    format: "DSCP, failed to set socket options, QS_Set_DSCP={v}, socket={yes|no}, rc={rc}, id={id}",
    when: "QS_Set_DSCP is no number from 0 to 63, or the kernel refuses to set it",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NOT_ON_EVENT, &NO_DSCP];

const KEEP_ALIVE_TIMEOUT: &CStr = c"QS_KeepAliveTimeout";
const MAX_KEEP_ALIVE: &CStr = c"QS_MaxKeepAliveRequests";
const TIMEOUT: &CStr = c"QS_Timeout";
const DSCP: &CStr = c"QS_Set_DSCP";

impl Policy {
    /// Resolves settings.
    pub fn resolve(_: &Settings, _: Capacity) -> Policy {
        Policy { reads_keep_alive: true, reads_timeout: true, reads_dscp: true }
    }

    /// Asks only for variables that can be set at all; `is_used` knows of whom.
    pub fn bind(&mut self, is_used: &dyn Fn(&CStr) -> bool) {
        self.reads_keep_alive = is_used(KEEP_ALIVE_TIMEOUT) || is_used(MAX_KEEP_ALIVE);
        self.reads_timeout = is_used(TIMEOUT);
        self.reads_dscp = is_used(DSCP);
    }

    /// Tells whether a response can change anything.
    pub fn wants_response(&self) -> bool {
        self.reads_keep_alive || self.reads_dscp
    }
}

/// Changes how long, and for how many requests, the connection is kept (I.4 and K.9).
pub fn keep_alive(policy: &Policy, is_log_only: bool, exchange: &mut Exchange<'_>) {
    if !policy.reads_keep_alive || is_log_only {
        return;
    }
    let number = |name| exchange.request.variable(name).and_then(leading_number);
    let wanted = KeepAlive { timeout: number(KEEP_ALIVE_TIMEOUT), max: number(MAX_KEEP_ALIVE) };
    if wanted == KeepAlive::default() {
        return;
    }
    match exchange.request.keep_alive(wanted) {
        Kept::AsWanted => exchange.add_letter(Letter::KeepAliveChanged),
        Kept::NotForSoLong => {
            if exchange.request.is_first_time(NOT_ON_EVENT.number) {
                // Without an id, as in the C module.
                note_number(&NOT_ON_EVENT, exchange.request);
                let text = "loaded MPM is 'event' and the \
                            QS_KeepAliveTimeout/QS_MaxKeepAliveRequests directives can't be used.";
                let totals = Some(&exchange.moment.store.totals);
                log_event::note(&NOT_ON_EVENT, format_args!("{text}"), totals, exchange.sink);
            }
        }
        Kept::NotHere => {}
    }
}

/// Changes how long the server waits for this client to send or take data (I.7).
pub fn timeout(policy: &Policy, is_log_only: bool, exchange: &mut Exchange<'_>) {
    if !policy.reads_timeout || is_log_only {
        return;
    }
    if let Some(seconds) = exchange.request.variable(TIMEOUT).and_then(leading_number)
        && seconds > 0
    {
        exchange.request.wait_no_longer(Seconds(seconds));
    }
}

/// Marks the packets of the connection (K.8).
pub fn mark_packets(policy: &Policy, exchange: &mut Exchange<'_>) {
    if !policy.reads_dscp {
        return;
    }
    let Some(value) = exchange.request.variable(DSCP) else { return };
    let text = core::str::from_utf8(value).ok();
    let dscp = text.and_then(|text| text.parse().ok()).filter(|dscp: &u8| *dscp <= 63);
    let value = String::from_utf8_lossy(value).into_owned();
    let failure = match dscp {
        Some(dscp) => exchange.request.set_dscp(dscp).err(),
        None => Some(DscpFailure { has_socket: true, code: -2 }),
    };
    if let Some(DscpFailure { has_socket, code }) = failure {
        let socket = if has_socket { "yes" } else { "no" };
        exchange.note(
            &NO_DSCP,
            format_args!(
                "DSCP, failed to set socket options, QS_Set_DSCP={value}, socket={socket}, rc={code}"
            ),
        );
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
