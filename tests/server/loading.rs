//! The module in company: it loads beside every module of the distribution, is found by the names
//! that existing configurations use, and shows nobody else's symbols.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Httpd, Mpm, module_under_test, modules_dir};

/// Modules that are left out of the big company, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("cgi", "cgid stands for both; httpd wants one of them by MPM"),
    ("heartbeat", "does not start without HeartbeatAddress, and sends to the network"),
    ("heartmonitor", "listens to the network"),
    ("lbmethod_heartbeat", "needs the storage of heartmonitor"),
    ("dialup", "slows responses down by its own clock"),
    ("suexec", "needs a program of another package"),
    ("ident", "asks the client's machine who the user is"),
];

/// Names of the modules of httpd's own package, dependencies first where it matters.
fn modules_of_the_distribution() -> Vec<String> {
    let mut names: Vec<String> = Path::new("/etc/apache2/mods-available")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_suffix(".load")?.to_owned();
            let is_own = !name.starts_with("mpm_") && is_of_httpds_package(&entry.path());
            let is_left_out = LEFT_OUT.iter().any(|(left_out, _)| *left_out == name);
            (is_own && !is_left_out && modules_dir().join(format!("mod_{name}.so")).exists())
                .then_some(name)
        })
        .collect();
    names.sort();
    // Others resolve their functions against these when they are loaded.
    let first = ["ldap", "proxy", "dav", "dbd", "cache", "session", "watchdog", "http2", "xml2enc"];
    names.sort_by_key(|name| first.iter().position(|f| f == name).unwrap_or(first.len()));
    names
}

fn is_of_httpds_package(load_file: &Path) -> bool {
    let output = Command::new("dpkg").arg("-S").arg(load_file).output();
    // Configuration files of other packages, such as qos, are not httpd's.
    output.is_ok_and(|output| output.stdout.starts_with(b"apache2:"))
}

fn it_loads_beside_every_module_of_the_distribution(mpm: Mpm) {
    let names = modules_of_the_distribution();
    if names.len() < 50 {
        println!("skipped: this is not Debian's httpd, {} modules found", names.len());
        return;
    }
    for (name, reason) in LEFT_OUT {
        println!("left out: {name} ({reason})");
    }
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    if mpm == Mpm::Prefork {
        // It says itself that it does not work there.
        names.retain(|name| !name.contains("http2"));
    }
    let httpd = Httpd::on(mpm)
        .modules(&names)
        .with("SessionCryptoPassphrase secret\nScriptSock @ROOT@/run/cgid")
        .with("SSLSessionCache shmcb:@ROOT@/run/tls(512000)")
        .with("QS_SrvMaxConnPerIP 9\nQS_ClientEventBlockCount 2 60\nQS_SrvMaxConnClose 30")
        .with("QS_SetEnvIfStatus 404 QS_Block")
        .start();
    httpd.expect(60);
    let client = httpd.client("127.0.0.71");
    let response = client.get("/").served();
    assert_eq!((response.status, response.count("QS_IPConn")), (200, 1));
    assert_eq!(client.get("/no").status(), Some(404));
    assert_eq!(client.get("/no").status(), Some(404));
    httpd.reload();
    client.get("/").assert_refused();
    assert_eq!(httpd.client("127.0.0.72").get("/").status(), Some(200));
}

#[test]
fn existing_configurations_find_it_by_both_names() {
    let check = Httpd::check(
        "<IfModule !mod_qos.c>\nError \"not found as mod_qos.c\"\n</IfModule>\n\
         <IfModule !qos_module>\nError \"not found as qos_module\"\n</IfModule>\n\
         <IfModule mod_qos.c>\nQS_SrvMaxConn 5\n</IfModule>\n\
         <IfModule qos_module>\nQS_SrvMaxConnPerIP 5\n</IfModule>",
    );
    assert!(check.is_ok, "{}", check.text);
}

#[test]
fn it_exports_the_module_record_and_nothing_else() {
    let output =
        Command::new("nm").args(["-D", "--defined-only"]).arg(module_under_test()).output();
    let output = output.expect("nm of binutils runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(names, ["qos_module"]);
}

#[test]
fn it_asks_for_no_library_that_httpd_does_not_have() {
    // What httpd's process has anyway, and the compiler's own runtime.
    let usual = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux", "libpthread.so", "libdl.so"];
    let output = Command::new("readelf").arg("-d").arg(module_under_test()).output();
    let output = output.expect("readelf of binutils runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    let unusual: Vec<&str> =
        needed.filter(|line| !usual.iter().any(|name| line.contains(name))).collect();
    assert!(unusual.is_empty(), "{unusual:?}");
}

#[test]
fn its_file_is_not_the_c_modules() {
    let path = fs::canonicalize(module_under_test()).expect("the module exists");
    assert_ne!(path, modules_dir().join("mod_qos.so"));
}

on_each_mpm!(it_loads_beside_every_module_of_the_distribution);
