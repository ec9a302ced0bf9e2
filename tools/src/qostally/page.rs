//! A status page in HTML: of each row of the table of workers, the cell below "Client". Nothing else on the
//! page counts, least of all what clients have asked for.

use super::tally::{Tally, Who};
use std::io::{BufRead, Result};

/// No table of httpd's has more columns, and no address more letters; the rest of what stands there is left out.
const MOST_CELLS: usize = 32;
const MOST_LETTERS: usize = 64;
const MOST_OF_TAG: usize = 8;

/// Reads a page to its end.
pub fn read(input: &mut dyn BufRead, tally: &mut Tally) -> Result<()> {
    let mut page = Page::default();
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            page.end_row(tally);
            return Ok(());
        }
        for octet in buffer {
            page.take(*octet, tally);
        }
        let used = buffer.len();
        input.consume(used);
    }
}

#[derive(Debug, Default)]
struct Page {
    /// The beginning of a tag that is not closed yet.
    tag: Option<Vec<u8>>,
    /// Cells of the row that is read.
    cells: Vec<Vec<u8>>,
    /// What comes belongs to the last of them.
    is_in_cell: bool,
    /// One of them names its column.
    is_header: bool,
    /// The column of clients in this table.
    column: Option<usize>,
}

impl Page {
    fn take(&mut self, octet: u8, tally: &mut Tally) {
        match (&mut self.tag, octet) {
            (Some(_), b'>') => {
                let tag = self.tag.take().unwrap_or_default();
                self.obey(&tag, tally);
            }
            (Some(tag), _) if tag.len() < MOST_OF_TAG => tag.push(octet.to_ascii_lowercase()),
            (Some(_), _) => {}
            (None, b'<') => self.tag = Some(Vec::new()),
            (None, _) if self.is_in_cell => {
                if let Some(cell) = self.cells.last_mut().filter(|cell| cell.len() < MOST_LETTERS) {
                    cell.push(octet);
                }
            }
            _ => {}
        }
    }

    fn obey(&mut self, tag: &[u8], tally: &mut Tally) {
        let name = tag.split(u8::is_ascii_whitespace).next().unwrap_or(b"");
        match name {
            b"table" | b"/table" => {
                self.end_row(tally);
                self.column = None;
            }
            b"tr" | b"/tr" => self.end_row(tally),
            b"td" | b"th" => {
                self.is_header |= name == b"th";
                self.is_in_cell = self.cells.len() < MOST_CELLS;
                if self.is_in_cell {
                    self.cells.push(Vec::new());
                }
            }
            b"/td" | b"/th" => self.is_in_cell = false,
            _ => {}
        }
    }

    fn end_row(&mut self, tally: &mut Tally) {
        self.is_in_cell = false;
        let is_header = std::mem::take(&mut self.is_header);
        let cells = std::mem::take(&mut self.cells);
        if is_header {
            let client = cells.iter().position(|cell| cell.trim_ascii() == b"Client");
            self.column = client.or(self.column);
        } else if let Some(cell) = self.column.and_then(|column| cells.get(column)) {
            tally.add_or_skip(Who::parse(cell.trim_ascii()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &[u8]) -> (Vec<(String, u64)>, u64) {
        let mut counted = Vec::new();
        for size in [1, 7, 4096] {
            let mut tally = Tally::default();
            let mut input = std::io::BufReader::with_capacity(size, text);
            assert!(read(&mut input, &mut tally).is_ok());
            let found = tally.found(1, None, None);
            let found: Vec<(String, u64)> =
                found.iter().map(|found| (found.who.to_string(), found.count)).collect();
            counted.push((found, tally.skipped()));
        }
        assert!(counted.windows(2).all(|two| two[0] == two[1]), "{counted:?}");
        counted.remove(0)
    }

    const HEAD: &str = "<!DOCTYPE HTML><h1>Apache Server Status for 9.9.9.9</h1><table><tr><td>9.9.9.9</td></tr></table>
<table border=\"0\"><tr><th>Srv</th><th>PID</th><th>M</th><th>SS
</th><th>Client</th><th>Request</th></tr>\n";

    #[test]
    fn only_the_column_of_clients_counts() {
        let page = format!(
            "{HEAD}<tr><td><b>0-0</b></td><td>1</td><td>_\n</td><td>0</td><td>192.0.2.1</td><td nowrap>GET /9.9.9.9 HTTP/1.1</td></tr>
            <TR><TD>1-0<TD>2<TD><B>W</B><TD>0<TD class=\"a\"> 2001:db8::1\n<TD>GET /&lt;td&gt;9.9.9.9
            <tr><td>2-0</td><td>-</td><td>.</td><td>0</td><td></td><td></td></tr>
            <tr><td>short</td></tr></table>
            <table><tr><th>Client</td><td>9.9.9.9</td></tr></table><p>9.9.9.9</p>
            <tr><td>3-0</td><td>1</td><td>_</td><td>0</td><td>9.9.9.9</td></tr>"
        );
        let found = [("192.0.2.1", 1), ("2001:db8::1", 1)];
        let found = found.map(|(who, count)| (who.to_owned(), count)).to_vec();
        assert_eq!(tally(page.as_bytes()), (found, 1));
    }

    #[test]
    fn garbage_is_read_to_its_end() {
        let mut page = HEAD.as_bytes().to_vec();
        page.extend_from_slice(&b"<td>".repeat(100_000));
        page.extend_from_slice(&[b'x'; 100_000]);
        page.extend_from_slice(b"<tr><td>1<td>2<td>3<td>4<td>192.0.2.1\xff\x00</td></tr>");
        page.extend_from_slice(b"<tr><td>1<td>2<td>3<td>4<td>192.0.2.2<");
        page.extend_from_slice(&[b'y'; 100_000]);
        assert_eq!(tally(&page), (vec![("192.0.2.2".to_owned(), 1)], 2));
        assert_eq!(tally(b""), (vec![], 0));
    }
}
