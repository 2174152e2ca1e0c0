//! `nnc bench`: the training step and inference in their steady state, beside what
//! the machine could do at most, measured in the same run.

mod batches;
mod figures;
mod measure;
mod peak;
mod profile;
mod scaling;
mod trace;

use crate::cli::BenchArgs;
use crate::failure::Outcome;
use crate::model::{Compiled, Compiler, Loaded};
use crate::report::Report;
use batches::Batches;
use figures::{Figures, Work};
use measure::{Times, steady};
use nnc_runtime::files::write_atomically;
use nnc_runtime::program::{InputKind, Program};
use nnc_runtime::rng::{Stream, step_seed};
use nnc_runtime::train::{Phase, Programs};
use nnc_runtime::{Handle, Machine};
use peak::peak;
use profile::profile;
use scaling::Scaling;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What schedules are told of the run's length.
const TOTAL_STEPS: f32 = 10_000.0;
/// Inference is measured for this part of the time that the training step gets.
const INFERENCE_SHARE: u32 = 4;

/// Measures; `start` is when the process began.
pub fn bench(args: &BenchArgs, report: Report, start: Instant) -> Outcome {
    let clock = Instant::now();
    let loaded = Loaded::load(&args.model, &report)?;
    let experiment = &loaded.model.experiment;
    let compiler = Compiler::new(&loaded, &args.machine)?;
    let init = compiler.program(Phase::Init, experiment.batch)?;
    let step = compiler.compiled(Phase::Train, experiment.batch)?;
    let compile = clock.elapsed();
    let memory = compiler.memory()?;

    let seed = args.machine.seed.unwrap_or(experiment.seed);
    let clock = Instant::now();
    let batches = Batches::generate(&experiment.fields, experiment.batch, seed);
    let generating = clock.elapsed();
    let mut bench = Bench {
        machine: Machine::new(compiler.slots().clone(), compiler.threads())?,
        init,
        seed,
    };
    bench.initialize()?;
    let handle = bench.load(Arc::clone(&step.program))?;
    bench
        .machine
        .enter(|session| batches.step(session, handle, 0));
    let first_step = start.elapsed() - generating;

    let budget = Duration::from_secs_f64(args.seconds);
    let peak_before = peak(compiler.target());
    let training = Work {
        batch: experiment.batch,
        times: bench.steady(handle, &batches, budget)?,
        flop: step.flop,
    };
    let peak = peak_before.max(peak(compiler.target()));
    let mut inference = Vec::new();
    for batch in [experiment.batch, 1] {
        let compiled = compiler.compiled(Phase::Predict, batch)?;
        let batches = Batches::generate(&experiment.fields, batch, seed);
        inference.push(bench.inference(compiled, &batches, batch, budget / INFERENCE_SHARE)?);
    }
    let wanted = args.profile || args.scaling || args.trace.is_some();
    let profile = match wanted {
        true => {
            bench.initialize()?;
            Some(profile(&mut bench.machine, handle, peak))
        }
        false => None,
    };
    if let (Some(file), Some(profile)) = (&args.trace, &profile) {
        write_atomically(file, trace::trace(profile).as_bytes())?;
    }
    let scaling = profile.as_ref().filter(|_| args.scaling);
    let scaling = scaling.map(|profile| Scaling::new(profile, compiler.threads()).to_string());
    let figures = Figures {
        net: loaded.name().to_string(),
        threads: compiler.threads(),
        isa: compiler.isa().to_string(),
        training,
        inference,
        peak,
        compile,
        first_step,
        memory,
        profile: profile.filter(|_| args.profile),
        scaling,
    };
    match args.json {
        true => report.result(figures.json()),
        false => report.result(&figures),
    }
}

/// A machine to measure on.
struct Bench {
    machine: Machine,
    init: Arc<Program>,
    seed: u64,
}

impl Bench {
    /// Fills all slots with their initial values.
    fn initialize(&mut self) -> nnc_runtime::Result<()> {
        let seed = step_seed(self.seed, Stream::Init, 0);
        let init = Arc::clone(&self.init);
        self.machine.run_once(
            init,
            |w, init| w.set(init, &InputKind::Seed, seed),
            |_, _| (),
        )
    }

    /// Loads a program and sets all its inputs but the samples.
    fn load(&mut self, program: Arc<Program>) -> nnc_runtime::Result<Handle> {
        let handle = self.machine.load(program)?;
        let seed = step_seed(self.seed, Stream::Train, 1);
        self.machine.set(handle, &InputKind::Seed, seed);
        self.machine.set(handle, &InputKind::Step, 1.0_f32);
        self.machine.set(handle, &InputKind::Epoch, 1.0_f32);
        self.machine
            .set(handle, &InputKind::TotalSteps, TOTAL_STEPS);
        Ok(handle)
    }

    fn steady(
        &mut self,
        program: Handle,
        batches: &Batches,
        budget: Duration,
    ) -> nnc_runtime::Result<Times> {
        steady(budget, |round| {
            self.initialize()?;
            self.machine
                .enter(|session| round(&mut |number| batches.step(session, program, number)));
            Ok(())
        })
    }

    fn inference(
        &mut self,
        compiled: Compiled,
        batches: &Batches,
        batch: usize,
        budget: Duration,
    ) -> nnc_runtime::Result<Work> {
        let handle = self.load(compiled.program)?;
        let times = self.steady(handle, batches, budget)?;
        self.machine.unload(handle);
        Ok(Work {
            batch,
            times,
            flop: compiled.flop,
        })
    }
}
