//! The list of blocked clients, as one server writes it and another one reads it.
//!
//! ```text
//!   # mod_qos block list 1
//!   198.51.100.0/24 600 104       a network that is blocked as a whole, seconds left, its connections
//!   192.0.2.7 417 1020            address or prefix, seconds left, counter
//! ```

use super::networks;
use crate::client::address::{Network, PrefixBits};
use crate::client::target::{self, Target};
use crate::context::Moment;
use crate::report::Shown;
use crate::rules::Policy;
use crate::rules::client_limit::by_hand as blocks;
use crate::time::Seconds;

/// So large a list may be, in octets.
pub const LARGEST: usize = 64 << 20;

const HEAD: &str = "# mod_qos block list 1";

/// One blocked client of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Who.
    pub who: Who<'a>,
    /// For so long; 0 is over.
    pub left: Seconds,
    /// Events that were counted.
    pub count: u32,
}

/// Whom a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// A client.
    Client(Target<'a>),
    /// A network of many.
    Network(Network),
}

/// Writes the list.
pub fn dump(policy: &Policy, moment: &Moment<'_>, write: &mut dyn FnMut(&str) -> bool) {
    if !write(&format!("{HEAD}\n")) || !networks::dump(policy, moment, write) {
        return;
    }
    for (address, row) in moment.store.clients.all() {
        let Some((end, count)) = blocks::blocked_until(&policy.client_limit, moment, row) else {
            continue;
        };
        // Whole seconds that are left: a block does not grow by being copied.
        let left = end.seconds_since(moment.now).0;
        let shown = Shown::new(address, moment.store.prefix);
        if !write(&format!("{shown} {left} {count}\n")) {
            return;
        }
    }
}

/// Checks all of a list; the error is the number of the first line that is none of it.
pub fn check(body: &[u8], bits: PrefixBits) -> Result<(), usize> {
    if body.split(|octet| *octet == b'\n').next().map(without_return) != Some(HEAD.as_bytes()) {
        return Err(1);
    }
    match entries(body, bits).position(|entry| entry.is_none()) {
        Some(place) => Err(place + 2),
        None => Ok(()),
    }
}

/// Returns the entries behind the first line; `None` stands for a line that is none.
pub fn entries(body: &[u8], bits: PrefixBits) -> impl Iterator<Item = Option<Entry<'_>>> {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    body.split(|octet| *octet == b'\n').skip(1).map(move |line| entry(without_return(line), bits))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn entry(line: &[u8], bits: PrefixBits) -> Option<Entry<'_>> {
    let mut words = line.split(|octet| *octet == b' ');
    let word = words.next()?;
    let client = Target::of_list(word, bits).map(Who::Client);
    let who = client.or_else(|| target::network(word, bits).map(Who::Network))?;
    let left = Seconds(number(words.next()?)?);
    let count = number(words.next()?)?;
    words.next().is_none().then_some(Entry { who, left, count })
}

fn number(word: &[u8]) -> Option<u32> {
    let is_number = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(word).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: PrefixBits = PrefixBits(64);

    #[test]
    fn a_good_list_is_read_line_by_line() {
        let body =
            b"# mod_qos block list 1\r\n192.0.2.1 60 20\n2001:db8::/64 0 4294967295\n::1 1 0\n\
            198.51.100.0/24 600 104\n2001:db8::/48 1 0";
        assert_eq!(check(body, BITS), Ok(()));
        let read: Vec<_> = entries(body, BITS).flatten().collect();
        let who = |entry: &Entry<'_>| match entry.who {
            Who::Client(target) => target.text.to_owned(),
            Who::Network(network) => format!("network {network}"),
        };
        let words: Vec<_> =
            read.iter().map(|entry| (who(entry), entry.left.0, entry.count)).collect();
        let expected = [
            ("192.0.2.1", 60, 20),
            ("2001:db8::/64", 0, u32::MAX),
            ("::1", 1, 0),
            ("network 198.51.100.0/24", 600, 104),
            ("network 2001:db8::/48", 1, 0),
        ];
        assert_eq!(words, expected.map(|(who, left, count)| (who.to_owned(), left, count)));
        assert_eq!(check(b"# mod_qos block list 1", BITS), Ok(()), "nobody is blocked");
        assert_eq!(check(b"# mod_qos block list 1\n", BITS), Ok(()));
    }

    #[test]
    fn the_first_bad_line_is_named() {
        for (body, line) in [
            ("", 1),
            ("192.0.2.1 60 20\n", 1),
            ("# mod_qos block list 2\n", 1),
            ("# mod_qos block list 1 \n", 1),
            (" # mod_qos block list 1\n", 1),
            ("# mod_qos block list 1\n\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 60 20\n\n192.0.2.2 60 20\n", 3),
            ("# mod_qos block list 1\n192.0.2.1 60 20\n192.0.2.1 60\n", 3),
            ("# mod_qos block list 1\n192.0.2.1 60 20 x\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 60 20 \n", 2),
            ("# mod_qos block list 1\n192.0.2.1  60 20\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 -1 20\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 +1 20\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 4294967296 20\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 1 4294967296\n", 2),
            ("# mod_qos block list 1\n192.0.2 1 1\n", 2),
            ("# mod_qos block list 1\n192.0.2.1\t1 1\n", 2),
            ("# mod_qos block list 1\n2001:db8::/15 1 1\n", 2),
            ("# mod_qos block list 1\n10.0.0.0/7 1 1\n", 2),
            ("# mod_qos block list 1\n10.0.0.0/024 1 1\n", 2),
            ("# mod_qos block list 1\n192.0.2.1 1 1\0\n", 2),
            ("# mod_qos block list 1\n# a word\n", 2),
        ] {
            assert_eq!(check(body.as_bytes(), BITS), Err(line), "{body:?}");
        }
        assert_eq!(check(b"# mod_qos block list 1\n\xff 1 1\n", BITS), Err(2));
    }
}
