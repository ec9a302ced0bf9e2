//! What is counted per method and path, `-pu` and `-puc`.

use super::counts::{self, CLASSES, average, columns};
use super::format::Element::{Request, Status};
use super::format::Fields;
use super::grouped::MOST;
use std::collections::HashMap;
use std::io::Result;

/// So much of a key is kept.
const LONGEST_KEY: usize = 4096;

/// Why a line is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The request line does not begin with a letter.
    NoMethod,
    /// It has no blank.
    NoPath,
    /// It would be one URL too many.
    Full,
}

/// All URLs, in the order in which they came.
pub struct Urls {
    /// Whether the last segment of the path is cut.
    cut: bool,
    numbers: HashMap<Box<[u8]>, usize>,
    urls: Vec<One>,
    key: Vec<u8>,
}

#[derive(Debug, Default)]
struct One {
    key: Box<[u8]>,
    requests: u64,
    classes: [u64; 5],
    millis: u64,
}

impl Urls {
    /// Begins with none.
    pub fn new(cut: bool) -> Urls {
        Urls { cut, numbers: HashMap::new(), urls: Vec::new(), key: Vec::new() }
    }

    /// Counts a line; returns under which key.
    pub fn count(&mut self, fields: &Fields) -> std::result::Result<Option<&[u8]>, Problem> {
        let Some(request) = fields.get(Request) else { return Ok(None) };
        self.set_key(request)?;
        let number = match self.numbers.get(self.key.as_slice()) {
            Some(number) => *number,
            None if self.urls.len() == MOST => return Err(Problem::Full),
            None => {
                let key: Box<[u8]> = self.key.as_slice().into();
                self.urls.push(One { key: key.clone(), ..One::default() });
                self.numbers.insert(key, self.urls.len() - 1);
                self.urls.len() - 1
            }
        };
        if let Some(url) = self.urls.get_mut(number) {
            url.requests += 1;
            counts::count_class(&mut url.classes, fields.get(Status));
            let duration = counts::duration(fields).unwrap_or_default();
            let millis = duration.millis.max(duration.seconds.saturating_mul(1000));
            url.millis = url.millis.saturating_add(millis);
        }
        Ok(Some(&self.key))
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
        self.key.clear();
        self.key.extend(method.iter().map(u8::to_ascii_uppercase));
        self.key.push(b';');
        self.key.extend_from_slice(path);
        self.key.truncate(LONGEST_KEY);
        Ok(())
    }

    /// Writes a line for each.
    pub fn write(&self, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut out = Vec::new();
        for url in &self.urls {
            out.clear();
            columns(&mut out, [("req", url.requests)]);
            columns(&mut out, CLASSES.into_iter().zip(url.classes));
            columns(&mut out, [("avms", average(url.millis, url.requests))]);
            out.extend_from_slice(&url.key);
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
            ("get /a/b?x HTTP/1.1", "GET;/a/b", "GET;/a"),
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
