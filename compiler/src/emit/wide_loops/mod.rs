//! Loop nests in wide vectors, as machine code of our own: the code generator for
//! everything else stops at 128 bits. The plan is the same; [`build`] makes a program of
//! vectors of it, [`assemble`] gives these registers and writes the instructions.

mod assemble;
mod build;
mod homes;
mod lives;
mod program;
mod registers;
mod values;

use super::unit::{CodeUnit, through};
use crate::schedule::loops::LoopPlan;
use cranelift_codegen::isa::TargetFrontendConfig;

/// The code of a kernel that runs as wide loops.
pub(super) fn emit(plan: &LoopPlan, name: &str, config: TargetFrontendConfig) -> CodeUnit {
    let program = build::build(plan);
    through(name, assemble::assemble(plan, &program), config)
}
