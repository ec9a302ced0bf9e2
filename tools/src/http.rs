//! One question to a server and its answer: a deadline for all of it, and no trust in what comes back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::io::{Error, ErrorKind, Read, Result};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;
pub use ureq::http::Method;
use ureq::http::{Request, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, BodyReader};

/// The status line and the headers of an answer together are not longer.
const LONGEST_HEAD: usize = 64 * 1024;

/// Where to ask: `http[s]://[<name>:<password>@]<host>[:<port>][/<path>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Without name and password.
    uri: Uri,
    /// What stands in the header `Authorization`.
    credentials: Option<String>,
}

impl Url {
    /// Takes a URL apart, or says why it is none.
    pub fn parse(text: &str) -> std::result::Result<Url, &'static str> {
        let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or("it begins with http:// or https://")?;
        let rest = text.get(scheme.len()..).unwrap_or_default();
        // What is behind a # is for the one who asks.
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        // The parser takes what it cannot use as none.
        let port = match place.rsplit_once(']') {
            Some((_, "")) => None,
            Some((_, behind)) => Some(behind.strip_prefix(':').unwrap_or_default()),
            None => place.split_once(':').map(|(_, port)| port),
        };
        let is_good =
            |port: &str| !port.starts_with('+') && port.parse().is_ok_and(|it: u16| it > 0);
        if !port.is_none_or(is_good) {
            return Err("a port is 1 to 65535, and an IPv6 address stands in []");
        }
        let uri: Uri = format!("{scheme}{place}{path}").parse().map_err(|_| "that is no URL")?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("a host is missing")?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_some_and(|bare| bare.parse::<Ipv6Addr>().is_err()) {
            return Err("what stands in [] is no IPv6 address");
        }
        let encoded = |user| STANDARD.encode(percent_decode_str(user).collect::<Vec<u8>>());
        Ok(Url { uri, credentials: user.map(|user| format!("Basic {}", encoded(user))) })
    }

    /// Returns the same with a query.
    pub fn with_query(&self, query: &str) -> Result<Url> {
        let mut parts = self.uri.clone().into_parts();
        let path = format!("{}?{query}", self.uri.path());
        parts.path_and_query = Some(path.parse().map_err(Error::other)?);
        let uri = Uri::from_parts(parts).map_err(Error::other)?;
        Ok(Url { uri, credentials: self.credentials.clone() })
    }
}

/// For people: without name and password.
impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.uri.fmt(out)
    }
}

/// The head of an answer; reading it gives the body.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content type, if one is named.
    pub content_type: Option<String>,
    body: BodyReader<'static>,
    patience: Duration,
}

/// Asks, as `name`. All of it, reading the body included, takes `patience` at the most.
pub fn ask(method: Method, url: &Url, name: &str, patience: Duration) -> Result<Answer> {
    // The certificates are those that the machine trusts.
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    // No redirect: what is asked for by name is what is read. No proxy of the environment: one that is in
    // trouble is asked directly.
    let agent: Agent = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(LONGEST_HEAD)
        .timeout_global(Some(patience))
        .user_agent(name)
        .build()
        .into();
    let mut request = Request::builder().method(method).uri(url.uri.clone());
    if let Some(credentials) = &url.credentials {
        request = request.header(header::AUTHORIZATION, credentials);
    }
    let request = request.body(()).map_err(Error::other)?;
    let answer = agent.run(request).map_err(|error| told(error.into_io(), patience))?;
    let (head, body) = answer.into_parts();
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(Answer {
        status: head.status.as_u16(),
        content_type: content_type.map(str::to_owned),
        body: body.into_reader(),
        patience,
    })
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.body.read(buffer).map_err(|error| told(error, self.patience))
    }
}

/// The error in the words of a tool that is for people.
fn told(error: Error, patience: Duration) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => {
            let text = format!("no whole answer within {} s", patience.as_secs());
            Error::new(ErrorKind::TimedOut, text)
        }
        Some(ureq::Error::Protocol(error)) => {
            Error::new(ErrorKind::InvalidData, format!("the answer is not HTTP: {error}"))
        }
        _ => error,
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn urls_are_taken_apart_and_a_password_goes_into_a_header_and_nowhere_else() {
        for (text, shown) in [
            ("http://127.0.0.1", "http://127.0.0.1/"),
            ("https://localhost:8443/qos", "https://localhost:8443/qos"),
            ("http://a?x=/", "http://a/?x=/"),
            ("http://a:80/x#y?z", "http://a:80/x"),
            ("http://[::1]", "http://[::1]/"),
            ("http://[::1]:81/x", "http://[::1]:81/x"),
        ] {
            let url = Url::parse(text).expect(text);
            assert_eq!((url.to_string().as_str(), url.credentials), (shown, None), "{text}");
        }
        let url = Url::parse("http://admin:p%40s:@s%@[::1]:81/qos?old").expect("a password");
        let credentials = format!("Basic {}", STANDARD.encode("admin:p@s:@s%"));
        assert_eq!(url.credentials, Some(credentials));
        assert_eq!(
            url.with_query("auto").expect("a query").to_string(),
            "http://[::1]:81/qos?auto"
        );
        assert!(url.with_query("a b").is_err());
        for text in [
            "",
            "a",
            "ftp://a/",
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
            "http://a/\n",
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
    fn a_request_says_who_asks() {
        let (_, request) = asked(b"", Method::POST, "127.0.0.1");
        let request = request.to_ascii_lowercase();
        assert!(request.starts_with("post /x http/1.1\r\n"), "{request}");
        for header in ["host: 127.0.0.1:", "user-agent: test\r\n", "authorization: basic dtpw\r\n"]
        {
            assert!(request.contains(header), "{header}: {request}");
        }
        if TcpListener::bind("[::1]:0").is_ok() {
            let (answer, request) = asked(b"HTTP/1.1 200 OK\r\n\r\nyes", Method::GET, "::1");
            assert_eq!(answer.expect("an answer"), (200, "yes".to_owned()));
            assert!(request.to_ascii_lowercase().contains("\r\nhost: [::1]:"), "{request}");
        }
    }

    #[test]
    fn answers_are_whole_or_errors() {
        let long = [&b"HTTP/1.1 200 OK\r\nX: "[..], &b"y".repeat(1_000_000)].concat();
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\nall of it"[..], Some((200, "all of it"))),
            (b"HTTP/1.0 404 \r\ncontent-LENGTH: 2\r\n\r\nnot this", Some((404, "no"))),
            (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", Some((302, ""))),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
                Some((200, "x")),
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", None),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", None),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
            (b"HTTP/1.1 200 OK\r\nX: y\r\n", None),
            (b"HTTP/2 200\r\n\r\n", None),
            (b"HTTP/1.1 2x0 OK\r\n\r\n", None),
            (b"\0\xff\n\n", None),
            (b"", None),
            (long.as_slice(), None),
        ] {
            let shown = String::from_utf8_lossy(&answer[..answer.len().min(80)]);
            let found = asked(answer, Method::GET, "127.0.0.1").0;
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            match (found, expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected, "{shown}"),
                (Err(_), None) => {}
                (found, expected) => panic!("{shown}: {found:?}, not {expected:?}"),
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
        let mut answer = ask(Method::GET, &url, "test", Duration::from_secs(1)).expect("a head");
        let error = answer.read_to_end(&mut Vec::new()).expect_err("it does not end");
        assert_eq!(error.to_string(), "no whole answer within 1 s");
        drop(answer);
        thread.join().expect("it has noticed");
    }
}
