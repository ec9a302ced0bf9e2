//! The console's lines, taken apart.

use super::Failure;

/// A client that is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Address or prefix.
    pub address: String,
    /// Seconds left.
    pub left: u64,
    /// Events that were counted.
    pub count: u64,
}

/// A rule that holds a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The directive.
    pub directive: String,
    /// The variable that it counts, where there are several.
    pub variable: Option<String>,
    /// What was counted.
    pub count: u64,
    /// The limit.
    pub limit: u64,
    /// Seconds left.
    pub remaining: u64,
    /// Since when.
    pub since: String,
}

/// Reads the answer of `action=dump`.
pub fn bans(text: &str) -> Result<Vec<Ban>, Failure> {
    let mut lines = text.lines();
    if lines.next() != Some("# mod_qos block list 1") {
        return Err(not_understood(text));
    }
    let ban = |line: &str| -> Option<Ban> {
        let mut words = line.split(' ');
        let address = words.next().filter(|word| !word.is_empty())?.to_owned();
        let ban =
            Ban { address, left: words.next()?.parse().ok()?, count: words.next()?.parse().ok()? };
        words.next().is_none().then_some(ban)
    };
    lines.map(|line| ban(line).ok_or_else(|| not_understood(line))).collect()
}

/// Reads the answer of `action=why`: no line for a client that nothing holds.
pub fn holdings(text: &str) -> Result<Vec<Holding>, Failure> {
    let lines: Vec<&str> = text.lines().collect();
    match lines.as_slice() {
        [] => Err(not_understood(text)),
        [line] if field(line, "rule") == Some("none") => Ok(Vec::new()),
        lines => {
            lines.iter().map(|line| holding(line).ok_or_else(|| not_understood(line))).collect()
        }
    }
}

fn holding(line: &str) -> Option<Holding> {
    let rule = field(line, "rule")?;
    let (directive, variable) = match rule.split_once('(') {
        Some((directive, rest)) => (directive, Some(rest.strip_suffix(')')?.to_owned())),
        None => (rule, None),
    };
    let (count, limit) = field(line, "count")?.split_once('/')?;
    Some(Holding {
        directive: directive.to_owned(),
        variable,
        count: count.parse().ok()?,
        limit: limit.parse().ok()?,
        remaining: field(line, "remaining")?.parse().ok()?,
        since: field(line, "since")?.to_owned(),
    })
}

/// Reads the block of a client from the answer of an action: counter and seconds left.
pub fn block(text: &str) -> Result<(u64, u64), Failure> {
    let numbers = field(text.trim_end(), "block").and_then(|value| {
        let (count, left) = value.split_once('/')?;
        Some((count.parse().ok()?, left.parse().ok()?))
    });
    numbers.ok_or_else(|| not_understood(text))
}

/// Finds ` name=value` in a line that begins with an address.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split(' ').skip(1).find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn not_understood(text: &str) -> Failure {
    let line = text.lines().next().unwrap_or("it is empty");
    Failure::NotUnderstood(line.chars().take(80).collect())
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_consoles_lines_are_understood_and_others_are_not() {
        let list = bans("# mod_qos block list 1\n192.0.2.7 17 20\n2001:db8::/64 1 4294967295\n");
        let list = list.expect("a list");
        assert_eq!((list.len(), list[1].address.as_str(), list[1].left), (2, "2001:db8::/64", 1));
        assert_eq!(bans("# mod_qos block list 1\n"), Ok(Vec::new()));
        for bad in
            ["", "it works\n", "# mod_qos block list 1\n1.2.3.4 5\n", "# mod_qos block list 1\n\n"]
        {
            assert!(bans(bad).is_err(), "{bad}");
        }
        assert_eq!(holdings("192.0.2.7 rule=none\n"), Ok(Vec::new()));
        let two = "::1 rule=QS_ClientEventBlockCount count=5/3 remaining=9 since=2026-11-22T08:19:09Z\n\
                   ::1 rule=QS_ClientEventLimitCount(QS_Limit) count=1/1 remaining=0 since=x\n";
        let two = holdings(two).expect("rules");
        assert_eq!(
            (two[0].variable.as_deref(), two[1].variable.as_deref()),
            (None, Some("QS_Limit"))
        );
        assert_eq!((two[0].count, two[0].limit, two[0].remaining), (5, 3, 9));
        for bad in [
            "",
            "\n",
            "hello",
            "::1 rule=x",
            "::1 rule=x(y count=1/1 remaining=0 since=x",
            "<html>",
        ] {
            assert!(holdings(bad).is_err(), "{bad}");
        }
        assert_eq!(block("::1 vip=no lowprio=no block=1003/60 limit=0/0\n"), Ok((1003, 60)));
        assert!(block("not available\n").is_err() && block("::1 block=x/1").is_err());
    }
}
