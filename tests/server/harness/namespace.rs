//! A network of one's own, for clients with many IPv6 addresses: loopback has only ::1.

use std::net::Ipv6Addr;
use std::process::{Command, Stdio};

/// The private network that the current thread lives in. It has no name: the kernel removes it
/// with the last process in it, so not even a killed test leaves one behind.
pub struct Namespace;

impl Namespace {
    /// Runs a test in a new network whose loopback has the given IPv6 addresses. Sockets that the
    /// test opens and servers that it starts are in there, since both belong to its thread. Where
    /// this is not permitted the test is skipped, with a word on why.
    pub fn run(addresses: &[&str], test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| match enter(addresses) {
                Ok(()) => test(),
                Err(why) => println!("skipped: {why}"),
            });
            if let Err(panic) = inside.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }
}

fn enter(addresses: &[&str]) -> Result<(), String> {
    // SAFETY: unshare changes only the calling thread, which was started for this test.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("no network namespace can be made here ({error})"));
    }
    ip(&["link", "set", "lo", "up"])?;
    for address in addresses {
        address.parse::<Ipv6Addr>().map_err(|error| format!("{address}: {error}"))?;
        ip(&["-6", "address", "add", &format!("{address}/128"), "dev", "lo", "nodad"])?;
    }
    Ok(())
}

fn ip(words: &[&str]) -> Result<(), String> {
    let status = Command::new("ip").args(words).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ip {} ended with {status}", words.join(" "))),
        Err(error) => Err(format!("ip cannot be run ({error}); install iproute2")),
    }
}
