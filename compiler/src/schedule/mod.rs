//! Decides everything about how kernels run: order, memory layouts, tiles and
//! loops, the division among threads, and where each tensor lies.

mod display;
mod layout;
mod layouts;
pub mod loops;
mod memory;
mod order;
mod repeat;
mod split;
mod stage;
pub mod tiles;

#[cfg(test)]
mod tests;

pub use layout::Layout;
pub use memory::{ALIGNMENT, ELEMENT_BYTES, slot_table};
pub use repeat::{Argument, RepeatPlan, RepeatedLaunch};

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

/// The ways to run a kernel.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Plan {
    /// Loops over points.
    Loops(loops::LoopPlan),
    /// Register tiles of a contraction.
    Tiles(tiles::TilePlan),
    /// A loop over time around other kernels.
    Repeat(RepeatPlan),
}

impl Plan {
    /// Into how many tasks the kernel divides.
    pub fn tasks(&self) -> u64 {
        match self {
            Plan::Loops(plan) => plan.tasks.count,
            Plan::Tiles(plan) => plan.tasks() as u64,
            Plan::Repeat(plan) => plan.parts as u64,
        }
    }

    /// Whether it is worth more than one thread.
    pub fn parallel(&self) -> bool {
        match self {
            Plan::Loops(plan) => plan.tasks.parallel,
            Plan::Tiles(_) | Plan::Repeat(_) => self.tasks() > 1,
        }
    }
}

/// Schedules the kernels of a step for a machine. `slots` tells where the model's slots lie.
pub fn schedule(kernels: Kernels, slots: &SlotTable, target: &Target) -> Schedule {
    let rules = Rules {
        largest_bordered: LARGEST_BORDERED,
        lasting: &|_| 0,
    };
    arrange(kernels, slots, target, &rules)
}

/// A tensor with borders may take so many times the memory that it takes without.
const LARGEST_BORDERED: usize = 4;

/// A kernel, and its tiles if it has some.
type Planned = (Kernel, Option<TilePlan>);

/// What differs between a step and the body of a loop over time.
struct Rules<'a> {
    /// So many times the memory without borders a tensor with borders may take; 0 where nobody
    /// writes the zeros.
    largest_bordered: usize,
    /// Puts kernels in front whose results are needed to the end, and counts them.
    lasting: &'a dyn Fn(&mut Vec<Planned>) -> usize,
}

fn arrange(kernels: Kernels, slots: &SlotTable, target: &Target, rules: &Rules<'_>) -> Schedule {
    let kernels = order::order(stage::stage(split::split(kernels)));
    let layouts = layouts::layouts(&kernels, rules.largest_bordered, target);
    let mut tiled = Tiled::new(kernels, layouts, target);
    let lasting = (rules.lasting)(&mut tiled.kernels);
    let mut repeats = tiled.repeats(target);
    let running: Vec<&Kernel> = tiled.kernels.iter().map(|(kernel, _)| kernel).collect();
    let memory = memory::memory(&running, &tiled.buffers, &tiled.layouts, slots, lasting);
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
            plan: match (tiles, &kernel.repeat) {
                (_, Some(_)) => Plan::Repeat(repeats.remove(0)),
                (Some(plan), None) => Plan::Tiles(plan),
                (None, None) => Plan::Loops(loops::plan(&kernel, &buffers, target.isa)),
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
    kernels: Vec<Planned>,
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

impl Tiled {
    /// The plans of the loops over time, in the order of their kernels, each of which gets
    /// memory for its body.
    fn repeats(&mut self, target: &Target) -> Vec<RepeatPlan> {
        let mut plans = Vec::new();
        for (kernel, _) in &mut self.kernels {
            if kernel.repeat.is_some() {
                let scratch = BufferId(self.buffers.len() as u32);
                let (plan, buffer) = repeat::plan(kernel, scratch, target);
                self.layouts.push(Layout::row_major(buffer.extents.clone()));
                self.buffers.push(buffer);
                plans.push(plan);
            }
        }
        plans
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
