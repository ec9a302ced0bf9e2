//! MaxMind's databases (`.mmdb`), IPv4 and IPv6: walked through once and turned into ranges.
//!
//! A search in the file's own tree takes a step for each bit of an address and then decodes a record; ranges are
//! found in a tenth of that, and a database of countries has many networks and few countries.

use super::{Countries, Country, Found, NOWHERE};
use core::net::{IpAddr, Ipv4Addr};
use maxminddb::{MaxMindDbError, Reader, WithinOptions, path};
use std::collections::HashMap;

/// What stands before the description at the file's end.
const MARKER: &[u8; 14] = b"\xab\xcd\xefMaxMind.com";
/// How far from the end it can stand.
pub const LONGEST_DESCRIPTION: usize = 128 * 1024;

type Database<'a> = Reader<&'a [u8]>;

/// Tells whether a file is such a database, whole or not.
pub fn is_mmdb(content: &[u8]) -> bool {
    let from = content.len().saturating_sub(LONGEST_DESCRIPTION);
    let end = content.get(from..).unwrap_or(&[]);
    // Its first octet is in no text, so that a long one is looked through once.
    let [first, others @ ..] = MARKER;
    end.split(|octet| octet == first).skip(1).any(|behind| behind.starts_with(others))
}

/// Reads a file's content.
pub fn read(content: &[u8]) -> Result<Countries, String> {
    let database: Database<'_> = Reader::from_source(content).map_err(said)?;
    let mut found = Found::with_room(0);
    let mut known = HashMap::new();
    // Networks without a record as well, so that a tree that leads in circles is found out: one of N nodes has
    // N + 1 leaves, and the other ways to those of IPv4 are passed over.
    let most = (database.metadata().node_count as usize).saturating_mul(2).saturating_add(2);
    let mut options = WithinOptions::default().include_networks_without_data();
    // In a database of both where one network holds all of IPv4, its record would be taken for another way to
    // IPv4 wherever it stands.
    let start = database.lookup(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).map_err(said)?;
    if start.network().map_err(said)?.is_ipv6() {
        options = options.include_aliased_networks();
    }
    for (result, number) in database.networks(options).map_err(said)?.zip(1usize..) {
        if number > most {
            return Err("its tree leads in circles".to_owned());
        }
        let result = result.map_err(said)?;
        let Some(record) = result.offset() else { continue };
        let country = match known.get(&record) {
            Some(country) => *country,
            None => {
                let country = country(&result)
                    .map_err(|problem| format!("record at {record}: {problem}"))?
                    .map_or(NOWHERE, Country::word);
                known.insert(record, country);
                country
            }
        };
        if country == NOWHERE {
            continue;
        }
        let network = result.network().map_err(said)?;
        match (network.network(), network.broadcast()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                found.v4.add(first.into(), last.into(), country);
            }
            (IpAddr::V6(first), _) => {
                let first = u128::from(first);
                // One network for all that begins with zeroes has IPv4 in it.
                if first == 0 && network.prefix() <= 96 {
                    found.v4.add(0, u32::MAX, country);
                }
                found.add_v6(first, network.prefix(), country);
            }
            _ => {}
        }
    }
    if !known.is_empty() && known.values().all(|country| *country == NOWHERE) {
        return Err(
            "none of its records has a country (country.iso_code or country_code)".to_owned()
        );
    }
    Ok(found.done(database.metadata().ip_version == 6))
}

/// Finds the country's code where MaxMind has it, or where others do.
fn country(result: &maxminddb::LookupResult<'_, &[u8]>) -> Result<Option<Country>, String> {
    // In this order: where others have the code itself, `country` can be a name.
    let mut code: Option<&str> = result.decode_path(&path!["country_code"]).map_err(said)?;
    if code.is_none() {
        code = result.decode_path(&path!["country", "iso_code"]).map_err(said)?;
    }
    code.map(|code| {
        Country::from_code(code.as_bytes()).ok_or_else(|| format!("{code:?} is no country code"))
    })
    .transpose()
}

fn said(error: MaxMindDbError) -> String {
    error.to_string()
}
