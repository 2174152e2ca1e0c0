//! `nnc bench`: the training step and inference in their steady state, beside what
//! the machine could do at most, measured in the same run.

mod ablation;
mod bandwidth;
mod batches;
mod figures;
mod measure;
mod peak;
mod profile;
mod scaling;
mod stand;
mod trace;

use crate::cli::{BenchArgs, Profiled};
use crate::failure::{Failure, Outcome};
use crate::model::{Compiled, Compiler, Loaded};
use crate::report::Report;
use ablation::Ablation;
use bandwidth::Bandwidth;
use batches::Batches;
use figures::{Figures, Resident, Work};
use nnc_runtime::Handle;
use nnc_runtime::files::write_atomically;
use nnc_runtime::memory::peak_resident;
use nnc_runtime::train::Phase;
use peak::Gauge;
use profile::{Profile, Roofline, profile};
use scaling::Scaling;
use stand::{Stand, Way};
use std::time::{Duration, Instant};

/// Inference and other batches are measured for this part of the time that the training
/// step gets.
const SHARE: u32 = 4;

/// Measures; `start` is when the process began.
pub fn bench(args: &BenchArgs, report: Report, start: Instant) -> Outcome {
    let clock = Instant::now();
    let loaded = Loaded::load(&args.model, &report)?;
    let experiment = &loaded.model.experiment;
    let compiler = Compiler::new(&loaded, &args.machine)?;
    let compiler = compiler.for_target(ablation::target(compiler.target(), &args.without));
    let way = Way::of(&args.without);
    let seed = args.machine.seed.unwrap_or(experiment.seed);
    let mut stand = Stand::new(&compiler, seed, way)?;
    let step = compiler.compiled(Phase::Train, experiment.batch)?;
    let compile = clock.elapsed();
    let memory = compiler.memory()?;

    let clock = Instant::now();
    let batches = Batches::generate(&experiment.fields, experiment.batch, seed);
    let generating = clock.elapsed();
    stand.initialize()?;
    let handle = stand.load(&step)?;
    stand.once(handle, &batches);
    let first_step = start.elapsed() - generating;

    let budget = Duration::from_secs_f64(args.seconds);
    let mut gauge = Gauge::new(compiler.target());
    let times = stand.steady(handle, &batches, budget, &mut gauge)?;
    let resident = peak_resident().map(|peak| Resident {
        peak,
        samples: batches.bytes() as u64,
    });
    let training = Work::new(experiment.batch, times, &step);
    let mut work = |phase, batch: usize| -> Outcome<Work> {
        let batches = Batches::generate(&experiment.fields, batch, seed);
        let compiled = compiler.compiled(phase, batch)?;
        let handle = stand.load(&compiled)?;
        let times = stand.steady(handle, &batches, budget / SHARE, &mut gauge)?;
        stand.unload(handle);
        Ok(Work::new(batch, times, &compiled))
    };
    let mut inference = Vec::new();
    if compiler.has(Phase::Predict) {
        for batch in [experiment.batch, 1] {
            inference.push(work(Phase::Predict, batch)?);
        }
    }
    let mut other_batches = Vec::new();
    if args.batches {
        for batch in others(experiment.batch) {
            other_batches.push(work(Phase::Train, batch)?);
        }
    }
    let wanted = args.profile || args.scaling || args.trace.is_some();
    let profile: Option<Profile> = match wanted {
        true => {
            let (program, handle) = match args.of {
                Profiled::Training => (step, handle),
                Profiled::Inference => inference_program(&compiler, &mut stand, &batches)?,
            };
            stand.initialize()?;
            let roofline = Roofline {
                peak: gauge.best(),
                bandwidth: Bandwidth::measure(),
            };
            let spans = program.spans.iter();
            let places = spans.map(|span| span.map_or(String::new(), |span| loaded.place(span)));
            let places: Vec<String> = places.collect();
            Some(profile(&mut stand.machine, handle, &places, roofline))
        }
        false => None,
    };
    if let (Some(file), Some(profile)) = (&args.trace, &profile) {
        write_atomically(file, trace::trace(profile, loaded.name()).as_bytes())?;
    }
    let ablation = match args.ablation {
        true => Some(Ablation::measure(
            &compiler, &batches, seed, budget, &mut gauge,
        )?),
        false => None,
    };
    let scaling = profile.as_ref().filter(|_| args.scaling);
    let scaling = scaling.map(|profile| Scaling::new(profile, compiler.threads()).to_string());
    let figures = Figures {
        net: loaded.name().to_string(),
        threads: compiler.threads(),
        isa: compiler.isa().to_string(),
        without: args.without.clone(),
        training,
        inference,
        other_batches,
        peak: gauge.best(),
        compile,
        first_step,
        memory,
        resident,
        profile: profile.filter(|_| args.profile),
        scaling,
        ablation,
    };
    match args.json {
        true => report.result(figures.json()),
        false => report.result(report.within(&figures)),
    }
}

/// The net alone, loaded and with its samples in place.
fn inference_program(
    compiler: &Compiler<'_>,
    stand: &mut Stand,
    batches: &Batches,
) -> Outcome<(Compiled, Handle)> {
    if !compiler.has(Phase::Predict) {
        let failure = Failure::model(
            "no-inference",
            "`train` applies no net to fields of the data alone",
        );
        return Err(failure
            .help("`--of training` looks at the step, which every model has")
            .into());
    }
    let program = compiler.compiled(Phase::Predict, compiler.batch())?;
    let handle = stand.load(&program)?;
    stand.once(handle, batches);
    Ok((program, handle))
}

/// Batches to compare with one: smaller and larger ones.
fn others(batch: usize) -> Vec<usize> {
    let mut others: Vec<usize> = [batch / 4, batch / 2, batch, batch * 2, batch * 4]
        .into_iter()
        .filter(|&other| other > 0)
        .collect();
    others.dedup();
    others
}
