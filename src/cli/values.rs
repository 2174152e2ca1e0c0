//! What options can be.

use clap::ValueEnum;

/// When to use colours.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// On a terminal that can show them.
    Auto,
    /// In any case.
    Always,
    /// Not at all.
    Never,
}

/// How to print diagnostics.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorFormat {
    /// With the source and underlined places.
    Human,
    /// One JSON object a line.
    Json,
}

/// Instruction sets to compile for.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum IsaChoice {
    /// 128-bit vectors through Cranelift alone; any machine.
    Portable,
    /// 256-bit tiles, for x86-64 with AVX2 and FMA.
    Avx2,
    /// 512-bit tiles, for x86-64 with AVX-512.
    Avx512,
}

/// The products of the passes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum StageChoice {
    /// The syntax tree, printed as source.
    Ast,
    /// The typed graph.
    Graph,
    /// With the backward pass and the update.
    Grad,
    /// After rewriting.
    Simplified,
    /// Fused loop nests.
    Kernels,
    /// Order, layouts, tiles, memory.
    Schedule,
    /// Cranelift's intermediate code.
    Clif,
    /// Machine code.
    Asm,
}

/// The steps of a model.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum PhaseChoice {
    /// Initial values.
    Init,
    /// A training step.
    Train,
    /// A step of evaluation.
    Eval,
    /// Metrics from their totals.
    Metrics,
    /// The net alone.
    Predict,
    /// The policy while it learns.
    Explore,
    /// The policy when it is judged.
    Act,
}

/// The large choices that steps owe their speed to.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Tiles as machine code of our own, in the widest vectors; without: Cranelift's 128 bits.
    WideTiles,
    /// Operations that share a pass over memory; without: a kernel for each operation.
    Fusion,
    /// Convolutions that read images in place; without: matrices of copied windows.
    DirectConvolution,
    /// Memory planned ahead and shared; without: an arena allocated in each step.
    StaticMemory,
    /// One entry into the thread pool for many steps; without: one for each launch.
    OneEntry,
}

/// What can be looked at kernel by kernel.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profiled {
    /// The training step.
    Training,
    /// The net alone, at the same batch.
    Inference,
}

/// More threads than this are a mistake.
const MOST_THREADS: usize = 1024;
/// Nobody waits longer for a measurement.
const MOST_SECONDS: f64 = 3600.0;

/// A count.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err("must be a whole number, at least 1".into()),
    }
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST_THREADS).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {MOST_THREADS}")),
    }
}

/// How far from the likeliest to draw.
pub(super) fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(temperature) if temperature >= 0.0 && temperature.is_finite() => Ok(temperature),
        _ => Err("must be a number, at least 0".into()),
    }
}

/// How long to measure.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST_SECONDS => Ok(seconds),
        _ => Err(format!("must be a number above 0, at most {MOST_SECONDS}")),
    }
}
