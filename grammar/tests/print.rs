//! The printer's laws: printing and parsing give the same tree; formatting twice
//! changes nothing more; no comment is lost.
#![allow(clippy::unwrap_used, missing_docs)]

mod trees;

use nnc_grammar::ast::File;
use nnc_grammar::render::{self, Color};
use nnc_grammar::{FileId, Sources, format, parse, print};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Parses what must be free of errors.
fn parsed(text: &str) -> File {
    let mut sources = Sources::default();
    let file = sources.add("printed.nn", text);
    let (parsed, diagnostics) = parse(file, text);
    let messages: Vec<String> = diagnostics
        .iter()
        .map(|d| render::terminal(d, &sources, Color::Never))
        .collect();
    assert!(
        messages.is_empty(),
        "{}\n\nin\n{text}",
        messages.join("\n\n")
    );
    parsed
}

/// The items without their places.
fn shape(file: &File) -> String {
    let debug = std::format!("{:?}", file.items);
    let mut out = String::new();
    let mut rest = debug.as_str();
    while let Some(at) = rest.find("span: ") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || "span: .".contains(c));
    }
    // `AxisPattern::Rest` holds nothing but its place.
    let mut clean = String::new();
    let mut parts = out.split("Rest(");
    clean.push_str(parts.next().unwrap());
    for part in parts {
        let (_, after) = part.split_once(')').unwrap();
        clean.push_str("Rest");
        clean.push_str(after);
    }
    clean + rest
}

fn check_format(text: &str) -> String {
    let file = parsed(text);
    let once = format(&file, text);
    let again = parsed(&once);
    assert_eq!(
        shape(&file),
        shape(&again),
        "formatting changed the program:\n{once}"
    );
    assert_eq!(format(&again, &once), once, "formatting is not idempotent");
    let texts =
        |file: &File| -> Vec<String> { file.comments.iter().map(|c| c.text.clone()).collect() };
    let (mut before, mut after) = (texts(&file), texts(&again));
    before.sort();
    after.sort();
    assert_eq!(before, after, "comments were lost:\n{once}");
    for line in once.lines() {
        assert_eq!(line.trim_end(), line, "blanks at the end of a line");
    }
    once
}

fn check_print(file: &File) {
    let text = print(file);
    let again = parsed(&text);
    assert_eq!(shape(file), shape(&again), "printed as\n{text}");
    assert_eq!(print(&again), text);
    check_format(&text);
}

#[test]
fn programs_are_formatted() {
    insta::glob!("programs/*.nn", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let formatted = check_format(&text);
        check_print(&parse(FileId(0), &text).0);
        let name = path.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_suffix => "", snapshot_path => "formatted" }, {
            insta::assert_snapshot!(name, formatted);
        });
    });
}

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
    fn any_tree_survives(file in trees::file()) {
        check_print(&file);
    }

    #[test]
    fn comments_survive_anywhere(file in trees::file(), places in prop::collection::vec(0..6u8, 40)) {
        let mut text = String::new();
        for (line, place) in print(&file).lines().zip(places.iter().cycle()) {
            text.push_str(match place {
                0 => "# above\n",
                1 => "\n    # apart\n\n",
                _ => "",
            });
            text.push_str(line);
            text.push_str(if *place == 2 { " # behind\n" } else { "\n" });
        }
        check_format(&text);
    }

    #[test]
    fn any_layout_is_formatted(file in trees::file(), breaks in prop::collection::vec(0..5u8, 40)) {
        let printed = print(&file);
        let mut text = String::new();
        let mut breaks = breaks.iter().cycle();
        for character in printed.chars() {
            text.push(character);
            // After these a line may always end.
            if "(,".contains(character) && !printed.contains('"') {
                text.push_str(match breaks.next().unwrap() {
                    0 => "\n",
                    1 => " # here\n",
                    2 => "\n # there\n",
                    _ => "",
                });
            }
        }
        check_format(&text);
    }
}
