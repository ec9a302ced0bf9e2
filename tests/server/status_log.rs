//! QS_Status: one line each full minute for the whole server.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Httpd, Mpm, poll};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn count(line: &str, name: &str) -> u64 {
    let after = line.split_once(&format!("\"{name}\": ")).map(|(_, after)| after);
    let digits = after.and_then(|after| after.split([',', ' ']).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no {name}: {line}"))
}

/// Takes up to 75 seconds, so all three run side by side, while other tests go on.
#[test]
fn each_minute_is_told_of_once_by_one_process() {
    let started = now();
    let servers = [Mpm::Prefork, Mpm::Worker, Mpm::Event].map(|mpm| {
        let preferring = if mpm == Mpm::Event { "QS_ClientPrefer 80%" } else { "" };
        // The connection is to be there still when the line comes, which may take longer than usual patience.
        let patience = "KeepAliveTimeout 300";
        let httpd = Httpd::on(mpm).with(&format!("{patience}\nQS_Status on\n{preferring}")).start();
        let held = httpd.client("127.0.0.61").hold();
        (mpm, httpd, held)
    });
    for (mpm, httpd, _held) in &servers {
        let told = || httpd.events(200).into_iter().next();
        let line = poll(Duration::from_secs(85), told);
        let line = line.unwrap_or_else(|| panic!("no status line on {mpm:?}"));
        assert!(now() / 60 > started / 60, "not before a minute is full");
        assert_eq!(line.level, "notice");
        let text = &line.text;
        assert!(text.starts_with("{ \"scoreboard\": { \"open\": "), "{text}");
        // 32 workers, of which one may hold the connection; event needs none for it.
        let workers: u64 = ["waiting", "read", "write", "keepalive", "closing"]
            .into_iter()
            .map(|state| count(text, state))
            .sum();
        assert_eq!(workers, 32, "{text}");
        let busy = u64::from(*mpm != Mpm::Event);
        assert_eq!((count(text, "max"), count(text, "busy")), (32, busy), "{text}");
        assert_eq!(count(text, "keepalive"), busy, "{text}");
        assert_eq!(count(text, "QS_AllConn"), 1, "{text}");
        let contents = "\"clientContentTypes\": { \"html\": 0, \"css/js\": 0, \"images\": 0, \"other\": 1, \
                        \"304\": 0 } }";
        assert_eq!(text.ends_with(contents), *mpm == Mpm::Event, "{text}");
    }
    // Longer than the parent takes from one look to the next.
    sleep(Duration::from_secs(11));
    for (mpm, httpd, _held) in &servers {
        assert_eq!(httpd.events(200).len(), 1, "on {mpm:?}");
    }
}
