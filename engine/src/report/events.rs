//! Which log events pages tell of.
//! Spec: log-events.md 6, 7.

use crate::rules;

/// The numbers that the C module tells of, whether this module has them or not: scripts know them.
const KNOWN: [u16; 35] = [
    10, 11, 12, 13, 21, 23, 25, 30, 31, 34, 35, 36, 37, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50,
    51, 60, 61, 62, 65, 66, 67, 68, 69, 101, 147,
];

/// Our own numbers begin here.
const OWN: u16 = 300;

/// Returns the numbers in the order of `?auto`: those of the C module, then our own that are counted.
pub fn numbers() -> Vec<u16> {
    let counted = rules::log_events().filter(|event| event.is_counted);
    let mut own: Vec<u16> =
        counted.map(|event| event.number).filter(|number| *number >= OWN).collect();
    own.sort_unstable();
    own.dedup();
    KNOWN.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_numbers_follow_those_of_the_c_module() {
        let numbers = numbers();
        assert!(numbers.is_sorted() && numbers.starts_with(&[10, 11, 12, 13, 21]));
        assert!(numbers.contains(&305) && numbers.contains(&307));
        assert!(
            !numbers.contains(&300) && !numbers.contains(&303),
            "these are told of once, at start"
        );
    }
}
