//! Lines of text: `"<from>","<to>","<CC>"` with decimal IPv4 numbers, anywhere in the line, in ascending order.
//!
//! It is looked for, not parsed as comma-separated values: other fields may stand before and behind it, in any
//! style, and 200,000 lines must not hold up a start.

use super::{Countries, Country, Found};

/// Octets of a usual line; a guess from which room is made.
const USUAL_LINE: usize = 60;

/// Above every IPv4 number.
const TOO_LARGE: u64 = 1 << 33;

/// Reads a file's content.
pub fn read(content: &[u8]) -> Result<Countries, String> {
    let mut found = Found::with_room(content.len() / USUAL_LINE);
    let mut before = 0;
    let mut rest = content;
    let mut number = 0u64;
    // A last line without its end is one, too; but behind the last end of line there is none.
    while !rest.is_empty() {
        number += 1;
        let ((from, to, country), behind) = range(rest).ok_or_else(|| {
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
        let end = behind.iter().position(|octet| *octet == b'\n');
        rest = end.and_then(|end| behind.get(end + 1..)).unwrap_or(&[]);
    }
    Ok(found.done(false))
}

type Range = (u64, u64, Country);

/// Finds the three fields before the end of the first line, and returns what stands behind them.
fn range(text: &[u8]) -> Option<(Range, &[u8])> {
    let mut rest = text;
    loop {
        let at = rest.iter().position(|octet| matches!(octet, b'"' | b'\n'))?;
        let (before, behind) = rest.split_at(at + 1);
        if before.ends_with(b"\n") {
            return None;
        }
        if let Some(range) = range_at(behind) {
            return Some(range);
        }
        rest = behind;
    }
}

/// Reads the three fields behind the first's opening quote. None of them has the end of a line in it.
fn range_at(text: &[u8]) -> Option<(Range, &[u8])> {
    let (from, rest) = number(text)?;
    let (to, rest) = number(rest.strip_prefix(b"\",\"")?)?;
    let rest = rest.strip_prefix(b"\",\"")?;
    let end = rest.iter().take(3).position(|octet| *octet == b'"')?;
    let (code, behind) = rest.split_at(end);
    Some(((from, to, Country::from_code(code)?), behind))
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
