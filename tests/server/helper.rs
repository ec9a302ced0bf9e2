//! The helper process of QS_SrvBusyWatch when something is wrong around it: its program, its directory, its disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Connection, Httpd, Mpm, Namespace, PATIENCE, Syslog, wait_until};

/// A program of some lines of shell; it goes with the test.
struct Script(PathBuf);

impl Script {
    fn new(name: &str, text: &str) -> Script {
        let path = std::env::temp_dir().join(format!("mod_qos_rs.{name}.{}", std::process::id()));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
        Script(path)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Holds as many connections as it takes to be found.
fn attack(httpd: &Httpd, source: &str) -> Vec<Connection> {
    (0..4).map(|_| httpd.client(source).hold()).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[test]
fn a_program_that_never_ends_and_never_stops_talking_is_heard_in_part_and_ends_with_its_helper() {
    let script = Script::new(
        "talker",
        "trap '' TERM HUP INT\necho $$ > \"$1.pid\"\nwhile :; do echo 'it does not work' >&2; done",
    );
    let httpd = Httpd::on(Mpm::Event)
        .with("QS_SrvBusyWatch 4 4\nQS_SrvBusyWatchDir @ROOT@/busy")
        .with(&format!("QS_SrvBusyWatchExec {}", script.0.display()))
        .start();
    httpd.expect(310).expect(316);
    let _first = attack(&httpd, "127.0.0.20");
    let began = httpd.wait_for_events(312, 1);
    let file = began[0].text.split_once("file=").expect("a file").1;
    let number = || fs::read_to_string(format!("{file}.pid")).ok()?.trim().parse::<u32>().ok();
    wait_until("it runs", PATIENCE, || number().is_some());
    let process = PathBuf::from(format!("/proc/{}", number().expect("it runs")));
    // The helper looks on, and the log is not full of it.
    let _second = attack(&httpd, "127.0.0.21");
    httpd.wait_for_events(310, 2);
    let complaints = || {
        let told = httpd.events(316);
        told.iter().filter(|line| line.text.ends_with(" says: it does not work")).count()
    };
    wait_until("its first complaints are told of", PATIENCE, || complaints() >= 10);
    assert!(process.exists());
    httpd.reload();
    wait_until("it is gone", PATIENCE, || !process.exists());
    assert_eq!(complaints(), 10);
}

#[test]
fn a_picture_stays_when_the_clock_was_set_back() {
    let httpd =
        Httpd::on(Mpm::Event).with("QS_SrvBusyWatch 4 4\nQS_SrvBusyWatchDir @ROOT@/busy 2").start();
    httpd.expect(310).expect_text("syslog takes nothing");
    let directory = httpd.root().join("busy");
    for second in 1..=3 {
        let name = format!("qos-busy-29991231T23595{second}Z-00.txt");
        fs::write(directory.join(name), "").expect("written");
    }
    let _held = attack(&httpd, "127.0.0.20");
    let began = httpd.wait_for_events(312, 1);
    let file = PathBuf::from(began[0].text.split_once("file=").expect("a file").1);
    let last = directory.join("qos-busy-29991231T235953Z-00.txt");
    assert_eq!(files(&directory), [file, last]);
}

/// What cannot be saved is told of, leaves nothing behind, and keeps nobody from being blocked.
#[test]
fn a_directory_that_is_full_or_closed_is_told_of_and_offenders_are_blocked_all_the_same() {
    Namespace::run(&[], || {
        let Some(_syslog) = Syslog::open() else { return };
        for is_full in [false, true] {
            let httpd = Httpd::on(Mpm::Event)
                .with("QS_SrvBusyWatch 4 4\nQS_SrvBusyWatchDir @ROOT@/busy")
                .start();
            httpd.expect(310).expect(316).expect(60);
            let directory = httpd.root().join("busy");
            if is_full {
                // A disk of a page, in the mounts of this thread and its programs.
                let mut mount = Command::new("mount");
                mount.args(["-t", "tmpfs", "-o", "size=4096,mode=0777", "none"]).arg(&directory);
                if !mount.status().is_ok_and(|status| status.success()) {
                    println!("skipped: no disk can be mounted");
                    continue;
                }
                fs::write(directory.join("all"), [0; 4096]).expect("there is room for it");
            } else {
                fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).expect("closed");
            }
            let held = attack(&httpd, "127.0.0.20");
            let began = httpd.wait_for_events(312, 1);
            assert!(began[0].text.ends_with(", file=-"), "{began:?}");
            let told = httpd.wait_for_events(316, 1);
            assert!(told[0].text.contains("the picture cannot be saved: "), "{told:?}");
            for mut connection in held {
                connection.watch_until_closed().assert_refused();
            }
            httpd.client("127.0.0.20").get("/").assert_refused();
            assert_eq!(files(&directory).len(), usize::from(is_full), "nothing is left");
            if is_full {
                let unmounted = Command::new("umount").arg("-l").arg(&directory).status();
                assert!(unmounted.is_ok_and(|status| status.success()));
            }
        }
    });
}
