//! `QS_SetEnvIfCmp`

use crate::assignment::{Assignment, Names};
use crate::context::RequestView;
use crate::directive::Arguments;
use crate::lasting;
use crate::values::Problem;
use core::cmp::Ordering;
use core::ffi::CStr;

#[derive(Debug)]
pub(super) struct Comparison {
    first: &'static CStr,
    second: &'static CStr,
    holds: fn(Ordering) -> bool,
    assignment: Assignment,
}

impl Comparison {
    pub(super) fn read(arguments: &Arguments<'_>) -> Result<Comparison, Problem> {
        let [first, operator, second, variable] = *arguments.words else {
            return Err(Problem::text("requires 4 arguments"));
        };
        let holds: fn(Ordering) -> bool = match operator.to_ascii_lowercase().as_str() {
            "eq" => Ordering::is_eq,
            "ne" => Ordering::is_ne,
            "gt" => Ordering::is_gt,
            "lt" => Ordering::is_lt,
            _ => {
                return Err(Problem::text(format!(
                    "invalid operator '{operator}', it takes eq, ne, gt or lt"
                )));
            }
        };
        Ok(Comparison {
            first: lasting::variable(first)?,
            second: lasting::variable(second)?,
            holds,
            assignment: Assignment::parse(variable, "", Names::Nothing)?,
        })
    }

    pub(super) fn apply(&self, request: &mut dyn RequestView) {
        let (Some(first), Some(second)) =
            (request.variable(self.first), request.variable(self.second))
        else {
            return;
        };
        if (self.holds)(compare(first, second)) {
            self.assignment.ready().apply(request);
        }
    }
}

/// Two runs of digits are numbers, of whatever length; everything else is text.
fn compare(first: &[u8], second: &[u8]) -> Ordering {
    match (digits(first), digits(second)) {
        (Some(first), Some(second)) => {
            first.len().cmp(&second.len()).then_with(|| first.cmp(second))
        }
        _ => {
            let lower = |text: &[u8]| text.to_ascii_lowercase();
            lower(first).cmp(&lower(second))
        }
    }
}

/// The digits of a number, those left out that say nothing.
fn digits(text: &[u8]) -> Option<&[u8]> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeroes = text.iter().take_while(|digit| **digit == b'0').count();
    text.get(zeroes..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_and_text_without_case() {
        for (first, second, expected) in [
            ("5", "3", Ordering::Greater),
            ("10", "9", Ordering::Greater),
            ("007", "7", Ordering::Equal),
            ("0", "000", Ordering::Equal),
            ("99999999999999999999", "100000000000000000000", Ordering::Less),
            ("abc", "ABC", Ordering::Equal),
            // The C module has these the other way round.
            ("a", "b", Ordering::Less),
            ("b", "A", Ordering::Greater),
            // Text, since one of them is no number.
            ("-5", "3", Ordering::Less),
            ("1x", "10", Ordering::Greater),
            ("", "0", Ordering::Less),
        ] {
            assert_eq!(compare(first.as_bytes(), second.as_bytes()), expected, "{first} {second}");
        }
    }
}
