//! A request that a hook was called for, with everything its rules need: each hook begins here.

use crate::config::ServerConfig;
use crate::ffi::bindings::request_rec;
use crate::ffi::guard::{Callback, guard};
use crate::httpd::connection::{Connection, Tracked};
use crate::httpd::request::{Place, Request, State, View};
use crate::shm::child;
use crate::shm::segment::{self, Shared};
use core::ffi::c_void;
use core::ptr::NonNull;
use qos_engine::context::{Exchange, Known, Moment};
use qos_engine::directive::InLocation;
use qos_engine::phases::{self, Rules};
use qos_engine::rules::Facts;
use qos_engine::store::loans::Purse;

/// A request of a connection that is counted.
pub struct Live {
    /// httpd's request.
    pub request: Request,
    state: NonNull<State>,
}

impl Live {
    /// Takes the request that httpd called a hook for. `None` where there is nothing to do: we are not in
    /// force, or its connection is none of ours.
    ///
    /// # Safety
    /// `request` is what httpd handed to a hook, and the value is not used after it.
    pub unsafe fn of(request: *mut request_rec) -> Option<Live> {
        // SAFETY: the caller's word.
        let request = unsafe { Request::new(request) }?;
        let state = request.state().or_else(|| begin(request))?;
        Some(Live { request, state })
    }

    fn state(&self) -> &State {
        // SAFETY: the state lives in the request's pool, and one thread works on the request.
        unsafe { self.state.as_ref() }
    }

    /// Returns its connection, for a stream the secondary one.
    pub fn connection(&self) -> Option<Connection> {
        self.request.connection()
    }

    /// Returns what we hang on the connection.
    pub fn tracked(&self) -> &Tracked {
        self.state().place.tracked()
    }

    /// Returns the segment.
    pub fn shared(&self) -> &'static Shared {
        self.state().place.shared
    }

    /// Returns our configuration of the server that the request's host chose.
    pub fn config(&self) -> &'static ServerConfig {
        self.state().place.config
    }

    /// Returns what was learned of the request so far.
    pub fn known(&self) -> &Known {
        &self.state().known
    }

    /// Tells whether it has a turn that others may wait for.
    pub fn has_turn(&self) -> bool {
        self.state().facts.serialize.has_turn()
    }

    /// Returns the rules that hold for it.
    pub fn rules(&self) -> Rules<'_> {
        let location = self.request.location().filter(|location| !location.is_empty());
        Rules { policy: self.state().place.policy, location }
    }

    /// Returns what the families keep for it.
    pub fn facts(&self) -> &Facts {
        &self.state().facts
    }

    fn owes(&self) -> bool {
        let State { purse, facts, .. } = self.state();
        phases::owes(purse, facts)
    }

    /// Looks at the clock. The phases from a request's first to its content follow each other at once, so
    /// only those behind them ask for it.
    pub fn renew(&mut self) {
        // SAFETY: as in `state`; the reference lasts for this line.
        let place = unsafe { &mut self.state.as_mut().place };
        place.now = place.shared.now();
    }

    /// Runs a phase of the engine.
    pub fn run<T>(
        &mut self,
        phase: impl FnOnce(Rules<'_>, &mut Exchange<'_>, &mut Facts) -> T,
    ) -> T {
        self.run_with(self.request.view(), phase)
    }

    /// Runs the phase in which a response begins.
    pub fn run_on_response<T>(
        &mut self,
        phase: impl FnOnce(Rules<'_>, &mut Exchange<'_>, &mut Facts) -> T,
    ) -> T {
        self.run_with(self.request.view_of_response(), phase)
    }

    fn run_with<T>(
        &mut self,
        mut view: View,
        phase: impl FnOnce(Rules<'_>, &mut Exchange<'_>, &mut Facts) -> T,
    ) -> T {
        let mut state = self.state;
        // SAFETY: the state lives in the request's pool; one thread works on a request, phases do not call
        // back into httpd's hooks, and nobody else keeps a reference to it.
        let State { known, purse, facts, place } = unsafe { state.as_mut() };
        let child = child::this();
        let moment = Moment { now: place.now, store: &place.shared.store, child: &child };
        let location = self.request.location().filter(|location| !location.is_empty());
        let mut sink = self.request;
        let mut exchange = Exchange {
            moment,
            connection: &place.tracked().connection,
            is_initial: self.request.is_initial(),
            known,
            purse,
            request: &mut view,
            sink: &mut sink,
        };
        phase(Rules { policy: place.policy, location }, &mut exchange, facts)
    }
}

/// Looks up what holds for a chain of requests, once.
fn begin(request: Request) -> Option<NonNull<State>> {
    let first = request.first();
    let config = first.config()?;
    let connection = first.connection()?;
    let shared = segment::shared()?;
    let place = Place {
        tracked: NonNull::from(connection.tracked()?),
        config,
        policy: config.policy.get()?,
        now: shared.now(),
        shared,
    };
    let state =
        State { known: Known::default(), purse: Purse::default(), facts: Facts::default(), place };
    first.place(state, end)
}

/// The pool of the first request of a chain ends: what its rules still hold is given back.
unsafe extern "C" fn end(data: *mut c_void) -> crate::ffi::bindings::apr_status_t {
    static CALLBACK: Callback = Callback::new("request_cleanup");
    guard(&CALLBACK, (), || {
        let request = data.cast::<request_rec>();
        // SAFETY: registered with the request itself, whose memory lives until its pool's cleanups are over,
        // and so do its connection and, for a stream, the primary one.
        let Some(mut live) = (unsafe { Live::of(request) }) else { return };
        const { assert!(!core::mem::needs_drop::<Facts>()) } // the pool would not drop them
        if live.owes() {
            live.renew();
            live.run(phases::release);
        }
    });
    0
}
