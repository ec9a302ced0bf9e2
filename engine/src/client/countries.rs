//! In which country an address is: ranges of addresses, read from a file that `QS_ClientGeoCountryDB` names.
//! Spec: client.md QS_ClientGeoCountryDB, improvements.md 5.
//!
//! Two formats, told apart by what the file says, not by its name: lines of text (`csv.rs`), and MaxMind's
//! databases (`mmdb.rs`). Both become the same sorted arrays, once, while the configuration is read. They lie in
//! memory that nobody writes to again, so all children share the parent's pages.

mod csv;
mod mmdb;
mod ranges;

use super::address::Address;
use crate::values::Problem;
use core::ffi::CStr;
use core::fmt;
use core::net::IpAddr;
use ranges::{Builder, NOWHERE, Ranges, SPLIT};
use std::io::BufRead;

/// The variable by which requests see where their client is.
pub const VARIABLE: &CStr = c"QS_Country";

/// A country: two capital letters or digits, or `-`, by which some files say "none".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// How log lines name a country that nobody knows.
    pub const UNKNOWN: Country = Country(*b"--");

    /// Reads a code as a file writes it: `CH`, `A1` or `-`.
    pub fn from_code(code: &[u8]) -> Option<Country> {
        match *code {
            [b'-'] => Some(Country(*b"-\0")),
            [a, b] if is_code(a) && is_code(b) => Some(Country([a, b])),
            _ => None,
        }
    }

    /// Reads a word of a configuration, in which small letters are meant as capitals.
    pub fn parse(word: &str) -> Result<Country, Problem> {
        Country::from_code(word.to_ascii_uppercase().as_bytes()).ok_or_else(|| {
            Problem::word(word, "country codes of two letters, separated by commas: DE,AT,CH")
        })
    }

    /// Returns the code.
    pub fn code(&self) -> &str {
        let octets = match &self.0 {
            [one, 0] => core::slice::from_ref(one),
            two => two,
        };
        core::str::from_utf8(octets).unwrap_or("")
    }

    fn word(self) -> u16 {
        u16::from_be_bytes(self.0)
    }

    fn from_word(word: u16) -> Option<Country> {
        (word != NOWHERE && word != SPLIT).then(|| Country(word.to_be_bytes()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

fn is_code(octet: u8) -> bool {
    octet.is_ascii_uppercase() || octet.is_ascii_digit()
}

/// So many octets from the end of a file are enough to tell whether it is a database of MaxMind's.
pub const TELLING_END: usize = mmdb::LONGEST_DESCRIPTION;

/// Tells whether a file is one; lines of text it is otherwise.
pub fn is_database(content: &[u8]) -> bool {
    mmdb::is_mmdb(content)
}

/// All ranges of a file.
#[derive(Debug)]
pub struct Countries {
    v4: Ranges<u32>,
    /// By the upper half of the address; where a half is in several countries, `v6_split` has them.
    v6: Ranges<u64>,
    v6_split: Ranges<u128>,
    /// What the file says of IPv4 it says of the first IPv6 addresses, too: `::1` is `0.0.0.1`.
    has_v4_in_v6: bool,
}

impl Countries {
    /// Reads a file's content, whichever of the two formats it is in. The error names the line, or the record.
    pub fn read(content: &[u8]) -> Result<Countries, String> {
        if is_database(content) {
            mmdb::read(content)
        } else {
            Countries::read_lines(&mut &content[..], content.len())
        }
    }

    /// Reads lines of text as they come, of so many octets altogether: of a large file not all has to be in
    /// memory at once.
    pub fn read_lines(source: &mut dyn BufRead, octets: usize) -> Result<Countries, String> {
        csv::read(source, octets)
    }

    /// Returns an address's country, if the file has it.
    pub fn of(&self, address: Address) -> Option<Country> {
        let word = match address.to_ip() {
            IpAddr::V4(v4) => self.v4.find(u32::from(v4)),
            IpAddr::V6(v6) => {
                let whole = u128::from(v6);
                if self.has_v4_in_v6 && whole <= u128::from(u32::MAX) {
                    return Country::from_word(self.v4.find(whole as u32));
                }
                match self.v6.find((whole >> 64) as u64) {
                    SPLIT => self.v6_split.find(whole),
                    word => word,
                }
            }
        };
        Country::from_word(word)
    }

    /// Returns how many octets the arrays take.
    pub fn size(&self) -> usize {
        self.v4.size() + self.v6.size() + self.v6_split.size()
    }
}

/// Ranges as they are read, in ascending order.
struct Found {
    v4: Builder<u32>,
    v6: Builder<u64>,
    v6_split: Builder<u128>,
}

impl Found {
    /// With room for so many ranges of IPv4.
    fn with_room(ranges: usize) -> Found {
        Found {
            v4: Builder::with_room(ranges),
            v6: Builder::with_room(0),
            v6_split: Builder::with_room(0),
        }
    }

    /// Adds an IPv6 network.
    fn add_v6(&mut self, first: u128, prefix: u8, country: u16) {
        let last = first | u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let (from, to) = ((first >> 64) as u64, (last >> 64) as u64);
        if prefix <= 64 {
            self.v6.add(from, to, country);
        } else {
            self.v6.add(from, to, SPLIT);
            self.v6_split.add(first, last, country);
        }
    }

    fn done(self, has_v4_in_v6: bool) -> Countries {
        Countries {
            v4: self.v4.done(),
            v6: self.v6.done(),
            v6_split: self.v6_split.done(),
            has_v4_in_v6,
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
#[path = "../../../tests/server/harness/mmdb.rs"]
pub mod mmdb_writer;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
