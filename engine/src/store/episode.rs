//! What is remembered of the time in which a server is busy: since when it is, and of whom it was told. It lies
//! here so that the watch's process can die, and the next one goes on where it was.
//!
//! One process writes at a time. Of whom it was told stands in a hashed set of fixed size: buckets of eight words, a
//! part of a keyed hash each, with the number of the episode; so nothing has to be emptied when one begins. Each
//! has two buckets to choose from, and there is room for four times as many as can be connected at once: so
//! nobody who is here now is forgotten. Of those who have come and gone some may be, in a long episode.

use crate::atomic::{AtomicU64, Ordering};
use crate::store::clients::Hashed;
use crate::time::Tick;

/// How many words the state takes.
pub const WORDS: usize = 2;

/// Of how many it is remembered that they were told of, at least.
const LEAST: usize = 1 << 16;

/// Returns how many words it takes to remember who was told of, where so many connections can be open.
pub fn told_for(connections: usize) -> usize {
    connections.saturating_mul(4).max(LEAST).next_multiple_of(BUCKET)
}

const BUCKET: usize = 8;
const NUMBER: u64 = 0xffff;

/// Where an episode stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When it began, if there is one.
    pub since: Option<Tick>,
    /// Since when the server has not been busy any more.
    pub calm_since: Option<Tick>,
    /// When somebody looked last.
    pub looked: Option<Tick>,
    /// Which one it is, from 1 on.
    pub number: u32,
}

/// Of what was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An address that is an offender itself.
    Address {
        /// In log-only mode it is told of, and nothing else.
        is_log_only: bool,
    },
    /// A network; so many bits of it.
    Network {
        /// Its length.
        bits: u8,
        /// As above.
        is_log_only: bool,
    },
    /// An address of a network, to syslog.
    Member,
}

/// The memory of an episode.
#[derive(Clone, Copy, Debug)]
pub struct Episode<'a> {
    /// since 32 | calm since 32, and looked 32 | number 32; a moment of 0 is none
    words: &'a [AtomicU64],
    told: &'a [AtomicU64],
}

impl<'a> Episode<'a> {
    /// Lays it over its memory.
    pub fn new(words: &'a [AtomicU64], told: &'a [AtomicU64]) -> Episode<'a> {
        Episode { words, told }
    }

    /// Returns where it stands.
    pub fn state(&self) -> State {
        let [first, second] = self.words else { return State::default() };
        let (first, second) = (first.load(Ordering::Acquire), second.load(Ordering::Acquire));
        let moment = |value: u64| Some(Tick(value as u32)).filter(|moment| *moment != Tick(0));
        State {
            since: moment(first >> 32),
            calm_since: moment(first),
            looked: moment(second >> 32),
            number: second as u32,
        }
    }

    /// Changes where it stands.
    pub fn set(&self, state: State) {
        let [first, second] = self.words else { return };
        let pair = |high: Option<Tick>, low: u32| {
            u64::from(high.map_or(0, |moment| moment.0)) << 32 | u64::from(low)
        };
        // The number first: who dies in between has begun nothing.
        second.store(pair(state.looked, state.number), Ordering::Release);
        let calm = state.calm_since.map_or(0, |moment| moment.0);
        first.store(pair(state.since, calm), Ordering::Release);
    }

    /// Tells whether somebody was told of in this episode.
    pub fn knows(&self, who: Hashed, told: Told) -> bool {
        let word = self.word(who, told);
        let is_it = |known: &AtomicU64| known.load(Ordering::Relaxed) == word;
        self.buckets(word).into_iter().flatten().any(is_it)
    }

    /// Remembers it.
    pub fn note(&self, who: Hashed, told: Told) {
        let word = self.word(who, told);
        let [first, second] = self.buckets(word);
        let number = word & NUMBER;
        let is_free = |known: &&AtomicU64| known.load(Ordering::Relaxed) & NUMBER != number;
        let free = |bucket: &[AtomicU64]| bucket.iter().filter(is_free).count();
        let bucket = if free(second) > free(first) { second } else { first };
        // A bucket that is full gives up one that the hash chooses.
        let victim = || bucket.get((word >> 61) as usize % BUCKET);
        if !self.knows(who, told)
            && let Some(place) = bucket.iter().find(is_free).or_else(victim)
        {
            place.store(word, Ordering::Relaxed);
        }
    }

    /// A part of the hash, and the episode's number, which is not 0: a word of 0 is free.
    fn word(&self, who: Hashed, told: Told) -> u64 {
        let scope = match told {
            Told::Address { is_log_only } => u32::from(is_log_only),
            Told::Network { bits, is_log_only } => {
                512 + 256 * u32::from(is_log_only) + u32::from(bits)
            }
            Told::Member => 2,
        };
        let number = u64::from(self.state().number) % NUMBER + 1;
        who.tag(scope) & !NUMBER | number
    }

    fn buckets(&self, word: u64) -> [&'a [AtomicU64]; 2] {
        let buckets = (self.told.len() / BUCKET).max(1) as u64;
        let piece = word >> 16;
        [piece, piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16].map(|hash| {
            let place = (hash % buckets) as usize * BUCKET;
            self.told.get(place..).and_then(|rest| rest.get(..BUCKET)).unwrap_or(&[])
        })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::client::address::Address;
    use crate::store::clients::Secret;
    use core::net::Ipv4Addr;

    fn words(count: usize) -> Vec<AtomicU64> {
        core::iter::repeat_with(AtomicU64::default).take(count).collect()
    }

    fn who(number: u32) -> Hashed {
        Secret([1, 2]).hash(Address::from(core::net::IpAddr::V4(Ipv4Addr::from(number))))
    }

    const ADDRESS: Told = Told::Address { is_log_only: false };

    #[test]
    fn a_state_is_the_same_when_it_is_read_again() {
        let (state, told) = (words(WORDS), words(0));
        let episode = Episode::new(&state, &told);
        assert_eq!(episode.state(), State::default());
        let busy = State {
            since: Some(Tick(7)),
            calm_since: Some(Tick(u32::MAX)),
            looked: Some(Tick(9)),
            number: u32::MAX,
        };
        for state in [busy, State { calm_since: None, ..busy }, State { since: None, ..busy }] {
            episode.set(state);
            assert_eq!(episode.state(), state);
        }
    }

    #[test]
    fn who_was_told_of_is_known_until_the_next_episode() {
        let (state, told) = (words(WORDS), words(LEAST));
        let episode = Episode::new(&state, &told);
        let kinds = [
            ADDRESS,
            Told::Address { is_log_only: true },
            Told::Member,
            Told::Network { bits: 24, is_log_only: false },
            Told::Network { bits: 24, is_log_only: true },
            Told::Network { bits: 16, is_log_only: false },
        ];
        for (number, kind) in kinds.into_iter().enumerate() {
            episode.note(who(9), kind);
            let known: Vec<bool> = kinds.iter().map(|kind| episode.knows(who(9), *kind)).collect();
            let expected: Vec<bool> = (0..kinds.len()).map(|place| place <= number).collect();
            assert_eq!(known, expected, "each by itself");
        }
        assert!(!episode.knows(who(8), ADDRESS));
        episode.set(State { number: 1, ..State::default() });
        assert!(!episode.knows(who(9), ADDRESS));
    }

    #[test]
    fn a_crowd_is_remembered_and_a_larger_one_in_part() {
        let (state, told) = (words(WORDS), words(1024));
        let episode = Episode::new(&state, &told);
        (0..300).for_each(|number| episode.note(who(number), ADDRESS));
        assert!((0..300).all(|number| episode.knows(who(number), ADDRESS)));
        (0..100_000).for_each(|number| episode.note(who(number), ADDRESS));
        let known = (0..100_000).filter(|number| episode.knows(who(*number), ADDRESS)).count();
        assert!((900..=1024).contains(&known), "{known}");
        // The next one has all the room.
        episode.set(State { number: 1, ..State::default() });
        (0..300).for_each(|number| episode.note(who(number), ADDRESS));
        assert!((0..300).all(|number| episode.knows(who(number), ADDRESS)));
    }
}
