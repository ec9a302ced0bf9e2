//! The file of countries is read: once per start, though httpd reads its configuration twice then.

use crate::ffi::bindings as httpd;
use crate::httpd::mpm;
use core::ffi::CStr;
use qos_engine::client::countries::{self, Countries};
use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Octets that are read at once.
const PIECE: usize = 256 << 10;

/// What the first of the two reads found, for the second: between them httpd throws the configuration away.
/// Empty at any other time. One thread reads configurations.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    file: File,
    countries: Arc<Countries>,
}

/// A file, and whether it is still the same.
#[derive(PartialEq, Eq)]
struct File {
    path: PathBuf,
    stamp: [i64; 6],
}

/// Reads a file; its path is relative to ServerRoot. The error is a sentence.
pub fn load(path: &str) -> Result<Arc<Countries>, String> {
    let file = File::find(path)?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.as_ref().filter(|known| known.file == file) {
        return Ok(known.countries.clone());
    }
    let source = std::fs::File::open(&file.path).map_err(|error| unreadable(path, &error))?;
    let countries = read(source)
        .map_err(|error| unreadable(path, &error))?
        .map_err(|problem| format!("'{path}': {problem}"))?;
    let countries = Arc::new(countries);
    if mpm::is_first_pass() {
        *kept = Some(Kept { file, countries: countries.clone() });
    }
    Ok(countries)
}

/// Reads a file of either format.
fn read(mut source: std::fs::File) -> std::io::Result<Result<Countries, String>> {
    let size = source.metadata()?.len();
    let telling = size.min(countries::TELLING_END as u64);
    let mut end = vec![0; telling as usize];
    source.read_exact_at(&mut end, size - telling)?;
    if countries::is_database(&end) {
        let mut content = Vec::new();
        source.read_to_end(&mut content)?;
        return Ok(Countries::read(&content));
    }
    // To get memory for all of a large file takes the kernel as long as reading it.
    let mut source = BufReader::with_capacity(PIECE, source);
    Ok(Countries::read_lines(&mut source, usize::try_from(size).unwrap_or(0)))
}

/// The configuration has what it wants: from here on the ranges go with it.
pub fn forget() {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn unreadable(path: &str, error: &std::io::Error) -> String {
    format!("'{path}' cannot be read: {error}")
}

impl File {
    fn find(path: &str) -> Result<File, String> {
        let whole = server_root().join(path);
        let found = std::fs::metadata(&whole).map_err(|error| unreadable(path, &error))?;
        if !found.is_file() {
            return Err(format!("'{path}' is no file"));
        }
        let stamp = [
            found.dev().cast_signed(),
            found.ino().cast_signed(),
            found.size().cast_signed(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
        ];
        Ok(File { path: whole, stamp })
    }
}

/// Returns ServerRoot.
pub fn server_root() -> PathBuf {
    // SAFETY: httpd sets it before it reads a directive, and changes it only in the thread that does.
    let root = unsafe { httpd::ap_server_root };
    if root.is_null() {
        return PathBuf::from("/");
    }
    // SAFETY: C text that lives as long as the configuration that is being read.
    PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(root) }.to_bytes()))
}
