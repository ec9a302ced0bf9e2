//! Completions for options of one dash and whole words.

use qos_tools::qslog::cli::{Opt, Value};

/// For bash.
pub fn bash(program: &str, options: &[Opt]) -> String {
    let mut cases = String::new();
    for option in options {
        let proposed = match option.value {
            Value::None | Value::Number(_) => continue,
            Value::Text(_) => "COMPREPLY=()".to_owned(),
            Value::File(_) => {
                "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")".to_owned()
            }
            Value::User(_) => "mapfile -t COMPREPLY < <(compgen -u -- \"$cur\")".to_owned(),
        };
        cases.push_str(&format!("        {}) {proposed}; return ;;\n", option.word));
    }
    let words: Vec<_> = options.iter().map(|option| option.word).collect();
    format!(
        "_{program}() {{\n    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
         case $prev in\n{cases}    esac\n    \
         mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")\n}}\n\
         complete -F _{program} {program}\n",
        words.join(" ")
    )
}

/// For zsh.
pub fn zsh(program: &str, options: &[Opt]) -> String {
    let modes: Vec<_> =
        options.iter().map(|option| option.word).filter(|word| word.starts_with("-p")).collect();
    let mut lines = String::new();
    for option in options {
        let excluded = if modes.contains(&option.word) {
            format!("({})", modes.join(" "))
        } else {
            String::new()
        };
        let value = match option.value {
            Value::None => String::new(),
            Value::Text(name) => format!(":{name}: "),
            Value::File(name) => format!(":{name}:_files"),
            Value::User(name) => format!(":{name}:_users"),
            Value::Number(name) => format!("::{name}: "),
        };
        lines.push_str(&format!(" \\\n    '{excluded}{}[{}]{value}'", option.word, option.help));
    }
    format!("#compdef {program}\n\n_arguments{lines}\n")
}

/// For fish.
pub fn fish(program: &str, options: &[Opt]) -> String {
    let mut lines = format!("complete -c {program} -f\n");
    for option in options {
        let name = match option.word.strip_prefix("--") {
            Some(long) => format!("-l {long}"),
            None => match option.word.trim_start_matches('-') {
                short if short.len() == 1 => format!("-s {short}"),
                old => format!("-o {old}"),
            },
        };
        let value = match option.value {
            Value::None | Value::Number(_) => "",
            Value::Text(_) => " -x",
            Value::File(_) => " -r -F",
            Value::User(_) => " -x -a '(__fish_complete_users)'",
        };
        lines.push_str(&format!("complete -c {program} {name}{value} -d '{}'\n", option.help));
    }
    lines
}
