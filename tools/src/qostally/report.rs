//! What is said of those who were counted often.

use super::cli::Cli;
use super::tally::{Found, Tally};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Result, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

/// Facility auth (4), level warning (4).
const PRIORITY: u8 = 4 << 3 | 4;

/// One a line, with its count.
pub fn text(found: &[Found]) -> String {
    let mut text = String::new();
    for Found { who, count, .. } in found {
        // A String takes everything.
        let _ = writeln!(text, "{who} {count}");
    }
    text
}

/// The same for programs, one object; a member may be added, none is renamed or retyped.
pub fn json(found: &[Found], cli: &Cli, tally: &Tally) -> String {
    let entry = |Found { who, count, members }: &Found| {
        let kind = if who.is_network() { "network" } else { "address" };
        json!({ kind: who.to_string(), "count": count, "addresses": members.len() })
    };
    let report = json!({
        "schema": 1,
        "min": cli.min,
        "skipped": tally.skipped(),
        "found": found.iter().map(entry).collect::<Vec<Value>>(),
    });
    format!("{report}\n")
}

/// Tells syslog of each address, the words that filters of fail2ban know. A network is told of by its
/// addresses.
pub fn to_syslog(found: &[Found], socket: &Path) -> Result<()> {
    let lines = found.iter().flat_map(|found| &found.members).map(|who| {
        let process = std::process::id();
        format!("<{PRIORITY}>qostally[{process}]: Apache DOS Attempt: {who}")
    });
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    let datagram = UnixDatagram::unbound()?;
    match datagram.connect(socket) {
        Ok(()) => lines.try_for_each(|line| datagram.send(line.as_bytes()).map(|_| ())),
        // Some listen for a stream, with a NUL behind each line.
        Err(error) => {
            let mut stream = UnixStream::connect(socket).map_err(|_| error)?;
            lines.try_for_each(|line| stream.write_all(format!("{line}\0").as_bytes()))
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::super::tally::Who;
    use super::*;
    use clap::Parser;
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    fn tally() -> Tally {
        let mut tally = Tally::default();
        for (word, times) in [("192.0.2.1", 60), ("192.0.2.9", 2), ("2001:db8::1", 70)] {
            tally.add(Who::parse(word.as_bytes()).expect("an address"), times);
        }
        tally.skip();
        tally
    }

    fn socket(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("qostally.{}.{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn words_and_json_say_the_same() {
        let tally = tally();
        let found = tally.found(60, None, None);
        assert_eq!(text(&found), "2001:db8::1 70\n192.0.2.1 60\n");
        let cli = Cli::parse_from(["qostally", "--json"]);
        assert_eq!(
            json(&found, &cli, &tally),
            "{\"found\":[{\"address\":\"2001:db8::1\",\"addresses\":1,\"count\":70},\
             {\"address\":\"192.0.2.1\",\"addresses\":1,\"count\":60}],\
             \"min\":60,\"schema\":1,\"skipped\":1}\n"
        );
        let networks = json(&tally.found(62, Some(24), None), &cli, &tally);
        let network = "{\"addresses\":2,\"count\":62,\"network\":\"192.0.2.0/24\"}";
        assert!(networks.contains(network), "{networks}");
        assert_eq!(json(&[], &cli, &tally).matches("\"found\":[]").count(), 1);
    }

    #[test]
    fn syslog_is_told_of_addresses_also_of_those_of_a_network() {
        let path = socket("datagram");
        let daemon = UnixDatagram::bind(&path).expect("a socket");
        let start = format!("<36>qostally[{}]: Apache DOS Attempt: ", std::process::id());
        to_syslog(&tally().found(60, Some(24), None), &path).expect("it is there");
        for who in ["2001:db8::1", "192.0.2.1", "192.0.2.9"] {
            let mut line = [0; 200];
            let length = daemon.recv(&mut line).expect("a line");
            assert_eq!(String::from_utf8_lossy(&line[..length]), format!("{start}{who}"));
        }
        std::fs::remove_file(path).expect("our own");
    }

    #[test]
    fn a_syslog_of_streams_is_told_too_and_one_that_is_not_there_is_an_error() {
        let path = socket("stream");
        let daemon = UnixListener::bind(&path).expect("a socket");
        let found = tally().found(60, None, None);
        to_syslog(&found, &path).expect("it is there");
        let mut text = String::new();
        daemon.accept().expect("a line").0.read_to_string(&mut text).expect("text");
        assert_eq!(text.matches("]: Apache DOS Attempt: ").count(), 2);
        assert!(text.ends_with("192.0.2.1\0"));
        std::fs::remove_file(&path).expect("our own");
        assert!(to_syslog(&found, &path).is_err());
        assert!(to_syslog(&[], &path).is_ok(), "nothing to tell");
    }
}
