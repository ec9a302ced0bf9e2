//! The administrator's program: one at a time, with a time limit, and gone when the helper is.

use super::tell;
use crate::httpd::server::Server;
use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// So long it may take.
const LIMIT: Duration = Duration::from_secs(30);
/// So much longer when it was told to end.
const GRACE: Duration = Duration::from_secs(2);
/// So many lines of its complaints are told of, and so many letters of each.
const LINES: usize = 10;
const LETTERS: usize = 200;
/// So much of them is read at one look; the pipe holds as much again.
const AT_ONCE: usize = 64 << 10;

/// A program, and how far it is.
pub struct Program {
    path: String,
    running: Option<Running>,
}

struct Running {
    process: Child,
    since: Instant,
    is_told: bool,
    complaints: Option<ChildStderr>,
    /// What of them is no whole line yet.
    begun: Vec<u8>,
    lines: usize,
}

/// At a start: is it a program at all?
pub fn check(path: &str) -> Result<(), String> {
    let wrong = |what: String| Err(format!("QS_SrvBusyWatchExec: '{path}' {what}"));
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => wrong("is no program".to_owned()),
        Err(error) => wrong(format!("cannot be looked at: {error}")),
    }
}

impl Program {
    /// Takes the path of a program.
    pub fn new(path: &str) -> Program {
        Program { path: path.to_owned(), running: None }
    }

    /// Starts it with a file as its only argument, unless it still runs.
    pub fn start(&mut self, file: &str, server: Server) {
        self.tend(server);
        if self.running.is_some() {
            tell(server, format_args!("{} still runs, it is not started for {file}", self.path));
            return;
        }
        let mut command = Command::new(&self.path);
        command.arg(file).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        // Its complaints come to us: not all that it may have to say belongs into the error log.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: calls that are allowed between fork and exec, which change the new process alone: it takes
        // signals again, and ends when the helper is killed.
        unsafe {
            command.pre_exec(|| {
                let mut none: libc::sigset_t = core::mem::zeroed();
                libc::sigemptyset(&mut none);
                libc::sigprocmask(libc::SIG_SETMASK, &none, core::ptr::null_mut());
                for number in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGUSR1] {
                    libc::signal(number, libc::SIG_DFL);
                }
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        match command.spawn() {
            Ok(mut process) => {
                let complaints = process.stderr.take();
                complaints.iter().for_each(never_wait);
                self.running = Some(Running {
                    process,
                    since: Instant::now(),
                    is_told: false,
                    complaints,
                    begun: Vec::new(),
                    lines: 0,
                });
            }
            Err(error) => tell(server, format_args!("{} cannot be started: {error}", self.path)),
        }
    }

    /// Sees whether it has ended, and ends it when it takes too long.
    pub fn tend(&mut self, server: Server) {
        let Some(running) = &mut self.running else { return };
        let result = running.process.try_wait();
        running.listen(&self.path, server, !matches!(result, Ok(None)));
        match result {
            Ok(None) => {}
            Ok(Some(status)) => {
                if !status.success() {
                    tell(server, format_args!("{} has ended with {status}", self.path));
                }
                self.running = None;
                return;
            }
            Err(_) => {
                self.running = None;
                return;
            }
        }
        let age = running.since.elapsed();
        if age > LIMIT && !running.is_told {
            running.is_told = true;
            tell(server, format_args!("{} has not ended in time and is ended", self.path));
            running.signal(libc::SIGTERM);
        }
        if age > LIMIT + GRACE {
            running.signal(libc::SIGKILL);
        }
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        if let Some(mut running) = self.running.take()
            && matches!(running.process.try_wait(), Ok(None))
        {
            running.signal(libc::SIGKILL);
            let _ = running.process.wait();
        }
    }
}

/// Reading what nobody has written yet shall not wait for it.
fn never_wait(pipe: &ChildStderr) {
    // SAFETY: our own end of a pipe.
    unsafe {
        let flags = libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
}

impl Running {
    /// Hears its complaints, and tells of the first of them. When it has ended, what is begun is all.
    fn listen(&mut self, path: &str, server: Server, has_ended: bool) {
        let Some(pipe) = &mut self.complaints else { return };
        let (mut octets, mut total) = ([0; 4096], 0);
        while total < AT_ONCE {
            match pipe.read(&mut octets) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    total += count;
                    let room = AT_ONCE.saturating_sub(self.begun.len()).min(count);
                    self.begun.extend_from_slice(octets.get(..room).unwrap_or(&[]));
                }
            }
        }
        while let Some(end) = self.begun.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.tell(path, server, &line);
        }
        if has_ended || self.begun.len() >= AT_ONCE {
            let rest = core::mem::take(&mut self.begun);
            self.tell(path, server, &rest);
        }
    }

    fn tell(&mut self, path: &str, server: Server, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text: String = text.trim().chars().take(LETTERS).collect();
        if self.lines < LINES && !text.is_empty() {
            self.lines += 1;
            tell(server, format_args!("{path} says: {text}"));
        }
    }

    /// Signals it and whatever it has started.
    fn signal(&self, number: i32) {
        if let Ok(pid) = libc::pid_t::try_from(self.process.id())
            && pid > 1
        {
            // SAFETY: a process group that we made, whose leader we have not waited for yet.
            unsafe { libc::kill(-pid, number) };
        }
    }
}
