//! Real time: lines from a pipe, and a record at each full minute, whether lines come or not.

use super::format::Format;
use super::input::{Lines, Watched};
use super::output::Sinks;
use super::report::Report;
use super::{notice, remark};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use nix::sys::signal::{SigSet, Signal};
use std::io::{Read, Result, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What else is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The file is set aside once a day, and so many old ones are kept.
    pub rotate: Option<usize>,
    /// There is a column for free memory.
    pub memory: bool,
}

struct State {
    report: Report,
    sinks: Sinks,
    options: Options,
}

/// Reads until the input ends, or somebody asks us to.
pub fn run<R: Read>(
    lines: &mut Lines<Watched<R>>,
    format: &Format,
    report: Report,
    sinks: Sinks,
    options: Options,
) -> Result<()> {
    let state = Arc::new(Mutex::new(State { report, sinks, options }));
    // Blocked here, in all threads, and waited for in one: httpd ends its piped loggers by SIGTERM.
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    ends.thread_block()?;
    let at_end = Arc::clone(&state);
    std::thread::spawn(move || {
        if ends.wait().is_ok() {
            let code = i32::from(locked(&at_end).rest().is_err());
            std::process::exit(code);
        }
    });
    let each_minute = Arc::clone(&state);
    std::thread::spawn(move || keep_time(&each_minute));
    while let Some(line) = lines.next()? {
        let fields = format.split(line);
        locked(&state).report.count(&fields, now());
    }
    locked(&state).rest()
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn keep_time(state: &Mutex<State>) {
    loop {
        let before = Timestamp::now();
        let next = (before.as_second().div_euclid(60) + 1) * 60;
        let left = next * 1000 - before.as_millisecond();
        std::thread::sleep(Duration::from_millis(left.unsigned_abs()));
        // A clock that was set back makes no minute full.
        if now() < next {
            continue;
        }
        let mut state = locked(state);
        let Ok(time) = Timestamp::from_second(next) else { continue };
        let time = time.to_zoned(TimeZone::system());
        if let Err(error) = state.full_minute(&time) {
            remark(&format!("could not write: {error}"));
        }
    }
}

impl State {
    fn full_minute(&mut self, time: &Zoned) -> Result<()> {
        self.record(time)?;
        if let Some(kept) = self.options.rotate
            && (time.hour(), time.minute()) == (23, 59)
        {
            let time = time.strftime("%Y%m%d%H%M%S").to_string();
            self.sinks.rotate(&time, kept)?;
        }
        Ok(())
    }

    /// The end comes within a minute: what was counted of it is written with the time that it is.
    fn rest(&mut self) -> Result<()> {
        if self.report.is_empty() {
            return Ok(());
        }
        self.record(&Zoned::now())
    }

    fn record(&mut self, time: &Zoned) -> Result<()> {
        let label = time.strftime("%d.%m.%Y %H:%M:%S").to_string();
        let mut machine = format!("sl;{};", load());
        if self.options.memory {
            let free = free_memory().map_or("-".to_owned(), |kilobytes| kilobytes.to_string());
            machine.push_str(&format!("m;{free};"));
        }
        let (mut main, mut detailed) = (Vec::new(), Vec::new());
        self.report.take(&label, time.timestamp().as_second(), &machine, &mut main, &mut detailed);
        for letter in self.report.overflowed() {
            notice(&format!("reached event ({letter}) count limit"));
        }
        self.sinks.write(&main, &detailed)?;
        self.sinks.screen.flush()
    }
}

/// The load of the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0_f64);
    format!("{load:.2}")
}

/// Free memory in kB, with what could be freed of files.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(of("MemFree:")? + of("Cached:")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qslog::events::Names;
    use crate::qslog::output::Output;
    use std::io::{BufWriter, Error, stdout};

    /// What is in the files of a directory, by their names.
    fn files(directory: &std::path::Path) -> Result<Vec<(String, String)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let text = std::fs::read_to_string(entry.path())?;
            let records = text.lines().filter_map(|line| line.get(..16)).collect::<Vec<_>>();
            files.push((entry.file_name().to_string_lossy().into_owned(), records.join(",")));
        }
        files.sort();
        Ok(files)
    }

    #[test]
    fn files_are_set_aside_behind_the_record_of_23_59() -> Result<()> {
        let directory = std::env::temp_dir().join(format!("qslog-live-{}", std::process::id()));
        for (rotate, expected) in [
            (
                Some(2),
                vec![
                    ("stat.csv", "26.11.2026 00:00"),
                    ("stat.csv.20261124235900", "24.11.2026 00:00,24.11.2026 23:59"),
                    ("stat.csv.20261125235900", "25.11.2026 00:00,25.11.2026 23:59"),
                    ("stat.csv.detailed", "26.11.2026 00:00"),
                    ("stat.csv.detailed.20261124235900", "24.11.2026 00:00,24.11.2026 23:59"),
                    ("stat.csv.detailed.20261125235900", "25.11.2026 00:00,25.11.2026 23:59"),
                ],
            ),
            (
                Some(0),
                vec![("stat.csv", "26.11.2026 00:00"), ("stat.csv.detailed", "26.11.2026 00:00")],
            ),
        ] {
            std::fs::create_dir_all(&directory)?;
            let open = |name: &str| Output::open(&directory.join(name)).map(Some);
            let rules = super::super::rules::read("a:b", &Names::default(), &mut |_| ());
            let sinks = Sinks {
                screen: BufWriter::new(stdout()),
                main: open("stat.csv")?,
                detailed: open("stat.csv.detailed")?,
            };
            let report = Report::new(
                &Format::new("C", false),
                Names::default(),
                rules.map_err(Error::other)?,
            );
            let mut state = State { report, sinks, options: Options { rotate, memory: false } };
            for day in 22..=25 {
                let time = |hour, minute| {
                    let day = jiff::civil::date(2026, 11, day);
                    day.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).map_err(Error::other)
                };
                state.full_minute(&time(23, 59)?)?;
                let midnight = time(23, 59)?.saturating_add(jiff::Span::new().minutes(1));
                state.full_minute(&midnight)?;
            }
            let found = files(&directory)?;
            let found: Vec<_> =
                found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            assert_eq!(found, expected);
            std::fs::remove_dir_all(&directory)?;
        }
        Ok(())
    }

    #[test]
    fn the_machine_says_how_it_is() {
        let load = load();
        assert!(
            load.parse::<f64>().is_ok() && load.rsplit('.').next().map(str::len) == Some(2),
            "{load}"
        );
        assert!(free_memory().is_some_and(|free| free > 0));
    }
}
