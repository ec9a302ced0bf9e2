//! What is counted per method and path, `-pu` and `-puc`.

use super::counts::{self, CLASSES, average, columns};
use super::format::Element::{Request, Status};
use super::format::Fields;
use super::grouped::{Groups, Problem, Table};
use std::io::Result;

/// So much of a key is kept.
const LONGEST_KEY: usize = 4096;

/// All URLs, in the order in which they came.
pub struct Urls {
    /// Whether the last segment of the path is cut.
    cut: bool,
    urls: Table<One>,
    /// That of the last line.
    key: Vec<u8>,
}

#[derive(Debug, Default)]
struct One {
    requests: u64,
    classes: [u64; 5],
    millis: u64,
}

impl Urls {
    /// Begins with none.
    pub fn new(cut: bool) -> Urls {
        Urls { cut, urls: Table::new(LONGEST_KEY), key: Vec::new() }
    }

    fn set_key(&mut self, request: &[u8]) -> std::result::Result<(), Problem> {
        if !request.first().is_some_and(u8::is_ascii_alphabetic) {
            return Err(Problem::NoMethod);
        }
        let blank = request.iter().position(|octet| *octet == b' ').ok_or(Problem::NoPath)?;
        let (method, path) = request.split_at(blank);
        let path = path.get(1..).unwrap_or_default();
        let protocol = path.iter().rposition(|octet| *octet == b' ').filter(|at| *at > 0);
        let path = path.get(..protocol.unwrap_or(path.len())).unwrap_or_default();
        let query = path.iter().position(|octet| *octet == b'?');
        let mut path = path.get(..query.unwrap_or(path.len())).unwrap_or_default();
        if self.cut
            && let Some(last) = path.iter().rposition(|octet| *octet == b'/')
            && let Some(before) = path.get(..last).filter(|before| before.contains(&b'/'))
        {
            path = before;
        }
        self.key.extend_from_slice(method);
        self.key.push(b';');
        self.key.extend_from_slice(path);
        Ok(())
    }
}

impl Groups for Urls {
    const NAME: &str = "url";
    const IS_TIMED: bool = false;

    fn count(
        &mut self,
        fields: &Fields,
        _line: u64,
        _second: i64,
    ) -> std::result::Result<(), Problem> {
        self.key.clear();
        let Some(request) = fields.get(Request) else { return Ok(()) };
        self.set_key(request)?;
        let url = self.urls.entry(&self.key, One::default)?;
        url.requests += 1;
        counts::count_class(&mut url.classes, fields.get(Status));
        let duration = counts::duration(fields).unwrap_or_default();
        url.millis = url.millis.saturating_add(duration.in_millis());
        Ok(())
    }

    fn shown(&self, fields: &Fields) -> (counts::Duration, Option<&[u8]>) {
        let duration = counts::duration(fields).unwrap_or_default();
        let shown = counts::Duration { millis: duration.in_millis(), ..duration };
        (shown, Some(self.key.as_slice()).filter(|key| !key.is_empty()))
    }

    fn write(&self, _lines: u64, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut out = Vec::new();
        for (key, url) in self.urls.iter() {
            out.clear();
            columns(&mut out, [("req", url.requests)]);
            columns(&mut out, CLASSES.into_iter().zip(url.classes));
            columns(&mut out, [("avms", average(url.millis, url.requests))]);
            out.extend_from_slice(key);
            out.push(b'\n');
            write(&out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_method_and_path() {
        for (request, whole, cut) in [
            ("GET / HTTP/1.1", "GET;/", "GET;/"),
            ("GET /a HTTP/1.1", "GET;/a", "GET;/a"),
            ("GET /a/ HTTP/1.1", "GET;/a/", "GET;/a"),
            ("get /a/b?x HTTP/1.1", "get;/a/b", "get;/a"),
            ("GET  /x HTTP/1.0", "GET; /x", "GET; /x"),
            ("GET /a?x=/b/c HTTP/1.1", "GET;/a", "GET;/a"),
            ("GET a/b HTTP/1.1", "GET;a/b", "GET;a/b"),
            ("GET http://h/a/b HTTP/1.1", "GET;http://h/a/b", "GET;http://h/a"),
            ("GET /a", "GET;/a", "GET;/a"),
            ("GET ?x HTTP/1.0", "GET;", "GET;"),
            ("GET /a/b/c d HTTP/1.1", "GET;/a/b/c d", "GET;/a/b"),
            ("GET //a//b X", "GET;//a//b", "GET;//a/"),
            ("GET *", "GET;*", "GET;*"),
            ("GET ", "GET;", "GET;"),
        ] {
            for (is_cut, expected) in [(false, whole), (true, cut)] {
                let mut urls = Urls::new(is_cut);
                assert_eq!(urls.set_key(request.as_bytes()), Ok(()), "{request}");
                assert_eq!(String::from_utf8_lossy(&urls.key), expected, "{request}");
            }
        }
        let mut urls = Urls::new(false);
        for (request, problem) in [
            ("/a b", Problem::NoMethod),
            ("", Problem::NoMethod),
            ("-", Problem::NoMethod),
            ("GET", Problem::NoPath),
        ] {
            assert_eq!(urls.set_key(request.as_bytes()), Err(problem), "{request}");
        }
    }
}
