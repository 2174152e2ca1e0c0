//! The words of the language, for people who ask for one: keywords, the settings of `train`, and
//! the names with a meaning of their own. `docs/language.md` says more.

/// Each word with what it does and an example.
pub const WORDS: &[(&str, &str, &str)] = &[
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
        "and",
        "True where both are; between values known when compiling, or by element.",
        "where(x > 0 and x < 1, x, 0)",
    ),
    (
        "or",
        "True where one of both is, or both.",
        "where(x < 0 or x > 1, 0, x)",
    ),
    (
        "not",
        "True where its operand is false.",
        "if not training { x } else { dropped }",
    ),
    ("true", "The truth value.", "sgd(0.1, nesterov: true)"),
    ("false", "The other truth value.", "dense(10, bias: false)"),
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
        "in",
        "In a `scan`: stands before the tensor whose first axis is time.",
        "scan xt in x {\n    yield tanh(xt)\n}",
    ),
    (
        "with",
        "In a `scan`: stands before what is carried; after `step` and its nets, before the optimiser.",
        "scan xt in x with sum: [n] = zeros {\n    next sum = sum + xt\n    yield sum\n}",
    ),
    (
        "reverse",
        "After `scan`: from the last step to the first. What is stacked keeps its place in time.",
        "scan reverse xt in x with h: [n] = zeros {\n    next h = 0.5 * h + xt\n    yield h\n}",
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
        "stop",
        "Setting: ends the run before its last epoch, when the validation gets no better.",
        "stop = early(valid.loss, patience: 5)",
    ),
    (
        "early",
        "In `stop`: after how many epochs without a better value of which measure of the validation.",
        "stop = early(valid.accuracy, greatest: true, patience: 3)",
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

#[cfg(test)]
mod tests {
    use super::WORDS;
    use crate::elaborate::expressions::SPECIAL_NAMES;
    use crate::elaborate::settings::SETTINGS;
    use std::collections::BTreeSet;

    /// The words that stand in quotes in a rule of the grammar.
    fn quoted(rule: &str) -> impl Iterator<Item = &str> {
        let quoted = rule.split('"').skip(1).step_by(2);
        quoted.filter(|text| text.chars().all(|c| c.is_ascii_lowercase()))
    }

    #[test]
    fn every_word_of_the_language_is_described_and_no_other() {
        let grammar = include_str!("../../../grammar/nn.pest");
        let rules = grammar.lines().filter_map(|line| line.split_once('='));
        let rules = rules.filter(|(name, _)| {
            let name = name.trim();
            name.ends_with("_word") || ["kind", "reserved", "infix", "prefix"].contains(&name)
        });
        let mut words: BTreeSet<&str> = rules.flat_map(|(_, rule)| quoted(rule)).collect();
        assert!(words.len() > 20, "{words:?}");
        words.extend(SETTINGS.iter().chain(&SPECIAL_NAMES));
        // What an optimiser sees beside `grad`, which is a builtin, and what `stop` takes.
        words.extend(["weight", "early"]);
        let described: BTreeSet<&str> = WORDS.iter().map(|(word, ..)| *word).collect();
        assert_eq!(described, words);
        assert_eq!(described.len(), WORDS.len(), "one is described twice");
    }
}
