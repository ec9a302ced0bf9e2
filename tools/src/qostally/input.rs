//! What an input is, and what in it is an address.

use super::rows::{self, Rows};
use super::tally::{Tally, Who};
use super::{lines, page};
use std::io::{BufRead, Cursor, Read, Result};

/// So much of an input is looked at to find out what it is.
const BEGINNING: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A status page.
    Html,
    /// A status page as text, or `?auto`: it has lines that begin with an address and mean something else.
    Report,
    /// A list, an access log, or lines of a report that somebody has picked.
    Lines,
}

/// Reads an input to its end; returns whether it was a status page.
pub fn read(input: &mut dyn BufRead, tally: &mut Tally) -> Result<bool> {
    let mut beginning = Vec::new();
    input.take(BEGINNING as u64).read_to_end(&mut beginning)?;
    // What editors of other systems put before a text.
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&beginning);
    let kind = kind(beginning);
    let mut whole = Cursor::new(beginning).chain(input);
    if kind == Kind::Html {
        page::read(&mut whole, tally)?;
        return Ok(true);
    }
    let mut rows = Rows::default();
    lines::each(&mut whole, &mut |line| {
        if !rows.read(line, tally) && !held(line, tally) && kind == Kind::Lines {
            plain(line, tally);
        }
    })?;
    rows.end(tally);
    Ok(kind == Kind::Report)
}

/// Finds out by what stands at the beginning of lines: there no client can write what it likes.
fn kind(beginning: &[u8]) -> Kind {
    const MARKS: [&[u8]; 6] = [
        b"Apache Server Status for ",
        b"ServerVersion: ",
        b"ServerMPM: ",
        b"Total Accesses: ",
        b"Scoreboard: ",
        b"b;system.load: ",
    ];
    let text = behind_headers(beginning);
    if text.trim_ascii_start().first() == Some(&b'<') {
        return Kind::Html;
    }
    let is_mark = |line: &[u8]| {
        let line = line.trim_ascii_start();
        MARKS.iter().any(|mark| line.starts_with(mark))
    };
    if text.split(|octet| *octet == b'\n').any(is_mark) { Kind::Report } else { Kind::Lines }
}

/// Leaves out what `curl -i` puts before a page.
fn behind_headers(text: &[u8]) -> &[u8] {
    if !text.starts_with(b"HTTP/") {
        return text;
    }
    let end = text.windows(4).position(|four| four == b"\r\n\r\n");
    end.and_then(|end| text.get(end..)).unwrap_or(text)
}

/// A line of this module's `?auto&option=ip`: an address, and how many connections it holds.
fn held(line: &[u8], tally: &mut Tally) -> bool {
    const RULE: &[u8] = b";QS_SrvMaxConnPerIP;";
    if !(line.starts_with(b"b;") || line.starts_with(b"v;")) {
        return false;
    }
    let Some(at) = line.windows(RULE.len()).position(|part| part == RULE) else { return false };
    let rest = line.get(at + RULE.len()..).unwrap_or(b"");
    let mut words = rows::words(rest);
    let who = words.next().and_then(|word| word.strip_suffix(b":")).and_then(Who::parse);
    let count = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok());
    match (who, count) {
        (Some(who), Some(count)) => tally.add(who, count),
        _ => tally.skip(),
    }
    true
}

/// A line of a list, or of an access log.
fn plain(line: &[u8], tally: &mut Tally) {
    let mut words = rows::words(line);
    let Some(first) = words.next() else { return };
    let Some(second) = words.next() else { return tally.add_or_skip(Who::parse_with_port(first)) };
    let who = Who::parse(first).or_else(|| {
        // The log of several servers: `<server>:<port>` before the client.
        let port = first.rsplit(|octet| *octet == b':').next().unwrap_or(b"");
        let has_port = port.len() < first.len() && port.iter().all(u8::is_ascii_digit);
        Who::parse(second).filter(|_| has_port && !port.is_empty())
    });
    tally.add_or_skip(who);
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    fn tally(text: &str) -> (String, u64) {
        let mut tally = Tally::default();
        read(&mut text.as_bytes(), &mut tally).expect("memory can be read");
        let found = tally.found(1, None, None);
        let found: Vec<String> =
            found.iter().map(|found| format!("{} {}", found.who, found.count)).collect();
        (found.join(", "), tally.skipped())
    }

    #[test]
    fn a_list_has_an_address_a_line() {
        let text =
            "192.0.2.1\n  192.0.2.1  \r\n\n2001:db8::1\nnobody\n192.0.2.2:4711\n[::1]:80\n1.2.3\n";
        assert_eq!(tally(text), ("192.0.2.1 2, 192.0.2.2 1, ::1 1, 2001:db8::1 1".to_owned(), 2));
        assert_eq!(tally(""), (String::new(), 0));
        assert_eq!(tally("\n\n \n"), (String::new(), 0));
        assert_eq!(tally("192.0.2.1"), ("192.0.2.1 1".to_owned(), 0), "no line end");
        assert_eq!(tally("\u{feff}::1\n\u{feff}::1\n"), ("::1 1".to_owned(), 1), "once");
        assert_eq!(tally("fe80::7%eth0 - - [x] \"GET /\"\n"), ("fe80::7 1".to_owned(), 0));
    }

    #[test]
    fn an_access_log_begins_with_the_client_or_with_the_server() {
        let text = "192.0.2.1 - - [21/Nov/2026:10:00:01 +0000] \"GET /<html> HTTP/1.1\" 200 5\n\
            www.example:443 192.0.2.2 - - [21/Nov/2026:10:00:01 +0000] \"GET / HTTP/1.1\" 200 5\n\
            198.51.100.1:80 192.0.2.2 - - [..] \"GET / HTTP/1.1\" 200 5\n\
            client.example - 9.9.9.9 [..] \"GET / HTTP/1.1\" 200 5\n\
            2001:db8::7 - 9.9.9.9 [..] \"GET /9.9.9.9 HTTP/1.1\" 200 5 \"http://9.9.9.9/\"\n\
            junk 9.9.9.9\nname: 9.9.9.9 x\n";
        assert_eq!(tally(text), ("192.0.2.2 2, 192.0.2.1 1, 2001:db8::7 1".to_owned(), 3));
    }

    #[test]
    fn a_report_of_status_has_other_addresses_that_do_not_count() {
        let auto = "127.0.0.1\nServerVersion: Apache/2.4.71\nTotal Accesses: 3\nScoreboard: _W.\n\
            b;system.load: 0.05\nb;localhost;0;QS_AllConn: 5\n\
            b;localhost;0;QS_SrvMaxConnPerIP;192.0.2.1: 41\n\
            v;a.example;80;QS_SrvMaxConnPerIP;2001:db8::/64: 7\n\
            b;localhost;0;QS_SrvMaxConnPerIP;nobody: 7\n";
        assert_eq!(tally(auto), ("192.0.2.1 41, 2001:db8::/64 7".to_owned(), 1));
        let page = "                 Apache Server Status for 127.0.0.1 (via 127.0.0.1)\n\n   127.0.0.1\n\
            \x20  Srv PID Acc M CPU SS Req Dur Conn Child Slot Client Protocol VHost Request\n\
            \x20  0-0 1 0/1/1 W 0.00 0 0 1 0.0 0.00 0.00 192.0.2.9 http/1.1 a:80 GET / HTTP/1.1\n";
        assert_eq!(tally(page), ("192.0.2.9 1".to_owned(), 0));
        // What somebody has picked with grep and cat.
        let picked = "b;localhost;0;QS_SrvMaxConnPerIP;192.0.2.1: 2\n192.0.2.1\n\
            0-0 1 0/1/1 W 0.00 0 0 1 0.0 0.00 0.00 192.0.2.1 http/1.1 a:80 GET / HTTP/1.1\n";
        assert_eq!(tally(picked), ("192.0.2.1 4".to_owned(), 0));
    }

    #[test]
    fn a_page_is_known_by_its_first_letter_and_never_by_what_a_client_wrote() {
        for (text, expected) in [
            ("<html>", Kind::Html),
            ("\n  <!DOCTYPE html>", Kind::Html),
            ("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n<html>", Kind::Html),
            ("HTTP/1.1 200 OK\r\n\r\nlocalhost\nServerVersion: x", Kind::Report),
            ("1.2.3.4 - - [..] \"GET /<html><table> HTTP/1.1\"", Kind::Lines),
            ("1.2.3.4 - - [..] \"GET /Scoreboard: _\"", Kind::Lines),
            ("", Kind::Lines),
            ("\0\u{1}\u{2}", Kind::Lines),
        ] {
            assert_eq!(kind(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn garbage_is_no_address_and_no_panic() {
        let mut random = 1u64;
        let octets: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as u8
        })
        .take(200_000)
        .collect();
        for start in [&b""[..], b"<html><table><tr><th>Client</th></tr>", b"Scoreboard: \n0-0 "] {
            let mut tally = Tally::default();
            let text = [start, &octets].concat();
            read(&mut text.as_slice(), &mut tally).expect("memory can be read");
            assert!(tally.is_empty());
        }
    }
}
