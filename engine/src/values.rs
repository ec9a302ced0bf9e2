//! The words of directives: one parser and one error text for each kind of value.
//!
//! A parser does not know which directive it works for; the caller adds the name once.

use crate::time::Seconds;
use core::fmt;

/// Why a directive's argument cannot be taken: the offending word, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// A word that is wrong, and what would be right.
    pub fn word(word: &str, allowed: impl fmt::Display) -> Problem {
        Problem(format!("'{word}' is not allowed here, it takes {allowed}"))
    }

    /// A sentence of its own.
    pub fn text(text: impl Into<String>) -> Problem {
        Problem(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The largest number a directive takes where it names no smaller one: 31 bits.
pub const MAX_NUMBER: u32 = i32::MAX as u32;

/// Reads a whole number of decimal digits within `min..=max`; nothing may stand behind it.
pub fn number(word: &str, min: u32, max: u32) -> Result<u32, Problem> {
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match word.parse::<u32>() {
        Ok(n) if digits && (min..=max).contains(&n) => Ok(n),
        _ => Err(Problem::word(word, format_args!("a whole number from {min} to {max}"))),
    }
}

/// Reads a span in whole seconds, at least one.
pub fn seconds(word: &str) -> Result<Seconds, Problem> {
    match number(word, 1, MAX_NUMBER) {
        Ok(n) => Ok(Seconds(n)),
        Err(_) => {
            Err(Problem::word(word, format_args!("a number of seconds from 1 to {MAX_NUMBER}")))
        }
    }
}

/// How many connections httpd can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Processes times threads, or `QS_MaxClients`: what percentages are taken of.
    pub max_clients: u32,
    /// How many can be open at once; more on event, whose idle connections need no worker.
    pub connections: u32,
}

/// A threshold that can never be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Whose threshold.
    pub directive: &'static str,
    /// The threshold.
    pub threshold: u32,
    /// How many connections are possible.
    pub possible: u32,
}

impl Capacity {
    /// Finds out whether so many connections are more than can ever be open.
    pub fn unreachable(self, directive: &'static str, threshold: u32) -> Option<Unreachable> {
        let possible = self.connections;
        (threshold > possible).then_some(Unreachable { directive, threshold, possible })
    }
}

/// A number, or a share of the connections that httpd can serve (model.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberOrPercent {
    /// The number itself.
    Number(u32),
    /// Hundredths of maxClients.
    Percent(u32),
}

impl NumberOrPercent {
    /// Reads `400` or `80%`.
    pub fn parse(word: &str, max_percent: u32) -> Result<NumberOrPercent, Problem> {
        let parsed = match word.strip_suffix('%') {
            Some(share) => number(share, 1, max_percent).map(NumberOrPercent::Percent),
            None => number(word, 1, MAX_NUMBER).map(NumberOrPercent::Number),
        };
        parsed.map_err(|_| {
            Problem::word(
                word,
                format_args!(
                    "a whole number from 1 to {MAX_NUMBER}, or a percentage from 1% to {max_percent}%"
                ),
            )
        })
    }

    /// Returns the number, given what 100 % are.
    pub fn of(self, max_clients: u32) -> u32 {
        match self {
            NumberOrPercent::Number(n) => n,
            NumberOrPercent::Percent(p) => {
                (u64::from(max_clients) * u64::from(p) / 100).try_into().unwrap_or(u32::MAX)
            }
        }
    }
}

/// Reads the points of a counting variable: digits are the number, 0 and everything else are 1.
/// Spec: events-and-variables.md 1.
pub fn points(value: &[u8]) -> u32 {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return 1;
    }
    let sum = value
        .iter()
        .fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    sum.max(1)
}

/// Reads a number of octets, as large as a file can be.
pub fn octets(word: &str) -> Result<u64, Problem> {
    const MAX: u64 = i64::MAX as u64;
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match word.parse::<u64>() {
        Ok(n) if digits && n <= MAX => Ok(n),
        _ => Err(Problem::word(word, format_args!("a whole number of octets from 0 to {MAX}"))),
    }
}

/// Reads the digits that a variable's value begins with; without one the value says nothing.
pub fn leading_number(value: &[u8]) -> Option<u32> {
    let value = value.trim_ascii_start();
    let digits = value.iter().take_while(|octet| octet.is_ascii_digit());
    digits.fold(None, |number: Option<u32>, digit| {
        let number = number.unwrap_or(0).saturating_mul(10);
        Some(number.saturating_add(u32::from(digit - b'0')))
    })
}

/// Tells whether a word can be the name of a header or a cookie (a token of RFC 9110).
pub fn is_token(word: &str) -> bool {
    let is_good = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    !word.is_empty() && word.bytes().all(is_good)
}

/// Reads an HTTP status that a response can have.
pub fn http_status(word: &str) -> Result<u16, Problem> {
    match number(word, 100, 599) {
        Ok(status) if word.len() == 3 => Ok(status as u16),
        _ => Err(Problem::word(word, "an HTTP status from 100 to 599")),
    }
}

/// A number in decimal digits, for variables: nothing is allocated.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    octets: [u8; 10],
    start: usize,
}

impl Digits {
    /// Writes a number down.
    pub fn of(number: u32) -> Digits {
        let (mut octets, mut start, mut rest) = ([b'0'; 10], 10, number);
        for octet in octets.iter_mut().rev() {
            *octet = b'0' + (rest % 10) as u8;
            start -= 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Digits { octets, start }
    }

    /// Returns the digits.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or(&[])
    }
}

/// Tells whether httpd has a status line for an error status.
pub fn is_known_error_status(status: u16) -> bool {
    matches!(status, 400..=417 | 421..=426 | 428 | 429 | 431 | 451 | 500..=508 | 510 | 511)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        for word in ["1", "007", "2147483647"] {
            assert!(number(word, 1, MAX_NUMBER).is_ok(), "{word:?}");
        }
        for word in ["", "0", "-1", "+1", "5x", "x", "1.5", " 1", "2147483648", "99999999999", "%"]
        {
            assert!(number(word, 1, MAX_NUMBER).is_err(), "{word:?} was taken");
        }
        let problem = number("5x", 1, 10).expect_err("5x").to_string();
        assert_eq!(problem, "'5x' is not allowed here, it takes a whole number from 1 to 10");
    }

    #[test]
    fn a_percentage_is_taken_of_what_httpd_can_serve() {
        let parse = |word| NumberOrPercent::parse(word, 99);
        assert_eq!(parse("80%").expect("80%").of(896), 716);
        assert_eq!(parse("80").expect("80").of(896), 80);
        for word in ["0", "0%", "100%", "%", "80%x", "-80%", "8 0", "", "abc"] {
            assert!(parse(word).is_err(), "{word:?} was taken");
        }
    }

    #[test]
    fn points_follow_the_table_of_the_specification() {
        for (value, expected) in [
            ("", 1),
            ("0", 1),
            ("1", 1),
            ("7", 7),
            ("abc", 1),
            ("-5", 1),
            ("5x", 1),
            ("007", 7),
            ("99999999999999999999", u32::MAX),
        ] {
            assert_eq!(points(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn octets_are_a_number_that_a_file_can_have() {
        assert_eq!(octets("0"), Ok(0));
        assert_eq!(octets("102400"), Ok(102_400));
        assert_eq!(octets("9223372036854775807"), Ok(i64::MAX as u64));
        for word in ["", "-1", "+1", "10k", "x", "1.5", " 1", "9223372036854775808", "0x10"] {
            assert!(octets(word).is_err(), "{word:?} was taken");
        }
    }

    #[test]
    fn a_number_is_written_down_without_leading_zeroes() {
        for number in [0, 7, 10, 99, 100, 4_294_967_295] {
            assert_eq!(Digits::of(number).octets(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_variable_begins_with_its_number() {
        for (value, expected) in [
            ("5", Some(5)),
            ("5x", Some(5)),
            (" 7 s", Some(7)),
            ("0", Some(0)),
            ("99999999999", Some(u32::MAX)),
            ("", None),
            ("x5", None),
            ("-5", None),
        ] {
            assert_eq!(leading_number(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn a_name_is_a_token() {
        assert!(["X-Vip", "a", "$x!", "MODQOS_2"].into_iter().all(is_token));
        assert!(!["", "a b", "a=b", "a;", "a:", "\u{e9}", "a\"b"].into_iter().any(is_token));
    }

    #[test]
    fn a_status_has_three_digits_and_an_error_status_is_one_httpd_knows() {
        for word in ["100", "404", "599"] {
            assert!(http_status(word).is_ok(), "{word}");
        }
        for word in ["0", "99", "600", "0404", "-4", "abc", "4o4", ""] {
            assert!(http_status(word).is_err(), "{word:?} was taken");
        }
        assert!([451, 503, 429].into_iter().all(is_known_error_status));
        assert!(![418, 499, 599, 399].into_iter().any(is_known_error_status));
    }
}
