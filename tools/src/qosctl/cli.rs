//! The words of the command line. The man pages and the completions are made of them.

use crate::http::Url;
use clap::{Parser, Subcommand};
use std::net::IpAddr;

const CODES: &str = "\
Exit codes:
  0  done
  1  the answer is no: nothing holds the client (why, unban), or it is still held (unban)
  2  bad usage
  3  the server is not reachable, or its answer is not understood
  4  refused by the server

Environment:
  QOSCTL_URL          as --url
  QOSCTL_CONSOLE_URL  as --console-url";

/// Asks and commands a running Apache httpd with mod_qos_rs
#[derive(Debug, Parser)]
#[command(name = "qosctl", version, disable_help_subcommand = true, after_help = CODES)]
pub struct Cli {
    /// Where the viewer is (SetHandler qos-viewer): http[s]://[name:password@]host[:port]/path
    #[arg(long, global = true, env = "QOSCTL_URL", hide_env = true, value_name = "URL",
          default_value = "http://127.0.0.1/qos", value_parser = url)]
    pub url: String,

    /// Where the console is (SetHandler qos-console) [default: <url>/console]
    #[arg(long, global = true, env = "QOSCTL_CONSOLE_URL", hide_env = true, value_name = "URL",
          value_parser = url)]
    pub console_url: Option<String>,

    /// Writes JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,

    /// Waits so many seconds for an answer
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,

    /// What is to be done
    #[command(subcommand)]
    pub command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows how the server is: connections, rules, and who is blocked
    Status,
    /// Shows it again and again: rules that are near their limits, addresses with the most connections, denials
    Top {
        /// Shows it once and ends
        #[arg(long)]
        once: bool,
        /// Seconds between two looks
        #[arg(long, short = 'n', value_name = "SECONDS", default_value_t = 2,
              value_parser = clap::value_parser!(u64).range(1..=86400))]
        interval: u64,
    },
    /// Lists the clients and networks that are blocked
    Bans,
    /// Blocks a client, for the time of QS_ClientEventBlockCount from now on
    Ban {
        /// An address, a prefix as the server counts it, or a network: 192.0.2.7, 2001:db8::/64, 192.0.2.0/24
        #[arg(value_parser = address)]
        address: String,
    },
    /// Frees a client: from its block, and from the limits of events that it has reached
    Unban {
        /// As for ban
        #[arg(value_parser = address)]
        address: String,
    },
    /// Tells which rules hold a client
    Why {
        /// As for ban
        #[arg(value_parser = address)]
        address: String,
    },
}

fn url(text: &str) -> Result<String, &'static str> {
    Url::parse(text)?;
    if text.contains(['?', '#']) {
        return Err("neither a query nor a fragment may stand in it");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn address(text: &str) -> Result<String, String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let allowed = "an IPv4 or IPv6 address, or a network as <address>/<bits>";
    let ip: IpAddr = address.parse().map_err(|_| allowed)?;
    let (least, most) = if ip.is_ipv4() { (8, 32) } else { (16, 128) };
    let is_length = |length: &str| {
        length.bytes().all(|digit| digit.is_ascii_digit())
            && length.parse::<u8>().is_ok_and(|bits| (least..=most).contains(&bits))
    };
    if length.is_none_or(is_length) { Ok(text.to_owned()) } else { Err(allowed.to_owned()) }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses_and_urls_are_checked_before_anybody_is_asked() {
        for good in
            ["192.0.2.7", "192.0.2.7/32", "2001:db8::1", "2001:db8::/64", "::1/128", "192.0.2.0/24"]
        {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "abc", "192.0.2", "192.0.2.0/7", "::/0", "::/129", "::/", "::/+64", "1.2.3.4&x=1"]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert_eq!(url("http://127.0.0.1:8080/qos/").as_deref(), Ok("http://127.0.0.1:8080/qos"));
        assert_eq!(url("https://a/qos").as_deref(), Ok("https://a/qos"));
        for bad in [
            "",
            "127.0.0.1",
            "ftp://a/qos",
            "http://",
            "http:///qos",
            "http://a/?x",
            "http://a/#x",
            "http://a b",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
