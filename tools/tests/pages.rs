//! The man pages and completions in `docs/` say what the command line says.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "../examples/pages/render.rs"]
mod render;

#[test]
fn the_pages_in_docs_are_those_that_the_command_line_gives() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, rendered) in render::pages().expect("pages") {
        let written = std::fs::read(docs.join(&name)).unwrap_or_default();
        assert!(written == rendered, "docs/{name} is stale: run 'make docs'");
    }
}

/// What bash proposes for the last of the words.
fn proposed(words: &str) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/completions/qslog.bash");
    let run = format!(
        "compopt() {{ :; }}; . {script}; COMP_WORDS=({words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _qslog; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = std::process::Command::new("bash").args(["-c", &run]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_proposes_options_files_and_users() {
    assert!(proposed("qslog").contains(&"-puc".to_owned()));
    assert!(proposed("qslog -x").contains(&"-o".to_owned()), "the number may be left out");
    assert_eq!(proposed("qslog -f"), [""]);
    assert!(proposed("qslog -u").contains(&"root".to_owned()));
    assert!(proposed("qslog -c").contains(&"Cargo.toml".to_owned()), "tests run where that is");
}
