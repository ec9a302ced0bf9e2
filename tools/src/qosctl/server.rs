//! One question, one answer. What changes something is sent with POST.

use super::Failure;
use super::cli::Cli;
use std::io::Read;

/// A list of all clients of a large table is not longer.
const MOST: u64 = 1 << 30;

/// So much of what a server says with a refusal is shown.
const SHOWN: usize = 200;

/// A server that is asked.
pub struct Server {
    viewer: String,
    console: String,
    timeout: u64,
}

impl Server {
    /// Takes the one that the command line names.
    pub fn new(cli: &Cli) -> Server {
        let viewer = cli.url.clone();
        let console = cli.console_url.clone().unwrap_or_else(|| format!("{viewer}/console"));
        Server { viewer: with_path(viewer), console: with_path(console), timeout: cli.timeout }
    }

    /// Returns where its viewer is.
    pub fn url(&self) -> &str {
        &self.viewer
    }

    /// Asks the viewer.
    pub fn view(&self, query: &str) -> Result<String, Failure> {
        self.ask(minreq::get(format!("{}?{query}", self.viewer)))
    }

    /// Asks the console for what changes nothing.
    pub fn look(&self, query: &str) -> Result<String, Failure> {
        self.ask(minreq::get(format!("{}?{query}", self.console)))
    }

    /// Has the console change something.
    pub fn order(&self, query: &str) -> Result<String, Failure> {
        self.ask(minreq::post(format!("{}?{query}", self.console)).with_body(""))
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

/// A query needs a path before it.
fn with_path(url: String) -> String {
    let has_path = url.strip_prefix("http://").is_none_or(|rest| rest.contains('/'));
    if has_path { url } else { format!("{url}/") }
}
