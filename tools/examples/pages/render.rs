//! The man pages and the completions, by their names in `docs/`.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use qos_tools::qosctl::cli::Cli;

/// Returns all of them.
pub fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    command.build();
    let mut pages = vec![("man/qosctl.1".to_owned(), man(command.clone())?)];
    for sub in command.get_subcommands() {
        pages.push((format!("man/qosctl-{}.1", sub.get_name()), man(sub.clone())?));
    }
    for (shell, name) in
        [(Shell::Bash, "qosctl.bash"), (Shell::Zsh, "_qosctl"), (Shell::Fish, "qosctl.fish")]
    {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "qosctl", &mut script);
        pages.push((format!("completions/{name}"), script));
    }
    Ok(pages)
}

fn man(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).manual("mod_qos_rs").render(&mut page)?;
    Ok(page)
}
