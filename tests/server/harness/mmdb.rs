//! A writer for MaxMind's database format, as small as tests need it: networks and their countries.
//! Also used by the engine's tests.

/// Writes a database. A network is its first address (IPv4 below `::/96`), the length of its prefix, and a
/// country; `record_bits` is 24, 28 or 32.
pub fn write_mmdb(record_bits: u16, networks: &[(u128, u8, &str)]) -> Vec<u8> {
    let mut countries: Vec<&str> = networks.iter().map(|(_, _, country)| *country).collect();
    countries.sort_unstable();
    countries.dedup();
    let records: Vec<Vec<u8>> = countries
        .iter()
        .map(|country| map(&[("country", map(&[("iso_code", text(country))]))]))
        .collect();
    let leaf = |country: &str| {
        let place = countries.iter().position(|known| *known == country).expect("known");
        Branch::Record(records[..place].iter().map(Vec::len).sum())
    };

    let mut tree = vec![[Branch::Nothing; 2]];
    for (first, prefix, country) in networks {
        let bit = |depth: u8| (first >> (127 - depth) & 1) as usize;
        let mut node = 0;
        for depth in 0..prefix - 1 {
            node = match tree[node][bit(depth)] {
                Branch::Node(next) => next,
                before => {
                    // A longer prefix within a network: both halves are as the whole was.
                    tree.push([before; 2]);
                    let next = tree.len() - 1;
                    tree[node][bit(depth)] = Branch::Node(next);
                    next
                }
            };
        }
        tree[node][bit(prefix - 1)] = leaf(country);
    }
    let words: Vec<[u32; 2]> = tree
        .iter()
        .map(|node| {
            node.map(|branch| match branch {
                Branch::Nothing => tree.len() as u32,
                Branch::Node(next) => next as u32,
                Branch::Record(offset) => (tree.len() + 16 + offset) as u32,
            })
        })
        .collect();
    mmdb_of(record_bits, 6, words.len() as u32, &words, &records.concat())
}

#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(usize),
    Record(usize),
}

/// Writes a database from its parts, which need not fit together.
pub fn mmdb_of(
    record_bits: u16,
    ip_version: u16,
    node_count: u32,
    nodes: &[[u32; 2]],
    data: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    for [left, right] in nodes {
        let (l, r) = (left.to_be_bytes(), right.to_be_bytes());
        match record_bits {
            24 => file.extend([l[1], l[2], l[3], r[1], r[2], r[3]]),
            28 => file.extend([l[1], l[2], l[3], l[0] << 4 | r[0] & 15, r[1], r[2], r[3]]),
            _ => file.extend([l, r].concat()),
        }
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(map(&[
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        ("build_epoch", [vec![1, 2], vec![1]].concat()),
        ("database_type", text("Test-Country")),
        ("description", map(&[("en", text("made by a test"))])),
        ("ip_version", number(5, ip_version.into())),
        ("languages", vec![0, 4]),
        ("node_count", number(6, node_count)),
        ("record_size", number(5, record_bits.into())),
    ]));
    file
}

/// A text of less than 29 octets.
pub fn text(text: &str) -> Vec<u8> {
    [&[2 << 5 | text.len() as u8], text.as_bytes()].concat()
}

/// A map of less than 29 entries.
pub fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut octets = vec![7 << 5 | entries.len() as u8];
    for (key, value) in entries {
        octets.extend(text(key));
        octets.extend(value);
    }
    octets
}

/// A number without a sign: type 5 has 16 bits, type 6 has 32.
fn number(kind: u8, value: u32) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let short = if kind == 5 { &octets[2..] } else { &octets[..] };
    [&[kind << 5 | short.len() as u8], short].concat()
}
