//! The console: an administrator looks at what is known of clients, and changes it.
//!
//! ```text
//!   begin      what is asked for, may it be?          -> a page, a list, or a body is wanted
//!     list     all clients, or those who are blocked  -> lines, one after the other
//!     load     a list of blocked clients              -> a page
//! ```
//! Everything that enters the store from a page comes through here. A client's row is held while it is
//! changed, like a connection holds it, and is worth keeping afterwards for as long as its block or limit
//! lasts. Spec: status-and-console.md 3, additions.md 2 and 4.

mod action;
mod block_list;
mod lines;
mod networks;
mod origin;
mod why;

use crate::client::identity::Peer;
use crate::client::target::{self, Target};
use crate::context::{Aspect, Exchange, Moment};
use crate::report::{Page, Query};
use crate::rules::client_event_limit::by_hand::{self as limits, Change};
use crate::rules::client_limit::by_hand as blocks;
use crate::rules::console::{APPLIED, NOT_ACCEPTABLE, REFUSED};
use crate::rules::{Policy, client_event_limit, client_limit};
use crate::store::clients::{CLIENTS, RowId};
use crate::time::Tick;
use action::Action;
use block_list::Who;
use core::fmt;

pub use block_list::LARGEST as LARGEST_BODY;

const TEXT: &str = "text/plain";

/// The variable of limits where none is named.
const VARIABLE: &[u8] = b"QS_Limit";

/// So much of what a client sent stands in a log line.
const SHOWN: usize = 64;

/// What a request to the console leads to.
#[derive(Debug)]
pub enum Step {
    /// The answer.
    Answer(Page),
    /// The head of an answer, whose lines [`list`] writes.
    List(Page, List),
    /// A body is wanted, for [`load`].
    Body,
}

/// Lines that may be as many as there are clients.
#[derive(Debug)]
pub enum List {
    /// All clients, with their limit of this variable.
    Clients(Vec<u8>),
    /// Those who are blocked.
    Blocked,
}

/// Looks at what is asked for, and does it unless it takes more than the request's head.
pub fn begin(policy: &Policy, exchange: &mut Exchange<'_>) -> Step {
    match look(policy, exchange) {
        Ok(step) => step,
        Err(page) => Step::Answer(page),
    }
}

fn look(policy: &Policy, exchange: &mut Exchange<'_>) -> Result<Step, Page> {
    let query = Query::parse(exchange.request.aspect(Aspect::Query).unwrap_or(b""));
    let (word, address) = (query.get("action"), query.get("address"));
    let missing = || format_args!("missing request query (action/address)");
    let Some(word) = word else { return Err(not_acceptable(exchange, missing())) };
    let action = Action::parse(word);
    let takes_address = action.is_none_or(Action::takes_address);
    if takes_address && address.is_none() {
        return Err(not_acceptable(exchange, missing()));
    }
    if !policy.counts_clients() && !exchange.moment.store.clients.remembers() {
        let text = format_args!("client data store has not been enabled");
        return Err(not_acceptable(exchange, text));
    }
    let variable = query.get("event").unwrap_or(VARIABLE);
    let address = address.unwrap_or(b"");
    if action == Some(Action::Search) && address == b"*" {
        return Ok(Step::List(page(""), List::Clients(variable.to_vec())));
    }
    let target = Target::parse(address, exchange.moment.store.prefix);
    let network = target::network(address, exchange.moment.store.prefix);
    let can_be_network = action.is_none_or(Action::is_of_networks);
    if takes_address && target.is_none() && (network.is_none() || !can_be_network) {
        return Err(wrong_address(exchange));
    }
    let Some(action) = action else {
        let word = String::from_utf8_lossy(word.get(..SHOWN).unwrap_or(word)).into_owned();
        return Err(not_acceptable(exchange, format_args!("unknown action '{word}'")));
    };
    if action.changes() {
        admit(policy, action, exchange)?;
    }
    match (action, target) {
        (Action::Dump, _) => Ok(Step::List(page(""), List::Blocked)),
        (Action::Load, _) => Ok(Step::Body),
        (Action::Clear, _) => Ok(Step::Answer(clear(policy, exchange))),
        (_, Some(target)) => {
            let word = String::from_utf8_lossy(word);
            apply(policy, exchange, &Order { action, word: &word, target, variable })
                .map(Step::Answer)
        }
        (_, None) => match network {
            Some(network) => {
                let page = networks::apply(policy, exchange, action, network, address);
                tell(exchange, &String::from_utf8_lossy(word), &String::from_utf8_lossy(address));
                Ok(Step::Answer(page))
            }
            None => Err(wrong_address(exchange)),
        },
    }
}

/// Refuses a change that a browser makes for another site's sake, or by a method that is not allowed to,
/// and one of what is not configured.
fn admit(policy: &Policy, action: Action, exchange: &mut Exchange<'_>) -> Result<(), Page> {
    if origin::is_from_elsewhere(exchange.request) {
        return Err(refused(exchange, "comes from another site"));
    }
    let is_post = exchange.request.aspect(Aspect::Method) == Some(b"POST");
    if !is_post && (policy.console.requires_post || action.takes_post()) {
        return Err(refused(exchange, "POST required"));
    }
    if matches!(action, Action::Block | Action::Load) && policy.client_limit.block.is_none() {
        let text = format_args!("qos client control has not been activated");
        return Err(not_acceptable(exchange, text));
    }
    Ok(())
}

/// What is to be done, and to whom.
struct Order<'a> {
    action: Action,
    /// The action as it was written.
    word: &'a str,
    target: Target<'a>,
    variable: &'a [u8],
}

fn apply(policy: &Policy, exchange: &mut Exchange<'_>, order: &Order<'_>) -> Result<Page, Page> {
    let Order { action, word, target, variable } = order;
    let moment = exchange.moment;
    let known = moment.store.clients.peek(CLIENTS, target.address);
    if *action == Action::Why {
        let text = why::render(policy, exchange, target, known);
        tell(exchange, word, target.text);
        return Ok(page(text));
    }
    // Blocks and marks are of peers, and no peer has an address that was made of a name.
    if target.is_made_up && action.is_of_peers() {
        return Err(wrong_address(exchange));
    }
    if *action == Action::Search && known.is_none() {
        tell(exchange, word, target.text);
        return Ok(page("not available\n"));
    }
    if known.is_none() {
        let id = exchange.request.unique_id().to_owned();
        let text = format_args!("console, add new client ip entry '{}', is={id}", target.text);
        exchange.note_without_id(&APPLIED, text);
    }
    if *action == Action::Unblock {
        // With all of its network, should that be blocked: nobody is let in while it is.
        moment.store.networks.release(|network| network.contains(target.seen));
    }
    let line = with_row(policy, exchange, target, |exchange, row| {
        change(policy, exchange, *action, row, variable);
        let moment = &exchange.moment;
        format!("{} {}\n", target.text, lines::state(policy, moment, row, variable))
    });
    tell(exchange, word, target.text);
    // Rows there are for all connections that can be open; should there be none all the same, that is the
    // server's fault.
    Ok(line.map_or(Page { status: 503, ..page("") }, page))
}

fn change(policy: &Policy, exchange: &Exchange<'_>, action: Action, row: RowId, variable: &[u8]) {
    let moment = &exchange.moment;
    let (clients, now) = (&moment.store.clients, moment.now);
    let rules = &policy.client_event_limit;
    match action {
        Action::Search | Action::Why | Action::Dump | Action::Load | Action::Clear => {}
        Action::SetVip => clients.set_vip(row, true),
        Action::UnsetVip => clients.set_vip(row, false),
        Action::SetLowPriority => clients.set_low(row, true, now),
        Action::UnsetLowPriority => clients.set_low(row, false, now),
        Action::Block => {
            if let Some(limit) = policy.client_limit.block {
                blocks::block(limit, moment, row);
            }
        }
        Action::Unblock => blocks::unblock(moment, row),
        Action::Limit => limits::change(rules, moment, row, variable, Change::Reach),
        Action::Unlimit => limits::change(rules, moment, row, variable, Change::Forget),
        Action::IncLimit => limits::change(rules, moment, row, variable, Change::Add),
    }
}

/// Holds a client's row, made anew where there is none, and gives it back as worth keeping for what holds
/// the client then.
fn with_row<T>(
    policy: &Policy,
    exchange: &mut Exchange<'_>,
    target: &Target<'_>,
    then: impl FnOnce(&mut Exchange<'_>, RowId) -> T,
) -> Option<T> {
    let moment = exchange.moment;
    let (store, child, now) = (moment.store, moment.child, moment.now);
    let row = store.hold_client(exchange.purse, child, CLIENTS, target.address, now)?.row;
    let result = then(exchange, row);
    let blocked = client_limit::worth(&policy.client_limit, &moment, row);
    let limited = client_event_limit::worth(&policy.client_event_limit, &moment, row);
    let end = blocked.max(limited).unwrap_or(now);
    store.give_client(exchange.purse, row, end, now);
    Some(result)
}

/// Writes a list, line by line, until nobody takes it any more; `epoch_seconds` is the moment in seconds since
/// 1970.
pub fn list(
    policy: &Policy,
    moment: &Moment<'_>,
    epoch_seconds: u64,
    list: &List,
    write: &mut dyn FnMut(&str) -> bool,
) {
    match list {
        List::Clients(variable) => lines::all(policy, moment, epoch_seconds, variable, write),
        List::Blocked => block_list::dump(policy, moment, write),
    }
}

/// Takes a list of blocked clients, once all of it is found to be good.
pub fn load(policy: &Policy, exchange: &mut Exchange<'_>, body: &[u8]) -> Page {
    let Some(limit) = policy.client_limit.block else {
        let text = format_args!("qos client control has not been activated");
        return not_acceptable(exchange, text);
    };
    if let Err(line) = block_list::check(body, exchange.moment.store.prefix) {
        return not_acceptable(exchange, format_args!("bad line {line}"));
    }
    let (mut loaded, mut ignored) = (0u64, 0u64);
    for entry in block_list::entries(body, exchange.moment.store.prefix).flatten() {
        // The last moment stands for "for ever".
        let end = exchange.moment.now.after(entry.left).min(Tick(u32::MAX - 1));
        let is_loaded = entry.left.0 > 0
            && match &entry.who {
                Who::Client(target) => with_row(policy, exchange, target, |exchange, row| {
                    blocks::block_until(limit, &exchange.moment, row, end, entry.count);
                })
                .is_some(),
                Who::Network(network) => {
                    blocks::block_network_until(&exchange.moment, *network, end, entry.count)
                }
            };
        if is_loaded { loaded += 1 } else { ignored += 1 }
    }
    let text = format_args!("console, action 'load' applied to {loaded} client ip entries");
    exchange.note(&APPLIED, text);
    page(format!("loaded={loaded} ignored={ignored}\n"))
}

/// Ends all blocks, of clients and of networks.
fn clear(policy: &Policy, exchange: &mut Exchange<'_>) -> Page {
    let moment = exchange.moment;
    let networks = moment.store.networks.release(|_| true);
    let is_blocked = |row| blocks::blocked_until(&policy.client_limit, &moment, row).is_some();
    let cleared = networks::unblock(policy, exchange, |_, row| is_blocked(row)) + networks;
    let text = format_args!("console, action 'clear' applied to {cleared} client ip entries");
    exchange.note(&APPLIED, text);
    page(format!("cleared={cleared}\n"))
}

/// Answers a body that is larger than any list can be: by httpd's own page, which ends the connection, too.
pub fn too_large(exchange: &mut Exchange<'_>) -> Page {
    not_acceptable(exchange, format_args!("list larger than {LARGEST_BODY} octets"));
    Page { status: 413, ..page("") }
}

fn tell(exchange: &mut Exchange<'_>, word: &str, text: &str) {
    exchange.note(
        &APPLIED,
        format_args!("console, action '{word}' applied to client ip entry '{text}'"),
    );
}

fn page(body: impl Into<Vec<u8>>) -> Page {
    Page::new(TEXT, body)
}

fn wrong_address(exchange: &mut Exchange<'_>) -> Page {
    not_acceptable(exchange, format_args!("invalid ip/wrong format"))
}

fn not_acceptable(exchange: &mut Exchange<'_>, text: fmt::Arguments<'_>) -> Page {
    exchange.note(&NOT_ACCEPTABLE, format_args!("console, not acceptable, {text}"));
    Page { status: 406, ..page(format!("not acceptable, {text}\n")) }
}

fn refused(exchange: &mut Exchange<'_>, why: &str) -> Page {
    exchange.note(&REFUSED, format_args!("console, refused, {why}"));
    Page { status: 403, ..page(format!("refused, {why}\n")) }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
