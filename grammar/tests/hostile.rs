//! Whatever the text, parsing neither panics, nor overflows the stack, nor takes long.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use nnc_grammar::render::{self, Color};
use nnc_grammar::{Diagnostic, Sources, parse};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Parses, renders what is said, and checks that all of it lies within the text.
fn survive(text: &str) -> Vec<Diagnostic> {
    let mut sources = Sources::default();
    let file = sources.add("hostile.nn", text);
    let (_, diagnostics) = parse(file, text);
    for diagnostic in &diagnostics {
        for label in &diagnostic.labels {
            let range = label.span.start as usize..label.span.end as usize;
            assert!(
                text.get(range).is_some(),
                "{label:?} is no part of the text"
            );
        }
    }
    for diagnostic in diagnostics.iter().take(3) {
        render::terminal(diagnostic, &sources, Color::Never);
        render::json(diagnostic, &sources);
    }
    diagnostics
}

/// So many bytes of one thing, at the top and inside of a definition.
fn survive_much_of(unit: &str, bytes: usize) {
    let much = unit.repeat(bytes / unit.len());
    for text in [
        much.clone(),
        format!("fn f(x) {{ {much} }}"),
        format!("const x = {much}"),
    ] {
        let start = Instant::now();
        survive(&text);
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(20),
            "{bytes} bytes of {unit:?} took {took:?}"
        );
    }
}

#[test]
fn megabytes_of_one_thing() {
    for unit in ["(", ")"] {
        survive_much_of(unit, 1 << 20);
    }
}

#[test]
fn much_of_anything() {
    for unit in [
        "(",
        ")",
        "[",
        "{",
        "}",
        "(]",
        "([{",
        "()",
        "[]",
        "{}",
        "x",
        "9",
        "x ",
        "x\n",
        "\n",
        "# c\n",
        "\"",
        "'",
        "\"\n",
        "/*",
        "//",
        "// \n",
        ";",
        "!",
        "- ",
        "not ",
        "x ^ ",
        "x |> ",
        "x.",
        "x(",
        "x(1)",
        "f(x)(",
        "1 + ",
        "a < ",
        "if ",
        "if x {",
        "if x { y } else ",
        "repeat ",
        "repeat 2 {",
        "[[x], ",
        "x[k = ",
        "let x = ",
        "let x = 1\n",
        "minimize ",
        "minimize {",
        "fn f(x) {",
        "fn f(x) { x }\n",
        "fn f(x) {\n",
        "\nfn f(x) {",
        "param w: [",
        "é",
        "\u{feff}",
        "\0",
        "\\",
        "\r",
        "..",
        ".5",
        "x: ",
        "x = ",
        "x = 1\n",
        ", ",
        "|> ",
        "else ",
        "train {",
        "const x = 1\n",
    ] {
        survive_much_of(unit, 1 << 14);
    }
}

#[test]
fn nesting_up_to_the_limit_parses_and_beyond_is_an_error() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("f(", ")"),
        ("{", "}"),
        ("x |> f { ", " }"),
        ("if a { ", " } else { 1 }"),
    ] {
        let nested = |depth: usize| {
            format!(
                "fn f(x) {{ {}1{} }}",
                open.repeat(depth),
                close.repeat(depth)
            )
        };
        let shallow = survive(&nested(60));
        assert!(shallow.is_empty(), "{open}: {shallow:?}");
        let deep = survive(&nested(100));
        assert_eq!(deep.len(), 1, "{open}: {deep:?}");
    }
}

#[test]
fn long_chains_are_errors_not_overflows() {
    for (unit, last) in [
        ("- ", "1"),
        ("not ", "x"),
        ("2 ^ ", "2"),
        ("x |> ", "x"),
        ("1 + ", "1"),
        ("if x { 1 } else ", "{ 1 }"),
    ] {
        let chain = |length: usize| format!("fn f(x) {{ {}{last} }}", unit.repeat(length));
        assert!(survive(&chain(100)).is_empty(), "{unit}");
        assert_eq!(survive(&chain(10_000)).len(), 1, "{unit}");
    }
}

#[test]
fn failures_in_nested_blocks_are_found_once() {
    for (open, close) in [
        ("minimize { ", "}"),
        ("report f({ ", "})"),
        ("let x = { ", "}"),
        ("if a { ", "}"),
        ("if a { 1 } else { ", "}"),
        ("x |> f { ", "}"),
        ("x |> f(a: ", ")"),
        ("y = { ", "}"),
        ("[{ ", "}]"),
        ("(", ")"),
        ("let y: [a, ", "] = 1"),
    ] {
        let start = Instant::now();
        let diagnostics = survive(&format!(
            "train {{ {} 1 + = 1 {} }}",
            open.repeat(25),
            close.repeat(25)
        ));
        assert!(!diagnostics.is_empty(), "{open}");
        assert!(start.elapsed() < Duration::from_secs(5), "{open}");
    }
}

#[test]
fn numbers_beyond_their_types_are_errors() {
    for number in [
        "9223372036854775808",
        "1e999",
        "1_000_000_000_000_000_000_000",
    ] {
        assert_eq!(survive(&format!("const x = {number}")).len(), 1, "{number}");
    }
    assert!(survive("const x = 9223372036854775807").is_empty());
}

const WORDS: &[&str] = &[
    "const",
    "fn",
    "layer",
    "net",
    "optimizer",
    "train",
    "let",
    "param",
    "state",
    "update",
    "minimize",
    "report",
    "show",
    "step",
    "with",
    "use",
    "if",
    "else",
    "repeat",
    "and",
    "or",
    "not",
    "true",
    "false",
    "x",
    "dense",
    "class",
    "1",
    "2.5",
    "1e-3",
    "\"s\"",
    "'s'",
    "\"",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|>",
    "->",
    "..",
    "==",
    "<",
    "+",
    "-",
    "*",
    "/",
    "^",
    "@",
    "=",
    ",",
    ":",
    ".",
    "\n",
    "\n",
    "# c\n",
    "**",
    ";",
    "é",
    "!",
];

/// The same cases in every run; `PROPTEST_CASES` asks for more of them.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn soups_of_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..200), blank in any::<bool>()) {
        survive(&words.join(if blank { " " } else { "" }));
    }

    #[test]
    fn soups_of_words_in_a_definition(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        survive(&format!("net f(x: [1]) {{\n{}\n}}\nconst y = 1", words.join(" ")));
    }

    #[test]
    fn soups_of_characters(text in "\\PC{0,200}") {
        survive(&text);
    }
}
