//! A program that httpd starts and keeps alive, to write lines to.

use super::pool::Pool;
use crate::ffi::bindings as httpd;
use core::ffi::c_int;

/// How much may lie in the pipe while the program is busy; the kernel may grant less.
const PIPE_OCTETS: c_int = 1 << 20;

/// The end of a pipe that lines are written to.
#[derive(Clone, Copy)]
pub struct PipedLog(c_int);

impl PipedLog {
    /// Starts the program of a command in httpd's words (`|prog`, `||prog`, `|$shell command`). It ends with
    /// the pool.
    pub fn open(pool: Pool, command: &str) -> Option<PipedLog> {
        let command = std::ffi::CString::new(command.strip_prefix('|')?).ok()?;
        let mut descriptor = -1;
        // SAFETY: the pool is alive and httpd copies the command; the record that it returns lives in the pool.
        unsafe {
            let log = httpd::ap_open_piped_log(pool.as_ptr(), command.as_ptr());
            if log.is_null() {
                return None;
            }
            let file = httpd::ap_piped_log_write_fd(log);
            if file.is_null() || httpd::apr_os_file_get(&mut descriptor, file) != 0 {
                return None;
            }
        }
        // SAFETY: acts on our own descriptor. The other end is another file to the kernel: the program still
        // waits when it reads.
        unsafe {
            let flags = libc::fcntl(descriptor, libc::F_GETFL);
            libc::fcntl(descriptor, libc::F_SETPIPE_SZ, PIPE_OCTETS);
            if flags < 0 || libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK) < 0 {
                return None;
            }
        }
        Some(PipedLog(descriptor))
    }

    /// Writes a line of at most PIPE_BUF octets, whole or not at all, and never waits. False when there is
    /// no room for it.
    pub fn write(self, line: &[u8]) -> bool {
        // SAFETY: the kernel reads so many octets.
        let written = unsafe { libc::write(self.0, line.as_ptr().cast(), line.len()) };
        usize::try_from(written) == Ok(line.len())
    }
}
