//! The reference of the language tells the truth: its examples elaborate without a
//! remark, and what it names exists.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::elaborate::prelude;
use nnc_grammar::Sources;
use nnc_grammar::ast::Item;
use nnc_grammar::render::{Color, terminal};
use support::compile;

const REFERENCE: &str = include_str!("../../docs/language.md");
const README: &str = include_str!("../../README.md");

/// How a net uses the definition of an example that has no `train` of its own.
const USES: &[(&str, &str)] = &[
    ("layer twice", "image |> flatten |> twice(32) |> dense(10)"),
    ("layer linear", "image |> centered |> flatten |> linear(10)"),
    (
        "fn self_similarity",
        "image |> reshape([28, 28]) |> self_similarity |> flatten |> dense(10)",
    ),
    (
        "layer channel_scale",
        "image |> channel_scale |> flatten |> dense(10)",
    ),
    ("layer center(", "image |> center |> flatten |> dense(10)"),
    (
        "layer running_center",
        "image |> flatten |> running_center |> dense(10)",
    ),
    (
        "layer tied",
        "let x: [c, h, w] = image\n let y = x[c = 0] |> slice(over: h, from: 0, to: 2)\n let t: [t, k] = y\n argmax(t, over: k) |> tied(28, 8) |> flatten |> dense(10)",
    ),
    ("layer mine", "image |> flatten |> mine(10)"),
    (
        "fn contrast",
        "let y: [k] = image |> flatten |> dense(10)\n y * contrast(y, y)",
    ),
];

#[test]
fn examples_elaborate() {
    let examples = REFERENCE.split("```nn\n").skip(1);
    let examples: Vec<&str> = examples.chain(README.split("```nn\n").skip(1)).collect();
    assert!(examples.len() > 20, "{}", examples.len());
    for rest in examples {
        let example = rest.split("```").next().unwrap();
        let text = match example {
            _ if example.contains("train {") => example.to_owned(),
            // The one of the README has an optimiser as well.
            _ if example.contains("optimizer my_momentum") => {
                let used = program("image |> flatten |> dense(10)");
                format!("{example}\n{}", used.replace("adam(1e-3)", "my_momentum"))
            }
            _ => used(example),
        };
        elaborates(&text);
    }
}

#[test]
fn forms_that_the_text_describes() {
    for body in [
        "let block = conv2d(16, kernel: 3) |> relu\n image |> block |> flatten |> dense(10)",
        "image |> flatten |> dense(10) |> leaky_relu(slope: 0.2)",
        "let act = leaky_relu(slope: 0.2)\n image |> flatten |> dense(10) |> act",
        "let x: [d] = image |> flatten |> dense(30)\n let q, k, v = split(x, 3, over: d)\n q + k * v",
        "let x: [c, h, w] = image\n let y: [h, w] = x[c = 0]\n transpose(y, to: [w, h]) |> flatten |> dense(10)",
        "let x: [c, h, w] = image\n concat([x, x], over: c) |> flatten |> dense(8 / 2 + 6)",
        "let x: [c, h, w] = image\n slice(x * index(x, over: h), over: h, from: 2, to: 5) |> flatten |> dense(10)",
        "let x: [d] = image |> flatten |> dense(30)\n split(x, 3, over: d) |> each(reshape(shape: [5, 2])) |> stack |> flatten |> dense(10)",
        "image |> flatten |> dense(10, init: normal(std: 0.02)) |> dense(10, init: he_normal)",
    ] {
        elaborates(&program(body));
    }
}

#[test]
fn library_items_exist() {
    let mut sources = Sources::default();
    let library = prelude(&mut sources);
    let items: Vec<&str> = library
        .items()
        .filter_map(|item| match item {
            Item::Const(item) => Some(item.name.name.as_str()),
            Item::Definition(item) => Some(item.name.name.as_str()),
            Item::Use(_) | Item::Train(_) => None,
        })
        .collect();
    let (_, rest) = REFERENCE.split_once("## The library").unwrap();
    let table = rest
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| ["));
    let names: Vec<&str> = table
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    assert!(
        names.len() > 50,
        "the table of the library is not where it was"
    );
    for name in names {
        assert!(items.contains(&name), "the library has no `{name}`");
    }
}

fn used(example: &str) -> String {
    let (_, body) = USES
        .iter()
        .find(|(definition, _)| example.contains(definition))
        .unwrap();
    format!("{example}\n{}", program(body))
}

fn program(body: &str) -> String {
    format!(
        "net example(image: [1, 28, 28]) -> [10] {{\n {body}\n}}\n\
         train {{\n data = mnist()\n batch = 4\n epochs = 1\n optimizer = adam(1e-3)\n \
         minimize cross_entropy(example(image), label)\n}}\n"
    )
}

fn elaborates(text: &str) {
    let (model, diagnostics, sources) = compile("docs/language.md", text, &[]);
    let messages: Vec<String> = diagnostics
        .iter()
        .map(|d| terminal(d, &sources, Color::Never))
        .collect();
    assert!(
        messages.is_empty(),
        "{}\n\nin\n{text}",
        messages.join("\n\n")
    );
    assert!(model.is_some());
}
