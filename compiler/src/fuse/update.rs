//! Slots are updated in place. All reads see the old values, so whoever reads a slot
//! runs before it is written; where that is impossible the new value waits in a
//! tensor of its own until everything else is done.

use crate::bug::bug;
use crate::index::IndexExpr;
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role, Scalar, ScalarId, Stage};

/// The kernels in an order in which each read of a slot comes before its update.
pub fn settle(mut kernels: Kernels) -> Kernels {
    let mut copies = Vec::new();
    for kernel in &mut kernels.kernels {
        for slot in conflicts(kernel, &kernels.buffers) {
            copies.push(detour(kernel, &mut kernels.buffers, slot));
        }
        order_stores(kernel);
    }
    let mut waiting = std::mem::take(&mut kernels.kernels);
    while !waiting.is_empty() {
        match (0..waiting.len()).find(|&i| is_ready(&waiting, i, &kernels.buffers)) {
            Some(next) => kernels.kernels.push(waiting.remove(next)),
            None => break_circle(&mut waiting, &mut kernels.buffers, &mut copies),
        }
    }
    kernels.kernels.extend(copies);
    kernels
}

fn is_slot(buffers: &[Buffer], buffer: BufferId) -> bool {
    matches!(buffers[buffer.index()].role, Role::Slot(_))
}

/// The slots that a kernel updates although other points of it, or later stores,
/// need their old values.
fn conflicts(kernel: &Kernel, buffers: &[Buffer]) -> Vec<BufferId> {
    let slots = kernel
        .writes()
        .into_iter()
        .filter(|&slot| is_slot(buffers, slot));
    let reads_elsewhere = |slot: BufferId| {
        let written_at = kernel.stages.iter().find_map(|stage| match stage {
            Stage::Store { buffer, at, .. } if *buffer == slot => Some(at),
            _ => None,
        });
        kernel.scalars.iter().any(|scalar| match scalar {
            Scalar::Load { buffer, at, .. } => *buffer == slot && Some(at) != written_at,
            _ => false,
        })
    };
    let mut found: Vec<BufferId> = slots.filter(|&slot| reads_elsewhere(slot)).collect();
    // A circle of stores each of which reads what the next one writes.
    let mut stores: Vec<usize> = stores_of(kernel).collect();
    stores.retain(|&stage| written(kernel, stage).is_some_and(|b| !found.contains(&b)));
    while !stores.is_empty() {
        let next = match free_store(kernel, &stores) {
            Some(next) => next,
            None => {
                found.extend(written(kernel, stores[0]));
                0
            }
        };
        stores.remove(next);
    }
    found
}

fn stores_of(kernel: &Kernel) -> impl Iterator<Item = usize> {
    let stages = kernel.stages.iter().enumerate();
    stages.filter_map(|(position, stage)| matches!(stage, Stage::Store { .. }).then_some(position))
}

fn written(kernel: &Kernel, stage: usize) -> Option<BufferId> {
    match &kernel.stages[stage] {
        Stage::Store { buffer, .. } => Some(*buffer),
        Stage::Reduce { .. } => None,
    }
}

/// The first of some stores after which no other of them reads what it writes.
fn free_store(kernel: &Kernel, stores: &[usize]) -> Option<usize> {
    (0..stores.len()).find(|&candidate| {
        let target = written(kernel, stores[candidate]);
        let mut others = stores.iter().enumerate();
        others.all(|(other, &stage)| other == candidate || !reads(kernel, stage, target))
    })
}

fn reads(kernel: &Kernel, stage: usize, target: Option<BufferId>) -> bool {
    let cone = kernel.cone(stage);
    kernel
        .scalars
        .iter()
        .zip(cone)
        .any(|(scalar, needed)| match scalar {
            Scalar::Load { buffer, .. } => needed && Some(*buffer) == target,
            _ => false,
        })
}

/// Puts the stores in an order in which none overwrites what a later one reads.
fn order_stores(kernel: &mut Kernel) {
    let mut waiting: Vec<usize> = stores_of(kernel).collect();
    let mut order: Vec<usize> = Vec::new();
    while !waiting.is_empty() {
        let next = free_store(kernel, &waiting).unwrap_or(0);
        order.push(waiting.remove(next));
    }
    let first = kernel.stages.len() - order.len();
    let stores: Vec<Stage> = order
        .iter()
        .map(|&stage| kernel.stages[stage].clone())
        .collect();
    kernel.stages.truncate(first);
    kernel.stages.extend(stores);
}

/// Whether nothing that still waits has to run before this one.
fn is_ready(waiting: &[Kernel], candidate: usize, buffers: &[Buffer]) -> bool {
    let reads = waiting[candidate].reads();
    let updates: Vec<BufferId> = updates(&waiting[candidate], buffers).collect();
    let mut others = waiting.iter().enumerate().filter(|&(i, _)| i != candidate);
    others.all(|(_, other)| {
        let writes = other.writes();
        let needs_it = reads
            .iter()
            .any(|&b| writes.contains(&b) && !is_slot(buffers, b));
        let spoils_it = other.reads().iter().any(|buffer| updates.contains(buffer));
        !needs_it && !spoils_it
    })
}

fn updates(kernel: &Kernel, buffers: &[Buffer]) -> impl Iterator<Item = BufferId> {
    kernel
        .writes()
        .into_iter()
        .filter(|&buffer| is_slot(buffers, buffer))
}

/// Lets the first waiting kernel that has all it reads write beside the slots that others
/// still read.
fn break_circle(waiting: &mut [Kernel], buffers: &mut Vec<Buffer>, copies: &mut Vec<Kernel>) {
    let has_inputs = |candidate: usize| {
        let reads = waiting[candidate].reads();
        waiting.iter().enumerate().all(|(i, other)| {
            let writes = other.writes();
            i == candidate
                || !reads
                    .iter()
                    .any(|&b| writes.contains(&b) && !is_slot(buffers, b))
        })
    };
    let Some(chosen) = (0..waiting.len()).find(|&i| has_inputs(i)) else {
        bug!("fuse", "kernels wait for each other in a circle")
    };
    let slots: Vec<BufferId> = updates(&waiting[chosen], buffers).collect();
    copies.extend(
        slots
            .into_iter()
            .map(|slot| detour(&mut waiting[chosen], buffers, slot)),
    );
}

/// Lets a kernel write to a new tensor in place of a slot; what comes back copies it there.
fn detour(kernel: &mut Kernel, buffers: &mut Vec<Buffer>, slot: BufferId) -> Kernel {
    let new = BufferId(buffers.len() as u32);
    let extents = buffers[slot.index()].extents.clone();
    buffers.push(Buffer {
        role: Role::Temporary,
        ..buffers[slot.index()].clone()
    });
    for stage in &mut kernel.stages {
        if let Stage::Store { buffer, .. } = stage
            && *buffer == slot
        {
            *buffer = new;
        }
    }
    let at: Vec<IndexExpr> = (0..extents.len()).map(IndexExpr::dim).collect();
    Kernel {
        name: "copy".into(),
        outer: extents.len(),
        dims: extents,
        scalars: vec![Scalar::Load {
            buffer: new,
            at: at.clone(),
            fill: None,
        }],
        stages: vec![Stage::Store {
            over: Vec::new(),
            buffer: slot,
            at,
            value: ScalarId(0),
        }],
        origin: kernel.origin.clone(),
        repeat: None,
    }
}
