//! Every file of `models/` is compiled, makes a few training steps on little data, is judged,
//! applied, and makes its pictures. What each learns stands in `models/README.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod support;
#[path = "support/programs.rs"]
mod programs;

use nnc_compiler::target::Target;
use nnc_runtime::data::{self, Call, Dataset, Places, Request, Value};
use nnc_runtime::play::World;
use nnc_runtime::program::InputKind;
use nnc_runtime::train::{Event, Observer, PICTURES, Phase, Plan, Programs, Start, train};
use nnc_runtime::{Machine, Result};
use programs::Compiled;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use support::catalogue::calls;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
/// Samples of a step; as many again are trained on, and as many judged by.
const BATCH: usize = 4;
const STEPS: u64 = 2;

static STOP: AtomicBool = AtomicBool::new(false);

/// Without a `train` of its own nothing can be run; of these, others use the layers.
fn is_an_experiment(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("train"))
}

#[test]
fn every_model_trains_and_is_judged_and_applied() {
    let mut names: Vec<String> = fs::read_dir(MODELS)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".nn"))
        .collect();
    names.sort_unstable();
    assert!(names.len() > 20);
    let data = tempfile::tempdir().unwrap();
    photographs(&data.path().join("cifar-10-batches-bin"));
    let line = "What's to come is still unsure.\n";
    fs::write(data.path().join("input.txt"), line.repeat(1000)).unwrap();
    for name in &names {
        let text = fs::read_to_string(Path::new(MODELS).join(name)).unwrap();
        if is_an_experiment(&text) {
            let began = Instant::now();
            works(name, &made_small(name, text), data.path());
            eprintln!("{name}: {:.1} s", began.elapsed().as_secs_f64());
        }
    }
}

/// The same network of smaller images, where it would take long.
fn made_small(name: &str, mut text: String) -> String {
    if name == "vgg16.nn" {
        for (large, small) in [
            ("[3, 224, 224]", "[3, 32, 32]"),
            ("upsample2d(image, 7)", "image"),
            ("4096", "64"),
        ] {
            assert!(text.contains(large), "{large} in {name}");
            text = text.replace(large, small);
        }
    }
    text
}

fn works(name: &str, text: &str, files: &Path) {
    let model = Compiled::new(text, Target::host());
    let run = tempfile::tempdir().unwrap();
    let plan = Plan {
        batch: BATCH,
        epochs: 1,
        steps: Some(STEPS),
        seed: model.experiment.seed,
        threads: 2,
        directory: Some(run.path().to_path_buf()),
        start: Start::Fresh,
        early: None,
        stop: &STOP,
    };
    let mut losses = Losses::default();
    let pipeline = calls(&model.experiment.pipeline);
    let measures = match World::of_pipeline(&pipeline).unwrap() {
        Some(mut world) => {
            world.steps = STEPS as usize;
            world.episodes = 2;
            train(&model, &world, &plan, &mut losses).unwrap().test
        }
        None => {
            let data = little(pipeline, files);
            let outcome = train(&model, &data, &plan, &mut losses).unwrap();
            let applied = applied(&model, &data);
            assert!(!applied.is_empty(), "{name} predicts nothing");
            assert!(applied.iter().all(|x| x.is_finite()), "{name}: {applied:?}");
            outcome.test
        }
    };
    assert!(losses.0.len() >= STEPS as usize, "{name}: {:?}", losses.0);
    assert!(
        losses.0.iter().all(|loss| loss.is_finite()),
        "{name}: {:?}",
        losses.0
    );
    let measures = measures.unwrap();
    // R2 of equal targets and the like have no value on so little data; the loss always has.
    assert!(measures[0].1.is_finite(), "{name}: {measures:?}");
    let drawn = fs::read_dir(run.path().join(PICTURES)).map_or(0, Iterator::count);
    assert_eq!(drawn > 0, model.has_pictures(), "pictures of {name}");
}

/// A few samples of the model's own pipeline; drawn digits for real ones.
fn little(mut pipeline: Vec<Call>, files: &Path) -> Dataset {
    let count = 2 * BATCH as i64;
    if pipeline[0].name == "mnist" {
        pipeline[0] = Call::new("digits")
            .with("train", Value::Int(count))
            .with("test", Value::Int(count));
    }
    pipeline.push(Call::new("take").with("n", Value::Int(count)));
    let beside = pipeline[0].name == "csv";
    let mut request = Request {
        places: Places {
            model: beside.then(|| MODELS.into()),
            directory: (!beside).then(|| files.to_path_buf()),
        },
        offline: true,
        seed: 0,
        progress: &mut |_| {},
    };
    data::load(&pipeline, &mut request).unwrap()
}

/// Six files of photographs without a meaning, in CIFAR-10's form.
fn photographs(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let train = (1..=5).map(|number| format!("data_batch_{number}.bin"));
    for (number, name) in train.chain(["test_batch.bin".to_owned()]).enumerate() {
        let records = (0..2 * BATCH).flat_map(|record| {
            let label = [((record + number) % 10) as u8];
            let pixels = (0..3 * 32 * 32).map(move |i| (i * (record + 3) + number) as u8);
            label.into_iter().chain(pixels)
        });
        fs::write(folder.join(name), records.collect::<Vec<u8>>()).unwrap();
    }
}

/// What the freshly initialised net says of a batch.
fn applied(model: &Compiled, data: &Dataset) -> Vec<f32> {
    let mut machine = Machine::new(model.slots().clone(), 2).unwrap();
    let init = machine
        .load(model.program(Phase::Init, BATCH).unwrap())
        .unwrap();
    machine.set(init, &InputKind::Seed, 1_i32);
    machine.run(init);
    let predict = machine
        .load(model.program(Phase::Predict, BATCH).unwrap())
        .unwrap();
    machine.set(predict, &InputKind::Seed, 1_i32);
    let batch = &data.test.in_order()[..BATCH];
    machine.enter(|session| session.step_on(predict, &|rows| data.test.gather(batch, rows)));
    let output = machine.program(predict).outputs[0].name.clone();
    let found = machine.output::<f32>(predict, &output);
    found.unwrap().to_vec()
}

/// The losses of all steps.
#[derive(Default)]
struct Losses(Vec<f32>);

impl Observer for Losses {
    fn notice(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Step { loss, .. } = event {
            self.0.push(*loss);
        }
        Ok(())
    }
}
