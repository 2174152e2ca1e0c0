//! The examples of the language's reference parse, and are formatted.
#![allow(clippy::unwrap_used, missing_docs)]

use nnc_grammar::render::{self, Color};
use nnc_grammar::{Sources, format, parse};

#[test]
fn examples_of_the_reference() {
    let reference = include_str!("../../docs/language.md");
    let examples: Vec<&str> = reference
        .split("```nn\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(examples.len() >= 10);
    for example in examples {
        let mut sources = Sources::default();
        let file = sources.add("docs/language.md", example);
        let (parsed, diagnostics) = parse(file, example);
        let messages: Vec<String> = diagnostics
            .iter()
            .map(|d| render::terminal(d, &sources, Color::Never))
            .collect();
        assert!(messages.is_empty(), "{}", messages.join("\n\n"));
        assert_eq!(format(&parsed, example), example);
    }
}
