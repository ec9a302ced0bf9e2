//! `-u`: whose rights the program has.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{OURS, command, fed};

/// Everywhere, and of a group of the same number on Debian only.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    // Ours while this runs, and then nobody's.
    fs::metadata("/proc/self").expect("procfs").uid() == 0
}

/// A directory in which everybody may write, below one that everybody may enter.
struct Shared(PathBuf);

impl Shared {
    fn new(name: &str) -> Shared {
        let path = std::env::temp_dir().join(format!("qslog-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("our own");
        Shared(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The numbers behind a name in /proc/<pid>/status.
fn numbers(status: &str, name: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn root_becomes_the_user_before_a_file_is_opened() {
    if !is_root() {
        println!("skipped: not root");
        return;
    }
    let shared = Shared::new("user");
    let stat = shared.file("stat.csv");
    let mut command_line = command(OURS, "-f IS -u nobody -o");
    let mut child = command_line.arg(&stat).spawn().expect("it starts");
    // The file is the first thing that it does as the other user.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stat.exists() {
        assert!(Instant::now() < deadline, "there is no file");
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let group = numbers(&status, "Gid:")[0];
    assert_eq!(numbers(&status, "Uid:"), [NOBODY; 4], "{status}");
    assert_eq!(numbers(&status, "Gid:"), [group; 4], "{status}");
    assert!(group != 0 && !numbers(&status, "Groups:").contains(&0), "{status}");
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("Linux");
    assert_eq!(capabilities.trim().trim_matches('0'), "", "{status}");

    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"1 200\n").expect("it reads");
    drop(input);
    assert!(child.wait().expect("it ends").success());
    let owner = fs::metadata(&stat).expect("a file");
    assert_eq!((owner.uid(), owner.gid()), (NOBODY, group));
    assert!(fs::read_to_string(&stat).expect("text").contains(";req;1;"));

    // What root alone may read or write is closed to it.
    let secret = shared.file("secret");
    fs::write(&secret, "a:b\n").expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("our own");
    for words in ["-p -o SECRET", "-p -o STAT -c SECRET"] {
        let words = words.replace("SECRET", &secret.display().to_string());
        let words = words.replace("STAT", &stat.display().to_string());
        let output = fed(command(OURS, &format!("-f IC -u nobody {words}")), b"1 /\n");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains("could not ") && err.contains("Permission denied"), "{err}");
    }
}

#[test]
fn a_user_whom_nobody_knows_is_an_error_for_root_alone() {
    let words = "-f S -p -u no-such-user-here";
    if is_root() {
        let output = fed(command(OURS, words), b"200\n");
        let expected = "[qslog] failed to switch user: unknown user id 'no-such-user-here'\n";
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
    // Whoever else runs it stays who he is.
    let shared = Shared::new("stays");
    let program = shared.file("qslog");
    copy(Path::new(OURS), &program);
    let mut other = command(&program.display().to_string(), words);
    if is_root() {
        other.uid(NOBODY).gid(NOBODY);
    }
    let output = fed(other, b"200\n");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), err.as_str()), (Some(0), "[qslog]: offline mode\n"));
}

/// Copies a program in a process of its own. A file that this one has open for writing, and a child of another test
/// with it, could not be started.
fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg(from).arg(to).status().expect("cp");
    assert!(status.success());
}
