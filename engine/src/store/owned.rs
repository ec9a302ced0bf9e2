//! Rows that belong to something of the configuration: found again over restarts by a tag.
//!
//! A tag is a hash of what the row is for (a server's names, a rule's text). The table is open
//! addressed: a search begins where the tag says and ends at the first row that nobody ever had, so
//! thousands of rows are found in a few steps each. A row keeps its tag when the configuration no longer
//! has its owner; after two further generations (whose children may still serve) and with nothing
//! counted, it goes to whoever needs one. Only the parent searches, at a start or restart.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};

/// A row that has an owner.
pub trait Owned {
    /// Whose row it is; 0 = nobody ever had it.
    fn tag(&self) -> &AtomicU64;
    /// The generation that last used it.
    fn generation(&self) -> &AtomicU32;
    /// Tells whether nothing is counted in it.
    fn is_idle(&self) -> bool;
    /// Empties it for a new owner.
    fn clear(&self) {}
}

/// Finds the row of a tag again, or gives it one: a new one, or that of a forgotten owner. `None` means
/// that all are in use.
pub fn find<R: Owned>(rows: &[R], tag: u64, generation: u32) -> Option<u32> {
    // Before anything is computed from it: 0 stands for "free".
    let tag = tag.max(1);
    let mut free = None;
    for number in path(tag, rows.len()) {
        let row = rows.get(number)?;
        match row.tag().load(Ordering::Relaxed) {
            found if found == tag => {
                row.generation().store(generation, Ordering::Relaxed);
                return u32::try_from(number).ok();
            }
            0 => {
                free = free.or(Some((number, row)));
                break;
            }
            _ if free.is_none() && is_forgotten(row, generation) => free = Some((number, row)),
            _ => {}
        }
    }
    let (number, row) = free?;
    row.clear();
    row.tag().store(tag, Ordering::Relaxed);
    row.generation().store(generation, Ordering::Relaxed);
    u32::try_from(number).ok()
}

/// A hash for words of our own configuration (FNV-1a, from a seed): nobody outside chooses what goes in.
pub fn tag(seed: u64, words: &[&str]) -> u64 {
    // An octet that stands in no text between them: "a", "bc" is not "ab", "c".
    let octets = words.iter().flat_map(|word| word.bytes().chain([0xff]));
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    octets.fold(start, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}

fn is_forgotten<R: Owned>(row: &R, generation: u32) -> bool {
    row.generation().load(Ordering::Relaxed).wrapping_add(2) < generation && row.is_idle()
}

/// Every row once, from where the tag says on.
fn path(tag: u64, rows: usize) -> impl Iterator<Item = usize> {
    let mixed = (tag ^ tag >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let start = ((mixed * rows as u64) >> 32) as usize;
    (start..rows).chain(0..start)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Row {
        tag: AtomicU64,
        generation: AtomicU32,
        units: AtomicU32,
    }

    impl Owned for Row {
        fn tag(&self) -> &AtomicU64 {
            &self.tag
        }
        fn generation(&self) -> &AtomicU32 {
            &self.generation
        }
        fn is_idle(&self) -> bool {
            self.units.load(Ordering::Relaxed) == 0
        }
    }

    fn rows(count: usize) -> Vec<Row> {
        (0..count).map(|_| Row::default()).collect()
    }

    #[test]
    fn a_tag_of_zero_is_found_again_like_any_other() {
        for count in [1, 7, 64] {
            let rows = rows(count);
            let zero = find(&rows, 0, 1);
            assert!(zero.is_some());
            assert_eq!(find(&rows, 0, 2), zero);
            assert_eq!(find(&rows, 1, 2), zero, "0 is 1");
        }
    }

    #[test]
    fn tags_differ_by_seed_and_by_where_words_end() {
        let tags =
            [tag(1, &["a", "bc"]), tag(1, &["ab", "c"]), tag(2, &["a", "bc"]), tag(1, &["abc"])];
        assert_eq!(tags.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_eq!(tag(1, &["a", "bc"]), tags[0]);
    }

    #[test]
    fn an_empty_table_has_no_row_and_a_full_one_no_more() {
        assert_eq!(find(&rows(0), 5, 1), None);
        let rows = rows(3);
        for tag in 1..=3 {
            assert!(find(&rows, tag, 1).is_some());
        }
        assert_eq!(find(&rows, 4, 3), None);
        rows[1].units.store(1, Ordering::Relaxed);
        let taken: Vec<u32> = (4..=6).filter_map(|tag| find(&rows, tag, 4)).collect();
        assert_eq!(taken.len(), 2, "the one that counts something is not given away");
        assert!(!taken.contains(&1));
    }

    #[test]
    fn thousands_are_found_in_a_few_steps() {
        let rows = rows(16_384);
        let tag = |number: u64| tag(7, &["QS_LocRequestLimit", &format!("/app/{number}")]);
        let mut steps = 0;
        for number in 0..8192 {
            let row = find(&rows, tag(number), 1).expect("a row") as usize;
            steps += path(tag(number), rows.len()).position(|step| step == row).expect("in path");
        }
        assert!(steps < 8192 * 2, "{steps} steps for 8192 rows of a table half full");
    }

    proptest! {
        /// Whatever comes and goes: a tag that is in use keeps its row, and no two share one.
        #[test]
        fn who_is_in_use_keeps_his_row(
            generations in prop::collection::vec(prop::collection::vec(0u64..40, 0..12), 1..12)
        ) {
            let rows = rows(24);
            let mut known: HashMap<u64, (u32, u32)> = HashMap::new();
            for (generation, tags) in (1u32..).zip(&generations) {
                for tag in tags {
                    let tag = (*tag).max(1);
                    let Some(row) = find(&rows, tag, generation) else {
                        // Full: then at least as many are not forgotten as there are rows.
                        let alive = known.values().filter(|(_, used)| used + 2 >= generation);
                        prop_assert!(alive.count() >= rows.len());
                        continue;
                    };
                    if let Some((before, used)) = known.get(&tag)
                        && used + 2 >= generation
                    {
                        prop_assert_eq!(*before, row);
                    }
                    known.insert(tag, (row, generation));
                    for (other, (taken, used)) in &known {
                        if *other != tag && used + 2 >= generation {
                            prop_assert_ne!(*taken, row);
                        }
                    }
                }
            }
        }
    }
}
