//! One question, one answer. What changes something is sent with POST.

use super::Failure;
use super::cli::Cli;
use crate::http::{self, Method, Url};
use std::io::Read;
use std::time::Duration;

/// A list of all clients of a large table is not longer.
const MOST: u64 = 1 << 30;

/// So much of what a server says with a refusal is shown.
const SHOWN: usize = 200;

/// A server that is asked.
pub struct Server {
    viewer: Url,
    console: Url,
    patience: Duration,
}

impl Server {
    /// Takes the one that the command line names.
    pub fn new(cli: &Cli) -> Result<Server, Failure> {
        let viewer = cli.url.clone();
        let console = cli.console_url.clone().unwrap_or_else(|| format!("{viewer}/console"));
        let url = |text: &str| {
            Url::parse(text).map_err(|error| Failure::Unreachable(format!("{text}: {error}")))
        };
        let patience = Duration::from_secs(cli.timeout);
        Ok(Server { viewer: url(&viewer)?, console: url(&console)?, patience })
    }

    /// Returns where its viewer is, for people.
    pub fn url(&self) -> &Url {
        &self.viewer
    }

    /// Asks the viewer.
    pub fn view(&self, query: &str) -> Result<String, Failure> {
        self.ask(Method::GET, self.viewer.with_query(query))
    }

    /// Asks the console for what changes nothing.
    pub fn look(&self, query: &str) -> Result<String, Failure> {
        self.ask(Method::GET, self.console.with_query(query))
    }

    /// Has the console change something.
    pub fn order(&self, query: &str) -> Result<String, Failure> {
        self.ask(Method::POST, self.console.with_query(query))
    }

    fn ask(&self, method: Method, url: std::io::Result<Url>) -> Result<String, Failure> {
        let unreachable = |error: std::io::Error| Failure::Unreachable(error.to_string());
        let agent = concat!("qosctl/", env!("CARGO_PKG_VERSION"));
        let url = url.map_err(unreachable)?;
        let answer = http::ask(method, &url, agent, self.patience).map_err(unreachable)?;
        let status = answer.status;
        let is_text =
            answer.content_type.as_ref().is_none_or(|kind| kind.starts_with("text/plain"));
        let mut body = Vec::new();
        let read = answer.take(MOST).read_to_end(&mut body);
        if status != 200 {
            // An error page for browsers says less than its status.
            let text = if is_text { String::from_utf8_lossy(&body) } else { "".into() };
            let line = text.lines().next().unwrap_or("");
            return Err(Failure::Refused(status, line.chars().take(SHOWN).collect()));
        }
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Failure::NotUnderstood("it is cut off".to_owned()),
            _ => unreachable(error),
        })?;
        if body.len() as u64 == MOST {
            return Err(Failure::NotUnderstood("it does not end".to_owned()));
        }
        String::from_utf8(body).map_err(|_| Failure::NotUnderstood("it is no text".to_owned()))
    }
}
