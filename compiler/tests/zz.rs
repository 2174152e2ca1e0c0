#![allow(missing_docs, clippy::unwrap_used)]
mod support;
#[test]
fn dump() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist_cnn.nn");
    let text = std::fs::read_to_string(path).unwrap();
    let (model, d, s) = support::compile("m", &text, &[]);
    for d in &d {
        eprintln!(
            "{}",
            nnc_grammar::render::terminal(d, &s, nnc_grammar::render::Color::Never)
        );
    }
    let model = model.unwrap();
    eprintln!("{}", model.steps[&nnc_compiler::graph::Phase::Train]);
}
