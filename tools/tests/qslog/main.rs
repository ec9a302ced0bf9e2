//! `qslog`, the program: the examples of its documentation, hostile logs, whose rights it has, and side by side with the
//! program of Debian's package, where that is installed.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hostile;
mod peer;
mod user;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const OURS: &str = env!("CARGO_BIN_EXE_qslog");
const ALL: &str = "I..RSBiDQkUEsaAMcm";

const SAMPLE: &str = r#"10.0.0.1 [21/Nov/2026:10:00:01 +0000] "GET /a/index.html?x=1 HTTP/1.1" 200 1000 500 1234567 D; 0 user1 Ev1,Ev2 5 7 9 11 text/html GET
10.0.0.2 [21/Nov/2026:10:00:30 +0000] "POST /a/b/form HTTP/1.1" 404 2000 600 45000 S;L; 1 user2 Ev1 15 17 19 111 image/png POST
10.0.0.1 [21/Nov/2026:10:01:30 +0000] "GET /a/b/form HTTP/1.1" 500 300 600 6500000 S;L; 0 user2 - - 2.5 19 - text/css GET
10.0.0.3 [21/Nov/2026:10:04:30 +0000] "GET /a/b/form HTTP/1.1" 304 - 600 45000 S;L; 1 user2 Ev1 15 17 19 111 image/png POST
"#;

fn command(program: &str, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split(' ').filter(|word| !word.is_empty())).env("TZ", "UTC");
    command.env_remove("QSEVENTPATH").env_remove("QSCOUNTERPATH");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn fed(mut command: Command, log: &[u8]) -> Output {
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let log = log.to_owned();
    // It may write before it has read everything, or end without reading.
    let feeder = std::thread::spawn(move || drop(input.write_all(&log)));
    let output = child.wait_with_output().expect("it ends");
    feeder.join().expect("fed");
    output
}

fn run(words: &str, log: &str) -> (i32, String, String) {
    let output = fed(command(OURS, words), log.as_bytes());
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code().expect("no signal"), text(&output.stdout), text(&output.stderr))
}

fn out(words: &str, log: &str) -> String {
    let (code, out, err) = run(words, log);
    assert_eq!(code, 0, "qslog {words}: {err}");
    out
}

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("qslog-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

#[test]
fn records_of_minutes_are_those_of_the_documentation() {
    let text = out(&format!("-f {ALL} -p"), SAMPLE);
    let lines: Vec<_> = text.lines().collect();
    let first = "21.11.2026 10:01:00;r/s;0;req;2;b/s;50;ib/s;18;esco;1;1xx;0;2xx;1;3xx;0;4xx;1;5xx;0;avms;639;av;0;\
        0-49ms;1;50-99ms;0;100-499ms;0;500-999ms;0;<1s;1;1s;1;2s;0;3s;0;4s;0;5s;0;>5s;0;ip;2;usr;2;\
        qV;0;qv;0;qS;1;qD;1;qK;0;qT;0;qL;1;qs;0;qA;0;qu;0;s;20;a;12;A;14;M;111;Ev1;2;Ev2;1;";
    assert_eq!(lines[0], first);
    // The two minutes without a request, and the last one, though it has one line only.
    let labels: Vec<_> = lines.iter().map(|line| line.get(..27).unwrap_or(line)).collect();
    let minute = |at: &str| format!("21.11.2026 10:0{at}:00;r/s;0;r");
    assert_eq!(labels, [&minute("1"), &minute("2"), &minute("3"), &minute("4"), &minute("5"), ""]);
    assert!(lines[4].contains(";req;1;") && lines[4].ends_with("Ev1;1;Ev2;0;"), "{}", lines[4]);
}

#[test]
fn a_summary_follows_where_it_is_asked_for() {
    let text = out("-f I..RSBiD -ps", SAMPLE);
    let summary = text.split("\n\n\n").nth(1).expect("two blank lines");
    assert!(summary.starts_with(
        "      requests: 4\n       average: 1956ms\n  0ms -   50ms: 2\n 50ms -  100ms: 0\n"
    ));
    assert!(summary.ends_with("950ms - 1000ms: 0\n1000ms+       : 2\n"), "{summary}");
    // No duration, no summary.
    assert!(!out("-f I..S -ps", SAMPLE).contains("requests:"));
}

#[test]
fn clients_and_urls_have_a_line_each() {
    let text = out(&format!("-f {ALL} -pc"), SAMPLE);
    let first = "10.0.0.1;req;2;errors;1;duration;60;bytes;1300;1xx;0;2xx;1;3xx;0;4xx;0;5xx;1;304;0;av;3;avms;3867;\
        <1s;0;1s;1;2s;0;3s;0;4s;0;5s;0;>5s;1;esco;2;GET;2;POST;0;ci;25;M;11;html;1;css/js;1;img;0;other;0;Ev1;1;Ev2;1;";
    assert_eq!(text.lines().next(), Some(first));
    assert_eq!(text.lines().count(), 3);
    assert_eq!(
        out(&format!("-f {ALL} -pu"), SAMPLE),
        "req;1;1xx;0;2xx;1;3xx;0;4xx;0;5xx;0;avms;1234;GET;/a/index.html\n\
         req;1;1xx;0;2xx;0;3xx;0;4xx;1;5xx;0;avms;45;POST;/a/b/form\n\
         req;2;1xx;0;2xx;0;3xx;1;4xx;0;5xx;1;avms;3272;GET;/a/b/form\n"
    );
    assert!(out(&format!("-f {ALL} -puc"), SAMPLE).ends_with("avms;3272;GET;/a/b\n"));
}

#[test]
fn counters_and_known_events_come_from_files() {
    let directory = directory("environment");
    let (events, counters) = (directory.join("events"), directory.join("counters"));
    std::fs::write(&events, "A1,B2\nEv2\n").expect("written");
    std::fs::write(&counters, "c:Ev1-2*Ev2/60=1\nSTATUSa:404_500-1*x/60=1\nbad\n")
        .expect("written");
    let mut command = command(OURS, "-f I..RS.....UE -pc");
    command.env("QSEVENTPATH", events).env("QSCOUNTERPATH", counters);
    let output = fed(command, SAMPLE.as_bytes());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().all(|line| line.contains(";ci;")), "{text}");
    let found: Vec<_> = text.lines().filter_map(|line| line.split(";c;").nth(1)).collect();
    assert_eq!(
        found,
        [
            "1;STATUSa;1;A1;0;B2;0;Ev2;1;Ev1;1;",
            "1;STATUSa;1;A1;0;B2;0;Ev2;0;Ev1;1;",
            "1;STATUSa;0;A1;0;B2;0;Ev2;0;Ev1;1;"
        ]
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("no counter like"));
}

#[test]
fn rules_have_a_file_of_their_own() {
    let directory = directory("rules");
    let (rules, stat) = (directory.join("rules"), directory.join("stat.csv"));
    std::fs::write(&rules, "01:^/a\n02:^/a/b\n03:(c|d)$\n").expect("written");
    let log: String = ["/a", "/a/b", "/x/c", "/zz", "/a/bc"]
        .map(|path| format!("1 [21/Nov/2026:10:00:01 +0000] {path} 200 60 5 0 Ev1\n"))
        .concat();
    let words = format!("-f I..CSBDkE -p -c {} -o {}", rules.display(), stat.display());
    assert_eq!(out(&words, &log), "\n");
    let detailed = std::fs::read_to_string(directory.join("stat.csv.detailed")).expect("written");
    let starts: Vec<_> = detailed.lines().filter_map(|line| line.split(";1xx").next()).collect();
    assert_eq!(
        starts,
        [
            "21.11.2026 10:01:00;01;r/s;0;req;1;b/s;1",
            "21.11.2026 10:01:00;02;r/s;0;req;2;b/s;2",
            "21.11.2026 10:01:00;03;r/s;0;req;1;b/s;1"
        ]
    );
    assert!(
        !detailed.contains("esco") && !detailed.contains(";ip;") && detailed.contains(";Ev1;2;")
    );
    let main = std::fs::read_to_string(&stat).expect("written");
    assert!(main.starts_with("21.11.2026 10:01:00;r/s;0;req;5;b/s;5;esco;5;"), "{main}");
    std::fs::write(&rules, "01:(((\n").expect("written");
    let (code, _, err) = run(&words, &log);
    assert_eq!(code, 1);
    assert!(err.contains("[error] qslog: failed to compile pattern ((("), "{err}");
}

#[test]
fn what_is_wrong_is_said_and_ends_with_1() {
    for (words, expected) in [
        ("-f S access.log", "unknown option 'access.log'"),
        (
            "-f S -p -o /nonexistent/x",
            "could not open file for writing '/nonexistent/x': No such file",
        ),
        (
            "-f C -p -o /dev/null -c /nonexistent/x",
            "could not read file '/nonexistent/x': No such file",
        ),
        ("-f", "option '-f' needs a value"),
    ] {
        let (code, out, err) = run(words, SAMPLE);
        assert_eq!((code, out.as_str()), (1, ""), "{words}");
        assert!(
            err.starts_with('[') && err.contains("] [error] qslog: ") && err.contains(expected),
            "{err}"
        );
    }
    for words in ["", "-h", "-?", "--help", "-p"] {
        let (code, out, _) = run(words, "");
        assert_eq!(code, 1);
        assert!(out.contains("Usage: qslog -f"), "{out}");
    }
    let (code, out, _) = run("--man", "");
    assert_eq!(code, 0);
    assert!(out.starts_with(".TH QSLOG 1"), "{out}");
}

#[test]
fn late_lines_and_other_days_have_their_place() {
    let log = |times: &[&str]| {
        times.iter().fold(String::new(), |mut log, time| {
            writeln!(log, "1 [{time}:01 +0000] 200").expect("a string");
            log
        })
    };
    let records = |log: &str| {
        let text = out("-f I..S -p", log);
        let record = |line: &str| line.split(";b/s").next().map(str::to_owned);
        text.lines().filter_map(record).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    let late = [
        "21/Nov/2026:10:05",
        "21/Nov/2026:10:06",
        "21/Nov/2026:10:05",
        "21/Nov/2026:10:05",
        "21/Nov/2026:10:07",
    ];
    assert_eq!(
        records(&log(&late)),
        [
            "21.11.2026 10:06:00;r/s;0;req;1",
            "XX21.11.2026 10:07:00;r/s;0;req;3",
            "21.11.2026 10:08:00;r/s;0;req;1"
        ]
    );
    let midnight = ["31/Dec/2026:23:59", "01/Jan/2027:00:00", "01/Jan/2030:00:00"];
    assert_eq!(
        records(&log(&midnight)),
        [
            "01.01.2027 00:00:00;r/s;0;req;1",
            "01.01.2027 00:01:00;r/s;0;req;1",
            "01.01.2030 00:01:00;r/s;0;req;1"
        ]
    );
}

#[test]
fn in_real_time_the_rest_is_written_at_the_end_and_when_asked_to_stop() {
    let directory = directory("live");
    let file = directory.join("stat.csv");
    let words = format!("-f ISBDk -m -o {}", file.display());
    assert_eq!(out(&words, "1 200 600 5000 0\n2 404 600 5000 1\n"), "");
    let text = std::fs::read_to_string(&file).expect("written");
    let (_, columns) = text.split_once(';').expect("columns");
    assert!(columns.starts_with("r/s;0;req;2;b/s;20;esco;1;1xx;0;2xx;1;3xx;0;4xx;1;"), "{text}");
    assert!(columns.contains(";ip;2;usr;0;sl;") && columns.contains(";m;"), "{text}");
    let mut child = command(OURS, &words).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // A line, and the beginning of one that no pipe holds: when that is written, the first line is counted.
    input.write_all(b"3 500 1 1 0\n").expect("written");
    input.write_all(&[b'x'; 500_000]).expect("written");
    let deadline = Instant::now() + Duration::from_secs(20);
    let kill = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(kill.success());
    while child.try_wait().expect("a child").is_none() {
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = std::fs::read_to_string(&file).expect("written");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(";req;1;") && text.contains(";5xx;1;"), "{text}");
}
