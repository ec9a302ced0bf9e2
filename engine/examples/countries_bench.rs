//! What a file of countries costs: reading it, the memory it takes, and a look-up. Run by `benches/geo.py`:
//! `countries_bench <ranges> <look-ups>`; under callgrind, which counts instructions between the calls of [`mark`].

use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr};
use qos_engine::client::address::Address;
use qos_engine::client::countries::Countries;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u32>());
    let (Some(Ok(ranges)), Some(Ok(lookups))) = (arguments.next(), arguments.next()) else {
        println!("usage: countries_bench <ranges> <look-ups>");
        return;
    };
    let content = lines(ranges);
    mark();
    let read = Countries::read(content.as_bytes());
    mark();
    let Ok(countries) = read else { return };
    let mut number = 1u32;
    for _ in 0..lookups {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        black_box(countries.of(Address::from(IpAddr::V4(Ipv4Addr::from(number)))));
    }
    mark();
    println!("{} {}", content.len(), countries.size());
}

/// So many lines as they are in use: ranges that follow each other, of very different lengths.
fn lines(ranges: u32) -> String {
    let mut text = String::new();
    let mut random = 7u32;
    let mut from = 1u32 << 24;
    let mean = (u32::MAX - from) / ranges.max(1);
    for place in 0..ranges {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Few are long, most are short.
        let length = if random >> 29 == 0 { mean * 4 } else { mean / 2 };
        let to = from.saturating_add(length.max(1) - 1);
        let code = ["CH", "DE", "AT", "FR"].get(place as usize % 4).copied().unwrap_or("");
        let dotted = |number: u32| Ipv4Addr::from(number);
        text += &format!(
            "\"{}\",\"{}\",\"{from}\",\"{to}\",\"{code}\",\"Some Country\"\n",
            dotted(from),
            dotted(to)
        );
        from = to.saturating_add(1);
    }
    text
}

#[inline(never)]
fn mark() {
    black_box(());
}
