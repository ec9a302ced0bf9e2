//! What a counted unit counts in: which table, and which row of it.

/// Rows that a unit can name.
const INDEX: u32 = (1 << 26) - 1;

/// A counter that a child can hold a unit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The hold on a client's row: it stays this client's.
    Client(u32),
    /// A client's requests at this moment.
    ClientRequests(u32),
    /// A client's turn, where its requests are served one after the other.
    ClientTurn(u32),
    /// A server's turn, where its requests are served one after the other.
    ServerTurn(u32),
    /// The requests that a rule counts at this moment.
    Rule(u32),
    /// The connections of a server, or of all (only in records of connections).
    Scope(u32),
    /// The hold on the row of an address at a server (only in records of connections).
    Peer(u32),
}

impl Unit {
    /// Returns the index for a lease of a request: four bits of kind, 26 of row. The hold on a client's
    /// row is kind 0, so that its index is the row's number, as the client table itself writes it.
    pub fn index(self) -> u32 {
        let (kind, row) = match self {
            Unit::Client(row) => (0, row),
            Unit::ClientRequests(row) => (1, row),
            Unit::ClientTurn(row) => (2, row),
            Unit::ServerTurn(row) => (3, row),
            Unit::Rule(row) => (4, row),
            Unit::Scope(row) => (5, row),
            Unit::Peer(row) => (6, row),
        };
        kind << 26 | row & INDEX
    }

    /// Returns what an index stands for.
    pub fn of_index(index: u32) -> Option<Unit> {
        let row = index & INDEX;
        Some(match index >> 26 {
            0 => Unit::Client(row),
            1 => Unit::ClientRequests(row),
            2 => Unit::ClientTurn(row),
            3 => Unit::ServerTurn(row),
            4 => Unit::Rule(row),
            5 => Unit::Scope(row),
            6 => Unit::Peer(row),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lease::MAX_INDEX;

    #[test]
    fn an_index_says_table_and_row_and_fits_into_a_lease() {
        for row in [0, 1, 65_535, INDEX] {
            for unit in [
                Unit::Client(row),
                Unit::ClientRequests(row),
                Unit::ClientTurn(row),
                Unit::ServerTurn(row),
                Unit::Rule(row),
                Unit::Scope(row),
                Unit::Peer(row),
            ] {
                assert!(unit.index() <= MAX_INDEX);
                assert_eq!(Unit::of_index(unit.index()), Some(unit));
            }
            assert_eq!(Unit::Client(row).index(), row, "as Clients::hold writes it");
        }
        assert_eq!(Unit::of_index(15 << 26), None);
    }
}
