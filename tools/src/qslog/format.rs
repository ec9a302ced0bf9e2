//! The format string of `-f`, and a line of the log taken apart by it.

/// What a letter of the format stands for. The numbers come first: what is no digit is cut from their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `B`: octets sent.
    Sent,
    /// `i`: octets received.
    Received,
    /// `k`: the number of the request on its connection.
    KeepAlive,
    /// `S`: status.
    Status,
    /// `D`: duration in microseconds.
    Micros,
    /// `t`: duration in milliseconds.
    Millis,
    /// `T`: duration in seconds.
    Seconds,
    /// `s`: a number to add up. From here on what stands behind a point or comma is cut, too.
    Sum,
    /// `a`: a number to build an average of.
    Average,
    /// `A`: another.
    OtherAverage,
    /// `M`: a number whose maximum counts.
    Maximum,
    /// `I`: the client's address.
    Client,
    /// `U`: the user's id.
    User,
    /// `R`: the request line.
    Request,
    /// `Q`: what the module did, `mod_qos_ev`.
    Deeds,
    /// `C`: what the rules of `-c` are matched against.
    Subject,
    /// `E`: names of events.
    Events,
    /// `c`: content type.
    ContentType,
    /// `m`: method.
    Method,
}

use Element::*;

/// The letters, in the order of the elements.
const LETTERS: [(u8, Element); 19] = [
    (b'B', Sent),
    (b'i', Received),
    (b'k', KeepAlive),
    (b'S', Status),
    (b'D', Micros),
    (b't', Millis),
    (b'T', Seconds),
    (b's', Sum),
    (b'a', Average),
    (b'A', OtherAverage),
    (b'M', Maximum),
    (b'I', Client),
    (b'U', User),
    (b'R', Request),
    (b'Q', Deeds),
    (b'C', Subject),
    (b'E', Events),
    (b'c', ContentType),
    (b'm', Method),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes an element.
    Take(Element),
    /// Passes over an element, `.`.
    Skip,
    /// Passes over one octet, any character that is no letter of ours.
    Pass,
}

/// A format string, understood.
#[derive(Debug)]
pub struct Format {
    steps: Vec<Step>,
    /// Logs that lie in files also have elements like `name='a b'`.
    offline: bool,
}

/// The elements of a line; none where the line ended before.
#[derive(Debug, Default)]
pub struct Fields<'a>([Option<&'a [u8]>; LETTERS.len()]);

impl<'a> Fields<'a> {
    /// Returns an element.
    pub fn get(&self, element: Element) -> Option<&'a [u8]> {
        self.0.get(element as usize).copied().flatten()
    }

    fn set(&mut self, element: Element, value: &'a [u8]) {
        let value = if element as usize <= Maximum as usize { digits(value) } else { value };
        let value = if (Sum as usize..=Maximum as usize).contains(&(element as usize)) {
            before(value, |octet| matches!(octet, b'.' | b','))
        } else {
            value
        };
        if let Some(place) = self.0.get_mut(element as usize) {
            *place = Some(value);
        }
    }
}

impl Format {
    /// Understands a format string. There is no wrong one.
    pub fn new(text: &str, offline: bool) -> Format {
        let steps = text.bytes().filter(|letter| *letter != b' ').map(|letter| match letter {
            b'.' => Step::Skip,
            _ => LETTERS
                .iter()
                .find(|(known, _)| *known == letter)
                .map_or(Step::Pass, |(_, element)| Step::Take(*element)),
        });
        Format { steps: steps.collect(), offline }
    }

    /// Returns whether an element is in it.
    pub fn has(&self, element: Element) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Take(taken) if *taken == element))
    }

    /// Returns whether one of them is in it.
    pub fn has_any(&self, elements: &[Element]) -> bool {
        elements.iter().any(|element| self.has(*element))
    }

    /// Takes a line apart.
    pub fn split<'a>(&self, line: &'a [u8]) -> Fields<'a> {
        let mut fields = Fields::default();
        let mut rest = line;
        for (number, step) in self.steps.iter().enumerate() {
            // An empty line has an empty element.
            if rest.is_empty() && number > 0 {
                break;
            }
            match step {
                Step::Pass => rest = rest.get(1..).unwrap_or_default(),
                Step::Skip => rest = self.element(rest).1,
                Step::Take(element) => {
                    let (value, behind) = self.element(rest);
                    fields.set(*element, value);
                    rest = behind;
                }
            }
        }
        fields
    }

    /// Cuts the first element off: what it says, and what comes behind it and the blanks.
    fn element<'a>(&self, line: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        if let Some((quote @ (b'"' | b'\''), quoted)) = line.split_first() {
            let end = closing(quoted, *quote).unwrap_or(quoted.len());
            let behind = quoted.get(end + 1..).unwrap_or_default();
            return (quoted.get(..end).unwrap_or_default(), trim_start(behind));
        }
        let word = before(line, |octet| octet == b' ');
        let mut end = word.len();
        if self.offline
            && let Some(opening) =
                word.get(..word.len().min(11)).and_then(|start| find(start, b"='"))
        {
            let quoted = line.get(opening + 2..).unwrap_or_default();
            end = opening + 3 + closing(quoted, b'\'').unwrap_or(quoted.len());
        }
        let end = end.min(line.len());
        (line.get(..end).unwrap_or_default(), trim_start(line.get(end..).unwrap_or_default()))
    }
}

/// Where a quoted text ends: at the quote with no backslash before and a blank, or nothing, behind it.
fn closing(text: &[u8], quote: u8) -> Option<usize> {
    let mut last = 0;
    for (at, octet) in text.iter().enumerate() {
        if *octet == quote && last != b'\\' && matches!(text.get(at + 1), None | Some(b' ')) {
            return Some(at);
        }
        last = *octet;
    }
    None
}

/// Returns the number at the beginning of a text; too large a one is the largest, and no digit is 0.
pub fn number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit());
    digits.fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(u64::from(digit & 15)))
}

/// Returns where a text begins in another.
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn before(text: &[u8], ends: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|octet| ends(*octet)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|octet| *octet != b' ').unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn digits(text: &[u8]) -> &[u8] {
    let first = text.iter().position(u8::is_ascii_digit);
    let last = text.iter().rposition(u8::is_ascii_digit);
    first.zip(last).and_then(|(first, last)| text.get(first..=last)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_splits(format: &str, line: &str, expected: &[(Element, Option<&str>)]) {
        let format = Format::new(format, true);
        let fields = format.split(line.as_bytes());
        for (element, value) in expected {
            assert_eq!(fields.get(*element), value.map(str::as_bytes), "{line}: {element:?}");
        }
    }

    #[test]
    fn elements_are_words_or_quoted() {
        for (line, request, status) in [
            (r#""a b" 200"#, "a b", Some("200")),
            (r#""a \" b" 200"#, r#"a \" b"#, Some("200")),
            (r#""a " 7b" 200"#, "a ", Some("7")),
            ("'a b' 200", "a b", Some("200")),
            ("0123456789='a b' 200", "0123456789='a", Some("")),
            ("012345678='a b' 200", "012345678='a b'", Some("200")),
            ("x='a b' 200", "x='a b'", Some("200")),
            (r#"x="a b" 200"#, r#"x="a"#, Some("")),
            (r#"a"b c" 200"#, r#"a"b"#, Some("")),
            (r#""abc"#, "abc", None),
            (r#""abc def 200"#, "abc def 200", None),
            (r#""" 200"#, "", Some("200")),
            ("wide   200  ", "wide", Some("200")),
            (" 200", "", Some("200")),
            (r#""a"b 200"#, r#"a"b 200"#, None),
            (r#""a b"c d" 200"#, r#"a b"c d"#, Some("200")),
            (r#"'a" b' 200"#, r#"a" b"#, Some("200")),
            ("a", "a", None),
        ] {
            assert_splits("RS", line, &[(Request, Some(request)), (Status, status)]);
        }
    }

    #[test]
    fn other_characters_pass_over_one_octet_and_points_over_an_element() {
        assert_splits("[R]S", "[a] 200", &[(Request, Some("a]")), (Status, Some("00"))]);
        assert_splits(". R .  S", "x a y 200", &[(Request, Some("a")), (Status, Some("200"))]);
        assert_splits("BBB", "1 2 3", &[(Sent, Some("3"))]);
        assert_splits("SB", "", &[(Status, Some("")), (Sent, None)]);
    }

    #[test]
    fn numbers_are_what_stands_between_the_first_and_the_last_digit() {
        for (text, expected) in [
            ("12ms", 12),
            ("-", 0),
            ("-5", 5),
            ("5-6", 5),
            ("x5", 5),
            ("2.5", 2),
            ("99999999999", 99_999_999_999),
            ("18446744073709551616", u64::MAX),
        ] {
            let format = Format::new("BM", true);
            let line = format!("{text} {text}");
            let fields = format.split(line.as_bytes());
            assert_eq!(fields.get(Sent).map(number), Some(expected), "{text}");
            assert_eq!(fields.get(Maximum).map(number), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_letters_stand_in_the_order_of_the_elements() {
        for (place, (letter, element)) in LETTERS.iter().enumerate() {
            assert_eq!(place, *element as usize);
            assert!(Format::new(&char::from(*letter).to_string(), false).has(*element));
        }
    }
}
