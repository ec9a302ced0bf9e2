//! What a connection is at, as its requests say it and the look at it needs it.
//!
//! Several threads write (the streams of HTTP/2 do at once), one reads: the one that looks. Each word stands
//! by itself, so nothing has to be ordered, and a look that comes in between two of them sees a connection
//! that has just moved on: the next look will judge it.

use crate::atomic::{AtomicU32, Ordering::Relaxed};
use crate::time::{Seconds, Tick};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The client is sending the head of a request, or should be.
    Head,
    /// A request is worked on.
    Request,
    /// Between two requests.
    Idle,
}

/// The stage of a connection, and what it may do there.
#[derive(Debug)]
pub struct Progress {
    /// The stage in the lowest bits, and above them a number that is new with each change.
    stage: AtomicU32,
    /// When the stage began; 0 where nobody looked at the clock.
    since: AtomicU32,
    /// Requests that were read and are not logged yet.
    running: AtomicU32,
    /// Reads of a request's body that wait for the client.
    waiting: AtomicU32,
    /// `UNSUPERVISED` and `ALLOWED`, of the request at work, or the last one.
    allowance: AtomicU32,
    /// How many seconds it may be idle, where a worker waits for it; else 0.
    idle_limit: AtomicU32,
}

const STAGE_BITS: u32 = 2;

/// The server of the request is not supervised.
const UNSUPERVISED: u32 = 1;
/// An event of the request allows it to be slow.
const ALLOWED: u32 = 2;

/// Stage and number of its change: two that are equal are the same stretch of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch(u32);

impl Stretch {
    /// Returns the stage.
    pub fn stage(self) -> Stage {
        match self.0 % (1 << STAGE_BITS) {
            0 => Stage::Head,
            1 => Stage::Request,
            _ => Stage::Idle,
        }
    }

    /// Tells whether nothing has been read on the connection yet but what may become its first head.
    pub fn is_first(self) -> bool {
        self.0 == 0
    }
}

impl Progress {
    /// Begins with the head of the first request.
    pub fn new(now: Tick) -> Progress {
        Progress {
            stage: AtomicU32::new(0),
            since: AtomicU32::new(now.0),
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            allowance: AtomicU32::new(0),
            idle_limit: AtomicU32::new(0),
        }
    }

    fn enter(&self, stage: Stage, since: Tick) {
        let number = (self.stage.load(Relaxed) >> STAGE_BITS).wrapping_add(1) << STAGE_BITS;
        // Never 0 again: that is the beginning.
        let number = if number == 0 { 1 << STAGE_BITS } else { number };
        self.since.store(since.0, Relaxed);
        self.stage.store(
            number
                | match stage {
                    Stage::Head => 0,
                    Stage::Request => 1,
                    Stage::Idle => 2,
                },
            Relaxed,
        );
    }

    /// The head of another request has begun to come in.
    pub fn begin_head(&self) {
        if self.stretch().stage() == Stage::Idle {
            self.enter(Stage::Head, Tick(0));
        }
    }

    /// A worker waits for the next request, and for so long.
    pub fn wait_for_head(&self, limit: Seconds) {
        self.idle_limit.store(limit.0, Relaxed);
    }

    /// A request has been read; `is_off` when its server is not supervised.
    pub fn begin_request(&self, is_off: bool) {
        // What the request before was allowed ends with it. Streams side by side share what they are allowed.
        if self.running.fetch_add(1, Relaxed) == 0 {
            self.allowance.store(0, Relaxed);
            self.enter(Stage::Request, Tick(0));
        }
        if is_off {
            self.allowance.fetch_or(UNSUPERVISED, Relaxed);
        }
    }

    /// A request is logged; `was_begun` when [`Progress::begin_request`] had heard of it.
    pub fn end_request(&self, was_begun: bool, now: Tick) {
        if was_begun && self.running.fetch_sub(1, Relaxed) > 1 {
            return;
        }
        if self.running.load(Relaxed) == 0 {
            self.idle_limit.store(0, Relaxed);
            self.enter(Stage::Idle, now);
        }
    }

    /// A read of a request's body begins to wait for the client.
    pub fn begin_wait(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// It has got something.
    pub fn end_wait(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// The request may be slow.
    pub fn allow(&self) {
        self.allowance.fetch_or(ALLOWED, Relaxed);
    }

    /// Returns the stretch it is in.
    pub fn stretch(&self) -> Stretch {
        Stretch(self.stage.load(Relaxed))
    }

    /// Returns when it began, if somebody looked at the clock.
    pub fn since(&self) -> Option<Tick> {
        Some(Tick(self.since.load(Relaxed))).filter(|since| since.0 != 0)
    }

    /// Tells whether a read of a body waits for the client.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Tells whether the server of the request is not supervised.
    pub fn is_unsupervised(&self) -> bool {
        self.allowance.load(Relaxed) & UNSUPERVISED != 0
    }

    /// Tells whether the request may be slow.
    pub fn is_allowed(&self) -> bool {
        self.allowance.load(Relaxed) & ALLOWED != 0
    }

    /// Returns how long it may be idle, where that is known.
    pub fn idle_limit(&self) -> Option<Seconds> {
        Some(Seconds(self.idle_limit.load(Relaxed))).filter(|limit| limit.0 != 0)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_from_head_to_request_to_idle_and_again() {
        let progress = Progress::new(Tick(5));
        assert!(progress.stretch().is_first());
        assert_eq!(progress.since(), Some(Tick(5)));
        progress.begin_head();
        assert!(progress.stretch().is_first(), "the same head still");
        progress.begin_request(false);
        assert_eq!(progress.stretch().stage(), Stage::Request);
        progress.end_request(true, Tick(9));
        assert_eq!((progress.stretch().stage(), progress.since()), (Stage::Idle, Some(Tick(9))));
        progress.begin_head();
        assert_eq!((progress.stretch().stage(), progress.since()), (Stage::Head, None));
        assert!(!progress.stretch().is_first());
    }

    #[test]
    fn streams_side_by_side_are_one_stretch_until_the_last_is_logged() {
        let progress = Progress::new(Tick(5));
        progress.begin_request(false);
        let stretch = progress.stretch();
        progress.begin_request(false);
        assert_eq!(progress.stretch(), stretch);
        progress.end_request(false, Tick(6)); // one that was never read whole
        progress.end_request(true, Tick(7));
        assert_eq!(progress.stretch(), stretch);
        progress.end_request(true, Tick(8));
        assert_eq!(progress.stretch().stage(), Stage::Idle);
    }

    #[test]
    fn a_request_that_was_never_read_ends_a_head() {
        let progress = Progress::new(Tick(5));
        progress.end_request(false, Tick(6));
        assert_eq!(progress.stretch().stage(), Stage::Idle);
    }

    #[test]
    fn what_a_request_is_allowed_ends_when_the_next_one_begins() {
        let progress = Progress::new(Tick(5));
        progress.begin_request(true);
        progress.allow();
        assert!(progress.is_unsupervised() && progress.is_allowed());
        progress.end_request(true, Tick(6));
        assert!(
            progress.is_unsupervised() && progress.is_allowed(),
            "its response is on the way still"
        );
        progress.begin_request(false);
        assert!(!progress.is_unsupervised() && !progress.is_allowed());
    }

    #[test]
    fn the_number_of_a_stretch_wraps_and_is_never_the_first_again() {
        let progress = Progress::new(Tick(5));
        progress.stage.store(u32::MAX - 1, Relaxed); // idle
        progress.begin_head();
        assert_eq!(progress.stretch().stage(), Stage::Head);
        assert!(!progress.stretch().is_first());
    }
}
