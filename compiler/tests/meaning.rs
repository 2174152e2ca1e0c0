//! What programs mean: names, paths, axes, overrides, and the numbers that come out.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::eval::eval;
use nnc_compiler::graph::{Model, Phase, SlotKind};
use nnc_compiler::ops::{Precision, Tensor};
use support::compile;

/// A program around a net that reads four numbers; another one has a parameter in any case.
fn program(items: &str, body: &str) -> String {
    format!(
        "{items}
        net model(x: [4]) {{
            {body}
        }}
        train {{
            data      = linear(features: 4)
            batch     = 2
            epochs    = 1
            optimizer = sgd(0.1)
            minimize mean(model(x)) + mean(aside(x)) + 0 * y
        }}
        net aside(x: [4]) {{ x |> dense(1) }}"
    )
}

fn model(text: &str, sets: &[(&str, &str)]) -> Model {
    let (model, diagnostics, _) = compile("model.nn", text, sets);
    let errors: Vec<&String> = diagnostics.iter().map(|d| &d.message).collect();
    model.unwrap_or_else(|| panic!("{errors:#?}"))
}

/// The net's result for two samples, all parameters being 1, 2, 3, ...
fn result(text: &str) -> Vec<f64> {
    let model = model(text, &[]);
    let step = &model.steps[&Phase::Predict];
    let counted = |ty: &nnc_compiler::graph::Type| {
        let elements = (0..ty.elements()).map(|i| (i + 1) as f64);
        Tensor {
            ty: ty.clone(),
            elements: elements.collect(),
        }
    };
    let inputs: Vec<Tensor> = step.inputs.iter().map(|input| counted(&input.ty)).collect();
    let slots: Vec<Tensor> = model.slots.iter().map(|slot| counted(&slot.ty)).collect();
    eval(step, &inputs, &slots, Precision::F64).outputs[0]
        .1
        .elements
        .clone()
}

fn parameters(model: &Model) -> Vec<&str> {
    let slots = model
        .slots
        .iter()
        .filter(|slot| slot.kind == SlotKind::Param);
    let paths = slots.map(|slot| slot.path.as_str());
    paths.filter(|path| path.starts_with("model/")).collect()
}

#[test]
fn an_instance_that_is_used_twice_shares_its_parameters() {
    let text = program(
        "",
        "let enc = dense(4, bias: false)\n x |> enc |> tanh |> enc |> dense(4, bias: false)",
    );
    assert_eq!(
        parameters(&model(&text, &[])),
        ["model/enc/w", "model/dense_1/w"]
    );
}

#[test]
fn parts_are_numbered_within_their_owner() {
    let block = "layer block(x: [n]) -> [n] { x |> dense(n, bias: false) |> relu |> dense(n, bias: false) }";
    let text = program(block, "x |> repeat 2 { block() } |> dense(1, bias: false)");
    assert_eq!(
        parameters(&model(&text, &[])),
        [
            "model/block_1/dense_1/w",
            "model/block_1/dense_2/w",
            "model/block_2/dense_1/w",
            "model/block_2/dense_2/w",
            "model/dense_1/w",
        ]
    );
}

#[test]
fn overrides_reach_what_is_derived() {
    let text = program(
        "const width = 8\nconst half = width / 2",
        "x |> dense(half)",
    );
    let shape = |sets: &[(&str, &str)]| {
        let model = model(&text, sets);
        (
            model.slots[0].ty.shape.clone(),
            model.experiment.batch,
            model.experiment.constants,
        )
    };
    let constants = |width: &str, half: &str| {
        vec![
            ("half".to_owned(), half.to_owned()),
            ("width".to_owned(), width.to_owned()),
        ]
    };
    assert_eq!(shape(&[]), (vec![4, 4], 2, constants("8", "4")));
    assert_eq!(
        shape(&[("width", "20"), ("batch", "5")]),
        (vec![4, 10], 5, constants("20", "10"))
    );
}

#[test]
fn a_lower_rank_meets_a_higher_one_by_name() {
    // x is [1..4] and [5..8]; as rows of two, the scale 1, 2 goes down or across.
    let scaled = |axis: &str| {
        let layer =
            format!("layer scaled(x: [h, w]) -> [h, w] {{ param by: [{axis}] = ones\n x * by }}");
        result(&program(
            &layer,
            "x |> reshape([2, 2]) |> scaled |> flatten",
        ))
    };
    assert_eq!(scaled("h"), [1.0, 2.0, 6.0, 8.0, 5.0, 6.0, 14.0, 16.0]);
    assert_eq!(scaled("w"), [1.0, 4.0, 3.0, 8.0, 5.0, 12.0, 7.0, 16.0]);
}

#[test]
fn parts_that_are_joined_may_differ_along_their_axis_in_size_and_name() {
    let vectors = "let v: [n] = x
        let a: [p] = slice(v, over: n, from: 0, to: 3)
        let b: [q] = slice(v, over: n, from: 1, to: 2)
        concat([a, b], over: p)";
    let expected = [1.0, 2.0, 3.0, 2.0, 5.0, 6.0, 7.0, 6.0];
    assert_eq!(result(&program("", vectors)), expected);
    // The second part has the name; the result has it then.
    let rows = "let rows: [t, d] = reshape(x, [2, 2])
        let token: [1, d] = fill(9, [1, 2])
        sum(concat([token, rows], over: t), over: t)";
    assert_eq!(result(&program("", rows)), [13.0, 15.0, 21.0, 23.0]);
    let both = "let rows: [t, d] = reshape(x, [2, 2])
        rows |> bidirectional(lstm(3), gru(2, reverse: true)) |> flatten";
    assert_eq!(result(&program("", both)).len(), 2 * 2 * 5);
}

#[test]
fn axes_keep_their_names_through_calls() {
    let text = |over: &str| {
        program(
            "",
            &format!(
                "let m: [a, b] = reshape(x, [2, 2])\n sum(exp(0 * softmax(m, over: a)) * m, over: {over})"
            ),
        )
    };
    // exp(0 * ...) is 1: what remains is the sum over one axis of [[1, 2], [3, 4]].
    assert_eq!(result(&text("a"))[..2], [4.0, 6.0]);
    assert_eq!(result(&text("b"))[..2], [3.0, 7.0]);
}

#[test]
fn windows_cut_and_pads_fill() {
    let sums = "let v: [n] = x\n v |> pad(over: n, before: 1, after: 1, value: 10.0) |> windows(over: n, size: 3, stride: 2)";
    let text = program(
        "",
        &format!("let s: [i, k] = {{ {sums} }}\n sum(s, over: k)"),
    );
    // 10 1 2 | 2 3 4, and 10 5 6 | 6 7 8.
    assert_eq!(result(&text), [13.0, 9.0, 21.0, 21.0]);
}

#[test]
fn selections_take_single_elements() {
    let body = "let v: [n] = x\n let m: [a, b] = reshape(x, [2, 2])\n v[n = 2] * m[a = 1, b = 0]";
    assert_eq!(result(&program("", body)), [9.0, 49.0]);
}

#[test]
fn products_are_said_by_axes() {
    let body = "let m: [a, b] = reshape(x, [2, 2])\n flatten()(einsum(\"i j, k j -> k i\", m, m))";
    // m m^T of [[1, 2], [3, 4]] and [[5, 6], [7, 8]].
    assert_eq!(
        result(&program("", body)),
        [5.0, 11.0, 11.0, 25.0, 61.0, 83.0, 83.0, 113.0]
    );
}

#[test]
fn elements_are_put_elsewhere() {
    let of = |body: &str| result(&program("", &format!("let v: [n] = x\n {body}")))[..].to_vec();
    let first = |body: &str| {
        let all = of(body);
        all[..all.len() / 2].to_vec()
    };
    assert_eq!(first("reverse(v, over: n)"), [4.0, 3.0, 2.0, 1.0]);
    assert_eq!(
        first("dilate(v, over: n, by: 2)"),
        [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0]
    );
    assert_eq!(
        first("stretch(v, over: n, by: 2)"),
        [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
    );
    assert_eq!(
        first("flatten()(stack([v, 10 * v]))"),
        [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]
    );
    assert_eq!(first("cumsum(v, over: n)"), [1.0, 3.0, 6.0, 10.0]);
    assert_eq!(first("v + fill(5, [n])"), [6.0, 7.0, 8.0, 9.0]);
    let parts = "let a, b = split(v, 2, over: n) |> each(exp)\n log(a) * log(b)";
    for (found, expected) in first(parts).into_iter().zip([3.0, 8.0]) {
        assert!((found - expected).abs() < 1e-12);
    }
}

#[test]
fn places_are_read_and_added_to() {
    // Of the table [[1, 2], [3, 4], [5, 6]] the row that is the greatest element's place.
    let table = "param w: [k, d] = zeros";
    let layer =
        format!("layer rows(x: [t, k], d) {{ {table}\n gather(w, argmax(x, over: k), over: k) }}");
    let text = program(&layer, "x |> reshape([2, 2]) |> rows(2) |> flatten");
    assert_eq!(result(&text)[..4], [3.0, 4.0, 3.0, 4.0]);
    let sums = "let m: [t, k] = reshape(x, [2, 2])\n flatten()(scatter(m, argmax(m, over: k), 3))";
    assert_eq!(
        result(&program("", sums))[..6],
        [0.0, 0.0, 4.0, 6.0, 0.0, 0.0]
    );
    let greatest =
        "let v: [n] = 3 - abs(x - 2)\n let best, at = top_k(v, 3)\n best * 10 + float(at)";
    // 2 3 2 1: the first of equals comes first.
    assert_eq!(result(&program("", greatest))[..3], [31.0, 20.0, 22.0]);
}

#[test]
fn products_take_any_number_of_tensors() {
    let two = "let m: [a, b] = reshape(x, [2, 2])\n flatten()(einsum(\"i j, j k -> i k\", einsum(\"i j, j k -> i k\", m, m), m))";
    let three =
        "let m: [a, b] = reshape(x, [2, 2])\n flatten()(einsum(\"i j, j k, k l -> i l\", m, m, m))";
    assert_eq!(result(&program("", two)), result(&program("", three)));
    let batched = "let m = reshape(x, [2, 1, 2])\n flatten()(m @ reshape(x, [2, 2, 1]))";
    assert_eq!(result(&program("", batched))[..2], [5.0, 25.0]);
}

#[test]
fn an_even_same_padding_keeps_the_size() {
    let model = model(
        "net model(image: [1, 28, 28]) -> [2, 14, 14] { image |> conv2d(2, kernel: 4, stride: 2, padding: \"same\") }
        train {
            data = mnist()
            batch = 1
            epochs = 1
            optimizer = sgd(0.1)
            minimize mean(model(image))
            report accuracy(one_hot(label), label)
        }",
        &[],
    );
    assert_eq!(model.experiment.output, [2, 14, 14]);
}

/// A name of the library that the user's file defines means the user's there, and
/// stays what it was within the library.
#[test]
fn hiding_a_name_changes_only_ones_own_text() {
    let text = program("fn relu(x) { x * 100 }", "x |> relu");
    assert_eq!(result(&text)[0], 100.0);
    let within = program(
        "fn exp(x) { 7 }\nfn max(x, over: axes = [..]) { 3 }",
        "x |> log_softmax",
    );
    let proportions: f64 = result(&within)[..4].iter().map(|x| x.exp()).sum();
    assert!((proportions - 1.0).abs() < 1e-12);
}

/// A mean a thousand times the distances from it leaves these their digits, in f32, whatever
/// batches they come in.
#[test]
fn a_spread_is_that_around_the_mean_of_the_whole_pass() {
    let report = "sgd(0.1)\n report spread: total_spread(y), explained: r2(y + 1, y)";
    let text = program("", "x |> dense(1)").replace("sgd(0.1)", report);
    let model = model(&text, &[]);
    let batches = [
        [300_000.0, 300_065.0],
        [299_900.0, 300_001.0],
        [300_120.0, 299_950.0],
    ];
    let zeros = |ty: &nnc_compiler::graph::Type| Tensor {
        ty: ty.clone(),
        elements: vec![0.0; ty.elements()],
    };
    let mut slots: Vec<Tensor> = model.slots.iter().map(|slot| zeros(&slot.ty)).collect();
    let step = &model.steps[&Phase::Eval];
    for batch in batches {
        let inputs = step.inputs.iter().map(|input| match input.ty.shape.len() {
            1 => Tensor {
                ty: input.ty.clone(),
                elements: batch.to_vec(),
            },
            _ => zeros(&input.ty),
        });
        let inputs: Vec<Tensor> = inputs.collect();
        for (slot, next) in eval(step, &inputs, &slots, Precision::F32).updates {
            slots[slot.index()] = next;
        }
    }
    let found = eval(&model.steps[&Phase::Metrics], &[], &slots, Precision::F32).outputs;
    let of = |name: &str| {
        found
            .iter()
            .find(|(other, _)| other == name)
            .unwrap()
            .1
            .elements[0]
    };
    let all: Vec<f64> = batches.concat();
    let mean = all.iter().sum::<f64>() / 6.0;
    let spread: f64 = all.iter().map(|y| (y - mean).powi(2)).sum();
    assert!(
        (of("spread") / spread - 1.0).abs() < 1e-3,
        "{} {spread}",
        of("spread")
    );
    let explained = 1.0 - 6.0 / spread;
    assert!(
        (of("explained") - explained).abs() < 1e-5,
        "{} {explained}",
        of("explained")
    );
}

/// A running mean that forgets all at once needs no correction.
#[test]
fn adam_takes_betas_of_zero() {
    for optimizer in [
        "adam(0.1, beta1: 0)",
        "adam(0.1, beta2: 0.0)",
        "adamw(0.1, beta1: 0.0)",
    ] {
        let text = program("", "x |> dense(1)").replace("sgd(0.1)", optimizer);
        assert!(model(&text, &[]).steps.contains_key(&Phase::Train));
    }
}
