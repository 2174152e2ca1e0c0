//! What the compiler says to faulty programs: `tests/errors/CODE*.nn`, rendered.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_grammar::Code;
use nnc_grammar::render::{Color, terminal};
use std::path::Path;
use support::compile;

/// What `--set` says in the cases that are about it.
const SETS: [(&str, &str); 3] = [("widht", "32"), ("width", "wide"), ("decay", "true")];

#[test]
fn errors_are_told() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/errors");
    insta::with_settings!({
        snapshot_path => folder,
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::glob!(folder, "*.nn", |path| {
            let text = std::fs::read_to_string(path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let sets: &[(&str, &str)] = if name.starts_with("bad-override") { &SETS } else { &[] };
            let (_, diagnostics, sources) = compile(name, &text, sets);
            let expected = code_of(path);
            assert!(
                diagnostics.iter().any(|d| d.code == expected),
                "{name} does not show `{}`", expected.name()
            );
            let shown: Vec<String> = diagnostics.iter().map(|d| terminal(d, &sources, Color::Never)).collect();
            insta::with_settings!({ snapshot_suffix => "", input_file => "" }, {
                insta::assert_snapshot!(path.file_stem().unwrap().to_str().unwrap(), shown.join("\n\n"));
            });
        });
    });
}

/// The code that a file is about: the longest that its name begins with.
fn code_of(path: &Path) -> Code {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let fitting = Code::ALL
        .iter()
        .filter(|code| stem.starts_with(code.name()));
    *fitting.max_by_key(|code| code.name().len()).unwrap()
}
