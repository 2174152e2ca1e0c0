//! All passes after `elaborate`, in order: from a step's graph to a program.

use crate::differentiate::differentiate;
use crate::emit::{Emitted, Machine, MachineFunction, asm, clif, emit};
use crate::fuse::{fuse, fuse_nothing};
use crate::graph::{Step, verify};
use crate::link::link;
use crate::nest::Kernels;
use crate::schedule::{Schedule, schedule};
use crate::simplify::simplify;
use crate::target::Target;
use nnc_runtime::program::{Program, SlotTable};
use std::fmt;

/// Compiles a step. `watch` sees the product of each pass as soon as it is there; no
/// pass knows of it.
pub fn compile(step: &Step, slots: &SlotTable, target: &Target, watch: &mut Watch<'_>) -> Program {
    let schedule = plan(step, slots, target, watch);
    let machine = Machine::new(target);
    let emitted = emit(&schedule, machine.config());
    watch(Product::Emitted(&emitted));
    let code = machine.compile(emitted.units.clone());
    watch(Product::Code(&code));
    let name = format!("{:?}", step.phase).to_lowercase();
    let program = link(&name, &schedule, &step.inputs, &emitted, &code, &machine);
    watch(Product::Linked);
    program
}

/// The passes up to where memory is planned and no code is made yet.
pub fn plan(step: &Step, slots: &SlotTable, target: &Target, watch: &mut Watch<'_>) -> Schedule {
    let step = verified(differentiate(step), "differentiate");
    watch(Product::Differentiated(&step));
    let step = verified(simplify(&step), "simplify");
    watch(Product::Simplified(&step));
    let kernels = match target.without.fusion {
        true => fuse_nothing(&step),
        false => fuse(&step),
    };
    watch(Product::Fused(&kernels));
    let schedule = schedule(kernels, slots, target);
    watch(Product::Scheduled(&schedule));
    schedule
}

/// The step, which in debug builds is looked over.
fn verified(step: Step, pass: &str) -> Step {
    if cfg!(debug_assertions) {
        verify(&step, pass);
    }
    step
}

/// Somebody who wants to see what the passes make.
pub type Watch<'a> = dyn FnMut(Product<'_>) + 'a;

/// What a pass has made; shown, it is the dump of its stage.
#[allow(missing_docs, reason = "each is named after its pass")]
pub enum Product<'a> {
    Differentiated(&'a Step),
    Simplified(&'a Step),
    Fused(&'a Kernels),
    Scheduled(&'a Schedule),
    Emitted(&'a Emitted),
    Code(&'a [Vec<MachineFunction>]),
    Linked,
}

impl Product<'_> {
    /// The pass that made it.
    pub fn pass(&self) -> &'static str {
        match self {
            Product::Differentiated(_) => "differentiate",
            Product::Simplified(_) => "simplify",
            Product::Fused(_) => "fuse",
            Product::Scheduled(_) => "schedule",
            Product::Emitted(_) => "emit",
            Product::Code(_) => "assemble",
            Product::Linked => "link",
        }
    }
}

impl fmt::Display for Product<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Product::Differentiated(step) | Product::Simplified(step) => write!(f, "{step}"),
            Product::Fused(kernels) => write!(f, "{kernels}"),
            Product::Scheduled(schedule) => write!(f, "{schedule}"),
            Product::Emitted(emitted) => emitted
                .units
                .iter()
                .try_for_each(|unit| writeln!(f, "{}", clif(unit))),
            Product::Code(units) => units
                .iter()
                .try_for_each(|unit| writeln!(f, "{}", asm(unit))),
            Product::Linked => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
