//! Networks that are refused as a whole, for a time: a short list, looked through only while it has any.
//!
//! The watch's process writes, and the console in any child. Who wants a row claims it first, by an exchange of
//! the word that he has read; then it is his, and it says nothing until it is whole. A claim of somebody who
//! was killed is over after some seconds. Should he come back after all, the sum over a row's words does not
//! add up, and it says nothing either.

use crate::atomic::{AtomicU64, Ordering};
use crate::client::address::{Address, Network};
use crate::time::{Seconds, Tick};

/// How many can be refused at once.
pub const NETWORKS: usize = 256;

/// So long a claim is good. Writing a row takes a microsecond.
const CLAIM: Seconds = Seconds(5);

/// The rank of a row that nobody needs, before all that are needed.
const OVER: Tick = Tick(1);

/// So often a writer who meets another one looks for a row again.
const ROUNDS: usize = 16;

/// One row of the list.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Row {
    /// until (or the moment of the claim) 32 | connections 23 | claimed 1 | bits 8; 0 = free
    what: AtomicU64,
    address: [AtomicU64; 2],
    /// Over the others.
    sum: AtomicU64,
    /// Denials so far, for the folding of log lines.
    denials: AtomicU64,
}

const CLAIMED: u64 = 1 << 8;
const COUNT_SHIFT: u32 = 9;
const LARGEST_COUNT: u32 = (1 << 23) - 1;

/// A network that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which one.
    pub network: Network,
    /// Until then.
    pub until: Tick,
    /// So many connections it held; what is more than 23 bits is cut off.
    pub count: u32,
}

/// The list.
#[derive(Debug)]
pub struct Networks<'a> {
    rows: &'a [Row],
    /// When the last one ends: all that most connections ask for.
    end: &'a AtomicU64,
    /// How many blocks were ever made of which open connections shall hear.
    acts: &'a AtomicU64,
}

/// A network that refuses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The network.
    pub block: Block,
    row: usize,
}

impl<'a> Networks<'a> {
    /// Lays the list over its memory.
    pub fn new(rows: &'a [Row], end: &'a AtomicU64, acts: &'a AtomicU64) -> Networks<'a> {
        Networks { rows, end, acts }
    }

    /// Finds the network that refuses an address, if one does.
    pub fn find(&self, address: Address, now: Tick) -> Option<Refused> {
        if self.end.load(Ordering::Relaxed) <= u64::from(now.0) {
            return None;
        }
        self.rows.iter().enumerate().find_map(|(index, row)| {
            let block = row.read()?;
            (block.until > now && block.network.contains(address))
                .then_some(Refused { block, row: index })
        })
    }

    /// Finds the network that refuses all of a network: itself, or a larger one.
    pub fn find_whole(&self, network: Network, now: Tick) -> Option<Block> {
        let refused = self.all(now).into_iter();
        refused.filter(|block| network.is_within(block.network)).max_by_key(|block| block.until)
    }

    /// Counts a denial, and returns which of its network it is, from 1 on.
    pub fn deny(&self, refused: Refused) -> u32 {
        let row = self.rows.get(refused.row);
        let before = row.map_or(0, |row| row.denials.fetch_add(1, Ordering::Relaxed));
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Returns until when a network is refused by itself, if it is.
    pub fn until(&self, network: Network, now: Tick) -> Option<Tick> {
        let rows = self.rows.iter().filter_map(Row::read);
        rows.filter(|block| block.network == network && block.until > now).map(|it| it.until).max()
    }

    /// Returns all that are refused, each once, those that are for longest first.
    pub fn all(&self, now: Tick) -> Vec<Block> {
        if self.end.load(Ordering::Relaxed) <= u64::from(now.0) {
            return Vec::new();
        }
        let mut all: Vec<Block> =
            self.rows.iter().filter_map(Row::read).filter(|block| block.until > now).collect();
        all.sort_unstable_by_key(|block| (block.network, core::cmp::Reverse(block.until)));
        all.dedup_by_key(|block| block.network);
        all.sort_by_key(|block| core::cmp::Reverse(block.until));
        all
    }

    /// Refuses a network for a time. When the list is full, the one that ends first makes room; false when that
    /// is this one.
    pub fn block(&self, block: Block, now: Tick) -> bool {
        self.block_before(block, block.until, now)
    }

    /// The same where it takes no other one's room.
    pub fn block_if_room(&self, block: Block, now: Tick) -> bool {
        self.block_before(block, Tick(OVER.0 + 1), now)
    }

    fn block_before(&self, block: Block, latest: Tick, now: Tick) -> bool {
        (0..ROUNDS).any(|_| match self.claim(block, latest, now) {
            Some((row, claim)) => {
                let is_written = row.write(block, claim);
                self.end.fetch_max(block.until.0.into(), Ordering::Release);
                is_written
            }
            None => false,
        })
    }

    /// Takes a row for a network: its own, a free one, or the one that ends first, if that is before `latest`.
    fn claim(&self, block: Block, latest: Tick, now: Tick) -> Option<(&'a Row, u64)> {
        let rank = |row: &&Row| {
            let word = row.what.load(Ordering::Acquire);
            let moment = Tick((word >> 32) as u32);
            let end = match row.read() {
                Some(known) if known.network == block.network => Tick(0),
                Some(known) if known.until > now => known.until,
                Some(_) => OVER,
                // Somebody writes it, or did until he was killed.
                None if word & CLAIMED != 0 && moment.after(CLAIM) > now => Tick(u32::MAX),
                None => OVER,
            };
            (end, word)
        };
        let (row, (end, word)) =
            self.rows.iter().map(|row| (row, rank(&row))).min_by_key(|(_, (end, _))| *end)?;
        let claim = u64::from(now.0) << 32 | CLAIMED;
        (end < latest
            && row.what.compare_exchange(word, claim, Ordering::AcqRel, Ordering::Relaxed).is_ok())
        .then_some((row, claim))
    }

    /// Refuses no network any more of which this says so. Returns how many those were.
    pub fn release(&self, is_released: impl Fn(Network) -> bool) -> usize {
        let release = |row: &&Row| {
            let what = row.what.load(Ordering::Acquire);
            row.read().is_some_and(|block| is_released(block.network))
                // Not if it has become another one meanwhile.
                && row.what.compare_exchange(what, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        self.rows.iter().filter(release).count()
    }

    /// Says that somebody was blocked who may have open connections.
    pub fn note_act(&self) {
        self.acts.fetch_add(1, Ordering::Release);
    }

    /// Returns how often that was said.
    pub fn acts(&self) -> u64 {
        self.acts.load(Ordering::Acquire)
    }
}

impl Row {
    fn read(&self) -> Option<Block> {
        let what = self.what.load(Ordering::Acquire);
        if what == 0 || what & CLAIMED != 0 {
            return None;
        }
        let [high, low] = &self.address;
        let (high, low) = (high.load(Ordering::Acquire), low.load(Ordering::Acquire));
        let is_whole = self.sum.load(Ordering::Acquire) == sum([what, high, low])
            && self.what.load(Ordering::Acquire) == what;
        let network = Network { address: Address::from_words(high, low), bits: what as u8 };
        is_whole.then_some(Block {
            network,
            until: Tick((what >> 32) as u32),
            count: (what >> COUNT_SHIFT) as u32 & LARGEST_COUNT,
        })
    }

    /// Fills a row that is claimed; false when it was taken away meanwhile.
    fn write(&self, block: Block, claim: u64) -> bool {
        let count = u64::from(block.count.min(LARGEST_COUNT));
        let bits = u64::from(block.network.bits);
        let what = u64::from(block.until.0) << 32 | count << COUNT_SHIFT | bits;
        let (high, low) = block.network.address.words();
        let [first, second] = &self.address;
        for (word, value) in [(first, high), (second, low), (&self.sum, sum([what, high, low]))] {
            word.store(value, Ordering::Release);
        }
        self.denials.store(0, Ordering::Relaxed);
        self.what.compare_exchange(claim, what, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Says of words whether they belong together.
fn sum(words: [u64; 3]) -> u64 {
    words.into_iter().fold(0x6e65_7477_6f72_6b73, |sum: u64, word| {
        (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use core::net::IpAddr;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().expect(text))
    }

    fn list(count: usize) -> (Vec<Row>, [AtomicU64; 2]) {
        (core::iter::repeat_with(Row::default).take(count).collect(), Default::default())
    }

    fn block(text: &str, until: u32) -> Block {
        Block { network: address(text).network(24, 64), until: Tick(until), count: 7 }
    }

    const NOW: Tick = Tick(10);

    #[test]
    fn a_network_is_refused_until_its_end_and_no_other() {
        let (rows, [end, acts]) = list(4);
        let networks = Networks::new(&rows, &end, &acts);
        assert!(networks.block(block("192.0.2.9", 100), NOW));
        assert!(networks.block(block("2001:db8:1:2:3::4", 200), NOW));
        for (text, now, expected) in [
            ("192.0.2.1", 99, true),
            ("192.0.2.1", 100, false),
            ("192.0.3.1", 50, false),
            ("2001:db8:1:2::9", 150, true),
            ("2001:db8:1:2::9", 200, false),
            ("2001:db8:1:3::9", 150, false),
        ] {
            let found = networks.find(address(text), Tick(now));
            assert_eq!(found.is_some(), expected, "{text} at {now}");
        }
        let found = networks.find(address("192.0.2.1"), Tick(1)).expect("refused");
        assert_eq!((networks.deny(found), networks.deny(found)), (1, 2));
        assert_eq!(networks.release(|network| network.contains(address("192.0.2.77"))), 1);
        assert_eq!(networks.find(address("192.0.2.1"), Tick(1)), None);
        assert_eq!(networks.all(NOW), [block("2001:db8:1:2::", 200)]);
        assert_eq!(networks.all(Tick(200)), []);
    }

    #[test]
    fn a_full_list_gives_up_what_ends_first_and_one_network_has_one_row() {
        let (rows, [end, acts]) = list(2);
        let networks = Networks::new(&rows, &end, &acts);
        let blocked: Vec<bool> = [
            ("10.0.1.1", 50),
            ("10.0.2.1", 90),
            ("10.0.1.2", 60),
            ("10.0.3.1", 70),
            ("10.0.4.1", 65),
        ]
        .into_iter()
        .map(|(text, until)| networks.block(block(text, until), NOW))
        .collect();
        assert_eq!(blocked, [true, true, true, true, false]);
        assert_eq!(networks.all(NOW), [block("10.0.2.0", 90), block("10.0.3.0", 70)]);
        assert!(!networks.block_if_room(block("10.0.5.1", 500), Tick(60)));
        assert!(networks.block_if_room(block("10.0.3.9", 71), Tick(60)), "it has its room already");
        assert!(networks.block(block("10.0.4.1", 30), Tick(80)), "one that is over makes room");
        assert!(networks.block_if_room(block("10.0.5.1", 500), Tick(80)));
    }

    #[test]
    fn a_larger_network_refuses_a_smaller_one() {
        let (rows, [end, acts]) = list(4);
        let networks = Networks::new(&rows, &end, &acts);
        let wide = Network { address: address("10.1.0.0"), bits: 16 };
        networks.block(Block { network: wide, until: Tick(90), count: u32::MAX }, NOW);
        let found = networks.find_whole(block("10.1.2.0", 0).network, NOW).expect("refused");
        assert_eq!((found.network, found.count), (wide, LARGEST_COUNT));
        let wider = Network { address: address("10.0.0.0"), bits: 8 };
        assert_eq!(networks.find_whole(wider, NOW), None);
        assert_eq!(networks.find_whole(block("2001:db8::", 0).network, NOW), None);
    }

    #[test]
    fn a_row_that_is_being_written_is_nobodys_until_its_writer_must_be_dead() {
        let (rows, [end, acts]) = list(1);
        let networks = Networks::new(&rows, &end, &acts);
        let (row, claim) = networks.claim(block("10.0.1.1", 500), Tick(500), NOW).expect("a row");
        assert_eq!(networks.all(NOW), []);
        assert!(!networks.block(block("10.0.2.1", 600), NOW.after(Seconds(4))));
        assert!(networks.block(block("10.0.2.1", 600), NOW.after(Seconds(5))));
        // The first one was not dead at all: neither of them is told of, and the row is of use again.
        assert!(!row.write(block("10.0.1.1", 500), claim));
        assert_eq!(networks.all(NOW), []);
        assert!(networks.block(block("10.0.3.1", 500), Tick(100)));
        assert_eq!(networks.all(NOW), [block("10.0.3.1", 500)]);
    }

    #[test]
    fn many_writers_lose_no_network() {
        let (rows, [end, acts]) = list(256);
        let networks = &Networks::new(&rows, &end, &acts);
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    for number in 0..60u8 {
                        let text = format!("10.{thread}.{number}.1");
                        assert!(networks.block(block(&text, 900), NOW), "{text}");
                    }
                });
            }
        });
        assert_eq!(networks.all(NOW).len(), 240);
    }
}
