//! `nnc doc`: an item of the library with its documentation and its text.

use crate::cli::DocArgs;
use crate::failure::{Failure, Outcome};
use crate::report::Report;
use nnc_compiler::elaborate::{Library, builtin_docs, prelude};
use nnc_grammar::ast::Item;
use nnc_grammar::{Sources, Span, nearest};
use nnc_runtime::data::ParameterKind;
use nnc_runtime::{data, play};

/// Prints one item, or the names of all.
pub fn doc(args: &DocArgs, report: &Report) -> Outcome {
    let mut sources = Sources::default();
    let library = prelude(&mut sources);
    let Some(name) = &args.name else {
        return report.result(overview(&library, &sources));
    };
    // A data source may bear the name of an item, since it stands where no item can.
    let found = [
        from_library(name, &library, &sources),
        builtin(name),
        from_data(name),
        word(name),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    match found.is_empty() {
        true => Err(unknown(name, &library).into()),
        false => report.result(found.join("\n\n")),
    }
}

/// The comment above an item, and the item.
fn from_library(name: &str, library: &Library, sources: &Sources) -> Option<String> {
    let (_, doc, span) = named(library.find(name)?)?;
    let source = sources.file(span.file);
    let text = source.text.get(span.start as usize..span.end as usize)?;
    let comment: String = doc.iter().map(|line| format!("# {line}\n")).collect();
    Some(format!("# {}\n\n{comment}{text}", source.name))
}

fn named(item: &Item) -> Option<(&str, &[String], Span)> {
    match item {
        Item::Const(item) => Some((&item.name.name, &item.doc, item.span)),
        Item::Definition(item) => Some((&item.name.name, &item.doc, item.span)),
        Item::Train(_) | Item::Use(_) => None,
    }
}

fn builtin(name: &str) -> Option<String> {
    let (call, doc) = builtin_docs().find(|(call, _)| call.split('(').next() == Some(name))?;
    Some(format!("# builtin\n\n# {doc}\n{call}"))
}

/// Data sources, environments and loader steps.
fn data_entries() -> impl Iterator<Item = &'static data::Signature> {
    let sources = data::SOURCES.iter().chain(play::ENVIRONMENTS);
    sources.chain(data::STEPS)
}

/// One of them with its parameters.
fn from_data(name: &str) -> Option<String> {
    let entry = data_entries().find(|entry| entry.name == name)?;
    let parameters = entry.parameters.iter().map(|parameter| {
        let default = match (parameter.default, parameter.kind) {
            (None, _) => String::new(),
            (Some(text), ParameterKind::Text) => format!(" = {text:?}"),
            (Some(default), _) => format!(" = {default}"),
        };
        format!("    {}{default}  # {}\n", parameter.name, parameter.doc)
    });
    let parameters: String = parameters.collect();
    let list = if parameters.is_empty() {
        String::new()
    } else {
        format!("\n{parameters}")
    };
    Some(format!("# data\n\n# {}\n{name}({list})", entry.doc))
}

/// A keyword or a setting, in a sentence and an example.
fn word(name: &str) -> Option<String> {
    let (_, doc, example) = WORDS.iter().find(|(word, ..)| *word == name)?;
    Some(format!("# language\n\n# {doc}\n{example}"))
}

/// A line for each file of the library, for the builtins, for the data and for the language.
fn overview(library: &Library, sources: &Sources) -> String {
    let items: Vec<(&str, Span)> = library
        .items()
        .filter_map(|item| named(item).map(|(name, _, span)| (name, span)))
        .collect();
    let files = items.chunk_by(|(_, one), (_, next)| one.file == next.file);
    let mut lines: Vec<String> = files
        .map(|items| {
            let names: Vec<&str> = items.iter().map(|(name, _)| *name).collect();
            let title = &sources.file(items[0].1.file).name;
            format!("{title}: {}", names.join(" "))
        })
        .collect();
    let builtins = builtin_docs().filter_map(|(call, _)| Some(call.split('(').next()?.to_owned()));
    lines.push(format!(
        "builtins: {}",
        builtins.collect::<Vec<_>>().join(" ")
    ));
    let data = data_entries().map(|entry| entry.name);
    lines.push(format!("data: {}", data.collect::<Vec<_>>().join(" ")));
    let words = WORDS.iter().map(|(word, ..)| *word);
    lines.push(format!("language: {}", words.collect::<Vec<_>>().join(" ")));
    lines.join("\n")
}

fn unknown(name: &str, library: &Library) -> Failure {
    let library = library.names().map(str::to_owned);
    let builtins = builtin_docs().filter_map(|(call, _)| Some(call.split('(').next()?.to_owned()));
    let data = data_entries().map(|entry| entry.name.to_owned());
    let words = WORDS.iter().map(|(word, ..)| (*word).to_owned());
    let names: Vec<String> = library.chain(builtins).chain(data).chain(words).collect();
    let failure = Failure::world("usage", format!("nothing is called `{name}`"));
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help("`nnc doc` lists all there is"),
    }
}

/// The words of the language and the settings of `train`: what each does, and how it is written.
/// `docs/language.md` says more.
const WORDS: [(&str, &str, &str); 36] = [
    (
        "const",
        "A value known when compiling; `--set NAME=VALUE` replaces it.",
        "const lr = 1e-3",
    ),
    (
        "fn",
        "A function of values; it owns no parameters.",
        "fn mish(x) { x * tanh(softplus(x)) }",
    ),
    (
        "layer",
        "A function that owns parameters and states: hyper-parameters first, then tensors.",
        "layer twice(units: int)(x: [n]) -> [units] { x |> dense(units) |> dense(units) }",
    ),
    (
        "net",
        "A layer that `train` applies to the fields of the data.",
        "net mlp(image: [1, 28, 28]) -> [10] { image |> flatten |> dense(10) }",
    ),
    (
        "train",
        "The experiment: data, settings, what is minimised and what is reported.",
        "train {\n    data      = mnist()\n    batch     = 32\n    epochs    = 5\n    optimizer = adam(1e-3)\n    minimize cross_entropy(mlp(image), label)\n}",
    ),
    (
        "use",
        "Takes the items of another file, beside this one.",
        "use \"blocks.nn\"",
    ),
    (
        "let",
        "Names a value; a pattern checks its shape and names its axes.",
        "let rows: [t, n] = reshape(image, [28, 28])",
    ),
    (
        "param",
        "A tensor that is trained, of a layer or net.",
        "param w: [n, units] = glorot_uniform",
    ),
    (
        "state",
        "A tensor that is kept from step to step, and changed by `update` alone.",
        "state mean_seen: [c] = zeros",
    ),
    (
        "update",
        "Gives a state, or a copy of a net, its next value, when training.",
        "update mean_seen = lerp(mean_seen, now, 0.1)",
    ),
    (
        "if",
        "Chooses one of two blocks when compiling; `where` chooses by element when the model runs.",
        "if bias { y + b } else { y }",
    ),
    (
        "else",
        "The other block of an `if`.",
        "if bias { y + b } else { y }",
    ),
    (
        "repeat",
        "Applies a block's layer so often, each time a new instance.",
        "x |> repeat 3 { basic_block(16) }",
    ),
    (
        "training",
        "True in training steps and false everywhere else.",
        "if training { dropped } else { x }",
    ),
    (
        "scan",
        "A loop over time: over the first axis of tensors, carrying values from step to step.",
        "scan xt in x with h: [hidden] = zeros {\n    next h = tanh(xt @ w + h @ u)\n    yield h\n}",
    ),
    (
        "next",
        "In a `scan`: what a carried value is at the next step.",
        "next h = tanh(xt @ w + h @ u)",
    ),
    (
        "yield",
        "In a `scan`: what a step gives; all steps are stacked along time.",
        "yield h",
    ),
    (
        "minimize",
        "The loss, one number per sample; its mean over the batch is minimised.",
        "minimize cross_entropy(logits, label)",
    ),
    (
        "report",
        "Metrics that are told after each pass, under their own or a given name.",
        "report accuracy(logits, label), error: mse(a, b)",
    ),
    (
        "show",
        "Pictures that are written after each epoch.",
        "show image, restored",
    ),
    (
        "step",
        "In `train`: trains the nets it names by an objective of its own. As a value: the step's number, from 1. In `adam(lr: ...)` it makes schedules.",
        "step generator with adam(2e-4) {\n    minimize bce_with_logits(discriminator(fake), 1)\n}",
    ),
    (
        "epoch",
        "The number of the pass over the data, from 1.",
        "optimizer = sgd(0.1 * 0.5^(epoch - 1))",
    ),
    (
        "total_steps",
        "How many steps the run will take.",
        "optimizer = adam(cosine(1e-3, steps: total_steps))",
    ),
    (
        "optimizer",
        "As a setting: who changes the weights. As an item: the next value of a weight, from its gradient.",
        "optimizer = adam(1e-3)",
    ),
    (
        "weight",
        "In an `optimizer`: the parameter's value.",
        "weight - lr * grad",
    ),
    (
        "data",
        "Setting: the source of the samples and what is done to them.",
        "data = mnist() |> take(500)",
    ),
    (
        "batch",
        "Setting: samples of a step; in `over:`, the axis of the samples.",
        "batch = 32",
    ),
    (
        "epochs",
        "Setting: passes over the training samples.",
        "epochs = 5",
    ),
    (
        "seed",
        "Setting: decides everything random; 0 by default.",
        "seed = 1",
    ),
    (
        "clip_norm",
        "Setting: the gradients' common norm is brought down to this where it is greater.",
        "clip_norm = 1.0",
    ),
    (
        "clip_value",
        "Setting: each element of the gradients is brought to between this and its negative.",
        "clip_value = 0.5",
    ),
    (
        "init",
        "Setting: saved weights to start from.",
        "init = weights(\"digits.safetensors\")",
    ),
    (
        "freeze",
        "Setting: parameters and states that stay as they are, by their paths; `*` stands for any text.",
        "freeze = \"few/body/*\"",
    ),
    (
        "policy",
        "Setting: how a model acts in an environment, from `observation` to an action.",
        "policy = epsilon_greedy(q(observation), 0.1)",
    ),
    (
        "fan_in",
        "In an initialiser: how many inputs reach an output.",
        "normal(std: sqrt(2 / fan_in))",
    ),
    (
        "fan_out",
        "In an initialiser: how many outputs an input reaches.",
        "uniform(-sqrt(6 / fan_out), sqrt(6 / fan_out))",
    ),
];
