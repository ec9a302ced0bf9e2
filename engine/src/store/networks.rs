//! Networks that are refused as a whole, for a time: a short list, looked through only while it has any.
//!
//! One process writes, all read. A row is emptied before it is changed and filled last; who reads it looks
//! at its end before and after, so a row that changes meanwhile says nothing.

use crate::atomic::{AtomicU64, Ordering};
use crate::client::address::{Address, Network};
use crate::time::Tick;

/// How many can be refused at once.
pub const NETWORKS: usize = 256;

/// One row of the list.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Row {
    address: [AtomicU64; 2],
    /// until 32 | - 24 | bits 8; 0 = free
    what: AtomicU64,
    /// Denials so far, for the folding of log lines.
    denials: AtomicU64,
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
    /// Until then.
    pub until: Tick,
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
            let (network, until) = row.read()?;
            (until > now && network.contains(address)).then_some(Refused { until, row: index })
        })
    }

    /// Counts a denial, and returns which of its network it is, from 1 on.
    pub fn deny(&self, refused: Refused) -> u32 {
        let row = self.rows.get(refused.row);
        let before = row.map_or(0, |row| row.denials.fetch_add(1, Ordering::Relaxed));
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Returns until when a network is refused, if it is.
    pub fn until(&self, network: Network, now: Tick) -> Option<Tick> {
        let rows = self.rows.iter().filter_map(Row::read);
        rows.filter(|(known, until)| *known == network && *until > now).map(|(_, end)| end).max()
    }

    /// Refuses a network until a moment. When the list is full, the one that ends first makes room.
    /// Only one process may do this.
    pub fn block(&self, network: Network, until: Tick) {
        let place = |row: &&Row| match row.read() {
            Some((known, _)) if known == network => Tick(0),
            Some((_, end)) => end,
            None => Tick(1),
        };
        let Some(row) = self.rows.iter().min_by_key(place) else { return };
        row.what.store(0, Ordering::Release);
        let (high, low) = network.address.words();
        for (word, value) in row.address.iter().zip([high, low]) {
            word.store(value, Ordering::Release);
        }
        row.denials.store(0, Ordering::Relaxed);
        let what = u64::from(until.0) << 32 | u64::from(network.bits);
        row.what.store(what, Ordering::Release);
        self.end.fetch_max(until.0.into(), Ordering::Release);
    }

    /// Refuses no network any more that an address is in.
    pub fn release(&self, address: Address) {
        for row in self.rows {
            let what = row.what.load(Ordering::Acquire);
            if row.read().is_some_and(|(network, _)| network.contains(address)) {
                // Not if it has become another one meanwhile.
                let _ = row.what.compare_exchange(what, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
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
    fn read(&self) -> Option<(Network, Tick)> {
        let what = self.what.load(Ordering::Acquire);
        if what == 0 {
            return None;
        }
        let [high, low] = &self.address;
        let address =
            Address::from_words(high.load(Ordering::Acquire), low.load(Ordering::Acquire));
        let network = Network { address, bits: what as u8 };
        (self.what.load(Ordering::Acquire) == what).then_some((network, Tick((what >> 32) as u32)))
    }
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

    #[test]
    fn a_network_is_refused_until_its_end_and_no_other() {
        let (rows, [end, acts]) = list(4);
        let networks = Networks::new(&rows, &end, &acts);
        networks.block(address("192.0.2.9").network(24, 64), Tick(100));
        networks.block(address("2001:db8:1:2:3::4").network(24, 64), Tick(200));
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
        networks.release(address("192.0.2.77"));
        assert_eq!(networks.find(address("192.0.2.1"), Tick(1)), None);
        assert!(networks.find(address("2001:db8:1:2::"), Tick(1)).is_some());
    }

    #[test]
    fn a_full_list_gives_up_what_ends_first_and_one_network_has_one_row() {
        let (rows, [end, acts]) = list(2);
        let networks = Networks::new(&rows, &end, &acts);
        for (text, until) in
            [("10.0.1.1", 50), ("10.0.2.1", 90), ("10.0.1.2", 60), ("10.0.3.1", 70)]
        {
            networks.block(address(text).network(24, 64), Tick(until));
        }
        let is_refused = |text| networks.find(address(text), Tick(10)).is_some();
        assert!(!is_refused("10.0.1.1") && is_refused("10.0.2.1") && is_refused("10.0.3.1"));
    }
}
