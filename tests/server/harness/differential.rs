//! The same server with the C module in the place of ours: what both do must be the same, where this
//! project does not mean to differ. The C module is Debian's package libapache2-mod-qos, as a black box.

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::config::modules_dir;
use super::{Builder, Httpd, Line};

/// Runs a scenario against our module, then against the C module, each in a server of its own with the
/// same configuration, and fails where what it returns differs. False, with a word on the terminal, where
/// there is no C module.
#[track_caller]
pub fn on_both_modules<T: PartialEq + Debug>(
    server: &Builder,
    scenario: impl Fn(&Httpd) -> T,
) -> bool {
    let Some((module, preload)) = c_module() else {
        // Around the test runner, which keeps the words of a test that passes to itself.
        let word = "skipped: no C module (libapache2-mod-qos) that loads with libpcre.so.3\n";
        if let Ok(mut terminal) = OpenOptions::new().append(true).open("/proc/self/fd/2") {
            let _ = terminal.write_all(word.as_bytes());
        }
        return false;
    };
    let ours = scenario(&server.clone().start());
    let httpd =
        server.clone().module_file(module.clone()).environment("LD_PRELOAD", preload).start();
    // Its remarks are not what is tested.
    httpd.expect_text("mod_qos").expect_text("[qos:");
    let theirs = scenario(&httpd);
    drop(httpd);
    assert_eq!(ours, theirs, "left is this module, right is the C module");
    true
}

/// Numbered lines of the error log without what differs between two runs: level, number, and the words
/// up to the id of the request.
pub fn comparable(lines: &[Line]) -> Vec<(String, Option<u16>, String)> {
    let words = |line: &Line| line.without_id().to_owned();
    lines.iter().map(|line| (line.level.clone(), line.event, words(line))).collect()
}

/// The C module and the library that it needs and is not linked with.
fn c_module() -> Option<&'static (PathBuf, &'static str)> {
    const PCRE: &str = "/usr/lib/x86_64-linux-gnu/libpcre.so.3";
    static FOUND: OnceLock<Option<(PathBuf, &'static str)>> = OnceLock::new();
    let look = || {
        let module = modules_dir().join("mod_qos.so");
        if !module.exists() || !PathBuf::from(PCRE).exists() {
            return None;
        }
        let check = Httpd::on(super::Mpm::Worker)
            .module_file(module.clone())
            .environment("LD_PRELOAD", PCRE)
            .check();
        check.is_ok.then_some((module, PCRE))
    };
    FOUND.get_or_init(look).as_ref()
}
