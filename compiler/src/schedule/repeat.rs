//! How a loop over time runs: its body is scheduled as any step is, in memory of its
//! own for each part, and each launch of it finds its tensors by the part and the time.

use super::tiles::Often;
use super::{ALIGNMENT, ELEMENT_BYTES, Plan, Planned, Rules, Schedule, arrange};
use crate::bug::bug;
use crate::graph::{DType, TimeOrder};
use crate::index::IndexExpr;
use crate::nest::{Buffer, BufferId, Kernel, Repeat, Role, ScalarId, Stage, Window};
use crate::target::Target;
use nnc_runtime::program::{Element, SlotBinding, SlotKind, SlotTable};
use std::cell::Cell;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// A loop over time with all that its code depends on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RepeatPlan {
    /// How many steps.
    pub length: usize,
    /// In which direction.
    pub order: TimeOrder,
    /// How many parts of the batch there are; each is a task.
    pub parts: usize,
    /// What runs once, before the first step: it depends on no step.
    pub before: Vec<RepeatedLaunch>,
    /// What runs at each step.
    pub each: Vec<RepeatedLaunch>,
}

/// A kernel of the body.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RepeatedLaunch {
    /// Its name.
    pub name: String,
    /// How it runs.
    pub plan: Arc<Plan>,
    /// Where its tensors lie.
    pub arguments: Vec<Argument>,
}

/// Where a tensor of the body lies. Distances are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Argument {
    /// Which argument of the loop it is a window of.
    pub of: usize,
    /// Where that begins for the first part at time 0.
    pub start: usize,
    /// How much later for the next point in time.
    pub per_step: usize,
    /// How much later for the next part.
    pub per_part: usize,
}

/// The plan of a loop, and the tensor in which its parts keep what lives within a step.
/// The kernel learns of it under the number `scratch`.
pub fn plan(kernel: &mut Kernel, scratch: BufferId, target: &Target) -> (RepeatPlan, Buffer) {
    let Some(repeat) = kernel.repeat().cloned() else {
        bug!("schedule", "{} is no loop over time", kernel.name)
    };
    let lasting = Cell::new(0);
    let rules = Rules {
        largest_bordered: 0,
        often: Often::Repeated,
        lasting: &|kernels| {
            lasting.set(constant_first(kernels, &repeat));
            lasting.get()
        },
    };
    let schedule = arrange(repeat.body.clone(), &nowhere(&repeat), target, &rules);
    let bytes = schedule.arena_bytes.next_multiple_of(ALIGNMENT);
    let buffer = Buffer {
        dtype: DType::F32,
        extents: vec![repeat.parts, bytes.max(ALIGNMENT) / ELEMENT_BYTES],
        role: Role::Temporary,
    };
    kernel.stages.push(Stage::Store {
        over: Vec::new(),
        buffer: scratch,
        at: vec![IndexExpr::constant(0); 2],
        value: ScalarId(0),
    });
    let arguments = kernel.arguments();
    let mut launches: Vec<RepeatedLaunch> = schedule
        .kernels
        .iter()
        .map(|planned| RepeatedLaunch {
            name: planned.kernel.name.clone(),
            plan: Arc::clone(&planned.plan),
            arguments: planned
                .kernel
                .arguments()
                .into_iter()
                .map(|inner| argument(inner, &repeat, &schedule, &arguments, (scratch, bytes)))
                .collect(),
        })
        .collect();
    let each = launches.split_off(lasting.get());
    let plan = RepeatPlan {
        length: repeat.length,
        order: repeat.order,
        parts: repeat.parts,
        before: launches,
        each,
    };
    (plan, buffer)
}

/// Slots for what a body reads whole: its windows tell where that lies.
fn nowhere(repeat: &Repeat) -> SlotTable {
    let mut table = SlotTable::default();
    for buffer in &repeat.body.buffers {
        if let Role::Slot(id) = buffer.role {
            let binding = |_| SlotBinding {
                path: String::new(),
                kind: SlotKind::State,
                element: Element::F32,
                shape: Vec::new(),
                offset: 0,
            };
            let missing = table.slots.len()..id.index() + 1;
            table.slots.extend(missing.map(binding));
        }
    }
    table
}

/// Puts those kernels first that do the same at each step (they pack weights, for
/// example), and counts them.
fn constant_first(kernels: &mut Vec<Planned>, repeat: &Repeat) -> usize {
    let window = |buffer: &BufferId| repeat.windows.get(buffer.index()).copied().flatten();
    let mut changes: Vec<BufferId> = Vec::new();
    let mut constant = Vec::new();
    let mut others = Vec::new();
    for planned in std::mem::take(kernels) {
        let mut reads = planned.0.reads().into_iter();
        let writes = planned.0.writes();
        let changed = reads.any(|buffer| {
            changes.contains(&buffer) || window(&buffer).is_some_and(|window| window.per_step > 0)
        });
        if changed || writes.iter().any(|buffer| window(buffer).is_some()) {
            changes.extend(writes);
            others.push(planned);
        } else {
            constant.push(planned);
        }
    }
    let count = constant.len();
    kernels.extend(constant.into_iter().chain(others));
    count
}

/// Where a tensor of the body lies among the arguments of the loop.
fn argument(
    inner: BufferId,
    repeat: &Repeat,
    schedule: &Schedule,
    arguments: &[BufferId],
    (scratch, bytes): (BufferId, usize),
) -> Argument {
    let window = repeat.windows.get(inner.index()).copied().flatten();
    let (outer, place) = match window {
        Some(Window {
            buffer,
            start,
            per_step,
            per_part,
        }) => (
            buffer,
            [start, per_step, per_part].map(|elements| elements * ELEMENT_BYTES),
        ),
        None => (
            scratch,
            [schedule.buffers[inner.index()].place.offset, 0, bytes],
        ),
    };
    let Some(of) = arguments.iter().position(|&argument| argument == outer) else {
        bug!("schedule", "{outer} is no argument of its loop")
    };
    let [start, per_step, per_part] = place;
    Argument {
        of,
        start,
        per_step,
        per_part,
    }
}

/// `4 parts, 28 steps:`, and the launches below.
impl Display for RepeatPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            TimeOrder::Forward => "",
            TimeOrder::Backward => " backward",
        };
        write!(f, "{} parts, {} steps{order}", self.parts, self.length)?;
        let before = self.before.iter().map(|launch| ("once", launch));
        for (when, launch) in before.chain(self.each.iter().map(|launch| ("each", launch))) {
            write!(f, "\n    {when} {}", launch.name)?;
            match &*launch.plan {
                Plan::Loops(plan) => write!(f, "\n        {plan}")?,
                Plan::Tiles(plan) => write!(f, "\n        {plan}")?,
                Plan::Repeat(plan) => write!(f, "\n        {plan}")?,
                Plan::Rows(plan) => write!(f, "\n        {plan}")?,
            }
        }
        Ok(())
    }
}
