use super::*;
use crate::directive::Arity;
use crate::testing;
use std::collections::HashSet;

fn use_once(line: &str, place: Place) -> Result<(Settings, LocationSettings), String> {
    let (mut settings, mut location) = Default::default();
    testing::set(&mut settings, &mut location, place, line).map(|()| (settings, location))
}

fn resolve(settings: &Settings) -> Policy {
    Policy::resolve(settings, Capacity { max_clients: 400, connections: 400 })
}

#[test]
fn every_directive_is_declared_once_and_whole() {
    let mut names = HashSet::new();
    for about in ABOUT {
        assert!(names.insert(about.name().to_ascii_lowercase()), "{} twice", about.name());
        assert!(!about.spec.is_empty(), "{} has no page", about.name());
    }
    for about in directives() {
        for (what, text) in [
            ("arguments", about.arguments()),
            ("range", about.range),
            ("default", about.default),
            ("help", about.help),
        ] {
            let may_be_empty = what == "arguments" && about.arity == Arity::None;
            assert!(may_be_empty || !text.is_empty(), "{} has no {what}", about.name());
        }
    }
}

#[test]
fn a_log_number_has_one_meaning() {
    let mut numbers = HashSet::new();
    for event in log_events() {
        // 009 is the C module's number for all remarks at the start.
        assert!(event.number == 9 || numbers.insert(event.number), "{} twice", event.number);
        assert!(!event.format.is_empty() && !event.when.is_empty());
    }
}

#[test]
fn what_does_not_work_yet_is_refused_by_name() {
    for about in unavailable::DIRECTIVES {
        let line = format!("{} a b", about.name());
        let error = use_once(&line, Place::BaseServer).expect_err(&line);
        assert_eq!(error, format!("{}: not available in this version", about.name()));
    }
}

#[test]
fn an_error_names_the_directive_the_word_and_what_is_allowed() {
    for (line, word, allowed) in [
        ("QS_LogOnly maybe", "'maybe'", "'on' or 'off'"),
        ("QS_ErrorResponseCode 418", "'418'", "400 to 599"),
        ("QS_ErrorPage error.html", "'error.html'", "absolute path"),
        ("QS_MaxClients 0", "'0'", "from 1 to"),
        ("QS_SemMemFile /nowhere/", "'/nowhere/'", "directory"),
        ("QS_ClientEntries 639", "'639'", "640 to 10000639"),
        ("QS_ClientIPv6Prefix 129", "'129'", "32 to 128"),
        ("QS_SrvMaxConn 5x", "'5x'", "from 1 to"),
        ("QS_SrvMaxConnClose 100%", "'100%'", "99%"),
        ("QS_SrvMaxConnPerIP 5 x", "'x'", "from 0 to"),
        ("QS_SrvMaxConnExcludeIP 1.2.3.0/33", "'1.2.3.0/33'", "CIDR"),
        ("QS_ClientEventBlockCount 5 0", "'0'", "seconds from 1"),
        ("QS_SetEnvIfStatus 99 QS_Block", "'99'", "100 to 599"),
        ("QS_SetEnvIfStatus 404 QS_Block=x", "'QS_Block=x'", "number"),
        ("QS_SetEnvIfStatus 404 =x", "'=x'", "variable"),
        ("QS_SrvDataRateOff on", "'on'", "no argument"),
        ("QS_VipUser on", "'on'", "no argument"),
        ("QS_VipIPUser off", "'off'", "no argument"),
        ("QS_ClientSerialize on", "'on'", "no argument"),
    ] {
        let error = use_once(line, Place::BaseServer).expect_err(line);
        let name = line.split(' ').next().expect("name");
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        assert!(error.contains(word) && error.contains(allowed), "{line}: {error}");
    }
}

#[test]
fn a_directive_stands_only_where_it_has_an_effect() {
    assert!(use_once("QS_LogOnly on", Place::VirtualHost).is_err());
    assert!(use_once("QS_ClientEventBlockCount 3", Place::VirtualHost).is_err());
    assert!(use_once("QS_SrvMaxConn 3", Place::VirtualHost).is_ok());
    assert!(use_once("QS_SrvMaxConn 3", Place::Location).is_err());
    assert!(use_once("QS_SetEnvIfStatus 404 QS_Block", Place::Location).is_ok());
    assert!(use_once("QS_SetEnvIfStatus NullConnection QS_Block", Place::VirtualHost).is_err());
    assert!(use_once("QS_SetEnvIfStatus nullconnection qs_block", Place::BaseServer).is_ok());
}

#[test]
fn a_virtual_host_completes_its_settings_by_the_base() {
    let (base, _) = use_once("QS_SrvMaxConnPerIP 30 500", Place::BaseServer).expect("base");
    let (host, _) = use_once("QS_SrvMaxConnPerIP 5", Place::VirtualHost).expect("host");
    let policy = resolve(&host.over(&base));
    assert_eq!(policy.connection_limit.per_address, Some(5));
    assert_eq!(policy.connection_limit.per_address_from, 500, "the threshold is the base's");
    assert!(!resolve(&Settings::default().over(&base)).connection_limit.has_own_limit);
}

#[test]
fn the_entries_are_rounded_down_to_a_step() {
    for (written, entries) in [("640", 640), ("700", 640), ("1280", 1280), ("10000639", 10_000_000)]
    {
        let line = format!("QS_ClientEntries {written}");
        let (settings, _) = use_once(&line, Place::BaseServer).expect(&line);
        assert_eq!(resolve(&settings).client_identity.entries, entries);
    }
    assert_eq!(resolve(&Settings::default()).client_identity.entries, 50_000);
}

#[test]
fn rules_without_an_effect_are_complained_of() {
    let (settings, _) =
        use_once("QS_SetEnvIfStatus NullConnection QS_Block", Place::BaseServer).expect("event");
    assert_eq!(resolve(&settings).complaints().count(), 1);
    assert_eq!(resolve(&Settings::default()).complaints().count(), 0);
}
