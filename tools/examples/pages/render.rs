//! The man pages and the completions, by their names in `docs/`.

#[path = "words.rs"]
mod words;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use qos_tools::{qosctl, qostally, qslog};

/// Returns all of them.
pub fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    for command in [qosctl::cli::Cli::command(), qostally::cli::Cli::command()] {
        pages_of(command, &mut pages)?;
    }
    // Its words are the C program's, which no library knows; its man page is written by hand.
    let options = &qslog::cli::OPTIONS;
    pages.push(("completions/qslog.bash".to_owned(), words::bash("qslog", options).into_bytes()));
    pages.push(("completions/_qslog".to_owned(), words::zsh("qslog", options).into_bytes()));
    pages.push(("completions/qslog.fish".to_owned(), words::fish("qslog", options).into_bytes()));
    Ok(pages)
}

fn pages_of(command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, file) in [
        (Shell::Bash, format!("{name}.bash")),
        (Shell::Zsh, format!("_{name}")),
        (Shell::Fish, format!("{name}.fish")),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), &name, &mut script);
        pages.push((format!("completions/{file}"), script));
    }
    let mut command = command;
    command.build();
    pages.push((format!("man/{name}.1"), man(command.clone())?));
    for sub in command.get_subcommands() {
        pages.push((format!("man/{name}-{}.1", sub.get_name()), man(sub.clone())?));
    }
    Ok(())
}

fn man(command: Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).manual("mod_qos_rs").render(&mut page)?;
    Ok(page)
}
