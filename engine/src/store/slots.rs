//! One row per server that counts its own connections; row 0 counts all of them.
//! Spec: model.md 3.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::meter::concurrency::Concurrency;
use crate::store::owned::{self, Owned};

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
    generation: AtomicU32,
}

impl Owned for Scope {
    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn generation(&self) -> &AtomicU32 {
        &self.generation
    }

    fn is_idle(&self) -> bool {
        self.connections.count() == 0
    }
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
        owned::find(self.rows.get(1..)?, tag, generation).map(|row| row + 1)
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
        let (first, second) = (scopes.find(11, 1).expect("row"), scopes.find(22, 1).expect("row"));
        assert!(first != ALL && second != ALL && first != second);
        assert_eq!(scopes.find(33, 2), None, "both are in use");
        assert_eq!(scopes.find(11, 2), Some(first));
        scopes.connections(second).expect("row").acquire();
        assert_eq!(
            scopes.find(33, 9),
            Some(first),
            "11 is forgotten and empty, 22 has a connection"
        );
    }
}
