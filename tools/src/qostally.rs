//! `qostally`: who holds the server's workers, or asks most? It counts the addresses in a list, a status page of
//! httpd's that was saved or is fetched, or an access log, and takes the place of lynx, awk and a script.
//!
//! ```text
//!   cli        the words of the command line
//!   input      what the input is, and what in it is an address
//!   page       the rows of a status page in HTML
//!   rows       the same in text, as lynx writes it
//!   lines      lines of bounded length
//!   tally      counts of addresses and networks
//!   report     what is said of them, in words, JSON and to syslog
//! ```
//! It streams: memory goes by how many different addresses there are.
//! Exit codes: 0 somebody has reached the count; 1 nobody has; 2 bad input or usage.

pub mod cli;
mod input;
mod lines;
mod page;
mod report;
mod rows;
mod tally;

use crate::http::{self, Method, Url};
use clap::Parser;
use cli::Cli;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tally::Tally;

/// More than any status page; what fetched pages are cut at.
const MOST: u64 = 1 << 30;

/// A page that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where syslog listens.
const SYSLOG: &str = "/dev/log";

/// Runs the program.
pub fn main() -> ExitCode {
    // Bad usage ends here, with 2.
    let cli = Cli::parse();
    let mut tally = Tally::default();
    let (mut is_bad, mut has_page) = (false, false);
    for (name, read) in inputs(&cli) {
        match read.and_then(|mut input| input::read(&mut input, &mut tally)) {
            Ok(is_page) => has_page |= is_page,
            Err(error) => {
                warn(&format!("{name}: {error}"));
                is_bad = true;
            }
        }
    }
    if tally.skipped() > 0 {
        warn(&format!("lines without an address: {}", tally.skipped()));
    }
    if tally.is_empty() {
        warn("nothing in it can be read as an address");
        if has_page {
            warn(
                "of status pages those with a table of workers name clients (ExtendedStatus On), and '?auto&option=ip'",
            );
        }
        is_bad = true;
    }
    let found = tally.found(cli.min, cli.prefix4, cli.prefix6);
    let text = if cli.json { report::json(&found, &cli, &tally) } else { report::text(&found) };
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Nobody reads on: then there is nobody to tell, either.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            warn(&format!("stdout: {error}"));
            is_bad = true;
        }
        _ => {}
    }
    if cli.syslog
        && let Err(error) = report::to_syslog(&found, Path::new(SYSLOG))
    {
        warn(&format!("syslog ({SYSLOG}): {error}"));
        is_bad = true;
    }
    match (is_bad, found.is_empty()) {
        (true, _) => ExitCode::from(2),
        (_, true) => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

type Input = Box<dyn BufRead>;

/// Opens one input after the other, by its name.
fn inputs(cli: &Cli) -> impl Iterator<Item = (String, std::io::Result<Input>)> {
    let urls = cli.url.iter().map(|url| (url.to_string(), fetch(url)));
    let is_by_default = cli.files.is_empty() && cli.url.is_none();
    let standard = is_by_default.then(|| Path::new("-"));
    let files = cli.files.iter().map(|path| path.as_path()).chain(standard).map(|path| {
        let name = path.display().to_string();
        if path == Path::new("-") {
            return ("stdin".to_owned(), Ok(Box::new(std::io::stdin().lock()) as Input));
        }
        (name, File::open(path).map(|file| Box::new(BufReader::new(file)) as Input))
    });
    urls.chain(files)
}

fn fetch(url: &Url) -> std::io::Result<Input> {
    let agent = concat!("qostally/", env!("CARGO_PKG_VERSION"));
    let answer = http::ask(Method::GET, url, agent, PATIENCE)?;
    match answer.status {
        200 => Ok(Box::new(BufReader::new(answer.take(MOST)))),
        status @ 300..400 => {
            let text = format!("the server answered with status {status}: the page is elsewhere");
            Err(std::io::Error::other(text))
        }
        status => Err(std::io::Error::other(format!("the server answered with status {status}"))),
    }
}

/// Writes a remark.
fn warn(text: &str) {
    let printable: String =
        text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    // Where even that cannot be written there is nothing left to do.
    let _ = writeln!(std::io::stderr(), "qostally: {printable}");
}
