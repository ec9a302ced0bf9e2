//! Where the records go: a file that grows, or stdout; and the file set aside once a day.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Error, Result, Stdout, Write};
use std::path::{Path, PathBuf};

/// A file of records.
pub struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    /// Opens a file to append to.
    pub fn open(path: &Path) -> Result<Output> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Output { path: path.to_owned(), file })
    }

    /// Appends whole lines at once.
    pub fn write(&mut self, lines: &[u8]) -> Result<()> {
        self.file.write_all(lines)
    }

    /// Sets the file aside under its name and `suffix`, begins a new one, and keeps so many of the old ones.
    pub fn rotate(&mut self, suffix: &str, kept: usize) -> Result<()> {
        std::fs::rename(&self.path, free_name(&self.path, suffix))?;
        *self = Output::open(&self.path)?;
        let mut old = rotated(&self.path)?;
        old.sort();
        let superfluous = old.len().saturating_sub(kept);
        old.iter().take(superfluous).try_for_each(std::fs::remove_file)
    }
}

/// A name that nobody has: with a number where a file was set aside in the same second.
fn free_name(path: &Path, suffix: &str) -> PathBuf {
    let mut number = 0;
    loop {
        let end = if number == 0 { String::new() } else { format!(".{number}") };
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{suffix}{end}"));
        if !Path::new(&name).exists() {
            return name.into();
        }
        number += 1;
    }
}

/// The files that were set aside: the name, a point, and fourteen digits.
fn rotated(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_name().ok_or_else(|| Error::other("no file name"))?;
    let name = name.as_encoded_bytes();
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let other = entry.file_name();
        let suffix = other.as_encoded_bytes().strip_prefix(name);
        let time =
            suffix.and_then(|suffix| suffix.strip_prefix(b".")).and_then(|time| time.get(..14));
        if time.is_some_and(|time| time.iter().all(u8::is_ascii_digit)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Stdout, and the files if there are any.
pub struct Sinks {
    /// Stdout: the records without a file, and remarks.
    pub screen: BufWriter<Stdout>,
    /// The file of `-o`.
    pub main: Option<Output>,
    /// The file beside it, for the rules of `-c`.
    pub detailed: Option<Output>,
}

impl Sinks {
    /// Writes records of all requests, and those of the rules.
    pub fn write(&mut self, main: &[u8], detailed: &[u8]) -> Result<()> {
        if let Some(file) = &mut self.detailed {
            file.write(detailed)?;
        }
        match &mut self.main {
            Some(file) => file.write(main),
            None => self.screen.write_all(main),
        }
    }

    /// Sets the files aside.
    pub fn rotate(&mut self, suffix: &str, kept: usize) -> Result<()> {
        self.main
            .iter_mut()
            .chain(&mut self.detailed)
            .try_for_each(|file| file.rotate(suffix, kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_set_aside_and_the_newest_kept() -> Result<()> {
        let directory = std::env::temp_dir().join(format!("qslog-output-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let path = directory.join("stat.csv");
        std::fs::write(directory.join("stat.csv.gz"), "not ours")?;
        let mut output = Output::open(&path)?;
        for day in 1..=5 {
            output.write(format!("{day}\n").as_bytes())?;
            output.rotate(&format!("2026112{}235900", day.min(4)), 3)?;
        }
        output.write(b"6\n")?;
        let mut texts = Vec::new();
        let mut names = rotated(&path)?;
        names.sort();
        for name in names {
            texts.push(std::fs::read_to_string(name)?);
        }
        assert_eq!(texts, ["3\n", "4\n", "5\n"]);
        assert_eq!(std::fs::read_to_string(&path)?, "6\n");
        assert!(directory.join("stat.csv.gz").exists());
        std::fs::remove_dir_all(directory)
    }
}
