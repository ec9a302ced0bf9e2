//! One form for IPv4, IPv4-mapped and IPv6 addresses, and what they are cut to before they are counted.
//! Spec: model.md 5, additions.md 1 and 2.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as it was seen. IPv4 and IPv4-mapped IPv6 are the same thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    // Two words, as in a row; one of 16 octets would ask for an alignment that httpd's pools do not give.
    high: u64,
    low: u64,
}

const MAPPED: u64 = 0xffff << 32;

impl Address {
    /// Makes an address from sixteen octets, IPv4 in its mapped form.
    pub fn from_octets(octets: [u8; 16]) -> Address {
        Address::from_value(u128::from_be_bytes(octets))
    }

    /// Makes an address from two words, as a row stores it.
    pub fn from_words(high: u64, low: u64) -> Address {
        Address { high, low }
    }

    /// Returns the two words that a row stores.
    pub fn words(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// Tells whether this is an IPv4 address, mapped or not.
    pub fn is_v4(self) -> bool {
        self.high == 0 && self.low >> 32 == 0xffff
    }

    /// Returns the address in the standard library's form, a mapped one as IPv4.
    pub fn to_ip(self) -> IpAddr {
        if self.is_v4() {
            IpAddr::V4(Ipv4Addr::from(self.low as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from(self.value()))
        }
    }

    /// Cuts an IPv6 address to its first `bits` bits; IPv4 is always counted whole.
    pub fn cut(self, bits: PrefixBits) -> Address {
        if self.is_v4() {
            return self;
        }
        let mask = u128::MAX.checked_shl(128 - u32::from(bits.0)).unwrap_or(0);
        Address::from_value(self.value() & mask)
    }

    /// Returns the network of so many bits that this address is in.
    pub fn network(self, bits4: u8, bits6: u8) -> Network {
        let (bits, kept) = if self.is_v4() {
            (bits4.min(32), 96 + bits4.min(32))
        } else {
            (bits6, bits6.min(128))
        };
        let mask = u128::MAX.checked_shl(128 - u32::from(kept)).unwrap_or(0);
        Network { address: Address::from_value(self.value() & mask), bits }
    }

    fn from_value(value: u128) -> Address {
        Address { high: (value >> 64) as u64, low: value as u64 }
    }

    fn value(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        match ip {
            IpAddr::V4(v4) => Address { high: 0, low: MAPPED | u64::from(u32::from(v4)) },
            IpAddr::V6(v6) => Address::from_value(u128::from(v6)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ip().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A network: an address and how many of its bits count, of IPv4's 32 or IPv6's 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    /// Its first address.
    pub address: Address,
    /// How long it is.
    pub bits: u8,
}

impl Network {
    /// Tells whether an address is in it.
    pub fn contains(self, address: Address) -> bool {
        address.is_v4() == self.address.is_v4() && address.network(self.bits, self.bits) == self
    }

    /// Tells whether all of its addresses are in another one.
    pub fn is_within(self, other: Network) -> bool {
        other.bits <= self.bits && other.contains(self.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// How many leading bits of an IPv6 address make a client: 32 to 128, 64 unless configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixBits(pub u8);

impl PrefixBits {
    /// The length when `QS_ClientIPv6Prefix` is not configured.
    pub const DEFAULT: PrefixBits = PrefixBits(64);
    /// Nothing is cut.
    pub const WHOLE: PrefixBits = PrefixBits(128);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().expect(text))
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_eq!(address("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn only_ipv6_is_cut() {
        for (bits, whole, cut) in [
            (64, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            (32, "2001:db8:1:2:3:4:5:6", "2001:db8::"),
            (128, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
            (48, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            (64, "192.0.2.77", "192.0.2.77"),
            (64, "::1", "::"),
        ] {
            assert_eq!(address(whole).cut(PrefixBits(bits)), address(cut), "{whole}/{bits}");
        }
    }

    #[test]
    fn a_network_has_the_bits_of_its_own_kind() {
        for (text, bits, network) in [
            ("192.0.2.77", 24, "192.0.2.0/24"),
            ("192.0.2.77", 32, "192.0.2.77/32"),
            ("192.0.2.77", 8, "192.0.0.0/8"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6/128"),
        ] {
            let found = address(text).network(bits, bits);
            assert_eq!(found.to_string(), network);
            assert!(found.contains(address(text)));
        }
        let mapped = address("192.0.2.1").network(24, 64);
        assert!(!mapped.contains(address("::1")) && !mapped.contains(address("192.0.3.1")));
    }

    #[test]
    fn a_row_gives_back_what_it_was_given() {
        let a = address("2001:db8:1:2:3:4:5:6");
        let (high, low) = a.words();
        assert_eq!(Address::from_words(high, low), a);
    }
}
