//! Layers and functions of the library beside numbers that were computed elsewhere from the
//! papers' formulas (`tests/reference/formulas.py` says how), and gradients of what moves
//! elements about beside finite differences. The oracle runs them in double precision.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::eval::eval;
use nnc_compiler::graph::{Model, Phase, SlotKind, Type};
use nnc_compiler::ops::{Precision, Tensor};
use std::collections::BTreeMap;
use support::compile;

fn model(features: usize, items: &str, body: &str) -> Model {
    let text = format!(
        "{items}
        net model(all: [n]) {{
            {body}
        }}
        train {{
            data      = linear(features: {features})
            batch     = 2
            epochs    = 1
            optimizer = sgd(1.0)
            minimize sum(model(x)) + 0 * sum(x |> dense(1)) + 0 * y
        }}"
    );
    let (model, diagnostics, _) = compile("model.nn", &text, &[]);
    let errors: Vec<&String> = diagnostics.iter().map(|d| &d.message).collect();
    model.unwrap_or_else(|| panic!("{body}: {errors:#?}"))
}

fn counted(ty: &Type) -> Tensor {
    Tensor {
        ty: ty.clone(),
        elements: (0..ty.elements()).map(|i| (i + 1) as f64).collect(),
    }
}

/// The body of each case, where `x` is the sine of 1, 2, 3, ... under its shape.
const FORMULAS: [(&str, &str, &str); 27] = [
    ("rms_norm", "[4, 6]", "x |> rms_norm"),
    ("instance_norm", "[4, 2, 3]", "x |> instance_norm"),
    ("group_norm", "[4, 2, 3]", "x |> group_norm(2)"),
    ("sinusoidal_positions", "[4, 6]", "sinusoidal_positions(x)"),
    ("rotary", "[4, 6]", "rotary(x)"),
    ("rotary_heads", "[3, 2, 4]", "rotary(x, base: 100)"),
    ("attend", "[42]", "attend(q, k, v, heads: 2)"),
    (
        "attend_padding",
        "[42]",
        "attend(q, k, v, heads: 2, mask: mask_keys(keep: index(k, over: u) < 3))",
    ),
    (
        "attend_causal",
        "[3, 2, 4]",
        "attend(x[b = 0], x[b = 1], x[b = 0], heads: 1, mask: mask_future)",
    ),
    ("silu", "[4, 6]", "silu(x)"),
    ("log_sigmoid", "[4, 6]", "log_sigmoid(x)"),
    (
        "conv2d_groups",
        "[4, 5, 6]",
        "0.01 * x |> conv2d(6, kernel: 3, stride: 2, padding: 1, groups: 2)",
    ),
    (
        "conv2d_dilation",
        "[2, 7, 6]",
        "0.01 * x |> conv2d(3, kernel: 3, padding: 1, dilation: 2)",
    ),
    (
        "conv2d_same",
        "[2, 5, 6]",
        "0.01 * x |> conv2d(3, kernel: 4, stride: 2, padding: \"same\")",
    ),
    (
        "conv2d_rectangular",
        "[2, 5, 7]",
        "0.01 * x |> conv2d(3, kernel: [1, 3], stride: [2, 1], padding: [0, 2], dilation: [1, 2])",
    ),
    (
        "conv_transpose2d",
        "[4, 3, 2]",
        "0.01 * x |> conv_transpose2d(
            6,
            kernel: 3,
            stride: 2,
            padding: 1,
            output_padding: 1,
            dilation: 2,
            groups: 2,
        )",
    ),
    (
        "conv_transpose2d_rectangular",
        "[2, 3, 4]",
        "0.01 * x |> conv_transpose2d(3, kernel: [2, 3], stride: [3, 1], padding: [1, 0])",
    ),
    (
        "max_pool2d_rectangular",
        "[2, 4, 7]",
        "x |> max_pool2d([2, 3], padding: [0, 1])",
    ),
    (
        "avg_pool2d_rectangular",
        "[2, 5, 4]",
        "x |> avg_pool2d([3, 2], stride: [1, 2], padding: [1, 0])",
    ),
    (
        "conv1d_groups",
        "[4, 9]",
        "0.01 * x |> conv1d(6, kernel: 3, stride: 2, padding: 1, groups: 2)",
    ),
    (
        "multi_head_attention",
        "[42]",
        "let ask = multi_head_attention(heads: 2)\n ask(0.1 * q, 0.1 * k)",
    ),
    (
        "conv1d",
        "[3, 9]",
        "0.01 * x |> conv1d(4, kernel: 3, stride: 2, padding: 1, dilation: 2)",
    ),
    (
        "depthwise_conv2d",
        "[3, 5, 4]",
        "0.01 * x |> depthwise_conv2d(kernel: 3, padding: 1, filters_each: 2)",
    ),
    ("upsample2d", "[2, 3, 4]", "upsample2d(x, 2)"),
    (
        "upsample2d_bilinear",
        "[2, 3, 4]",
        "upsample2d_bilinear(x, 3)",
    ),
    (
        "bidirectional",
        "[5, 3]",
        "x |> bidirectional(rnn(1), rnn(1, reverse: true))",
    ),
    (
        "lora",
        "[3, 4]",
        "let inner = dense(3)\n x |> lora(inner, rank: 2, scale: 0.5)",
    ),
];

#[test]
fn library_agrees_with_the_formulas() {
    let text = include_str!("reference/formulas.json");
    let expected: BTreeMap<String, Vec<f64>> = serde_json::from_str(text).unwrap();
    assert_eq!(expected.len(), FORMULAS.len());
    for (name, shape, body) in FORMULAS {
        let sizes = shape.trim_matches(['[', ']']).split(", ");
        let features = sizes.map(|size| size.parse::<usize>().unwrap()).product();
        let pattern = match shape.matches(',').count() {
            0 => "[a]",
            1 => "[a, b]",
            _ => "[a, b, c]",
        };
        let parts = match features {
            42 => {
                "let q: [t, d] = slice(x, over: a, from: 0, to: 12) |> reshape([3, 4])
                let k: [u, d] = slice(x, over: a, from: 12, to: 32) |> reshape([5, 4])
                let v: [u, c] = slice(x, over: a, from: 32, to: 42) |> reshape([5, 2])"
            }
            _ => "",
        };
        let body = format!("let x: {pattern} = reshape(sin(all), {shape})\n{parts}\n{body}");
        let model = model(features, "", &body);
        let step = &model.steps[&Phase::Predict];
        let inputs: Vec<Tensor> = step.inputs.iter().map(|i| counted(&i.ty)).collect();
        let slots: Vec<Tensor> = model.slots.iter().map(|slot| counted(&slot.ty)).collect();
        let found = &eval(step, &inputs, &slots, Precision::F64).outputs[0]
            .1
            .elements;
        let expected = &expected[name];
        assert_eq!(found.len(), expected.len(), "{name}");
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            // A few hundred roundings of double precision.
            let far = (found - expected).abs() / (1.0 + expected.abs());
            assert!(
                far < 1e-12,
                "{name}, element {i}: {found} is not {expected}"
            );
        }
    }
}

/// Each of them moves, repeats or leaves out elements of `v: [a, b]`, four by six.
const MOVEMENTS: [&str; 20] = [
    "dilate(v, over: a, by: 2)",
    "dilate(v, over: b, by: 3)",
    "v |> dilate(over: a, by: 2) |> windows(over: a, size: 3, stride: 2)",
    "stretch(v, over: b, by: 2)",
    "reverse(v, over: a)",
    "pad(v, over: b, before: 1, after: 2, value: 0.5)",
    "slice(v, over: b, from: 1, to: 4)",
    "windows(v, over: b, size: 2, stride: 2, dilation: 3)",
    "concat([v, v^2], over: a)",
    "let p, q = split(v, 2, over: b)\n p * q^2",
    "stack([v, exp(v)])",
    "transpose(v, to: [b, a])",
    "cumsum(v, over: b)",
    "top_k(v, 2, over: b) |> first",
    "max(v, over: a)",
    "gather(v, argmax(v, over: b), over: b)",
    "scatter(v, argmax(v, over: b), 6)",
    "sum(v[a = 2]) * v[b = argmax(v, over: b)]",
    "rotary(v)",
    "scan row in v with h: [b] = zeros, at: class(6) = 0 {
        next h = tanh(h + row * (1 + float(at)))
        next at = argmax(h, over: b)
        yield h
    }",
];

#[test]
fn gradients_of_what_moves_elements_are_finite_differences() {
    for movement in MOVEMENTS {
        let items = format!(
            "fn first(x) {{
                let a, _b = x
                a
            }}
            fn moved(v: [a, b]) {{
                {movement}
            }}
            layer probed(x: [n]) {{
                param w: [n] = ones
                let v: [a, b] = reshape(sin(3 * w + x), [4, 6])
                sum(sin(2 * moved(v)))
            }}"
        );
        law(movement, &model(24, &items, "all |> probed"));
    }
}

/// The step's new parameters are the old ones without the gradient: the rate is 1.
fn law(name: &str, model: &Model) {
    let train = differentiate(&model.steps[&Phase::Train]);
    let inputs: Vec<Tensor> = train
        .inputs
        .iter()
        .map(|input| counted(&input.ty))
        .collect();
    let slot = |slot: &nnc_compiler::graph::Slot| Tensor {
        ty: slot.ty.clone(),
        elements: (0..slot.ty.elements()).map(|i| 0.1 * i as f64).collect(),
    };
    let mut slots: Vec<Tensor> = model.slots.iter().map(slot).collect();
    let (at, _) = model
        .slots
        .iter()
        .enumerate()
        .find(|(_, slot)| slot.kind == SlotKind::Param && slot.path.ends_with("probed_1/w"))
        .unwrap();
    let results = eval(&train, &inputs, &slots, Precision::F64);
    let (_, next) = results
        .updates
        .iter()
        .find(|(slot, _)| slot.index() == at)
        .unwrap();
    let gradient: Vec<f64> = slots[at]
        .elements
        .iter()
        .zip(&next.elements)
        .map(|(old, new)| old - new)
        .collect();
    assert!(
        gradient.iter().any(|g| g.abs() > 1e-3),
        "{name} has no gradient"
    );
    const STEP: f64 = 1e-5;
    for (i, found) in gradient.iter().enumerate() {
        let mut loss = |by: f64| {
            let kept = slots[at].elements[i];
            slots[at].elements[i] = kept + by;
            let loss = eval(&train, &inputs, &slots, Precision::F64).outputs[0]
                .1
                .elements[0];
            slots[at].elements[i] = kept;
            loss
        };
        // Central differences are off by about STEP^2 and by roundings over STEP.
        let expected = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
        let far = (found - expected).abs();
        assert!(
            far < 1e-7 * (1.0 + expected.abs()),
            "{name}, element {i}: {found} is not {expected}"
        );
    }
}
