//! Lines to the system's log, as syslog(3) sends them, but never waiting long for who reads them: what cannot be
//! sent at once waits here, for a while.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

const SOCKET: &str = "/dev/log";
/// The name that lines begin with.
const NAME: &str = "apache2-qos";
/// Facility auth, level warning.
const PRIORITY: i32 = libc::LOG_AUTH | libc::LOG_WARNING;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The kernel keeps ten lines, or some more, until they are read. So long a reader gets to make room for one.
const PATIENCE: Duration = Duration::from_millis(50);
/// And so long for all of them, at one time.
const TURN: Duration = Duration::from_millis(300);
/// What nobody has taken after that is not worth telling any more.
const OLD: Duration = Duration::from_secs(60);
/// So many lines wait at most, of some eighty octets each.
const MOST: usize = 50_000;

/// Lines that are to be sent.
#[derive(Default)]
pub struct Outbox(VecDeque<(Instant, String)>);

impl Outbox {
    /// Adds a line; where there is no room, the oldest one makes it.
    pub fn add(&mut self, text: &str) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let line = format!("<{PRIORITY}>{} {NAME}[{}]: {text}", time(), std::process::id());
        self.0.push_back((Instant::now(), line));
    }

    /// Sends what can be sent now. An error says that nobody is there to read, or nobody has for a long time;
    /// that a reader is slow is none.
    pub fn send(&mut self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let result = self.send_all();
        let waiting = self.0.len();
        self.0.retain(|(since, _)| since.elapsed() < OLD);
        match result {
            Err(error) if is_slow(&error) && self.0.len() == waiting => Ok(()),
            result => result,
        }
    }

    fn send_all(&mut self) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let begin = Instant::now();
        while let Some((_, line)) = self.0.front() {
            if begin.elapsed() > TURN {
                return Err(io::Error::from(ErrorKind::TimedOut));
            }
            match socket.send(line.as_bytes()) {
                Ok(_) => drop(self.0.pop_front()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_slow(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The local time as `Nov  2 09:30:15`.
fn time() -> String {
    // SAFETY: numbers and a pointer that is not followed; all zeroes is a good value, written by the call.
    let time = unsafe {
        let now = libc::time(core::ptr::null_mut());
        let mut time: libc::tm = core::mem::zeroed();
        libc::localtime_r(&now, &mut time);
        time
    };
    let month =
        usize::try_from(time.tm_mon).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    let (day, hour, minute, second) = (time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
    format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}")
}
