//! One connection, look after look: how long its client let the server wait, and how much came meanwhile.
//!
//! The kernel's counters are the measure, not what httpd has handed over: a whole file may lie in the socket's
//! buffer while nothing of it arrives. Time counts only where the client is the one who is waited for: for
//! what it sends, while the server waits in a read and the kernel has nothing for it; for what it takes, while
//! octets lie in the kernel's queue that were there at the last look.

use crate::meter::progress::{Progress, Stage, Stretch};
use crate::meter::rate::Interval;
use crate::time::{Seconds, Tick};

/// What the kernel says of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Octets that came in, ever; on TLS what is in them, so it may shrink a little ([`super::clear_text`]).
    pub received: u64,
    /// Those of them that nobody has read yet.
    pub unread: u32,
    /// Milliseconds since the last of them came.
    pub quiet_millis: u32,
    /// Octets that the peer has acknowledged, ever.
    pub acknowledged: u64,
    /// Octets that are on their way to it, or wait to be sent.
    pub pending: u32,
    /// The peer can still send.
    pub is_receiving: bool,
    /// The peer can still be sent to.
    pub is_sending: bool,
}

/// Which way too little goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client; nothing at all on a new connection.
    In {
        /// Not a single octet came.
        is_silent: bool,
    },
    /// To the client.
    Out,
    /// Neither: a worker waits longer for the next request than the keep-alive timeout says.
    KeepAlive,
}

/// What a look saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowness {
    /// Which way.
    pub side: Side,
    /// Octets per second.
    pub rate: u32,
    /// How long it was waited for, in ticks.
    pub ticks: u32,
    /// The interval is over. Otherwise it is only slow so far, which counts when workers run out.
    pub is_over: bool,
}

/// How a look measures.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// When it is.
    pub now: Tick,
    /// How long an interval is.
    pub span: Seconds,
    /// Octets per second.
    pub required: u32,
    /// Responses are measured, too.
    pub covers_responses: bool,
    /// From so many ticks on, a connection that is too slow so far is told of.
    pub grace: u32,
}

/// What the looks so far have left.
#[derive(Debug, Default)]
pub struct Watch {
    before: Option<Before>,
    intake: Interval,
    is_awaited: bool,
    /// An idle connection has sent something: the head of a request has begun.
    is_head: bool,
    uptake: Interval,
    /// How far the peer must have acknowledged to have taken all that was pending when the interval began.
    goal: Option<u64>,
    /// Octets that were acknowledged after a standstill: room that the client made by reading.
    read_after_standstill: u64,
    stood_still: bool,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    at: Tick,
    stretch: Stretch,
    sample: Sample,
}

/// A client's kernel makes room by the packet, or by the sixteenth of a large buffer, not by the octet: one who
/// reads slowly but fast enough takes much at once, then nothing for a while. What it took above the need counts
/// for so many intervals more.
const CARRIED_INTERVALS: u64 = 4;

/// How much longer than the keep-alive timeout a worker may wait.
const IDLE_TOLERANCE: Seconds = Seconds(5);

impl Watch {
    /// Looks at a connection. `is_http2`: between its streams it may send what is no head.
    pub fn look(
        &mut self,
        progress: &Progress,
        is_http2: bool,
        sample: Sample,
        measure: &Measure,
    ) -> Option<Slowness> {
        let stretch = progress.stretch();
        let before = self.before.replace(Before { at: measure.now, stretch, sample });
        let elapsed = |since: Tick| measure.now.0.saturating_sub(since.0);
        let is_new = before.is_none_or(|before| before.stretch != stretch);
        if is_new {
            self.begin_stretch(progress, stretch, &sample, measure.now);
        } else if let Some(before) = before {
            self.take_in(progress, is_http2, before, &sample, elapsed(before.at));
        }
        self.is_awaited = self.is_awaited_now(progress, stretch, &sample);
        self.take_up(before, &sample, before.map_or(0, |before| elapsed(before.at)));

        let silent = stretch.is_first() && sample.received == 0;
        let intake = self.judge_intake(silent, measure);
        let uptake = self.judge_uptake(measure).filter(|_| measure.covers_responses);
        let worst = match (intake, uptake) {
            (Some(one), Some(other)) if other.is_over && !one.is_over => Some(other),
            (one, other) => one.or(other),
        };
        worst.or_else(|| self.judge_idleness(progress, stretch, is_http2, &sample, measure))
    }

    fn begin_stretch(&mut self, progress: &Progress, stretch: Stretch, sample: &Sample, now: Tick) {
        self.intake = Interval::default();
        self.is_head = false;
        if stretch.is_first() {
            // It was waited for from the beginning, not from the first look on.
            let since = progress.since().unwrap_or(now);
            self.intake.add(sample.received, now.0.saturating_sub(since.0));
        }
    }

    fn take_in(
        &mut self,
        progress: &Progress,
        is_http2: bool,
        before: Before,
        sample: &Sample,
        elapsed: u32,
    ) {
        let octets = sample.received.saturating_sub(before.sample.received);
        if before.stretch.stage() == Stage::Idle && !self.is_head {
            self.is_head = !is_http2 && has_sent_since(progress, sample, before.at.0 + elapsed);
            return;
        }
        // Both looks found somebody waiting; what happened in between counts for the client.
        let waited = self.is_awaited && self.is_awaited_now(progress, before.stretch, sample);
        self.intake.add(octets, if waited { elapsed } else { 0 });
    }

    fn is_awaited_now(&self, progress: &Progress, stretch: Stretch, sample: &Sample) -> bool {
        sample.is_receiving
            && sample.unread == 0
            && match stretch.stage() {
                Stage::Head => true,
                Stage::Request => progress.is_waiting(),
                Stage::Idle => self.is_head,
            }
    }

    fn take_up(&mut self, before: Option<Before>, sample: &Sample, elapsed: u32) {
        if sample.pending == 0 || !sample.is_sending {
            self.goal = None;
            return;
        }
        let all = sample.acknowledged.saturating_add(u64::from(sample.pending));
        match (self.goal, before) {
            (Some(goal), Some(before)) if sample.acknowledged < goal => {
                let octets = sample.acknowledged.saturating_sub(before.sample.acknowledged);
                self.uptake.add(octets, elapsed);
                if self.stood_still {
                    self.read_after_standstill += octets;
                }
                self.stood_still = octets == 0;
            }
            // Nothing was pending, or all that was is taken: the client keeps up.
            _ => {
                self.goal = Some(all);
                self.uptake.restart(0);
                self.read_after_standstill = 0;
                self.stood_still = false;
            }
        }
    }

    fn judge_intake(&mut self, is_silent: bool, measure: &Measure) -> Option<Slowness> {
        let slowness = judge(&self.intake, Side::In { is_silent }, measure);
        if self.intake.is_full(measure.span) {
            self.intake.restart(0);
        }
        // Who has just sent, or is no longer waited for, is judged at the next look.
        slowness.filter(|slowness| slowness.is_over || self.is_awaited)
    }

    fn judge_uptake(&mut self, measure: &Measure) -> Option<Slowness> {
        self.goal?;
        let slowness = judge(&self.uptake, Side::Out, measure);
        if self.uptake.is_full(measure.span) {
            let need = u64::from(measure.required) * u64::from(measure.span.0);
            let surplus = self.uptake.octets().saturating_sub(need);
            let carried = surplus.min(self.read_after_standstill).min(CARRIED_INTERVALS * need);
            self.uptake.restart(carried);
            self.read_after_standstill = carried;
        }
        slowness
    }

    fn judge_idleness(
        &self,
        progress: &Progress,
        stretch: Stretch,
        is_http2: bool,
        sample: &Sample,
        measure: &Measure,
    ) -> Option<Slowness> {
        if stretch.stage() != Stage::Idle || self.is_head || is_http2 || sample.pending > 0 {
            return None;
        }
        let end = progress.since()?.after(progress.idle_limit()?).after(IDLE_TOLERANCE);
        (measure.now >= end).then_some(Slowness {
            side: Side::KeepAlive,
            rate: 0,
            ticks: measure.now.0.saturating_sub(end.0),
            is_over: true,
        })
    }
}

/// Tells whether an idle connection has sent something since its last request was logged. A tick is left out:
/// the moment is no more exact than that.
fn has_sent_since(progress: &Progress, sample: &Sample, now: u32) -> bool {
    let quiet = Tick::from_millis(u64::from(sample.quiet_millis)).0;
    progress.since().is_some_and(|since| now.saturating_sub(quiet) > since.0 + 1)
}

fn judge(interval: &Interval, side: Side, measure: &Measure) -> Option<Slowness> {
    let is_over = interval.is_full(measure.span);
    let rate = if is_over { interval.rate_of(measure.span) } else { interval.rate() };
    let is_told = is_over || interval.ticks() >= measure.grace;
    (is_told && rate < measure.required).then_some(Slowness {
        side,
        rate,
        ticks: interval.ticks(),
        is_over,
    })
}
