//! The examples of the texts for people parse, and are formatted.
#![allow(clippy::unwrap_used, missing_docs)]

use nnc_grammar::render::{self, Color};
use nnc_grammar::{Sources, format, parse};

/// Everything that shows how models are written.
const TEXTS: [(&str, &str); 3] = [
    ("docs/language.md", include_str!("../../docs/language.md")),
    ("docs/data.md", include_str!("../../docs/data.md")),
    ("README.md", include_str!("../../README.md")),
];

#[test]
fn examples_of_the_texts() {
    for (name, text) in TEXTS {
        let examples = text.split("```nn\n").skip(1);
        let examples: Vec<&str> = examples
            .map(|rest| rest.split("```").next().unwrap())
            .collect();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let mut sources = Sources::default();
            let file = sources.add(name, example);
            let (parsed, diagnostics) = parse(file, example);
            let messages: Vec<String> = diagnostics
                .iter()
                .map(|d| render::terminal(d, &sources, Color::Never))
                .collect();
            assert!(messages.is_empty(), "{}", messages.join("\n\n"));
            assert_eq!(format(&parsed, example), example);
        }
    }
}
