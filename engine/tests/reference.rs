//! The reference in `docs/` says what the tables say.

#[path = "../examples/reference/render.rs"]
mod render;

#[test]
fn the_pages_in_docs_are_those_that_the_tables_give() {
    for (name, written, rendered) in [
        ("directives.md", include_str!("../../docs/directives.md"), render::directives()),
        ("log-events.md", include_str!("../../docs/log-events.md"), render::log_events()),
    ] {
        assert!(written == rendered, "docs/{name} is stale: run 'make docs'");
    }
}
