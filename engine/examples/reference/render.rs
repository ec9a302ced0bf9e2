//! The reference as Markdown. Shared by the example that writes it and the test that finds it stale.

use qos_engine::directive::About;
use qos_engine::log_event::{Level, LogEvent};
use qos_engine::rules::{self, unavailable};
use std::collections::BTreeMap;

const DIRECTIVES: &str = "\
# Directives

Written by `make docs` from the tables in `engine/src/rules/`; a change belongs there.

*Context* says where a directive may stand: `server config` is outside of every section, `virtual host`
also in a `<VirtualHost>`, `location` also in a `<Location>`, `<Directory>` or `<Files>`. None may stand in
a `.htaccess` file. A directive that is written twice: the later one holds, except where the text says that
it may be repeated. What an argument may not be is an error of `apachectl configtest`, with the word that
is wrong. *Specification* is the page of the behaviour that the directive follows; those pages are not part
of this repository.

";

const UNAVAILABLE: &str = "\
## Not available yet

These directives of mod_qos 11.x do nothing in this version. They are known by name, and a configuration
that has one fails with \"not available in this version\": a line that is accepted and does nothing would be
worse. By page of the specification:

";

const LOG_EVENTS: &str = "\
# Log events

Written by `make docs` from the tables in `engine/src/rules/`; a change belongs there.

Numbers are those of the C module and are never reused; from 300 on they are this project's own. In the
formats `{name}` is a number or text, `{ (log only)| (previously)}` one of the two or nothing. `c=` is the
client's address; where an IPv6 address was counted by its network, `net=<prefix>/<bits>` stands before it.

Where a format has `message repeated {k} times`, lines are folded: after 20 in a row about the same client
every 20th is written and says how many it stands for. The first line about it after such a series says
`(previously)` and tells of the rest.

*Counted* events have a total of their own, which goes up for each violation, written or not.

";

/// Returns the page about directives.
pub fn directives() -> String {
    let mut page = DIRECTIVES.to_owned();
    for about in rules::directives() {
        page += &format!("* [{0}](#{1})\n", about.name(), about.name().to_lowercase());
    }
    page += "* [Not available yet](#not-available-yet)\n\n";
    for about in rules::directives() {
        page += &directive(about);
    }
    page += UNAVAILABLE;
    let mut by_page: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for about in unavailable::DIRECTIVES {
        by_page.entry(about.spec).or_default().push(format!("`{}`", about.name()));
    }
    for (spec, names) in by_page {
        page += &format!("* {spec}: {}\n", names.join(", "));
    }
    page
}

fn directive(about: &About) -> String {
    format!(
        "## {name}\n\n\
         * *Syntax:* `{syntax}`\n\
         * *Context:* {context}\n\
         * *Default:* {default}\n\
         * *Range:* {range}\n\
         * *Specification:* {spec}\n\n\
         {help}\n\n",
        name = about.name(),
        syntax = format!("{} {}", about.name(), about.arguments()).trim_end(),
        context = about.scope.words(),
        default = prose(about.default),
        range = prose(about.range),
        spec = about.spec,
        help = prose(about.help),
    )
}

/// Returns the page about log events, by number.
pub fn log_events() -> String {
    let mut page = LOG_EVENTS.to_owned();
    let mut events: Vec<&LogEvent> = rules::log_events().collect();
    events.sort_by_key(|event| event.number);
    for event in events {
        page += &format!(
            "## {number:03}\n\n    mod_qos({number:03}): {format}\n\n\
             * *Level:* {level}{counted}\n* *When:* {when}\n\n",
            number = event.number,
            format = event.format,
            level = level(event.level),
            counted = if event.is_counted { ", counted" } else { "" },
            when = prose(event.when),
        );
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Emergency => "emerg",
        Level::Critical => "crit",
        Level::Error => "error",
        Level::Warning => "warn",
        Level::Notice => "notice",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

/// Keeps Markdown from reading `<word>` as a tag, except within backquotes.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts =
        parts.map(|(n, part)| if n % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}
