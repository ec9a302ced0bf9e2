//! The busy server's watch: who holds so many connections that nobody else gets one?
//! Spec: additions.md 1. Phase: watch, once a second in the server's helper process.
//!
//! [`look`] is pure: a moment, how busy the server is and who holds its connections go in, findings come
//! out. What lasts from one look to the next is the [`State`] of an episode, in shared memory.

use crate::client::address::{Address, Network};
use crate::directive::{About, Arguments, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::episode::State;
use crate::time::{Seconds, Tick};
use crate::values::{Capacity, MAX_NUMBER, NumberOrPercent, Problem, Unreachable, number};
use core::cmp::Reverse;
use std::collections::BTreeMap;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    watch: Option<(NumberOrPercent, u32, Option<u32>)>,
    network: Option<(u8, u8)>,
    directory: Option<(String, u32)>,
    program: Option<String>,
}

/// Nothing of this family stands in a location, or is kept for a request.
pub type LocationSettings = ();
/// See above.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When somebody is looked for, and who it is.
    pub watch: Option<Watch>,
    /// Where pictures are saved, and how many are kept.
    pub directory: Option<(String, u32)>,
    /// The program that is given each picture.
    pub program: Option<String>,
    /// What is wrong.
    pub errors: Vec<String>,
    /// A threshold that can never be reached.
    pub unreachable: Option<Unreachable>,
}

/// `QS_SrvBusyWatch`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// So many busy workers or open connections are too many.
    pub threshold: u32,
    /// An address with so many connections is an offender then.
    pub per_address: u32,
    /// And a network with so many, where networks are judged.
    pub per_network: Option<u32>,
    /// How long networks of IPv4 and IPv6 are.
    pub bits: (u8, u8),
}

/// `mod_qos(310)`
pub static ADDRESS: LogEvent = LogEvent {
    number: 310,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_SrvBusyWatch rule: max={per-address}, current={n}, c={c}",
    when: "an address that holds many connections of a busy server, once per episode",
};

/// `mod_qos(311)`
pub static NETWORK: LogEvent = LogEvent {
    number: 311,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_SrvBusyWatch rule: max={per-network}, current={n}, net={prefix}/{bits}",
    when: "a network that does, once per episode",
};

/// `mod_qos(312)`
pub static BEGINS: LogEvent = LogEvent {
    number: 312,
    level: Level::Notice,
    is_counted: false,
    format: "QS_SrvBusyWatch: busy={n}, threshold={t}, addresses={a}, networks={w}, file={path or -}",
    when: "the server has become busy: an episode begins",
};

/// `mod_qos(313)`
pub static IS_OVER: LogEvent = LogEvent {
    number: 313,
    level: Level::Notice,
    is_counted: false,
    format: "QS_SrvBusyWatch: over after {s} seconds, busy={n}",
    when: "it has not been busy for ten seconds: the episode is over",
};

/// `mod_qos(316)`
pub static TROUBLE: LogEvent = LogEvent {
    number: 316,
    level: Level::Warning,
    is_counted: false,
    format: "QS_SrvBusyWatch: {what failed}",
    when: "a picture could not be saved, a program not be run, a helper process not be started, or one ended unasked",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&ADDRESS, &NETWORK, &BEGINS, &IS_OVER, &TROUBLE];

/// How many pictures are kept where no number is written.
const FILES: u32 = 50;

/// So long the server must not have been busy for an episode to be over.
const CALM: Seconds = Seconds(10);

/// When nobody has looked for longer than that, it is not known that the server was calm.
const GAP: Seconds = Seconds(5);

/// And when nobody has looked for so long, the episode is forgotten: there was no watch for a while. A helper
/// process that dies again and again is replaced after a minute.
pub const FORGOTTEN: Seconds = Seconds(120);

fn absolute(word: &str) -> Result<String, Problem> {
    let is_good = word.starts_with('/') && !word.chars().any(char::is_control);
    let problem = || Problem::word(word, "an absolute path");
    is_good.then(|| word.to_owned()).ok_or_else(problem)
}

fn bits(word: &str, min: u32, max: u32) -> Result<u8, Problem> {
    number(word, min, max).map(|bits| bits as u8)
}

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_SrvBusyWatch",
            arguments: c"<busy>[%] <per address> [<per network>]",
            arity: Arity::TwoOrThree,
            scope: Scope::BaseServer,
            range: "busy 1 to 2147483647, or 1% to 100% of the connections that can be served; the others 1 \
                    to 2147483647",
            default: "off; without the third number networks are not judged",
            help: "Watches for a server that has become busy: once so many workers are busy, or so many \
                   connections are open, each address that holds at least so many connections in whatever \
                   state is told of (event 310), reported to syslog and blocked, for the time of \
                   QS_ClientEventBlockCount or 600 seconds; and each network of at least two addresses that \
                   holds so many (event 311). See busy-watch.md.",
            spec: "additions.md 1",
        },
        set: |settings, arguments| {
            let busy = NumberOrPercent::parse(arguments.first(), 100)?;
            let per_address = number(arguments.second().unwrap_or(""), 1, MAX_NUMBER)?;
            let per_network =
                arguments.third().map(|word| number(word, 1, MAX_NUMBER)).transpose()?;
            settings.watch = Some((busy, per_address, per_network));
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvBusyWatchNetwork",
            arguments: c"<bits of IPv4> <bits of IPv6>",
            arity: Arity::Two,
            scope: Scope::BaseServer,
            range: "8 to 32; 16 to 128",
            default: "24 64",
            help: "How long the networks are that QS_SrvBusyWatch judges.",
            spec: "additions.md 1",
        },
        set: |settings, arguments| {
            let second = arguments.second().unwrap_or("");
            settings.network = Some((bits(arguments.first(), 8, 32)?, bits(second, 16, 128)?));
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvBusyWatchDir",
            arguments: c"<directory> [<files kept>]",
            arity: Arity::OneOrTwo,
            scope: Scope::BaseServer,
            range: "an absolute path; 1 to 10000 files",
            default: "no files; with one argument 50 are kept",
            help: "Where QS_SrvBusyWatch saves who holds which connections when the server becomes busy, in a \
                   new file each time; the oldest ones are removed. A directory that is not there is made at \
                   start for the server's User. One that is there must belong to that user, and nobody else \
                   may write to it.",
            spec: "additions.md 1",
        },
        set: |settings, arguments: &Arguments<'_>| {
            let path = absolute(arguments.first())?;
            let kept = arguments.second().map(|word| number(word, 1, 10_000)).transpose()?;
            settings.directory = Some((path, kept.unwrap_or(FILES)));
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_SrvBusyWatchExec",
            arguments: c"<program>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "an absolute path",
            default: "none",
            help: "A program that is started with the path of each file that QS_SrvBusyWatch saves as its only \
                   argument, without a shell, by the server's helper process and as the server's User. Never \
                   two at once; one that takes longer than 30 seconds is ended. Not in log-only mode.",
            spec: "additions.md 1",
        },
        set: |settings, arguments| {
            settings.program = Some(absolute(arguments.first())?);
            Ok(())
        },
        set_in_location: None,
    },
];

impl OfBaseServer for Settings {}

impl Settings {
    /// Says which directives have no effect as they stand.
    fn errors(&self) -> Vec<String> {
        let lacks_watch = self.watch.is_none();
        let lacks_network = self.watch.is_none_or(|(.., per_network)| per_network.is_none());
        [
            (self.network.is_some() && lacks_network)
                .then_some("QS_SrvBusyWatchNetwork: needs QS_SrvBusyWatch with its third number"),
            (self.directory.is_some() && lacks_watch)
                .then_some("QS_SrvBusyWatchDir: needs QS_SrvBusyWatch"),
            (self.program.is_some() && (lacks_watch || self.directory.is_none()))
                .then_some("QS_SrvBusyWatchExec: needs QS_SrvBusyWatch and QS_SrvBusyWatchDir"),
        ]
        .into_iter()
        .flatten()
        .map(|text| format!("mod_qos(): {text}"))
        .collect()
    }
}

impl Policy {
    /// How many connections the watch allows a network, if it judges networks.
    pub fn per_network(&self) -> Option<u32> {
        self.watch.and_then(|watch| watch.per_network)
    }

    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let watch = settings.watch.map(|(busy, per_address, per_network)| Watch {
            threshold: busy.of(capacity.max_clients).max(1),
            per_address,
            per_network,
            bits: settings.network.unwrap_or((24, 64)),
        });
        Policy {
            watch,
            directory: settings.directory.clone(),
            program: settings.program.clone(),
            errors: settings.errors(),
            unreachable: watch
                .and_then(|watch| capacity.unreachable("QS_SrvBusyWatch", watch.threshold)),
        }
    }

    /// Tells whether anybody is looked for.
    pub fn is_on(&self) -> bool {
        self.watch.is_some()
    }
}

/// An address or a network that holds too many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offender<T> {
    /// Who.
    pub who: T,
    /// How many it holds.
    pub connections: u32,
}

/// What a look finds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The server has just become busy.
    pub begins: bool,
    /// It has calmed down; so long that took.
    pub over_after: Option<Seconds>,
    /// Those with the most connections first.
    pub addresses: Vec<Offender<Address>>,
    /// The same.
    pub networks: Vec<Offender<Network>>,
    /// All who were judged.
    pub judged: Tally,
}

/// Who holds how many connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<Address, u32>);

impl Tally {
    /// Counts connections by their holders, one entry for each connection.
    pub fn of(holders: impl Iterator<Item = Address>) -> Tally {
        let mut tally = Tally::default();
        for holder in holders {
            *tally.0.entry(holder).or_default() += 1;
        }
        tally
    }

    /// Returns what networks of a length hold: connections, and how many addresses those are of.
    pub fn networks(&self, bits: (u8, u8)) -> BTreeMap<Network, (u32, u32)> {
        let mut networks: BTreeMap<Network, (u32, u32)> = BTreeMap::new();
        for (address, count) in &self.0 {
            let (connections, addresses) =
                networks.entry(address.network(bits.0, bits.1)).or_default();
            *connections += count;
            *addresses += 1;
        }
        networks
    }
}

/// Looks who holds too much, if the server is busy. `count` is asked only then; it leaves out who is exempt.
pub fn look(
    watch: &Watch,
    now: Tick,
    busy: u32,
    count: impl FnOnce() -> Tally,
    state: &mut State,
) -> Findings {
    let mut findings = Findings::default();
    let unseen = state.looked.replace(now).map(|looked| now.seconds_since(looked));
    if unseen.is_some_and(|unseen| unseen > FORGOTTEN) {
        state.since = None;
    }
    if unseen.is_some_and(|unseen| unseen > GAP) {
        state.calm_since = None;
    }
    match state.since {
        None if busy < watch.threshold => return findings,
        None => {
            let number = state.number.wrapping_add(1);
            *state = State { since: Some(now), calm_since: None, number, ..*state };
            findings.begins = true;
        }
        // Hysteresis: less than nine tenths, and for some time.
        Some(since) if u64::from(busy) * 10 < u64::from(watch.threshold) * 9 => {
            let calm_since = *state.calm_since.get_or_insert(now);
            if now.seconds_since(calm_since) >= CALM {
                findings.over_after = Some(now.seconds_since(since));
                (state.since, state.calm_since) = (None, None);
            }
            return findings;
        }
        Some(_) => state.calm_since = None,
    }
    let tally = count();
    findings.addresses = tally
        .0
        .iter()
        .filter(|(_, count)| **count >= watch.per_address)
        .map(|(address, count)| Offender { who: *address, connections: *count })
        .collect();
    if let Some(max) = watch.per_network {
        findings.networks = tally
            .networks(watch.bits)
            .into_iter()
            // One address is no network: its neighbours have done nothing.
            .filter(|(_, (connections, addresses))| *connections >= max && *addresses > 1)
            .map(|(network, (connections, _))| Offender { who: network, connections })
            .collect();
    }
    findings.addresses.sort_by_key(|offender| Reverse(offender.connections));
    findings.networks.sort_by_key(|offender| Reverse(offender.connections));
    findings.judged = tally;
    findings
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
