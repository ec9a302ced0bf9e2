//! Lines of whatever is fed in: as long as it likes, but only their beginning is kept.

use std::io::{BufRead, Result};

/// So much of a line is looked at. What stands behind an address is of no interest.
const KEPT: usize = 8 * 1024;

/// Hands the beginning of each line to `tell`, without its end.
pub fn each(input: &mut dyn BufRead, tell: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut line = Vec::new();
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            if !line.is_empty() {
                tell(&line);
            }
            return Ok(());
        }
        let end = buffer.iter().position(|octet| *octet == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        let free = KEPT.saturating_sub(line.len());
        line.extend_from_slice(part.get(..free.min(part.len())).unwrap_or(part));
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            tell(&line);
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_pieces_and_long_ones_are_cut() {
        let long = "x".repeat(3 * KEPT);
        let text = format!("a\n\r\n\n{long}\nb\0c\n\u{e9}");
        for size in [1, 3, 4096] {
            let mut input = std::io::BufReader::with_capacity(size, text.as_bytes());
            let mut lines = Vec::new();
            let read = each(&mut input, &mut |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
            });
            assert!(read.is_ok());
            assert_eq!(lines, ["a", "\r", "", &long[..KEPT], "b\0c", "\u{e9}"], "{size}");
        }
    }
}
