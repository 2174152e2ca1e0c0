//! Makes code of a schedule: a unit per kernel, equal kernels once, all of them
//! compiled in parallel.

mod contraction;
mod count;
pub mod loops;
mod machine;
mod peak;
mod repeat;
mod rows;
pub mod scalar;
mod text;
mod tile;
mod tile_portable;
#[cfg(test)]
mod tile_tests;
mod tile_wide;
mod unit;
mod wide_arithmetic;
mod wide_asm;
mod wide_loops;
mod wide_ops;
mod wide_registers;
mod wide_scalar;
mod wide_transpose;

pub use contraction::contraction;
pub use machine::{Callee, Machine, MachineFunction, Relocation};
pub use peak::{peak, peak_flop};
pub use text::{asm, clif};
pub use unit::{Body, CodeFunction, CodeUnit, Effort, UNIT_NAMESPACE, import, kernel_signature};

use crate::schedule::loops::LoopPlan;
use crate::schedule::{Plan, Schedule};
use crate::target::Isa;
use cranelift_codegen::isa::TargetFrontendConfig;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// The code of a schedule.
#[derive(Clone)]
pub struct Emitted {
    /// What differs.
    pub units: Vec<CodeUnit>,
    /// For each kernel of the schedule, its unit.
    pub of_kernel: Vec<usize>,
}

/// Emits each kernel of a schedule; those with equal plans share one unit, named
/// after the first of them.
pub fn emit(schedule: &Schedule, config: TargetFrontendConfig) -> Emitted {
    let mut known = FxHashMap::default();
    let mut distinct = Vec::new();
    let of_kernel = schedule
        .kernels
        .iter()
        .map(|planned| {
            *known.entry(&planned.plan).or_insert_with(|| {
                distinct.push(planned);
                distinct.len() - 1
            })
        })
        .collect();
    let units = distinct
        .into_par_iter()
        .map(|planned| unit(&planned.plan, &planned.kernel.name, config))
        .collect();
    Emitted { units, of_kernel }
}

/// The code of one kernel.
fn unit(plan: &Plan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    match plan {
        Plan::Loops(plan) => loop_nest(plan, name, config),
        Plan::Tiles(plan) => contraction(plan, name, config),
        Plan::Repeat(plan) => repeat::emit(plan, name, config),
        Plan::Rows(plan) => rows::emit(plan, name, config),
    }
}

/// The code of a loop nest, in the form that its plan says.
pub fn loop_nest(plan: &LoopPlan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    match plan.isa {
        Isa::Portable => loops::emit(plan, name, config),
        Isa::Avx2 | Isa::Avx512 => wide_loops::emit(plan, name, config),
    }
}
