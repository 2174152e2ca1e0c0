//! `nnc run`: trains, validates, tests, saves.

mod directory;
mod record;

use crate::cli::RunArgs;
use crate::data::{Data, substitute_warning};
use crate::failure::Outcome;
use crate::interrupt::stop_flag;
use crate::model::{Compiler, Loaded, Memory};
use crate::report::{Form, Progress, Report, bytes, duration, measure, plural};
use directory::RunDirectory;
use nnc_compiler::graph::Saved;
use nnc_compiler::target::Isa;
use nnc_runtime::Error;
use nnc_runtime::checkpoint;
use nnc_runtime::train::{
    self, CHECKPOINT, Early, Ending, PICTURES, Phase, Plan, Programs, Start, WEIGHTS,
};
use record::{Record, Status};
use std::time::{Duration, Instant};

/// Trains the model of a file.
pub fn run(args: &RunArgs, report: Report) -> Outcome {
    let said = report.quiet_if(args.json);
    let loaded = Loaded::load(&args.model, &report)?;
    let experiment = &loaded.model.experiment;
    let compiler = Compiler::new(&loaded, &args.machine)?;
    // Whatever can fail fails before the first step: saved weights, memory, the directory, the data.
    if !args.resume && args.weights.is_none() {
        loaded.saved_weights_are_there()?;
    }
    let code = Code::compile(&compiler, experiment.batch)?;
    let mut directory = RunDirectory::open(args.out.as_deref(), loaded.name(), args.resume)?;
    if args.resume {
        directory.check_constants(&experiment.constants)?;
    }
    let start = start(args, &directory, &loaded);
    let seed = seed(args, &start, experiment.seed)?;
    let data = Data::load(&loaded, &args.data, seed, &said)?;
    data.check_early(&loaded, &said)?;
    // Until here nothing is lost when Ctrl-C ends the process at once.
    let stop =
        stop_flag(move || said.note("stopping after this step; Ctrl-C again stops at once"))?;
    let plan = Plan {
        batch: experiment.batch,
        epochs: args.epochs.unwrap_or(experiment.epochs),
        steps: args.steps.map(|steps| steps as u64),
        seed,
        threads: compiler.threads(),
        directory: Some(directory.path.clone()),
        start,
        early: experiment.early.as_ref().map(|early| Early {
            metric: early.metric.clone(),
            greatest: early.greatest,
            patience: early.patience,
        }),
        stop: &stop,
    };
    announce(&loaded, &code, &plan, &data, &said)?;
    let mut record = Record::new(&loaded, &compiler, &plan, &data);
    // A resume may yet be refused; the record of the run it does not fit stays as it is.
    if !args.resume {
        directory.write(&record)?;
    }
    directory.keep();

    let clock = Instant::now();
    let form = if args.json { Form::Json } else { Form::News };
    let mut progress = Progress::new(
        if args.json { report } else { said },
        form,
        plan.epochs,
        &stop,
    )
    .on(&data.provenance());
    let outcome = train::train(&compiler, data.source(), &plan, &mut progress);
    let told = progress.finish();
    let refused =
        args.resume && matches!(&outcome, Err(error) if !matches!(error, Error::Diverged { .. }));
    if !refused {
        record.end(Status::of(&outcome), &outcome, clock.elapsed());
        directory.write(&record)?;
    }
    summarize(args, &directory, &data, &outcome?, clock.elapsed(), &said)?;
    told
}

fn start(args: &RunArgs, directory: &RunDirectory, loaded: &Loaded) -> Start {
    match &args.weights {
        _ if args.resume => Start::Resume(directory.path.join(CHECKPOINT)),
        Some(weights) => Start::Weights(weights.clone()),
        None if loaded.model.experiment.saved.is_empty() => Start::Fresh,
        None => Start::Filled(loaded.fillings()),
    }
}

/// A resumed run goes on with its own seed.
fn seed(args: &RunArgs, start: &Start, of_model: u64) -> Outcome<u64> {
    match (args.machine.seed, start) {
        (Some(seed), _) => Ok(seed),
        (None, Start::Resume(checkpoint)) => Ok(checkpoint::position(checkpoint)?.seed),
        (None, Start::Fresh | Start::Filled(_) | Start::Weights(_)) => Ok(of_model),
    }
}

/// What was compiled before training starts.
struct Code {
    kernels: usize,
    time: Duration,
    memory: Memory,
    isa: Isa,
}

impl Code {
    fn compile(compiler: &Compiler<'_>, batch: usize) -> Outcome<Code> {
        let clock = Instant::now();
        compiler.program(Phase::Init, batch)?;
        let step = compiler.program(Phase::Train, batch)?;
        Ok(Code {
            kernels: step.launches.len(),
            time: clock.elapsed(),
            memory: compiler.memory()?,
            isa: compiler.isa(),
        })
    }
}

fn announce(
    loaded: &Loaded,
    code: &Code,
    plan: &Plan<'_>,
    data: &Data,
    report: &Report,
) -> Outcome {
    report.say(format!(
        "{}  {}, batch {}, {}, seed {}",
        report.bold(loaded.name()),
        plural(loaded.parameters() as u64, "parameter"),
        plan.batch,
        plural(plan.epochs as u64, "epoch"),
        plan.seed
    ))?;
    report.say(format!("data      {data}"))?;
    report.say(format!(
        "compiled  {} in {}, {} of memory, {} on {}",
        plural(code.kernels as u64, "kernel"),
        duration(code.time),
        bytes(code.memory.total()),
        plural(plan.threads as u64, "thread"),
        code.isa,
    ))?;
    if let Start::Filled(_) = plan.start {
        for saved in &loaded.model.experiment.saved {
            report.say(format!("weights   {}", origin(saved)))?;
        }
    }
    report.say("")
}

/// What of a file of weights was used, and what was not.
fn origin(saved: &Saved) -> String {
    let named = |what: &str, paths: &[String]| match paths {
        [] => String::new(),
        paths => {
            let shown: Vec<&str> = paths.iter().take(MOST_NAMED).map(String::as_str).collect();
            let more = match paths.len() - shown.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("; {what} {}{more}", shown.join(", "))
        }
    };
    format!(
        "{} from {}{}{}",
        plural(saved.fills.len() as u64, "tensor"),
        saved.path,
        named("initialised anew:", &saved.missing),
        named("left over:", &saved.left),
    )
}

/// How many paths a line names.
const MOST_NAMED: usize = 6;

fn summarize(
    args: &RunArgs,
    directory: &RunDirectory,
    data: &Data,
    outcome: &train::Outcome,
    time: Duration,
    report: &Report,
) -> Outcome {
    let path = directory.path.display();
    report.say("")?;
    if let Some(test) = &outcome.test {
        let measures: Vec<String> = test
            .iter()
            .map(|(name, value)| format!("{name} {}", measure(*value)))
            .collect();
        report.say(format!("{}  {}", report.bold("test"), measures.join(", ")))?;
    }
    let (steps, time) = (plural(outcome.step, "step"), duration(time));
    match outcome.ending {
        Ending::Finished => report.say(format!("done after {steps} in {time}"))?,
        Ending::Early => {
            let epochs = plural(outcome.epochs as u64, "epoch");
            report.say(format!(
                "stopped early after {epochs} and {steps} in {time}"
            ))?;
        }
        Ending::StepLimit => report.say(format!("stopped after {steps}, as asked, in {time}"))?,
        Ending::Interrupted => report.say(format!(
            "interrupted after {steps}; go on with: nnc run {} --out {path} --resume",
            args.model.model.display()
        ))?,
    }
    let kept = match outcome.best {
        Some(best) => format!(
            ", those of epoch {}, the best of the validation",
            best.epoch
        ),
        None => String::new(),
    };
    report.say(format!("saved {path}/{WEIGHTS}{kept}"))?;
    if directory.path.join(PICTURES).is_dir() {
        report.say(format!("drawn {path}/{PICTURES}"))?;
    }
    if data.provenance().is_substitute() {
        report.warn(substitute_warning(&data.provenance()));
    }
    Ok(())
}
