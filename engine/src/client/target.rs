//! Which client is meant: an address, or a prefix as the table has it.

use crate::client::address::{Address, Network, PrefixBits};
use core::net::IpAddr;
use core::str::FromStr;

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// As it was written.
    pub text: &'a str,
    /// The address as it was written, without the length behind it.
    pub seen: Address,
    /// The address under which it is counted.
    pub address: Address,
    /// It is counted whole, in a table that cuts addresses: it was made of a name, and is no peer.
    pub is_made_up: bool,
}

impl<'a> Target<'a> {
    /// Reads `192.0.2.1`, `2001:db8::1`, or `2001:db8::/64`. A prefix longer than the table's stands for the
    /// table's one, like an address does; but `/128` is what was counted whole. A shorter one stands for many
    /// clients, and is none.
    pub fn parse(text: &'a [u8], bits: PrefixBits) -> Option<Target<'a>> {
        let (text, seen, length) = read(text)?;
        let is_whole = length == Some(128) && bits != PrefixBits::WHOLE && !seen.is_v4();
        let address = if is_whole { seen } else { cut(seen, length, bits)? };
        Some(Target { text, seen, address, is_made_up: address != seen.cut(bits) })
    }

    /// The same for a list of peers, where nobody is made up: `/128` is a prefix like others.
    pub fn of_list(text: &'a [u8], bits: PrefixBits) -> Option<Target<'a>> {
        let (text, seen, length) = read(text)?;
        Some(Target { text, seen, address: cut(seen, length, bits)?, is_made_up: false })
    }
}

/// The shortest networks that can be blocked.
const SHORTEST: (u8, u8) = (8, 16);

/// Reads a network of many clients: `198.51.100.0/24`, or a prefix of IPv6 that is shorter than the table's.
pub fn network(text: &[u8], bits: PrefixBits) -> Option<Network> {
    let (_, seen, length) = read(text)?;
    let lengths = if seen.is_v4() { SHORTEST.0..32 } else { SHORTEST.1..bits.0 };
    let length = length.filter(|length| lengths.contains(length))?;
    Some(seen.network(length, length))
}

/// Cuts an address for the table, unless what is written stands for more than one client of it.
fn cut(seen: Address, length: Option<u8>, bits: PrefixBits) -> Option<Address> {
    let shortest = if seen.is_v4() { 32 } else { bits.0 };
    (length.unwrap_or(u8::MAX) >= shortest).then(|| seen.cut(bits))
}

/// Reads an address, and the length behind it.
fn read(text: &[u8]) -> Option<(&str, Address, Option<u8>)> {
    let text = core::str::from_utf8(text).ok()?;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let ip = IpAddr::from_str(address).ok()?;
    let all = if ip.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => None,
        Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) && !digits.starts_with('0') => {
            Some(digits.parse::<u8>().ok().filter(|length| *length <= all)?)
        }
        Some(_) => return None,
    };
    let seen = Address::from(ip);
    match length {
        // IPv4 in the clothes of IPv6: only the whole one, or where would its network be?
        Some(length) if seen.is_v4() && ip.is_ipv6() => {
            (length == all).then_some((text, seen, Some(32)))
        }
        length => Some((text, seen, length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_the_tables_own_prefix_is_a_client() {
        for (text, bits, counted) in [
            ("192.0.2.1", 64, "192.0.2.1"),
            ("192.0.2.1/32", 64, "192.0.2.1"),
            ("::ffff:192.0.2.1", 64, "192.0.2.1"),
            ("::ffff:192.0.2.1/128", 64, "192.0.2.1"),
            ("2001:DB8::1:2:3:4", 64, "2001:db8::"),
            ("2001:db8::/64", 64, "2001:db8::"),
            ("2001:db8::7/64", 64, "2001:db8::"),
            ("2001:db8:0:1::/64", 48, "2001:db8::"),
            ("2001:db8::1", 128, "2001:db8::1"),
            ("2001:db8::1/128", 128, "2001:db8::1"),
        ] {
            let target = Target::parse(text.as_bytes(), PrefixBits(bits)).expect(text);
            assert_eq!(target.address.to_string(), counted, "{text} at {bits}");
            assert!(!target.is_made_up && target.text == text);
        }
    }

    #[test]
    fn what_was_made_of_a_name_is_named_with_all_its_bits() {
        let text = b"9001:5098:3cd2:4fb0:d696:3f7d:28e1:7f72/128";
        let target = Target::parse(text, PrefixBits(64)).expect("a client");
        assert!(target.is_made_up);
        assert_eq!(target.address, target.seen);
        let of_list = Target::of_list(text, PrefixBits(64)).expect("a client");
        assert_eq!(of_list.address.to_string(), "9001:5098:3cd2:4fb0::");
    }

    #[test]
    fn a_network_is_more_than_one_client_of_the_table() {
        for (text, bits, expected) in [
            ("198.51.100.0/24", 64, Some("198.51.100.0/24")),
            ("198.51.100.77/24", 64, Some("198.51.100.0/24")),
            ("10.1.2.3/8", 64, Some("10.0.0.0/8")),
            ("10.1.2.3/31", 64, Some("10.1.2.2/31")),
            ("2001:db8::1/48", 64, Some("2001:db8::/48")),
            ("2001:db8::1/16", 64, Some("2001::/16")),
            ("2001:db8::1/64", 128, Some("2001:db8::/64")),
            ("198.51.100.7/32", 64, None),
            ("198.51.100.7", 64, None),
            ("10.0.0.0/7", 64, None),
            ("0.0.0.0/0", 64, None),
            ("::ffff:198.51.100.0/120", 64, None),
            ("::ffff:198.51.100.0/24", 64, None),
            ("2001:db8::/64", 64, None),
            ("2001:db8::/15", 64, None),
            ("::/0", 64, None),
            ("198.51.100.0/24/24", 64, None),
            ("198.51.100/24", 64, None),
            ("198.51.100.0/024", 64, None),
            ("x/24", 64, None),
        ] {
            let found = network(text.as_bytes(), PrefixBits(bits)).map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{text} at {bits}");
            let is_client = Target::parse(text.as_bytes(), PrefixBits(bits)).is_some();
            assert!(!(is_client && expected.is_some()), "{text}: never both");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "*",
            "abc",
            "1.2.3",
            "1.2.3.4 ",
            " 1.2.3.4",
            "1.2.3.4/",
            "1.2.3.4/24",
            "1.2.3.4/033",
            "1.2.3.4/+32",
            "1.2.3.4/32/32",
            "1.2.3.4,5.6.7.8",
            "1.2.3.4:80",
            "[::1]",
            "::1%lo",
            "2001:db8::/48",
            "2001:db8::/0",
            "2001:db8::/129",
            "2001:db8::/",
            "2001:db8::/64 ",
            "::ffff:1.2.3.4/32",
            "1.2.3.4\0",
            "<b>1.2.3.4</b>",
            "2001:db8::/6 4",
            "127.1",
            "0x7f.0.0.1",
        ] {
            assert_eq!(Target::parse(text.as_bytes(), PrefixBits(64)), None, "{text:?}");
            assert_eq!(Target::of_list(text.as_bytes(), PrefixBits(64)), None, "{text:?}");
        }
        assert_eq!(Target::parse(b"1.2.3.\xff", PrefixBits(64)), None);
        assert_eq!(Target::parse(&b"1".repeat(1 << 20), PrefixBits(64)), None);
    }
}
