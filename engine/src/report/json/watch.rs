//! The busy server's watch, and the networks that are blocked as a whole.

use super::writer::{Array, Object};
use crate::report::Picture;
use crate::report::watch::{self, Watched};
use crate::time::Tick;

/// Writes the member of the watch, where it is configured.
pub fn member(picture: &Picture<'_>, page: &mut Object<'_>) {
    let Some(seen) = watch::look(picture) else { return };
    page.object("busy_watch", |out| fill(picture, &seen, out));
}

fn fill(picture: &Picture<'_>, seen: &Watched<'_>, out: &mut Object<'_>) {
    let Watched { watch, busy, span, directory, program, since, calm_since } = *seen;
    out.number("busy", busy.into());
    out.number("threshold", watch.threshold.into());
    out.number("per_address", watch.per_address.into());
    if let Some(count) = watch.per_network {
        out.number("per_network", count.into());
        out.number("bits_ipv4", watch.bits.0.into());
        out.number("bits_ipv6", watch.bits.1.into());
    }
    out.number("block_seconds", span.0.into());
    if let Some((path, kept)) = directory {
        out.text("directory", path);
        out.number("files_kept", kept.into());
    }
    if let Some(program) = program {
        out.text("program", program);
    }
    let ago = |moment: Tick| u64::from(picture.now.seconds_since(moment).0);
    out.flag("is_busy", since.is_some());
    if let Some(since) = since {
        out.number("since", picture.epoch_seconds.saturating_sub(ago(since)));
        out.number("calm_seconds", calm_since.map_or(0, ago));
    }
}

/// Writes the blocked networks.
pub fn networks(picture: &Picture<'_>, out: &mut Array<'_>) {
    for block in watch::networks(picture) {
        out.object(|out| {
            out.text("network", &block.network.to_string());
            out.number("connections", block.count.into());
            if let Some(limit) = picture.base.busy_watch.per_network() {
                out.number("limit", limit.into());
            }
            out.number("remaining", block.until.seconds_until(picture.now).0.into());
        });
    }
}
