//! The look at all connections of a child: who has been too slow for a whole interval, and, when workers run
//! out, who is the slowest so far.

use super::watch::{Measure, Sample, Side, Slowness, Watch};
use super::{Policy, open};
use crate::context::{Connection, Marks, Moment};
use crate::time::{Seconds, Tick};

/// A connection that is looked at.
#[derive(Debug)]
pub struct Holder<'a> {
    /// Whose it is, and what it is at.
    pub connection: &'a Connection,
    /// What earlier looks have left.
    pub watch: &'a mut Watch,
    /// What the kernel says.
    pub sample: Sample,
    /// What shall happen to it.
    pub close: Option<Close>,
}

/// How a connection that is too slow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Its read half is shut: whoever reads from it sees the end, and can still answer.
    ReadHalf,
    /// All of it: a write that waits returns.
    Whole,
}

/// The time between looks. A second; shorter with each look that finds workers run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    ticks: u32,
}

const SECOND: u32 = 16;
/// An eighth of a second.
const SHORTEST: u32 = 2;

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { ticks: SECOND }
    }
}

impl Pulse {
    fn beat(&mut self, is_scarce: bool) {
        self.ticks = if is_scarce { (self.ticks / 2).max(SHORTEST) } else { SECOND };
    }

    /// Returns how many milliseconds to wait until the next look.
    pub fn millis(self) -> u64 {
        u64::from(self.ticks) * 1000 / u64::from(SECOND)
    }
}

/// What all connections of a look have in common.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// How many connections are open altogether.
    pub open: u32,
    /// Octets per second that are asked for.
    pub required: u32,
    /// What the rate rises by.
    pub max: u32,
    /// So many connections are open that the rate is enforced.
    pub is_in_force: bool,
    /// More are open than can be served.
    pub is_beyond: bool,
    /// So many more that something must be wrong.
    pub is_far_beyond: bool,
    is_scarce: bool,
    measure: Measure,
}

/// A connection that is too slow.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// Its place among the holders.
    pub index: usize,
    /// How slow it is.
    pub slowness: Slowness,
    /// It is not told off: a VIP, an event, or too few open connections.
    pub is_allowed: bool,
}

/// Looks how full the server is. `None` without a rule.
pub fn look(policy: &Policy, moment: &Moment<'_>, pulse: &mut Pulse) -> Option<Look> {
    let rule = policy.rule?;
    let (open, max_clients) = (open(moment), policy.max_clients.max(1));
    let required = rule.ramp.required(open, max_clients);
    let scarce_from = (u64::from(max_clients) * 7).div_ceil(8);
    let is_scarce = u64::from(open) >= scarce_from;
    pulse.beat(is_scarce);
    let is_beyond = rule.ramp.max.is_some() && open > max_clients;
    Some(Look {
        open,
        required,
        max: rule.ramp.max.unwrap_or(0),
        is_in_force: open >= rule.ramp.from,
        is_beyond,
        is_far_beyond: is_beyond && open > max_clients.saturating_add(128),
        is_scarce,
        measure: Measure {
            now: moment.now,
            span: policy.sample,
            required,
            covers_responses: rule.covers_responses,
            grace: grace(policy.sample, open, scarce_from, max_clients, *pulse),
        },
    })
}

/// How long a connection may be slow: a whole interval until workers run out, then the shorter the fewer are
/// left. Two looks when none is left.
fn grace(span: Seconds, open: u32, scarce_from: u64, max_clients: u32, pulse: Pulse) -> u32 {
    let longest = u64::from(Tick(0).after(span).0);
    let shortest = u64::from(pulse.ticks * 2).min(longest);
    let left = u64::from(max_clients).saturating_sub(u64::from(open));
    let all = u64::from(max_clients).saturating_sub(scarce_from).max(1);
    let grace = shortest + (longest - shortest) * left.min(all) / all;
    u32::try_from(grace).unwrap_or(u32::MAX)
}

/// Looks at connections, and returns those that are too slow: over a whole interval, and, when workers run out,
/// the slowest so far, half of all at most.
pub fn examine(policy: &Policy, look: &Look, holders: &mut [Holder<'_>]) -> Vec<Finding> {
    let most = holders.len().div_ceil(2);
    let mut findings = Vec::new();
    let mut early = Vec::new();
    for (index, holder) in holders.iter_mut().enumerate() {
        let Connection { progress, marks, .. } = holder.connection;
        // Also one that a request has made it since.
        let is_vip = holder.connection.is_vip || marks.has(Marks::VIP);
        let is_http2 = marks.has(Marks::HTTP2);
        let slowness = holder.watch.look(progress, is_http2, holder.sample, &look.measure);
        let Some(slowness) = slowness else { continue };
        if progress.is_unsupervised() {
            continue;
        }
        // Told of already, and still there: now no end of it is left open.
        if marks.has(Marks::CUT_OFF) {
            holder.close = slowness.is_over.then_some(Close::Whole);
            continue;
        }
        let is_allowed =
            (is_vip && !policy.ignore_vip) || progress.is_allowed() || !look.is_in_force;
        let finding = Finding { index, slowness, is_allowed };
        if slowness.is_over {
            findings.push(finding);
        } else if look.is_scarce && !is_allowed {
            early.push(finding);
        }
    }
    // The slowest first; of those that are equally slow, the one that has kept its worker longest.
    early.sort_by_key(|finding| (finding.slowness.rate, u32::MAX - finding.slowness.ticks));
    findings.extend(early.into_iter().take(most));
    findings
}

/// Returns how a connection ends that is too slow in this way.
pub fn close(side: Side) -> Close {
    match side {
        Side::In { .. } => Close::ReadHalf,
        Side::Out | Side::KeepAlive => Close::Whole,
    }
}
