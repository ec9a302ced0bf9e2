//! MD5, for addresses made of names (`QS_ClientIpFromHeader #NAME`): the C module makes them so, and they
//! stand in logs. Nothing rests on it being hard to invert; who finds two names with one hash shares a
//! counter with himself. RFC 1321.

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// Returns the digest of some parts, one behind the other.
pub fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let length = parts.iter().map(|part| part.len() as u64).sum::<u64>();
    let padding = (119 - (length % 64) as usize) % 64 + 1;
    let mut octets = parts
        .iter()
        .flat_map(|part| part.iter().copied())
        .chain(core::iter::once(0x80))
        .chain(core::iter::repeat_n(0, padding - 1))
        .chain((length * 8).to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    loop {
        let mut block = [0u8; 64];
        let mut filled = 0;
        for (to, from) in block.iter_mut().zip(&mut octets) {
            *to = from;
            filled += 1;
        }
        if filled == 0 {
            break;
        }
        state = mix(state, &block);
    }
    let mut digest = [0; 16];
    for (to, word) in digest.chunks_mut(4).zip(state) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

fn mix(state: [u32; 4], block: &[u8; 64]) -> [u32; 4] {
    let words: [u32; 16] = core::array::from_fn(|place| {
        let octets = block.as_chunks::<4>().0.get(place).copied().unwrap_or_default();
        u32::from_le_bytes(octets)
    });
    let [mut a, mut b, mut c, mut d] = state;
    for (round, shifts) in SHIFTS.iter().enumerate() {
        for step in 0..16 {
            let (mixed, place) = match round {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, step * 5 + 1),
                2 => (b ^ c ^ d, step * 3 + 5),
                _ => (c ^ (b | !d), step * 7),
            };
            let word = words.get(place % 16).copied().unwrap_or(0);
            let shift = shifts.get(step % 4).copied().unwrap_or(0);
            let sum =
                a.wrapping_add(mixed).wrapping_add(word).wrapping_add(constant(round * 16 + step));
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(shift)));
        }
    }
    let [old_a, old_b, old_c, old_d] = state;
    [old_a.wrapping_add(a), old_b.wrapping_add(b), old_c.wrapping_add(c), old_d.wrapping_add(d)]
}

/// The constant of a step: the integer part of 2^32 times |sin(step + 1)|.
fn constant(step: usize) -> u32 {
    CONSTANTS.get(step).copied().unwrap_or(0)
}

#[rustfmt::skip]
const CONSTANTS: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &[&[u8]]) -> String {
        digest(text).iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (text, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex(&[text.as_bytes()]), expected, "{text:?}");
        }
    }

    #[test]
    fn parts_are_read_as_one_text_at_every_length() {
        for length in 0..200 {
            let text = vec![b'x'; length];
            let (front, back) = text.split_at(length / 3);
            assert_eq!(hex(&[&text]), hex(&[front, back]), "{length}");
        }
    }
}
