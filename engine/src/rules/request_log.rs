//! One line per request of the whole server for a program that makes statistics of them.
//! Spec: tools.md, qslog, "Global logger". Phase: finish, last (L.9): the module writes the line.

use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::values::{Capacity, Problem};
use core::ffi::CStr;
use std::io::Write;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    program: Option<String>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The command that lines are written to, as httpd's own piped logs take it, with the option that tells
    /// qslog what stands in them.
    pub command: Option<String>,
}

/// `mod_qos(009)`
pub static NO_PROGRAM: LogEvent = LogEvent {
    number: 9,
    level: Level::Notice,
    is_counted: false,
    format: "failed to initialize the qslog facility '{command}'",
    when: "the program of QSLog cannot be started; then the server is not, either",
};

/// `mod_qos(315)`
pub static LINES_LOST: LogEvent = LogEvent {
    number: 315,
    level: Level::Warning,
    is_counted: true,
    format: "QSLog: {n} lines lost, the program does not read them",
    when: "looked for every ten seconds or so; the totals count lines",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NO_PROGRAM, &LINES_LOST];

/// The variables that stand in a line.
pub const READ: [&CStr; 4] = [USER_ID, EVENT, LETTERS, CONNECTIONS];
/// Of the tracking cookie.
pub const USER_ID: &CStr = c"mod_qos_user_id";
/// What the application, or mod_setenvif, calls the request.
pub const EVENT: &CStr = c"Event";
/// Letters of what happened.
pub const LETTERS: &CStr = c"mod_qos_ev";
/// All open connections.
pub const CONNECTIONS: &CStr = c"QS_AllConn";

/// What qslog calls the fields of a line.
const FORMAT: &str = " -f ISBiDUkEQaC";

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[Directive {
    about: About {
        name: c"QSLog",
        arguments: c"\"|<program> [<arguments>]\"",
        arity: Arity::One,
        scope: Scope::BaseServer,
        range: "a command behind a pipe symbol, as CustomLog takes it ('|', '||' or '|$')",
        default: "none",
        help: "Starts the program with the server, with ' -f ISBiDUkEQaC' behind its arguments, and writes it \
               a line for each request of all virtual hosts: address, status, octets sent, Content-Length of \
               the request, microseconds, mod_qos_user_id, number on its connection, Event, mod_qos_ev, \
               QS_AllConn, '<server name>:<path>'. What a client chose is escaped, and a line has at most 4096 \
               octets. It runs as httpd's own piped logs do: as the user who started httpd, started again when \
               it ends and at each restart. Nobody waits for it: when it does not read, and the pipe is full, \
               lines are lost and counted (event 315).",
        spec: "tools.md, qslog, Global logger",
    },
    set: |settings, arguments| {
        let word = arguments.first();
        let program = word.strip_prefix('|').map(|rest| rest.trim_start_matches(['|', '$']));
        match program.map(str::trim) {
            Some(program) if !program.is_empty() => settings.program = Some(word.to_owned()),
            _ => {
                return Err(Problem::word(
                    word,
                    "'|' and a command, like '|/usr/bin/qslog -o <file>'",
                ));
            }
        }
        Ok(())
    },
    set_in_location: None,
}];

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, _: Capacity) -> Policy {
        let program = settings.program.as_ref();
        Policy { command: program.map(|program| format!("{program}{FORMAT}")) }
    }
}

/// A request that is over. What is missing stands in the line as `-`.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The peer's address.
    pub peer: &'a str,
    /// What was answered.
    pub status: u16,
    /// Octets of the answer's body.
    pub sent: u64,
    /// The request's header Content-Length.
    pub content_length: Option<&'a [u8]>,
    /// Microseconds since it was read.
    pub micros: u64,
    /// `mod_qos_user_id`
    pub user: Option<&'a [u8]>,
    /// Requests that its connection had served before.
    pub kept: u32,
    /// The variable `Event`.
    pub events: Option<&'a [u8]>,
    /// `mod_qos_ev`
    pub letters: Option<&'a [u8]>,
    /// `QS_AllConn`
    pub connections: Option<&'a [u8]>,
    /// The server's name as the request has it.
    pub server: &'a [u8],
    /// The path, decoded.
    pub path: &'a [u8],
}

/// So many octets written to a pipe stay together, whoever else writes to it: PIPE_BUF of Linux.
pub const LONGEST: usize = 4096;
/// How long a field may be, so that there is always room for the others.
const LONGEST_FIELD: usize = 512;
const LONGEST_NUMBER: usize = 64;

/// A line for the program, on the stack.
pub struct Line {
    octets: [u8; LONGEST],
    length: usize,
}

impl Line {
    /// Puts the line of a request together.
    pub fn of(entry: &Entry<'_>) -> Line {
        let mut line = Line { octets: [0; LONGEST], length: 0 };
        line.number(format_args!("{} {} {} ", entry.peer, entry.status, entry.sent));
        line.field(entry.content_length, LONGEST_NUMBER);
        line.number(format_args!("{} ", entry.micros));
        line.field(entry.user, LONGEST_FIELD);
        line.number(format_args!("{} ", entry.kept));
        line.field(entry.events, LONGEST_FIELD);
        line.field(entry.letters, LONGEST_FIELD);
        line.field(entry.connections.or(Some(b"-")), LONGEST_NUMBER);
        if entry.connections.is_none() {
            // A second blank, as the C module has it.
            line.push(b" ");
        }
        line.push(b"'");
        line.escaped(entry.server, LONGEST_FIELD, false);
        line.push(b":");
        let room = LONGEST.saturating_sub(line.length + 2);
        line.escaped(entry.path, room, false);
        line.push(b"'\n");
        line
    }

    /// Returns the line with its end.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or(&[])
    }

    fn push(&mut self, octets: &[u8]) -> bool {
        let end = self.length + octets.len();
        let Some(free) = self.octets.get_mut(self.length..end) else { return false };
        free.copy_from_slice(octets);
        self.length = end;
        true
    }

    fn number(&mut self, text: core::fmt::Arguments<'_>) {
        let Some(free) = self.octets.get_mut(self.length..) else { return };
        let room = free.len();
        let mut rest = free;
        // Always room: fields before it are limited.
        let _ = rest.write_fmt(text);
        self.length += room - rest.len();
    }

    /// One word and a blank: blanks in it are escaped, so that no client makes two of it.
    fn field(&mut self, text: Option<&[u8]>, room: usize) {
        match text {
            Some(text) if !text.is_empty() => self.escaped(text, room, true),
            _ => _ = self.push(b"-"),
        }
        self.push(b" ");
    }

    /// As httpd escapes in its access log; also single quotes, between which the path stands.
    fn escaped(&mut self, text: &[u8], room: usize, is_word: bool) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |octet: u8| DIGITS.get(usize::from(octet & 15)).copied().unwrap_or(b'0');
        let end = (self.length + room).min(LONGEST);
        for octet in text {
            let hex = [b'\\', b'x', digit(octet >> 4), digit(*octet)];
            let (short, itself);
            let escaped: &[u8] = match octet {
                b'\\' | b'"' | b'\'' => {
                    short = [b'\\', *octet];
                    &short
                }
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0x08 => b"\\b",
                0x0b => b"\\v",
                b' ' if is_word => &hex,
                0x20..=0x7e => {
                    itself = [*octet];
                    &itself
                }
                _ => &hex,
            };
            if self.length + escaped.len() > end || !self.push(escaped) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry<'_> = Entry {
        peer: "127.0.0.1",
        status: 200,
        sent: 2,
        content_length: None,
        micros: 254,
        user: None,
        kept: 0,
        events: Some(b"EvA,EvB"),
        letters: None,
        connections: Some(b"2"),
        server: b"localhost",
        path: b"/a/index.html",
    };

    fn text(entry: &Entry<'_>) -> String {
        String::from_utf8(Line::of(entry).octets().to_vec()).expect("ASCII")
    }

    #[test]
    fn the_line_is_that_of_the_specification() {
        let line = "127.0.0.1 200 2 - 254 - 0 EvA,EvB - 2 'localhost:/a/index.html'\n";
        assert_eq!(text(&ENTRY), line);
        let entry = Entry {
            peer: "2001:db8::1",
            status: 400,
            sent: 10_000_000_000,
            content_length: Some(b"17"),
            micros: 1,
            user: Some(b"u-1"),
            kept: 3,
            events: Some(b""),
            letters: Some(b"D;s;"),
            connections: None,
            server: b"base.example",
            path: b"/",
        };
        let line = "2001:db8::1 400 10000000000 17 1 u-1 3 - D;s; -  'base.example:/'\n";
        assert_eq!(text(&entry), line);
    }

    #[test]
    fn what_a_client_chose_makes_no_field_and_no_line_of_its_own() {
        for (path, expected) in [
            (&b"/a b"[..], "/a b"),
            (b"/a'b", "/a\\'b"),
            (b"/a\"b", "/a\\\"b"),
            (b"/a\\b", "/a\\\\b"),
            (b"/a\nb\r\tc", "/a\\nb\\r\\tc"),
            (b"/\x00\x1b\x7f\x80\xff", "/\\x00\\x1b\\x7f\\x80\\xff"),
            ("/\u{e9}".as_bytes(), "/\\xc3\\xa9"),
        ] {
            let line = text(&Entry { path, ..ENTRY });
            assert!(line.ends_with(&format!(" 2 'localhost:{expected}'\n")), "{line}");
            let line = text(&Entry { server: path, ..ENTRY });
            assert!(line.ends_with(&format!(" 2 '{expected}:/a/index.html'\n")), "{line}");
        }
        for (word, expected) in
            [(&b"1 2 3"[..], "1\\x202\\x203"), (b"'a' b", "\\'a\\'\\x20b"), (b"a\nb", "a\\nb")]
        {
            let line = text(&Entry { content_length: Some(word), ..ENTRY });
            assert!(line.starts_with(&format!("127.0.0.1 200 2 {expected} 254 - 0 ")), "{line}");
            let line = text(&Entry { events: Some(word), ..ENTRY });
            assert!(line.contains(&format!(" 0 {expected} - 2 '")), "{line}");
        }
    }

    #[test]
    fn a_line_is_never_too_long_for_one_write_and_always_whole() {
        let long = vec![b'x'; 100_000];
        let high = vec![0xff; 100_000];
        for text in [&long, &high] {
            let entry = Entry {
                content_length: Some(text),
                user: Some(text),
                events: Some(text),
                letters: Some(text),
                connections: Some(text),
                server: text,
                path: text,
                ..ENTRY
            };
            let line = Line::of(&entry);
            let octets = line.octets();
            assert!(octets.len() <= LONGEST && octets.len() > LONGEST - 8, "{}", octets.len());
            assert!(octets.ends_with(b"'\n"));
            assert_eq!(octets.iter().filter(|octet| **octet == b' ').count(), 10);
            assert_eq!(octets.iter().filter(|octet| **octet == b'\n').count(), 1);
        }
        let path = vec![b'/'; LONGEST];
        let line = Line::of(&Entry { path: &path, ..ENTRY });
        assert_eq!(line.octets().len(), LONGEST, "the path has all the room that is left");
    }
}
