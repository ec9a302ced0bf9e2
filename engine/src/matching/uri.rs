//! A request's URI for patterns that are written against what the client sent: in that form, and in the
//! one that httpd serves, so that `/%61pp` or `//app` is no way around a rule for `^/app`.
//! Spec: improvements-request.md 2.

use super::pattern::{Matched, Pattern};

/// Path and query of a request.
#[derive(Debug)]
pub struct Uri<'a> {
    raw: &'a [u8],
    /// The path, decoded once and normalised, and the query; `None` where that is `raw` as well.
    /// Allocated for those requests only, of which honest clients send few.
    normal: Option<Vec<u8>>,
}

impl<'a> Uri<'a> {
    /// Takes a URI apart: as sent; the path that httpd made of it; the query as sent.
    pub fn new(raw: &'a [u8], path: &[u8], query: Option<&[u8]>) -> Uri<'a> {
        let is_normal = raw.strip_prefix(path).is_some_and(|rest| match (rest, query) {
            ([], None) => true,
            ([b'?', rest @ ..], Some(query)) => rest == query,
            _ => false,
        });
        let normal = (!is_normal).then(|| match query {
            Some(query) => [path, b"?", query].concat(),
            None => path.to_vec(),
        });
        Uri { raw, normal }
    }

    /// Looks for a pattern in either form.
    pub fn matched_by(&self, pattern: &Pattern) -> Matched {
        match (pattern.is_match(self.raw), &self.normal) {
            (Matched::No, Some(normal)) => pattern.is_match(normal),
            (Matched::OverBudget, Some(normal)) if pattern.is_match(normal) == Matched::Yes => {
                Matched::Yes
            }
            (matched, _) => matched,
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::matching::pattern::Options;

    fn matches(pattern: &str, raw: &str, path: &str, query: Option<&str>) -> bool {
        let pattern = Pattern::new(pattern, Options::default()).expect(pattern);
        let uri = Uri::new(raw.as_bytes(), path.as_bytes(), query.map(str::as_bytes));
        uri.matched_by(&pattern) == Matched::Yes
    }

    #[test]
    fn either_form_matches() {
        for (pattern, raw, path, query, expected) in [
            ("^/app/", "/app/x", "/app/x", None, true),
            ("^/app/", "/%61pp/x", "/app/x", None, true),
            ("^/app/", "//app/x", "/app/x", None, true),
            ("^/app/", "/x/../app/", "/app/", None, true),
            ("^/app/", "http://host/app/", "/app/", None, true),
            ("%61", "/%61pp/x", "/app/x", None, true),
            (r"\?x=1$", "/a?x=1", "/a", Some("x=1"), true),
            (r"^/a\?x=1$", "/%61?x=1", "/a", Some("x=1"), true),
            ("^/app/", "/other?/app/", "/other", Some("/app/"), false),
            (r"\?$", "/a?", "/a", None, true),
            ("^/a$", "/a?", "/a", None, true),
        ] {
            assert_eq!(matches(pattern, raw, path, query), expected, "{pattern} in {raw}");
        }
    }

    #[test]
    fn a_second_form_is_only_made_where_it_differs() {
        let has_two = |raw: &str, path: &str, query: Option<&str>| {
            Uri::new(raw.as_bytes(), path.as_bytes(), query.map(str::as_bytes)).normal.is_some()
        };
        assert!(!has_two("/", "/", None));
        assert!(!has_two("/a?b", "/a", Some("b")));
        assert!(!has_two("/a?", "/a", Some("")));
        assert!(has_two("/a?b", "/a", Some("c")));
        assert!(has_two("/ab", "/a", None));
        assert!(has_two("/%61", "/a", None));
    }
}
