//! How many different addresses or users were seen in the last ten minutes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// So many are told apart.
const MOST: usize = 400_000;
/// For so many seconds one is remembered.
const REMEMBERED: i64 = 600;

/// Who was seen, and when last. Only a keyed hash of the name is kept: names may be long, and two with the same
/// hash are not to be expected.
#[derive(Debug, Default)]
pub struct Seen {
    last: HashMap<u64, i64>,
    hasher: RandomState,
    /// Whether somebody was not counted since the last look.
    overflowed: bool,
}

impl Seen {
    /// Somebody was seen at that second.
    pub fn see(&mut self, name: &[u8], now: i64) {
        let key = self.hasher.hash_one(name);
        if let Some(last) = self.last.get_mut(&key) {
            *last = now;
        } else if self.last.len() < MOST {
            self.last.insert(key, now);
        } else {
            self.overflowed = true;
        }
    }

    /// Returns how many are remembered, and forgets the others.
    pub fn count(&mut self, now: i64) -> u64 {
        self.last.retain(|_, last| (0..=REMEMBERED).contains(&(now - *last)));
        self.last.len() as u64
    }

    /// Returns once whether somebody was not counted.
    pub fn overflowed(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_for_ten_minutes_is_forgotten() {
        let mut seen = Seen::default();
        seen.see(b"a", 0);
        seen.see(b"b", 0);
        seen.see(b"b", 60);
        assert_eq!(seen.count(600), 2);
        assert_eq!(seen.count(660), 1);
        assert_eq!(seen.count(661), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..MOST + 2 {
            seen.see(&number.to_le_bytes(), 0);
        }
        assert!(seen.overflowed() && !seen.overflowed());
        assert_eq!(seen.count(0), MOST as u64);
        seen.see(b"known or not", 700);
        assert_eq!(seen.count(700), 0);
    }
}
