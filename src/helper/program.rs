//! The administrator's program: one at a time, with a time limit, and gone when the helper is.

use super::tell;
use crate::httpd::server::Server;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So long it may take.
const LIMIT: Duration = Duration::from_secs(30);
/// So much longer when it was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// A program, and how far it is.
pub struct Program {
    path: String,
    running: Option<Running>,
}

struct Running {
    process: Child,
    since: Instant,
    is_told: bool,
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
        // Its complaints go to the error log.
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
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
            Ok(process) => {
                self.running = Some(Running { process, since: Instant::now(), is_told: false });
            }
            Err(error) => tell(server, format_args!("{} cannot be started: {error}", self.path)),
        }
    }

    /// Sees whether it has ended, and ends it when it takes too long.
    pub fn tend(&mut self, server: Server) {
        let Some(running) = &mut self.running else { return };
        match running.process.try_wait() {
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

impl Running {
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
