//! Kernels with the same outer dimensions that do not depend on each other become
//! one where that saves a pass over memory or the start of a small kernel.

use super::{cost, name};
use crate::index::{Dim, IndexExpr};
use crate::nest::{
    Buffer, Kernel, MOST_DIMS, MOST_REDUCTIONS, Role, Scalar, ScalarId, ScalarPool, Stage,
};
use rustc_hash::FxHashMap;

/// Fewer kernels that compute the same. They are given, and come back, in an order to run them in.
pub fn merge(kernels: Vec<Kernel>, buffers: &[Buffer]) -> Vec<Kernel> {
    let mut merged = Merged {
        kernels: Vec::with_capacity(kernels.len()),
        writer: vec![None; buffers.len()],
        by_points: FxHashMap::default(),
    };
    for kernel in kernels {
        let home = merged.home(&kernel);
        merged.add(kernel, home, buffers);
    }
    merged.kernels
}

struct Merged {
    kernels: Vec<Kernel>,
    /// Which of them writes each tensor. Slots are read before they are written.
    writer: Vec<Option<usize>>,
    /// Those with the same outer dimensions, in order.
    by_points: FxHashMap<Vec<usize>, Vec<usize>>,
}

impl Merged {
    /// The latest kernel that this one may become a part of, and gains by it.
    fn home(&self, kernel: &Kernel) -> Option<usize> {
        // Whatever it reads has to be written before.
        let reads = kernel.reads().into_iter();
        let after = reads.filter_map(|b| self.writer[b.index()]).max();
        let alike = self.by_points.get(&kernel.dims[..kernel.outer])?;
        let candidates = alike.iter().rev().copied();
        candidates
            .take_while(|&candidate| after.is_none_or(|after| candidate > after))
            .find(|&candidate| {
                let candidate = &self.kernels[candidate];
                gains(candidate, kernel) && !shares_write(candidate, kernel)
            })
    }

    fn add(&mut self, kernel: Kernel, home: Option<usize>, buffers: &[Buffer]) {
        let place = home.unwrap_or(self.kernels.len());
        for buffer in kernel.writes() {
            if !matches!(buffers[buffer.index()].role, Role::Slot(_)) {
                self.writer[buffer.index()] = Some(place);
            }
        }
        match home {
            Some(home) => self.kernels[home] = join(&self.kernels[home], &kernel),
            None => {
                let points = kernel.dims[..kernel.outer].to_vec();
                self.by_points.entry(points).or_default().push(place);
                self.kernels.push(kernel);
            }
        }
    }
}

fn shares_write(a: &Kernel, b: &Kernel) -> bool {
    let writes = a.writes();
    b.writes().iter().any(|buffer| writes.contains(buffer))
}

fn gains(a: &Kernel, b: &Kernel) -> bool {
    let same_points = a.dims[..a.outer] == b.dims[..b.outer];
    let special = a.instead.is_some() || b.instead.is_some();
    if !same_points || special || a.is_product() || b.is_product() || !has_room(a, b) {
        return false;
    }
    let points = |kernel: &Kernel| kernel.dims.iter().product::<usize>();
    let small = points(a) <= cost::SMALL_KERNEL && points(b) <= cost::SMALL_KERNEL;
    let same_rows = a.dims == b.dims;
    (small && same_rows) || shares_read(a, b)
}

/// Whether one kernel may do all that both do.
fn has_room(a: &Kernel, b: &Kernel) -> bool {
    a.stages.len() + b.stages.len() <= cost::MOST_STAGES
        && a.dims.len() + b.dims.len() - b.outer <= MOST_DIMS
        && a.reductions() + b.reductions() <= MOST_REDUCTIONS
}

/// Whether both read some large tensor, and at the same places.
fn shares_read(a: &Kernel, b: &Kernel) -> bool {
    let same_rows = a.dims == b.dims;
    let rows = if same_rows { a.dims.len() } else { a.outer };
    a.scalars.iter().any(|scalar| match scalar {
        Scalar::Load { at, .. } => {
            let whole = (0..rows).all(|dim| at.iter().any(|index| index.coefficient(dim) != 0));
            whole && !at.is_empty() && b.scalars.contains(scalar)
        }
        _ => false,
    })
}

/// One kernel that does what both do: the reductions of both, then their stores.
fn join(first: &Kernel, second: &Kernel) -> Kernel {
    let mut first = first.clone();
    let inner = &second.dims[second.outer..];
    // Equal loops inside a point become one, so that they can run as one.
    let shared = first.dims[first.outer..].starts_with(inner);
    let base = match shared {
        true => first.outer,
        false => first.dims.len(),
    };
    if !shared {
        first.dims.extend_from_slice(inner);
    }
    let rename = |dim: Dim| match dim < second.outer {
        true => dim,
        false => base + dim - second.outer,
    };
    let mut second = second.clone();
    second.map_indices(|index: &IndexExpr| index.rename(rename));
    for stage in &mut second.stages {
        let (Stage::Reduce { over, .. } | Stage::Store { over, .. }) = stage;
        over.iter_mut().for_each(|dim| *dim = rename(*dim));
    }
    let mut joined = Joined::default();
    let first_stores = joined.add(&first);
    let second_stores = joined.add(&second);
    joined
        .stages
        .extend(first_stores.into_iter().chain(second_stores));
    Kernel {
        name: name::joined(&first.name, &second.name),
        scalars: joined.pool.finish(),
        stages: joined.stages,
        ..first
    }
}

#[derive(Default)]
struct Joined {
    pool: ScalarPool,
    stages: Vec<Stage>,
}

impl Joined {
    /// Takes over a kernel's scalars and reductions, those it has already only once.
    /// What remains are the stores.
    fn add(&mut self, kernel: &Kernel) -> Vec<Stage> {
        let mut ids: Vec<ScalarId> = Vec::with_capacity(kernel.scalars.len());
        for scalar in &kernel.scalars {
            let moved = match scalar {
                Scalar::Reduced(number) => {
                    let stage = with_value(&kernel.stages[*number], &ids);
                    Scalar::Reduced(self.reduction(stage))
                }
                other => other.with_operands(|operand| ids[operand.index()]),
            };
            ids.push(self.pool.add(moved));
        }
        let stores = kernel
            .stages
            .iter()
            .filter(|s| matches!(s, Stage::Store { .. }));
        stores.map(|store| with_value(store, &ids)).collect()
    }

    fn reduction(&mut self, stage: Stage) -> usize {
        let known = self.stages.iter().position(|other| *other == stage);
        known.unwrap_or_else(|| {
            self.stages.push(stage);
            self.stages.len() - 1
        })
    }
}

/// The same stage, its value having another number.
fn with_value(stage: &Stage, ids: &[ScalarId]) -> Stage {
    let mut stage = stage.clone();
    let (Stage::Reduce { value, .. } | Stage::Store { value, .. }) = &mut stage;
    *value = ids[value.index()];
    stage
}
