//! Whole programs that must parse, the ones of the language's design among them.
#![allow(clippy::unwrap_used, missing_docs)]

use nnc_grammar::render::{self, Color};
use nnc_grammar::{Sources, parse};

#[test]
fn programs_parse() {
    insta::glob!("programs/*.nn", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut sources = Sources::default();
        let file = sources.add(path.file_name().unwrap().to_str().unwrap(), &text);
        let (parsed, diagnostics) = parse(file, &text);
        let messages: Vec<String> = diagnostics
            .iter()
            .map(|d| render::terminal(d, &sources, Color::Never))
            .collect();
        assert!(messages.is_empty(), "{}", messages.join("\n\n"));
        assert!(!parsed.items.is_empty());
    });
}
