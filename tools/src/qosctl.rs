//! `qosctl`: asks the viewer and the console of a running server, and tells a person or a script what they say.
//!
//! ```text
//!   cli        the words of the command line
//!   server     one question, one answer; what it means when there is none
//!   answers    the console's lines, taken apart
//!   clients    bans, ban, unban, why
//!   status     one picture of the server, and `top`, one after the other
//!   text       tables
//! ```
//! Exit codes: 0 done; 1 the answer is no; 2 bad usage; 3 not reachable, or an answer that nobody
//! understands; 4 refused by the server.

mod answers;
pub mod cli;
mod clients;
mod server;
mod status;
mod text;

use clap::Parser;
use cli::{Cli, Command};
use server::Server;
use std::io::Write;
use std::process::ExitCode;

/// Why something was not done.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The server could not be asked, or did not answer.
    Unreachable(String),
    /// It answered something that is not its language.
    NotUnderstood(String),
    /// It said no: status, and what it said.
    Refused(u16, String),
    /// Nobody reads what we write.
    Unheard,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Unreachable(_) | Failure::NotUnderstood(_) => 3,
            Failure::Refused(..) => 4,
            Failure::Unheard => 0,
        }
    }

    fn words(&self) -> String {
        match self {
            Failure::Unreachable(text) => format!("not reachable: {text}"),
            Failure::NotUnderstood(text) => format!("answer not understood: {text}"),
            Failure::Refused(status, text) => format!("refused by the server: {status} {text}"),
            Failure::Unheard => String::new(),
        }
    }
}

/// What an order came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The answer is no.
    No,
}

/// Runs the program.
pub fn main() -> ExitCode {
    // Bad usage ends here, with 2.
    let cli = Cli::parse();
    match run(&cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(failure) => {
            let words = failure.words();
            if !words.is_empty() {
                warn(&words);
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: &Cli) -> Result<Outcome, Failure> {
    let server = Server::new(cli)?;
    match &cli.command {
        Command::Status => status::once(&server, cli.json),
        Command::Top { once: true, .. } => status::top_once(&server, cli.json),
        Command::Top { interval, .. } => status::top(&server, cli.json, *interval),
        Command::Bans => clients::bans(&server, cli.json),
        Command::Ban { address } => clients::ban(&server, address, cli.json),
        Command::Unban { address } => clients::unban(&server, address, cli.json),
        Command::Why { address } => clients::why(&server, address, cli.json),
    }
}

/// Writes an answer.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| Failure::Unheard)
}

/// Writes a remark.
fn warn(text: &str) {
    // Where even that cannot be written there is nothing left to do.
    let _ = writeln!(std::io::stderr(), "qosctl: {}", text::printable(text));
}
