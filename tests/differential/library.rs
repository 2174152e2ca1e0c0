//! Uses of everything that the library has of a kind.

use nnc_compiler::elaborate::prelude;
use nnc_grammar::Sources;
use nnc_grammar::ast::{DefinitionKind, Item};

pub const OPTIMIZERS: &[&str] = &[
    "sgd(0.1)",
    "sgd(0.1, momentum: 0.9)",
    "sgd(0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01)",
    "sgd(0.1, momentum: 0.9, dampening: 0.5)",
    "rmsprop(0.01)",
    "rmsprop(0.01, momentum: 0.9, weight_decay: 0.01)",
    "rmsprop(0.01, centered: true)",
    "adagrad(0.1)",
    "adagrad(0.1, weight_decay: 0.01)",
    "adam(0.01)",
    "adam(0.01, weight_decay: 0.1)",
    "adamw(0.01)",
    "adamw(0.01, amsgrad: true)",
    "adam(cosine(0.01, steps: total_steps, warmup: 2))",
];

/// The arguments of the data source, and what is minimised.
pub const LOSSES: &[(&str, &str)] = &[
    ("target: [3]", "mse(out, y)"),
    ("target: [3]", "mae(out, y)"),
    ("target: [3]", "huber(out, y)"),
    ("target: [3]", "huber(out, y, delta: 0.3)"),
    ("target: [3]", "smooth_l1(out, y, beta: 0.5)"),
    ("classes: 3", "nll(log_softmax(out), y)"),
    ("classes: 3", "cross_entropy(out, y)"),
    ("classes: 3", "cross_entropy(out, y, smoothing: 0.1)"),
    ("target: [3]", "bce(sigmoid(out), float(y > 0))"),
    ("target: [3]", "bce_with_logits(out, float(y > 0))"),
    ("target: [3]", "kl_div(log_softmax(out), softmax(y))"),
    ("classes: 3", "multi_margin(out, y)"),
    ("target: [3]", "hinge(out, 2 * float(y > 0) - 1)"),
    ("target: [3]", "l1_penalty(model) + mse(out, y)"),
    ("target: [3]", "l2_penalty(model) + mse(out, y)"),
];

pub const INITIALIZERS: &[&str] = &[
    "constant(0.5)",
    "uniform(low: -0.5, high: 0.25)",
    "normal(std: 0.1)",
    "glorot_uniform",
    "glorot_normal(gain: 2.0)",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
];

/// What stands in `train` around two nets, `first` from 7 numbers to 3 and `second` from 3
/// to one: several objectives, gradients of gradients, copies, frozen parts, the batch.
pub const TRAININGS: &[&str] = &[
    "let made = first(x)
    step second with adam(0.01) { minimize second(y)^2 - second(stop_gradient(made)) }
    step first with sgd(0.1, momentum: 0.9) {
        clip_norm = 0.5
        minimize second(made)^2 + mse(first(x), y)
    }
    step first, second with adam(0.01) { minimize abs(second(first(x)) - 1) }",
    "optimizer = sgd(0.1)
    let slope = grad(second(first(x)), x)
    let steep = sqrt(sum(slope^2) + 0.01)
    minimize (steep - 1)^2 + mse(first(x), y)",
    "optimizer  = adam(0.01)
    clip_value = 0.05
    freeze     = \"second/*\"
    let average = copy(first)
    let moved = x + 0.1 * sign(grad(second(first(x))^2, x))
    minimize mse(first(stop_gradient(moved)), y) + second(first(x))^2
    report averaged: mse(average(x), y)
    update average = lerp(average, first, 0.1)",
    "optimizer = sgd(0.1)
    let own: [d] = first(x)
    let all: [n, d] = all_samples(own)
    let likeness = einsum(\"d, n d -> n\", own, all)
    minimize cross_entropy(likeness, index(own, over: batch)) + second(y + 0.1 * normal([3]))^2",
];

pub fn with_training(training: &str) -> String {
    format!(
        "net first(x: [7]) -> [3] {{ x |> dense(5) |> tanh |> dense(3) }}

net second(x: [3]) -> [] {{ x |> dense(6) |> tanh |> dense(1) |> reshape([]) }}

train {{
    data   = samples(shape: [7], target: [3])
    batch  = 4
    epochs = 1
    {training}
}}
"
    )
}

/// A shape, and a layer or a function that is applied to it.
pub const LAYERS: &[(&str, &str)] = &[
    ("[7]", "x |> dense(5, bias: false)"),
    (
        "[4, 5, 6]",
        "x |> conv2d(6, kernel: 3, groups: 2, padding: 1)",
    ),
    (
        "[3, 6, 5]",
        "x |> conv2d(2, kernel: 2, stride: 2, dilation: 2, padding: \"same\")",
    ),
    (
        "[2, 5, 6]",
        "x |> conv2d(3, kernel: [1, 4], stride: [2, 1], padding: [0, 2], dilation: [1, 2])",
    ),
    ("[2, 5, 5]", "x |> max_pool2d(3, stride: 2, padding: 1)"),
    ("[2, 4, 9]", "x |> max_pool2d([2, 3], padding: [0, 1])"),
    ("[2, 6, 5]", "x |> avg_pool2d([3, 1], stride: [1, 2])"),
    ("[2, 5, 5]", "x |> avg_pool2d(2)"),
    ("[2, 5, 5]", "x |> global_avg_pool"),
    ("[2, 5]", "x |> flatten |> dense(3)"),
    ("[7]", "x |> dropout(0.4)"),
    ("[3, 4]", "x |> batch_norm"),
    ("[3, 4]", "x |> layer_norm"),
    ("[4, 3, 2]", "x |> group_norm(2)"),
    ("[2, 3, 4]", "x |> instance_norm"),
    ("[3, 5]", "x |> rms_norm"),
    (
        "[3, 9]",
        "x |> conv1d(4, kernel: 3, stride: 2, padding: 1, dilation: 2)",
    ),
    (
        "[4, 9]",
        "x |> conv1d(6, kernel: 3, padding: \"same\", groups: 2)",
    ),
    (
        "[3, 5, 4]",
        "x |> depthwise_conv2d(3, padding: 1, filters_each: 2)",
    ),
    (
        "[2, 3, 4]",
        "x |> conv_transpose2d(3, kernel: 4, stride: 2, padding: 1)",
    ),
    (
        "[2, 3, 3]",
        "x |> conv_transpose2d(1, kernel: 3, stride: 2, padding: 1, output_padding: 1)",
    ),
    (
        "[4, 3, 2]",
        "x |> conv_transpose2d(2, kernel: [2, 3], stride: [1, 2], dilation: 2, groups: 2)",
    ),
    ("[2, 3, 2]", "x |> upsample2d(3)"),
    ("[2, 3, 2]", "x |> upsample2d_bilinear(2)"),
    ("[3]", "x @ between(3, 2)"),
    (
        "[4, 5]",
        "let rows: [t, k] = x\n argmax(rows, over: k) |> embedding(5, 3)",
    ),
    (
        "[4, 5]",
        "let m: [t, k] = x\n let at = argmax(m, over: k)
 let rows: [t, u] = gather(m, at, over: k)\n scatter(rows, at, 6) |> dense(2)",
    ),
    ("[4, 6]", "x |> positions"),
    ("[4, 6]", "x |> sinusoidal_positions"),
    ("[4, 2, 6]", "x |> rotary"),
    ("[2, 4, 4]", "x |> mask_future |> softmax"),
    ("[4, 6]", "attend(x, 2 * x, x + 1, heads: 2)"),
    ("[2, 4, 4]", "x |> unmasked |> softmax"),
    (
        "[4, 6]",
        "let rows: [u, d] = x\n let keep = index(rows, over: u) < 3\n attend(x, x, x, heads: 3, mask: mask_keys(keep: keep))",
    ),
    ("[5, 6]", "x |> attention(2)"),
    ("[5, 6]", "multi_head_attention(3)(x, transposed(x))"),
    ("[5, 6]", "x |> transformer_block(2)"),
    ("[4, 3]", "x |> rnn(5)"),
    ("[4, 3]", "x |> rnn(2, reverse: true)"),
    ("[4, 3]", "x |> lstm(5) |> lstm(2)"),
    ("[3, 4]", "x |> lstm(5, reverse: true)"),
    ("[4, 3]", "x |> gru(5)"),
    ("[4, 3]", "x |> gru(2, reverse: true)"),
    (
        "[4, 3]",
        "x |> bidirectional(gru(2), lstm(2, reverse: true))",
    ),
    ("[4, 3]", "x |> rnn(3) |> last"),
    (
        "[8]",
        "let a, b, c, d = split(x, 4)\n lstm_cell(x, a * b + c)",
    ),
    (
        "[8]",
        "let a, b, c, d = split(x, 4)\n lstm_output(x, a * b + d)",
    ),
    (
        "[6]",
        "let a, b, c = split(x, 3)\n gru_cell(x, 2 * x, a * b + c)",
    ),
    (
        "[4, 3, 3]",
        "param w: [2, 2, 2, 6] = glorot_uniform\n in_groups(windows2d(x, 2, 1, 1), w, 2)",
    ),
    ("[2, 3, 4]", "x |> pad2d(3, 2, \"same\", 1)"),
    (
        "[2]",
        "let a, b = around(6, 4, 1, \"same\", 1)
        if is_padding(a) { x * (a + same_padding(5, 3, 2, 1)) + b } else { x }",
    ),
    ("[2, 3, 4]", "x |> windows2d(2, 1, 1)"),
    ("[7]", "let inner = dense(5)\n x |> lora(inner, rank: 2)"),
];

/// Whether each optimiser or public function of a file of the library is used.
pub fn assert_complete(uses: &[&str], file: &str) {
    let mut sources = Sources::default();
    for item in prelude(&mut sources).items() {
        let Item::Definition(item) = item else {
            continue;
        };
        let text = sources.file(item.span.file);
        let helper = file == "optimizers.nn" && item.kind != DefinitionKind::Optimizer;
        if text.name.ends_with(file) && !helper {
            let name = item.name.name.as_str();
            let tried = uses.iter().any(|text| uses_item(text, name));
            assert!(tried, "`{name}` of {file} is not tried");
        }
    }
}

/// Whether an item is called, stands behind a `|>`, or is all of a text: names of variables and of
/// parameters do not count.
fn uses_item(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text == name
        || text.match_indices(name).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
            whole && (after.starts_with('(') || before.trim_end().ends_with("|>"))
        })
}

#[test]
fn only_uses_of_an_item_count() {
    for text in [
        "last",
        "x |> last",
        "let y = last(x)",
        "x |>\n last |> dense(2)",
    ] {
        assert!(uses_item(text, "last"), "{text}");
    }
    for text in [
        "let last = x",
        "f(last: 3)",
        "at_last(x)",
        "x |> lasting",
        "x * last",
    ] {
        assert!(!uses_item(text, "last"), "{text}");
    }
}

pub fn with_optimizer(optimizer: &str) -> String {
    network("target: [3]", "glorot_uniform", optimizer, "mse(out, y)")
}

pub fn with_loss(data: &str, loss: &str) -> String {
    network(data, "glorot_uniform", "sgd(0.1)", loss)
}

pub fn with_initializer(initializer: &str) -> String {
    network("target: [3]", initializer, "sgd(0.1)", "mse(out, y)")
}

pub fn with_layer(shape: &str, body: &str) -> String {
    format!(
        "layer transposed(x: [t, d]) {{ transpose(x, to: [d, t]) |> dense(3) }}

net model(x: {shape}) {{
    x |> tilt |> after
}}

layer tilt(x: [..]) -> [..] {{
    param by: [..] = normal(std: 0.1)
    x * (1 + by)
}}

layer after(x: {shape}) {{
    {body}
}}

train {{
    data      = samples(shape: {shape})
    batch     = 3
    epochs    = 1
    optimizer = sgd(0.1)
    minimize mean(sin(3 * model(x)))
}}
"
    )
}

fn network(data: &str, init: &str, optimizer: &str, loss: &str) -> String {
    format!(
        "net model(x: [7]) -> [3] {{ x |> dense(5, init: {init}) |> tanh |> dense(3) }}

train {{
    data      = samples(shape: [7], {data})
    batch     = 4
    epochs    = 1
    optimizer = {optimizer}
    let out = model(x)
    minimize {loss}
}}
"
    )
}
