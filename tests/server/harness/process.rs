//! What /proc says about a server's processes, and signals to them.

use std::fs;

pub type Pid = i32;

/// What a process holds; for "no growth" tests.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub resident_kib: usize,
    pub descriptors: usize,
    pub mappings: usize,
    /// Shared anonymous mappings: httpd's scoreboard, and segments of modules.
    pub shared_segments: usize,
}

pub fn usage(pid: Pid) -> Usage {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let is_shared_segment = |line: &&str| {
        let mut words = line.split_whitespace();
        let is_shared = words.nth(1).is_some_and(|rights| rights.ends_with('s'));
        is_shared && line.contains("(deleted)")
    };
    Usage {
        resident_kib: resident
            .and_then(|text| text.split_whitespace().next()?.parse().ok())
            .unwrap_or(0),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
        mappings: maps.lines().count(),
        shared_segments: maps.lines().filter(is_shared_segment).count(),
    }
}

/// The living children of a process, zombies left out.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children: Vec<Pid> = pids.filter(|pid| parent_of(*pid) == Some(parent)).collect();
    children.sort_unstable();
    children
}

/// Tells whether any thread of a process runs, or would if it had a processor.
pub fn has_running_threads(pid: Pid) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().any(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        matches!(state, Some("R" | "D"))
    })
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, in parentheses, and may hold anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some(parent)
}

/// Sends a signal; a negative pid means the process group. False when there is nobody.
pub fn signal(pid: Pid, number: i32) -> bool {
    // SAFETY: kill takes plain integers; every pid here is one that this test started.
    unsafe { libc::kill(pid, number) == 0 }
}
