//! Rows of workers in a status page that a browser for terminals has written down: words with blanks between
//! them, below a line that names the columns. A row that is too wide goes on in the next line.

use super::tally::{Tally, Who};

/// Where the client stands when nobody says: in httpd 2.4.27 and later, and before.
const USUAL: [usize; 2] = [11, 10];

/// Reads row by row.
#[derive(Debug, Default)]
pub struct Rows {
    column: Option<usize>,
    /// The words of a row whose client has not come yet.
    open: Option<Vec<Vec<u8>>>,
}

impl Rows {
    /// Reads a line. True when it belongs to the table of workers.
    pub fn read(&mut self, line: &[u8], tally: &mut Tally) -> bool {
        let mut words = words(line);
        let first = words.next().unwrap_or(b"");
        if is_slot(first) {
            self.end(tally);
            self.open = Some(vec![first.to_vec()]);
            self.go_on(words, tally);
            return true;
        }
        if first == b"Srv" && words.next() == Some(b"PID") {
            self.end(tally);
            self.column = words.position(|word| word == b"Client").map(|place| place + 2);
            return true;
        }
        if self.open.is_some() {
            self.go_on(std::iter::once(first).chain(words), tally);
            return true;
        }
        false
    }

    /// The input is over.
    pub fn end(&mut self, tally: &mut Tally) {
        if let Some(row) = self.open.take() {
            tally.add_or_skip(self.client(&row));
        }
    }

    fn go_on<'w>(&mut self, words: impl Iterator<Item = &'w [u8]>, tally: &mut Tally) {
        let wanted = self.column.unwrap_or(USUAL[0]) + 1;
        let Some(row) = &mut self.open else { return };
        for word in words.take(wanted.saturating_sub(row.len())) {
            row.push(word.to_vec());
        }
        if row.len() >= wanted {
            self.end(tally);
        }
    }

    fn client(&self, row: &[Vec<u8>]) -> Option<Who> {
        let of = |place: usize| row.get(place).and_then(|word| Who::parse(word));
        match self.column {
            Some(place) => of(place),
            None => USUAL.into_iter().find_map(of),
        }
    }
}

/// Words with blanks between them.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// `<child>-<generation>`: how a row begins.
fn is_slot(word: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = word.split(|octet| *octet == b'-');
    let (child, generation, rest) = (parts.next(), parts.next(), parts.next());
    child.is_some_and(is_number) && generation.is_some_and(is_number) && rest.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> (Vec<(String, u64)>, u64) {
        let (mut rows, mut tally) = (Rows::default(), Tally::default());
        for line in text.lines() {
            rows.read(line.as_bytes(), &mut tally);
        }
        rows.end(&mut tally);
        let found = tally.found(1, None, None);
        (found.iter().map(|found| (found.who.to_string(), found.count)).collect(), tally.skipped())
    }

    #[test]
    fn the_client_is_found_by_the_name_of_its_column_or_by_its_usual_place() {
        let header = "   Srv  PID   Acc  M CPU  SS Req Dur Conn Child Slot  Client   Protocol VHost Request\n";
        let row = "   0-0 25577 0/1/1 _ 0.00 0  0   1   0.0  0.00  0.00 127.0.0.1 http/1.1 a:80 GET /9.9.9.9 HTTP/1.1\n";
        let expected = (vec![("127.0.0.1".to_owned(), 1)], 0);
        assert_eq!(tally(&format!("{header}{row}")), expected);
        assert_eq!(tally(row), expected);
        let old_header =
            "   Srv  PID   Acc  M CPU  SS Req Conn Child Slot  Client  VHost Request\n";
        let old_row =
            "   0-0 25577 0/1/1 W 0.00 0 0 0.0  0.00  0.00 127.0.0.1 a:80 GET / HTTP/1.1\n";
        assert_eq!(tally(&format!("{old_header}{old_row}")), expected);
        assert_eq!(tally(old_row), expected);
    }

    #[test]
    fn a_row_goes_on_in_the_next_line() {
        let text = "   Srv PID Acc M CPU SS Req Dur Conn Child Slot Client Protocol VHost
   Request
   0-0 26017 0/0/0 W 0.00 0 0 0 0.0 0.00 0.00
   2001:db8:1111:2222:3333:4444:5555:6666 http/1.1
   base.example:7777 GET /1.2.3.4 HTTP/1.0
   1-0 26018 0/1/1 _ 0.00 0 0 0 0.0 0.00 0.00 127.0.0.1 http/1.1
   base.example:7777 GET /a/ HTTP/1.1
   2-0 - 0/0/0 . 0.00 0 0 0 0.0 0.00 0.00 http/1.1
   3-0 26019 0/0/0 _ 0.00";
        let found = [("127.0.0.1", 1), ("2001:db8:1111:2222:3333:4444:5555:6666", 1)];
        let found = found.map(|(who, count)| (who.to_owned(), count)).to_vec();
        assert_eq!(tally(text), (found, 2));
    }

    #[test]
    fn what_is_no_row_is_none() {
        for line in ["", "1.2.3.4", "0-0-0 x", "-0 x", "0- x", "Srv Child Server", "x-0 1.2.3.4"] {
            let (mut rows, mut tally) = (Rows::default(), Tally::default());
            assert!(!rows.read(line.as_bytes(), &mut tally), "{line:?}");
        }
    }
}
