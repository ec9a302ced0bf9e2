//! The socket of a client's connection: how long a read or write may take, and the mark of its packets.

use crate::ffi::bindings as httpd;
use crate::httpd::connection::Connection;
use core::ffi::{c_int, c_void};
use qos_engine::context::DscpFailure;
use qos_engine::time::Seconds;

/// Sets how long httpd waits for the client. Only for the thread that runs the connection.
pub fn set_timeout(connection: Connection, span: Seconds) {
    let micros = i64::from(span.0).saturating_mul(1_000_000);
    // SAFETY: a live connection, run by this thread; its socket lives as long.
    unsafe {
        let socket = httpd::ap_get_conn_socket(connection.as_ptr());
        if !socket.is_null() {
            httpd::apr_socket_timeout_set(socket, micros);
        }
    }
}

/// Sets the class of the packets to the client: the upper six bits of an octet.
pub fn set_dscp(connection: Connection, dscp: u8) -> Result<(), DscpFailure> {
    let Some(descriptor) = connection.primary().unwrap_or(connection).descriptor() else {
        return Err(DscpFailure { has_socket: false, code: -1 });
    };
    let class = c_int::from(dscp) << 2;
    let (level, name) = if is_ipv6(descriptor) {
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
    } else {
        (libc::IPPROTO_IP, libc::IP_TOS)
    };
    // SAFETY: an open descriptor, and an option of the type that these take.
    let result = unsafe {
        let class: *const c_void = (&raw const class).cast();
        libc::setsockopt(descriptor, level, name, class, size_of::<c_int>() as libc::socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(DscpFailure { has_socket: true, code: result }) }
}

fn is_ipv6(descriptor: c_int) -> bool {
    let mut family: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: an open descriptor; the kernel writes an int and its length.
    let result = unsafe {
        let family: *mut c_void = (&raw mut family).cast();
        libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_DOMAIN, family, &mut length)
    };
    result == 0 && family == libc::AF_INET6
}
