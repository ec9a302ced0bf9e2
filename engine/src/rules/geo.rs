//! Countries: which one a client's address is in, and which ones are served when the server is busy.
//! Spec: client.md QS_ClientGeoCountryDB, QS_ClientGeoCountryPriv. Phases: connect (look up, judge), read
//! (another country by header).

use crate::client::address::Address;
use crate::client::countries::{self, Countries, Country};
use crate::context::{Connection, Exchange, Moment};
use crate::directive::{About, Arity, Directive, OfBaseServer, Scope};
use crate::log_event::{Level, LogEvent};
use crate::store::rules::{Finder, Tally};
use crate::values::{Capacity, MAX_NUMBER, Problem, Unreachable, number};
use crate::verdict::{Violation, Words};
use std::sync::Arc;

/// As written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    database: Option<Arc<Countries>>,
    privileged: Option<Limit>,
}

/// Nothing of this family stands in a location.
pub type LocationSettings = ();
/// Nothing is kept for a request.
pub type Facts = ();

/// As enforced.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where addresses are.
    pub database: Option<Arc<Countries>>,
    /// Who is served; only with a database.
    limit: Option<Limit>,
    /// A limit without a database is none.
    pub lacks_database: bool,
    /// A number of connections that can never be open.
    pub unreachable: Option<Unreachable>,
    /// Where outcomes are counted.
    tally: Tally,
}

/// `QS_ClientGeoCountryPriv`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    /// With so many open connections only these countries are served.
    from: u32,
    countries: Vec<Country>,
    /// Addresses of unknown countries are served, too.
    passes_unknown: bool,
}

/// `mod_qos(100)`
pub static NO_DATABASE: LogEvent = LogEvent {
    number: 100,
    level: Level::Critical,
    is_counted: false,
    format: "QS_ClientGeoCountryDB has not been configured",
    when: "start, with QS_ClientGeoCountryPriv but no file of countries: the rule is never applied",
};

/// `mod_qos(101)`
pub static OTHER_COUNTRY: LogEvent = LogEvent {
    number: 101,
    level: Level::Error,
    is_counted: true,
    format: "access denied{ (log only)}, QS_ClientGeoCountryPriv rule: max={N}, concurrent connections={n}, c={c} country={CC}",
    when: "a connection from a country that is not privileged, while the server is busy; -- for an unknown country",
};

/// The events of this family.
pub const LOG_EVENTS: &[&LogEvent] = &[&NO_DATABASE, &OTHER_COUNTRY];

/// The directives of this family.
pub const DIRECTIVES: &[Directive<Settings, LocationSettings>] = &[
    Directive {
        about: About {
            name: c"QS_ClientGeoCountryDB",
            arguments: c"<path>",
            arity: Arity::One,
            scope: Scope::BaseServer,
            range: "a file, relative to ServerRoot: lines with \"<from>\",\"<to>\",\"<CC>\" anywhere in them (IPv4 \
                    addresses as decimal numbers, in ascending order), or a MaxMind database with countries \
                    (.mmdb, IPv4 and IPv6)",
            default: "none",
            help: "Says in which country an address is: sets the variable QS_Country, and is what \
                   QS_ClientGeoCountryPriv needs. Which of the two formats it is, the file's content decides. \
                   It is read again at each restart. Of ranges that overlap the last one that begins at or \
                   before an address decides.",
            spec: "client.md QS_ClientGeoCountryDB",
        },
        set: |settings, arguments| {
            let countries = (arguments.load_countries)(arguments.first());
            settings.database = Some(countries.map_err(Problem::text)?);
            Ok(())
        },
        set_in_location: None,
    },
    Directive {
        about: About {
            name: c"QS_ClientGeoCountryPriv",
            arguments: c"<CC>[,<CC>...] <connections> [excludeUnknown]",
            arity: Arity::TwoOrThree,
            scope: Scope::BaseServer,
            range: "country codes of two letters or digits, or '-', separated by commas; 0 to 2147483647 connections",
            default: "every country is served",
            help: "While the whole server has at least so many open connections, the new one included, only \
                   these countries are served; the connections of others are closed without an answer (event \
                   101). Addresses of unknown countries are refused, too, unless excludeUnknown says that the \
                   rule passes over them. The address of the connection decides, not that of a header. May \
                   be repeated with the same number: the lists add up.",
            spec: "client.md QS_ClientGeoCountryPriv",
        },
        set: |settings, arguments| {
            let countries: Result<Vec<Country>, Problem> =
                arguments.first().split(',').map(Country::parse).collect();
            let (countries, word) = (countries?, arguments.second().unwrap_or(""));
            let from = number(word, 0, MAX_NUMBER)?;
            let passes_unknown = match arguments.third() {
                None => false,
                Some(word) if word.eq_ignore_ascii_case("excludeUnknown") => true,
                Some(word) => return Err(Problem::word(word, "'excludeUnknown' or nothing")),
            };
            let limit = settings.privileged.get_or_insert(Limit {
                from,
                countries: Vec::new(),
                passes_unknown,
            });
            if limit.from != from {
                let known = limit.from;
                return Err(Problem::word(
                    word,
                    format_args!(
                        "the number of the line before, {known}: there is one for all lists"
                    ),
                ));
            }
            limit.countries.extend(countries);
            limit.passes_unknown |= passes_unknown;
            Ok(())
        },
        set_in_location: None,
    },
];

impl OfBaseServer for Settings {}

impl Policy {
    /// Resolves settings.
    pub fn resolve(settings: &Settings, capacity: Capacity) -> Policy {
        let written = &settings.privileged;
        Policy {
            database: settings.database.clone(),
            limit: written.clone().filter(|_| settings.database.is_some()),
            lacks_database: written.is_some() && settings.database.is_none(),
            unreachable: written
                .as_ref()
                .and_then(|limit| capacity.unreachable("QS_ClientGeoCountryPriv", limit.from)),
            tally: Tally::default(),
        }
    }

    /// Finds where outcomes are counted.
    pub fn find_tallies(&mut self, finder: &mut Finder<'_>) {
        if self.limit.is_some() {
            self.tally = finder.of_all("QS_ClientGeoCountryPriv", "");
        }
    }

    /// Returns the country of an address, if it is known.
    pub fn country_of(&self, address: Address) -> Option<Country> {
        self.database.as_ref()?.of(address)
    }
}

/// Judges a new connection by its country.
pub fn judge(policy: &Policy, moment: &Moment<'_>, connection: &Connection) -> Option<Violation> {
    // As long as few are open everybody is served, and nobody is counted.
    let limit = policy.limit.as_ref().filter(|limit| connection.all_connections >= limit.from)?;
    Violation::or_pass(elsewhere(limit, connection), policy.tally, &moment.store.rules)
}

fn elsewhere(limit: &Limit, connection: &Connection) -> Option<Violation> {
    let current = connection.all_connections;
    let passes = match connection.country {
        Some(country) => limit.countries.contains(&country),
        None => limit.passes_unknown,
    };
    (!passes).then(|| Violation {
        country: Some(connection.country.unwrap_or(Country::UNKNOWN)),
        ..Violation::new(
            &OTHER_COUNTRY,
            Words::Counted {
                directive: "QS_ClientGeoCountryPriv",
                measure: "concurrent connections",
                max: limit.from,
                current,
                age: None,
            },
        )
    })
}

/// Sets a request's country to that of another address than the connection's (B.2).
pub fn tell(policy: &Policy, address: Address, exchange: &mut Exchange<'_>) {
    match policy.country_of(address) {
        Some(country) => {
            exchange.request.set_variable(countries::VARIABLE, country.code().as_bytes())
        }
        None => exchange.request.remove_variable(countries::VARIABLE),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::testing::{View, World, refused};

    const COUNTRIES: &str = "QS_ClientGeoCountryDB countries.csv";

    #[test]
    fn words_that_nobody_can_mean_are_refused() {
        for (line, word) in [
            ("QS_ClientGeoCountryPriv CH abc", "'abc'"),
            ("QS_ClientGeoCountryPriv CH -5", "'-5'"),
            ("QS_ClientGeoCountryPriv CH 5x", "'5x'"),
            ("QS_ClientGeoCountryPriv CH 80%", "'80%'"),
            ("QS_ClientGeoCountryPriv CH 2147483648", "'2147483648'"),
            ("QS_ClientGeoCountryPriv CHE 5", "'CHE'"),
            ("QS_ClientGeoCountryPriv CH,,DE 5", "''"),
            ("QS_ClientGeoCountryPriv CH, 5", "''"),
            ("QS_ClientGeoCountryPriv CH;DE 5", "'CH;DE'"),
            ("QS_ClientGeoCountryPriv CH 5 unknown", "'unknown'"),
        ] {
            let error = refused(line);
            assert!(
                error.starts_with("QS_ClientGeoCountryPriv: ") && error.contains(word),
                "{error}"
            );
        }
        let error = refused("QS_ClientGeoCountryDB nowhere.csv");
        assert_eq!(error, "QS_ClientGeoCountryDB: 'nowhere.csv': no such file");
        let error = refused("QS_ClientGeoCountryDB bad.csv");
        assert!(error.starts_with("QS_ClientGeoCountryDB: 'bad.csv': line 2: has no"), "{error}");
    }

    #[test]
    fn lists_add_up_and_have_one_number() {
        let mut world = World::new(&format!(
            "{COUNTRIES}\nQS_ClientGeoCountryPriv ch 1\nQS_ClientGeoCountryPriv FR,- 1"
        ));
        assert!(world.connect("10.0.1.1").is_some() && world.connect("10.0.3.1").is_some());
        assert!(world.connect("10.0.4.1").is_some(), "the file says '-'");
        assert!(world.connect("10.0.2.1").is_none());
        let mut settings = crate::testing::settings("QS_ClientGeoCountryPriv CH 1");
        let line = "QS_ClientGeoCountryPriv FR 2";
        let place = crate::directive::Place::BaseServer;
        let again = crate::testing::set(&mut settings, &mut Default::default(), place, line);
        assert!(again.expect_err("another number").contains("'2'"));
    }

    /// The worked example of the specification (client.md, `CH,FR 4`).
    #[test]
    fn from_the_fourth_connection_on_only_privileged_countries_are_served() {
        let mut world = World::new(&format!("{COUNTRIES}\nQS_ClientGeoCountryPriv CH,FR 4"));
        let open: Vec<Connection> = ["10.0.2.1", "192.0.2.1", "10.0.4.1"]
            .into_iter()
            .map(|address| world.connect(address).expect("three of any country"))
            .collect();
        for address in ["10.0.2.2", "192.0.2.1", "10.0.4.1", "2001:db8::1"] {
            assert!(world.connect(address).is_none(), "{address}");
        }
        assert!(world.connect("10.0.1.1").is_some());
        let rule = "mod_qos(101): access denied, QS_ClientGeoCountryPriv rule: max=4, concurrent connections=4";
        assert_eq!(
            world.told(),
            [
                format!("{rule}, c=10.0.2.2 country=DE"),
                format!("{rule}, c=192.0.2.1 country=--"),
                format!("{rule}, c=10.0.4.1 country=-"),
                format!("{rule}, c=2001:db8::1 country=--"),
            ]
        );
        open.into_iter().for_each(|connection| world.close(connection));
        assert!(world.connect("10.0.2.2").is_some(), "it is not busy any more");
    }

    #[test]
    fn unknown_addresses_pass_where_it_is_said_and_vips_are_no_exception() {
        let mut world = World::new(&format!(
            "{COUNTRIES}\nQS_ClientGeoCountryPriv CH 0 excludeunknown\nQS_SrvMaxConnExcludeIP 10.0.2.1"
        ));
        assert!(world.connect("192.0.2.1").is_some());
        assert!(world.connect("10.0.1.1").is_some());
        assert!(world.connect("10.0.2.1").is_none(), "excluded from other limits, and still DE");
        assert!(world.connect("10.0.4.1").is_none(), "'-' is what the file says");
    }

    #[test]
    fn log_only_lets_them_in_and_without_a_file_there_is_no_rule() {
        let rule = "QS_ClientGeoCountryPriv CH 0";
        let mut world = World::new(&format!("QS_LogOnly on\n{COUNTRIES}\n{rule}"));
        assert!(world.connect("10.0.2.1").is_some());
        assert!(world.told()[0].contains("access denied (log only), QS_ClientGeoCountryPriv rule"));
        let mut world = World::new(rule);
        assert!(world.policy.geo.lacks_database);
        assert!(world.connect("10.0.2.1").is_some() && world.told().is_empty());
        let far = World::new(&format!("{COUNTRIES}\nQS_ClientGeoCountryPriv CH 41"));
        let unreachable = far.policy.geo.unreachable.expect("of 40");
        assert_eq!((unreachable.threshold, unreachable.possible), (41, 40));
        assert_eq!(World::new("QS_ClientGeoCountryPriv CH 40").policy.geo.unreachable, None);
    }

    #[test]
    fn a_header_can_say_where_a_request_comes_from_but_not_a_connection() {
        let mut world = World::new(&format!(
            "{COUNTRIES}\nQS_ClientIpFromHeader X-Client\nQS_ClientGeoCountryPriv CH 0\n\
             QS_ClientEventLimitCount 9 60"
        ));
        let connection = world.connect("10.0.1.1").expect("CH");
        assert!(world.connect("10.0.2.1").is_none());
        world.told();
        for (value, expected) in [
            ("10.0.2.7", Some("DE")),
            ("::ffff:10.0.3.7", Some("FR")),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
        ] {
            let mut view = View::with("QS_Country", "CH").and_header("X-Client", value);
            world.request(&connection, &mut view, 200);
            assert_eq!(view.text("QS_Country"), expected, "{value}");
        }
        assert!(world.told().is_empty());
        let mut view = View::with("QS_Country", "CH").and_header("X-Client", "10.0.2.7, 10.0.3.7");
        world.request(&connection, &mut view, 200);
        assert_eq!(view.text("QS_Country"), Some("CH"));
        let told = world.told();
        assert_eq!(
            told,
            [
                "mod_qos(069): no valid IP header found (@prr): invalid header value '10.0.2.7, 10.0.3.7', fallback to connection's IP 10.0.1.1, id=ID"
            ],
            "once"
        );
    }

    #[test]
    fn a_database_of_both_kinds_serves_ipv6() {
        let mut world =
            World::new("QS_ClientGeoCountryDB countries.mmdb\nQS_ClientGeoCountryPriv CH 0");
        let swiss = world.connect("2001:db8::1").expect("CH");
        assert_eq!(swiss.country.map(|country| country.to_string()), Some("CH".to_owned()));
        assert!(world.connect("2001:db9::1").is_none());
        assert!(world.connect("10.0.0.1").is_none());
        world.request(&swiss, &mut View::default(), 200);
        assert_eq!(world.told().len(), 2);
    }
}
