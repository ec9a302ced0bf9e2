//! What is counted per client, `-pc`.

use super::counters::{Counter, Window};
use super::counts::{self, CLASSES, Columns, WHOLE, average, columns};
use super::events::{self, Names};
use super::format::Element::{
    Client, ContentType, Events, KeepAlive, Maximum, Method, Sent, Status, User,
};
use super::format::{Fields, Format, number};
use super::grouped::{Groups, Problem, Table};
use std::io::Result;

/// So much of a client's name is kept.
const LONGEST_NAME: usize = 1024;
/// All clients together have so many events of different names.
const MOST_EVENTS: usize = 1_000_000;
const CONTENTS: [&str; 4] = ["html", "css/js", "img", "other"];

/// All clients, in the order in which they came.
pub struct Clients {
    shown: Columns,
    methods: bool,
    contents: bool,
    key: super::format::Element,
    counters: Vec<Counter>,
    /// Names of events; the first are always shown.
    names: Names,
    always: usize,
    events: usize,
    clients: Table<One>,
}

#[derive(Debug, Default)]
struct One {
    requests: u64,
    errors: u64,
    first_second: i64,
    last_second: i64,
    first_line: u64,
    last_line: u64,
    sent: u64,
    classes: [u64; 5],
    not_modified: u64,
    millis: u64,
    whole: [u64; 7],
    connections: u64,
    gets: u64,
    posts: u64,
    maximum: u64,
    contents: [u64; 4],
    windows: Vec<Window>,
    events: Vec<(usize, u64)>,
}

impl Clients {
    /// Begins with none. Clients are told apart by address, or where the format has none by user.
    pub fn new(format: &Format, names: Names, counters: Vec<Counter>) -> Clients {
        Clients {
            shown: Columns::of(format),
            methods: format.has(Method),
            contents: format.has(ContentType),
            key: if format.has(Client) { Client } else { User },
            counters,
            always: names.len(),
            names,
            events: 0,
            clients: Table::new(LONGEST_NAME),
        }
    }

    fn line(&self, name: &[u8], client: &One, lines: u64, out: &mut Vec<u8>) {
        let percent = |line: u64| average(line * 100, lines);
        let coverage = percent(client.first_line).min(100 - percent(client.last_line));
        let seconds = u64::try_from(client.last_second - client.first_second).unwrap_or(0);
        out.extend_from_slice(name);
        out.push(b';');
        columns(
            out,
            [
                ("req", client.requests),
                ("errors", client.errors),
                ("duration", if client.requests == 1 { 1 } else { seconds }),
                ("bytes", client.sent),
            ],
        );
        columns(out, CLASSES.into_iter().zip(client.classes));
        let millis = average(client.millis, client.requests);
        columns(out, [("304", client.not_modified), ("av", millis / 1000), ("avms", millis)]);
        columns(out, WHOLE.into_iter().zip(client.whole));
        if self.shown.connections {
            columns(out, [("esco", client.connections)]);
        }
        if self.methods {
            columns(out, [("GET", client.gets), ("POST", client.posts)]);
        }
        columns(out, [("ci", coverage)]);
        if self.shown.numbers {
            columns(out, [("M", client.maximum)]);
        }
        let counters = self.counters.iter().map(|counter| counter.name.as_str());
        columns(out, counters.zip(client.windows.iter().map(|window| window.reached)));
        if self.contents {
            columns(out, CONTENTS.into_iter().zip(client.contents));
        }
        for (number, count) in &client.events {
            out.extend_from_slice(self.names.name(*number));
            out.extend_from_slice(format!(";{count};").as_bytes());
        }
        out.push(b'\n');
    }
}

impl Groups for Clients {
    const NAME: &str = "client";
    const IS_TIMED: bool = true;

    fn count(
        &mut self,
        fields: &Fields,
        line: u64,
        second: i64,
    ) -> std::result::Result<(), Problem> {
        let Some(name) = fields.get(self.key) else { return Ok(()) };
        let client = self.clients.entry(name, || One {
            first_second: second,
            first_line: line,
            windows: vec![Window::default(); self.counters.len()],
            events: (0..self.always).map(|number| (number, 0)).collect(),
            ..One::default()
        })?;
        client.count(fields, line, second);
        for (window, counter) in client.windows.iter_mut().zip(&self.counters) {
            counter.count(fields, second, window);
        }
        for name in fields.get(Events).into_iter().flat_map(events::in_element) {
            let Some(number) = self.names.number(name) else { continue };
            match client.events.iter_mut().find(|(known, _)| *known == number) {
                Some((_, count)) => *count += 1,
                None if self.events < MOST_EVENTS => {
                    self.events += 1;
                    client.events.push((number, 1));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn shown(&self, fields: &Fields) -> (counts::Duration, Option<&[u8]>) {
        (counts::duration(fields).unwrap_or_default(), None)
    }

    fn write(&self, lines: u64, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut out = Vec::new();
        for (name, client) in self.clients.iter() {
            out.clear();
            self.line(name, client, lines, &mut out);
            write(&out)?;
        }
        Ok(())
    }
}

impl One {
    fn count(&mut self, fields: &Fields, line: u64, second: i64) {
        self.requests += 1;
        self.last_second = second;
        self.last_line = line;
        self.sent = self.sent.saturating_add(fields.get(Sent).map_or(0, number));
        if let Some(status) = fields.get(Status) {
            counts::count_class(&mut self.classes, Some(status));
            self.errors += u64::from(!matches!(status, b"200" | b"302" | b"304"));
            self.not_modified += u64::from(status == b"304");
        }
        let duration = counts::duration(fields).unwrap_or_default();
        self.millis = self.millis.saturating_add(duration.in_millis());
        counts::count_whole(&mut self.whole, duration.seconds);
        self.connections += u64::from(fields.get(KeepAlive) == Some(b"0"));
        if let Some(method) = fields.get(Method) {
            self.gets += u64::from(method.eq_ignore_ascii_case(b"GET"));
            self.posts += u64::from(method.eq_ignore_ascii_case(b"POST"));
        }
        self.maximum = self.maximum.max(fields.get(Maximum).map_or(0, number));
        if let Some(content) = fields.get(ContentType)
            && let Some(count) = self.contents.get_mut(class_of(content))
        {
            *count += 1;
        }
    }
}

/// The class of a content type.
fn class_of(content: &[u8]) -> usize {
    let says =
        |word: &[u8]| content.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    match () {
        () if says(b"html") => 0,
        () if says(b"image") => 2,
        () if says(b"css") || says(b"javascript") => 1,
        () => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(format: &str, lines: &[&str]) -> String {
        let format = Format::new(format, true);
        let mut clients = Clients::new(&format, Names::listed(b"A"), Vec::new());
        for (number, line) in (1..).zip(lines) {
            assert_eq!(
                clients.count(&format.split(line.as_bytes()), number, 60 * number as i64),
                Ok(())
            );
        }
        let mut out = Vec::new();
        let written = clients.write(lines.len() as u64, &mut |line| {
            out.extend_from_slice(line);
            Ok(())
        });
        assert!(written.is_ok());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn clients_are_told_apart_and_their_place_in_the_log_told() {
        let text =
            lines_of("IcmE", &["1 text/html GET B", "2", "1 x/css get", "", "3 IMAGE/x - A"]);
        let names: Vec<_> = text.lines().filter_map(|line| line.split(';').next()).collect();
        assert_eq!(names, ["1", "2", "", "3"]);
        assert!(text.starts_with("1;req;2;errors;0;duration;120;bytes;0;"), "{text}");
        assert!(
            text.contains("GET;2;POST;0;ci;20;html;1;css/js;1;img;0;other;0;A;0;B;1;\n2;req;1;"),
            "{text}"
        );
        assert!(
            text.contains("duration;1;")
                && text.ends_with("ci;0;html;0;css/js;0;img;1;other;0;A;1;\n")
        );
    }

    #[test]
    fn there_are_only_so_many() {
        let format = Format::new("U", true);
        let mut clients = Clients::new(&format, Names::default(), Vec::new());
        for number in 0..crate::qslog::grouped::MOST as u64 {
            assert_eq!(
                clients.count(&format.split(number.to_string().as_bytes()), number, 0),
                Ok(())
            );
        }
        assert_eq!(clients.count(&format.split(b"new"), 0, 0), Err(Problem::Full));
        assert_eq!(clients.count(&format.split(b"7"), 0, 0), Ok(()));
    }
}
