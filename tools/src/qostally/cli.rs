//! The words of the command line. The man page and the completions are made of them.

use crate::http::Url;
use clap::Parser;
use std::path::PathBuf;

const HELP: &str = "\
What the input is it sees by itself: a list of addresses, one a line; a status page of mod_status in HTML, or in
text as 'lynx -dump' writes it; '?auto' with this module's lines of addresses; an access log whose lines
begin with the address, or with the server's name and port before it. Of a status page each worker counts for the
client that it serves or has served last.

Exit codes:
  0  at least one address or network has reached the count
  1  none has
  2  bad usage; nothing in the input can be read as an address; a file, the URL or syslog cannot be reached";

/// Counts addresses in lists, status pages of Apache httpd and access logs
#[derive(Debug, Parser)]
#[command(name = "qostally", version, after_help = HELP)]
pub struct Cli {
    /// Shows who was counted at least so often
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub min: u64,

    /// Counts IPv4 networks of so many bits instead of addresses
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub prefix4: Option<u8>,

    /// Counts IPv6 networks of so many bits instead of addresses
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(1..=128))]
    pub prefix6: Option<u8>,

    /// Writes 'Apache DOS Attempt: <address>' to syslog (auth, warning) for each that is shown, of a network for
    /// each of its addresses
    #[arg(long)]
    pub syslog: bool,

    /// Writes JSON
    #[arg(long)]
    pub json: bool,

    /// Fetches a page, like http://127.0.0.1/server-status, in at most 30 s
    #[arg(long, value_name = "URL", value_parser = Url::parse)]
    pub url: Option<Url>,

    /// What is read; '-', or no file and no URL, is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_refuses_what_cannot_be_meant() {
        Cli::command().debug_assert();
        for words in [
            "--min 0",
            "--min -1",
            "--min x",
            "--min 5x",
            "--prefix4 0",
            "--prefix4 33",
            "--prefix6 129",
            "--prefix6 /64",
            "--url ftp://a/",
            "--url a",
            "--url http:///x",
            "--url http://::1/",
            "--syslog=yes",
            "--top",
        ] {
            let words = std::iter::once("qostally").chain(words.split(' '));
            assert!(Cli::try_parse_from(words.clone()).is_err(), "{:?}", words.collect::<Vec<_>>());
        }
        let cli = Cli::try_parse_from(["qostally"]).expect("nothing is needed");
        assert_eq!((cli.min, cli.prefix4, cli.files.len()), (60, None, 0));
    }
}
