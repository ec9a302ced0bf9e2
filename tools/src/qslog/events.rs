//! Names of events, as they are found in the element `E`, and how often.

use std::collections::HashMap;

/// So many names are told apart; who invents more is not counted.
pub const MOST: usize = 10_000;
/// So much of a name is kept.
const LONGEST: usize = 1024;

/// Names, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: Vec<Box<[u8]>>,
    numbers: HashMap<Box<[u8]>, usize>,
}

impl Names {
    /// The names of a file: with commas or line ends between them.
    pub fn listed(text: &[u8]) -> Names {
        let mut names = Names::default();
        for name in text.split(|octet| matches!(octet, b',' | b'\n' | b'\r')) {
            if !name.is_empty() {
                names.number(name);
            }
        }
        names
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns a name.
    pub fn name(&self, number: usize) -> &[u8] {
        self.names.get(number).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Returns the number of a name, a new one if it is new.
    pub fn number(&mut self, name: &[u8]) -> Option<usize> {
        let name = name.get(..LONGEST).unwrap_or(name);
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let number = self.names.len();
        if number == MOST {
            return None;
        }
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        Some(number)
    }
}

/// The names in an element: with commas between them, and a letter or digit at the beginning.
pub fn in_element(element: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = element.split(|octet| *octet == b',');
    parts.filter(|name| name.first().is_some_and(u8::is_ascii_alphanumeric))
}

/// How often each was seen. Once seen, a name stays.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    names: Names,
    counts: Vec<u64>,
}

impl Tally {
    /// Begins with names that shall always be there.
    pub fn new(names: Names) -> Tally {
        let counts = vec![0; names.len()];
        Tally { names, counts }
    }

    /// Counts what is in an element.
    pub fn count(&mut self, element: &[u8]) {
        for name in in_element(element) {
            let Some(number) = self.names.number(name) else { continue };
            match self.counts.get_mut(number) {
                Some(count) => *count += 1,
                None => self.counts.push(1),
            }
        }
    }

    /// Appends the columns.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (number, count) in self.counts.iter().enumerate() {
            out.extend_from_slice(self.names.name(number));
            out.extend_from_slice(format!(";{count};").as_bytes());
        }
    }

    /// Begins anew with the same names.
    pub fn reset(&mut self) {
        self.counts.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_order_in_which_they_came() {
        let mut tally = Tally::new(Names::listed(b"A1,B2\nC3\n\n x\n"));
        for element in ["Ev1,Ev2", "-bad", "Ev1,Ev1", ",Ev3", "Ev4,", "Ev5:x", "q r,9x", "_u", "C3"]
        {
            tally.count(element.as_bytes());
        }
        let mut out = Vec::new();
        tally.write(&mut out);
        let expected = "A1;0;B2;0;C3;1; x;0;Ev1;3;Ev2;1;Ev3;1;Ev4;1;Ev5:x;1;q r;1;9x;1;";
        assert_eq!(String::from_utf8_lossy(&out), expected);
        tally.reset();
        tally.count(b"9x");
        out.clear();
        tally.write(&mut out);
        assert!(out.starts_with(b"A1;0;B2;0;C3;0;") && out.ends_with(b";q r;0;9x;1;"));
    }

    #[test]
    fn who_invents_names_fills_no_memory() {
        let mut tally = Tally::default();
        for number in 0..MOST + 5 {
            tally.count(format!("E{number}").as_bytes());
        }
        assert_eq!(tally.counts.len(), MOST);
    }
}
