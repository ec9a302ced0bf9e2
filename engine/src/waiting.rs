//! Requests that sleep in their worker: until a delay is over, or until it is their turn.
//!
//! Who sleeps takes a worker away from all others. So there are only so many places for sleepers on the
//! whole server, half of what it can serve at once; who finds none is denied (event 307). Half of the
//! server goes on serving whatever is asked of the other half.

use crate::context::{Exchange, Letter};
use crate::log_event::{Level, LogEvent};
use crate::store::sleepers::Awaited;
use crate::store::unit::Unit;
use crate::time::{Millis, Seconds};
use crate::values::Capacity;
use crate::verdict::{Violation, Words};

/// `mod_qos(307)`
pub static CROWDED: LogEvent = LogEvent {
    number: 307,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, {directive} rule: waiting requests, max={N}, current={n}, c={c}, id={id}",
    when: "a request would have to wait, and as many as half of the server can serve wait already",
};

/// How long a sleeper sleeps before he looks again: short for who is next.
const NEXT: Millis = Millis(10);
const LATER: Millis = Millis(50);

/// So many requests may sleep at once on the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places(u32);

/// No place was free for one who has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded(u32);

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody had it: it is this request's turn, until it gives it back.
    AtOnce,
    /// The same, after a wait.
    Taken,
    /// The time was over before.
    TimedOut,
}

impl Places {
    /// Half of what the server can serve, two at least.
    pub fn of(capacity: Capacity) -> Places {
        Places((capacity.max_clients / 2).max(2))
    }
}

impl Crowded {
    /// Returns what `directive` found: the denial of a request that would have to wait.
    pub fn violation(self, directive: &str) -> Violation {
        let Crowded(max) = self;
        let current = max.saturating_add(1);
        let text = format!("{directive} rule: waiting requests, max={max}, current={current}");
        Violation::new(&CROWDED, Words::Text(text))
    }
}

/// Holds a request up for so long.
pub fn pause(exchange: &mut Exchange<'_>, places: Places, span: Millis) -> Result<(), Crowded> {
    let sleepers = &exchange.moment.store.sleepers;
    let child = exchange.moment.child.number();
    let place = sleepers.lie_down(child, Awaited::Time, places.0).ok_or(Crowded(places.0))?;
    exchange.moment.now = exchange.request.pause(span);
    sleepers.rise(place);
    Ok(())
}

/// Waits until nobody else has `unit`, in the order in which the requests came, `longest` at most. Where
/// nobody has it there is no waiting, and no letter.
pub fn take_turn(
    exchange: &mut Exchange<'_>,
    unit: Unit,
    places: Places,
    longest: Seconds,
) -> Result<Turn, Crowded> {
    let store = exchange.moment.store;
    let child = exchange.moment.child;
    let awaited = Awaited::Turn(unit.index());
    if !store.sleepers.is_awaited(awaited) && take(exchange, unit) {
        return Ok(Turn::AtOnce);
    }
    exchange.add_letter(Letter::Serialized);
    let place =
        store.sleepers.lie_down(child.number(), awaited, places.0).ok_or(Crowded(places.0))?;
    let end = exchange.moment.now.after(longest);
    let turn = loop {
        let ahead = store.sleepers.ahead(&place);
        if ahead == 0 && take(exchange, unit) {
            break Turn::Taken;
        }
        if exchange.moment.now >= end {
            break Turn::TimedOut;
        }
        exchange.moment.now = exchange.request.pause(if ahead == 0 { NEXT } else { LATER });
    };
    store.sleepers.rise(place);
    Ok(turn)
}

fn take(exchange: &mut Exchange<'_>, unit: Unit) -> bool {
    let moment = exchange.moment;
    moment.store.borrow_below(exchange.purse, moment.child, unit, 1).is_some()
}
