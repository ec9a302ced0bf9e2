//! Both formats, against a slow search, and with everything that can be wrong in a file.

use super::*;
use core::net::{Ipv4Addr, Ipv6Addr};
use mmdb_writer::{map, mmdb_of, text, write_mmdb};
use proptest::prelude::*;
use std::io::{BufReader, Read};

fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().expect(text))
}

fn v4(number: u32) -> Address {
    Address::from(IpAddr::V4(Ipv4Addr::from(number)))
}

fn v6(number: u128) -> Address {
    Address::from(IpAddr::V6(Ipv6Addr::from(number)))
}

fn read(content: &[u8]) -> Countries {
    Countries::read(content).expect("a good file")
}

fn problem(content: &[u8]) -> String {
    Countries::read(content).expect_err("a bad file").to_string()
}

fn code_of(countries: &Countries, text: &str) -> String {
    countries.of(address(text)).map_or_else(|| "none".to_owned(), |country| country.to_string())
}

const SAMPLE: &str = r#""176.10.86.0","176.10.87.255","2953467392","2953467903","GB","United Kingdom"
"176.10.88.0","176.10.95.255","2953467904","2953469951","BE","Belgium"
"176.10.96.0","176.10.127.255","2953469952","2953478143","CH","Switzerland"
"176.10.227.64","176.10.227.71","2953503552","2953503559","-","-"
"#;

#[test]
fn a_line_is_a_range_and_what_is_in_none_has_no_country() {
    for content in [SAMPLE.to_owned(), SAMPLE.trim_end().to_owned(), SAMPLE.replace('\n', "\r\n")] {
        let countries = read(content.as_bytes());
        for (text, code) in [
            ("176.10.85.255", "none"),
            ("176.10.86.0", "GB"),
            ("176.10.87.255", "GB"),
            ("176.10.88.0", "BE"),
            ("::ffff:176.10.100.1", "CH"),
            ("176.10.127.255", "CH"),
            ("176.10.128.0", "none"),
            ("176.10.227.70", "-"),
            ("255.255.255.255", "none"),
            ("0.0.0.0", "none"),
            ("2001:db8::1", "none"),
        ] {
            assert_eq!(code_of(&countries, text), code, "{text}");
        }
    }
}

#[test]
fn the_three_fields_stand_anywhere_in_a_line_and_an_empty_file_is_empty() {
    for line in [
        r#""1","2","CH""#,
        r#"x,y "1","2","CH",z"#,
        r#""a","7","8","1","2","CH","9""#,
        r#"""1","2","CH""#,
        r#""1","2","lower","1","2","CH""#,
    ] {
        assert_eq!(code_of(&read(line.as_bytes()), "0.0.0.2"), "CH", "{line}");
    }
    assert_eq!(code_of(&read(b""), "0.0.0.2"), "none");
    let all = read(br#""0","4294967295","A1""#);
    assert_eq!(code_of(&all, "0.0.0.0") + &code_of(&all, "255.255.255.255"), "A1A1");
}

#[test]
fn lines_may_come_in_pieces_and_a_source_that_fails_is_told_of() {
    for piece in [1, 7, 64, 300] {
        let mut source = BufReader::with_capacity(piece, SAMPLE.as_bytes());
        let countries = Countries::read_lines(&mut source, SAMPLE.len()).expect("a good file");
        assert_eq!(code_of(&countries, "176.10.100.1"), "CH", "{piece} octets at a time");
    }
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let mut source = BufReader::new(SAMPLE.as_bytes().chain(Broken));
    let problem = Countries::read_lines(&mut source, 0).expect_err("a source that fails");
    assert_eq!(problem, "cannot be read: the disk is gone");
}

#[test]
fn a_bad_line_is_told_by_its_number() {
    let good = r#""10","20","CH""#;
    for (bad, part) in [
        ("", "line 2: has no"),
        ("10,20,CH", "line 2: has no"),
        (r#""11","20","CHE""#, "line 2: has no"),
        (r#""11","20","ch""#, "line 2: has no"),
        (r#""11","20","""#, "line 2: has no"),
        (r#""11","20","C"#, "line 2: has no"),
        (r#""-11","20","CH""#, "line 2: has no"),
        (r#""11";"20";"CH""#, "line 2: has no"),
        (r#""11","#, "line 2: has no"),
        ("\u{fffd}\0\"", "line 2: has no"),
        (r#""4294967296","4294967297","CH""#, "line 2: an IPv4 number is at most 4294967295"),
        (r#""11","99999999999999999999999","CH""#, "line 2: an IPv4 number is at most"),
        (r#""21","20","CH""#, "line 2: the range ends (20) before it begins (21)"),
        (r#""9","20","CH""#, "line 2: the range begins (9) before that of the line above (10)"),
    ] {
        let said = problem(format!("{good}\n{bad}\n{good}\n").as_bytes());
        assert!(said.starts_with(part), "{bad}: {said}");
    }
}

#[test]
fn a_range_of_ten_octets_at_most_when_they_follow_each_other() {
    let lines: String = (0..20_000u32)
        .map(|n| {
            format!("\"{}\",\"{}\",\"{}\"\n", n * 512, n * 512 + 511, ["CH", "DE"][n as usize % 2])
        })
        .collect();
    let octets = read(lines.as_bytes()).size();
    assert!(octets < 20_000 * 10, "{octets}");
}

#[test]
fn codes_are_two_letters_or_digits_and_small_ones_are_meant_as_capitals() {
    for (word, code) in [("CH", "CH"), ("ch", "CH"), ("A1", "A1"), ("-", "-")] {
        assert_eq!(Country::parse(word).expect(word).code(), code);
    }
    for word in ["", "C", "CHE", "--", "C-", "Ü", "C "] {
        assert!(Country::parse(word).is_err(), "{word:?} was taken");
    }
}

// ---- MaxMind's format

/// `127.0.0.0/30` and so on, as the format has them.
fn low(text: &str) -> u128 {
    u32::from(text.parse::<Ipv4Addr>().expect(text)).into()
}

fn high(text: &str) -> u128 {
    text.parse::<Ipv6Addr>().expect(text).into()
}

fn sample() -> Vec<(u128, u8, &'static str)> {
    vec![
        (low("10.0.0.0"), 96 + 8, "AT"),
        (low("10.1.0.0"), 96 + 16, "CH"),
        (low("192.0.2.7"), 128, "DE"),
        (high("2001:db8::"), 32, "FR"),
        (high("2001:db8:1::"), 48, "DE"),
        (high("2001:db8:2:3:4::"), 80, "CH"),
        (high("2001:db8:2:3::1"), 128, "AT"),
    ]
}

#[test]
fn a_database_is_known_by_what_it_says_and_has_both_kinds_of_address() {
    for bits in [24, 28, 32] {
        let countries = read(&write_mmdb(bits, &sample()));
        for (text, code) in [
            ("9.255.255.255", "none"),
            ("10.0.0.0", "AT"),
            ("10.1.2.3", "CH"),
            ("10.2.0.0", "AT"),
            ("192.0.2.7", "DE"),
            ("192.0.2.8", "none"),
            ("::ffff:10.1.2.3", "CH"),
            ("2001:db7:ffff::", "none"),
            ("2001:db8::", "FR"),
            ("2001:db8:1:ffff::1", "DE"),
            ("2001:db8:2:3:4::9", "CH"),
            ("2001:db8:2:3:5::9", "FR"),
            ("2001:db8:2:3::1", "AT"),
            ("2001:db8:2:3::2", "FR"),
            ("2001:db8:2:4::", "FR"),
            ("2001:db9::", "none"),
            ("::1", "none"),
            ("::a01:203", "CH"),
        ] {
            assert_eq!(code_of(&countries, text), code, "{text}, {bits} bits");
        }
    }
}

#[test]
fn a_database_of_ipv4_alone_has_no_other() {
    let data = map(&[("country_code", text("NL"))]);
    // 128.0.0.0/1
    let countries = read(&mmdb_of(24, 4, 1, &[[1, 1 + 16]], &data));
    assert_eq!(code_of(&countries, "128.0.0.1") + &code_of(&countries, "127.0.0.1"), "NLnone");
    assert_eq!(code_of(&countries, "8000::"), "none");
    // ::/1 of a database of both holds all of IPv4.
    let countries = read(&mmdb_of(24, 6, 1, &[[1 + 16, 1]], &data));
    assert_eq!(code_of(&countries, "128.0.0.1") + &code_of(&countries, "8000::"), "NLnone");
    assert_eq!(code_of(&countries, "::9"), "NL");
}

#[test]
fn a_database_that_is_broken_is_refused() {
    let country = |code| map(&[("country", map(&[("iso_code", text(code))]))]);
    let data = country("NL");
    let chain: Vec<[u32; 2]> = (1..=127).map(|next| [next, next]).chain([[128, 128]]).collect();
    for (what, content) in [
        ("a node that leads to itself", mmdb_of(24, 6, 1, &[[0, 0]], &data)),
        ("a circle with a way out", mmdb_of(24, 6, 2, &[[1, 2 + 16], [0, 2 + 16]], &data)),
        ("many ways to one node", mmdb_of(24, 6, 128, &chain, &data)),
        ("more nodes than it has", mmdb_of(24, 6, 1 << 31, &[[0, 0]], &data)),
        ("no such size", mmdb_of(25, 6, 1, &[[1, 1]], &data)),
        ("no such version", mmdb_of(24, 5, 1, &[[1, 1]], &data)),
        ("a record behind the end", mmdb_of(24, 6, 1, &[[1, 1 + 16 + 5000]], &data)),
        ("no country", mmdb_of(24, 6, 1, &[[1, 1 + 16]], &map(&[("asn", text("1"))]))),
        ("no country code", mmdb_of(24, 6, 1, &[[1, 1 + 16]], &country("nowhere"))),
        ("a record of another kind", mmdb_of(24, 6, 1, &[[1, 1 + 16]], &text("NL"))),
        ("a pointer to itself", mmdb_of(24, 6, 1, &[[1, 1 + 16]], &[0x20, 0])),
        ("an endless text", mmdb_of(24, 6, 1, &[[1, 1 + 16]], &[0x5f, 0xff, 0xff, 0xff])),
    ] {
        assert!(Countries::read(&content).is_err(), "{what} was taken");
    }
    let no_country = mmdb_of(24, 6, 1, &[[1, 1 + 16]], &map(&[("asn", text("1"))]));
    assert!(problem(&no_country).contains("none of its records has a country"));
}

#[test]
fn a_database_cut_or_changed_anywhere_is_an_error_or_an_answer_and_nothing_else() {
    let whole = write_mmdb(28, &sample());
    for length in 0..whole.len() {
        let _ =
            Countries::read(&whole[..length]).map(|countries| countries.of(address("10.1.2.3")));
        let _ = Countries::read(&whole[length..]).map(|countries| countries.of(address("::1")));
    }
    for place in 0..whole.len() {
        for octet in [0, 0x7f, 0xff, whole[place] ^ 1] {
            let mut changed = whole.clone();
            changed[place] = octet;
            let _ = Countries::read(&changed).map(|countries| countries.of(address("10.1.2.3")));
        }
    }
}

// ---- against a slow search

const CODES: [&str; 3] = ["CH", "DE", "-"];

/// The last range that begins at or before the address decides, if it reaches so far.
fn slow(ranges: &[(u32, u32, &'static str)], number: u32) -> Option<&'static str> {
    let last = ranges.iter().rev().find(|(from, ..)| *from <= number)?;
    (number <= last.1).then_some(last.2)
}

proptest! {
    #[test]
    fn lines_say_what_a_slow_search_says(
        mut ranges in proptest::collection::vec((any::<u32>(), 0u32..1 << 27, 0usize..3), 0..300),
        near in 0u32..3,
        asked in proptest::collection::vec(any::<u32>(), 50),
    ) {
        // Far apart, or all within a few thousand addresses.
        for (from, length, _) in &mut ranges {
            *from >>= near * 8;
            *length >>= near * 8;
        }
        ranges.sort_by_key(|(from, ..)| *from);
        let ranges: Vec<(u32, u32, &str)> = ranges
            .into_iter()
            .map(|(from, length, code)| (from, from.saturating_add(length), CODES[code]))
            .collect();
        let lines: String =
            ranges.iter().map(|(from, to, code)| format!("\"{from}\",\"{to}\",\"{code}\"\n")).collect();
        let countries = read(lines.as_bytes());
        let borders = ranges.iter().flat_map(|(from, to, _)| {
            [from.saturating_sub(1), *from, *to, to.saturating_add(1)]
        });
        for number in asked.iter().map(|number| number >> (near * 8)).chain(borders) {
            let found = countries.of(v4(number));
            prop_assert_eq!(found.as_ref().map(Country::code), slow(&ranges, number), "{}", number);
        }
    }

    #[test]
    fn a_database_says_what_a_slow_search_says(
        networks in proptest::collection::vec((any::<u128>(), 1u8..=128, 0usize..2), 1..40),
        low_bits in 0u32..3,
    ) {
        let mut networks: Vec<(u128, u8, &str)> = networks
            .into_iter()
            .map(|(first, prefix, code)| {
                let shift = low_bits * 48;
                let prefix = (u32::from(prefix)).max(shift + 1) as u8;
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                ((first >> shift) & mask, prefix, CODES[code])
            })
            .collect();
        // Wide ones first, so that none is written over a narrower one.
        networks.sort_by_key(|(_, prefix, _)| *prefix);
        let countries = read(&write_mmdb(32, &networks));
        for (first, prefix, _) in &networks {
            let last = first | u128::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
            for number in [first.saturating_sub(1), *first, last, last.saturating_add(1)] {
                // What IPv4 means in the tree is another matter.
                if number >> 32 == 0xffff || number >> 32 == 0 {
                    continue;
                }
                let holds = |(first, prefix, _): &&(u128, u8, &str)| {
                    (number ^ first).checked_shr(128 - u32::from(*prefix)).unwrap_or(0) == 0
                };
                let expected = networks.iter().rev().find(holds).map(|(_, _, code)| *code);
                let found = countries.of(v6(number));
                prop_assert_eq!(found.as_ref().map(Country::code), expected, "{:x}", number);
            }
        }
    }

    #[test]
    fn no_file_makes_it_panic(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Countries::read(&content);
        let _ = Countries::read(&[&content[..], b"\xab\xcd\xefMaxMind.com", &content[..]].concat());
    }
}
