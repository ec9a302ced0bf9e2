//! Orders and questions about clients.

use super::answers::{self, Holding};
use super::server::Server;
use super::text::{Table, span};
use super::{Failure, Outcome, say, warn};
use serde_json::{Value, json};

const BLOCK: &str = "QS_ClientEventBlockCount";
/// What networks are blocked by.
const WATCH: &str = "QS_SrvBusyWatch";
const LIMITS: [&str; 2] = ["QS_ClientEventLimitCount", "QS_CondClientEventLimitCount"];

/// `qosctl bans`
pub fn bans(server: &Server, is_json: bool) -> Result<Outcome, Failure> {
    let mut bans = answers::bans(&server.look("action=dump")?)?;
    bans.sort_by(|a, b| b.left.cmp(&a.left).then_with(|| a.address.cmp(&b.address)));
    if is_json {
        let ban = |ban: &answers::Ban| json!({"address": ban.address, "seconds_left": ban.left, "count": ban.count});
        tell(&json!({"bans": bans.iter().map(ban).collect::<Vec<_>>()}))?;
        return Ok(Outcome::Done);
    }
    if bans.is_empty() {
        say("nobody is blocked\n")?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(&["ADDRESS", "LEFT", "EVENTS"]);
    for ban in bans {
        table.push(vec![ban.address, span(ban.left), ban.count.to_string()]);
    }
    say_table(&table)?;
    Ok(Outcome::Done)
}

/// `qosctl ban`
pub fn ban(server: &Server, address: &str, is_json: bool) -> Result<Outcome, Failure> {
    let (count, left) = answers::block(&server.order(&about("block", address))?)?;
    if is_json {
        tell(&json!({"address": address, "seconds_left": left, "count": count}))?;
    } else {
        say(&format!("{address} is blocked for {}\n", span(left)))?;
    }
    if !holdings(server, address)?.iter().any(is_block) {
        warn("but the server serves it all the same: see QS_ClientEventBlockExcludeIP");
    }
    Ok(Outcome::Done)
}

/// `qosctl unban`
pub fn unban(server: &Server, address: &str, is_json: bool) -> Result<Outcome, Failure> {
    let mut lifted = Vec::new();
    for rule in holdings(server, address)?.iter().filter(|rule| can_be_lifted(rule)) {
        let order = match &rule.variable {
            None => about("unblock", address),
            Some(variable) => format!("{}&event={}", about("unlimit", address), encoded(variable)),
        };
        server.order(&order)?;
        lifted.push(name(rule));
    }
    // What cannot be lifted, and what came back meanwhile.
    let still: Vec<String> = holdings(server, address)?.iter().map(name).collect();
    if is_json {
        tell(&json!({"address": address, "lifted": lifted, "still": still}))?;
    } else {
        if lifted.is_empty() && still.is_empty() {
            say(&format!("nothing holds {address}\n"))?;
        }
        if !lifted.is_empty() {
            say(&format!("{address} is free of {}\n", lifted.join(", ")))?;
        }
        if !still.is_empty() {
            say(&format!("{address} is still held by {}\n", still.join(", ")))?;
        }
    }
    Ok(if lifted.is_empty() || !still.is_empty() { Outcome::No } else { Outcome::Done })
}

/// `qosctl why`
pub fn why(server: &Server, address: &str, is_json: bool) -> Result<Outcome, Failure> {
    let rules = holdings(server, address)?;
    if is_json {
        let rule = |rule: &Holding| {
            json!({"directive": rule.directive, "variable": rule.variable, "count": rule.count,
                   "limit": rule.limit, "remaining": rule.remaining, "since": rule.since})
        };
        tell(&json!({"address": address, "rules": rules.iter().map(rule).collect::<Vec<_>>()}))?;
    } else if rules.is_empty() {
        say(&format!("nothing holds {address}\n"))?;
    } else {
        let mut table = Table::new(&["RULE", "COUNT", "LIMIT", "LEFT", "SINCE"]);
        for rule in &rules {
            let left = if rule.remaining == 0 { "-".to_owned() } else { span(rule.remaining) };
            let (count, limit) = (rule.count.to_string(), rule.limit.to_string());
            table.push(vec![name(rule), count, limit, left, rule.since.clone()]);
        }
        say_table(&table)?;
    }
    Ok(if rules.is_empty() { Outcome::No } else { Outcome::Done })
}

fn holdings(server: &Server, address: &str) -> Result<Vec<Holding>, Failure> {
    answers::holdings(&server.look(&about("why", address))?)
}

fn is_block(rule: &Holding) -> bool {
    rule.directive == BLOCK || rule.directive == WATCH
}

fn can_be_lifted(rule: &Holding) -> bool {
    is_block(rule) || rule.variable.is_some() && LIMITS.contains(&rule.directive.as_str())
}

fn name(rule: &Holding) -> String {
    match &rule.variable {
        Some(variable) => format!("{}({variable})", rule.directive),
        None => rule.directive.clone(),
    }
}

fn about(action: &str, address: &str) -> String {
    format!("action={action}&address={}", encoded(address))
}

/// Percent-encodes what means something in a query.
fn encoded(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:/".contains(&octet);
    let encode = |octet: u8| {
        if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") }
    };
    text.bytes().map(encode).collect()
}

fn tell(value: &Value) -> Result<(), Failure> {
    say(&format!("{value}\n"))
}

fn say_table(table: &Table) -> Result<(), Failure> {
    say(&format!("{}\n", table.lines().join("\n")))
}
