//! `nnc eval`: saved weights on the test split.

use crate::cli::EvalArgs;
use crate::data::Data;
use crate::failure::Outcome;
use crate::model::{Compiler, Loaded};
use crate::report::{Form, Progress, Report};
use nnc_runtime::train::{self, Plan, Start};
use std::sync::atomic::AtomicBool;

/// Evaluates saved weights.
pub fn eval(args: &EvalArgs, report: Report) -> Outcome {
    let loaded = Loaded::load(&args.model, &report)?;
    let experiment = &loaded.model.experiment;
    let seed = args.machine.seed.unwrap_or(experiment.seed);
    let compiler = Compiler::new(&loaded, &args.machine)?;
    let data = Data::load(&loaded, &args.data, seed, &report)?;
    // Ctrl-C ends an evaluation as it ends anything.
    let stop = AtomicBool::new(false);
    let plan = Plan {
        batch: experiment.batch,
        epochs: 1,
        steps: None,
        seed,
        threads: compiler.threads(),
        directory: None,
        start: Start::Weights(args.weights.clone()),
        early: None,
        stop: &stop,
    };
    let form = if args.json { Form::Json } else { Form::Answer };
    // The measures are the result asked for, even with `--quiet`.
    let mut progress = Progress::new(report, form, plan.epochs, &stop).on(&data.provenance());
    train::evaluate(
        &compiler,
        data.source(),
        &args.weights,
        &plan,
        &mut progress,
    )?;
    progress.finish()
}
