//! What training programs mean: steps, gradients as values, frozen parts, copies,
//! penalties, the batch as an axis. Numbers are compared with formulas written out here.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::eval::{Results, eval};
use nnc_compiler::graph::{InputKind, Model, Phase, SlotKind, Step, Type};
use nnc_compiler::ops::{Precision, Tensor};
use support::compile;

/// Two samples of four numbers, and their targets.
const X: [f64; 8] = [0.5, -1.0, 0.25, 2.0, -0.75, 1.5, 1.0, -0.5];
const Y: [f64; 2] = [1.0, -2.0];

fn model(text: &str) -> Model {
    let (model, diagnostics, _) = compile("model.nn", text, &[]);
    let told: Vec<&String> = diagnostics.iter().map(|d| &d.message).collect();
    assert!(told.is_empty(), "{told:#?}");
    model.unwrap()
}

fn program(items: &str, train: &str) -> Model {
    model(&format!(
        "{items}
        train {{
            data   = linear(features: 4)
            batch  = 2
            epochs = 1
            {train}
        }}"
    ))
}

/// Runs a phase; parameters and states are given by path, all else is zero.
fn run(model: &Model, phase: Phase, slots: &[(&str, &[f64])]) -> Results {
    let step: Step = differentiate(&model.steps[&phase]);
    let filled = |ty: &Type, elements: &[f64]| Tensor {
        ty: ty.clone(),
        elements: elements.to_vec(),
    };
    let inputs = step.inputs.iter().map(|input| match &input.kind {
        InputKind::Field(name) if name == "x" => filled(&input.ty, &X),
        InputKind::Field(_) => filled(&input.ty, &Y),
        _ => filled(&input.ty, &[1.0]),
    });
    let inputs: Vec<Tensor> = inputs.collect();
    let slots = model.slots.iter().map(|slot| {
        let given = slots.iter().find(|(path, _)| *path == slot.path);
        match given {
            Some((_, elements)) => filled(&slot.ty, elements),
            None => filled(&slot.ty, &vec![0.0; slot.ty.elements()]),
        }
    });
    let slots: Vec<Tensor> = slots.collect();
    eval(&step, &inputs, &slots, Precision::F64)
}

fn update<'r>(model: &Model, results: &'r Results, path: &str) -> Option<&'r [f64]> {
    let found = results
        .updates
        .iter()
        .find(|(slot, _)| model.slots[slot.index()].path == path);
    found.map(|(_, tensor)| tensor.elements.as_slice())
}

fn output(results: &Results, name: &str) -> f64 {
    let found = results.outputs.iter().find(|(known, _)| known == name);
    found.unwrap().1.elements[0]
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
            "{found:?} is not {expected:?}"
        );
    }
}

/// Each sample with its target.
fn samples() -> impl Iterator<Item = (&'static [f64], f64)> {
    X.chunks(4).zip(Y)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

const TWO_NETS: &str = "
    net first(x: [4]) -> [] { param w: [4] = 0.5
        sum(w * x) }
    net second(x: [4]) -> [] { param v: [4] = 0.25
        sum(v * x) }";

#[test]
fn a_step_reads_weights_as_earlier_steps_left_them() {
    let model = program(
        TWO_NETS,
        "let a = first(x)
        step first with sgd(0.1) { minimize (a - y)^2 }
        step second with sgd(0.2) { minimize (first(x) * second(x) - y)^2 + a * second(x) }",
    );
    let (w, v) = ([0.3, -0.2, 0.7, 0.1], [1.0, 0.5, -0.25, 0.4]);
    let results = run(&model, Phase::Train, &[("first/w", &w), ("second/v", &v)]);
    let mut w_next = w;
    for (sample, y) in samples() {
        let a = dot(&w, sample);
        for (next, x) in w_next.iter_mut().zip(sample) {
            *next -= 0.1 * (a - y) * x;
        }
    }
    let (mut v_next, mut first_loss, mut second_loss) = (v, 0.0, 0.0);
    for (sample, y) in samples() {
        // What was bound above the step is as it was; what the step applies is new.
        let (old, new) = (dot(&w, sample), dot(&w_next, sample));
        let s = dot(&v, sample);
        first_loss += (old - y).powi(2) / 2.0;
        second_loss += ((new * s - y).powi(2) + old * s) / 2.0;
        for (next, x) in v_next.iter_mut().zip(sample) {
            *next -= 0.2 * ((new * s - y) * new + old / 2.0) * x;
        }
    }
    close(update(&model, &results, "first/w").unwrap(), &w_next);
    close(update(&model, &results, "second/v").unwrap(), &v_next);
    close(
        &["loss", "first_loss", "second_loss"].map(|name| output(&results, name)),
        &[first_loss + second_loss, first_loss, second_loss],
    );
    assert_eq!(model.experiment.metrics, ["first_loss", "second_loss"]);
    // Evaluation changes nothing, and sees one set of weights.
    let seen = run(&model, Phase::Eval, &[("first/w", &w), ("second/v", &v)]);
    assert!(update(&model, &seen, "first/w").is_none());
    assert_eq!(output(&seen, "first_loss"), first_loss);
}

#[test]
fn two_steps_can_train_the_same_net_each_with_its_own_states() {
    let model = program(
        TWO_NETS,
        "step first with sgd(0.1, momentum: 0.9) { minimize first(x) * y }
        step first with sgd(0.1, momentum: 0.5) { minimize (first(x) - 1)^2 + 0 * second(x) }
        step second with sgd(0.1) { minimize second(x) * y }",
    );
    let states: Vec<&str> = model
        .slots
        .iter()
        .filter(|slot| slot.kind == SlotKind::Optimizer)
        .map(|slot| slot.path.as_str())
        .collect();
    assert!(
        states.iter().any(|path| path.starts_with("sgd/")),
        "{states:?}"
    );
    assert!(
        states.iter().any(|path| path.starts_with("sgd_2/")),
        "{states:?}"
    );
    assert_eq!(
        model.experiment.metrics,
        ["first_loss", "first_loss_2", "second_loss"]
    );
    let w = [0.3, -0.2, 0.7, 0.1];
    let results = run(&model, Phase::Train, &[("first/w", &w)]);
    let mut next = w;
    for i in 0..2 {
        for (next, x) in next.iter_mut().zip(&X[4 * i..]) {
            *next -= 0.1 * Y[i] * x / 2.0;
        }
    }
    let between = next;
    for i in 0..2 {
        let sample = &X[4 * i..4 * i + 4];
        for (next, x) in next.iter_mut().zip(sample) {
            *next -= 0.1 * (dot(&between, sample) - 1.0) * x;
        }
    }
    close(update(&model, &results, "first/w").unwrap(), &next);
}

#[test]
fn a_gradient_is_a_value() {
    let model = program(
        "net cubic(x: [4]) -> [] { param w: [4] = 0.5
            sum(w * x * x * x) }",
        "optimizer = sgd(1)
        let slope = grad(cubic(x), x)
        minimize sum(slope * slope)",
    );
    let w = [0.3, -0.2, 0.7, 0.1];
    let results = run(&model, Phase::Train, &[("cubic/w", &w)]);
    // slope = 3 w x^2, for each sample its own; so the loss is 9 w^2 x^4.
    let (mut loss, mut next) = (0.0, w);
    for i in 0..8 {
        loss += 9.0 * w[i % 4].powi(2) * X[i].powi(4) / 2.0;
        next[i % 4] -= 9.0 * w[i % 4] * X[i].powi(4);
    }
    close(&[output(&results, "loss")], &[loss]);
    close(update(&model, &results, "cubic/w").unwrap(), &next);
}

#[test]
fn what_is_frozen_gets_no_gradient_and_runs_as_in_evaluation() {
    let model = program(
        "layer scaled(x: [n]) -> [n] {
            param scale: [n] = 2
            state seen: [n] = zeros
            update seen = lerp(seen, mean(x, over: batch), 0.5)
            x * scale - seen + (if training { 1 } else { 0 })
        }
        net whole(x: [4]) -> [] {
            param v: [4] = 0.5
            let body = scaled()
            sum(v * (x |> body))
        }",
        "optimizer = sgd(0.1)
        freeze    = \"whole/body/*\"
        minimize (whole(x) - y)^2",
    );
    let slots: [(&str, &[f64]); 3] = [
        ("whole/v", &[0.1, 0.2, 0.3, 0.4]),
        ("whole/body/scale", &[1.0, 2.0, 3.0, 4.0]),
        ("whole/body/seen", &[0.5, 0.5, 0.5, 0.5]),
    ];
    let train = run(&model, Phase::Train, &slots);
    assert!(update(&model, &train, "whole/v").is_some());
    assert!(update(&model, &train, "whole/body/scale").is_none());
    assert!(update(&model, &train, "whole/body/seen").is_none());
    let seen = run(&model, Phase::Eval, &slots);
    assert_eq!(output(&train, "loss"), output(&seen, "loss"));
}

#[test]
fn a_copy_starts_equal_and_follows_the_new_weights() {
    let model = program(
        TWO_NETS,
        "let target = copy(first)
        step first with sgd(0.1) { minimize (first(x) - target(x) * y)^2 }
        step second with sgd(0.1) { minimize second(x) * y }
        update target = lerp(target, first, 0.25)",
    );
    let slot = model.slots.iter().find(|slot| slot.path == "target/w");
    assert_eq!(slot.unwrap().kind, SlotKind::State);
    let first = run(&model, Phase::Init, &[]);
    assert_eq!(
        update(&model, &first, "target/w"),
        update(&model, &first, "first/w")
    );
    let (w, target) = ([0.3, -0.2, 0.7, 0.1], [0.5, 0.0, 0.25, -1.0]);
    let results = run(
        &model,
        Phase::Train,
        &[("first/w", &w), ("target/w", &target)],
    );
    let mut next = w;
    for i in 0..2 {
        let sample = &X[4 * i..4 * i + 4];
        let error = dot(&w, sample) - dot(&target, sample) * Y[i];
        for (next, x) in next.iter_mut().zip(sample) {
            *next -= 0.1 * error * x;
        }
    }
    close(update(&model, &results, "first/w").unwrap(), &next);
    let followed: Vec<f64> = (0..4)
        .map(|i| target[i] + 0.25 * (next[i] - target[i]))
        .collect();
    close(update(&model, &results, "target/w").unwrap(), &followed);
}

/// In training nothing reads it, and still it is kept up.
#[test]
fn an_average_of_weights_can_be_for_evaluation_alone() {
    let model = program(
        TWO_NETS,
        "optimizer = sgd(0.1)
        let average = copy(first)
        let output = if training { first(x) } else { average(x) }
        minimize (output - y)^2 + 0 * second(x)
        update average = lerp(average, first, 0.1)",
    );
    let w = [0.3, -0.2, 0.7, 0.1];
    let results = run(&model, Phase::Train, &[("first/w", &w)]);
    let next = update(&model, &results, "first/w").unwrap();
    let average: Vec<f64> = next.iter().map(|next| 0.1 * next).collect();
    close(update(&model, &results, "average/w").unwrap(), &average);
    let seen = run(
        &model,
        Phase::Eval,
        &[("average/w", &[0.0; 4]), ("first/w", &w)],
    );
    close(
        &[output(&seen, "loss")],
        &[(Y[0].powi(2) + Y[1].powi(2)) / 2.0],
    );
}

#[test]
fn gradients_are_held_within_their_limits() {
    let model = program(
        "net line(x: [4]) -> [] { param w: [4] = 0.5
            sum(w * x) }",
        "step line with sgd(1) {
            clip_value = 0.3
            minimize line(x)
        }",
    );
    let results = run(&model, Phase::Train, &[]);
    let expected: Vec<f64> = (0..4)
        .map(|i| -((X[i] + X[i + 4]) / 2.0).clamp(-0.3, 0.3))
        .collect();
    close(update(&model, &results, "line/w").unwrap(), &expected);
}

#[test]
fn penalties_are_taken_of_all_parameters() {
    let model = program(
        "net line(x: [4]) -> [] { x |> dense(2) |> dense(1) |> reshape([]) }",
        "optimizer = sgd(1)
        minimize 0 * line(x) * y + 0.5 * l2_penalty(line) + 0.25 * l1_penalty(line)",
    );
    let w = [0.3, -0.2, 0.7, 0.1, 0.5, -0.5, 1.0, 2.0];
    let results = run(
        &model,
        Phase::Train,
        &[("line/dense_1/w", &w), ("line/dense_2/b", &[-3.0])],
    );
    let squares: f64 = w.iter().map(|w| w * w).sum::<f64>() + 9.0;
    let magnitudes: f64 = w.iter().map(|w| w.abs()).sum::<f64>() + 3.0;
    close(
        &[output(&results, "loss")],
        &[0.5 * squares + 0.25 * magnitudes],
    );
    let next: Vec<f64> = w.iter().map(|w| w - w - 0.25 * w.signum()).collect();
    close(update(&model, &results, "line/dense_1/w").unwrap(), &next);
}

#[test]
fn samples_see_the_whole_batch() {
    let model = program(
        "net line(x: [4]) -> [4] { param w: [4] = 0.5
            w * x }",
        "optimizer = sgd(1)
        let own: [d] = line(x)
        let all: [n, d] = all_samples(own)
        let likeness = einsum(\"d, n d -> n\", own, all)
        minimize cross_entropy(likeness, index(own, over: batch)) + 0 * y",
    );
    let w = [0.3, -0.2, 0.7, 0.1];
    let results = run(&model, Phase::Train, &[("line/w", &w)]);
    let z: Vec<f64> = (0..8).map(|i| w[i % 4] * X[i]).collect();
    let mut loss = 0.0;
    for i in 0..2 {
        let likeness: Vec<f64> = (0..2)
            .map(|j| dot(&z[4 * i..4 * i + 4], &z[4 * j..]))
            .collect();
        let sum: f64 = likeness.iter().map(|s| s.exp()).sum();
        loss += (sum.ln() - likeness[i]) / 2.0;
    }
    close(&[output(&results, "loss")], &[loss]);
}

#[test]
fn saved_weights_find_their_places() {
    let model = model(
        "net digits(image: [1, 28, 28]) -> [10] {
            let hidden = dense(32)
            image |> flatten |> hidden |> relu |> dense(10)
        }
        train {
            data      = mnist()
            batch     = 2
            epochs    = 1
            optimizer = sgd(0.1)
            init      = weights(\"saved.safetensors\", from: \"net\", into: \"digits\")
            let average = copy(digits)
            minimize cross_entropy(digits(image), label) + 0 * sum(average(image))
            update average = lerp(average, digits, 0.1)
        }",
    );
    let saved = &model.experiment.saved[0];
    let fills: Vec<(&str, &str)> = saved
        .fills
        .iter()
        .map(|(tensor, slot)| (tensor.as_str(), slot.as_str()))
        .collect();
    assert_eq!(
        fills,
        [
            ("net/hidden/w", "digits/hidden/w"),
            ("net/hidden/b", "digits/hidden/b"),
            ("net/dense_1/b", "digits/dense_1/b"),
            ("net/hidden/w", "average/hidden/w"),
            ("net/hidden/b", "average/hidden/b"),
            ("net/dense_1/b", "average/dense_1/b"),
        ]
    );
    assert_eq!(saved.missing, ["digits/dense_1/w"]);
    assert_eq!(saved.left, ["net/dense_2/w"]);
}

#[test]
fn another_files_items_are_there_to_be_used() {
    let text = |own: &str| {
        format!(
            "use \"used/blocks.nn\"
            {own}
            net digits(image: [1, 28, 28]) -> [10] {{ image |> encoder |> block(16) |> dense(10) }}
            train {{
                data      = mnist()
                batch     = 2
                epochs    = 1
                optimizer = sgd(0.1)
                minimize cross_entropy(digits(image), label)
            }}"
        )
    };
    let paths = |text: &str| -> Vec<String> {
        let slots = model(text).slots;
        slots.into_iter().map(|slot| slot.path).collect()
    };
    let used = paths(&text(""));
    assert!(
        used.contains(&"digits/encoder/block_1/dense_1/w".to_owned()),
        "{used:?}"
    );
    // An item of one's own hides the other file's, but not from that file.
    let own = "layer block(units: int)(x: [n]) { x |> dense(units, bias: false) }";
    let used = paths(&text(own));
    assert!(
        used.contains(&"digits/encoder/block_1/dense_1/b".to_owned()),
        "{used:?}"
    );
    assert!(
        !used.contains(&"digits/block_1/dense_1/b".to_owned()),
        "{used:?}"
    );
}

#[test]
fn numbers_of_an_optimizer_may_be_schedules() {
    let model = program(
        "net plane(x: [n]) -> [] { x |> dense(1, bias: false) |> reshape([]) }",
        "optimizer = sgd(0.5, momentum: linear(0.4, steps: 2, final: 0.8), weight_decay: 0.1 * step)
        minimize plane(x) + 0 * y",
    );
    let (w, v) = ([1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 0.25, 1.0]);
    let slots: [(&str, &[f64]); 2] = [("plane/dense_1/w", &w), ("sgd/v:plane/dense_1/w", &v)];
    let results = run(&model, Phase::Train, &slots);
    let next = update(&model, &results, "plane/dense_1/w").unwrap();
    for i in 0..4 {
        // At the first step the momentum is half way from 0.4 to 0.8.
        let gradient = (X[i] + X[4 + i]) / 2.0 + 0.1 * w[i];
        close(&next[i..=i], &[w[i] - 0.5 * (0.6 * v[i] + gradient)]);
    }
}

#[test]
fn gradients_by_all_parameters_are_a_list() {
    let model = program(
        "net plane(x: [n]) -> [] { x |> dense(1, bias: false) |> reshape([]) }",
        "optimizer = sgd(1.0)
        let loss = plane(x)^2 + 0 * y
        minimize sum(each(grad(loss, parameters(plane)), square))",
    );
    let w = [1.0, 2.0, 3.0, 4.0];
    let results = run(&model, Phase::Train, &[("plane/dense_1/w", &w)]);
    // The loss is w M w with M the mean of x x^T, its gradient 2 M w, of whose square that is 8 M M w.
    let times = |v: [f64; 4]| -> [f64; 4] {
        let products = [0, 4].map(|b| (0..4).map(|j| X[b + j] * v[j]).sum::<f64>());
        std::array::from_fn(|i| (products[0] * X[i] + products[1] * X[4 + i]) / 2.0)
    };
    let expected = times(times(w));
    let next = update(&model, &results, "plane/dense_1/w").unwrap();
    for i in 0..4 {
        close(&next[i..=i], &[w[i] - 8.0 * expected[i]]);
    }
}
