//! Tables for people.

/// Replaces what would do something to a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// Columns under their headings. Numbers stand to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes one with its headings.
    pub fn new(headings: &[&str]) -> Table {
        Table { rows: vec![headings.iter().map(|word| (*word).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row.iter().map(|cell| printable(cell)).collect());
    }

    /// Returns its lines.
    pub fn lines(&self) -> Vec<String> {
        let mut widths: Vec<(usize, bool)> = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                if widths.len() <= column {
                    widths.push((0, true));
                }
                if let Some((width, is_number)) = widths.get_mut(column) {
                    *width = (*width).max(cell.chars().count());
                    *is_number &= number == 0 || cell.bytes().all(|octet| octet.is_ascii_digit());
                }
            }
        }
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, (width, is_number))| {
                if *is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// A span as people say it: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be_and_nothing_commands_a_terminal() {
        let mut table = Table::new(&["ADDRESS", "EVENTS"]);
        table.push(vec!["192.0.2.7".to_owned(), "5".to_owned()]);
        table.push(vec!["\u{1b}[2J".to_owned(), "1000".to_owned()]);
        assert_eq!(table.lines(), ["ADDRESS    EVENTS", "192.0.2.7       5", "?[2J         1000"]);
        assert_eq!(Table::new(&["A", "B"]).lines(), ["A  B"]);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [0, 59, 61, 3599, 7500, 90_000].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min 1 s", "59 min 59 s", "2 h 5 min", "1 d 1 h"]);
    }
}
