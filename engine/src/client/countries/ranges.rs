//! Sorted ranges of numbers, each with a 16-bit word: found by a table of the leading bits, then by halving.
//!
//! What is stored are the borders: where something else begins. A gap between two ranges is one more border, and
//! neighbours with the same word are one range. Six octets a border of IPv4, ten of IPv6.

/// The word of numbers that are in no range.
pub const NOWHERE: u16 = 0;
/// The word of a half of an address that is in several countries.
pub const SPLIT: u16 = u16::MAX;

/// Borders that share a place in the table, on average: about so many are left to be halved.
const BORDERS_A_PLACE: u32 = 16;
/// Leading bits that the table tells apart at most.
const MOST_BITS: u32 = 16;

/// A number that is searched for.
pub trait Key: Copy + Ord {
    /// The smallest one.
    const FIRST: Self;
    /// Returns the leading bits, at most 16 of them, and at least one.
    fn leading(self, bits: u32) -> usize;
    /// Returns the next number, if there is one.
    fn next(self) -> Option<Self>;
}

macro_rules! key {
    ($($number:ty),+) => { $(
        impl Key for $number {
            const FIRST: Self = 0;
            fn leading(self, bits: u32) -> usize {
                (self >> (<$number>::BITS - bits)) as usize
            }
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    )+ };
}

key!(u32, u64, u128);

/// Ranges, ready to be searched.
#[derive(Debug)]
pub struct Ranges<K> {
    /// Where something else begins, ascending.
    borders: Vec<K>,
    /// What begins there.
    words: Vec<u16>,
    /// For each combination of leading bits the number of borders before it; one more at the end.
    places: Vec<u32>,
    bits: u32,
}

impl<K: Key> Ranges<K> {
    /// Returns the word of the range that holds `key`.
    pub fn find(&self, key: K) -> u16 {
        let place = key.leading(self.bits);
        let (Some(from), Some(to)) = (self.places.get(place), self.places.get(place + 1)) else {
            return NOWHERE;
        };
        let borders = self.borders.get(*from as usize..*to as usize).unwrap_or(&[]);
        let not_after = *from as usize + borders.partition_point(|border| *border <= key);
        // The last border at or before the key; it can lie before this place.
        let word = not_after.checked_sub(1).and_then(|last| self.words.get(last));
        word.copied().unwrap_or(NOWHERE)
    }

    /// Returns how many octets it takes.
    pub fn size(&self) -> usize {
        size_of_val(self.borders.as_slice())
            + size_of_val(self.words.as_slice())
            + size_of_val(self.places.as_slice())
    }
}

/// Ranges that are being put together.
pub struct Builder<K> {
    borders: Vec<K>,
    words: Vec<u16>,
    /// Behind the last range: where nothing begins, unless the next range does. None at the end of all numbers.
    end: Option<K>,
}

impl<K: Key> Builder<K> {
    /// With room for so many ranges that follow each other.
    pub fn with_room(ranges: usize) -> Builder<K> {
        Builder {
            borders: Vec::with_capacity(ranges),
            words: Vec::with_capacity(ranges),
            end: Some(K::FIRST),
        }
    }

    /// Adds a range. It does not begin before the one that was added last; where both hold a number, the later
    /// one decides about it, and about all that follow.
    pub fn add(&mut self, first: K, last: K, word: u16) {
        if let Some(end) = self.end
            && end < first
        {
            self.border(end, NOWHERE);
        }
        self.border(first, word);
        self.end = last.next();
    }

    fn border(&mut self, at: K, word: u16) {
        if self.borders.last() == Some(&at) {
            self.borders.pop();
            self.words.pop();
        }
        if self.words.last() != Some(&word) {
            self.borders.push(at);
            self.words.push(word);
        }
    }

    /// Returns the ranges, with the table.
    pub fn done(mut self) -> Ranges<K> {
        if let (Some(end), false) = (self.end, self.borders.is_empty()) {
            self.border(end, NOWHERE);
        }
        self.borders.shrink_to_fit();
        self.words.shrink_to_fit();
        let count = u32::try_from(self.borders.len()).unwrap_or(u32::MAX);
        let bits = (count / BORDERS_A_PLACE).max(2).ilog2().min(MOST_BITS);
        let mut places = Vec::with_capacity((1 << bits) + 1);
        for (border, number) in self.borders.iter().zip(0u32..) {
            // Places that this border is the first not to lie before.
            while places.len() <= border.leading(bits) {
                places.push(number);
            }
        }
        places.resize((1 << bits) + 1, count);
        Ranges { borders: self.borders, words: self.words, places, bits }
    }
}
