//! Writes the two pages of the reference, `make docs`: everything in them stands in the tables of the
//! rules.

mod render;

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::create_dir_all(&docs)?;
    fs::write(docs.join("directives.md"), render::directives())?;
    fs::write(docs.join("log-events.md"), render::log_events())
}
