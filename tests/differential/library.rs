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

/// Whether each optimiser or public function of a file of the library is used.
pub fn assert_complete(uses: &[&str], file: &str) {
    let mut sources = Sources::default();
    for parsed in prelude(&mut sources) {
        for item in &parsed.items {
            let Item::Definition(item) = item else {
                continue;
            };
            let text = sources.file(item.span.file);
            let helper = file == "optimizers.nn" && item.kind != DefinitionKind::Optimizer;
            if text.name.ends_with(file) && !helper {
                let name = item.name.name.as_str();
                let used = uses.iter().any(|used| used.split('(').next() == Some(name));
                assert!(used, "`{name}` of {file} is not tried");
            }
        }
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
