//! Who a connection or request is: the peer that holds it, and the client that asked through it.
//!
//! Two types on purpose. Connection rules judge the [`Peer`]; what a request header or a proxy says can
//! never slip into them. (The second type, the client resolved through trusted proxies, comes with the
//! rules that use it.)

use super::address::{Address, PrefixBits};
use core::fmt;

/// The address that holds a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Address);

impl Peer {
    /// Returns the address under which this peer is counted.
    pub fn counted(self, bits: PrefixBits) -> Address {
        self.0.cut(bits)
    }

    /// Returns how log lines name this peer.
    pub fn in_log(self, bits: PrefixBits) -> PeerInLog {
        PeerInLog { peer: self, bits }
    }
}

/// `c=<address>`, with `net=<prefix>/<bits>, ` before it where a prefix decided (additions.md 2).
#[derive(Clone, Copy, Debug)]
pub struct PeerInLog {
    peer: Peer,
    bits: PrefixBits,
}

impl fmt::Display for PeerInLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.peer.0.is_v4() && self.bits.0 < 128 {
            write!(f, "net={}/{}, ", self.peer.counted(self.bits), self.bits.0)?;
        }
        write!(f, "c={}", self.peer.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;

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
}
