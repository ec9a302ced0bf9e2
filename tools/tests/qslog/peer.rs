//! Side by side with the program of Debian's package (libapache2-mod-qos).

use std::fmt::Write as _;
use std::path::Path;

use super::{ALL, OURS, command, directory, fed};

const PEER: &str = "/usr/bin/qslog";

fn is_there() -> bool {
    let is_there = Path::new(PEER).exists();
    if !is_there {
        println!("skipped: {PEER} is missing (Debian: libapache2-mod-qos)");
    }
    is_there
}

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// A log of a busy server. Not in it is what the C program gets wrong: durations of 49, 99, 499 and 999 ms, two
/// late lines in a row, a single line in the last minute.
fn log(lines: usize) -> String {
    let mut dice = Dice(0x5eed);
    let mut log = String::new();
    let mut second = 36_000;
    for number in 0..lines {
        second += u64::from(dice.below(3) == 0);
        let millis = loop {
            let millis = if dice.below(9) == 0 { dice.below(9000) } else { dice.below(1200) };
            if ![49, 99, 499, 999].contains(&millis) {
                break millis;
            }
        };
        // Late, but neither one after the other nor at the turn of a minute.
        let late = if number % 100 == 50 && (20..40).contains(&(second % 60)) { 45 } else { 0 };
        let at = second - late;
        let (host, net) = (dice.below(200), dice.below(3));
        let request = match dice.below(40) {
            0 => "-".to_owned(),
            1 => r#"GET /a\"b HTTP/1.1"#.to_owned(),
            2 => format!("GET /{}", dice.below(9)),
            _ => format!(
                "{} /{}/{}/page{}.html?x={} HTTP/1.1",
                dice.of(&["GET", "GET", "POST", "HEAD", "PUT"]),
                dice.of(&["shop", "app", "img"]),
                dice.of(&["u", "v", "w"]),
                dice.below(60),
                dice.below(1000)
            ),
        };
        let status = dice.of(&["200", "200", "200", "302", "304", "404", "500", "101", "-"]);
        let (sent, received) = (dice.below(90_000), dice.below(2000));
        let duration = millis * 1000 + dice.below(1000);
        let deeds = dice.of(&["-", "-", "D;", "V;S;", "s;L;", "A;K;T;u;v;"]);
        let events = dice.of(&["-", "-", "Ev1", "Ev1,Ev2", "Ev3,Ev1", "\"Ev4,Ev5\""]);
        let content =
            dice.of(&["text/html", "\"text/html; charset=utf-8\"", "image/png", "text/css", "-"]);
        writeln!(
            log,
            "10.1.{net}.{host} [21/Nov/2026:{:02}:{:02}:{:02} +0000] \"{request}\" {status} {} {received} {duration} \
             {deeds} {} user{} {events} {} {} {} {} {content} {}",
            at / 3600,
            at / 60 % 60,
            at % 60,
            if sent % 20 == 0 { "-".to_owned() } else { sent.to_string() },
            dice.below(4),
            dice.below(50),
            dice.below(100),
            dice.of(&["-", "7", "2.5", "19ms"]),
            dice.below(9),
            dice.below(5000),
            dice.of(&["GET", "POST", "HEAD"]),
        )
        .expect("a string");
    }
    log
}

/// What both have written, but for the label of the last record: there the C program has the minute before.
fn comparable(text: &str) -> String {
    let last = text.trim_end().rfind('\n').map_or(0, |end| end + 1);
    let (before, line) = text.split_at(last);
    match line.split_once(";r/s;") {
        Some((_, columns)) => format!("{before}LAST;r/s;{columns}"),
        None => text.to_owned(),
    }
}

#[test]
fn it_says_what_the_c_program_says() {
    if !is_there() {
        return;
    }
    let log = log(20_000);
    let formats = [
        ALL,
        "I..RSB",
        "I..RSBiD",
        "I..RSBi..t",
        "U..RSB.T",
        "...RSB...kUE",
        "I..R.B..Q...sM",
        "..(RS",
        "I. .R S,B",
    ];
    for mode in ["-p", "-ps", "-pc", "-pu", "-puc"] {
        for format in formats {
            // There the C program divides by zero.
            if mode == "-ps" && !format.contains(['D', 't', 'T']) {
                continue;
            }
            let words = |program| {
                let mut command = command(program, "");
                command.arg("-f").arg(format).arg(mode);
                let output = fed(command, log.as_bytes());
                assert_eq!(output.status.code(), Some(0), "{program} {mode} {format}");
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let records = text.split("\n\n\n").next().unwrap_or_default();
                let summary = text.get(records.len()..).unwrap_or_default().to_owned();
                (comparable(records), summary, String::from_utf8_lossy(&output.stderr).into_owned())
            };
            let (ours, peer) = (words(OURS), words(PEER));
            for (ours, peer) in ours.0.lines().zip(peer.0.lines()) {
                assert_eq!(ours, peer, "{mode} {format}");
            }
            assert!(ours == peer, "{mode} {format}");
        }
    }
}

#[test]
fn its_files_are_those_of_the_c_program() {
    if !is_there() {
        return;
    }
    let directory = directory("peer");
    let (rules, events) = (directory.join("rules"), directory.join("events"));
    std::fs::write(&rules, "shop:^/shop/\nlong:/(p|page[0-9]+)\nimg:^/img/.*html$\n")
        .expect("written");
    std::fs::write(&events, "Ev9,Ev2\n").expect("written");
    let log: String =
        log(20_000).replace("HTTP/1.1", "").lines().fold(String::new(), |mut log, line| {
            // The path alone, as %U writes it.
            let mut parts = line.splitn(3, '"');
            let (before, request, behind) = (parts.next(), parts.next(), parts.next());
            let path = request
                .and_then(|request| request.split(' ').nth(1))
                .filter(|path| !path.is_empty())
                .unwrap_or("-");
            writeln!(log, "{}{path}{}", before.unwrap_or_default(), behind.unwrap_or_default())
                .expect("a string");
            log
        });
    let files = |program, name: &str| {
        let stat = directory.join(name);
        let mut command = command(program, "-f I..CSB.DQkUEsaAM -p");
        command.arg("-c").arg(&rules).arg("-o").arg(&stat).env("QSEVENTPATH", &events);
        assert_eq!(fed(command, log.as_bytes()).status.code(), Some(0));
        let read = |end: &str| {
            std::fs::read_to_string(directory.join(format!("{name}{end}"))).expect("written")
        };
        let detailed = read(".detailed");
        let last = detailed
            .lines()
            .last()
            .and_then(|line| line.split_once(';'))
            .map(|(label, _)| label.to_owned());
        (comparable(&read("")), detailed.replace(&last.expect("a record"), "LAST"))
    };
    let (ours, peer) = (files(OURS, "ours"), files(PEER, "peer"));
    assert_eq!(ours.0, peer.0);
    // The C program's last label is that of the record before. It also leaves ib/s out (i) where a rule has none yet.
    let columns = |text: &str| {
        text.lines()
            .filter_map(|line| line.split_once(';'))
            .map(|(_, rest)| rest.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(columns(&ours.1), columns(&peer.1));
}

/// Lines of which a log should have none. Two of each: the C program loses a single one.
const ODD: [&str; 27] = [
    "x",
    " leading blank 200",
    "2001:db8::1 \"GET /six HTTP/1.1\" 200 7",
    "fe80::1%eth0 \"GET /zone HTTP/1.1\" 200 7\r",
    "::ffff:192.0.2.1 \"GET /mapped HTTP/1.1\" 200 7\t\u{1}",
    "\"\" \"\" \"\" \"\" 5 \"\"",
    "\"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\"",
    "1 \"no end 200 5 6",
    "1 'no end 200 5 6",
    "1 \"GET /a\\\"b c\\\" HTTP/1.1\" 200 5",
    "1 \"GET /a\"b c HTTP/1.1\" 200 5",
    "1 'GET /a HTTP/1.1' 200 5",
    "1 \"GET\" 200 5",
    "1 \"GET /only-path\" 200 5",
    "1 \"gEt /x/y/z?q=/r HTTP/1.1\" 200 5",
    "1 \"G3T /a;b HTTP/1.1\" 200 5",
    "1 \"\\x16\\x03\\x01\" 400 5",
    "1 \"- -\" 408 -",
    "1 \"GET / HTTP/1.1\" 0200 +5 -6 1.5 2,5 0x10 1e3 x7x 5-6",
    "1 \"GET / HTTP/1.1\" 99 - - - - - - - - - - -",
    "1 \"GET / HTTP/1.1\" 600 12ms 007 1000000 V;v;S;S;XYZ k=0 me 1,-x,_y,,Ev 3 4 5 6 image/css post",
    "1 \"GET / HTTP/1.1\" 304 1 2 3 L;u; 0 \"you and me\" \"a b,c\" 3,9 4.9 5.9 6.9 \"TEXT/HTML; x\" POST",
    "1 \"GET / HTTP/1.1\" 302 1 2 5999999 q 00 - - - - - - application/Javascript GETS",
    "1 \"GET / HTTP/1.1\" 1xx 1 2 6000000 - 0 - - - - - - image/html GET",
    "1 \"GET / HTTP/1.1\" 200 abcdefghijkl='b c' 9 8 7 6",
    "1;2 \"GET /;x HTTP/1.1\" 200 5;6 7",
    "a\tb \"GET /tab\t/x HTTP/1.1\" 200\t5",
];

#[test]
fn odd_lines_count_as_they_do_there() {
    if !is_there() {
        return;
    }
    let mut log = String::new();
    for (minute, line) in ODD.iter().enumerate() {
        for _ in 0..2 {
            // The time stands behind what the formats look at.
            writeln!(log, "{line} 10:{minute:02}:01 -").expect("a string");
        }
    }
    for (mode, format) in ["-p", "-pc", "-pu", "-puc"].iter().flat_map(|mode| {
        ["IRSBiDQkUEsaAMcm", "URST", "IRSt..M", "I.RS", "RkE"].map(|format| (mode, format))
    }) {
        for verbose in ["", "-v"] {
            let words = |program| {
                let mut command = command(program, &format!("{mode} {verbose}"));
                command.arg("-f").arg(format);
                let output = fed(command, log.as_bytes());
                comparable(&String::from_utf8_lossy(&output.stdout))
            };
            let (ours, peer) = (words(OURS), words(PEER));
            for (ours, peer) in ours.lines().zip(peer.lines()) {
                assert_eq!(ours, peer, "{mode} {format} {verbose}");
            }
            assert!(ours == peer, "{mode} {format} {verbose}");
        }
    }
}
