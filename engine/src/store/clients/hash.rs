//! What an address is known by: a keyed hash, and of it a tag for each scope.

use crate::client::address::Address;

/// The key of the hash, random per server, so that nobody can choose addresses that share a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Secret(pub [u64; 2]);

/// An address with its hash, so that several tables ask for it once.
#[derive(Clone, Copy, Debug)]
pub struct Hashed {
    pub(super) address: Address,
    hash: u64,
}

impl Secret {
    /// Hashes an address by SipHash-1-3.
    pub fn hash(self, address: Address) -> Hashed {
        let (high, low) = address.words();
        Hashed { address, hash: sip_hash::<1, 3, 2>(self.0, [high, low]) }
    }
}

impl Hashed {
    /// Returns the tag of the address in a scope, never 0. Who does not know the hash cannot choose
    /// scopes, so an even spreading is enough: the last steps of SplitMix64.
    pub fn tag(self, scope: u32) -> u64 {
        let mut word = self.hash ^ u64::from(scope).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).max(1)
    }
}

/// SipHash with C rounds per word and D at the end, over N whole words.
pub(super) fn sip_hash<const C: usize, const D: usize, const N: usize>(
    key: [u64; 2],
    words: [u64; N],
) -> u64 {
    let [k0, k1] = key;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut absorb = |word| {
        v[3] ^= word;
        for _ in 0..C {
            v = sip_round(v);
        }
        v[0] ^= word;
    };
    words.into_iter().for_each(&mut absorb);
    // The last word of the original carries the length in its top octet.
    absorb((N as u64 * 8) << 56);
    v[2] ^= 0xff;
    for _ in 0..D {
        v = sip_round(v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}
