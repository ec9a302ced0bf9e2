//! The parameters of a page, as a client sent them: bounded, and never trusted.

/// So much of a query is looked at.
const MOST_OCTETS: usize = 64 << 10;

/// So many parameters.
const MOST_PARAMETERS: usize = 32;

/// Parameters by name. Values are percent-decoded; `+` is itself, and what is no encoding stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Query {
    /// Takes a query apart: `name=value&name&name=value`.
    pub fn parse(raw: &[u8]) -> Query {
        let seen = raw.get(..MOST_OCTETS).unwrap_or(raw);
        let parameters = seen
            .split(|octet| *octet == b'&')
            .filter(|part| !part.is_empty())
            .take(MOST_PARAMETERS)
            .map(|part| {
                let mut halves = part.splitn(2, |octet| *octet == b'=');
                let mut half = || decode(halves.next().unwrap_or(b""));
                (half(), half())
            })
            .collect();
        Query { parameters }
    }

    /// Returns the value of a parameter, of the first one of that name; empty where it has none.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let named = |(found, _): &&(Vec<u8>, Vec<u8>)| found == name.as_bytes();
        self.parameters.iter().find(named).map(|(_, value)| value.as_slice())
    }

    /// Tells whether a parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Tells whether open connections per address are wanted: `option=ip`.
    pub fn wants_addresses(&self) -> bool {
        self.get("option").is_some_and(|value| value.windows(2).any(|two| two == b"ip"))
    }
}

/// Decodes `%41`; a percent sign without two digits behind it is itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let octet = match behind {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match octet {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = behind.get(2..).unwrap_or(b"");
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_name_in_any_order() {
        let query =
            Query::parse(b"auto&address=2001%3Adb8%3A%3a2&option=x+ip&address=other&=x&&a=b=c");
        assert!(query.has("auto") && !query.has("Auto") && !query.has("aut"));
        assert_eq!(query.get("auto"), Some(&b""[..]));
        assert_eq!(query.get("address"), Some(&b"2001:db8::2"[..]), "the first one");
        assert_eq!(query.get("option"), Some(&b"x+ip"[..]), "a plus is itself");
        assert_eq!(query.get("a"), Some(&b"b=c"[..]));
        assert!(query.wants_addresses());
        assert!(!Query::parse(b"option=i&ip").wants_addresses());
        assert_eq!(Query::parse(b""), Query::default());
    }

    #[test]
    fn what_is_no_encoding_stays_as_it_is() {
        for (raw, value) in [
            ("a=%", "%"),
            ("a=%4", "%4"),
            ("a=%zz", "%zz"),
            ("a=%41%", "A%"),
            ("a=%%41", "%A"),
            ("a=%+1", "%+1"),
            ("%61=%20", " "),
        ] {
            assert_eq!(Query::parse(raw.as_bytes()).get("a"), Some(value.as_bytes()), "{raw}");
        }
        assert_eq!(Query::parse(b"a=%00%ff").get("a"), Some(&[0, 255][..]));
    }

    #[test]
    fn a_query_of_a_megabyte_costs_no_more_than_its_beginning() {
        let long = [b"auto&a=", "%41".repeat(1 << 20).as_bytes(), b"&late"].concat();
        let query = Query::parse(&long);
        assert!(query.has("auto") && !query.has("late"));
        assert!(query.get("a").expect("a").len() <= MOST_OCTETS);
        let many = "x=1&".repeat(1 << 18);
        assert_eq!(Query::parse(many.as_bytes()).parameters.len(), MOST_PARAMETERS);
    }
}
