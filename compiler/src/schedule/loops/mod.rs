//! How a kernel runs as loops: their order, what vectors run along, how the
//! work divides into tasks. Everything follows from shapes, layouts and target;
//! the order of additions does too, so no division among threads changes a bit.

mod solve;
mod unify;
mod flat;
mod dims;
mod merge;
mod order;
mod cost;
mod gates;
mod kept;

pub use cost::MOST_TAILS;
pub use dims::Dims;
pub use flat::{Access, Flat, FlatStage, Kind, Sink, Turn, Value, ValueId, flatten};

use crate::nest::Kernel;
use crate::schedule::{PlacedBuffer, tasks};
use crate::target::Isa;
use cost::{
    Along, MOST_BLOCKS, can_be_vector, inner_pays, inner_vector, kernel_cycles, memory_bytes,
};
use std::collections::BTreeSet;
use std::fmt;

/// A kernel as loops. It says all that its code depends on: equal plans are equal code.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LoopPlan {
    /// How wide vectors are, and with that whose code it becomes.
    pub isa: Isa,
    /// The loops in their order, and what they compute.
    pub flat: Flat,
    /// Vectors along the last outer loop.
    pub outer_vector: Option<Blocks>,
    /// For each stage, how its own loops run.
    pub stages: Vec<StagePlan>,
    /// The division of the work.
    pub tasks: Tasks,
}

/// How many vectors are worked on at once.
pub type Blocks = usize;

/// How the loops of a stage run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StagePlan {
    /// One point after the other (or no loops at all).
    Points,
    /// All points written out.
    Unrolled,
    /// Vectors along its last loop.
    Vector(Blocks),
}

/// The division of a kernel's work into tasks: the first outer loops, flattened,
/// and chunks of the next one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tasks {
    /// How many outer loops are tasks as a whole.
    pub loops: usize,
    /// How many rounds of the next outer loop make a task.
    pub chunk: Option<usize>,
    /// How many there are.
    pub count: u64,
    /// Whether it is worth more than one thread.
    pub parallel: bool,
}

/// Cycles that make a task worth its while: two of them are worth a meeting of all threads.
const TASK_CYCLES: f64 = 5_000.0;
/// Bytes that come from another core's cache in a cycle.
const BYTES_A_CYCLE: f64 = 16.0;
/// Fewer tasks than this are made even.
const FEW_TASKS: usize = 64;
/// Points of an unrolled stage at most.
const MOST_UNROLLED: usize = 9;
/// Values of an unrolled stage at most.
const MOST_UNROLLED_VALUES: usize = 48;

/// Plans a kernel, in vectors as wide as `isa` has them where that is possible.
pub fn plan(kernel: &Kernel, buffers: &[PlacedBuffer], isa: Isa) -> LoopPlan {
    let mut flat = flatten(
        &unify::unify(solve::solve(kernel.clone(), buffers)),
        buffers,
    );
    merge::merge(&mut flat);
    if isa != Isa::Portable && can_be_wide(&flat) {
        let wide = plan_flat(flat.clone(), isa);
        if wide.gains_by_width() {
            return wide;
        }
    }
    plan_flat(flat, Isa::Portable)
}

/// Wide vectors know nothing of guards and divided indices, which few kernels have: what
/// could be read outside has borders, and the windows of a pooling are split axes.
fn can_be_wide(flat: &Flat) -> bool {
    let guarded = flat
        .values
        .iter()
        .any(|value| matches!(value, Value::Within(..)));
    flat.quotients.is_empty() && !guarded
}

fn plan_flat(mut flat: Flat, isa: Isa) -> LoopPlan {
    let mut outer = order::outer_order(&flat);
    let along = choose(&flat, &outer, isa);
    if let Along::Outer(dim) = along {
        outer.retain(|&other| other != dim);
        outer.push(dim);
    }
    let cycles = kernel_cycles(&flat, along, isa);
    order::renumber(&mut flat, &outer);
    let in_points = matches!(along, Along::Outer(_));
    let mut stages: Vec<StagePlan> = (0..flat.stages.len())
        .map(|stage| stage_plan(&flat, stage, in_points, isa))
        .collect();
    kept::keep(&flat, &mut stages, isa);
    let outer_vector = in_points.then(|| outer_blocks(&flat, &stages, isa));
    let tasks = tasks(&flat, outer_vector, cycles, isa);
    LoopPlan {
        isa,
        flat,
        outer_vector,
        stages,
        tasks,
    }
}

impl LoopPlan {
    /// Whether vectors run at all, with no more different ends than there are masks for.
    fn gains_by_width(&self) -> bool {
        let flat = &self.flat;
        let outer = self.outer_vector.map(|_| flat.outer - 1);
        let inner = flat.stages.iter().zip(&self.stages);
        let inner = inner.filter_map(|(stage, plan)| match plan {
            StagePlan::Vector(_) => stage.over.last().copied(),
            StagePlan::Points | StagePlan::Unrolled => None,
        });
        let dims: Vec<usize> = outer.into_iter().chain(inner).collect();
        let tails = dims.iter().map(|&dim| flat.extents[dim] % self.isa.lanes());
        let tails: BTreeSet<usize> = tails.filter(|&lanes| lanes > 0).collect();
        !dims.is_empty() && tails.len() <= MOST_TAILS
    }
}

/// The cheapest loop for vectors; among equals the one nearest to the memory's order.
fn choose(flat: &Flat, outer: &[usize], isa: Isa) -> Along {
    let candidates = outer
        .iter()
        .rev()
        .filter(|&&dim| can_be_vector(flat, dim, isa))
        .map(|&dim| Along::Outer(dim))
        .chain([Along::Inner]);
    candidates
        .map(|along| (along, kernel_cycles(flat, along, isa)))
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .map_or(Along::Inner, |(along, _)| along)
}

fn stage_plan(flat: &Flat, stage: usize, in_points: bool, isa: Isa) -> StagePlan {
    let points = flat.points(flat.stages[stage].over.iter().copied());
    let values = inner_values(flat, stage);
    if let Some(dim) = inner_vector(flat, stage, isa)
        && !in_points
        && inner_pays(flat, stage, dim, isa)
    {
        return StagePlan::Vector(match flat.stages[stage].sink {
            Sink::Reduce(_) => blocks(flat.extents[dim], values, isa),
            Sink::Store(_) => 1,
        });
    }
    if points > 1 && points <= MOST_UNROLLED && points * values <= MOST_UNROLLED_VALUES {
        return StagePlan::Unrolled;
    }
    StagePlan::Points
}

/// Several vectors of points at once where a long reduction would wait for each addition.
fn outer_blocks(flat: &Flat, stages: &[StagePlan], isa: Isa) -> Blocks {
    let extent = flat.extents[flat.outer - 1];
    let waiting = (0..stages.len()).filter(|&stage| {
        matches!(flat.stages[stage].sink, Sink::Reduce(_))
            && !flat.stages[stage].over.is_empty()
            && stages[stage] == StagePlan::Points
    });
    waiting
        .map(|stage| blocks(extent, inner_values(flat, stage), isa))
        .min()
        .unwrap_or(1)
}

/// How many values change within the stage's own loops.
fn inner_values(flat: &Flat, stage: usize) -> usize {
    let dependencies = flat.dependencies();
    let over = Dims::of(flat.stages[stage].over.iter().copied());
    flat.cone(stage)
        .into_iter()
        .filter(|&id| dependencies[id].without(over) != dependencies[id])
        .count()
}

/// As many vectors at once as registers allow, and as the extent divides well into.
fn blocks(extent: usize, values: usize, isa: Isa) -> Blocks {
    let most = match values {
        0..=5 => MOST_BLOCKS,
        6..=12 => 2,
        _ => 1,
    };
    let rounds = |blocks: Blocks| {
        let step = blocks * isa.lanes();
        match isa {
            Isa::Portable => extent / step * blocks + extent % step,
            Isa::Avx2 | Isa::Avx512 => extent / step + (extent % step).div_ceil(isa.lanes()),
        }
    };
    (0..=2)
        .map(|power| 1 << power)
        .filter(|&blocks| blocks <= most)
        .reduce(|best, next| {
            if rounds(next) <= rounds(best) {
                next
            } else {
                best
            }
        })
        .unwrap_or(1)
}

fn tasks(flat: &Flat, outer_vector: Option<Blocks>, cycles: f64, isa: Isa) -> Tasks {
    let cycles = cycles.max(memory_bytes(flat) / BYTES_A_CYCLE);
    let mut wanted = tasks::within_reason((cycles / TASK_CYCLES) as usize);
    if wanted < FEW_TASKS {
        wanted = tasks::even(wanted);
    }
    let mut loops = 0;
    let mut count = 1;
    let mut chunk = None;
    while count < wanted && loops < flat.outer {
        let extent = flat.extents[loops];
        let is_vector = outer_vector.is_some() && loops + 1 == flat.outer;
        if !is_vector && count * extent <= 2 * wanted {
            loops += 1;
            count *= extent;
            continue;
        }
        let step = match outer_vector {
            Some(blocks) if is_vector => blocks * isa.lanes(),
            _ => 1,
        };
        let rounds = (extent * count).div_ceil(wanted).next_multiple_of(step);
        if rounds < extent {
            chunk = Some(rounds);
            count *= extent.div_ceil(rounds);
        }
        break;
    }
    Tasks {
        loops,
        chunk,
        count: count as u64,
        parallel: count > 1,
    }
}

impl fmt::Display for LoopPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flat = &self.flat;
        let Tasks { loops, chunk, .. } = self.tasks;
        if self.isa != Isa::Portable {
            write!(f, "{} ", self.isa)?;
        }
        write!(f, "{} tasks:", self.tasks.count)?;
        for dim in 0..flat.outer {
            write!(f, " i{dim}<{}", flat.extents[dim])?;
            match (chunk, self.outer_vector) {
                _ if dim < loops => write!(f, " task")?,
                (Some(chunk), _) if dim == loops => write!(f, " task/{chunk}")?,
                _ => {}
            }
            if let Some(blocks) = self.outer_vector
                && dim + 1 == flat.outer
            {
                write!(f, " vector*{blocks}")?;
            }
        }
        for (stage, plan) in flat.stages.iter().zip(&self.stages) {
            match &stage.sink {
                Sink::Reduce(combine) => write!(f, "; {}", format!("{combine:?}").to_lowercase())?,
                Sink::Store(access) => write!(f, "; store a{}[{}]", access.arg, access.address)?,
            }
            for &dim in &stage.over {
                write!(f, " i{dim}<{}", flat.extents[dim])?;
            }
            match plan {
                StagePlan::Points => {}
                StagePlan::Unrolled => write!(f, " unrolled")?,
                StagePlan::Vector(blocks) => write!(f, " vector*{blocks}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
