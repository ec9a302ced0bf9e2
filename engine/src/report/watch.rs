//! What pages show of the busy server's watch: how it is configured, whether the server is busy, and which
//! networks are blocked as a whole.

use super::Picture;
use crate::client::target::{self, Target};
use crate::rules::{Policy, busy_watch};
use crate::store::networks::Block;
use crate::store::slots;
use crate::time::{Seconds, Tick};

/// The watch, where it is configured.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'p> {
    /// When somebody is looked for, and who it is.
    pub watch: busy_watch::Watch,
    /// Busy workers or open connections, whatever is more.
    pub busy: u32,
    /// For how long offenders are blocked.
    pub span: Seconds,
    /// Where pictures are saved, and how many are kept.
    pub directory: Option<(&'p str, u32)>,
    /// The program that gets them.
    pub program: Option<&'p str>,
    /// When the episode began, if there is one.
    pub since: Option<Tick>,
    /// Since when it has not been busy in it.
    pub calm_since: Option<Tick>,
}

/// Looks at the watch.
pub fn look<'p>(picture: &Picture<'p>) -> Option<Watched<'p>> {
    let base: &'p Policy = picture.base;
    let rules = &base.busy_watch;
    let state = picture.store.episode.state();
    // Where the last look was long ago, nobody looks any more.
    let is_watched = state
        .looked
        .is_some_and(|looked| picture.now.seconds_since(looked) <= busy_watch::FORGOTTEN);
    Some(Watched {
        watch: rules.watch?,
        busy: picture.workers.busy().max(picture.store.scopes.open(slots::ALL)),
        span: base.client_limit.block?.span,
        directory: rules.directory.as_ref().map(|(path, kept)| (path.as_str(), *kept)),
        program: rules.program.as_deref(),
        since: state.since.filter(|_| is_watched),
        calm_since: state.calm_since.filter(|_| is_watched),
    })
}

/// The networks that are blocked, those that are for longest first. None where no rule blocks anybody: what
/// was blocked before a restart is let in then.
pub fn networks(picture: &Picture<'_>) -> Vec<Block> {
    match picture.base.client_limit.block {
        Some(_) => picture.store.networks.all(picture.now),
        None => Vec::new(),
    }
}

/// Finds the blocked network that refuses an address or a network, as somebody wrote it.
pub fn network_of(picture: &Picture<'_>, text: &[u8]) -> Option<Block> {
    picture.base.client_limit.block?;
    let (store, now, text) = (picture.store, picture.now, text.trim_ascii());
    match Target::parse(text, store.prefix) {
        Some(target) => store.networks.find(target.seen, now).map(|refused| refused.block),
        None => store.networks.find_whole(target::network(text, store.prefix)?, now),
    }
}
