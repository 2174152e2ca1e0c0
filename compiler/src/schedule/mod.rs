//! Decides everything about how kernels run: order, memory layouts, tiles and
//! loops, the division among threads, and where each tensor lies.

mod display;
mod layout;
mod layouts;
pub mod loops;
mod memory;
mod order;
mod split;
mod stage;
pub mod tiles;

#[cfg(test)]
mod tests;

pub use layout::Layout;
pub use memory::{ALIGNMENT, ELEMENT_BYTES, slot_table};

use crate::nest::{Buffer, BufferId, Kernel, Kernels};
use crate::target::Target;
use nnc_runtime::program::{Place, Region, SlotTable};
use tiles::{TilePlan, TiledStep};

/// A step, ready to be emitted.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Every tensor, those that the schedule added (packed operands, partial sums) at the end.
    pub buffers: Vec<PlacedBuffer>,
    /// Kernels in the order in which they run.
    pub kernels: Vec<PlannedKernel>,
    /// Named results.
    pub outputs: Vec<(String, BufferId)>,
    /// Memory for everything temporary, after sharing by liveness.
    pub arena_bytes: usize,
}

/// A tensor with its layout and place.
#[derive(Clone, PartialEq, Debug)]
pub struct PlacedBuffer {
    /// What it is.
    pub buffer: Buffer,
    /// How its elements lie.
    pub layout: Layout,
    /// Where its memory starts (the first border element).
    pub place: Place,
}

/// A kernel and how it is to be run.
#[derive(Clone, Debug)]
pub struct PlannedKernel {
    /// What to compute.
    pub kernel: Kernel,
    /// How.
    pub plan: Plan,
}

/// The two ways to run a kernel.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Plan {
    /// Loops over points.
    Loops(loops::LoopPlan),
    /// Register tiles of a contraction.
    Tiles(tiles::TilePlan),
}

/// Schedules the kernels of a step for a machine. `slots` tells where the model's slots lie.
pub fn schedule(kernels: Kernels, slots: &SlotTable, target: &Target) -> Schedule {
    let kernels = order::order(stage::stage(split::split(kernels)));
    let layouts = layouts::layouts(&kernels, target);
    let tiled = Tiled::new(kernels, layouts, target);
    let running: Vec<&Kernel> = tiled.kernels.iter().map(|(kernel, _)| kernel).collect();
    let memory = memory::memory(&running, &tiled.buffers, &tiled.layouts, slots);
    let placed = tiled
        .buffers
        .into_iter()
        .zip(tiled.layouts)
        .zip(memory.places);
    let buffers: Vec<PlacedBuffer> = placed
        .map(|((buffer, layout), place)| PlacedBuffer {
            buffer,
            layout,
            place,
        })
        .collect();
    let planned = tiled
        .kernels
        .into_iter()
        .map(|(kernel, tiles)| PlannedKernel {
            plan: match tiles {
                Some(plan) => Plan::Tiles(plan),
                None => Plan::Loops(loops::plan(&kernel, &buffers)),
            },
            kernel,
        });
    Schedule {
        kernels: planned.collect(),
        buffers,
        outputs: tiled.outputs,
        arena_bytes: memory.arena_bytes,
    }
}

/// Kernels of which the products run as tiles, with what that takes besides.
struct Tiled {
    kernels: Vec<(Kernel, Option<TilePlan>)>,
    buffers: Vec<Buffer>,
    layouts: Vec<Layout>,
    outputs: Vec<(String, BufferId)>,
}

impl Tiled {
    fn new(kernels: Kernels, layouts: Vec<Layout>, target: &Target) -> Tiled {
        let mut tiled = Tiled {
            kernels: Vec::with_capacity(kernels.kernels.len()),
            buffers: kernels.buffers,
            layouts,
            outputs: kernels.outputs,
        };
        for kernel in kernels.kernels {
            match tiles::plan(&kernel, &tiled.buffers, &tiled.layouts, target) {
                Some(plan) => tiled.add(plan),
                None => tiled.kernels.push((kernel, None)),
            }
        }
        tiled
    }

    fn add(&mut self, plan: tiles::Tiled) {
        for (buffer, layout) in plan.buffers {
            self.buffers.push(buffer);
            self.layouts.push(layout);
        }
        self.kernels
            .extend(plan.steps.into_iter().map(|step| match step {
                TiledStep::Loops(kernel) => (kernel, None),
                TiledStep::Tiles(kernel, plan) => (kernel, Some(plan)),
            }));
    }
}

impl Schedule {
    /// Bytes of the tensors that the caller fills in.
    pub fn input_bytes(&self) -> usize {
        let inputs = self.buffers.iter();
        let inputs = inputs.filter(|placed| placed.place.region == Region::Inputs);
        let ends =
            inputs.map(|placed| placed.place.offset + placed.layout.elements * ELEMENT_BYTES);
        ends.max().unwrap_or(0)
    }
}
