//! Who a connection or request is: the peer that holds it, and the client that asked through it.
//!
//! Two types on purpose. Connection rules and blocks judge the [`Peer`]; what a request header or a proxy
//! says is a [`Client`] (`QS_ClientIpFromHeader`), and can never slip into them.

use super::address::{Address, PrefixBits};
use super::md5;
use core::fmt;
use core::net::IpAddr;

/// The address that holds a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Address);

impl Peer {
    /// Returns the address under which this peer is counted.
    pub fn counted(self, bits: PrefixBits) -> Address {
        self.0.cut(bits)
    }

    /// Returns how log lines name this peer.
    pub fn in_log(self, bits: PrefixBits) -> InLog {
        Client::of(self).in_log(bits)
    }
}

/// Whom a request is counted for: the peer, or the address that a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    address: Address,
    /// Made of a name: it is in no network, so it is counted whole.
    is_made_up: bool,
}

impl Client {
    /// Returns the client that a peer is when nothing else is said.
    pub fn of(peer: Peer) -> Client {
        Client { address: peer.0, is_made_up: false }
    }

    /// Reads an address: one of IPv4 or IPv6, and nothing before or behind it.
    pub fn parse(text: &[u8]) -> Option<Client> {
        let ip: IpAddr = core::str::from_utf8(text).ok()?.parse().ok()?;
        Some(Client { address: Address::from(ip), is_made_up: false })
    }

    /// Makes an address of a name: the hash of its parts.
    pub fn made_of(parts: &[&[u8]]) -> Client {
        Client { address: Address::from_octets(md5::digest(parts)), is_made_up: true }
    }

    /// Returns the address as it was seen.
    pub fn address(self) -> Address {
        self.address
    }

    /// Returns the address under which this client is counted.
    pub fn counted(self, bits: PrefixBits) -> Address {
        if self.is_made_up { self.address } else { self.address.cut(bits) }
    }

    /// Returns how log lines name this client.
    pub fn in_log(self, bits: PrefixBits) -> InLog {
        InLog { client: self, bits }
    }
}

/// `c=<address>`, with `net=<prefix>/<bits>, ` before it where a prefix decided (additions.md 2).
#[derive(Clone, Copy, Debug)]
pub struct InLog {
    client: Client,
    bits: PrefixBits,
}

impl fmt::Display for InLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Client { address, is_made_up } = self.client;
        if !is_made_up && !address.is_v4() && self.bits.0 < 128 {
            write!(f, "net={}/{}, ", self.client.counted(self.bits), self.bits.0)?;
        }
        write!(f, "c={address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_stands_before_the_address_only_where_it_decided() {
        for (text, bits, line) in [
            ("192.0.2.1", 64, "c=192.0.2.1"),
            ("2001:db8::1", 64, "net=2001:db8::/64, c=2001:db8::1"),
            ("2001:db8::1", 128, "c=2001:db8::1"),
        ] {
            let peer = Peer(Address::from(text.parse::<IpAddr>().expect(text)));
            assert_eq!(peer.in_log(PrefixBits(bits)).to_string(), line);
        }
    }
    #[test]
    fn an_address_is_read_whole_or_not_at_all() {
        for (text, seen, counted) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("2001:DB8::1:2:3:4", "2001:db8::1:2:3:4", "2001:db8::"),
        ] {
            let client = Client::parse(text.as_bytes()).expect(text);
            assert_eq!(client.address().to_string(), seen);
            assert_eq!(client.counted(PrefixBits::DEFAULT).to_string(), counted);
        }
        for text in [
            "",
            " ",
            "abc",
            "1.2.3",
            "1.2.3.4 ",
            " 1.2.3.4",
            "1.2.3.4, 5.6.7.8",
            "1.2.3.4:80",
            "[::1]",
            "[::1]:80",
            "fe80::1%eth0",
            "::ffff:1.2.3.256",
            "1.2.3.4/24",
            "01.2.3.4",
            "0x1.2.3.4",
            "16909060",
            "1.2.3.4\0",
            "localhost",
            "-",
        ] {
            assert_eq!(Client::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Client::parse(b"1.2.3.\xff"), None);
    }

    #[test]
    fn a_name_becomes_an_address_that_no_prefix_cuts() {
        let client = Client::made_of(&[b"abc"]);
        let line = client.in_log(PrefixBits::DEFAULT).to_string();
        assert_eq!(line, "c=9001:5098:3cd2:4fb0:d696:3f7d:28e1:7f72");
        assert_eq!(client.counted(PrefixBits::DEFAULT), client.address());
        assert_eq!(client, Client::made_of(&[b"a", b"bc"]));
    }
}
