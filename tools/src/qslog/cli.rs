//! The words of the command line: one dash and whole words, as the C tool has them.

use std::path::PathBuf;

/// What is made of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A record at each full minute.
    #[default]
    Live,
    /// `-p`: a record for each minute of the log.
    Minutes,
    /// `-ps`: and a summary of durations.
    Summary,
    /// `-pc`: a line for each client.
    Clients,
    /// `-pu`: a line for each URL.
    Urls,
    /// `-puc`: a line for each URL without its last segment.
    CutUrls,
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cli {
    /// `-f`
    pub format: String,
    /// `-o`
    pub file: Option<PathBuf>,
    /// `-p` and its kin
    pub mode: Mode,
    /// `-v`
    pub verbose: bool,
    /// `-x`
    pub rotate: Option<usize>,
    /// `-u`
    pub user: Option<String>,
    /// `-m`
    pub memory: bool,
    /// `-c`
    pub rules: Option<PathBuf>,
}

/// Why nothing is done.
#[derive(Debug, PartialEq, Eq)]
pub enum Instead {
    /// The usage is shown.
    Usage,
    /// The man page is shown.
    Man,
    /// Something is wrong.
    Wrong(String),
}

enum Kind {
    Mode(Mode),
    Flag(fn(&mut Cli)),
    Value(fn(&mut Cli, String)),
    /// A number that may be left out.
    Number(usize, fn(&mut Cli, usize)),
    Instead(fn() -> Instead),
}

const OPTIONS: [(&str, Kind); 15] = [
    ("-f", Kind::Value(|cli, text| cli.format = text)),
    ("-o", Kind::Value(|cli, path| cli.file = Some(path.into()))),
    ("-p", Kind::Mode(Mode::Minutes)),
    ("-ps", Kind::Mode(Mode::Summary)),
    ("-pc", Kind::Mode(Mode::Clients)),
    ("-pu", Kind::Mode(Mode::Urls)),
    ("-puc", Kind::Mode(Mode::CutUrls)),
    ("-v", Kind::Flag(|cli| cli.verbose = true)),
    ("-x", Kind::Number(14, |cli, kept| cli.rotate = Some(kept))),
    ("-u", Kind::Value(|cli, name| cli.user = Some(name))),
    ("-m", Kind::Flag(|cli| cli.memory = true)),
    ("-c", Kind::Value(|cli, path| cli.rules = Some(path.into()))),
    ("-h", Kind::Instead(|| Instead::Usage)),
    ("-?", Kind::Instead(|| Instead::Usage)),
    ("--man", Kind::Instead(|| Instead::Man)),
];

/// Understands the words behind the program's name.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Cli, Instead> {
    let mut cli = Cli::default();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        // The man page promises both.
        let known = if word == "--help" { "-h" } else { word.as_str() };
        let Some((_, kind)) = OPTIONS.iter().find(|(name, _)| *name == known) else {
            return Err(Instead::Wrong(format!("unknown option '{word}'")));
        };
        match kind {
            Kind::Instead(instead) => return Err(instead()),
            Kind::Flag(set) => set(&mut cli),
            Kind::Mode(mode) if cli.mode == Mode::Live || cli.mode == *mode => cli.mode = *mode,
            Kind::Mode(_) => {
                let text =
                    "of the options '-p', '-ps', '-pc', '-pu' and '-puc' only one can be used";
                return Err(Instead::Wrong(text.to_owned()));
            }
            Kind::Value(set) => match words.next() {
                Some(value) => set(&mut cli, value),
                None => return Err(Instead::Wrong(format!("option '{word}' needs a value"))),
            },
            Kind::Number(default, set) => {
                let number = words.next_if(|next| next.bytes().all(|octet| octet.is_ascii_digit()));
                match number.filter(|number| !number.is_empty()).map(|number| number.parse()) {
                    Some(Ok(number)) => set(&mut cli, number),
                    Some(Err(_)) => {
                        return Err(Instead::Wrong(format!("number too large for '{word}'")));
                    }
                    None => set(&mut cli, *default),
                }
            }
        }
    }
    checked(cli)
}

fn checked(cli: Cli) -> Result<Cli, Instead> {
    if cli.format.is_empty() {
        return Err(Instead::Usage);
    }
    if cli.rules.is_some() && cli.file.is_none() {
        let text = "option '-c' can only be used in conjunction with option '-o'";
        return Err(Instead::Wrong(text.to_owned()));
    }
    if cli.rules.is_some() && !cli.format.contains('C') {
        let text = "you need to add 'C' to the format string when enabling the pattern list (-c)";
        return Err(Instead::Wrong(text.to_owned()));
    }
    Ok(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, Instead> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned))
    }

    #[test]
    fn words_are_understood() {
        let cli = parsed("-f ISBC -o out -puc -v -x 7 -u www-data -m -c rules");
        let expected = Cli {
            format: "ISBC".to_owned(),
            file: Some("out".into()),
            mode: Mode::CutUrls,
            verbose: true,
            rotate: Some(7),
            user: Some("www-data".to_owned()),
            memory: true,
            rules: Some("rules".into()),
        };
        assert_eq!(cli, Ok(expected));
        assert_eq!(
            parsed("-x -f S -p -p").map(|cli| (cli.rotate, cli.mode)),
            Ok((Some(14), Mode::Minutes))
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (line, words) in [
            ("-q", "unknown option '-q'"),
            ("-f S access.log", "unknown option 'access.log'"),
            ("-f S -x abc", "unknown option 'abc'"),
            ("-f S -pcx", "unknown option '-pcx'"),
            ("-f S -help", "unknown option '-help'"),
            ("-f", "option '-f' needs a value"),
            (
                "-f S -p -pc",
                "of the options '-p', '-ps', '-pc', '-pu' and '-puc' only one can be used",
            ),
            ("-f S -x 99999999999999999999", "number too large for '-x'"),
            ("-f C -c rules", "option '-c' can only be used in conjunction with option '-o'"),
            (
                "-f S -o x -c r",
                "you need to add 'C' to the format string when enabling the pattern list (-c)",
            ),
        ] {
            assert_eq!(parsed(line), Err(Instead::Wrong(words.to_owned())), "{line}");
        }
        for line in ["", "-p", "-h", "-?", "--help", "-f S -h"] {
            assert_eq!(parsed(line), Err(Instead::Usage), "{line}");
        }
        assert_eq!(parsed("--man"), Err(Instead::Man));
    }
}
