//! Whole training runs of compiled networks: they learn, on any number of threads in the
//! same way, and go on where they were stopped.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod support;
#[path = "support/programs.rs"]
mod programs;

use nnc_compiler::target::Target;
use nnc_runtime::data::{self, Dataset, Request};
use nnc_runtime::program::Launch;
use nnc_runtime::train::{CHECKPOINT, METRICS, WEIGHTS};
use nnc_runtime::train::{Ending, Measures, Phase, Plan, Programs, Start, train};
use programs::Compiled;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use support::catalogue::calls;

const MLP: &str = include_str!("../models/mnist_mlp.nn");

const CNN: &str = "
net cnn(image: [1, 28, 28]) -> [10] {
    image
    |> conv2d(8, kernel: 3, padding: 1) |> relu |> max_pool2d(2)
    |> conv2d(16, kernel: 3) |> relu |> max_pool2d(2)
    |> dropout(0.25) |> flatten |> dense(10)
}

train {
    data      = mnist()
    batch     = 32
    epochs    = 2
    optimizer = adam(3e-3)
    let logits = cnn(image)
    minimize cross_entropy(logits, label)
    report   accuracy(logits, label), f1(logits, label)
}
";

/// Samples that look different in every epoch, and steps that become smaller with it.
fn changing() -> Compiled {
    let changes = "mnist() |> random_crop(padding: 2) |> flip() |> rotate(degrees: 10) \
        |> noise(std: 0.1) |> cutout(size: 4)";
    let text = CNN
        .replace("mnist()", changes)
        .replace("adam(3e-3)", "adam(3e-3 * 0.5^(epoch - 1))");
    short(&text)
}

/// A network on synthetic digits instead of the real ones.
fn on_digits(text: &str, train: usize, test: usize) -> Compiled {
    let digits = format!("digits(train: {train}, test: {test})");
    assert!(text.contains("mnist()"));
    Compiled::new(&text.replace("mnist()", &digits), Target::host())
}

fn data(model: &Compiled) -> Dataset {
    let mut request = Request {
        places: Default::default(),
        offline: true,
        seed: model.experiment.seed,
        progress: &mut |_| {},
    };
    data::load(&calls(&model.experiment.pipeline), &mut request).unwrap()
}

static GO_ON: AtomicBool = AtomicBool::new(false);

/// As the model says, on two threads, leaving nothing behind.
fn plan(model: &Compiled) -> Plan<'static> {
    Plan {
        batch: model.experiment.batch,
        epochs: model.experiment.epochs,
        steps: None,
        seed: model.experiment.seed,
        threads: 2,
        directory: None,
        start: Start::Fresh,
        early: None,
        stop: &GO_ON,
    }
}

fn accuracy(measures: &Measures) -> f32 {
    measures
        .iter()
        .find(|(name, _)| name == "accuracy")
        .unwrap()
        .1
}

#[test]
fn networks_learn_synthetic_digits() {
    for (text, epochs, least) in [(MLP, 2, 0.95), (CNN, 2, 0.97)] {
        let model = on_digits(text, 12_000, 2000);
        let plan = Plan {
            epochs,
            ..plan(&model)
        };
        let outcome = train(&model, &data(&model), &plan, &mut ()).unwrap();
        assert_eq!(outcome.ending, Ending::Finished);
        let reached = accuracy(&outcome.test.unwrap());
        eprintln!("{}: {reached}", model.experiment.net);
        assert!(reached >= least, "{}: {reached}", model.experiment.net);
    }
}

#[test]
fn real_digits_are_learnt() {
    if std::env::var_os("NNC_DATA").is_none() {
        eprintln!("skipped: set NNC_DATA to the folder of the data sets");
        return;
    }
    let model = Compiled::new(MLP, Target::host());
    let data = data(&model);
    assert!(!data.provenance.is_substitute(), "{}", data.provenance);
    let plan = Plan {
        epochs: 1,
        ..plan(&model)
    };
    let outcome = train(&model, &data, &plan, &mut ()).unwrap();
    let reached = accuracy(&outcome.test.unwrap());
    eprintln!("{}: {reached}", model.experiment.net);
    assert!(reached >= 0.93, "{reached}");
}

const FILES: [&str; 3] = [WEIGHTS, CHECKPOINT, METRICS];

/// What a run leaves behind, byte by byte.
fn files(model: &Compiled, data: &Dataset, plan: &Plan<'_>) -> [Vec<u8>; 3] {
    let directory = tempfile::tempdir().unwrap();
    let plan = Plan {
        directory: Some(directory.path().to_path_buf()),
        ..plan.clone()
    };
    train(model, data, &plan, &mut ()).unwrap();
    read(directory.path())
}

fn read(directory: &Path) -> [Vec<u8>; 3] {
    FILES.map(|name| fs::read(directory.join(name)).unwrap())
}

/// Two epochs of five whole batches and a smaller one.
fn short_run(model: &Compiled) -> Plan<'static> {
    Plan {
        batch: 32,
        epochs: 2,
        ..plan(model)
    }
}

fn short(text: &str) -> Compiled {
    on_digits(text, 177, 70)
}

#[test]
fn runs_do_not_depend_on_the_number_of_threads() {
    for model in [short(MLP), short(CNN), changing()] {
        let run = short_run(&model);
        let launches = model
            .program(Phase::Train, run.batch)
            .unwrap()
            .launches
            .clone();
        let divided = |launch: &Launch| launch.parallel && launch.tasks >= 8;
        assert!(launches.iter().any(divided), "nothing is divided");
        let data = data(&model);
        let alone = files(
            &model,
            &data,
            &Plan {
                threads: 1,
                ..run.clone()
            },
        );
        for threads in [2, 3, 8] {
            let together = files(
                &model,
                &data,
                &Plan {
                    threads,
                    ..run.clone()
                },
            );
            assert_same(
                &together,
                &alone,
                &format!("{} on {threads} threads", model.experiment.net),
            );
        }
    }
}

#[track_caller]
fn assert_same(found: &[Vec<u8>; 3], expected: &[Vec<u8>; 3], what: &str) {
    for (i, name) in FILES.iter().enumerate() {
        assert!(found[i] == expected[i], "{name} of {what}");
    }
}

#[test]
fn a_resumed_run_is_as_if_never_stopped() {
    for model in [short(MLP), short(CNN), changing()] {
        let data = data(&model);
        let whole = short_run(&model);
        let expected = files(&model, &data, &whole);
        // Within an epoch, before its smaller last step, at its end.
        for steps in [2, 5, 6] {
            let directory = tempfile::tempdir().unwrap();
            let first = Plan {
                steps: Some(steps),
                directory: Some(directory.path().to_path_buf()),
                ..whole.clone()
            };
            let outcome = train(&model, &data, &first, &mut ()).unwrap();
            assert_eq!((outcome.ending, outcome.step), (Ending::StepLimit, steps));
            let second = Plan {
                steps: None,
                start: Start::Resume(directory.path().join(CHECKPOINT)),
                ..first
            };
            train(&model, &data, &second, &mut ()).unwrap();
            let what = format!("{} after {steps} steps", model.experiment.net);
            assert_same(&read(directory.path()), &expected, &what);
        }
    }
}

#[test]
fn a_schedule_may_go_by_the_epoch() {
    let weights = |rate: &str, epochs| {
        let text = MLP.replace("adam(lr)", &format!("sgd({rate})"));
        let model = short(&text);
        let plan = Plan {
            epochs,
            ..short_run(&model)
        };
        let [weights, _, _] = files(&model, &data(&model), &plan);
        weights
    };
    // The second epoch has a rate of 0, so it changes nothing.
    let first_only = "0.1 * maximum(2 - epoch, 0)";
    assert!(weights(first_only, 1) == weights(first_only, 2));
    assert!(weights("0.1", 1) != weights("0.1", 2));
}
