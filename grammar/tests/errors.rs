//! Each broken program in `tests/errors` and what the user reads about it.
#![allow(clippy::unwrap_used, missing_docs)]

use nnc_grammar::render::{self, Color};
use nnc_grammar::{Sources, parse};

fn rendered(name: &str, text: &str) -> String {
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    let (_, mut diagnostics) = parse(file, text);
    render::sort(&mut diagnostics);
    let drawn: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| render::terminal(diagnostic, &sources, Color::Never))
        .collect();
    drawn.join("\n\n")
}

#[test]
fn messages() {
    insta::glob!("errors/*.nn", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let messages = rendered(name, &text);
        assert!(!messages.is_empty(), "{name} parses without an error");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_suffix => "", snapshot_path => "errors" }, {
            insta::assert_snapshot!(name.trim_end_matches(".nn"), messages);
        });
    });
}
