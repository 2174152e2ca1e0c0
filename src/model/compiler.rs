//! Programs on demand: by phase and batch size, compiled once each.

use super::{Loaded, Memory};
use crate::cli::{IsaChoice, MachineArgs};
use crate::failure::{Failure, Outcome};
use nnc_compiler::graph::{self, flops};
use nnc_compiler::target::{Isa, Target};
use nnc_compiler::{Product, compile, slot_table};
use nnc_grammar::Span;
use nnc_runtime::Error;
use nnc_runtime::program::{Program, SlotTable};
use nnc_runtime::train::{Phase, Programs};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Compiles a model's programs when they are first asked for.
pub struct Compiler<'a> {
    loaded: &'a Loaded,
    target: Target,
    threads: usize,
    slots: SlotTable,
    compiled: Mutex<BTreeMap<(Phase, usize), Compiled>>,
}

/// A program and what the graph says of it.
#[derive(Clone)]
pub struct Compiled {
    /// To be run.
    pub program: Arc<Program>,
    /// Two for each multiply-accumulate of its products, nothing for element-wise work.
    pub flop: u64,
    /// For each launch, the expression in the model that it came from.
    pub spans: Arc<Vec<Option<Span>>>,
}

impl<'a> Compiler<'a> {
    /// For this machine, as the command line wants it. To be made before anything else
    /// runs in parallel, since it decides the number of threads for all of it.
    pub fn new(loaded: &'a Loaded, machine: &MachineArgs) -> Outcome<Compiler<'a>> {
        let threads = match machine.threads {
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        // Compilation is parallel too, and keeps to the same number of threads.
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| {
                Failure::world("io", format!("cannot start {threads} threads: {error}"))
            })?;
        Ok(Compiler {
            loaded,
            target: target(machine.isa)?,
            threads,
            slots: slot_table(&loaded.model.slots),
            compiled: Mutex::default(),
        })
    }

    /// The same model compiled for another target.
    pub fn for_target(&self, target: Target) -> Compiler<'a> {
        Compiler {
            loaded: self.loaded,
            target,
            threads: self.threads,
            slots: self.slots.clone(),
            compiled: Mutex::default(),
        }
    }

    /// Whether the model has a step for a phase; some have no net to predict with.
    pub fn has(&self, phase: Phase) -> bool {
        let model = &self.loaded.model;
        model.steps.contains_key(&graph_phase(phase))
    }

    /// The batch size that the model or the command line says.
    pub fn batch(&self) -> usize {
        self.loaded.model.experiment.batch
    }

    /// How many threads compile and run.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The instructions that programs are made of.
    pub fn isa(&self) -> Isa {
        self.target.isa
    }

    /// What programs are compiled for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The program of a phase for a batch size, compiled when it is first asked for.
    pub fn compiled(&self, phase: Phase, batch: usize) -> Result<Compiled, Error> {
        // Initial values and metrics are the same for every batch size.
        let batch = match phase {
            Phase::Init | Phase::Metrics => self.loaded.model.experiment.batch,
            Phase::Train
            | Phase::Eval
            | Phase::Show
            | Phase::Predict
            | Phase::Explore
            | Phase::Act => batch,
        };
        // A compilation that panicked has left the map as it was.
        let mut known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known.get(&(phase, batch)) {
            return Ok(compiled.clone());
        }
        let compiled = self.compile(phase, batch)?;
        known.insert((phase, batch), compiled.clone());
        Ok(compiled)
    }

    /// What training holds, if this machine can hold it.
    pub fn memory(&self) -> Outcome<Memory> {
        let step = self.program(Phase::Train, self.loaded.model.experiment.batch)?;
        Memory {
            arena: step.arena_bytes,
            slots: self.slots.bytes,
            inputs: step.input_bytes,
        }
        .check()
    }

    fn compile(&self, phase: Phase, batch: usize) -> Result<Compiled, Error> {
        let model = self.loaded.at_batch(batch).map_err(Error::Program)?;
        let Some(step) = model.steps.get(&graph_phase(phase)) else {
            let fault = format!("`{}` has no {phase:?} step", model.experiment.net);
            return Err(Error::Program(fault));
        };
        let mut flop = 0;
        let mut spans = Vec::new();
        let program = compile(
            step,
            &self.slots,
            &self.target,
            &mut |product| match product {
                Product::Simplified(step) => flop = flops(step),
                Product::Scheduled(schedule) => {
                    let kernels = schedule.kernels.iter();
                    spans.extend(kernels.map(|planned| planned.kernel.origin.span));
                }
                _ => {}
            },
        );
        Ok(Compiled {
            program: Arc::new(program),
            flop,
            spans: Arc::new(spans),
        })
    }
}

impl Programs for Compiler<'_> {
    fn slots(&self) -> &SlotTable {
        &self.slots
    }

    fn program(&self, phase: Phase, batch: usize) -> Result<Arc<Program>, Error> {
        Ok(self.compiled(phase, batch)?.program)
    }

    fn has_pictures(&self) -> bool {
        let steps = &self.loaded.model.steps;
        steps.contains_key(&graph::Phase::Show)
    }
}

/// This machine; it must have the instructions that the command line asks for.
pub fn target(choice: Option<IsaChoice>) -> Outcome<Target> {
    let host = Target::host();
    let isa = match choice {
        None => return Ok(host),
        Some(IsaChoice::Portable) => Isa::Portable,
        Some(IsaChoice::Avx2) => Isa::Avx2,
        Some(IsaChoice::Avx512) => Isa::Avx512,
    };
    if isa > host.isa {
        let fault = format!("this machine has no {isa}; the best it has is {}", host.isa);
        return Err(Failure::world("usage", fault).into());
    }
    Ok(Target::host_with(isa))
}

/// The compiler's name for a phase of the runtime.
fn graph_phase(phase: Phase) -> graph::Phase {
    match phase {
        Phase::Init => graph::Phase::Init,
        Phase::Train => graph::Phase::Train,
        Phase::Eval => graph::Phase::Eval,
        Phase::Metrics => graph::Phase::Metrics,
        Phase::Show => graph::Phase::Show,
        Phase::Predict => graph::Phase::Predict,
        Phase::Explore => graph::Phase::Explore,
        Phase::Act => graph::Phase::Act,
    }
}
