//! Where programs are measured: a machine, and how steps are made on it.

use super::batches::Batches;
use super::measure::{Times, steady};
use super::peak::Gauge;
use crate::cli::Choice;
use crate::model::{Compiled, Compiler};
use nnc_runtime::program::{InputKind, Program};
use nnc_runtime::rng::{Stream, step_seed};
use nnc_runtime::train::{Phase, Programs};
use nnc_runtime::{Handle, Machine, Result};
use std::sync::Arc;
use std::time::Duration;

/// What schedules are told of the run's length.
const TOTAL_STEPS: f32 = 10_000.0;

/// A machine to measure on.
pub struct Stand {
    /// With the model's slots.
    pub machine: Machine,
    init: Arc<Program>,
    seed: u64,
    way: Way,
}

/// How steps are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    entry: Entry,
    arena: Arena,
}

/// When the threads are gathered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    Once,
    EachLaunch,
}

/// When the arena is allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arena {
    Once,
    EachStep,
}

impl Way {
    /// Without some of the choices; those that are not about steps make no difference.
    pub fn of(without: &[Choice]) -> Way {
        Way {
            entry: match without.contains(&Choice::OneEntry) {
                true => Entry::EachLaunch,
                false => Entry::Once,
            },
            arena: match without.contains(&Choice::StaticMemory) {
                true => Arena::EachStep,
                false => Arena::Once,
            },
        }
    }
}

impl Stand {
    /// Ready for a model's programs.
    pub fn new(compiler: &Compiler<'_>, seed: u64, way: Way) -> Result<Stand> {
        Ok(Stand {
            init: compiler.program(Phase::Init, 1)?,
            machine: Machine::new(compiler.slots().clone(), compiler.threads())?,
            seed,
            way,
        })
    }

    /// Fills all slots with their initial values.
    pub fn initialize(&mut self) -> Result<()> {
        let seed = step_seed(self.seed, Stream::Init, 0);
        let init = Arc::clone(&self.init);
        self.machine.run_once(
            init,
            |w, init| w.set(init, &InputKind::Seed, seed),
            |_, _| (),
        )
    }

    /// Loads a program and sets all its inputs but the samples.
    pub fn load(&mut self, compiled: &Compiled) -> Result<Handle> {
        let handle = self.machine.load(Arc::clone(&compiled.program))?;
        let seed = step_seed(self.seed, Stream::Train, 1);
        self.machine.set(handle, &InputKind::Seed, seed);
        self.machine.set(handle, &InputKind::Step, 1.0_f32);
        self.machine.set(handle, &InputKind::Epoch, 1.0_f32);
        self.machine
            .set(handle, &InputKind::TotalSteps, TOTAL_STEPS);
        Ok(handle)
    }

    /// Frees a program's memory.
    pub fn unload(&mut self, program: Handle) {
        self.machine.unload(program);
    }

    /// One step on the first batch.
    pub fn once(&mut self, program: Handle, batches: &Batches) {
        self.machine
            .enter(|session| batches.step(session, program, 0));
    }

    /// Measures a program's steps from initial values on, again and again.
    pub fn steady(
        &mut self,
        program: Handle,
        batches: &Batches,
        budget: Duration,
        gauge: &mut Gauge,
    ) -> Result<Times> {
        let Way { entry, arena } = self.way;
        steady(
            budget,
            || gauge.now(),
            |round| {
                self.initialize()?;
                let machine = &mut self.machine;
                match (entry, arena) {
                    (Entry::Once, Arena::Once) => machine.enter(|session| {
                        round(&mut |number| batches.step(session, program, number));
                    }),
                    (Entry::Once, Arena::EachStep) => machine.enter(|session| {
                        round(&mut |number| {
                            renewed(session.renew(program));
                            batches.step(session, program, number);
                        });
                    }),
                    (Entry::EachLaunch, arena) => round(&mut |number| {
                        if arena == Arena::EachStep {
                            renewed(machine.renew(program));
                        }
                        batches.step_entering(machine, program, number);
                    }),
                }
                Ok(())
            },
        )
    }
}

/// An arena that had room a moment ago has it again.
fn renewed(result: Result<()>) {
    if let Err(error) = result {
        panic!("bug in `bench`: {error}");
    }
}
