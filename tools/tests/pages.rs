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
