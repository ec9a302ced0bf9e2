//! Pictures in files: `qos-busy-<UTC>-<nn>.txt`, complete when they have that name, readable by the server's
//! group, the oldest ones removed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const PREFIX: &str = "qos-busy-";
const ENDING: &str = ".txt";
const UNFINISHED: &str = ".qos-busy.tmp";

/// Where pictures are saved.
pub struct Files {
    directory: PathBuf,
    kept: usize,
}

/// At a start, while the server still has all rights: makes the directory for a user, or checks that nobody
/// but that user and root can change what is in it.
pub fn prepare(path: &str, user: u32, group: u32) -> Result<(), String> {
    let wrong = |what: String| format!("QS_SrvBusyWatchDir: '{path}' {what}");
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return DirBuilder::new()
                .mode(0o750)
                .create(path)
                .and_then(|()| std::os::unix::fs::lchown(path, Some(user), Some(group)))
                .map_err(|error| wrong(format!("cannot be made: {error}")));
        }
        found => found.map_err(|error| wrong(format!("cannot be looked at: {error}")))?,
    };
    if !found.is_dir() {
        return Err(wrong("is no directory".to_owned()));
    }
    if found.uid() != user {
        return Err(wrong(format!("does not belong to the server's User (uid {user})")));
    }
    if found.mode() & 0o022 != 0 || found.mode() & 0o700 != 0o700 {
        let mode = found.mode() & 0o7777;
        return Err(wrong(format!(
            "has mode {mode:04o}: its owner alone must be able to write, as with 0750"
        )));
    }
    Ok(())
}

impl Files {
    /// Takes a directory, and how many files are kept in it.
    pub fn new(directory: &str, kept: u32) -> Files {
        Files { directory: PathBuf::from(directory), kept: kept as usize }
    }

    /// Saves a picture and returns its path.
    pub fn save(&self, picture: &str) -> io::Result<String> {
        let unfinished = self.directory.join(UNFINISHED);
        // What a helper that was killed has left.
        let _ = fs::remove_file(&unfinished);
        let result = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(picture.as_bytes()))
            .and_then(|()| self.free_name())
            .and_then(|path| fs::rename(&unfinished, &path).map(|()| path));
        if result.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        let path = result?;
        self.remove_old(&path);
        Ok(path.to_string_lossy().into_owned())
    }

    fn free_name(&self) -> io::Result<PathBuf> {
        let stamp = stamp();
        let name = |n: u32| self.directory.join(format!("{PREFIX}{stamp}-{n:02}{ENDING}"));
        let free = (0..100).map(name).find(|path| fs::symlink_metadata(path).is_err());
        free.ok_or_else(|| io::Error::from(ErrorKind::AlreadyExists))
    }

    /// Names say how old files are. The one that was just saved stays, also when the clock has been set back.
    fn remove_old(&self, saved: &Path) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let is_ours = |name: &str| name.starts_with(PREFIX) && name.ends_with(ENDING);
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                is_ours(name) && saved.file_name().is_none_or(|saved| saved != name.as_str())
            })
            .collect();
        names.sort_unstable();
        for name in names.iter().rev().skip(self.kept.saturating_sub(1)) {
            let _ = fs::remove_file(Path::new(&self.directory).join(name));
        }
    }
}

/// The time now as `20261122T093015Z`.
fn stamp() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = libc::time_t::try_from(since).unwrap_or(0);
    // SAFETY: numbers and a pointer that is not followed; all zeroes is a good value, written by the call.
    let time = unsafe {
        let mut time: libc::tm = core::mem::zeroed();
        libc::gmtime_r(&now, &mut time);
        time
    };
    let (year, month) = (time.tm_year + 1900, time.tm_mon + 1);
    let (day, hour, minute, second) = (time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}
