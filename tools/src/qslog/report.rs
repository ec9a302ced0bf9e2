//! The record of a minute: all requests, and those of each rule.

use super::counts::{Columns, Counts, columns};
use super::events::Names;
use super::format::Element::{Client, Subject, User};
use super::format::{Fields, Format};
use super::rules::{self, Rule};
use super::seen::Seen;

/// What is counted, and how it is shown.
pub struct Report {
    shown: Columns,
    counts: Counts,
    addresses: Seen,
    users: Seen,
    rules: Vec<Rule>,
}

impl Report {
    /// Begins with nothing.
    pub fn new(format: &Format, names: Names, rules: Vec<Rule>) -> Report {
        Report {
            shown: Columns::of(format),
            counts: Counts::new(names),
            addresses: Seen::default(),
            users: Seen::default(),
            rules,
        }
    }

    /// Counts a line of that second.
    pub fn count(&mut self, fields: &Fields, now: i64) {
        self.counts.count(fields);
        if let Some(address) = fields.get(Client) {
            self.addresses.see(address, now);
        }
        if let Some(user) = fields.get(User) {
            self.users.see(user, now);
        }
        if let Some(subject) = fields.get(Subject) {
            rules::count(&mut self.rules, subject, fields);
        }
    }

    /// Returns whether nothing was counted since the last record.
    pub fn is_empty(&self) -> bool {
        self.counts.requests == 0
    }

    /// Appends the record, and those of the rules to another text, and begins anew. `machine` are columns of the
    /// machine that runs us, for those who look at it now.
    pub fn take(
        &mut self,
        label: &str,
        now: i64,
        machine: &str,
        out: &mut Vec<u8>,
        detailed: &mut Vec<u8>,
    ) {
        out.extend_from_slice(format!("{label};").as_bytes());
        self.counts.write_requests(self.shown, true, out);
        columns(out, [("ip", self.addresses.count(now)), ("usr", self.users.count(now))]);
        self.counts.write_numbers(self.shown, out);
        out.extend_from_slice(machine.as_bytes());
        self.counts.write_events(out);
        out.push(b'\n');
        self.counts.reset();
        for rule in &mut self.rules {
            detailed.extend_from_slice(format!("{label};{};", rule.id).as_bytes());
            rule.counts.write_requests(self.shown, false, detailed);
            rule.counts.write_numbers(self.shown, detailed);
            rule.counts.write_events(detailed);
            detailed.push(b'\n');
            rule.counts.reset();
        }
    }

    /// Returns the letters of the elements that had too many different values since the last call.
    pub fn overflowed(&mut self) -> impl Iterator<Item = char> {
        let address = self.addresses.overflowed().then_some('I');
        address.into_iter().chain(self.users.overflowed().then_some('U'))
    }
}
