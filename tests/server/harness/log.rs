//! Reading what httpd wrote: numbered events of the error log, lines of the access log.

use std::fs;
use std::path::{Path, PathBuf};

/// One line of the error log.
#[derive(Clone, Debug)]
pub struct Line {
    pub level: String,
    /// The `[client ..]` that httpd puts before lines about a request.
    pub client: Option<String>,
    /// NNN of `mod_qos(NNN): `.
    pub event: Option<u16>,
    /// What follows `mod_qos(NNN): `, or the whole message of other modules.
    pub text: String,
    pub raw: String,
}

impl Line {
    fn parse(raw: &str) -> Line {
        let mut rest = raw;
        let mut level = String::new();
        let mut client = None;
        // The leading fields are `[time] [module:level] [pid ..:tid ..] [client ..]`.
        while let Some((field, after)) = rest.strip_prefix('[').and_then(|inner| split_field(inner))
        {
            if let Some(address) = field.strip_prefix("client ") {
                client = Some(address.to_owned());
            } else if let Some(word) = level_of(field) {
                level = word.to_owned();
            }
            rest = after.trim_start();
        }
        let (event, text) = match rest.find("mod_qos(").map(|at| &rest[at + 8..]) {
            Some(numbered) => match numbered.split_once("): ") {
                Some((number, text)) => (number.parse().ok(), text),
                None => (None, rest),
            },
            None => (None, rest),
        };
        Line { level, client, event, text: text.to_owned(), raw: raw.to_owned() }
    }

    /// A line that an administrator has to look at, or one that httpd did not write.
    pub fn is_warning(&self) -> bool {
        matches!(self.level.as_str(), "" | "warn" | "error" | "crit" | "alert" | "emerg")
    }

    /// The process that wrote the line.
    pub fn process(&self) -> &str {
        let after = self.raw.split_once("[pid ").map_or("", |(_, after)| after);
        after.split([':', ']']).next().unwrap_or("")
    }

    /// The text up to the unique id at its end, which no test can know.
    pub fn without_id(&self) -> &str {
        self.text.split_once(", id=").map_or(self.text.as_str(), |(text, _)| text)
    }
}

const LEVELS: &[&str] =
    &["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace"];

/// The level in `module:level`; trace has a digit behind it.
fn level_of(field: &str) -> Option<&str> {
    let (_, word) = field.split_once(':')?;
    LEVELS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())).then_some(word)
}

/// Splits `field] rest`; a field may hold brackets itself, as an IPv6 client does.
fn split_field(inner: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inner[..at], &inner[at + 1..]));
        }
    }
    None
}

/// A moment in the error log: what was written before it is left out.
pub type Mark = usize;

pub struct ErrorLog {
    path: PathBuf,
}

impl ErrorLog {
    pub fn new(root: &Path) -> ErrorLog {
        ErrorLog { path: root.join("error_log") }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap_or_default()
    }

    pub fn mark(&self) -> Mark {
        self.bytes().len()
    }

    /// Complete lines since the mark.
    pub fn since(&self, mark: Mark) -> Vec<Line> {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(bytes.get(mark..).unwrap_or_default());
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(Line::parse).collect()
    }

    pub fn tail(&self, lines: usize) -> String {
        let all = self.since(0);
        let from = all.len().saturating_sub(lines);
        all[from..].iter().map(|line| line.raw.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// One line of the access log, in the format that the harness configures.
#[derive(Clone, Debug)]
pub struct AccessLine {
    raw: String,
}

impl AccessLine {
    pub fn read(root: &Path) -> Vec<AccessLine> {
        let text = fs::read_to_string(root.join("access_log")).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(|raw| AccessLine { raw: raw.to_owned() }).collect()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let value = self.raw.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| *value != "-")
    }

    pub fn status(&self) -> u16 {
        self.field("status").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    pub fn path(&self) -> &str {
        self.field("path").unwrap_or("")
    }

    /// The letters of mod_qos_ev, empty when there are none.
    pub fn letters(&self) -> &str {
        self.field("ev").unwrap_or("")
    }

    /// mod_qos_con.
    pub fn con(&self) -> Option<&str> {
        self.field("con")
    }

    /// mod_qos_cr.
    pub fn cr(&self) -> Option<&str> {
        self.field("cr")
    }

    /// QS_ErrorNotes.
    pub fn notes(&self) -> Option<&str> {
        self.field("notes")
    }

    /// QS_IPConn.
    pub fn ip(&self) -> Option<&str> {
        self.field("ip")
    }

    /// QS_ConnectionId.
    pub fn connection_id(&self) -> Option<&str> {
        self.field("id")
    }

    /// QS_AllConn.
    pub fn all(&self) -> Option<&str> {
        self.field("all")
    }
}
