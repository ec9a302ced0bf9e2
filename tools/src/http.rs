//! One question to a server and its answer: plain HTTP, a deadline, and no trust in what comes back.
//!
//! The request says HTTP/1.0, so that no server answers in chunks or keeps the connection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

const SCHEME: &str = "http://";
/// The status line and the headers of an answer together are not longer.
const LONGEST_HEAD: u64 = 64 * 1024;

/// Where to ask: `http://[<name>:<password>@]<host>[:<port>][/<path>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Without brackets.
    host: String,
    port: u16,
    /// With the query; begins with a slash.
    path: String,
    /// What stands in the header `Authorization`.
    credentials: Option<String>,
}

impl Url {
    /// Takes a URL apart, or says why it is none.
    pub fn parse(text: &str) -> std::result::Result<Url, &'static str> {
        let rest = text.strip_prefix(SCHEME).ok_or("it begins with http://, there is no TLS")?;
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err("no blanks may stand in it");
        }
        // What is behind a # is for the one who asks.
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[').map(|place| place.split_once(']')) {
            Some(Some((host, behind))) => match behind.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if behind.is_empty() => (host, None),
                None => return Err("behind ] only a port may stand"),
            },
            Some(None) => return Err("there is no ] behind the address"),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        if host.is_empty() {
            return Err("a host is missing");
        }
        let port = match port {
            Some(port) if port.bytes().all(|octet| octet.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port > 0).ok_or("a port is 1 to 65535")?
            }
            Some(_) => return Err("a port is 1 to 65535, and an IPv6 address stands in []"),
            None => 80,
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url {
            // In a URL a zone's percent sign is encoded itself.
            host: host.replace("%25", "%"),
            port,
            path: format!("{slash}{path}"),
            credentials: user.map(|user| format!("Basic {}", STANDARD.encode(decoded(user)))),
        })
    }

    /// Returns the same with a query.
    pub fn with_query(&self, query: &str) -> Url {
        Url { path: format!("{}?{query}", self.path), ..self.clone() }
    }

    /// The host and the port, as the header `Host` has them: a zone is known here only.
    fn place(&self) -> String {
        let host = self.host.split('%').next().unwrap_or_default();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

/// For people: without name and password.
impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{SCHEME}{}{}", self.place(), self.path)
    }
}

/// Undoes percent-encoding; what is none stays as it is.
fn decoded(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let code = rest.strip_prefix('%').and_then(|behind| behind.get(..2));
        let code = code.filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let octet = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        octets.push(octet.unwrap_or(first));
        rest = rest.get(if octet.is_some() { 3 } else { 1 }..).unwrap_or("");
    }
    octets
}

/// What a server is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Show something.
    Get,
    /// Change something; the body is empty.
    Post,
}

/// The head of an answer; reading it gives the body.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content type, if one is named.
    pub content_type: Option<String>,
    body: BufReader<Timed>,
    /// So much of the body is still to come; all up to the end, if that is not announced.
    left: Option<u64>,
}

/// Asks, as `agent`. All of it, reading the body included, takes `patience` at the most.
pub fn ask(method: Method, url: &Url, agent: &str, patience: Duration) -> Result<Answer> {
    let mut stream = Timed::connect(url, Instant::now() + patience, patience)?;
    let (method, length) = match method {
        Method::Get => ("GET", ""),
        Method::Post => ("POST", "Content-Length: 0\r\n"),
    };
    let mut head = format!("{method} {} HTTP/1.0\r\nHost: {}\r\n", url.path, url.place());
    head.push_str(&format!("User-Agent: {agent}\r\n{length}"));
    if let Some(credentials) = &url.credentials {
        head.push_str(&format!("Authorization: {credentials}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    Answer::read(BufReader::new(stream))
}

impl Answer {
    fn read(mut stream: BufReader<Timed>) -> Result<Answer> {
        let mut head = (&mut stream).take(LONGEST_HEAD);
        let mut line = || -> Result<String> {
            let mut line = Vec::new();
            head.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                return Err(invalid("the answer is not HTTP"));
            }
            Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
        };
        let status = line()?;
        let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let code = code.and_then(|code| code.parse().ok()).filter(|code| *code >= 200);
        let status = code.ok_or_else(|| invalid("the answer is not HTTP"))?;
        let (mut left, mut content_type) = (None, None);
        loop {
            let line = line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.trim();
            if name.eq_ignore_ascii_case("Content-Length") {
                let length = value.parse().map_err(|_| invalid("its length is no number"))?;
                left = Some(length);
            } else if name.eq_ignore_ascii_case("Content-Type") {
                content_type = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("Transfer-Encoding") {
                return Err(invalid("the answer is in chunks, for which nobody has asked"));
            }
        }
        Ok(Answer { status, content_type, body: stream, left })
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(left) = &mut self.left else { return self.body.read(buffer) };
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.body.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 && most > 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the answer is cut off"));
        }
        *left -= read as u64;
        Ok(read)
    }
}

fn invalid(text: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, text)
}

/// A connection that is given up at an instant.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
    patience: Duration,
}

impl Timed {
    fn connect(url: &Url, deadline: Instant, patience: Duration) -> Result<Timed> {
        let mut failure = Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (url.host.as_str(), url.port).to_socket_addrs()? {
            let left = left_until(deadline).ok_or_else(|| too_late(patience))?;
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => return Ok(Timed { stream, deadline, patience }),
                Err(error) => failure = named(error, address.ip(), patience),
            }
        }
        Err(failure)
    }

    fn left(&self) -> Result<Duration> {
        left_until(self.deadline).ok_or_else(|| too_late(self.patience))
    }

    fn known<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => too_late(self.patience),
            _ => error,
        })
    }
}

fn left_until(deadline: Instant) -> Option<Duration> {
    Some(deadline.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn named(error: Error, address: IpAddr, patience: Duration) -> Error {
    if error.kind() == ErrorKind::TimedOut {
        return too_late(patience);
    }
    Error::new(error.kind(), format!("{address}: {error}"))
}

fn too_late(patience: Duration) -> Error {
    let text = format!("no whole answer within {} s", patience.as_secs());
    Error::new(ErrorKind::TimedOut, text)
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        let read = self.stream.read(buffer);
        self.known(read)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let written = self.stream.write(buffer);
        self.known(written)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::net::{TcpListener, ToSocketAddrs};

    #[test]
    fn urls_are_taken_apart_and_a_password_goes_into_a_header_and_nowhere_else() {
        for (text, place, path) in [
            ("http://127.0.0.1", "127.0.0.1", "/"),
            ("http://localhost:8080/qos", "localhost:8080", "/qos"),
            ("http://a?x=/", "a", "/?x=/"),
            ("http://a:80/x#y?z", "a", "/x"),
            ("http://[::1]", "[::1]", "/"),
            ("http://[::1]:81/x", "[::1]:81", "/x"),
            ("http://[fe80::1%25eth0]/", "[fe80::1]", "/"),
        ] {
            let url = Url::parse(text).expect(text);
            let seen = (url.place(), url.path, url.credentials);
            assert_eq!(seen, (place.to_owned(), path.to_owned(), None), "{text}");
        }
        let url = Url::parse("http://admin:p%40s:@s%@[::1]:81/qos").expect("a password");
        let credentials = format!("Basic {}", STANDARD.encode("admin:p@s:@s%"));
        assert_eq!(url.to_string(), "http://[::1]:81/qos");
        assert_eq!(url.credentials, Some(credentials));
        let zone = Url::parse("http://[fe80::1%25lo]:9/").expect("a zone").host;
        assert_eq!(zone, "fe80::1%lo");
        for text in [
            "",
            "a",
            "https://a/",
            "HTTP://a/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://a:/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+1/",
            "http://::1/",
            "http://[::1",
            "http://[::1]x/",
            "http://[]/",
            "http://a b/",
            "http://a/\u{e9}",
            "http://user@/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    /// What is made of an answer, and the request that led to it.
    fn asked(answer: &[u8], method: Method, address: &str) -> (Result<(u16, String)>, String) {
        let server = TcpListener::bind((address, 0)).expect("a port");
        let port = server.local_addr().expect("bound").port();
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let url = Url::parse(&format!("http://u:p@{host}:{port}/x")).expect("a URL");
        let answer = answer.to_owned();
        let thread = std::thread::spawn(move || {
            let mut stream = server.accept().expect("a client").0;
            let mut request = Vec::new();
            let mut buffer = [0; 1000];
            while !request.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut buffer).expect("a request");
                request.extend_from_slice(&buffer[..read]);
            }
            // Who has seen enough reads no further.
            let _ = stream.write_all(&answer);
            String::from_utf8(request).expect("text")
        });
        let read = || {
            let mut answer = ask(method, &url, "test", Duration::from_secs(20))?;
            let mut body = String::new();
            answer.read_to_string(&mut body)?;
            Ok((answer.status, body))
        };
        let result = read();
        (result, thread.join().expect("a request was read"))
    }

    #[test]
    fn a_request_is_one_of_http_1_0() {
        let (_, request) = asked(b"", Method::Post, "127.0.0.1");
        let (line, rest) = request.split_once("\r\n").expect("lines");
        assert_eq!(line, "POST /x HTTP/1.0");
        assert!(rest.starts_with("Host: 127.0.0.1:"), "{rest}");
        assert!(rest.contains("\r\nContent-Length: 0\r\nAuthorization: Basic dTpw\r\n"), "{rest}");
        if ("::1", 80).to_socket_addrs().is_ok() && TcpListener::bind("[::1]:0").is_ok() {
            let (answer, request) = asked(b"HTTP/1.1 200 OK\r\n\r\nyes", Method::Get, "::1");
            assert_eq!(answer.expect("an answer"), (200, "yes".to_owned()));
            assert!(request.contains("\r\nHost: [::1]:"), "{request}");
        }
    }

    #[test]
    fn answers_are_whole_or_errors() {
        let long = [&b"HTTP/1.1 200 OK\r\nX: "[..], &b"y".repeat(1_000_000)].concat();
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\nall of it"[..], Ok((200, "all of it"))),
            (b"HTTP/1.0 404 \r\ncontent-LENGTH: 2 \r\n\r\nnot this", Ok((404, "no"))),
            (b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", Ok((200, "x"))),
            (b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", Ok((204, ""))),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Err("the answer is cut off")),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Err("its length is no number")),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err("in chunks")),
            (b"HTTP/1.1 200 OK\r\nX: y\r\n", Err("is not HTTP")),
            (b"HTTP/1.1 100 Continue\r\n\r\n", Err("is not HTTP")),
            (b"HTTP/2 200\r\n\r\n", Err("is not HTTP")),
            (b"HTTP/1.1 2x0 OK\r\n\r\n", Err("is not HTTP")),
            (b"\0\xff\n\n", Err("is not HTTP")),
            (b"", Err("is not HTTP")),
            (long.as_slice(), Err("is not HTTP")),
        ] {
            let (found, _) = asked(answer, Method::Get, "127.0.0.1");
            match (found, expected) {
                (Ok(found), Ok((status, body))) => assert_eq!(found, (status, body.to_owned())),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (found, expected) => assert_eq!(format!("{found:?}"), format!("{expected:?}")),
            }
        }
    }

    #[test]
    fn who_is_slow_is_given_up() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", server.local_addr().expect("bound"));
        let url = Url::parse(&url).expect("a URL");
        let thread = std::thread::spawn(move || {
            let mut stream = server.accept().expect("a client").0;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            // A little at a time, for as long as somebody listens.
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut answer = ask(Method::Get, &url, "test", Duration::from_secs(1)).expect("a head");
        let error = answer.read_to_end(&mut Vec::new()).expect_err("it does not end");
        assert_eq!(error.to_string(), "no whole answer within 1 s");
        drop(answer);
        thread.join().expect("it has noticed");
    }
}
