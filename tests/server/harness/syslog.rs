//! The system's log of one's own: a socket that takes the place of `/dev/log` for one thread, and for the
//! programs that it starts. Everybody else sees the machine's.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What comes by syslog from this thread's programs.
pub struct Syslog {
    directory: PathBuf,
    socket: UnixDatagram,
}

impl Syslog {
    /// Gives the thread of a [`super::Namespace`] a `/dev` of its own. Where that is not permitted the test
    /// is skipped, with a word on why.
    pub fn open() -> Option<Syslog> {
        match take_over() {
            Ok(syslog) => Some(syslog),
            Err(why) => {
                println!("skipped: no /dev of one's own: {why}");
                None
            }
        }
    }

    /// What came since the last look.
    pub fn told(&self) -> Vec<String> {
        let mut octets = [0; 4096];
        std::iter::from_fn(|| self.socket.recv(&mut octets).ok().map(|n| octets[..n].to_vec()))
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .collect()
    }

    /// Writes what came since the last look into a file, as rsyslogd does: time, host, and the line.
    pub fn write_to(&self, path: &Path) -> Vec<String> {
        let told = self.told();
        let mut file = OpenOptions::new().append(true).open(path).expect("a log");
        for line in &told {
            let line = line.split_once('>').map_or("", |(_, line)| line);
            let (time, rest) = line.split_at_checked(16).unwrap_or(("", line));
            writeln!(file, "{time}host {rest}").expect("it is written");
        }
        told
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn take_over() -> Result<Syslog, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mod_qos_rs.dev.{}.{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let socket = UnixDatagram::bind(directory.join("log")).map_err(|error| error.to_string())?;
    let syslog = Syslog { directory, socket };
    for path in [syslog.directory.clone(), syslog.directory.join("log")] {
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(path, everybody).map_err(|error| error.to_string())?;
    }
    syslog.socket.set_nonblocking(true).map_err(|error| error.to_string())?;
    let nodes = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];
    let copied = Command::new("cp").arg("-a").args(nodes).arg(&syslog.directory).status();
    if !copied.is_ok_and(|status| status.success()) {
        return Err("nodes cannot be made".to_owned());
    }
    let path = CString::new(syslog.directory.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    mount(&path).map_err(|error| error.to_string())?;
    Ok(syslog)
}

fn mount(directory: &CString) -> std::io::Result<()> {
    let ok = |result: i32| match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: the calling thread gets a tree of its own, in which two mounts change; paths are C text.
    unsafe {
        ok(libc::unshare(libc::CLONE_NEWNS))?;
        let none = core::ptr::null();
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        ok(libc::mount(none, c"/".as_ptr(), none, flags, none.cast()))?;
        ok(libc::mount(directory.as_ptr(), c"/dev".as_ptr(), none, libc::MS_BIND, none.cast()))
    }
}
