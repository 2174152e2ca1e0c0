//! Puts machine code into executable memory and makes a program of it: each
//! kernel with the places of its tensors.

mod code;

pub use code::{Code, load};

use crate::bug::bug;
use crate::emit::{Emitted, Machine, MachineFunction};
use crate::graph::{self, DType, Input, multiply_accumulates};
use crate::nest::{BufferId, Kernel, Role, Scalar, Stage};
use crate::schedule::{PlannedKernel, Schedule};
use nnc_runtime::program::{
    Element, InputBinding, InputKind, KernelFn, Launch, OutputBinding, Program,
};

/// Bytes of an element of any type in memory.
const ELEMENT_BYTES: usize = 4;

/// Makes a program of a schedule and its compiled code.
pub fn link(
    name: &str,
    schedule: &Schedule,
    inputs: &[Input],
    emitted: &Emitted,
    units: &[Vec<MachineFunction>],
    machine: &Machine,
) -> Program {
    let (code, entries) = load(machine, units);
    let launches = schedule.kernels.iter().zip(&emitted.of_kernel);
    let outputs = schedule.outputs.iter();
    Program {
        name: name.to_owned(),
        launches: launches
            .map(|(planned, &unit)| launch(schedule, planned, entries[unit]))
            .collect(),
        arena_bytes: schedule.arena_bytes,
        inputs: input_bindings(schedule, inputs),
        input_bytes: schedule.input_bytes(),
        outputs: outputs
            .map(|(name, buffer)| output_binding(schedule, name, *buffer))
            .collect(),
        code,
    }
}

fn launch(schedule: &Schedule, planned: &PlannedKernel, kernel: KernelFn) -> Launch {
    let args = planned.kernel.arguments();
    Launch {
        name: planned.kernel.name.clone(),
        kernel,
        args: args
            .iter()
            .map(|arg| schedule.buffers[arg.index()].place)
            .collect(),
        tasks: planned.plan.tasks(),
        parallel: planned.plan.parallel(),
        flop: flop(&planned.kernel, &|buffer| {
            schedule.buffers[buffer.index()].buffer.extents.as_slice()
        }),
        bytes: args.iter().map(|arg| bytes(schedule, *arg) as u64).sum(),
        origin: planned.kernel.origin.path.clone(),
    }
}

fn bytes(schedule: &Schedule, buffer: BufferId) -> usize {
    let extents = &schedule.buffers[buffer.index()].buffer.extents;
    extents.iter().product::<usize>() * ELEMENT_BYTES
}

/// Two for each product that a contraction sums, counted as [`crate::graph::flops`] does.
fn flop<'a>(kernel: &Kernel, shape: &dyn Fn(BufferId) -> &'a [usize]) -> u64 {
    if let Some(repeat) = kernel.repeat() {
        let inner = |buffer: BufferId| repeat.body.buffers[buffer.index()].extents.as_slice();
        let body = repeat
            .body
            .kernels
            .iter()
            .map(|kernel| flop(kernel, &inner));
        return (repeat.length * repeat.parts) as u64 * body.sum::<u64>();
    }
    let (Some((a, b)), Some(Stage::Reduce { over, .. })) =
        (kernel.factors(), kernel.stages.first())
    else {
        return 0;
    };
    let looped = |dim: usize| dim < kernel.outer || over.contains(&dim);
    let extents = kernel.dims.iter().enumerate();
    let extents: Vec<usize> = extents
        .map(|(dim, &n)| if looped(dim) { n } else { 1 })
        .collect();
    let reads = [a, b].map(|factor| match &kernel.scalars[factor.index()] {
        Scalar::Load { buffer, at, .. } => (at.as_slice(), shape(*buffer)),
        _ => Default::default(),
    });
    2 * multiply_accumulates(&extents, &reads)
}

fn input_bindings(schedule: &Schedule, inputs: &[Input]) -> Vec<InputBinding> {
    let placed = schedule.buffers.iter();
    placed
        .filter_map(|placed| match placed.buffer.role {
            Role::Input(id) => Some(InputBinding {
                kind: input_kind(&inputs[id.index()].kind),
                element: element(placed.buffer.dtype),
                shape: placed.buffer.extents.clone(),
                offset: placed.place.offset,
            }),
            Role::Slot(_) | Role::Temporary | Role::Output => None,
        })
        .collect()
}

fn output_binding(schedule: &Schedule, name: &str, buffer: BufferId) -> OutputBinding {
    let placed = &schedule.buffers[buffer.index()];
    OutputBinding {
        name: name.to_owned(),
        element: element(placed.buffer.dtype),
        shape: placed.buffer.extents.clone(),
        place: placed.place,
    }
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::F32,
        DType::I32 => Element::I32,
        DType::Bool => bug!("link", "a tensor of masks in memory"),
    }
}

fn input_kind(kind: &graph::InputKind) -> InputKind {
    match kind {
        graph::InputKind::Field(name) => InputKind::Field(name.clone()),
        graph::InputKind::Seed => InputKind::Seed,
        graph::InputKind::Step => InputKind::Step,
        graph::InputKind::Epoch => InputKind::Epoch,
        graph::InputKind::TotalSteps => InputKind::TotalSteps,
    }
}

#[cfg(test)]
mod tests;
