//! `qslog`: request statistics from access logs, in the place of the C module's program of this name.
//!
//! ```text
//!   cli        the words of the command line
//!   input      lines, and a bar for who waits
//!   format     a line taken apart
//!   clock      when it was written;   timeline  the minutes, one after the other
//!   counts     what is counted in a minute, and its columns; with  events, seen, rules
//!   report     the record of a minute
//!   live       records in real time
//!   offline    records of a log that lies there, -p and -ps
//!   grouped    -pc and -pu;   clients, counters, urls  what is counted for each
//!   output     files and stdout
//! ```
//! Exit codes: 0 done; 1 bad usage, or a file that cannot be read or written.

pub mod cli;
mod clients;
mod clock;
mod counters;
mod counts;
mod events;
mod format;
mod grouped;
mod input;
mod live;
mod offline;
mod output;
mod report;
mod rules;
mod seen;
mod timeline;
mod urls;

use cli::{Cli, Instead, Mode};
use clients::Clients;
use events::Names;
use format::Format;
use grouped::Marks;
use input::{Lines, Watched};
use output::{Output, Sinks};
use report::Report;
use std::ffi::CString;
use std::fs::read;
use std::io::{BufWriter, ErrorKind, Write, stderr, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = include_str!("qslog/usage.txt");
const MAN: &str = include_str!("../../docs/man/qslog.1");
/// Who works on a log that lies there steps back by so much.
const NICENESS: i32 = 10;

/// Runs the program.
pub fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let cli = match cli::parse(words) {
        Ok(cli) => cli,
        Err(Instead::Usage) => return show(USAGE, ExitCode::FAILURE),
        Err(Instead::Man) => return show(MAN, ExitCode::SUCCESS),
        Err(Instead::Wrong(words)) => {
            remark(&words);
            return ExitCode::FAILURE;
        }
    };
    if let Some(user) = &cli.user
        && let Err(words) = switch_user(user)
    {
        // A line of its own kind, as scripts know it.
        let _ = writeln!(stderr(), "[qslog] failed to switch user: {words}");
        return ExitCode::FAILURE;
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            remark(&words);
            ExitCode::FAILURE
        }
    }
}

fn show(text: &str, code: ExitCode) -> ExitCode {
    // Nobody who reads it, nothing to do.
    let _ = stdout().write_all(text.as_bytes());
    code
}

/// Says what went wrong.
fn remark(words: &str) {
    dated("error", words);
}

/// Says what is worth knowing.
fn notice(words: &str) {
    dated("notice", words);
}

fn dated(level: &str, words: &str) {
    let now = jiff::Zoned::now();
    let time = now.strftime("%a %b %d %H:%M:%S %Y");
    // Where even that cannot be written there is nothing left to do.
    let _ = writeln!(stderr(), "[{time}] [{level}] qslog: {words}");
}

fn run(cli: &Cli) -> Result<(), String> {
    let is_offline = cli.mode != Mode::Live;
    let format = Format::new(&cli.format, is_offline);
    let mut sinks = Sinks {
        screen: BufWriter::new(stdout()),
        main: cli.file.as_deref().map(open).transpose()?,
        detailed: None,
    };
    let names = names();
    let mut rules = Vec::new();
    if let (Some(path), Some(file)) = (&cli.rules, &cli.file) {
        let text = read(path)
            .map_err(|error| format!("could not read file '{}': {error}", path.display()))?;
        rules = rules::read(&String::from_utf8_lossy(&text), &names, &mut |words| notice(words))?;
        let mut detailed = file.clone().into_os_string();
        detailed.push(".detailed");
        sinks.detailed = Some(open(Path::new(&detailed))?);
    }
    let input = Watched::new(stdin().lock());
    let mut marks = Marks::new(!input.has_bar(), cli.verbose);
    let mut lines = Lines::new(input);
    if is_offline {
        // Nobody is hurt where that is not allowed.
        let _ = rustix::process::nice(NICENESS);
    }
    let verbose = cli.verbose;
    let done = match cli.mode {
        Mode::Live => {
            let options = live::Options { rotate: cli.rotate, memory: cli.memory };
            live::run(&mut lines, &format, Report::new(&format, names, rules), sinks, options)
        }
        Mode::Minutes | Mode::Summary => {
            let _ = writeln!(stderr(), "[qslog]: offline mode");
            let options = offline::Options { verbose, summary: cli.mode == Mode::Summary };
            let report = Report::new(&format, names, rules);
            offline::run(&mut lines, &format, report, &mut sinks, options)
        }
        Mode::Clients => {
            let clients = Clients::new(&format, names, counters());
            grouped::run(&mut lines, &format, clients, &mut sinks, &mut marks, verbose)
        }
        Mode::Urls | Mode::CutUrls => {
            let urls = urls::Urls::new(cli.mode == Mode::CutUrls);
            grouped::run(&mut lines, &format, urls, &mut sinks, &mut marks, verbose)
        }
    };
    match done {
        // Who reads our records has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| error.to_string()),
    }
}

fn open(path: &Path) -> Result<Output, String> {
    let problem = |error| format!("could not open file for writing '{}': {error}", path.display());
    Output::open(path).map_err(problem)
}

/// The names of `QSEVENTPATH`.
fn names() -> Names {
    named_by("QSEVENTPATH").map(|text| Names::listed(&text)).unwrap_or_default()
}

/// The counters of `QSCOUNTERPATH`.
fn counters() -> Vec<counters::Counter> {
    let text = named_by("QSCOUNTERPATH").unwrap_or_default();
    counters::read(&String::from_utf8_lossy(&text), &mut |words| notice(words))
}

/// The content of the file that a variable of the environment names. A file that is not there is no reason to stop:
/// a server that starts us as its logger would have no log.
fn named_by(variable: &str) -> Option<Vec<u8>> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty())?;
    let problem = |error| notice(&format!("could not read file '{}': {error}", path.display()));
    read(&path).map_err(problem).ok()
}

/// Becomes another user, and of its groups. Who is not root stays who he is.
fn switch_user(name: &str) -> Result<(), String> {
    use nix::unistd::{User, geteuid, initgroups, setgid, setuid};
    if !geteuid().is_root() {
        return Ok(());
    }
    let unknown = || format!("unknown user id '{name}'");
    let user = User::from_name(name).ok().flatten().ok_or_else(unknown)?;
    let c_name = CString::new(name).map_err(|_| unknown())?;
    initgroups(&c_name, user.gid)
        .and_then(|()| setgid(user.gid))
        .and_then(|()| setuid(user.uid))
        .map_err(|error| error.to_string())
}
