//! Counts of addresses, and of the networks that they are in.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, or a network of that many bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who {
    address: IpAddr,
    bits: u8,
}

impl Who {
    /// Reads `<address>`, or `<address>/<bits>`.
    pub fn parse(word: &[u8]) -> Option<Who> {
        let word = std::str::from_utf8(word).ok()?;
        let (address, bits) = match word.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|digit| digit.is_ascii_digit()) => {
                (address, Some(bits.parse::<u8>().ok()?))
            }
            Some(_) => return None,
            None => (word, None),
        };
        let address = ip(address)?;
        let whole = Who::of(address);
        let bits = bits.unwrap_or(whole.bits);
        (bits <= whole.bits).then(|| whole.cut(bits))
    }

    /// Reads the same, or `<address>:<port>`, or `[<address>]:<port>`.
    pub fn parse_with_port(word: &[u8]) -> Option<Who> {
        Who::parse(word).or_else(|| {
            let word = std::str::from_utf8(word).ok()?;
            let address = match word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((address, port)) => {
                    let is_end = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
                    ip(address).filter(|_| is_end && address.contains(':'))
                }
                None => {
                    let (address, port) = word.split_once(':')?;
                    address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::V4)
                }
            };
            address.map(|address| Who::of(address.to_canonical()))
        })
    }

    fn of(address: IpAddr) -> Who {
        Who { address, bits: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Cuts it to a network of at most so many bits.
    fn cut(self, bits: u8) -> Who {
        let bits = bits.min(self.bits);
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Who { address, bits }
    }

    /// Tells whether it is no single address.
    pub fn is_network(self) -> bool {
        self.bits < Who::of(self.address).bits
    }
}

/// Reads an address. The zone of a link-local one, `fe80::1%eth0`, says on which wire it is, not who.
fn ip(text: &str) -> Option<IpAddr> {
    let Some((address, zone)) = text.split_once('%') else {
        return Some(text.parse::<IpAddr>().ok()?.to_canonical());
    };
    let is_zone =
        zone.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
    let address = address.parse::<Ipv6Addr>().ok()?;
    (is_zone && !zone.is_empty()).then_some(IpAddr::V6(address))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.is_network() { write!(f, "/{}", self.bits) } else { Ok(()) }
    }
}

/// Somebody who was counted often.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The address or the network.
    pub who: Who,
    /// How often.
    pub count: u64,
    /// What was counted for it, in order: itself, where it is an address.
    pub members: Vec<Who>,
}

/// How often each address was seen.
#[derive(Debug, Default)]
pub struct Tally {
    counts: HashMap<Who, u64>,
    skipped: u64,
}

impl Tally {
    /// Counts an address.
    pub fn add(&mut self, who: Who, times: u64) {
        let count = self.counts.entry(who).or_default();
        *count = count.saturating_add(times);
    }

    /// Counts a line that should have had an address, and has none.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Counts a word that should be an address.
    pub fn add_or_skip(&mut self, who: Option<Who>) {
        match who {
            Some(who) => self.add(who, 1),
            None => self.skip(),
        }
    }

    /// Returns how many lines had no address.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Tells whether there was none at all.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Returns who was counted at least `min` times, most first, in order of address where equal. Where a
    /// length is given networks are counted.
    pub fn found(&self, min: u64, prefix4: Option<u8>, prefix6: Option<u8>) -> Vec<Found> {
        let mut all: HashMap<Who, Found> = HashMap::new();
        for (who, count) in &self.counts {
            let prefix = if who.address.is_ipv4() { prefix4 } else { prefix6 };
            let network = prefix.map_or(*who, |bits| who.cut(bits));
            let found = all.entry(network);
            let found =
                found.or_insert_with(|| Found { who: network, count: 0, members: Vec::new() });
            found.count = found.count.saturating_add(*count);
            found.members.push(*who);
        }
        let mut found: Vec<Found> = all.into_values().filter(|found| found.count >= min).collect();
        found.sort_unstable_by_key(|found| (Reverse(found.count), found.who));
        found.iter_mut().for_each(|found| found.members.sort_unstable());
        found
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn who(word: &str) -> Who {
        Who::parse(word.as_bytes()).unwrap_or_else(|| panic!("{word} is none"))
    }

    #[test]
    fn an_address_is_what_it_says_and_nothing_else_is_one() {
        for (word, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:DB8::0001", "2001:db8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("::1/0", "::/0"),
        ] {
            assert_eq!(who(word).to_string(), shown);
        }
        for word in [
            "",
            "1",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "1.2.3.4,",
            "abc",
            "::1/129",
            "1.2.3.4:80",
            "[::1]",
            "1.2.3.4/8/8",
            "\u{e9}",
            "0-0",
        ] {
            assert_eq!(Who::parse(word.as_bytes()), None, "{word:?}");
        }
        for (word, shown) in [
            ("192.0.2.7:8080", "192.0.2.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[::ffff:192.0.2.7]:1", "192.0.2.7"),
            ("[::1]", "::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("fe80::1%br-0.7", "fe80::1"),
            ("[fe80::1%2]:65535", "fe80::1"),
        ] {
            let found = Who::parse_with_port(word.as_bytes()).map(|who| who.to_string());
            assert_eq!(found.as_deref(), Some(shown));
        }
        for word in [
            "192.0.2.7:",
            "192.0.2.7:x",
            "192.0.2.7:65536",
            "192.0.2.7:+1",
            "[::1]x",
            "[::1]:",
            "[1.2.3.4]:80",
            "::1]:80",
            "fe80::1%",
            "fe80::1%a b",
            "1.2.3.4%lo",
            "fe80::1%<",
        ] {
            assert_eq!(Who::parse_with_port(word.as_bytes()), None, "{word:?}");
        }
        assert_eq!(Who::parse(b"\xff\xfe"), None);
    }

    #[test]
    fn most_stand_first_and_equal_ones_in_order() {
        let mut tally = Tally::default();
        for (word, times) in [
            ("198.51.100.9", 3),
            ("9.9.9.9", 3),
            ("2001:db8::1", 3),
            ("192.0.2.1", 5),
            ("192.0.2.2", 2),
        ] {
            tally.add(who(word), times);
        }
        let shown = |min, prefix4, prefix6| {
            let found = tally.found(min, prefix4, prefix6);
            found.iter().map(|f| format!("{} {}", f.who, f.count)).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(3, None, None),
            ["192.0.2.1 5", "9.9.9.9 3", "198.51.100.9 3", "2001:db8::1 3"]
        );
        assert_eq!(shown(6, None, None), [""; 0]);
        assert_eq!(
            shown(3, Some(24), Some(32)),
            ["192.0.2.0/24 7", "9.9.9.0/24 3", "198.51.100.0/24 3", "2001:db8::/32 3"]
        );
        let members = tally.found(7, Some(24), None).remove(0).members;
        assert_eq!(members, [who("192.0.2.1"), who("192.0.2.2")]);
    }

    #[test]
    fn counts_never_wrap() {
        let mut tally = Tally::default();
        tally.add(who("::1"), u64::MAX);
        tally.add(who("::1"), 5);
        tally.add(who("::2"), 5);
        assert_eq!(tally.found(1, None, Some(64)).remove(0).count, u64::MAX);
    }
}
