//! The `Cookie` header: finding a cookie, and taking it out before anybody else sees it.
//!
//! The header is untrusted text. httpd joins several `Cookie` lines by a comma, so a comma separates
//! here as well as a semicolon; what is not taken out stays as it was, octet for octet.

/// Returns the values of all cookies of this name, in the order in which they stand.
///
/// Names are compared as they are, case included (RFC 6265). A cookie without `=` has no value.
pub fn values<'a>(header: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    pieces(header).filter_map(move |piece| {
        let (found, value) = split(piece);
        (found == name).then_some(value)
    })
}

/// Returns the header without the cookies of this name, or nothing when there is none of them.
///
/// What is returned is empty when no other cookie is left.
pub fn without(header: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    values(header, name).next()?;
    let mut rest: Vec<u8> = Vec::with_capacity(header.len());
    let mut start = 0;
    let mut has_cookie = false;
    for piece in pieces(header) {
        let end = start + piece.len();
        if split(piece).0 != name {
            // With the separator in front of it, but never with one in front of the first.
            let from = if rest.is_empty() { start } else { start.saturating_sub(1) };
            let kept = header.get(from..end).unwrap_or(&[]);
            let kept = if rest.is_empty() { kept.trim_ascii_start() } else { kept };
            has_cookie |= !piece.trim_ascii().is_empty();
            rest.extend_from_slice(kept);
        }
        start = end + 1;
    }
    if !has_cookie {
        rest.clear();
    }
    Some(rest)
}

fn pieces(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|octet| matches!(octet, b';' | b','))
}

/// Splits `name=value`; space around both, and quotes around the value, do not belong to them.
fn split(piece: &[u8]) -> (&[u8], &[u8]) {
    let equals = piece.iter().position(|octet| *octet == b'=').unwrap_or(piece.len());
    let (name, value) = piece.split_at_checked(equals).unwrap_or((piece, &[]));
    let value = value.get(1..).unwrap_or(&[]).trim_ascii();
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    (name.trim_ascii(), quoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rest(header: &str) -> Option<String> {
        without(header.as_bytes(), b"SID").map(|rest| String::from_utf8(rest).expect("ASCII"))
    }

    #[test]
    fn a_cookie_is_taken_out_and_the_others_stay() {
        for (header, expected) in [
            ("a=b; SID=x; c=d", "a=b; c=d"),
            ("SID=x; c=d", "c=d"),
            ("a=b; SID=x", "a=b"),
            ("SID=x", ""),
            ("SID=x;", ""),
            (" SID = x ; a=b", "a=b"),
            ("SID=x; a=b; SID=y; c=d; SID=", "a=b; c=d"),
            ("SID; a=b", "a=b"),
            ("a=b, SID=x, c=d", "a=b, c=d"),
            ("a=\"q\";SID=\"x\";c=d", "a=\"q\";c=d"),
            ("a=b;;SID=x;", "a=b;;"),
            ("a=1=2; SID=x=y; c", "a=1=2; c"),
            ("SID=x; ; ,", ""),
        ] {
            assert_eq!(rest(header).as_deref(), Some(expected), "{header:?}");
        }
    }

    #[test]
    fn other_cookies_are_left_alone() {
        for header in ["", "a=b", "sid=x", "XSID=x", "SIDX=x", "a=SID", ";;", "a=b; S ID=x", "=SID"]
        {
            assert_eq!(rest(header), None, "{header:?}");
        }
    }

    #[test]
    fn the_values_come_without_space_and_quotes() {
        let found: Vec<_> = values(b"SID=1; a=b; SID= \"2\" , SID; SID=\"", b"SID").collect();
        assert_eq!(found, [&b"1"[..], b"2", b"", b"\""]);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_and_nothing_of_the_name_is_left(
            header in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let rest = without(&header, b"SID").unwrap_or_else(|| header.clone());
            prop_assert_eq!(values(&rest, b"SID").next(), None);
        }

        #[test]
        fn removal_keeps_the_others_in_order(
            cookies in proptest::collection::vec(("SID|[a-c]{1,3}", "[a-z=\" ]{0,4}"), 0..8),
            separators in proptest::collection::vec("; |;|, |,", 8),
        ) {
            let join = |of: &[&(String, String)]| {
                let mut text = String::new();
                for ((name, value), separator) in of.iter().map(|c| (&c.0, &c.1)).zip(&separators) {
                    text += &format!("{name}={value}{separator}");
                }
                text
            };
            let header = join(&cookies.iter().collect::<Vec<_>>());
            let rest = without(header.as_bytes(), b"SID").unwrap_or(header.clone().into_bytes());
            for name in ["a", "b", "c", "aa", "abc"] {
                let before: Vec<_> = values(header.as_bytes(), name.as_bytes()).collect();
                let after: Vec<_> = values(&rest, name.as_bytes()).collect();
                prop_assert_eq!(before, after, "{}", name);
            }
        }
    }
}
