//! Address lists that a rule passes over: `QS_SrvMaxConnExcludeIP`, `QS_ClientEventBlockExcludeIP`.
//! Spec: connection.md; CIDR: improvements.md 5.

use super::address::Address;
use crate::values::Problem;
use core::net::IpAddr;
use ipnet::IpNet;

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exempt {
    /// A whole address, or a network in CIDR form.
    Network(IpNet),
    /// The beginning of the address's text, up to a `.` or `:`.
    Text(String),
}

impl Exempt {
    /// Reads `192.0.2.1`, `2001:db8::1`, `192.0.2.0/24`, `192.0.2.` or `2001:db8:`.
    pub fn parse(word: &str) -> Result<Exempt, Problem> {
        let allowed = "an address (192.0.2.1), the beginning of one up to a '.' or ':' (192.0.2.), or a \
             network in CIDR form (192.0.2.0/24)";
        // The ending decides, not the meaning: `2001:db8::` is a beginning, though it is an address, too.
        if word.ends_with(['.', ':']) {
            if is_beginning_of_v4(word) || is_beginning_of_v6(word) {
                return Ok(Exempt::Text(word.to_ascii_lowercase()));
            }
        } else if let Ok(ip) = word.parse::<IpAddr>() {
            return Ok(Exempt::Network(IpNet::from(Address::from(ip).to_ip())));
        } else if let Ok(network) = word.parse::<IpNet>() {
            return Ok(Exempt::Network(network.trunc()));
        }
        Err(Problem::word(word, allowed))
    }
}

fn is_beginning_of_v4(word: &str) -> bool {
    let Some(numbers) = word.strip_suffix('.') else { return false };
    let mut parts = numbers.split('.');
    parts.clone().count() <= 3
        && parts.all(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u8>().is_ok())
}

/// At most seven groups, and at most one pair of colons for missing ones: `2001:db8:`, `fe80::1:`, `::`.
fn is_beginning_of_v6(word: &str) -> bool {
    let mut groups = word.split(':').filter(|group| !group.is_empty());
    groups.clone().count() <= 7
        && groups.all(|p| p.len() <= 4 && p.bytes().all(|b| b.is_ascii_hexdigit()))
        && word.matches("::").count() <= 1
        && !word.contains(":::")
        && (word.starts_with("::") || !word.starts_with(':'))
}

/// Tells whether an address is on the list. `text` is the address as httpd writes it; most lists are
/// empty or of numbers, and then it is not asked for.
pub fn contains(list: &[Exempt], address: Address, text: &dyn AsRef<str>) -> bool {
    list.iter().any(|entry| match entry {
        Exempt::Network(network) => network.contains(&address.to_ip()),
        Exempt::Text(beginning) => text.as_ref().starts_with(beginning.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_matches_what_it_names_and_nothing_else() {
        for (entry, address, expected) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.10", false),
            ("192.0.2.", "192.0.2.10", true),
            ("192.0.2.", "192.0.20.1", false),
            ("10.", "10.9.8.7", true),
            ("192.0.2.0/24", "192.0.2.200", true),
            ("192.0.2.99/24", "192.0.2.200", true),
            ("192.0.2.0/25", "192.0.2.200", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:DB8::1", "2001:db8::1", true),
            ("2001:db8:", "2001:db8::77", true),
            ("2001:db8::", "2001:db8::77", true),
            ("2001:db8:1:", "2001:db8:2::1", false),
            ("fe80::1:", "fe80::1:2", true),
            ("fe80::1:", "fe80::2:2", false),
            ("::", "::1", true),
            ("2001:db8::/32", "2001:db8:2::1", true),
            ("2001:db8::/32", "192.0.2.1", false),
        ] {
            let list = [Exempt::parse(entry).expect(entry)];
            let ip = Address::from(address.parse::<IpAddr>().expect(address));
            assert_eq!(contains(&list, ip, &address), expected, "{entry} on {address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for word in [
            "",
            "abc",
            "abc.",
            "1.2.3",
            "1.2.3.4.",
            "1.2.3.4.5",
            "256.",
            "1..",
            ".",
            ":",
            "::.",
            "1.2.3.0/33",
            "1.2.3.0/",
            "/24",
            "2001:db8",
            "12345:",
            "g:",
            ":1:",
            "1:::",
            "1::2::",
            "localhost",
            "1.2.3.4:80",
        ] {
            assert!(Exempt::parse(word).is_err(), "{word:?} was taken");
        }
    }
}
