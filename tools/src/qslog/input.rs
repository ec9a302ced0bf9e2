//! Lines of the log, and for a person who waits how much of it is read.

use std::io::{BufRead, BufReader, ErrorKind, IsTerminal, Read, Result, Write};
use std::time::{Duration, Instant};

/// So much of a line is looked at; the rest is passed over.
const LONGEST: usize = 32_767;
/// So much is read at once.
const PIECE: usize = 256 * 1024;
/// A shorter file is read before anybody looks.
const LONG: u64 = 16 * 1024 * 1024;
const CELLS: u64 = 40;

/// Hands out lines, in constant memory.
pub struct Lines<R> {
    input: BufReader<R>,
    /// What of the buffer the last line has taken.
    used: usize,
    /// A line that lies in two buffers.
    pieced: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Reads lines of that.
    pub fn new(input: R) -> Lines<R> {
        Lines { input: BufReader::with_capacity(PIECE, input), used: 0, pieced: Vec::new() }
    }

    /// Returns the next line up to a NUL, without control characters at its end.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        self.input.consume(std::mem::take(&mut self.used));
        self.pieced.clear();
        let mut is_pieced = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(is_pieced.then(|| trimmed(&self.pieced)));
            }
            if let Some(end) = buffer.iter().position(|octet| *octet == b'\n') {
                self.used = end + 1;
                if !is_pieced {
                    break;
                }
                append(&mut self.pieced, buffer.get(..end).unwrap_or_default());
                return Ok(Some(trimmed(&self.pieced)));
            }
            append(&mut self.pieced, buffer);
            is_pieced = true;
            let length = buffer.len();
            self.input.consume(length);
        }
        let line = self.input.buffer().get(..self.used.saturating_sub(1)).unwrap_or_default();
        Ok(Some(trimmed(line.get(..LONGEST).unwrap_or(line))))
    }
}

fn append(line: &mut Vec<u8>, piece: &[u8]) {
    let free = LONGEST.saturating_sub(line.len()).min(piece.len());
    line.extend_from_slice(piece.get(..free).unwrap_or_default());
}

fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|octet| *octet == 0).unwrap_or(line.len());
    let line = line.get(..end).unwrap_or_default();
    let end = line.iter().rposition(|octet| *octet >= b' ').map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

/// Standard input, with a bar on stderr where a person watches a long file being read.
pub struct Watched<R> {
    input: R,
    bar: Option<Bar>,
}

struct Bar {
    size: u64,
    done: u64,
    began: Instant,
    drawn: Instant,
}

impl<R> Watched<R> {
    /// Shows a bar if that makes sense.
    pub fn new(input: R) -> Watched<R> {
        let file = std::fs::metadata("/dev/stdin").ok().filter(std::fs::Metadata::is_file);
        let size = file.map_or(0, |file| file.len());
        let now = Instant::now();
        let is_watched = size >= LONG && std::io::stderr().is_terminal();
        Watched { input, bar: is_watched.then_some(Bar { size, done: 0, began: now, drawn: now }) }
    }

    /// Returns whether there is a bar.
    pub fn has_bar(&self) -> bool {
        self.bar.is_some()
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.input.read(buffer)?;
        if let Some(bar) = &mut self.bar {
            bar.step(read);
        }
        Ok(read)
    }
}

impl Bar {
    fn step(&mut self, read: usize) {
        self.done = self.done.saturating_add(read as u64);
        // Where nothing can be drawn, there is no bar.
        let mut err = std::io::stderr().lock();
        if read == 0 {
            let _ = write!(err, "\r\x1b[K");
        } else if self.drawn.elapsed() >= Duration::from_millis(200) {
            self.drawn = Instant::now();
            let _ = write!(err, "\r{}\x1b[K", bar(self.done, self.size, self.began.elapsed()));
        }
        let _ = err.flush();
    }
}

/// The bar as text.
fn bar(done: u64, size: u64, since: Duration) -> String {
    let done = done.min(size);
    let share = |of: u64| done.saturating_mul(of).checked_div(size).unwrap_or(of);
    let full = share(CELLS) as usize;
    let left = since.as_secs().saturating_mul(size - done).checked_div(done).unwrap_or(0);
    let (before, behind) = ("#".repeat(full), "-".repeat(CELLS as usize - full));
    format!("[{before}{behind}] {:3} %  {left} s left", share(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_control_characters_and_long_ones_are_cut() {
        let long = "x".repeat(3 * PIECE + 7);
        let text = format!("a b\r\n\n\t\r\nc\0d\n{long}\n\u{e9}\n{long}");
        let mut lines = Lines::new(text.as_bytes());
        let mut found = Vec::new();
        while let Ok(Some(line)) = lines.next() {
            found.push(String::from_utf8_lossy(line).into_owned());
        }
        let cut = long.get(..LONGEST).unwrap_or_default();
        assert_eq!(found, ["a b", "", "", "c", cut, "\u{e9}", cut]);
        assert!(matches!(lines.next(), Ok(None)));
    }

    #[test]
    fn the_bar_says_how_long_it_will_take() {
        let text = bar(25, 100, Duration::from_secs(3));
        assert_eq!(text, "[##########------------------------------]  25 %  9 s left");
        assert!(bar(7, 5, Duration::ZERO).contains("100 %"));
        assert!(bar(0, 5, Duration::ZERO).contains("  0 %"));
    }
}
