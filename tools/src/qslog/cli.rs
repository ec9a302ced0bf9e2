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

/// An option.
pub struct Opt {
    /// The word.
    pub word: &'static str,
    /// The word behind it.
    pub value: Value,
    /// What it does, as completions say it.
    pub help: &'static str,
    kind: Kind,
}

/// The word behind an option, as far as a shell can help with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// There is none.
    None,
    /// Nothing can be proposed. This is its name.
    Text(&'static str),
    /// A file.
    File(&'static str),
    /// A user.
    User(&'static str),
    /// A number that may be left out.
    Number(&'static str),
}

enum Kind {
    Mode(Mode),
    Flag(fn(&mut Cli)),
    Value(fn(&mut Cli, String)),
    /// A number that may be left out.
    Number(usize, fn(&mut Cli, usize)),
    Instead(fn() -> Instead),
}

const fn option(word: &'static str, value: Value, help: &'static str, kind: Kind) -> Opt {
    Opt { word, value, help, kind }
}

/// All options.
pub const OPTIONS: [Opt; 14] = [
    option(
        "-f",
        Value::Text("format"),
        "what stands where in a line",
        Kind::Value(|cli, text| cli.format = text),
    ),
    option(
        "-o",
        Value::File("file"),
        "appends the records to this file",
        Kind::Value(|cli, path| cli.file = Some(path.into())),
    ),
    option("-p", Value::None, "a record for each minute of the log", Kind::Mode(Mode::Minutes)),
    option("-ps", Value::None, "as -p, and a summary of the durations", Kind::Mode(Mode::Summary)),
    option("-pc", Value::None, "a line for each client", Kind::Mode(Mode::Clients)),
    option("-pu", Value::None, "a line for each URL", Kind::Mode(Mode::Urls)),
    option(
        "-puc",
        Value::None,
        "a line for each URL without its last segment",
        Kind::Mode(Mode::CutUrls),
    ),
    option(
        "-v",
        Value::None,
        "says what was found in each line",
        Kind::Flag(|cli| cli.verbose = true),
    ),
    option(
        "-x",
        Value::Number("num"),
        "sets the file aside once a day, and keeps so many",
        Kind::Number(14, |cli, kept| cli.rotate = Some(kept)),
    ),
    option(
        "-u",
        Value::User("user"),
        "becomes this user, when started as root",
        Kind::Value(|cli, name| cli.user = Some(name)),
    ),
    option(
        "-m",
        Value::None,
        "adds free memory, in real time",
        Kind::Flag(|cli| cli.memory = true),
    ),
    option(
        "-c",
        Value::File("rules"),
        "counts requests of different kinds, too",
        Kind::Value(|cli, path| cli.rules = Some(path.into())),
    ),
    option("-h", Value::None, "shows the usage", Kind::Instead(|| Instead::Usage)),
    option(
        "--man",
        Value::None,
        "shows the source of the man page",
        Kind::Instead(|| Instead::Man),
    ),
];

/// Understands the words behind the program's name.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Cli, Instead> {
    let mut cli = Cli::default();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        // The man page promises all three.
        let known = if matches!(word.as_str(), "--help" | "-?") { "-h" } else { word.as_str() };
        let Some(option) = OPTIONS.iter().find(|option| option.word == known) else {
            return Err(Instead::Wrong(format!("unknown option '{word}'")));
        };
        match &option.kind {
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
    fn the_usage_and_the_man_page_know_every_option() {
        let man = crate::qslog::MAN.replace('\\', "").replace("fB", "").replace("fR", "");
        for option in OPTIONS {
            assert!(
                crate::qslog::USAGE.contains(&format!("  {} ", option.word)),
                "{}",
                option.word
            );
            assert!(man.contains(option.word), "{}", option.word);
            // Each shell has its own idea of what may stand between quotes.
            let plain = |letter: char| letter.is_ascii_alphanumeric() || " -,".contains(letter);
            assert!(option.help.chars().all(plain), "{}", option.help);
        }
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
