//! Which row goes first when room is needed: the one whose worth ended longest ago.
//!
//! A row's age key is a moment: its last use, or the end of its mark where that lies later. One order
//! says it all: rows without a mark lie in the past and go first, the longest unused before the rest;
//! marked rows lie in the future, and the one whose mark ends soonest goes before the others. A row never
//! used has key 0.
//!
//! Above the keys stands a tree, sixteen children to a node, whose nodes hold a *lower bound* of the keys
//! below. Using a row only raises its key, so the bound stays true without being touched: use costs one
//! store. Who looks for the oldest row walks down along the smallest bounds and raises those that turn
//! out too low. Bounds are hints: a child killed in between, or two at once, can leave one that is off,
//! and the only harm is that a row is found a little earlier or later than its turn.

use crate::atomic::{AtomicU32, Ordering};
use crate::time::Tick;

/// Children of a node: sixteen words, one cache line.
const FAN_OUT: usize = 16;

/// The keys of all rows, and the tree above them.
#[derive(Debug)]
pub struct Ages<'a> {
    /// `levels[0]` are the keys; each next level has one bound per node of sixteen.
    levels: Vec<&'a [AtomicU32]>,
}

/// The row that the tree points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Number of the row.
    pub row: u32,
    /// Its key when it was looked at.
    pub key: Tick,
    /// False when the tree has just learned something: another row may be older.
    pub is_sure: bool,
}

/// Returns how many words the keys and the tree need for so many rows.
pub fn words_for(rows: usize) -> usize {
    let mut level = rows;
    let mut words = rows;
    while level > FAN_OUT {
        level = level.div_ceil(FAN_OUT);
        words += level;
    }
    words
}

impl<'a> Ages<'a> {
    /// Lays keys and tree over `words`, which are as many as [`words_for`] said.
    pub fn new(words: &'a [AtomicU32], rows: usize) -> Ages<'a> {
        let mut levels = Vec::new();
        let (mut size, mut rest) = (rows, words);
        loop {
            let (level, above) = rest.split_at(size.min(rest.len()));
            levels.push(level);
            if size <= FAN_OUT {
                return Ages { levels };
            }
            size = size.div_ceil(FAN_OUT);
            rest = above;
        }
    }

    /// Returns how many rows there are.
    pub fn rows(&self) -> usize {
        self.levels.first().map_or(0, |keys| keys.len())
    }

    /// Returns a row's key.
    pub fn key(&self, row: u32) -> Tick {
        Tick(self.word(0, row as usize).map_or(0, |word| word.load(Ordering::Relaxed)))
    }

    /// Raises a row's key: it was used, or marked, until then.
    pub fn raise(&self, row: u32, until: Tick) {
        if let Some(word) = self.word(0, row as usize)
            && word.load(Ordering::Relaxed) < until.0
        {
            word.fetch_max(until.0, Ordering::Relaxed);
        }
    }

    /// Sets a row's key to an earlier moment: its mark was taken away. Rare, so the tree is told.
    pub fn lower(&self, row: u32, until: Tick) {
        let mut node = row as usize;
        for level in 0..self.levels.len() {
            if let Some(word) = self.word(level, node) {
                if level == 0 {
                    word.store(until.0, Ordering::Relaxed);
                } else {
                    word.fetch_min(until.0, Ordering::Relaxed);
                }
            }
            node /= FAN_OUT;
        }
    }

    /// Returns the oldest row that the tree knows of, and mends the bounds on the way to it.
    pub fn oldest(&self) -> Oldest {
        let mut node = 0;
        let mut bound = None;
        let mut key = 0;
        for level in (0..self.levels.len()).rev() {
            (node, key) = self.smallest_child(level, node);
            bound.get_or_insert(key);
        }
        let is_sure = bound.is_none_or(|bound| key <= bound);
        // Bounds only rise on the way down: where the row is as old as the first of them said, those in
        // between say the same, and there is nothing to mend.
        if !is_sure {
            self.mend_above(node, key);
        }
        Oldest { row: node as u32, key: Tick(key), is_sure }
    }

    /// Raises the bounds above a row whose key is the smallest of its node.
    fn mend_above(&self, row: usize, key: u32) {
        let mut node = row / FAN_OUT;
        let mut smallest = key;
        for level in 1..self.levels.len() {
            if let Some(word) = self.word(level, node) {
                let old = word.load(Ordering::Relaxed);
                if old < smallest {
                    // An exchange, not a store: somebody may just have lowered it.
                    let _ =
                        word.compare_exchange(old, smallest, Ordering::Relaxed, Ordering::Relaxed);
                }
            }
            node /= FAN_OUT;
            if level + 1 < self.levels.len() {
                (_, smallest) = self.smallest_child(level, node);
            }
        }
    }

    fn smallest_child(&self, level: usize, node: usize) -> (usize, u32) {
        let first = node * FAN_OUT;
        let words = self.levels.get(level).and_then(|words| words.get(first..)).unwrap_or(&[]);
        // A whole node is told apart so that the compiler writes its sixteen steps out.
        let smallest = match words.first_chunk::<FAN_OUT>() {
            Some(node) => smallest(node, first),
            None => smallest(words, first),
        };
        smallest.unwrap_or((first, u32::MAX))
    }

    fn word(&self, level: usize, node: usize) -> Option<&'a AtomicU32> {
        self.levels.get(level).and_then(|words| words.get(node))
    }
}

/// The smallest of some keys and its number, of several the first; they are numbered from `first` on.
#[inline]
fn smallest(keys: &[AtomicU32], first: usize) -> Option<(usize, u32)> {
    // Key and number in one word: one comparison a key.
    let pair = keys
        .iter()
        .zip(first as u64..)
        .map(|(key, number)| u64::from(key.load(Ordering::Relaxed)) << 32 | number)
        .min()?;
    Some((pair as u32 as usize, (pair >> 32) as u32))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn words(rows: usize) -> Vec<AtomicU32> {
        (0..words_for(rows)).map(|_| AtomicU32::new(0)).collect()
    }

    fn surely_oldest(ages: &Ages<'_>) -> u32 {
        let mut asked = (0..1000).map(|_| ages.oldest());
        asked.find(|oldest| oldest.is_sure).expect("the tree settles").row
    }

    #[test]
    fn a_row_never_used_goes_first_and_then_the_longest_unused() {
        for rows in [1, 15, 16, 17, 700, 5000] {
            let words = words(rows);
            let ages = Ages::new(&words, rows);
            for turn in 0..rows as u32 {
                assert_eq!(surely_oldest(&ages), turn, "of {rows}");
                ages.raise(turn, Tick(10 + turn));
            }
            for turn in 0..rows as u32 {
                assert_eq!(surely_oldest(&ages), turn, "of {rows}, second round");
                ages.raise(turn, Tick(10_000 + turn));
            }
        }
    }

    #[test]
    fn a_marked_row_goes_last_and_the_soonest_to_end_before_the_others() {
        let words = words(100);
        let ages = Ages::new(&words, 100);
        for row in 0..100 {
            ages.raise(row, Tick(5));
        }
        ages.raise(40, Tick(900));
        ages.raise(41, Tick(800));
        for row in (0..100).filter(|row| ![40, 41].contains(row)) {
            assert_eq!(surely_oldest(&ages), row);
            ages.raise(row, Tick(1000));
        }
        assert_eq!(surely_oldest(&ages), 41);
    }

    #[test]
    fn a_lowered_row_is_found_again() {
        let words = words(5000);
        let ages = Ages::new(&words, 5000);
        for row in 0..5000 {
            ages.raise(row, Tick(100 + row));
        }
        assert_eq!(surely_oldest(&ages), 0);
        ages.lower(4321, Tick(7));
        assert_eq!(surely_oldest(&ages), 4321);
    }

    #[test]
    fn the_oldest_row_is_the_one_a_slow_search_finds() {
        let rows = 800;
        let words = words(rows);
        let ages = Ages::new(&words, rows);
        let mut slow = vec![0u32; rows];
        let mut random = 12345u32;
        for now in 1..20_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let row = (random >> 8) % rows as u32;
            ages.raise(row, Tick(now));
            slow[row as usize] = now;
            if now % 7 == 0 {
                let found = surely_oldest(&ages);
                let expected = slow.iter().min().expect("rows");
                assert_eq!(slow[found as usize], *expected);
            }
        }
    }
}
