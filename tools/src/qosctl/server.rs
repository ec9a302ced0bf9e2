//! One question, one answer. What changes something is sent with POST.

use super::Failure;
use super::cli::Cli;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Read;

const SCHEME: &str = "http://";

/// A list of all clients of a large table is not longer.
const MOST: u64 = 1 << 30;

/// So much of what a server says with a refusal is shown.
const SHOWN: usize = 200;

/// A server that is asked.
pub struct Server {
    viewer: Page,
    console: Page,
    timeout: u64,
}

/// One of its pages.
struct Page {
    /// Without name and password.
    url: String,
    /// What stands in the header `Authorization`.
    credentials: Option<String>,
}

impl Server {
    /// Takes the one that the command line names.
    pub fn new(cli: &Cli) -> Server {
        let viewer = cli.url.clone();
        let console = cli.console_url.clone().unwrap_or_else(|| format!("{viewer}/console"));
        Server { viewer: Page::new(&viewer), console: Page::new(&console), timeout: cli.timeout }
    }

    /// Returns where its viewer is, for people.
    pub fn url(&self) -> &str {
        &self.viewer.url
    }

    /// Asks the viewer.
    pub fn view(&self, query: &str) -> Result<String, Failure> {
        self.ask(self.viewer.request(minreq::Method::Get, query))
    }

    /// Asks the console for what changes nothing.
    pub fn look(&self, query: &str) -> Result<String, Failure> {
        self.ask(self.console.request(minreq::Method::Get, query))
    }

    /// Has the console change something.
    pub fn order(&self, query: &str) -> Result<String, Failure> {
        self.ask(self.console.request(minreq::Method::Post, query).with_body(""))
    }

    fn ask(&self, request: minreq::Request) -> Result<String, Failure> {
        let unreachable = |error: &dyn std::fmt::Display| Failure::Unreachable(error.to_string());
        let agent = concat!("qosctl/", env!("CARGO_PKG_VERSION"));
        let response = request
            .with_header("User-Agent", agent)
            .with_timeout(self.timeout)
            .with_follow_redirects(false)
            .send_lazy()
            .map_err(|error| unreachable(&error))?;
        let status = response.status_code;
        let header = |name: &str| {
            let mut headers = response.headers.iter();
            headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let announced = header("Content-Length").and_then(|length| length.parse::<u64>().ok());
        let is_text = header("Content-Type").is_none_or(|kind| kind.starts_with("text/plain"));
        let mut body = Vec::new();
        let read = response.take(MOST).read_to_end(&mut body);
        if status != 200 {
            // An error page for browsers says less than its status.
            let text = if is_text { String::from_utf8_lossy(&body) } else { "".into() };
            let line = text.lines().next().unwrap_or("");
            return Err(Failure::Refused(status, line.chars().take(SHOWN).collect()));
        }
        read.map_err(|error| unreachable(&error))?;
        if body.len() as u64 == MOST || announced.is_some_and(|length| length != body.len() as u64)
        {
            return Err(Failure::NotUnderstood("it is cut off".to_owned()));
        }
        String::from_utf8(body).map_err(|_| Failure::NotUnderstood("it is no text".to_owned()))
    }
}

impl Page {
    /// Takes a URL apart: `http://name:password@host/path`.
    fn new(url: &str) -> Page {
        let rest = url.strip_prefix(SCHEME).unwrap_or(url);
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = match host.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, host),
        };
        // A query needs a path before it.
        let path = if path.is_empty() { "/" } else { path };
        let credentials = user.map(|user| format!("Basic {}", STANDARD.encode(decoded(user))));
        Page { url: format!("{SCHEME}{host}{path}"), credentials }
    }

    fn request(&self, method: minreq::Method, query: &str) -> minreq::Request {
        let request = minreq::Request::new(method, format!("{}?{query}", self.url));
        match &self.credentials {
            Some(credentials) => request.with_header("Authorization", credentials),
            None => request,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_password_go_into_a_header_and_nowhere_else() {
        let page = Page::new("http://admin:p%40ss%@127.0.0.1:81/qos");
        assert_eq!(page.url, "http://127.0.0.1:81/qos");
        let header = format!("Basic {}", STANDARD.encode("admin:p@ss%"));
        assert_eq!(page.credentials, Some(header));
        let page = Page::new("http://[::1]");
        assert_eq!((page.url.as_str(), page.credentials), ("http://[::1]/", None));
    }
}
