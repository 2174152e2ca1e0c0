//! Decides everything about how kernels run: order, memory layouts, tiles and
//! loops, the division among threads, and where each tensor lies.

mod alike;
mod display;
mod im2col;
mod layout;
mod layouts;
pub mod loops;
mod memory;
mod multiply_add;
mod order;
mod phases;
mod repeat;
mod rows;
mod split;
mod stage;
mod tasks;
pub mod tiles;

#[cfg(test)]
mod tests;

pub use layout::Layout;
pub use memory::{ALIGNMENT, ELEMENT_BYTES, slot_table};
pub use repeat::{Argument, RepeatPlan, RepeatedLaunch};
pub use rows::RowsPlan;

use crate::nest::{Buffer, BufferId, Kernel, Kernels};
use crate::target::{Isa, Target};
use alike::{Alone, distinct};
use memory::Sharing;
use nnc_runtime::program::{Place, Region, SlotTable};
use rayon::prelude::*;
use std::sync::Arc;
use tiles::{Often, TiledStep};

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
    /// How. Equal kernels share it.
    pub plan: Arc<Plan>,
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
    /// Rows moved by their numbers.
    Rows(RowsPlan),
}

impl Plan {
    /// Into how many tasks the kernel divides.
    pub fn tasks(&self) -> u64 {
        match self {
            Plan::Loops(plan) => plan.tasks.count,
            Plan::Tiles(plan) => plan.tasks() as u64,
            Plan::Repeat(plan) => plan.parts as u64,
            Plan::Rows(plan) => plan.tasks() as u64,
        }
    }

    /// Whether it is worth more than one thread.
    pub fn parallel(&self) -> bool {
        match self {
            Plan::Loops(plan) => plan.tasks.parallel,
            Plan::Tiles(_) | Plan::Repeat(_) | Plan::Rows(_) => self.tasks() > 1,
        }
    }
}

/// Schedules the kernels of a step for a machine. `slots` tells where the model's slots lie.
pub fn schedule(kernels: Kernels, slots: &SlotTable, target: &Target) -> Schedule {
    let rules = Rules {
        largest_bordered: LARGEST_BORDERED,
        often: Often::Once,
        lasting: &|_| 0,
    };
    arrange(kernels, slots, target, &rules)
}

/// A tensor with borders may take so many times the memory that it takes without.
const LARGEST_BORDERED: usize = 4;

/// A kernel and its plan, which equal kernels share; loops over time get theirs later.
type Planned = (Kernel, Option<Arc<Plan>>);

/// What differs between a step and the body of a loop over time.
struct Rules<'a> {
    /// So many times the memory without borders a tensor with borders may take; 0 where nobody
    /// writes the zeros.
    largest_bordered: usize,
    /// How often the kernels run.
    often: Often,
    /// Puts kernels in front whose results are needed to the end, and counts them.
    lasting: &'a dyn Fn(&mut Vec<Planned>) -> usize,
}

fn arrange(kernels: Kernels, slots: &SlotTable, target: &Target, rules: &Rules<'_>) -> Schedule {
    let mut kernels = phases::phases(split::split(kernels));
    if target.without.direct_convolution {
        kernels = im2col::im2col(kernels);
    }
    let kernels = order::order(stage::stage(kernels));
    let layouts = layouts::layouts(&kernels, rules.largest_bordered, target);
    let kernels = match target.isa {
        Isa::Portable => kernels,
        Isa::Avx2 | Isa::Avx512 => multiply_add::multiply_add(kernels),
    };
    let mut arranged = Arranged::new(kernels, layouts, target, rules.often);
    let lasting = (rules.lasting)(&mut arranged.kernels);
    let planned = arranged.with_repeats(target);
    let running: Vec<&Kernel> = planned.iter().map(|planned| &planned.kernel).collect();
    let sharing = match target.without.sharing {
        true => Sharing::Never,
        false => Sharing::ByLiveness,
    };
    let Arranged {
        buffers,
        layouts,
        outputs,
        ..
    } = arranged;
    let memory = memory::memory(&running, &buffers, &layouts, slots, lasting, sharing);
    let placed = buffers.into_iter().zip(layouts).zip(memory.places);
    Schedule {
        kernels: planned,
        buffers: placed
            .map(|((buffer, layout), place)| PlacedBuffer {
                buffer,
                layout,
                place,
            })
            .collect(),
        outputs,
        arena_bytes: memory.arena_bytes,
    }
}

/// Kernels with their plans, and the tensors that they took besides.
struct Arranged {
    kernels: Vec<Planned>,
    buffers: Vec<Buffer>,
    layouts: Vec<Layout>,
    outputs: Vec<(String, BufferId)>,
}

impl Arranged {
    /// Plans the kernels that differ, in parallel, and puts what came of it wherever they occur.
    fn new(kernels: Kernels, layouts: Vec<Layout>, target: &Target, often: Often) -> Arranged {
        let plain = kernels.kernels.iter().filter(|k| k.repeat().is_none());
        let alone = plain.map(|kernel| Alone::new(kernel, &kernels.buffers, &layouts));
        let (distinct, which) = distinct(alone);
        let plans: Vec<Ready> = distinct
            .par_iter()
            .map(|kernel| Ready::new(kernel, target, often))
            .collect();
        let mut plans = which.into_iter().map(|which| &plans[which]);
        let mut arranged = Arranged {
            kernels: Vec::with_capacity(kernels.kernels.len()),
            buffers: kernels.buffers,
            layouts,
            outputs: kernels.outputs,
        };
        for kernel in kernels.kernels {
            let plan = kernel.repeat().is_none().then(|| plans.next()).flatten();
            match plan {
                Some(ready) => arranged.add(&kernel, ready),
                None => arranged.kernels.push((kernel, None)),
            }
        }
        arranged
    }

    fn add(&mut self, kernel: &Kernel, ready: &Ready) {
        let arguments = kernel.arguments();
        let first = self.buffers.len();
        let buffer = |own: BufferId| match arguments.get(own.index()) {
            Some(&given) => given,
            None => BufferId((first + own.index() - arguments.len()) as u32),
        };
        for (step, plan) in &ready.steps {
            let mut step = step.clone();
            step.map_buffers(buffer);
            step.name.insert_str(0, &kernel.name);
            step.origin.clone_from(&kernel.origin);
            self.kernels.push((step, Some(Arc::clone(plan))));
        }
        for (buffer, layout) in &ready.buffers {
            self.buffers.push(buffer.clone());
            self.layouts.push(layout.clone());
        }
    }

    /// All kernels with their plans; each loop over time gets memory for its body.
    fn with_repeats(&mut self, target: &Target) -> Vec<PlannedKernel> {
        let kernels = std::mem::take(&mut self.kernels).into_iter();
        let planned = kernels.map(|(mut kernel, plan)| {
            let plan = plan.unwrap_or_else(|| {
                let scratch = BufferId(self.buffers.len() as u32);
                let (plan, buffer) = repeat::plan(&mut kernel, scratch, target);
                self.layouts.push(Layout::row_major(buffer.extents.clone()));
                self.buffers.push(buffer);
                Arc::new(Plan::Repeat(plan))
            });
            PlannedKernel { kernel, plan }
        });
        planned.collect()
    }
}

/// What runs in the place of a kernel. Tensors have the numbers that the kernel by itself
/// gives them, those that are new the numbers after them; names lack the kernel's own.
struct Ready {
    buffers: Vec<(Buffer, Layout)>,
    steps: Vec<(Kernel, Arc<Plan>)>,
}

impl Ready {
    fn new(alone: &Alone, target: &Target, often: Often) -> Ready {
        let Alone {
            kernel,
            buffers,
            layouts,
        } = alone;
        if let Some(rows) = kernel.rows() {
            return Ready {
                buffers: Vec::new(),
                steps: vec![(kernel.clone(), Arc::new(Plan::Rows(RowsPlan::new(rows))))],
            };
        }
        let (new, steps) = match tiles::plan(kernel, buffers, layouts, target, often) {
            Some(tiled) => (tiled.buffers, tiled.steps),
            None => (Vec::new(), vec![TiledStep::Loops(kernel.clone())]),
        };
        let given = buffers.iter().zip(layouts);
        let tensors = given.chain(new.iter().map(|(buffer, layout)| (buffer, layout)));
        let tensors: Vec<PlacedBuffer> = tensors
            .map(|(buffer, layout)| PlacedBuffer {
                buffer: buffer.clone(),
                layout: layout.clone(),
                // Kernels get addresses when they run.
                place: Place {
                    region: Region::Arena,
                    offset: 0,
                },
            })
            .collect();
        let steps = steps.into_iter().map(|step| match step {
            TiledStep::Loops(kernel) => {
                let plan = Plan::Loops(loops::plan(&kernel, &tensors, target.isa));
                (kernel, Arc::new(plan))
            }
            TiledStep::Tiles(kernel, plan) => (kernel, Arc::new(Plan::Tiles(plan))),
        });
        Ready {
            steps: steps.collect(),
            buffers: new,
        }
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
