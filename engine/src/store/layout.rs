//! How large everything is: a drawing of the segment, from httpd's limits and `QS_ClientEntries`.
//!
//! The segment is made once for the life of the server, before it is known what later configurations
//! will want, so it is laid out for the most. Pages that are never touched cost nothing.
//! Spec: model.md 2.2, 2.3.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::client::address::PrefixBits;
use crate::meter::concurrency::{self, Concurrency};
use crate::meter::window::Window;
use crate::store::Store;
use crate::store::ages;
use crate::store::children::{Children, Record};
use crate::store::chunks::{CHUNK_RECORDS, Chunk};
use crate::store::clients::{BUCKET, Clients, Row, Secret};
use crate::store::columns::{self, Head};
use crate::store::episode::{self, Episode};
use crate::store::loans::Sheet;
use crate::store::marks::{CLASSES, Contents, Mark, Marks};
use crate::store::networks::{self, NETWORKS, Networks};
use crate::store::recent::{self, Recent};
use crate::store::rules::{Rule, Rules};
use crate::store::sleepers::{Place, Sleepers};
use crate::store::slots::{Scope, Scopes};
use crate::store::totals::{EVENTS, Total, Totals};

/// Changes with every change of a row or of this drawing.
pub const VERSION: u32 = 9;

/// Rows of the client table when `QS_ClientEntries` is not configured.
pub const DEFAULT_CLIENT_ENTRIES: u32 = 50_000;

/// Servers that can have counters of their own.
const SCOPES: usize = 16_384;

/// Rules that can have counters of their own, over all servers: a row is 64 octets, and those that
/// nobody has cost nothing.
const RULES: usize = 131_072;

/// What httpd can do at most in its life; a restart cannot change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// `ServerLimit`.
    pub children: u32,
    /// `ThreadLimit`, 1 for prefork.
    pub threads: u32,
    /// Idle connections that a child keeps open for each thread: `AsyncRequestWorkerFactor` of event.
    /// A restart may raise it; what is above is counted, but not given back when a child is killed.
    pub idle_per_thread: u32,
}

/// How many of everything there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Child slots: twice the children, since those of the last generation may still be serving.
    pub slots: usize,
    /// Chunks of connection records.
    pub chunks: usize,
    /// Chunks of sheets: the leases of requests.
    pub sheets: usize,
    /// Rows of servers.
    pub scopes: usize,
    /// Rows of rules.
    pub rules: usize,
    /// Rows of the table of peers.
    pub peers: usize,
    /// Rows of the table of clients.
    pub clients: usize,
    /// Of those, how many remember clients that are neither connected nor marked.
    pub remembering: usize,
    /// Columns of counters beside that table.
    pub columns: usize,
    /// Words for those whom the watch has told of.
    pub told: usize,
    /// Places for requests that sleep.
    pub places: usize,
    /// Event totals.
    pub totals: usize,
}

impl Layout {
    /// Two children with a chunk each, and hardly anything else: what tests begin with.
    pub const SMALL: Layout = Layout {
        slots: 2,
        chunks: 2,
        sheets: 2,
        scopes: 2,
        rules: 4,
        peers: 1,
        clients: 1,
        remembering: 1,
        columns: 0,
        told: 0,
        places: 0,
        totals: 1,
    };

    /// Draws a segment for `limits` and so many client entries.
    pub fn new(limits: ServerLimits, client_entries: u32) -> Layout {
        let slots = (limits.children.max(1) as usize) * 2 + 8;
        // Those that are worked on, those that idle, and those that linger, which no MPM limits. Four a
        // thread at least, and a child never has less than a chunk.
        let per_thread = limits.idle_per_thread.saturating_add(2).max(4) as usize;
        let connections = (slots * limits.threads.max(1) as usize)
            .saturating_mul(per_thread)
            .clamp(CHUNK_RECORDS, concurrency::MAX as usize);
        let chunks = slots + connections / CHUNK_RECORDS + 1;
        let room = connections.max(slots);
        Layout {
            slots,
            chunks,
            // As many requests as connections: a request whose response is still being written has
            // its sheet, but no thread. HTTP/2 can have more at once, in children that have fewer
            // connections for it; and who finds no sheet counts without one.
            sheets: chunks,
            scopes: SCOPES,
            rules: RULES,
            // Each open connection can hold a row; the others remember what they logged.
            peers: room + 1024,
            clients: client_entries as usize + room,
            remembering: client_entries as usize,
            columns: columns::columns_for(client_entries as usize + room),
            told: episode::told_for(connections),
            // A sleeper sleeps in a worker's thread.
            places: slots * limits.threads.max(1) as usize,
            totals: EVENTS,
        }
    }
}

/// Returns how many words the index of a table has: two slots a row, in whole buckets.
pub fn index_words(rows: usize) -> usize {
    (rows * 2).next_multiple_of(BUCKET).max(2 * BUCKET)
}

/// Returns how many words the ages of a table need.
pub fn ages_words(rows: usize, remembering: usize) -> usize {
    ages::words_for(remembering) + ages::words_for(rows.saturating_sub(remembering))
}

/// The parts of a table in memory.
#[derive(Clone, Copy, Debug)]
pub struct TableParts<'a> {
    /// Its rows.
    pub rows: &'a [Row],
    /// How many of them, from the first, remember clients that are neither connected nor marked.
    pub remembering: usize,
    /// [`index_words`] of them.
    pub index: &'a [AtomicU64],
    /// [`ages_words`] of them.
    pub ages: &'a [AtomicU32],
    /// Counters beside the rows.
    pub beside: Beside<'a>,
    /// What else is remembered of each row, for a table that does.
    pub marks: Marks<'a>,
    /// How many rows went from one address to another.
    pub evicted: &'a AtomicU64,
}

/// Counters beside a table of addresses that only some configurations use, so that a row need not have
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// What each column is for.
    pub heads: &'a [Head],
    /// One cell a row for each column.
    pub cells: &'a [Window],
    /// Requests at this moment, one word a row.
    pub requests: &'a [Concurrency],
    /// Turns, one word a row.
    pub turns: &'a [Concurrency],
}

/// The parts of the segment in memory.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// One word per child slot.
    pub pids: &'a [AtomicU32],
    /// Records of connections.
    pub chunks: &'a [Chunk<Record>],
    /// Leases of requests.
    pub sheets: &'a [Chunk<Sheet>],
    /// Leases that came back from dead children.
    pub reclaimed: &'a AtomicU64,
    /// Rows of servers.
    pub scopes: &'a [Scope],
    /// Rows of rules.
    pub rules: &'a [Rule],
    /// The table of peers.
    pub peers: TableParts<'a>,
    /// The table of clients.
    pub clients: TableParts<'a>,
    /// Networks that are refused.
    pub networks: &'a [networks::Row],
    /// When the last of them ends.
    pub networks_end: &'a AtomicU64,
    /// How many blocks were made of which open connections shall hear.
    pub acts: &'a AtomicU64,
    /// Where the watch's episode stands.
    pub episode: &'a [AtomicU64],
    /// Of whom it was told in it.
    pub told: &'a [AtomicU64],
    /// Places for requests that sleep.
    pub places: &'a [Place],
    /// The tickets of their queues.
    pub tickets: &'a AtomicU64,
    /// One row per event number.
    pub totals: &'a [Total],
    /// The last denials.
    pub recent: &'a [recent::Line],
    /// How many there ever were.
    pub denials: &'a AtomicU64,
}

impl<'a> Store<'a> {
    /// Lays the store over its memory.
    pub fn new(parts: Parts<'a>, secret: Secret, prefix: PrefixBits) -> Store<'a> {
        Store {
            children: Children::new(parts.pids, parts.chunks, parts.sheets, parts.reclaimed),
            scopes: Scopes::new(parts.scopes),
            peers: Clients::new(parts.peers, secret),
            clients: Clients::new(parts.clients, secret),
            networks: Networks::new(parts.networks, parts.networks_end, parts.acts),
            episode: Episode::new(parts.episode, parts.told),
            rules: Rules::new(parts.rules),
            sleepers: Sleepers::new(parts.places, parts.tickets),
            totals: Totals::new(parts.totals),
            recent: Recent::new(parts.recent, parts.denials),
            prefix,
        }
    }
}

/// Memory of a process of its own, for tests and for tools that replay: the same rows without a segment.
#[derive(Debug)]
pub struct PrivateMemory {
    pids: Vec<AtomicU32>,
    chunks: Vec<Chunk<Record>>,
    sheets: Vec<Chunk<Sheet>>,
    scopes: Vec<Scope>,
    rules: Vec<Rule>,
    totals: Vec<Total>,
    recent: Vec<recent::Line>,
    denials: AtomicU64,
    tables: [PrivateTable; 2],
    networks: Vec<networks::Row>,
    networks_end: AtomicU64,
    acts: AtomicU64,
    episode: Vec<AtomicU64>,
    told: Vec<AtomicU64>,
    places: Vec<Place>,
    tickets: AtomicU64,
    reclaimed: AtomicU64,
}

#[derive(Debug)]
struct PrivateTable {
    rows: Vec<Row>,
    remembering: usize,
    index: Vec<AtomicU64>,
    ages: Vec<AtomicU32>,
    heads: Vec<Head>,
    cells: Vec<Window>,
    requests: Vec<Concurrency>,
    turns: Vec<Concurrency>,
    marks: Vec<Mark>,
    contents: Vec<Contents>,
    everybody: Vec<AtomicU64>,
    in_use: Vec<AtomicU32>,
    evicted: AtomicU64,
}

impl PrivateMemory {
    /// Makes memory for a layout.
    pub fn new(layout: Layout) -> PrivateMemory {
        let table = |rows: usize, remembering: usize, columns: usize| PrivateTable {
            rows: many(rows, Row::default),
            remembering,
            index: many(index_words(rows), || AtomicU64::new(0)),
            ages: many(ages_words(rows, remembering), || AtomicU32::new(0)),
            heads: many(columns, Head::default),
            cells: many(columns * rows, Window::default),
            requests: many(if columns > 0 { rows } else { 0 }, Concurrency::default),
            turns: many(if columns > 0 { rows } else { 0 }, Concurrency::default),
            marks: many(if columns > 0 { rows } else { 0 }, Mark::default),
            contents: many(if columns > 0 { rows } else { 0 }, Contents::default),
            everybody: many(if columns > 0 { CLASSES } else { 0 }, || AtomicU64::new(0)),
            in_use: many(columns.min(1), || AtomicU32::new(0)),
            evicted: AtomicU64::new(0),
        };
        PrivateMemory {
            pids: many(layout.slots, || AtomicU32::new(0)),
            chunks: many(layout.chunks, Chunk::default),
            sheets: many(layout.sheets, Chunk::default),
            scopes: many(layout.scopes, Scope::default),
            rules: many(layout.rules, Rule::default),
            totals: many(layout.totals, Total::default),
            recent: many(recent::LINES, recent::Line::default),
            denials: AtomicU64::new(0),
            tables: [
                table(layout.peers, layout.peers, 0),
                table(layout.clients, layout.remembering, layout.columns),
            ],
            networks: many(NETWORKS, networks::Row::default),
            networks_end: AtomicU64::new(0),
            acts: AtomicU64::new(0),
            episode: many(episode::WORDS, || AtomicU64::new(0)),
            told: many(layout.told, || AtomicU64::new(0)),
            places: many(layout.places, Place::default),
            tickets: AtomicU64::new(0),
            reclaimed: AtomicU64::new(0),
        }
    }

    /// Returns the store over this memory.
    pub fn store(&self, secret: Secret, prefix: PrefixBits) -> Store<'_> {
        let [peers, clients] = &self.tables;
        Store::new(
            Parts {
                pids: &self.pids,
                chunks: &self.chunks,
                sheets: &self.sheets,
                reclaimed: &self.reclaimed,
                scopes: &self.scopes,
                rules: &self.rules,
                peers: peers.parts(),
                clients: clients.parts(),
                networks: &self.networks,
                networks_end: &self.networks_end,
                acts: &self.acts,
                episode: &self.episode,
                told: &self.told,
                places: &self.places,
                tickets: &self.tickets,
                totals: &self.totals,
                recent: &self.recent,
                denials: &self.denials,
            },
            secret,
            prefix,
        )
    }
}

impl PrivateTable {
    fn parts(&self) -> TableParts<'_> {
        TableParts {
            rows: &self.rows,
            remembering: self.remembering,
            index: &self.index,
            ages: &self.ages,
            beside: Beside {
                heads: &self.heads,
                cells: &self.cells,
                requests: &self.requests,
                turns: &self.turns,
            },
            marks: Marks {
                marks: &self.marks,
                contents: &self.contents,
                everybody: &self.everybody,
                in_use: &self.in_use,
            },
            evicted: &self.evicted,
        }
    }
}

fn many<T>(count: usize, make: impl FnMut() -> T) -> Vec<T> {
    core::iter::repeat_with(make).take(count).collect()
}
