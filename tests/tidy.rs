//! Rules about the tree itself: who may know whom, where Cranelift may be named, how
//! long a file may be, and that every fault has its test.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Past this a file is more than one room (STYLE.md).
const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    ["src", "grammar", "compiler", "runtime", "tests", "benches"]
        .iter()
        .flat_map(|folder| files_below(&root().join(folder), "rs"))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Lines of code, without those that only document or test.
fn code_lines(text: &str) -> usize {
    let code = text
        .split("\n#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .count()
}

#[test]
fn files_are_rooms() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(name, text)| (name, code_lines(text)))
        .filter(|&(_, lines)| lines > MOST_LINES)
        .map(|(name, lines)| format!("{name}: {lines}"))
        .collect();
    assert!(
        long.is_empty(),
        "longer than {MOST_LINES} lines of code: {long:#?}"
    );
}

#[test]
fn crates_know_only_whom_they_may() {
    for (crate_name, forbidden) in [
        (
            "grammar",
            ["nnc-compiler", "nnc-runtime", "cranelift"].as_slice(),
        ),
        (
            "runtime",
            ["nnc-compiler", "nnc-grammar", "cranelift"].as_slice(),
        ),
    ] {
        let manifest = fs::read_to_string(root().join(crate_name).join("Cargo.toml")).unwrap();
        for name in forbidden {
            assert!(!manifest.contains(name), "{crate_name} depends on {name}");
        }
    }
}

#[test]
fn only_emit_and_link_name_cranelift() {
    for (name, text) in sources() {
        let may = name.starts_with("compiler/src/emit") || name.starts_with("compiler/src/link");
        let names = text
            .lines()
            .any(|line| line.contains("cranelift_") && !line.trim_start().starts_with("//"));
        assert!(
            may || !names || name == "tests/tidy.rs",
            "{name} names Cranelift"
        );
    }
}

#[test]
fn only_the_parser_names_pest() {
    for (name, text) in sources() {
        let names = text
            .lines()
            .any(|line| line.contains("pest::") || line.contains("pest_derive"));
        assert!(
            !names || name.starts_with("grammar/src/parse") || name == "tests/tidy.rs",
            "{name} names pest"
        );
    }
}

#[test]
fn the_grammar_names_no_library_item() {
    let grammar = fs::read_to_string(root().join("grammar/nn.pest")).unwrap();
    for item in [
        "dense", "conv", "relu", "adam", "mnist", "entropy", "softmax",
    ] {
        assert!(!grammar.contains(item), "the grammar names `{item}`");
    }
}

#[test]
fn every_error_code_has_a_test() {
    let cases: Vec<String> = files_below(&root().join("tests/errors"), "nn")
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    for code in nnc_grammar::Code::ALL {
        let name = code.name();
        let has = cases
            .iter()
            .any(|case| case == name || case.starts_with(&format!("{name}-")));
        assert!(
            has,
            "no tests/errors/{name}.nn nor tests/errors/{name}-*.nn"
        );
    }
}

#[test]
fn models_and_the_library_are_formatted() {
    for folder in ["models", "compiler/src/prelude"] {
        for path in files_below(&root().join(folder), "nn") {
            let text = fs::read_to_string(&path).unwrap();
            let mut sources = nnc_grammar::Sources::default();
            let file = sources.add("file.nn", text.as_str());
            let (tree, _) = nnc_grammar::parse(file, &text);
            let formatted = nnc_grammar::format(&tree, &text);
            assert!(formatted == text, "run `nnc fmt {}`", path.display());
        }
    }
}

#[test]
fn the_readme_names_only_what_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for word in readme.split(|c: char| c.is_whitespace() || "`()[]<>\"',".contains(c)) {
        let looks_like_path = [
            "models/",
            "docs/",
            "compiler/",
            "runtime/",
            "grammar/",
            "benches/",
            "tests/",
        ]
        .iter()
        .any(|folder| word.starts_with(folder) && word.len() > folder.len());
        if looks_like_path && !word.contains('*') && !word.contains("NAME") {
            let path = word.trim_end_matches(['.', ':', ';']);
            assert!(
                root().join(path).exists(),
                "README.md names {path}, which does not exist"
            );
        }
    }
}
