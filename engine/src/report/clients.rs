//! Which clients are held up now, and what is known of one: a walk over the table, and a look at a row.
//!
//! The walk reads each row that was ever used once, and remembers the few that will be held longest; it takes
//! milliseconds for a million clients, and nobody waits for it.

use super::Picture;
use crate::client::address::Address;
use crate::client::target::Target;
use crate::meter::window::Reading;
use crate::rules::client_event_limit::limits::{self, Limit};
use crate::rules::client_limit::BlockLimit;
use crate::rules::client_rate;
use crate::store::clients::{CLIENTS, RowId};
use crate::store::marks::{CLASSES, Standing};
use crate::time::{Millis, Seconds, Tick};
use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// So many clients of each kind are listed; how many there are is told besides.
pub const LISTED: usize = 100;

/// A client that is over a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<'p> {
    /// Its address as it is counted.
    pub address: Address,
    /// The directive that holds it.
    pub directive: &'static str,
    /// The variable whose events it counts; empty for a block.
    pub variable: &'p str,
    /// Its events.
    pub count: u32,
    /// So many are too many.
    pub limit: u32,
    /// For how long it is still held.
    pub remaining: Seconds,
}

/// Those who are held longest, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top<'p> {
    /// All of them.
    pub total: u64,
    /// At most [`LISTED`], those that are held longest first.
    pub list: Vec<Held<'p>>,
}

/// What a walk over the table of clients finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk<'p> {
    /// How many clients are remembered.
    pub known: u64,
    /// How many of them are connected.
    pub connected: u64,
    /// How many rows of the table of peers have a connection.
    pub held_peers: usize,
    /// Those whose connections are refused.
    pub blocked: Top<'p>,
    /// Those whose requests are denied, once for each limit.
    pub limited: Top<'p>,
}

/// What makes one go before the other: the later end, the larger count, then the address.
type Rank = (Tick, u32, Reverse<Address>, usize);

/// The best so far, the least of them on top.
#[derive(Default)]
struct Best {
    total: u64,
    heap: BinaryHeap<Reverse<Rank>>,
}

impl Best {
    fn add(&mut self, rank: Rank) {
        self.total += 1;
        if self.heap.len() < LISTED {
            self.heap.push(Reverse(rank));
        } else if let Some(mut least) = self.heap.peek_mut()
            && least.0 < rank
        {
            *least = Reverse(rank);
        }
    }

    fn top<'p>(self, mut held: impl FnMut(Rank) -> Option<Held<'p>>) -> Top<'p> {
        let ranks = self.heap.into_sorted_vec();
        let list = ranks.into_iter().filter_map(|Reverse(rank)| held(rank)).collect();
        Top { total: self.total, list }
    }
}

/// Walks over all clients.
pub fn walk<'p>(picture: &Picture<'p>) -> Walk<'p> {
    let (now, clients) = (picture.now, &picture.store.clients);
    let block = picture.base.client_limit.block;
    let limits: Vec<Limit<'p>> = limits::all(&picture.base.client_event_limit).collect();
    let (mut known, mut connected) = (0, 0);
    let (mut blocked, mut limited) = (Best::default(), Best::default());
    for (address, id) in clients.all() {
        let Some(row) = clients.row(id) else { continue };
        known += 1;
        connected += u64::from(row.open_connections() > 0);
        if let Some(block) = block {
            let reading = row.block.look().unless_over(now, block.span);
            if reading.count >= block.max {
                let end = reading.start.after(block.span);
                blocked.add((end, reading.count, Reverse(address), 0));
            }
        }
        for (number, limit) in limits.iter().enumerate() {
            if let Some(reading) = limit.reached(picture.store, id, now) {
                let end = reading.start.after(limit.span);
                limited.add((end, reading.count, Reverse(address), number));
            }
        }
    }
    let held = |(end, count, Reverse(address), _): Rank| Held {
        address,
        directive: "QS_ClientEventBlockCount",
        variable: "",
        count,
        limit: block.map_or(0, |block| block.max),
        remaining: end.seconds_until(now),
    };
    let peers = &picture.store.peers;
    let is_held = |id: RowId| peers.row(id).is_some_and(|row| row.open_connections() > 0);
    Walk {
        known,
        connected,
        held_peers: peers.all().filter(|(_, id)| is_held(*id)).count(),
        blocked: blocked.top(|rank| Some(held(rank))),
        limited: limited.top(|rank| {
            let limit = limits.get(rank.3)?;
            let Limit { directive, variable, max, .. } = *limit;
            Some(Held { directive, variable, limit: max, ..held(rank) })
        }),
    }
}

/// What is known of one client.
#[derive(Clone, Debug)]
pub struct Known<'p> {
    /// Its address as it is counted.
    pub address: Address,
    /// Its open connections.
    pub connections: u32,
    /// When it was last seen; `None` where a mark hides that.
    pub last_use: Option<Tick>,
    /// Its marks.
    pub standing: Standing,
    /// Block events, where they are counted.
    pub block: Option<Tally>,
    /// The events of each limit.
    pub limits: Vec<(Limit<'p>, Tally)>,
    /// Events a second, and how long it is held up for being too fast, where that is configured.
    pub pace: Option<(u32, Millis)>,
    /// Requests with QS_EventRequest at this moment, where they are counted.
    pub requests: Option<u32>,
    /// Responses by class of content, each beginning with 1, where they are counted.
    pub contents: Option<[u32; CLASSES]>,
}

/// What is counted of a client within its time, and how much is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The count, and when it began.
    pub reading: Reading,
    /// So many are too many.
    pub max: u32,
    /// From the first on.
    pub span: Seconds,
}

impl Known<'_> {
    /// Returns when the last of its counts began.
    pub fn marked_since(&self) -> Option<Tick> {
        let tallies = self.limits.iter().map(|(_, tally)| tally).chain(&self.block);
        tallies.filter(|tally| tally.reading.count > 0).map(|tally| tally.reading.start).max()
    }
}

/// Looks a client up that is written as an address, or as a prefix as pages show it.
pub fn look<'p>(picture: &Picture<'p>, text: &[u8]) -> Option<Known<'p>> {
    let (store, now, base) = (picture.store, picture.now, picture.base);
    let clients = &store.clients;
    let target = Target::parse(text.trim_ascii(), store.prefix)?;
    // One that was made of a name is not cut.
    let (address, id) = [target.address, target.seen]
        .into_iter()
        .find_map(|address| Some((address, clients.peek(CLIENTS, address)?)))?;
    let row = clients.row(id)?;
    let tally = |reading, max, span| Tally { reading, max, span };
    let block = base.client_limit.block.map(|BlockLimit { max, span, .. }| {
        tally(row.block.look().unless_over(now, span), max, span)
    });
    let limit = |limit: Limit<'p>| {
        let nothing = Reading { start: Tick(0), count: 0 };
        let reading = limit.reading(store, id, now).unwrap_or(nothing);
        (limit, tally(reading, limit.max, limit.span))
    };
    let concurrent = base.client_concurrency.max;
    Some(Known {
        address,
        connections: row.open_connections(),
        last_use: clients.last_use(id, now),
        standing: clients.standing(id, now),
        block,
        limits: limits::all(&base.client_event_limit).map(limit).collect(),
        pace: client_rate::look(&base.client_rate, store, id, now),
        requests: concurrent.map(|_| clients.requests(id.0).map_or(0, |counter| counter.count())),
        contents: contents(picture, id),
    })
}

fn contents(picture: &Picture<'_>, id: RowId) -> Option<[u32; CLASSES]> {
    picture.base.client_preference.preference?;
    Some(picture.store.clients.contents(id)?.classes())
}
