//! Compiled steps beside the oracle: every optimiser and every loss of the library, and
//! random networks, on every instruction set that this machine has.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;
mod beside;
mod library;
mod random_network;

use beside::{Course, Expected, Programs, inputs};
use nnc_compiler::differentiate::differentiate;
use nnc_compiler::graph::Phase;
use nnc_compiler::target::{Isa, Target, Without};
use std::time::{Duration, Instant};
use support::load;

/// The instruction sets of this machine; the others are named.
fn isas() -> Vec<Isa> {
    let host = Target::host().isa;
    let (here, missing): (Vec<Isa>, Vec<Isa>) = Isa::ALL.into_iter().partition(|isa| *isa <= host);
    for isa in missing {
        eprintln!("skipped: this machine has no {isa}");
    }
    here
}

/// Whether programs for a batch make what the oracle makes, over some training steps.
#[track_caller]
fn follows_the_oracle(text: &str, batch: Option<usize>, steps: usize, seed: u64) {
    let (_, model) = load("model.nn", text, batch);
    let course = Course::of(&model, seed, steps);
    for isa in isas() {
        let faults = course.faults(&model, Target::host_with(isa)).join("\n");
        assert!(
            faults.is_empty(),
            "seed {seed}, {isa}:\n{faults}\n\nin\n{text}"
        );
    }
}

#[test]
fn every_optimizer_follows_the_oracle() {
    library::assert_complete(library::OPTIMIZERS, "optimizers.nn");
    for (optimizer, seed) in library::OPTIMIZERS.iter().zip(1..) {
        follows_the_oracle(&library::with_optimizer(optimizer), None, 3, seed);
    }
}

#[test]
fn every_loss_follows_the_oracle() {
    let losses: Vec<&str> = library::LOSSES.iter().map(|(_, loss)| *loss).collect();
    library::assert_complete(&losses, "losses.nn");
    for ((data, loss), seed) in library::LOSSES.iter().zip(1..) {
        follows_the_oracle(&library::with_loss(data, loss), None, 3, seed);
    }
}

/// Also where a step reads what the one before it has written.
#[test]
fn every_form_of_training_follows_the_oracle() {
    for (training, seed) in library::TRAININGS.iter().zip(1..) {
        follows_the_oracle(&library::with_training(training), None, 3, seed);
    }
}

#[test]
fn every_layer_follows_the_oracle() {
    let layers: Vec<&str> = library::LAYERS.iter().map(|(_, body)| *body).collect();
    for file in [
        "layers.nn",
        "convolutions.nn",
        "recurrent.nn",
        "norms.nn",
        "attention.nn",
    ] {
        library::assert_complete(&layers, file);
    }
    for ((shape, body), seed) in library::LAYERS.iter().zip(1..) {
        follows_the_oracle(&library::with_layer(shape, body), None, 2, seed);
    }
}

/// What the language can do with places: each in a network of its own.
#[test]
fn every_arrangement_follows_the_oracle() {
    for (body, seed) in [
        "let v: [t, d] = x\n reverse(v, over: d) * reverse(v, over: [t, d])",
        "let v: [t, d] = x\n stack([v, v * v, reverse(v, over: t)])",
        "let v: [t, d] = x\n dilate(v, over: [t, d], by: 3)",
        "let v: [t, d] = x\n stretch(v, over: [d, t], by: 2)",
        "let v: [t, d] = x\n gather(v, argmax(v, over: t), over: d)",
        "let v: [t, d] = x\n scatter(v, argmax(v, over: d), 6)",
        "let v: [t, d] = x\n cumsum(v, over: t) + cumsum(v, over: d)",
        "let v: [t, d] = x\n let best, at = top_k(v, 2, over: d)\n best * float(at)",
        "let v: [t, d] = x\n let p, q = split(v, 2, over: t) |> each(tanh)\n p * q",
        "let v: [t, d] = x\n einsum(\"t d, u d, t e -> u e\", v, v, v)",
        "let v: [t, d] = x\n let r = reshape(v, [2, 2, d])\n r @ reshape(v, [2, d, 2])",
    ]
    .into_iter()
    .zip(1..)
    {
        follows_the_oracle(&library::with_layer("[4, 6]", body), None, 2, seed);
    }
}

/// What a loop over time can carry, read and leave behind: each in a network of its own.
#[test]
fn every_form_of_scan_follows_the_oracle() {
    for (body, seed) in [
        // Several tensors, several yields, several carried values.
        "let v: [t, d] = x
         let a, b, m = scan p in v, q in 2 * v with h: [d] = 0.5, n: [] = 0 {
             next h = sin(h * p) + q
             next n = n + sum(h)
             yield h * n, n, h > p
         }
         where(m, a * b, a)",
        // Backwards, from a tensor, and the last values alone.
        "let v: [t, d] = x
         let h, n = scan reverse p in v with h = v[t = 0], n: [d] = ones {
             next n = n * h
             next h = tanh(h + p)
         }
         h + n",
        // Nothing carried; a product and a layer within.
        "let v: [t, d] = x
         scan p in v { yield p |> dense(3) |> tanh }",
        // Parameters, random numbers, masks and choices of each step.
        "let v: [t, d] = x
         scan p in v, m in v > 0 with h: [d] = zeros {
             param w: [d, d] = glorot_uniform
             next h = where(m, h, tanh(p + h @ w)) * bernoulli(0.7)
             yield h
         }",
        // Each step looks at all of another tensor.
        "let v: [t, d] = x
         scan p in v with h: [d] = zeros {
             let w = softmax(einsum(\"t d, d -> t\", v, h + p), over: t)
             next h = einsum(\"t, t d -> d\", w, v)
             yield h
         }",
        // A loop in a loop, and in a repetition.
        "let v: [t, d] = x
         v |> repeat 2 { rnn(4) } |> repeat 1 { doubly }",
        // What is carried does not depend on itself.
        "let v: [t, d] = x
         scan p in v with before: [d] = zeros {
             let change = p - before
             next before = p
             yield change^2
         }",
    ]
    .into_iter()
    .zip(1..)
    {
        let text = library::with_layer("[4, 6]", body)
            + "
layer doubly(x: [t, d]) -> [t, d] {
    scan p in x with h: [d] = zeros {
        next h = scan q in x with g: [d] = h { next g = sin(g + p * q) }
        yield h
    }
}
";
        follows_the_oracle(&text, None, 2, seed);
        follows_the_oracle(&text, Some(64), 1, seed);
    }
}

#[test]
fn every_initializer_follows_the_oracle() {
    library::assert_complete(library::INITIALIZERS, "initializers.nn");
    for (initializer, seed) in library::INITIALIZERS.iter().zip(1..) {
        follows_the_oracle(&library::with_initializer(initializer), None, 3, seed);
    }
}

/// Packed panels, blocks of several levels, long sums: what small networks do not reach.
#[test]
fn real_models_follow_the_oracle() {
    follows_the_oracle(include_str!("../../models/mnist_mlp.nn"), Some(5), 1, 1);
    follows_the_oracle(
        include_str!("../../models/mnist_keras_cnn.nn"),
        Some(3),
        1,
        2,
    );
    follows_the_oracle(include_str!("../../models/cifar_cnn.nn"), Some(1), 1, 3);
}

/// The oracle would take minutes for this one. Plain descent, because what makes steps of
/// equal length for great and small gradients magnifies the rounding of small ones.
#[test]
fn instruction_sets_agree_on_a_large_network() {
    let text = include_str!("../../models/mnist_cnn.nn").replace("adam(lr)", "sgd(lr)");
    for batch in [64, 37] {
        let (_, model) = load("mnist_cnn.nn", &text, Some(batch));
        let roundings = beside::roundings(&differentiate(&model.steps[&Phase::Train]));
        let made = isas().into_iter().map(|isa| {
            let mut programs = Programs::new(&model, Target::host_with(isa));
            programs.run(
                Phase::Init,
                &inputs(&model, Phase::Init, 1, 0),
                &beside::zeros(&model),
            );
            // The machine keeps what the initialisers have made.
            (
                isa,
                programs.run(Phase::Train, &inputs(&model, Phase::Train, 1, 1), &[]),
            )
        });
        let made: Vec<(Isa, Vec<Vec<f32>>)> = made.collect();
        for (isa, found) in &made[1..] {
            for (number, (portable, found)) in made[0].1.iter().zip(found).enumerate() {
                let expected = Expected {
                    name: format!("tensor {number}"),
                    exact: portable.iter().map(|&x| f64::from(x)).collect(),
                    noise: 0.0,
                    roundings,
                };
                let fault = expected.fault(found);
                assert!(fault.is_none(), "batch {batch}, {isa}: {}", fault.unwrap());
            }
        }
    }
}

/// What `nnc bench --without` leaves out costs time and nothing else.
#[test]
fn what_is_left_out_changes_no_result() {
    let of = |fusion, direct_convolution, sharing| Without {
        fusion,
        direct_convolution,
        sharing,
    };
    let ways = [
        of(true, false, false),
        of(false, true, false),
        of(false, false, true),
        of(true, true, true),
    ];
    let large = [
        (include_str!("../../models/mnist_keras_cnn.nn"), Some(3)),
        (include_str!("../../models/cifar_cnn.nn"), Some(1)),
    ];
    let large = large.map(|(text, batch)| (text.to_owned(), batch));
    let small = (0..12).map(|seed| (random_network::random_network(seed), None));
    for (text, batch) in large.into_iter().chain(small) {
        let (_, model) = load("model.nn", &text, batch);
        let course = Course::of(&model, 7, 1);
        for without in ways {
            let target = Target {
                without,
                ..Target::host()
            };
            let faults = course.faults(&model, target).join("\n");
            assert!(faults.is_empty(), "{without:?}:\n{faults}\n\nin\n{text}");
        }
    }
}

/// So many, or as many as fit into the time on a machine that has other things to do.
const NETWORKS: u64 = 100;
const TIME: Duration = Duration::from_secs(120);
/// Tried however long they take.
const LEAST: u64 = 30;

#[test]
fn random_networks_follow_the_oracle() {
    let clock = Instant::now();
    for seed in 0..NETWORKS {
        if seed >= LEAST && clock.elapsed() > TIME {
            eprintln!("time is up after {seed} of {NETWORKS} networks");
            break;
        }
        follows_the_oracle(&random_network::random_network(seed), None, 3, seed);
    }
}

/// Where a tensor has few elements, how far f32 takes the oracle may be next to nothing by luck.
#[test]
fn few_elements_follow_the_oracle() {
    for seed in 30..40 {
        let windows = library::with_layer("[2, 3, 4]", "x |> windows2d(2, 1, 1)");
        follows_the_oracle(&windows, None, 2, seed);
        let norm = library::with_layer("[3]", "x |> batch_norm");
        follows_the_oracle(&norm, Some(4), 2, seed);
    }
}
