//! The contract between whoever compiles and whoever runs: plain data and function
//! pointers. Nothing here knows of tensors' meaning, graphs or Cranelift.

use std::any::Any;
use std::sync::Arc;

/// A compiled kernel. It performs tasks `begin..end` of its launch; tasks are
/// independent of each other, and the result does not depend on who performs which.
///
/// `args` points to one address per [`Launch::args`].
pub type KernelFn = unsafe extern "C" fn(args: *const *mut u8, begin: u64, end: u64);

/// A compiled step.
#[derive(Clone)]
pub struct Program {
    /// `train`, `eval`, ...
    pub name: String,
    /// What to run, in order; each one sees all writes of those before it.
    pub launches: Vec<Launch>,
    /// Memory that lives within a step. Zeroed once, when it is allocated.
    pub arena_bytes: usize,
    /// What the caller fills in before a step.
    pub inputs: Vec<InputBinding>,
    /// Size of the input region.
    pub input_bytes: usize,
    /// What the caller may read after a step.
    pub outputs: Vec<OutputBinding>,
    /// Keeps the machine code alive.
    pub code: Arc<dyn Any + Send + Sync>,
}

/// One kernel with its arguments.
#[derive(Clone)]
pub struct Launch {
    /// For profiles.
    pub name: String,
    /// The code.
    pub kernel: KernelFn,
    /// Where its tensors lie.
    pub args: Vec<Place>,
    /// Into how many equal-sized parts the work divides.
    pub tasks: u64,
    /// Whether it is worth more than one thread.
    pub parallel: bool,
    /// Floating-point operations of its products, 0 for element-wise work.
    pub flop: u64,
    /// Bytes of distinct memory that it reads and writes.
    pub bytes: u64,
    /// The instance that it belongs to, for profiles: `mnist_cnn/conv2d_1`, `adam`.
    pub origin: String,
}

/// An address within one of the regions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// Which region.
    pub region: Region,
    /// Bytes from its start; a multiple of 64 plus what a border needs.
    pub offset: usize,
}

/// Memory by lifetime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Region {
    /// Within a step; [`Program::arena_bytes`].
    Arena,
    /// Across steps and programs; [`SlotTable::bytes`].
    Slots,
    /// Filled by the caller before each step; [`Program::input_bytes`].
    Inputs,
}

/// Element types in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Element {
    F32,
    I32,
}

/// An input of a program, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct InputBinding {
    /// What it holds.
    pub kind: InputKind,
    /// Its elements.
    pub element: Element,
    /// Its shape, batch included.
    pub shape: Vec<usize>,
    /// Bytes from the start of the input region.
    pub offset: usize,
}

/// What an input holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum InputKind {
    /// A field of the samples, batch leading.
    Field(String),
    /// I32: mixes the run's seed, the phase and the step's number.
    Seed,
    /// F32: number of this optimiser step, from 1.
    Step,
    /// F32: number of this epoch, from 1.
    Epoch,
    /// F32: number of optimiser steps in the whole run.
    TotalSteps,
}

/// A result of a program, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputBinding {
    /// `loss`, `accuracy`, `result`.
    pub name: String,
    /// Its elements.
    pub element: Element,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Where it lies.
    pub place: Place,
}

/// The persistent tensors that all programs of a model share.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SlotTable {
    /// In order of their offsets.
    pub slots: Vec<SlotBinding>,
    /// Size of the region.
    pub bytes: usize,
}

/// A persistent tensor, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct SlotBinding {
    /// `mnist_cnn/conv2d_1/w`
    pub path: String,
    /// What it holds.
    pub kind: SlotKind,
    /// Its elements.
    pub element: Element,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Bytes from the start of the slot region; a multiple of 64.
    pub offset: usize,
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SlotKind {
    /// A trained parameter; saved.
    Param,
    /// A layer's state, such as a running mean; saved.
    State,
    /// An optimiser's state; saved for resuming.
    Optimizer,
    /// A metric's running total; zeroed at the start of a pass over data.
    Total,
}
