//! One line to the system's log, as syslog(3) sends it, but never waiting for who reads it.

use std::io;
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/dev/log";
/// The name that lines begin with.
const NAME: &str = "apache2-qos";
/// Facility auth, level warning.
const PRIORITY: i32 = libc::LOG_AUTH | libc::LOG_WARNING;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Sends a line.
pub fn write(text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let line = format!("<{PRIORITY}>{} {NAME}[{}]: {text}", time(), std::process::id());
    socket.send_to(line.as_bytes(), SOCKET).map(|_| ())
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
