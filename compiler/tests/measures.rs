//! Metrics, schedules and initialisers beside what their definitions say, counted and written out
//! here without the library: metrics over two batches of samples, rates at single steps, moments
//! of many draws. The oracle runs them in double precision.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::eval::eval;
use nnc_compiler::graph::{InputKind, Model, Phase, Type};
use nnc_compiler::ops::{Precision, Tensor};
use std::collections::BTreeMap;
use support::compile;

fn model(text: &str) -> Model {
    let (model, diagnostics, _) = compile("model.nn", text, &[]);
    let told: Vec<&String> = diagnostics.iter().map(|d| &d.message).collect();
    assert!(told.is_empty(), "{told:#?}");
    model.unwrap()
}

fn filled(ty: &Type, elements: &[f64]) -> Tensor {
    Tensor {
        ty: ty.clone(),
        elements: elements.to_vec(),
    }
}

fn close(what: &str, found: f64, expected: f64) {
    let far = (found - expected).abs();
    assert!(
        far <= 1e-12 * (1.0 + expected.abs()),
        "{what}: {found} is not {expected}"
    );
}

const CLASSES: usize = 5;
const BATCH: usize = 7;
/// Of each sample: logits, what its label is the greatest of, and one number more.
const NUMBERS: usize = 2 * CLASSES + 1;

const METRICS: &str = "
net model(x: [n]) -> [5] { slice(x, over: n, from: 0, to: 5) }

train {
    data      = linear(features: 11)
    batch     = 7
    epochs    = 1
    optimizer = sgd(0.1)

    let logits = model(x)
    let row: [n] = x
    let label = argmax(slice(row, over: n, from: 5, to: 10))
    let guess = row[n = 10]
    minimize cross_entropy(logits, label) + 0 * sum(x |> dense(1))
    report accuracy(logits, label), top_accuracy(logits, label, n: 2)
    report precision(logits, label), recall(logits, label), f1(logits, label), iou(logits, label)
    report mean_absolute_error(guess, y), rmse(guess, y), r2(guess, y), mae: mae(guess, y)
}
";

/// Numbers that look like none, the same everywhere.
fn number(i: usize) -> f64 {
    (12.9898 * (i + 1) as f64).sin() * 2.0 + (0.37 * i as f64).cos()
}

#[test]
fn metrics_are_what_counting_says() {
    let model = model(METRICS);
    let x: Vec<f64> = (0..2 * BATCH * NUMBERS).map(number).collect();
    let y: Vec<f64> = (0..2 * BATCH)
        .map(|i| number(i * NUMBERS + 10) + 0.5 * number(1000 + i))
        .collect();

    let mut slots: Vec<Tensor> = model
        .slots
        .iter()
        .map(|slot| filled(&slot.ty, &vec![0.0; slot.ty.elements()]))
        .collect();
    let step = &model.steps[&Phase::Eval];
    for batch in 0..2 {
        let inputs = step.inputs.iter().map(|input| match &input.kind {
            InputKind::Field(name) if name == "x" => {
                filled(&input.ty, &x[batch * BATCH * NUMBERS..][..BATCH * NUMBERS])
            }
            InputKind::Field(_) => filled(&input.ty, &y[batch * BATCH..][..BATCH]),
            _ => filled(&input.ty, &[1.0]),
        });
        let inputs: Vec<Tensor> = inputs.collect();
        for (slot, value) in eval(step, &inputs, &slots, Precision::F64).updates {
            slots[slot.index()] = value;
        }
    }
    let results = eval(&model.steps[&Phase::Metrics], &[], &slots, Precision::F64);
    let found: BTreeMap<&str, f64> = results
        .outputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.elements[0]))
        .collect();
    let expected = counted(&x, &y);
    for (name, expected) in &expected {
        close(name, found[name], *expected);
    }
    // Beside the loss.
    assert_eq!(found.len(), expected.len() + 1, "{found:?}");
}

fn counted(x: &[f64], y: &[f64]) -> BTreeMap<&'static str, f64> {
    let greatest =
        |row: &[f64]| (0..CLASSES).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    let samples: Vec<&[f64]> = x.chunks(NUMBERS).collect();
    let pairs: Vec<(usize, usize)> = samples
        .iter()
        .map(|row| (greatest(row), greatest(&row[CLASSES..])))
        .collect();
    let all = pairs.len() as f64;
    let count = |wanted: &dyn Fn(usize, usize) -> bool| {
        pairs.iter().filter(|(p, l)| wanted(*p, *l)).count() as f64
    };
    // 0 where nothing is of a class.
    let share = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
    let over_classes = |of: &dyn Fn(f64, f64, f64) -> f64| {
        let each = (0..CLASSES).map(|k| {
            let both = count(&|p, l| p == k && l == k);
            of(both, count(&|p, _| p == k), count(&|_, l| l == k))
        });
        each.sum::<f64>() / CLASSES as f64
    };
    let among_two = samples.iter().zip(&pairs).filter(|(row, (_, label))| {
        row[..CLASSES]
            .iter()
            .filter(|logit| **logit > row[*label])
            .count()
            < 2
    });
    let errors: Vec<f64> = samples
        .iter()
        .zip(y)
        .map(|(row, y)| row[2 * CLASSES] - y)
        .collect();
    let magnitude = errors.iter().map(|e| e.abs()).sum::<f64>() / all;
    let squares = errors.iter().map(|e| e * e).sum::<f64>();
    let mean = y.iter().sum::<f64>() / all;
    let spread = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>();
    BTreeMap::from([
        ("accuracy", count(&|p, l| p == l) / all),
        ("top_accuracy", among_two.count() as f64 / all),
        (
            "precision",
            over_classes(&|both, predicted, _| share(both, predicted)),
        ),
        (
            "recall",
            over_classes(&|both, _, actual| share(both, actual)),
        ),
        (
            "f1",
            over_classes(&|both, predicted, actual| {
                let (precision, recall) = (share(both, predicted), share(both, actual));
                share(2.0 * precision * recall, precision + recall)
            }),
        ),
        (
            "iou",
            over_classes(&|both, predicted, actual| share(both, predicted + actual - both)),
        ),
        ("mean_absolute_error", magnitude),
        ("mae", magnitude),
        ("rmse", (squares / all).sqrt()),
        ("r2", 1.0 - squares / spread),
    ])
}

/// A schedule, and its value as a function of the step.
type Schedule = (&'static str, fn(f64) -> f64);

const SCHEDULES: [Schedule; 6] = [
    ("cosine(0.1, steps: 100)", |step| {
        let share = step.min(100.0) / 100.0;
        0.1 * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
    }),
    (
        "cosine(0.1, steps: 100, warmup: 10, floor_rate: 0.02)",
        |step| {
            if step <= 10.0 {
                return 0.1 * step / 10.0;
            }
            let share = (step.min(100.0) - 10.0) / 90.0;
            0.02 + 0.08 * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
        },
    ),
    (
        "linear(0.5, steps: 40, warmup: 8, final: 0.1)",
        |step| match step {
            ..=8.0 => 0.5 * step / 8.0,
            ..40.0 => 0.5 - 0.4 * (step - 8.0) / 32.0,
            _ => 0.1,
        },
    ),
    ("linear(0.5, steps: total_steps)", |step| {
        0.5 * (1.0 - step / 200.0)
    }),
    ("steps_down(0.8, every: 30, factor: 0.5)", |step| {
        0.8 * 0.5_f64.powi(((step as i32) - 1) / 30)
    }),
    ("warmup(0.2, steps: 50)", |step| {
        if step < 50.0 { 0.2 * step / 50.0 } else { 0.2 }
    }),
];

#[test]
fn schedules_have_their_values_at_each_step() {
    for (schedule, expected) in SCHEDULES {
        // The gradient is 1, so a weight of 0 becomes the rate without its sign.
        let model = model(&format!(
            "net model(x: [n]) -> [] {{
                param w: [] = zeros
                w + 0 * sum(x)
            }}
            train {{
                data      = linear(features: 2)
                batch     = 1
                epochs    = 1
                optimizer = sgd(lr: {schedule})
                minimize model(x) + 0 * y
            }}"
        ));
        let train = differentiate(&model.steps[&Phase::Train]);
        let slots: Vec<Tensor> = model
            .slots
            .iter()
            .map(|slot| filled(&slot.ty, &vec![0.0; slot.ty.elements()]))
            .collect();
        let at = model
            .slots
            .iter()
            .position(|slot| slot.path == "model/w")
            .unwrap();
        for now in [
            1, 2, 5, 8, 9, 10, 11, 30, 31, 39, 40, 50, 60, 61, 99, 100, 101, 200,
        ] {
            let inputs = train.inputs.iter().map(|input| {
                let value = match input.kind {
                    InputKind::Step => f64::from(now),
                    InputKind::TotalSteps => 200.0,
                    _ => 0.0,
                };
                filled(&input.ty, &vec![value; input.ty.elements()])
            });
            let inputs: Vec<Tensor> = inputs.collect();
            let results = eval(&train, &inputs, &slots, Precision::F64);
            let (_, next) = results
                .updates
                .iter()
                .find(|(slot, _)| slot.index() == at)
                .unwrap();
            close(
                &format!("{schedule} at step {now}"),
                -next.elements[0],
                expected(f64::from(now)),
            );
        }
    }
}

/// What is drawn: its mean and variance, and how it is distributed.
struct Law {
    mean: f64,
    variance: f64,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Uniform,
    Normal,
    Constant,
}

/// For a parameter of 3 x 3 places, 24 numbers in and 40 out.
fn initializers() -> Vec<(&'static str, Law)> {
    let (fan_in, fan_out) = (9.0 * 24.0, 9.0 * 40.0);
    let law = |variance, shape| Law {
        mean: 0.0,
        variance,
        shape,
    };
    vec![
        (
            "glorot_uniform",
            law(2.0 / (fan_in + fan_out), Shape::Uniform),
        ),
        (
            "glorot_uniform(gain: 3)",
            law(9.0 * 2.0 / (fan_in + fan_out), Shape::Uniform),
        ),
        (
            "glorot_normal",
            law(2.0 / (fan_in + fan_out), Shape::Normal),
        ),
        ("he_uniform", law(2.0 / fan_in, Shape::Uniform)),
        ("he_normal", law(2.0 / fan_in, Shape::Normal)),
        (
            "he_normal(gain: 0.5)",
            law(0.25 * 2.0 / fan_in, Shape::Normal),
        ),
        ("lecun_uniform", law(1.0 / fan_in, Shape::Uniform)),
        (
            "uniform(-1, 3)",
            Law {
                mean: 1.0,
                ..law(16.0 / 12.0, Shape::Uniform)
            },
        ),
        (
            "normal(mean: 2, std: 0.5)",
            Law {
                mean: 2.0,
                ..law(0.25, Shape::Normal)
            },
        ),
        (
            "constant(0.25)",
            Law {
                mean: 0.25,
                ..law(0.0, Shape::Constant)
            },
        ),
        (
            "ones",
            Law {
                mean: 1.0,
                ..law(0.0, Shape::Constant)
            },
        ),
    ]
}

#[test]
fn initial_values_have_the_moments_of_their_laws() {
    for (init, law) in initializers() {
        let model = model(&format!(
            "net model(x: [n]) -> [] {{
                param w: [3, 3, 24, 40] = {init}
                sum(w) + sum(x)
            }}
            train {{
                data      = linear(features: 2)
                batch     = 1
                epochs    = 1
                optimizer = sgd(0.1)
                minimize model(x) + 0 * y
            }}"
        ));
        let step = &model.steps[&Phase::Init];
        let inputs: Vec<Tensor> = step
            .inputs
            .iter()
            .map(|input| filled(&input.ty, &[12345.0]))
            .collect();
        let slots: Vec<Tensor> = model
            .slots
            .iter()
            .map(|slot| filled(&slot.ty, &vec![0.0; slot.ty.elements()]))
            .collect();
        let results = eval(step, &inputs, &slots, Precision::F64);
        let at = model
            .slots
            .iter()
            .position(|slot| slot.path == "model/w")
            .unwrap();
        let (_, drawn) = results
            .updates
            .iter()
            .find(|(slot, _)| slot.index() == at)
            .unwrap();
        follows(init, &drawn.elements, &law);
    }
}

/// Five standard deviations of what so many draws give are the tolerance throughout.
fn follows(init: &str, drawn: &[f64], law: &Law) {
    let n = drawn.len() as f64;
    let deviation = law.variance.sqrt();
    let mean = drawn.iter().sum::<f64>() / n;
    let variance = drawn
        .iter()
        .map(|x| (x - law.mean) * (x - law.mean))
        .sum::<f64>()
        / n;
    let near = |what: &str, found: f64, expected: f64, tolerance: f64| {
        assert!(
            (found - expected).abs() <= tolerance,
            "{what} of {init}: {found} is not {expected}"
        );
    };
    near("the mean", mean, law.mean, 5.0 * deviation / n.sqrt());
    // The fourth moment, and how many lie within one deviation, tell one law from another.
    let (fourth, within) = match law.shape {
        Shape::Normal => (3.0, 0.682_689_492),
        Shape::Uniform => (1.8, 1.0 / 3.0_f64.sqrt()),
        Shape::Constant => return near("the variance", variance, 0.0, 0.0),
    };
    let spread = law.variance * ((fourth - 1.0) / n).sqrt();
    near("the variance", variance, law.variance, 5.0 * spread);
    let inside = drawn
        .iter()
        .filter(|x| (*x - law.mean).abs() < deviation)
        .count() as f64
        / n;
    near(
        "the share within one deviation",
        inside,
        within,
        5.0 * (within * (1.0 - within) / n).sqrt(),
    );
    let farthest = drawn
        .iter()
        .map(|x| (x - law.mean).abs())
        .fold(0.0, f64::max);
    let bound = 3.0_f64.sqrt() * deviation;
    match law.shape {
        Shape::Uniform => {
            assert!(
                farthest <= bound * (1.0 + 1e-9) && farthest > 0.99 * bound,
                "{init}: {farthest} beside {bound}"
            );
        }
        _ => assert!(farthest > bound, "{init} ends at {farthest}"),
    }
}
