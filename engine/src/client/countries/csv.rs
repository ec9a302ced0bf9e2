//! Lines of text: `"<from>","<to>","<CC>"` with decimal IPv4 numbers, anywhere in the line, in ascending order.
//!
//! It is looked for, not parsed as comma-separated values: other fields may stand before and behind it, in any
//! style, and 200,000 lines must not hold up a start.

use super::{Countries, Country, Found};
use std::io::BufRead;

/// Octets of a usual line; a guess from which room is made.
const USUAL_LINE: usize = 60;

/// Above every IPv4 number.
const TOO_LARGE: u64 = 1 << 33;

/// Reads lines as they come, of so many octets altogether.
pub fn read(source: &mut dyn BufRead, octets: usize) -> Result<Countries, String> {
    let mut found = Found::with_room(octets / USUAL_LINE);
    let mut before = 0;
    let mut line = Vec::new();
    // A last line without its end is one, too; but behind the last end of line there is none.
    for number in 1u64.. {
        line.clear();
        let length = source.read_until(b'\n', &mut line);
        if length.map_err(|error| format!("cannot be read: {error}"))? == 0 {
            break;
        }
        let (from, to, country) = range(&line).ok_or_else(|| {
            format!(
                "line {number}: has no \"<from>\",\"<to>\",\"<CC>\", two decimal IPv4 numbers and a \
                 country code"
            )
        })?;
        let (Ok(from), Ok(to)) = (u32::try_from(from), u32::try_from(to)) else {
            return Err(format!("line {number}: an IPv4 number is at most {}", u32::MAX));
        };
        if to < from {
            return Err(format!("line {number}: the range ends ({to}) before it begins ({from})"));
        }
        if from < before {
            return Err(format!(
                "line {number}: the range begins ({from}) before that of the line above ({before})"
            ));
        }
        before = from;
        found.v4.add(from, to, country.word());
    }
    Ok(found.done(false))
}

type Range = (u64, u64, Country);

/// Finds the three fields.
fn range(line: &[u8]) -> Option<Range> {
    let mut rest = line;
    loop {
        let quote = rest.iter().position(|octet| *octet == b'"')?;
        rest = rest.get(quote + 1..)?;
        if let Some(range) = range_at(rest) {
            return Some(range);
        }
    }
}

/// Reads the three fields behind the first's opening quote.
fn range_at(text: &[u8]) -> Option<Range> {
    let (from, rest) = number(text)?;
    let (to, rest) = number(rest.strip_prefix(b"\",\"")?)?;
    let rest = rest.strip_prefix(b"\",\"")?;
    let end = rest.iter().take(3).position(|octet| *octet == b'"')?;
    Some((from, to, Country::from_code(rest.get(..end)?)?))
}

/// Reads decimal digits, one at least; what is too large stays so, however many there are.
#[inline]
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    let mut digits = 0;
    for octet in text {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = (value * 10 + u64::from(digit)).min(TOO_LARGE);
        digits += 1;
    }
    (digits > 0).then(|| Some((value, text.get(digits..)?)))?
}
