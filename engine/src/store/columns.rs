//! Named columns of counters beside the table of clients: one per limit variable of the configuration.
//!
//! ```text
//!   heads    which name a column has, and which configuration last knew it       (16 octets each)
//!   cells    one window per client and column, a column after the other          (8 octets each)
//! ```
//!
//! A column is found again by its name, so counts outlive a restart, and variables come and go with it.
//! All columns that can be are laid out from the start; one that nobody uses is never touched and so
//! takes no memory. A name that the last configurations did not have loses its column. Before another
//! name gets it, it is cleared for all clients; and a child that still serves the old configuration is
//! kept out by the number of the lending, which it knows from its own configuration.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::meter::window::Window;

/// The most columns that there are: limit variables that a configuration can have.
pub const MOST: usize = 256;

/// All columns together take at most so much room; none of it is memory before somebody counts in it.
const ROOM: usize = 4 << 30;

/// Returns how many columns a table of so many rows has: fewer where it is very large.
pub fn columns_for(rows: usize) -> usize {
    (ROOM / size_of::<Window>() / rows.max(1)).clamp(32, MOST)
}

/// For so many configurations a name keeps its column though it is not used: somebody may only have
/// taken it out for a try.
const KEPT: u32 = 2;

/// What is known of a column.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Head {
    /// Hash of its name, 0 = free.
    name: AtomicU64,
    /// The configuration that last had the name.
    generation: AtomicU32,
    /// How often it was lent or taken back.
    lending: AtomicU32,
}

/// A column on loan to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    number: u32,
    lending: u32,
}

/// All columns of a table.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    heads: &'a [Head],
    cells: &'a [Window],
    rows: usize,
}

impl<'a> Columns<'a> {
    /// Lays columns over their memory: `heads.len()` times `rows` cells.
    pub fn new(heads: &'a [Head], cells: &'a [Window], rows: usize) -> Columns<'a> {
        Columns { heads, cells, rows }
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.heads.len()
    }

    /// Finds a name's column again, or lends it one: a free one, or when there is none that of a name
    /// which this configuration has not asked for. `None` when it has asked for all of them. Only the
    /// parent calls this, while it brings a configuration into force.
    pub fn find(&self, name: &str, generation: u32) -> Option<Column> {
        let name = hash(name);
        let known = |head: &&Head| head.name.load(Ordering::Relaxed) == name;
        if let Some((number, head)) = self.numbered().find(|(_, head)| known(head)) {
            head.generation.store(generation, Ordering::Relaxed);
            return Some(Column { number, lending: head.lending.load(Ordering::Relaxed) });
        }
        let is_free = |head: &Head| head.name.load(Ordering::Relaxed) == 0;
        let is_old = |head: &Head| head.generation.load(Ordering::Relaxed) != generation;
        let (number, head) = self
            .numbered()
            .find(|(_, head)| is_free(head))
            .or_else(|| self.numbered().find(|(_, head)| is_old(head)))?;
        if !is_free(head) {
            head.take_back();
        }
        // From here on whoever gives a row to another address clears it in this column, too; and all
        // that an old child has left in it goes before anybody counts.
        head.generation.store(generation, Ordering::Relaxed);
        head.name.store(name, Ordering::Relaxed);
        for cell in self.cells_of(number) {
            if cell.look().count > 0 {
                cell.reset();
            }
        }
        Some(Column { number, lending: head.lending.load(Ordering::Relaxed) })
    }

    /// Takes the columns back whose names the last configurations did not have.
    pub fn retire(&self, generation: u32) {
        for (_, head) in self.numbered() {
            let last = head.generation.load(Ordering::Relaxed);
            if head.name.load(Ordering::Relaxed) != 0 && generation.wrapping_sub(last) > KEPT {
                head.take_back();
            }
        }
    }

    /// Returns a client's counter; none when the column belongs to another name by now.
    pub fn cell(&self, column: Column, row: u32) -> Option<&'a Window> {
        let head = self.heads.get(column.number as usize)?;
        if head.lending.load(Ordering::Relaxed) != column.lending || row as usize >= self.rows {
            return None;
        }
        self.cells.get(column.number as usize * self.rows + row as usize)
    }

    /// Forgets what is counted for a row, in all columns in use: it gets another address.
    pub fn clear_row(&self, row: u32) {
        for (number, head) in self.numbered() {
            if head.name.load(Ordering::Relaxed) == 0 {
                // Lent in order: behind one that was never lent there is none in use.
                if head.lending.load(Ordering::Relaxed) == 0 {
                    return;
                }
                continue;
            }
            let place = number as usize * self.rows + row as usize;
            if let Some(cell) = self.cells.get(place).filter(|_| (row as usize) < self.rows) {
                cell.reset();
            }
        }
    }

    /// Tells whether anything is counted for a row in any column in use.
    pub fn has_counts(&self, row: u32) -> bool {
        self.numbered().filter(|(_, head)| head.name.load(Ordering::Relaxed) != 0).any(
            |(number, _)| {
                let cell = self.cells.get(number as usize * self.rows + row as usize);
                cell.is_some_and(|cell| cell.look().count > 0)
            },
        )
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, &'a Head)> + use<'a> {
        (0u32..).zip(self.heads)
    }

    fn cells_of(&self, number: u32) -> &'a [Window] {
        let first = number as usize * self.rows;
        self.cells.get(first..first + self.rows).unwrap_or(&[])
    }
}

impl Head {
    /// Who still knows the column by its number is kept out from here on.
    fn take_back(&self) {
        self.lending.fetch_add(1, Ordering::Relaxed);
        self.name.store(0, Ordering::Relaxed);
    }
}

/// A hash for names of our own configuration, whatever their case (FNV-1a): nobody outside chooses what
/// goes in, and a variable's name has no case.
fn hash(name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    let add = |hash: u64, octet: u8| {
        (hash ^ u64::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    };
    name.bytes().fold(start, add).max(1)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::time::{Seconds, Tick};

    const ROWS: usize = 5;

    struct Memory {
        heads: Vec<Head>,
        cells: Vec<Window>,
    }

    impl Memory {
        fn new(columns: usize) -> Memory {
            Memory {
                heads: (0..columns).map(|_| Head::default()).collect(),
                cells: (0..columns * ROWS).map(|_| Window::default()).collect(),
            }
        }

        fn columns(&self) -> Columns<'_> {
            Columns::new(&self.heads, &self.cells, ROWS)
        }
    }

    fn count(columns: &Columns<'_>, column: Column, row: u32) -> u32 {
        columns.cell(column, row).expect("cell").look().count
    }

    fn add(columns: &Columns<'_>, column: Column, row: u32) {
        columns.cell(column, row).expect("cell").add(1, Tick(5), Seconds(60));
    }

    #[test]
    fn a_name_finds_its_counts_again_after_a_restart_in_any_case_and_order() {
        let memory = Memory::new(4);
        let columns = memory.columns();
        let first = columns.find("QS_Limit", 1).expect("first");
        add(&columns, first, 3);
        let other = columns.find("OTHER", 2).expect("other");
        assert_ne!(first, other);
        assert_eq!(columns.find("qs_limit", 2), Some(first));
        assert_eq!((count(&columns, first, 3), count(&columns, other, 3)), (1, 0));
    }

    #[test]
    fn a_forgotten_column_is_cleared_for_its_next_name_and_closed_to_old_children() {
        let memory = Memory::new(1);
        let columns = memory.columns();
        let old = columns.find("A", 1).expect("A");
        add(&columns, old, 0);
        columns.retire(3);
        assert_eq!(columns.find("A", 3), Some(old), "it comes back in time");
        columns.retire(6);
        let new = columns.find("B", 6).expect("B");
        assert_eq!(count(&columns, new, 0), 0, "it starts clean");
        assert!(columns.cell(old, 0).is_none(), "who counts A does not count into B");
    }

    #[test]
    fn a_name_that_went_may_come_back_unless_its_column_is_needed() {
        let memory = Memory::new(2);
        let columns = memory.columns();
        let (a, b) = (columns.find("A", 1).expect("A"), columns.find("B", 1).expect("B"));
        add(&columns, a, 0);
        columns.retire(2);
        assert_eq!((columns.find("B", 2), columns.find("A", 2)), (Some(b), Some(a)));
        assert_eq!(count(&columns, a, 0), 1);
        let c = columns.find("C", 3).expect("in the place of A or B");
        let d = columns.find("D", 3).expect("in the place of the other");
        assert_ne!(c, d);
        assert_eq!((columns.cell(a, 0).is_none(), columns.cell(b, 0).is_none()), (true, true));
        assert_eq!(columns.find("E", 3), None);
    }

    #[test]
    fn a_row_that_changes_its_address_is_cleared_in_all_columns_in_use() {
        let memory = Memory::new(4);
        let columns = memory.columns();
        let names = ["A", "B", "C"].map(|name| columns.find(name, 1).expect(name));
        for column in names {
            add(&columns, column, 2);
            add(&columns, column, 1);
        }
        columns.find("C", 9);
        columns.find("A", 9);
        columns.retire(9);
        assert!(columns.has_counts(2));
        columns.clear_row(2);
        assert!(!columns.has_counts(2) && columns.has_counts(1));
        assert_eq!((count(&columns, names[0], 2), count(&columns, names[2], 2)), (0, 0));
        assert_eq!(count(&columns, names[2], 1), 1);
    }

    #[test]
    fn more_names_than_columns_and_rows_that_are_not_there_are_refused() {
        let memory = Memory::new(2);
        let columns = memory.columns();
        let last = (columns.find("A", 1), columns.find("B", 1)).1.expect("B");
        assert_eq!(columns.find("C", 1), None);
        assert!(columns.cell(last, ROWS as u32).is_none());
        columns.clear_row(ROWS as u32);
        assert_eq!(Columns::new(&[], &[], ROWS).find("A", 1), None);
    }
}
