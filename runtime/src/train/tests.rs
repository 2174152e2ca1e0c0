//! The whole loop on a model of two numbers whose programs are written by hand.
#![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

mod early;

use super::*;
use crate::data::{self, Call, Dataset, Request, Value};
use crate::program::{
    Element, InputBinding, InputKind, KernelFn, Launch, OutputBinding, Place, Region, SlotBinding,
};
use std::fs;

// y = w x + b under squared error, by descent with momentum. All kernels take all
// places; a launch's number of tasks is the batch.
//   0 x, 1 y, 2 seed, 3 rate (inputs); 4 w, 5 momentum, 6 totals (slots); 7 residuals, 8 results (arena)

unsafe fn at<T>(args: *const *mut u8, place: usize, index: u64) -> &'static mut T {
    unsafe { &mut *(*args.add(place)).cast::<T>().add(index as usize) }
}

unsafe extern "C" fn initialize(args: *const *mut u8, _: u64, _: u64) {
    unsafe {
        *at::<f32>(args, 4, 0) = *at::<i32>(args, 2, 0) as f32 / (1_u64 << 31) as f32;
        *at::<f32>(args, 4, 1) = 0.5;
    }
}

unsafe extern "C" fn residuals(args: *const *mut u8, begin: u64, end: u64) {
    for i in begin..end {
        unsafe {
            let predicted =
                *at::<f32>(args, 4, 0) * *at::<f32>(args, 0, i) + *at::<f32>(args, 4, 1);
            *at::<f32>(args, 7, i) = predicted - *at::<f32>(args, 1, i);
        }
    }
}

unsafe extern "C" fn losses(args: *const *mut u8, _: u64, batch: u64) {
    unsafe {
        let sum: f32 = (0..batch).map(|i| at::<f32>(args, 7, i).powi(2)).sum();
        *at::<f32>(args, 8, 0) = sum / batch as f32;
        *at::<f32>(args, 6, 0) += sum;
        *at::<f32>(args, 6, 1) += batch as f32;
    }
}

unsafe extern "C" fn descend(args: *const *mut u8, _: u64, batch: u64) {
    unsafe {
        // The seed plays dropout: it disturbs every step a little.
        let noise = *at::<i32>(args, 2, 0) as f32 * 1e-12;
        for (k, input) in [(0, true), (1, false)] {
            let slope: f32 = (0..batch)
                .map(|i| *at::<f32>(args, 7, i) * if input { *at::<f32>(args, 0, i) } else { 1.0 })
                .sum();
            let momentum = at::<f32>(args, 5, k);
            *momentum = 0.5 * *momentum + 2.0 * slope / batch as f32 + noise;
            *at::<f32>(args, 4, k) -= 0.05 * *momentum;
        }
    }
}

unsafe extern "C" fn explode(args: *const *mut u8, _: u64, _: u64) {
    unsafe { *at::<f32>(args, 8, 0) = f32::NAN };
}

unsafe extern "C" fn metrics(args: *const *mut u8, _: u64, _: u64) {
    unsafe {
        let loss = *at::<f32>(args, 6, 0) / *at::<f32>(args, 6, 1);
        *at::<f32>(args, 8, 0) = loss;
        *at::<f32>(args, 8, 1) = loss.sqrt();
        *at::<f32>(args, 8, 2) = *at::<f32>(args, 6, 1);
    }
}

struct Line {
    table: SlotTable,
    /// A step at which the loss becomes NaN.
    poisoned: bool,
}

impl Line {
    fn new() -> Line {
        let slot = |path: &str, kind, offset| SlotBinding {
            path: path.into(),
            kind,
            element: Element::F32,
            shape: vec![2],
            offset,
        };
        Line {
            table: SlotTable {
                slots: vec![
                    slot("line/w", SlotKind::Param, 0),
                    slot("sgd/m:line/w", SlotKind::Optimizer, 64),
                    slot("total/0", SlotKind::Total, 128),
                ],
                bytes: 192,
            },
            poisoned: false,
        }
    }
}

impl Programs for Line {
    fn slots(&self) -> &SlotTable {
        &self.table
    }

    fn program(&self, phase: Phase, batch: usize) -> Result<Arc<Program>> {
        let bytes = (batch * 4).next_multiple_of(64);
        let place = |region, offset| Place { region, offset };
        let args: Vec<Place> = (0..4)
            .map(|i| place(Region::Inputs, [0, bytes, 2 * bytes, 2 * bytes + 64][i]))
            .chain((0..3).map(|i| place(Region::Slots, i * 64)))
            .chain([place(Region::Arena, 0), place(Region::Arena, bytes)])
            .collect();
        let launch = |kernel: KernelFn, tasks: usize, parallel| Launch {
            name: String::new(),
            kernel,
            args: args.clone(),
            tasks: tasks as u64,
            parallel,
            flop: 0,
            bytes: 0,
            origin: String::new(),
        };
        let (residuals, losses) = (launch(residuals, batch, true), launch(losses, batch, false));
        let last = if self.poisoned {
            explode
        } else {
            descend as KernelFn
        };
        let launches = match phase {
            Phase::Init => vec![launch(initialize, 1, false)],
            Phase::Train => vec![residuals, losses, launch(last, batch, false)],
            Phase::Eval => vec![residuals, losses],
            Phase::Metrics => vec![launch(metrics, 1, false)],
            Phase::Show | Phase::Predict | Phase::Explore | Phase::Act => {
                unreachable!("the line shows nothing")
            }
        };
        let input = |kind, element, shape: &[usize], offset| InputBinding {
            kind,
            element,
            shape: shape.to_vec(),
            offset,
        };
        let output = |i: usize, name: &str| OutputBinding {
            name: name.into(),
            element: Element::F32,
            shape: vec![],
            place: place(Region::Arena, bytes + 4 * i),
        };
        let field = |name: &str| InputKind::Field(name.into());
        let mut outputs = vec![output(0, "loss")];
        let mut inputs = vec![input(InputKind::Seed, Element::I32, &[], 2 * bytes)];
        match phase {
            Phase::Metrics => outputs.extend([output(1, "rmse"), output(2, "count")]),
            Phase::Init => {}
            _ => inputs.extend([
                input(field("x"), Element::F32, &[batch, 1], 0),
                input(field("y"), Element::F32, &[batch], bytes),
            ]),
        }
        Ok(Arc::new(Program {
            name: format!("{phase:?}").to_lowercase(),
            launches,
            arena_bytes: bytes + 64,
            inputs,
            input_bytes: 2 * bytes + 128,
            outputs,
            code: Arc::new(()),
        }))
    }
}

fn samples() -> Dataset {
    let pipeline = [
        Call::new("linear").with("samples", Value::Int(103)),
        Call::new("split").with("valid", Value::Float(0.1)),
    ];
    let mut request = Request {
        places: Default::default(),
        offline: true,
        seed: 1,
        progress: &mut |_| {},
    };
    data::load(&pipeline, &mut request).unwrap()
}

static GO_ON: AtomicBool = AtomicBool::new(false);

/// 93 training samples: 5 full steps and one of 13 per epoch.
fn plan(directory: Option<&Path>) -> Plan<'static> {
    Plan {
        batch: 16,
        epochs: 4,
        steps: None,
        seed: 11,
        threads: 2,
        directory: directory.map(Path::to_path_buf),
        start: Start::Fresh,
        early: None,
        stop: &GO_ON,
    }
}

fn run(plan: &Plan<'_>) -> Outcome {
    train(&Line::new(), &samples(), plan, &mut ()).unwrap()
}

fn read(directory: &Path, name: &str) -> Vec<u8> {
    fs::read(directory.join(name)).unwrap()
}

fn lines(directory: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(directory.join(METRICS)).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn a_line_is_learnt_and_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let outcome = run(&plan(Some(directory.path())));
    assert_eq!(
        (outcome.ending, outcome.epochs, outcome.step),
        (Ending::Finished, 4, 24)
    );
    let test = outcome.test.unwrap();
    assert_eq!(test[1].0, "rmse");
    assert!(test[1].1 < 0.2, "{test:?}");

    let lines = lines(directory.path());
    let passes = |split: &str| -> Vec<&serde_json::Value> {
        let of = lines
            .iter()
            .filter(|l| l["split"] == split && l.get("samples").is_some());
        of.collect()
    };
    assert_eq!(lines.len(), 24 + 4 + 4 + 1);
    assert_eq!((passes("train").len(), passes("valid").len()), (4, 4));
    assert!(
        passes("train")
            .iter()
            .all(|l| l["samples"] == 93 && l["count"] == 93.0)
    );
    assert!(
        passes("valid")
            .iter()
            .all(|l| l["samples"] == 10 && l["count"] == 10.0)
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["split"], &last["epoch"], &last["step"]),
        (&"test".into(), &4.into(), &24.into())
    );
    assert_eq!(last["rmse"].as_f64().unwrap() as f32, test[1].1);
    let keys: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["split", "epoch", "step", "loss"]);
}

#[test]
fn runs_are_equal_on_any_number_of_threads_and_differ_by_seed() {
    let files = |threads, seed| {
        let directory = tempfile::tempdir().unwrap();
        run(&Plan {
            threads,
            seed,
            ..plan(Some(directory.path()))
        });
        [WEIGHTS, CHECKPOINT, METRICS].map(|name| read(directory.path(), name))
    };
    let one = files(1, 11);
    for threads in [2, 3, 8] {
        assert_eq!(files(threads, 11), one, "{threads} threads");
    }
    assert_ne!(files(1, 12)[0], one[0]);
}

#[test]
fn a_resumed_run_is_as_if_never_stopped() {
    let whole = tempfile::tempdir().unwrap();
    run(&plan(Some(whole.path())));
    // At the start, within an epoch, before its smaller last step, at its end.
    for stop_after in [0, 1, 9, 11, 12, 23] {
        let parts = tempfile::tempdir().unwrap();
        let outcome = run(&Plan {
            steps: Some(stop_after),
            ..plan(Some(parts.path()))
        });
        assert_eq!(
            (outcome.ending, outcome.step),
            (Ending::StepLimit, stop_after)
        );
        run(&Plan {
            start: Start::Resume(parts.path().join(CHECKPOINT)),
            ..plan(Some(parts.path()))
        });
        for name in [WEIGHTS, CHECKPOINT, METRICS] {
            let (parts, whole) = (read(parts.path(), name), read(whole.path(), name));
            assert!(parts == whole, "{name} after {stop_after}");
        }
    }
}

#[test]
fn another_run_cannot_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    run(&plan(Some(directory.path())));
    let resumed = Plan {
        start: Start::Resume(directory.path().join(CHECKPOINT)),
        batch: 8,
        ..plan(None)
    };
    let error = train(&Line::new(), &samples(), &resumed, &mut ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its batch is 16, that of this run 8"),
        "{error}"
    );
}

/// Presses Ctrl-C after some steps.
struct Impatient<'a> {
    stop: &'a AtomicBool,
    after: u64,
}

impl Observer for Impatient<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<()> {
        if matches!(event, Event::Step { step, .. } if *step == self.after) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn an_interrupt_ends_after_the_step_with_the_weights_saved() {
    let directory = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let interrupted = Plan {
        stop: &stop,
        ..plan(Some(directory.path()))
    };
    let mut observer = Impatient {
        stop: &stop,
        after: 8,
    };
    let outcome = train(&Line::new(), &samples(), &interrupted, &mut observer).unwrap();
    assert_eq!(
        (outcome.ending, outcome.epochs, outcome.step),
        (Ending::Interrupted, 1, 8)
    );
    assert_eq!(outcome.test, None);
    let stored = checkpoint::position(&directory.path().join(CHECKPOINT)).unwrap();
    assert_eq!(
        (stored.step, stored.epochs, stored.steps_into_epoch),
        (8, 1, 2)
    );

    let whole = tempfile::tempdir().unwrap();
    run(&plan(Some(whole.path())));
    run(&Plan {
        start: Start::Resume(directory.path().join(CHECKPOINT)),
        ..plan(Some(directory.path()))
    });
    assert!(read(directory.path(), METRICS) == read(whole.path(), METRICS));
}

#[test]
fn divergence_is_an_error_that_says_where() {
    let model = Line {
        poisoned: true,
        ..Line::new()
    };
    let error = train(&model, &samples(), &plan(None), &mut ()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the loss became NaN at step 1 (epoch 1)"),
        "{error}"
    );
}

#[test]
fn a_run_can_start_from_saved_weights() {
    let directory = tempfile::tempdir().unwrap();
    let taught = run(&plan(Some(directory.path()))).test.unwrap();
    let outcome = run(&Plan {
        start: Start::Weights(directory.path().join(WEIGHTS)),
        steps: Some(0),
        ..plan(None)
    });
    assert_eq!((outcome.step, outcome.test.unwrap()), (0, taught));
}

#[test]
fn saved_weights_evaluate_to_what_the_run_said() {
    let directory = tempfile::tempdir().unwrap();
    let outcome = run(&plan(Some(directory.path())));
    for batch in [1, 7, 1000] {
        let other = Plan {
            batch,
            ..plan(None)
        };
        let weights = outcome.weights.as_ref().unwrap();
        let data = samples();
        let measures = evaluate(&Line::new(), &data, weights, &other, &mut ());
        let (found, told) = (measures.unwrap().unwrap(), outcome.test.as_ref().unwrap());
        for (found, told) in found.iter().zip(told) {
            assert!((found.1 - told.1).abs() < 1e-5, "{found:?} {told:?}");
        }
    }
}
