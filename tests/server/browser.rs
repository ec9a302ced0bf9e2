//! The status page in a real browser, while a client is blocked: headless chromium, where it is installed.
//!
//! `MOD_QOS_SCREENSHOT=docs/status-viewer.png` keeps a picture of what it shows.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Httpd, Mpm, PATIENCE, wait_until};

fn chromium() -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&paths)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|path| path.exists())
}

/// Opens a page. Returns what chromium prints, and what the page said on the console.
fn open(chromium: &Path, httpd: &Httpd, url: &str, options: &[&str]) -> (String, Vec<String>) {
    let output = Command::new("timeout")
        .arg("60")
        .arg(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--enable-logging=stderr", "--v=0", "--hide-scrollbars", "--no-first-run"])
        .arg(format!("--user-data-dir={}", httpd.root().join("chromium").display()))
        .args(options)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .expect("chromium runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

#[test]
fn a_browser_shows_who_is_blocked_and_has_nothing_to_complain_of() {
    let Some(chromium) = chromium() else {
        eprintln!("skipped: no chromium in PATH");
        return;
    };
    let noisy = b"<!DOCTYPE html><title>noisy</title><script>console.error('heard')</script>";
    let httpd = Httpd::on(Mpm::Event)
        .ports(2)
        .file("noisy.html", noisy.to_vec())
        .with("AddType text/html .html\n<Location /qos>\nSetHandler qos-viewer\n</Location>")
        .with("QS_ClientEventBlockCount 3 300\nQS_SetEnvIfStatus 404 QS_Block")
        .with("QS_ClientEventLimitCount 2 120 LOGIN\nSetEnvIf Request_URI ^/login LOGIN")
        .with("QS_SrvMaxConnPerIP 6\nQS_SrvMaxConnClose 80%\nQS_LocRequestLimit /shop 20")
        .with("QS_LocRequestLimitMatch \\.(pdf|zip)$ 5")
        .with("<VirtualHost *:@PORT1@>\nServerName admin.example\nQS_SrvMaxConn 8\n</VirtualHost>")
        .start();
    httpd.expect(31).expect(60).expect(67);
    for attacker in ["127.0.0.66", "127.0.0.67", "127.0.0.68"] {
        for _ in 0..3 {
            httpd.client(attacker).get("/wp-login.php");
        }
        wait_until("blocked", PATIENCE, || httpd.client(attacker).get("/").is_refused());
    }
    for _ in 0..3 {
        httpd.client("127.0.0.71").get("/login.html");
    }
    let mut held: Vec<_> = (0..6).map(|_| httpd.client("127.0.0.80").hold()).collect();
    httpd.client("127.0.0.80").get("/").assert_refused();
    held.extend((0..8).map(|n| httpd.client_of_port(1, &format!("127.0.1.{}", n + 1)).hold()));

    let url = |path: &str| format!("http://127.0.0.1:{}{path}", httpd.port());
    let (_, said) = open(&chromium, &httpd, &url("/noisy.html"), &["--dump-dom"]);
    assert!(said.iter().any(|line| line.contains("heard")), "a complaint would be heard: {said:?}");

    let path = "/qos?option=ip&address=127.0.0.66&x=%3Cscript%3Ealert(1)%3C/script%3E";
    let (page, said) = open(&chromium, &httpd, &url(path), &["--dump-dom"]);
    assert_eq!(said, [] as [String; 0], "nothing on the console");
    assert!(page.contains("<title>mod_qos - localhost</title>"), "{page}");
    assert!(page.contains("blocked clients: 3") && page.contains("limited clients: 1"), "{page}");
    let row = "<td><a href=\"?address=127.0.0.66\">127.0.0.66</a></td><td class=\"n\">3</td>";
    assert!(page.contains(row), "{page}");
    assert!(page.contains("<td class=\"n red\">8</td>"), "the second host is full: {page}");
    assert!(!page.contains("<script"), "{page}");

    if let Some(picture) = env::var_os("MOD_QOS_SCREENSHOT") {
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join(picture);
        let screenshot = format!("--screenshot={}", picture.display());
        open(&chromium, &httpd, &url("/qos"), &["--window-size=1000,1500", &screenshot]);
        assert!(std::fs::metadata(&picture).is_ok_and(|file| file.len() < 200 << 10));
    }
}
