//! Where counters live: rows of atomics in memory that all children share.
//!
//! No lock anywhere: a child can be killed between any two instructions, and what it held comes back
//! ([`children`]). Rows are found once per connection and then carried in the context; rules never search.

pub mod ages;
pub mod children;
pub mod chunks;
pub mod clients;
pub mod columns;
pub mod episode;
pub mod layout;
pub mod lease;
pub mod loans;
pub mod marks;
pub mod networks;
pub mod owned;
pub mod recent;
pub mod rules;
pub mod sleepers;
pub mod slots;
pub mod totals;
pub mod unit;

use crate::client::address::PrefixBits;
use children::Children;
use clients::Clients;
use episode::Episode;
use networks::Networks;
use recent::Recent;
use rules::Rules;
use sleepers::Sleepers;
use slots::Scopes;
use totals::Totals;

/// Everything that is shared, as the rules see it.
#[derive(Debug)]
pub struct Store<'a> {
    /// What each child holds.
    pub children: Children<'a>,
    /// Open connections per server.
    pub scopes: Scopes<'a>,
    /// One row per address and server, while it has connections and for a while after.
    pub peers: Clients<'a>,
    /// One row per client: blocks and marks.
    pub clients: Clients<'a>,
    /// Networks that are refused as a whole.
    pub networks: Networks<'a>,
    /// The time in which the server is busy (QS_SrvBusyWatch).
    pub episode: Episode<'a>,
    /// Requests per rule.
    pub rules: Rules<'a>,
    /// Requests that sleep in their worker.
    pub sleepers: Sleepers<'a>,
    /// Numbered events since the start.
    pub totals: Totals<'a>,
    /// The last denials.
    pub recent: Recent<'a>,
    /// To what IPv6 addresses are cut before they are counted.
    pub prefix: PrefixBits,
}
