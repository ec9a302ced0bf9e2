//! The longest of many beginnings that a path has, found without looking at all of them.

use core::cmp::Ordering;

/// Beginnings in the order of their octets; each knows the longest other one that it begins with.
///
/// All beginnings of a path stand in a row of ancestors: the greatest entry that is not behind the path
/// either is one, or begins with all of them.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    prefix: Box<[u8]>,
    /// What the caller knows it by.
    number: usize,
    /// Place of the longest other entry that this one begins with.
    parent: Option<usize>,
}

impl Prefixes {
    /// Sorts beginnings, which differ from each other; each is known by its place in the iterator.
    pub fn new<'a>(prefixes: impl Iterator<Item = &'a [u8]>) -> Prefixes {
        let mut entries: Vec<Entry> = prefixes
            .enumerate()
            .map(|(number, prefix)| Entry { prefix: prefix.into(), number, parent: None })
            .collect();
        entries.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        let mut ancestors: Vec<usize> = Vec::new();
        let mut parents: Vec<Option<usize>> = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let begins_with = |other: &Entry| {
                entry.prefix.starts_with(&other.prefix) && entry.prefix != other.prefix
            };
            while ancestors.last().is_some_and(|last| !entries.get(*last).is_some_and(begins_with))
            {
                ancestors.pop();
            }
            parents.push(ancestors.last().copied());
            ancestors.push(place);
        }
        for (entry, parent) in entries.iter_mut().zip(parents) {
            entry.parent = parent;
        }
        Prefixes { entries }
    }

    /// Returns the number of the longest beginning that the path has.
    pub fn longest(&self, path: &[u8]) -> Option<usize> {
        let behind =
            self.entries.partition_point(|entry| entry.prefix[..].cmp(path) != Ordering::Greater);
        let mut place = behind.checked_sub(1);
        while let Some(entry) = place.and_then(|place| self.entries.get(place)) {
            if path.starts_with(&entry.prefix) {
                return Some(entry.number);
            }
            place = entry.parent;
        }
        None
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn longest<'a>(prefixes: &[&'a str], path: &str) -> Option<&'a str> {
        let found = Prefixes::new(prefixes.iter().map(|prefix| prefix.as_bytes()));
        found.longest(path.as_bytes()).map(|number| prefixes[number])
    }

    #[test]
    fn the_longest_beginning_wins_whatever_stands_between() {
        let prefixes = ["/", "/app", "/app/sub", "/app/sub/deep/er", "/apple", "/b"];
        for (path, expected) in [
            ("/", Some("/")),
            ("/a", Some("/")),
            ("/app", Some("/app")),
            ("/app/", Some("/app")),
            ("/applesauce", Some("/apple")),
            ("/app/sub/deep/est", Some("/app/sub")),
            ("/app/sub/deep/er", Some("/app/sub/deep/er")),
            ("/app/zzz", Some("/app")),
            ("/zzz", Some("/")),
            ("", None),
            ("app", None),
            ("*", None),
        ] {
            assert_eq!(longest(&prefixes, path), expected, "{path}");
        }
        assert_eq!(longest(&[], "/"), None);
        assert_eq!(longest(&["/app"], "/APP"), None, "case matters");
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_a_look_at_all(
            prefixes in prop::collection::btree_set("[ab]{1,6}", 0..20),
            path in "[abc]{0,9}",
        ) {
            let prefixes: BTreeSet<String> = prefixes;
            let list: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let expected =
                list.iter().copied().filter(|p| path.starts_with(p)).max_by_key(|p| p.len());
            prop_assert_eq!(longest(&list, &path), expected);
        }
    }
}
