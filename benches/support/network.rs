//! A model in memory, compiled for this machine, on all of its processors.

use crate::support::load;
use nnc_compiler::graph::{self, Model, Phase};
use nnc_compiler::target::Target;
use nnc_compiler::{Product, compile, slot_table};
use nnc_runtime::program::{InputKind, Program};
use nnc_runtime::rng::{Stream, step_seed};
use nnc_runtime::{Handle, Machine};
use std::sync::Arc;

pub struct Network {
    pub model: Model,
    pub machine: Machine,
    target: Target,
    init: Arc<Program>,
}

impl Network {
    pub fn new(name: &str, text: &str, target: &Target) -> Network {
        let (_, model) = load(name, text, None);
        let slots = slot_table(&model.slots);
        let init = compile(&model.steps[&Phase::Init], &slots, target, &mut |_| {});
        Network {
            model,
            machine: Machine::new(slots, 0).expect("the model fits into memory"),
            target: target.clone(),
            init: Arc::new(init),
        }
    }

    /// Fills all slots with their first values.
    pub fn begin(&mut self) {
        let seed = step_seed(self.model.experiment.seed, Stream::Init, 0);
        let init = Arc::clone(&self.init);
        let done = self.machine.run_once(
            init,
            |w, init| w.set(init, &InputKind::Seed, seed),
            |_, _| (),
        );
        done.expect("the initial values fit into memory");
    }

    /// Compiles a phase and sets all its inputs but the samples; its program, and the
    /// floating-point operations of its products.
    pub fn phase(&mut self, phase: Phase) -> (Handle, u64) {
        let mut flop = 0;
        let step = &self.model.steps[&phase];
        let program = compile(step, self.machine.table(), &self.target, &mut |product| {
            if let Product::Simplified(step) = product {
                flop = graph::flops(step);
            }
        });
        let handle = self
            .machine
            .load(Arc::new(program))
            .expect("the step fits into memory");
        let seed = step_seed(self.model.experiment.seed, Stream::Train, 1);
        self.machine.set(handle, &InputKind::Seed, seed);
        for kind in [InputKind::Step, InputKind::Epoch] {
            self.machine.set(handle, &kind, 1.0_f32);
        }
        self.machine.set(handle, &InputKind::TotalSteps, 1e4_f32);
        (handle, flop)
    }
}
