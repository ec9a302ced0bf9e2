//! Logs that an attacker wrote.

use std::process::{Command, Stdio};

use super::{ALL, OURS, command, fed};

#[test]
fn hostile_logs_are_read_to_the_end() {
    let time = "[21/Nov/2026:10:00:01 +0000]";
    let mut log = format!("1 {time} 200 {} 77\n", "x".repeat(1_000_000)).into_bytes();
    log.extend(format!("1 {time} 200 y 77\n").bytes());
    log.extend(b"\0\0\0\n\n   \n\"\n'\n='\n\\\"\n\xff\xfe\xc3\x28\n");
    log.extend(format!("1 {time} {} 2\n", "9".repeat(400)).bytes());
    log.extend(format!("1 {time} 200 \"no end 7").bytes());
    let output = fed(command(OURS, "-f I..S.s -p"), &log);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    // One line is one request, however long it is: nobody can write requests of others into his own.
    assert!(text.contains(";req;12;") && text.contains(";2xx;3;"), "{text}");
    for mode in ["-ps", "-pc", "-pu", "-puc", ""] {
        for format in [ALL, "RIUEcmC", "kiDtTsaAMBS", "((((", ".........", "EEEEE"] {
            let output = fed(command(OURS, &format!("-v -f {format} {mode}")), &log);
            assert_eq!(output.status.code(), Some(0), "{mode} {format}");
        }
    }
    let random: Vec<u8> = (0..300_000_u64)
        .map(|n| (n.wrapping_mul(n ^ 0x9e37_79b9).rotate_left(7) >> 11) as u8)
        .collect();
    assert_eq!(fed(command(OURS, &format!("-f {ALL} -p")), &random).status.code(), Some(0));
}

/// Forty thousand clients, each with a URL of its own, long ones and many events. As a table they are larger than what
/// the program may have.
#[test]
fn memory_is_bounded_whatever_there_is_in_a_log() {
    let long = "x".repeat(10_000);
    for mode in ["-pc", "-pu"] {
        let mut limited = Command::new("sh");
        let script = "ulimit -v 250000; exec \"$@\"";
        limited.args(["-c", script, "sh", OURS, "-f", "I..RE", mode]);
        limited.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut log = Vec::new();
        for number in 0..40_000 {
            // Some of a name is looked at; behind that they may be the same.
            let (client, url) = match number % 10 {
                0 => (format!("{number}{long}"), format!("{number}{long}")),
                _ => {
                    (number.to_string(), format!("{number}{}", long.get(..200).unwrap_or_default()))
                }
            };
            let line = format!(
                "{client} [21/Nov/2026:10:00:01 +0000] \"GET /{url} HTTP/1.1\" E{number},F{number}\n"
            );
            log.extend(line.bytes());
        }
        let output = fed(limited, &log);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{mode}: {err}");
        assert!(err.contains("entries (25000)"), "{mode}: {err}");
        assert_eq!(output.stdout.iter().filter(|octet| **octet == b'\n').count(), 25_000);
    }
}
