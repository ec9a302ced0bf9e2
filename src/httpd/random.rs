//! Random octets from the kernel, for keys and cookies. Nothing is kept between two calls, so that no
//! child repeats what another one has used.

/// Fills in random octets; false when the kernel has none.
pub fn fill(octets: &mut [u8]) -> bool {
    let mut rest = octets;
    while !rest.is_empty() {
        // SAFETY: the kernel writes at most this many octets to memory that is ours.
        let written = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(written) {
            Ok(written) => rest = rest.get_mut(written..).unwrap_or_default(),
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {
            }
            Err(_) => return false,
        }
    }
    true
}
