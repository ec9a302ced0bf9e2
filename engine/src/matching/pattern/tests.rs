use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::new(text, Options::default()).unwrap_or_else(|problem| panic!("{problem}"))
}

fn matches(text: &str, subject: &[u8]) -> bool {
    match pattern(text).is_match(subject) {
        Matched::Yes => true,
        Matched::No => false,
        Matched::OverBudget => panic!("{text} over budget"),
    }
}

fn whole<'s>(text: &str, subject: &'s [u8]) -> Option<&'s [u8]> {
    pattern(text).groups(subject).and_then(|groups| groups.get(0))
}

#[test]
fn the_patterns_of_real_configurations_match_what_they_should() {
    for (text, yes, no) in [
        (r".*[\x00-\x19].*", "a\x07b", "a b"),
        ("(EXEC|SELECT|INSERT|UPDATE|DELETE)", "1;DELETE", "delete"),
        ("^(/app/a/|/app/b/|/app/c/).*$", "/app/b/x", "/app/d/"),
        (r"^GET /htt/.*\.zip HTTP/...", "GET /htt/a.zip HTTP/1.1", "GET /htt/azip HTTP/1.1"),
        (
            r"^/qos/parp/permit(\?name=[a-z]{0,10}&id=[a-z]{0,10})?$",
            "/qos/parp/permit?name=a&id=b",
            "/qos/parp/permit?name=a&id=1",
        ),
        ("(^1[012345][0-9]{2}$)|(^[0-9]{1,3}$)", "1499", "1600"),
        (r"<u>([\x20-\x3b\x3d\x3f-\x7e]+)</u>[\x0a\x0d ]*", "<u>abc</u>\n", "<u>a<c</u>"),
        ("(DE)|(CH)|(AT)", "AT", "FR"),
        ("^[1234]?[0-9]{1,2}$", "499", "500"),
        (r".*\.(jpg)|(jpeg)|(gif)|(png)|(js)|(css)$", "/js/x", "/index.html"),
        (r".*\.(jpg)|(jpeg)|(gif)|(png)|(js)|(css)$", "/a.jpg/b", "/css/x"),
        (
            r"^[/a-zA-Z]+/json\?(session=[0-9]{0,12}[&]?)?(x=\x5c\x22)?$",
            r#"/a/json?x=\""#,
            "/a/json?x=1",
        ),
        ("[\\x80-\\xff]", "ä", "a"),
        (r"\.(jpg|jpeg|gif|png|js|css)$", "/a.css", "/a.css?x"),
        ("20", "120", "2"),
        ("", "", "\0never"),
    ] {
        assert!(matches(text, yes.as_bytes()), "{text} on {yes}");
        if !no.starts_with('\0') {
            assert!(!matches(text, no.as_bytes()), "{text} on {no}");
        }
        assert!(pattern(text).is_linear(), "{text}");
    }
}

#[test]
fn a_dollar_also_matches_before_a_newline_at_the_end() {
    for (text, subject, expected) in [
        ("a$", "a", Some("a")),
        ("a$", "a\n", Some("a")),
        ("a$", "a\n\n", None),
        ("a$", "a\nb", None),
        (r"a\z", "a\n", None),
        (r"a\Z", "a\n", Some("a")),
        ("(a|b$)", "b\n", Some("b")),
        ("a$|b$", "b\n", Some("b")),
        ("(?:a$)?", "a\n", Some("a")),
        ("a$$", "a\n", Some("a")),
        ("(?s)a.*$", "ab\n", Some("ab\n")),
        ("(?s)a.*?$", "ab\n", Some("ab")),
        ("(?m)a$", "a\nb", Some("a")),
        ("(?m:a$)\nb$", "a\nb", Some("a\nb")),
        ("^$", "\n", Some("")),
        // More stands behind: tried out, where the subject ends in a newline.
        ("a$\n", "a\n", Some("a\n")),
        (r"a$\z", "a\n", None),
        (r"a$\b", "a\n", Some("a")),
        ("([^b]$)+", "x\n", Some("x\n")),
        ("([^b]$)+", "x", Some("x")),
        // A class and an escape have dollars of their own.
        ("[$]a", "$a", Some("$a")),
        (r"\$a", "$a", Some("$a")),
    ] {
        let found = whole(text, subject.as_bytes());
        assert_eq!(found, expected.map(str::as_bytes), "{text} on {subject:?}");
        assert_eq!(matches(text, subject.as_bytes()), expected.is_some(), "{text} on {subject:?}");
    }
    let groups = pattern("^(a(b$))(c)?").groups(b"ab\n").unwrap();
    assert_eq!(groups.get(1), Some(b"ab".as_slice()));
    assert_eq!(groups.get(2), Some(b"b".as_slice()));
    assert_eq!(groups.get(3), None);
    assert_eq!(groups.get(4), None, "the marker is nobody's group");
}

#[test]
fn what_needs_tries_is_tried() {
    for (text, yes, no) in [
        ("^(?!/static/|/health).*", "/app", "/static/a"),
        ("(?=.*x)a", "abx", "ab"),
        ("(?<!a)b", "cb", "ab"),
        ("(?<=a)b", "ab", "cb"),
        (r"(a|b)\1", "bb", "ab"),
        ("(?P<n>a|b)(?P=n)", "aa", "ab"),
        (r"(?<n>a|b)\k<n>", "aa", "ab"),
        ("(?>a+)b", "aab", "aac"),
        ("^a++b", "aab", "aa"),
        ("^(a)?(?(1)b|c)$", "ab", "ac"),
        ("(?!x)a$", "a\n", "a\nb"),
    ] {
        assert!(!pattern(text).is_linear(), "{text}");
        assert!(matches(text, yes.as_bytes()), "{text} on {yes}");
        assert!(!matches(text, no.as_bytes()), "{text} on {no}");
    }
    // Possessive: what it took, it does not give back.
    assert!(!matches("a++a", b"aaa"));
    let found = pattern("(?=(a+))a").groups(b"baaa").unwrap();
    assert_eq!((found.get(0), found.get(1)), (Some(&b"a"[..]), Some(&b"aaa"[..])));
}

#[test]
fn tries_are_made_at_each_octet_whatever_it_is() {
    // The first octet says that three more belong to it; they do not.
    for lead in 0..=255_u8 {
        for text in ["(?=b)b", "(?<!ac)b", "(?!a)b(?=.)", "(?<=[^q]|q)b", r"(?<=[\x00-\xff])b"] {
            assert!(matches(text, &[lead, b'b', b'c']), "{text} behind {lead:#x}");
        }
        let class = format!(r"(?=x)x[\x{lead:02x}]\x{lead:02x}.");
        assert!(matches(&class, &[b'y', b'x', lead, lead, b'z']), "{class}");
        assert!(!matches(&class, &[b'y', b'x', lead, !lead, b'z']), "{class}");
    }
}

#[test]
fn tries_end_at_the_budget_and_linear_patterns_do_not_need_one() {
    let subject = [b"a".repeat(40), b"!".to_vec()].concat();
    assert_eq!(pattern(r"^(?=a)(a|aa|b\1?)+$").is_match(&subject), Matched::OverBudget);
    assert_eq!(pattern(r"^(?=a)(a|aa|b\1?)+$").groups(&subject), None);
    assert_eq!(pattern("^(a+)+$").is_match(&subject), Matched::No);
    let long = b"a".repeat(16 * 1024 + 1);
    assert_eq!(pattern("(?=a)a").is_match(&long), Matched::OverBudget);
    assert_eq!(pattern("(?=a)a").groups(&long), None);
    assert_eq!(pattern("(?=a)a").is_match(&long[1..]), Matched::Yes);
    assert_eq!(pattern("a").is_match(&long), Matched::Yes);
    // What the C module lets pass behind 400 letters.
    let hidden = [b"a".repeat(100_000), b"<script>".to_vec()].concat();
    assert!(matches("([a-z]|.)*<script>", &hidden));
}

#[test]
fn octets_are_octets() {
    assert!(matches("^.$", b"\xe4"));
    assert!(!matches("^.$", "ä".as_bytes()));
    assert!(matches("ä", "grün, äh".as_bytes()));
    assert!(matches("^ä+$", b"\xc3\xa4\xa4"), "only the last octet is repeated");
    assert!(matches("^[ä]$", b"\xa4"));
    assert!(!matches(r"\w", b"\xe4"));
    assert!(matches(r"^\W$", b"\xe4"));
    assert!(matches("a.b", b"a\0b"));
    let blind = Options { ignore_case: true, ..Options::default() };
    assert_eq!(Pattern::new("\\xe4", blind).unwrap().is_match(b"\xc4"), Matched::No);
    assert_eq!(Pattern::new("(?=\\xe4).", blind).unwrap().is_match(b"\xc4"), Matched::No);
    assert_eq!(Pattern::new("(?=K)k[A]", blind).unwrap().is_match(b"ka"), Matched::Yes);
    assert_eq!(Pattern::new("SELECT", blind).unwrap().is_match(b"select"), Matched::Yes);
}

#[test]
fn options_and_flags_say_what_a_dot_is() {
    let all = Options { dot_all: true, ..Options::default() };
    for text in ["a.b", "(?=a)a.b"] {
        assert_eq!(pattern(text).is_match(b"a\nb"), Matched::No);
        assert_eq!(Pattern::new(text, all).unwrap().is_match(b"a\nb"), Matched::Yes);
        assert_eq!(pattern(&format!("(?s){text}")).is_match(b"a\nb"), Matched::Yes);
    }
    assert!(matches("(?i)abc", b"ABC"));
    assert!(matches("a(?i)b|c", b"C"));
    assert!(!matches("(a(?i)b)c", b"aBC"));
    assert!(matches("(?x) a b # c", b"ab"));
    assert!(matches("(?x)[a b]", b" "));
    assert!(matches("(?x: a)( b)", b"a b"));
}

#[test]
fn what_the_engines_would_read_otherwise_is_read_as_pcre_does() {
    for (text, yes, no) in [
        ("^[[a]$", "[", "b"),
        ("^[a[b]c]$", "[c]", "a"),
        ("^[a&&b]+$", "a&b", "c"),
        ("^[+--]$", ",", "a"),
        ("^[--/]$", ".", "a"),
        ("^[a-]$", "-", "b"),
        (r"^[\w-]+$", "a-b", "a.b"),
        (r"^[\w-.]+$", "a-.", "a:"),
        ("^[]a]$", "]", "b"),
        ("^[^]a]$", "b", "]"),
        ("^[[:alpha:]_]+$", "a_", "1"),
        ("^[[:^alpha:]]+$", "1", "a"),
        ("^[a~~b]$", "~", "c"),
        (r"\<a\>", "<a>", "a"),
        ("a{,5}", "a{,5}", "aaa"),
        ("a{x", "a{x", "a"),
        ("a}]", "a}]", "a"),
        (r"^\x9$", "\t", "9"),
        (r"^\0a$", "\0a", "0a"),
        (r"^[\101]$", "A", "1"),
        (r"^\Qa.b\E+$", "a.bb", "axb"),
        (r"^\cA$", "\x01", "A"),
        (r"^\e$", "\x1b", "e"),
        (r"^\h$", " ", "\n"),
        (r"^\v$", "\n", " "),
        (r"^[\H]$", "a", " "),
        (r"^[\b]$", "\x08", "b"),
        (r"^\N$", "a", "\n\n"),
        (r"a(?#comment)b", "ab", "a"),
        (r"\/\-\_\ \@\%", "/-_ @%", "x"),
        ("a#b c", "a#b c", "ab"),
        ("^a{2}{", "aa{", "aa"),
        ("^(?U)a+(b)", "aab", "b"),
    ] {
        assert!(matches(text, yes.as_bytes()), "{text} on {yes:?}");
        assert!(!matches(text, no.as_bytes()), "{text} on {no:?}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_the_pattern_and_the_reasons() {
    for (text, reason) in [
        ("(a", "a ')' is missing"),
        ("a)", "a ')' has no '('"),
        ("[a", "a ']' is missing"),
        ("*a", "'*' has nothing to repeat"),
        ("a**", "'*' has nothing to repeat"),
        ("a|+", "'+' has nothing to repeat"),
        ("a\\", "a backslash at the end"),
        ("[b-a]", "a range in a class runs backwards"),
        (r"\x{100}", "is no octet"),
        (r"\y", r"'\y' is not known"),
        ("(?z)", "'(?z' is not known"),
        ("a{5,2}", "{5,2} runs backwards"),
        ("a{70000}", "{70000} is too often"),
        (r"(a)\2", "and not by trying ("),
        ("[[:letters:]]", "[:letters:] is not known"),
    ] {
        let problem = Pattern::new(text, Options::default()).expect_err(text).to_string();
        assert!(problem.contains(&format!("'{text}' is not")), "{problem}");
        assert!(problem.contains(reason), "{problem}");
    }
}

/// A few octets that patterns and subjects are made of.
const OCTETS: &[u8] = b"ab\n\xe4";

/// A naive matcher of PCRE's meaning for a small language: what comes behind a match at `at`.
#[derive(Clone, Debug)]
enum Naive {
    Octet(u8),
    Any,
    Start,
    End,
    Concat(Vec<Naive>),
    Either(Box<Naive>, Box<Naive>),
    Many(Box<Naive>),
}

impl Naive {
    fn text(&self) -> String {
        match self {
            Naive::Octet(octet) => format!("\\x{octet:02x}"),
            Naive::Any => ".".into(),
            Naive::Start => "^".into(),
            Naive::End => "$".into(),
            Naive::Concat(parts) => parts.iter().map(Naive::text).collect(),
            Naive::Either(a, b) => format!("({}|{})", a.text(), b.text()),
            Naive::Many(a) => format!("(?:{})*", a.text()),
        }
    }

    /// All places where a match from `at` may end, best first.
    fn ends(&self, subject: &[u8], at: usize) -> Vec<usize> {
        let one = |is: bool, to: usize| if is { vec![to] } else { vec![] };
        let octet = subject.get(at).copied();
        match self {
            Naive::Octet(o) => one(octet == Some(*o), at + 1),
            Naive::Any => one(octet.is_some_and(|o| o != b'\n'), at + 1),
            Naive::Start => one(at == 0, at),
            Naive::End => one(matches!(&subject[at..], b"" | b"\n"), at),
            Naive::Concat(parts) => parts.iter().fold(vec![at], |ends, part| {
                ends.into_iter().flat_map(|end| part.ends(subject, end)).collect()
            }),
            Naive::Either(a, b) => [a.ends(subject, at), b.ends(subject, at)].concat(),
            Naive::Many(a) => {
                let mut ends = Vec::new();
                for end in a.ends(subject, at) {
                    if end > at {
                        ends.extend(self.ends(subject, end));
                    }
                }
                ends.push(at);
                ends
            }
        }
    }
}

mod against_a_naive_matcher {
    use super::*;
    use proptest::prelude::*;

    fn naive() -> impl Strategy<Value = Naive> {
        let leaf = prop_oneof![
            4 => prop::sample::select(OCTETS).prop_map(Naive::Octet),
            1 => Just(Naive::Any),
            1 => Just(Naive::Start),
            2 => Just(Naive::End),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Naive::Concat),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| Naive::Either(Box::new(a), Box::new(b))),
                // Something has to be there to be repeated.
                (prop::sample::select(OCTETS), inner).prop_map(|(octet, a)| {
                    Naive::Many(Box::new(Naive::Concat(vec![Naive::Octet(octet), a])))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_engines_find_what_it_finds(
            naive in naive(),
            subject in prop::collection::vec(prop::sample::select(OCTETS), 0..6),
        ) {
            let expected = (0..=subject.len()).any(|at| !naive.ends(&subject, at).is_empty());
            let text = naive.text();
            prop_assert_eq!(matches(&text, &subject), expected, "{}", &text);
            prop_assert_eq!(whole(&text, &subject).is_some(), expected, "groups of {}", &text);
            let tried = format!("(?=)(?:{text})");
            prop_assert_eq!(matches(&tried, &subject), expected, "{}", &tried);
            // A long subject takes the other way through the linear engine.
            let mut long = b"c".repeat(600);
            long.extend_from_slice(&subject);
            let expected = (0..=long.len()).any(|at| !naive.ends(&long, at).is_empty());
            prop_assert_eq!(matches(&text, &long), expected, "long {}", &text);
        }
    }
}
