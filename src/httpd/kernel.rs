//! What the kernel says of a connection's socket, and how a socket is shut.

use crate::ffi::bindings as httpd;
use core::ffi::{c_int, c_void};
use core::mem::{offset_of, size_of};
use qos_engine::rules::data_rate::shedding::Close;
use qos_engine::rules::data_rate::watch::Sample;
use qos_engine::time::Millis;

/// The first part of the kernel's tcp_info (linux/tcp.h), which only ever grows at its end.
#[repr(C)]
#[derive(Default)]
struct TcpInfo {
    state: u8,
    _options: [u8; 7],
    _timers: [u32; 11],
    last_data_recv: u32,
    _metrics: [u32; 12],
    _pacing: [u64; 2],
    bytes_acked: u64,
    bytes_received: u64,
}

const _: () = {
    assert!(offset_of!(TcpInfo, last_data_recv) == 52);
    assert!(offset_of!(TcpInfo, bytes_acked) == 120);
    assert!(size_of::<TcpInfo>() == 136);
};

// States of the kernel's enum (netinet/tcp.h).
const TCP_ESTABLISHED: u8 = 1;
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;

/// Asks the kernel how far a connection is. `None` for what is no TCP, or for a kernel before 4.2.
pub fn sample(descriptor: c_int) -> Option<Sample> {
    let info = ask(descriptor)?;
    Some(Sample {
        received: info.bytes_received,
        unread: queued(descriptor, libc::FIONREAD)?,
        quiet_millis: info.last_data_recv,
        acknowledged: info.bytes_acked,
        pending: queued(descriptor, libc::TIOCOUTQ)?,
        is_receiving: info.state == TCP_ESTABLISHED,
        is_sending: matches!(info.state, TCP_ESTABLISHED | TCP_CLOSE_WAIT),
    })
}

fn ask(descriptor: c_int) -> Option<TcpInfo> {
    let mut info = TcpInfo::default();
    let mut length = size_of::<TcpInfo>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets, any of which make good numbers.
    let result = unsafe {
        let option = (&raw mut info).cast::<c_void>();
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, option, &raw mut length)
    };
    (result == 0 && length as usize >= size_of::<TcpInfo>()).then_some(info)
}

/// Returns how long the last data of a peer has been waiting for us, if the peer has closed or reset its end
/// since: one system call for each connection where block events are counted of connections.
///
/// # Safety
/// `socket` is null or a socket of httpd's that is alive.
pub unsafe fn left_after(socket: *mut c_void) -> Option<Millis> {
    let mut descriptor = -1;
    // SAFETY: the caller's word.
    let found = !socket.is_null()
        && unsafe { httpd::apr_os_sock_get(&raw mut descriptor, socket.cast()) } == 0;
    let info = if found { ask(descriptor) } else { None }?;
    matches!(info.state, TCP_CLOSE | TCP_CLOSE_WAIT).then_some(Millis(info.last_data_recv))
}

fn queued(descriptor: c_int, which: libc::Ioctl) -> Option<u32> {
    let mut octets: c_int = 0;
    // SAFETY: the kernel writes one int.
    let result = unsafe { libc::ioctl(descriptor, which, &raw mut octets) };
    if result == 0 { u32::try_from(octets).ok() } else { None }
}

/// Shuts a socket, so that whoever waits in a read or write of it returns. Its descriptor stays open: closing
/// it is httpd's.
pub fn shut(descriptor: c_int, how: Close) {
    let how = match how {
        Close::ReadHalf => libc::SHUT_RD,
        Close::Whole => {
            // When httpd closes it, the kernel shall not go on trying to send what it still has.
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            // SAFETY: the kernel reads one value of this size.
            unsafe {
                libc::setsockopt(
                    descriptor,
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast::<c_void>(),
                    size_of::<libc::linger>() as libc::socklen_t,
                )
            };
            libc::SHUT_RDWR
        }
    };
    // SAFETY: acts on the socket alone.
    unsafe { libc::shutdown(descriptor, how) };
}
