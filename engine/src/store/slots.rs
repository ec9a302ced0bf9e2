//! One row per server that counts its own connections; row 0 counts all of them.
//! Spec: model.md 3.

use crate::atomic::{AtomicU64, Ordering};
use crate::meter::concurrency::Concurrency;

/// The row of all servers together.
pub const ALL: u32 = 0;

/// What is counted for one server.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Scope {
    /// Which server: a hash of its names and addresses, so that a later generation finds it again.
    tag: AtomicU64,
    connections: Concurrency,
    /// The generation that last used this row.
    generation: crate::atomic::AtomicU32,
}

/// The rows of all servers.
#[derive(Debug)]
pub struct Scopes<'a> {
    rows: &'a [Scope],
}

impl<'a> Scopes<'a> {
    /// Lays the table over its rows.
    pub fn new(rows: &'a [Scope]) -> Scopes<'a> {
        Scopes { rows }
    }

    /// Returns the counter of a server's open connections.
    pub fn connections(&self, scope: u32) -> Option<&'a Concurrency> {
        self.rows.get(scope as usize).map(|row| &row.connections)
    }

    /// Returns how many connections of this server are open.
    pub fn open(&self, scope: u32) -> u32 {
        self.connections(scope).map_or(0, Concurrency::count)
    }

    /// Finds a server's row again, or gives it one: a new one, or that of a server which the last
    /// configurations no longer had and which has no connection left. Only the parent calls this.
    pub fn find(&self, tag: u64, generation: u32) -> Option<u32> {
        let mut free = None;
        for (row, number) in self.rows.iter().zip(0u32..).skip(1) {
            match row.tag.load(Ordering::Relaxed) {
                found if found == tag => {
                    row.generation.store(generation, Ordering::Relaxed);
                    return Some(number);
                }
                0 => {
                    free = free.or(Some((number, row)));
                    break;
                }
                _ if row.generation.load(Ordering::Relaxed).wrapping_add(2) < generation
                    && row.connections.count() == 0 =>
                {
                    free = free.or(Some((number, row)));
                }
                _ => {}
            }
        }
        let (number, row) = free?;
        row.tag.store(tag, Ordering::Relaxed);
        row.generation.store(generation, Ordering::Relaxed);
        Some(number)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_server_finds_its_counter_again_and_a_forgotten_one_gives_its_row_away() {
        let rows: Vec<Scope> = (0..3).map(|_| Scope::default()).collect();
        let scopes = Scopes::new(&rows);
        assert_eq!(scopes.find(11, 1), Some(1));
        assert_eq!(scopes.find(22, 1), Some(2));
        assert_eq!(scopes.find(33, 2), None, "both are in use");
        assert_eq!(scopes.find(11, 2), Some(1));
        scopes.connections(2).expect("row").acquire();
        assert_eq!(scopes.find(33, 9), Some(1), "11 is forgotten and empty, 22 has a connection");
    }
}
