//! What `apachectl -t` says to each directive: good forms pass, bad ones fail with the directive,
//! the word that is wrong, and what is allowed.

use crate::harness::{Httpd, Mpm};

/// A directive of this release.
struct Directive {
    name: &'static str,
    /// Whether it may stand in a virtual host.
    in_virtual_host: bool,
    good: &'static [&'static str],
    /// Bad arguments, the word in them that is wrong, and a part of what the error says to be
    /// allowed. An empty word stands for a wrong number of arguments, which httpd reports itself.
    bad: &'static [(&'static str, &'static str, &'static str)],
}

/// An error about the number of arguments, in httpd's words: "takes one argument", "takes 1-2
/// arguments", "requires ..".
const COUNT: (&str, &str) = ("", "");

const DIRECTIVES: &[Directive] = &[
    Directive {
        name: "QS_SrvMaxConn",
        in_virtual_host: true,
        good: &["1", "800", "100000"],
        bad: &[
            ("0", "0", ""),
            ("-1", "-1", ""),
            ("abc", "abc", ""),
            ("5x", "5x", ""),
            ("1.5", "1.5", ""),
            ("99999999999", "99999999999", ""),
            ("\"\"", "", ""),
            ("", COUNT.0, COUNT.1),
            ("1 2", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_SrvMaxConnClose",
        in_virtual_host: true,
        good: &["1", "700", "1%", "80%", "99%"],
        bad: &[
            ("0", "0", ""),
            ("0%", "0%", ""),
            ("100%", "100%", "99"),
            ("%", "%", ""),
            ("80%x", "80%x", ""),
            ("-5%", "-5%", ""),
            ("x", "x", ""),
            ("-3", "-3", ""),
            ("", COUNT.0, COUNT.1),
            ("1 2", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_SrvMaxConnPerIP",
        in_virtual_host: true,
        good: &["1", "30", "30 500", "30 0"],
        bad: &[
            ("0", "0", ""),
            ("-1", "-1", ""),
            ("x", "x", ""),
            ("5x", "5x", ""),
            ("30 x", "x", ""),
            ("30 -5", "-5", ""),
            ("30 5x", "5x", ""),
            ("99999999999", "99999999999", ""),
            ("", COUNT.0, COUNT.1),
            ("30 500 7", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_VipIPHeaderName",
        in_virtual_host: true,
        good: &["X-Vip", "X-Vip drop", "X-Vip=^yes$ DROP", "X-Vip=a=b"],
        bad: &[
            ("\"X Vip\"", "X Vip", ""),
            ("X-Vip dropp", "dropp", "drop"),
            ("X-Vip=", "X-Vip=", ""),
            ("X-Vip=(", "'('", "regular expression"),
            ("=x", "=x", ""),
            ("", COUNT.0, COUNT.1),
            ("X-Vip drop x", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_SessionTimeout",
        in_virtual_host: true,
        good: &["1", "3600", "2147483647"],
        bad: &[
            ("0", "0", ""),
            ("-5", "-5", ""),
            ("5x", "5x", ""),
            ("x", "x", ""),
            ("99999999999", "99999999999", ""),
            ("", COUNT.0, COUNT.1),
            ("1 2", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_LimitRequestBody",
        in_virtual_host: true,
        good: &["0", "102400", "9223372036854775807"],
        bad: &[
            ("x", "x", ""),
            ("10k", "10k", ""),
            ("-5", "-5", ""),
            ("1.5", "1.5", ""),
            ("9223372036854775808", "9223372036854775808", ""),
            ("\"\"", "", ""),
            ("", COUNT.0, COUNT.1),
            ("1 2", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_SrvMaxConnExcludeIP",
        in_virtual_host: true,
        good: ADDRESSES,
        bad: BAD_ADDRESSES,
    },
    Directive {
        name: "QS_SrvMaxConnPerIPIgnoreVIP",
        in_virtual_host: true,
        good: FLAG,
        bad: BAD_FLAG,
    },
    Directive {
        name: "QS_MaxClients",
        in_virtual_host: false,
        good: &["1", "500"],
        bad: &[
            ("0", "0", ""),
            ("-1", "-1", ""),
            ("x", "x", ""),
            ("5x", "5x", ""),
            ("99999999999", "99999999999", ""),
            ("", COUNT.0, COUNT.1),
            ("1 2", COUNT.0, COUNT.1),
        ],
    },
    Directive { name: "QS_ForcedClose", in_virtual_host: false, good: FLAG, bad: BAD_FLAG },
    Directive { name: "QS_SupportIPv6", in_virtual_host: false, good: FLAG, bad: BAD_FLAG },
    Directive { name: "QS_LogOnly", in_virtual_host: false, good: FLAG, bad: BAD_FLAG },
    Directive { name: "QS_Status", in_virtual_host: false, good: FLAG, bad: BAD_FLAG },
    Directive {
        name: "QSLog",
        in_virtual_host: false,
        good: &["|/bin/cat", "\"||/bin/cat -o out\"", "\"|$cat >> out\"", "\"| cat\""],
        bad: &[
            ("/bin/cat", "/bin/cat", "'|' and a command"),
            ("\"\"", "", ""),
            ("|", "|", ""),
            ("\"| \"", "| ", ""),
            ("|$", "|$", ""),
            ("", COUNT.0, COUNT.1),
            ("|/bin/cat -o", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_SemMemFile",
        in_virtual_host: true,
        good: &["/var/tmp/", "/tmp/prefix", "/tmp/"],
        bad: &[
            ("/no/such/directory/", "/no/such/directory/", ""),
            ("/no/such/prefix", "/no/such/prefix", ""),
            ("/etc/passwd/", "/etc/passwd/", ""),
            ("", COUNT.0, COUNT.1),
            ("/tmp/ /tmp/", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_ClientEntries",
        in_virtual_host: false,
        good: &["640", "700", "50000", "1000000", "10000000", "10000639"],
        bad: &[
            ("0", "0", ""),
            ("639", "639", "640"),
            ("10000640", "10000640", ""),
            ("-640", "-640", ""),
            ("x", "x", ""),
            ("640x", "640x", ""),
            ("", COUNT.0, COUNT.1),
            ("640 640", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_ClientIPv6Prefix",
        in_virtual_host: false,
        good: &["32", "48", "64", "128"],
        bad: &[
            ("31", "31", "32"),
            ("129", "129", "128"),
            ("0", "0", ""),
            ("-64", "-64", ""),
            ("/64", "/64", ""),
            ("64x", "64x", ""),
            ("", COUNT.0, COUNT.1),
            ("64 64", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_ClientEventBlockCount",
        in_virtual_host: false,
        good: &["0", "20", "20 300", "70000 1"],
        bad: &[
            ("-1", "-1", ""),
            ("x", "x", ""),
            ("5x", "5x", ""),
            ("20 0", "0", ""),
            ("20 x", "x", ""),
            ("20 -3", "-3", ""),
            ("20 3s", "3s", ""),
            ("99999999999", "99999999999", ""),
            ("", COUNT.0, COUNT.1),
            ("20 300 5", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_ClientEventBlockExcludeIP",
        in_virtual_host: false,
        good: ADDRESSES,
        bad: BAD_ADDRESSES,
    },
    Directive {
        name: "QS_SetEnvIfStatus",
        in_virtual_host: true,
        good: STATUSES,
        bad: BAD_STATUSES,
    },
    Directive { name: "QS_SetEnvStatus", in_virtual_host: true, good: STATUSES, bad: BAD_STATUSES },
    Directive {
        name: "QS_ErrorResponseCode",
        in_virtual_host: false,
        good: &["400", "403", "429", "451", "500", "503"],
        bad: &[
            ("399", "399", "400"),
            ("600", "600", "599"),
            ("200", "200", "400"),
            ("418", "418", ""),
            ("499", "499", ""),
            ("x", "x", ""),
            ("500x", "500x", ""),
            ("-500", "-500", ""),
            ("", COUNT.0, COUNT.1),
            ("500 503", COUNT.0, COUNT.1),
        ],
    },
    Directive {
        name: "QS_ErrorPage",
        in_virtual_host: true,
        good: &["/error.html", "http://www.example.test/", "https://www.example.test/e?a=b"],
        bad: &[
            ("error.html", "error.html", "/"),
            ("ftp://x/", "ftp://x/", "http"),
            ("./error.html", "./error.html", ""),
            ("\"\"", "", ""),
            ("", COUNT.0, COUNT.1),
            ("/a /b", COUNT.0, COUNT.1),
        ],
    },
];

const FLAG: &[&str] = &["on", "off", "On", "OFF"];

const BAD_FLAG: &[(&str, &str, &str)] = &[
    ("yes", "", "off"),
    ("1", "", "off"),
    ("no", "", "off"),
    ("", "", "off"),
    ("on off", COUNT.0, COUNT.1),
];

const ADDRESSES: &[&str] = &[
    "127.0.0.1",
    "192.168.",
    "10.",
    "192.168.1.",
    "192.168.0.0/16",
    "10.0.0.1/32",
    "::1",
    "2001:db8:",
    "2001:db8::/32",
    "2001:db8:0:1::1",
];

const BAD_ADDRESSES: &[(&str, &str, &str)] = &[
    ("abc", "abc", ""),
    ("1.2.3", "1.2.3", ""),
    ("1.2.3.4.5", "1.2.3.4.5", ""),
    ("1.2.3.400", "1.2.3.400", ""),
    ("1.2.3.0/33", "1.2.3.0/33", ""),
    ("1.2.3.0/", "1.2.3.0/", ""),
    ("1.2.3.0/x", "1.2.3.0/x", ""),
    ("2001:db8::/129", "2001:db8::/129", ""),
    ("a.", "a.", ""),
    ("300.1.", "300.1.", ""),
    ("www.example.test", "www.example.test", ""),
    ("", COUNT.0, COUNT.1),
    ("10. 11.", COUNT.0, COUNT.1),
];

const STATUSES: &[&str] = &[
    "404 QS_Block",
    "404 QS_Block=3",
    "100 AAA",
    "599 \"AAA=any text\"",
    "500 QS_Block_Decrement=2",
    "200 AAA=",
];

const BAD_STATUSES: &[(&str, &str, &str)] = &[
    ("abc QS_Block", "abc", ""),
    ("0 QS_Block", "0", ""),
    ("-4 QS_Block", "-4", ""),
    ("404x QS_Block", "404x", ""),
    ("99 QS_Block", "99", ""),
    ("600 QS_Block", "600", ""),
    ("404 QS_Block=x", "x", ""),
    ("404 QS_Block=-1", "-1", ""),
    ("404 QS_Block=5x", "5x", ""),
    ("404 QS_Block_Decrement=x", "x", ""),
    ("404 !AAA", "!AAA", ""),
    ("NullConnection AAA", "AAA", "QS_Block"),
    ("BrokenConnection QS_Block=2", "QS_Block=2", "QS_Block"),
    ("404", COUNT.0, COUNT.1),
    ("", COUNT.0, COUNT.1),
    ("404 AAA BBB", COUNT.0, COUNT.1),
];

/// The reference, which a test of the engine keeps the same as the directives' own rows.
const REFERENCE: &str = include_str!("../../docs/directives.md");

/// The part of the reference below a directive's headline.
fn reference(directive: &str) -> &'static str {
    let headline = format!("\n## {directive}\n");
    let (_, below) = REFERENCE.split_once(&headline).expect(directive);
    below.split("\n## ").next().unwrap_or_default()
}

fn check(line: &str) -> crate::harness::Check {
    Httpd::check(line)
}

#[test]
fn good_forms_are_taken() {
    let mut wrong = Vec::new();
    for directive in DIRECTIVES {
        for good in directive.good {
            let line = format!("{} {good}", directive.name);
            let check = check(&line);
            if !check.is_ok || !check.text.contains("Syntax OK") {
                wrong.push(format!("{line}: {}", check.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{} were not taken:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn bad_forms_are_refused_with_the_directive_the_word_and_what_is_allowed() {
    let mut wrong = Vec::new();
    for directive in DIRECTIVES {
        for (bad, word, allowed) in directive.bad {
            let line = format!("{} {bad}", directive.name);
            let check = check(&line);
            // httpd repeats neither line nor word, so what is found was said by the module.
            let message = check.text.lines().skip(1).collect::<Vec<_>>().join("\n").to_lowercase();
            let said = [directive.name, word, allowed];
            if check.is_ok {
                wrong.push(format!("{line}\n    was taken"));
            } else if !said.iter().all(|part| message.contains(&part.to_lowercase())) {
                wrong.push(format!("{line}\n    lacks a part: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} bad answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn directives_of_the_base_server_are_refused_in_a_virtual_host() {
    for directive in DIRECTIVES {
        let good = directive.good[0];
        let line = format!("<VirtualHost *:1>\n{} {good}\n</VirtualHost>", directive.name);
        let check = check(&line);
        assert_eq!(check.is_ok, directive.in_virtual_host, "{line}\n{}", check.text);
        if !check.is_ok {
            assert!(check.text.contains(directive.name), "{line}\n{}", check.text);
        }
    }
}

#[test]
fn only_what_the_reference_says_may_stand_in_a_location() {
    for directive in DIRECTIVES {
        let good = directive.good[0];
        let line = format!("<Location /a>\n{} {good}\n</Location>", directive.name);
        let check = check(&line);
        let context = reference(directive.name).lines().find(|line| line.contains("*Context:*"));
        let is_allowed = context.expect(directive.name).contains("location");
        assert_eq!(check.is_ok, is_allowed, "{line}\n{}", check.text);
    }
}

#[test]
fn connection_events_are_taken_in_the_base_server_only() {
    for word in ["NullConnection", "BrokenConnection", "QS_SrvMaxConnPerIP", "nullconnection"] {
        let line = format!("QS_SetEnvIfStatus {word} QS_Block");
        let base = check(&line);
        assert!(base.is_ok, "{line}\n{}", base.text);
        for section in ["VirtualHost *:1", "Location /a"] {
            let kind = section.split(' ').next().unwrap_or_default();
            let inner = check(&format!("<{section}>\n{line}\n</{kind}>"));
            assert!(!inner.is_ok, "{line} in {section}");
            let text = inner.text.to_lowercase();
            assert!(text.contains(&word.to_lowercase()), "{line} in {section}\n{}", inner.text);
        }
    }
}

#[test]
fn directives_that_are_not_there_yet_are_refused_by_name() {
    let mut wrong = Vec::new();
    let (_, later) = REFERENCE.split_once("\n## Not available yet\n").expect("the section");
    let names: Vec<&str> = later.split('`').skip(1).step_by(2).collect();
    assert!(names.contains(&"QS_DenyPath"), "{names:?}");
    for name in names {
        let check = check(&format!("{name} a b"));
        let said = format!("{name}: not available in this version");
        if check.is_ok || !check.text.contains(&said) {
            wrong.push(format!("{name}: {}", check.text.trim()));
        }
    }
    assert!(wrong.is_empty(), "{} bad answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_directive_that_nobody_knows_is_not_ours() {
    let check = check("QS_NoSuchThing 5");
    assert!(!check.is_ok);
    assert!(check.text.contains("Invalid command 'QS_NoSuchThing'"), "{}", check.text);
}

#[test]
fn the_last_of_two_equal_directives_counts() {
    let check =
        check("QS_SrvMaxConn 5\nQS_SrvMaxConn 6\nQS_ClientEntries 640\nQS_ClientEntries 700");
    assert!(check.is_ok, "{}", check.text);
}

#[test]
fn names_of_directives_are_matched_in_any_case() {
    let check = check("qs_srvmaxconn 5\nQS_CLIENTEVENTBLOCKCOUNT 5 60\nqs_semmemfile /tmp/");
    assert!(check.is_ok, "{}", check.text);
}

fn switching_ipv6_off_is_noted_as_without_effect(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SupportIPv6 off\nQS_SemMemFile @ROOT@/lock").start();
    let line = httpd.wait_for_text(0, "QS_SupportIPv6");
    assert_eq!(line.level, "notice");
    assert!(line.text.contains("has no effect"), "{line:?}");
    let made = std::fs::read_dir(httpd.root()).expect("the server's directory").flatten();
    let locks = made.filter(|entry| entry.file_name().to_string_lossy().starts_with("lock"));
    assert_eq!(locks.count(), 0, "no lock file is ever made");
}

on_each_mpm!(switching_ipv6_off_is_noted_as_without_effect);
