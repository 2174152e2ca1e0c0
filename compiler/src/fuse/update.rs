//! Slots are updated in place. All reads see the old values, so whoever reads a slot
//! runs before it is written; where that is impossible the new value waits in a
//! tensor of its own until everything else is done.

use crate::bug::bug;
use crate::index::IndexExpr;
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role, Scalar, ScalarId, Stage};
use std::collections::BTreeSet;

/// The kernels in an order in which each read of a slot comes before its update.
pub fn settle(mut kernels: Kernels) -> Kernels {
    let mut copies = Vec::new();
    for kernel in &mut kernels.kernels {
        for slot in conflicts(kernel, &kernels.buffers) {
            copies.push(detour(kernel, &mut kernels.buffers, slot));
        }
        order_stores(kernel);
    }
    let mut waiting = Waiting::new(&kernels);
    let mut order = Vec::with_capacity(kernels.kernels.len());
    while order.len() < kernels.kernels.len() {
        match waiting.ready.pop_first() {
            Some(next) => {
                waiting.done(next);
                order.push(next);
            }
            None => {
                let (kernel, slots) = waiting.break_circle(&kernels);
                let kernel = &mut kernels.kernels[kernel];
                let detours = slots.into_iter();
                copies.extend(detours.map(|slot| detour(kernel, &mut kernels.buffers, slot)));
            }
        }
    }
    let mut settled: Vec<Option<Kernel>> = kernels.kernels.into_iter().map(Some).collect();
    let in_order = order.into_iter().filter_map(|k| settled[k].take());
    kernels.kernels = in_order.chain(copies).collect();
    kernels
}

/// Who still waits for whom.
struct Waiting {
    /// Those that wait for nobody.
    ready: BTreeSet<usize>,
    /// For each kernel, how many others write what it reads, and how many read a slot that
    /// it updates.
    inputs: Vec<usize>,
    spoiled: Vec<usize>,
    /// For each kernel, who reads what it writes, and who updates a slot that it reads.
    readers: Vec<Vec<usize>>,
    updaters: Vec<Vec<usize>>,
    /// Kernels that need not wait for their slots any more.
    free: BTreeSet<usize>,
}

impl Waiting {
    fn new(kernels: &Kernels) -> Waiting {
        let count = kernels.kernels.len();
        let mut writer: Vec<Option<usize>> = vec![None; kernels.buffers.len()];
        for (number, kernel) in kernels.kernels.iter().enumerate() {
            for buffer in kernel.writes() {
                writer[buffer.index()] = Some(number);
            }
        }
        let mut waiting = Waiting {
            ready: BTreeSet::new(),
            inputs: vec![0; count],
            spoiled: vec![0; count],
            readers: vec![Vec::new(); count],
            updaters: vec![Vec::new(); count],
            free: BTreeSet::new(),
        };
        for (number, kernel) in kernels.kernels.iter().enumerate() {
            for buffer in kernel.reads() {
                match writer[buffer.index()] {
                    Some(other) if other == number => {}
                    Some(updater) if is_slot(&kernels.buffers, buffer) => {
                        waiting.updaters[number].push(updater);
                        waiting.spoiled[updater] += 1;
                    }
                    Some(writer) => {
                        waiting.readers[writer].push(number);
                        waiting.inputs[number] += 1;
                    }
                    None => {}
                }
            }
        }
        (0..count).for_each(|kernel| waiting.consider(kernel));
        waiting
    }

    fn consider(&mut self, kernel: usize) {
        let may_update = self.spoiled[kernel] == 0 || self.free.contains(&kernel);
        if self.inputs[kernel] == 0 && may_update {
            self.ready.insert(kernel);
        }
    }

    fn done(&mut self, kernel: usize) {
        // It is not to be found again as one that has its inputs.
        self.inputs[kernel] = usize::MAX;
        for reader in std::mem::take(&mut self.readers[kernel]) {
            self.inputs[reader] -= 1;
            self.consider(reader);
        }
        for updater in std::mem::take(&mut self.updaters[kernel]) {
            self.spoiled[updater] -= 1;
            if self.inputs[updater] == 0 && !self.free.contains(&updater) {
                self.consider(updater);
            }
        }
    }

    /// The first waiting kernel that has all it reads, and the slots beside which it is to
    /// write, since others still read them.
    fn break_circle(&mut self, kernels: &Kernels) -> (usize, Vec<BufferId>) {
        let Some(chosen) = (0..self.inputs.len()).find(|&k| self.inputs[k] == 0) else {
            bug!("fuse", "kernels wait for each other in a circle")
        };
        self.free.insert(chosen);
        self.ready.insert(chosen);
        let slots = updates(&kernels.kernels[chosen], &kernels.buffers);
        (chosen, slots.collect())
    }
}

fn updates(kernel: &Kernel, buffers: &[Buffer]) -> impl Iterator<Item = BufferId> {
    kernel
        .writes()
        .into_iter()
        .filter(|&buffer| is_slot(buffers, buffer))
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
    let mut stores = Stores::of(kernel);
    stores
        .waiting
        .retain(|store| !found.contains(&store.target));
    while !stores.waiting.is_empty() {
        let next = stores.free().unwrap_or_else(|| {
            found.push(stores.waiting[0].target);
            0
        });
        stores.waiting.remove(next);
    }
    found
}

/// Puts the stores in an order in which none overwrites what a later one reads.
fn order_stores(kernel: &mut Kernel) {
    let mut stores = Stores::of(kernel);
    let mut order: Vec<usize> = Vec::new();
    while !stores.waiting.is_empty() {
        let next = stores.free().unwrap_or(0);
        order.push(stores.waiting.remove(next).stage);
    }
    let first = kernel.stages.len() - order.len();
    let stores: Vec<Stage> = order
        .iter()
        .map(|&stage| kernel.stages[stage].clone())
        .collect();
    kernel.stages.truncate(first);
    kernel.stages.extend(stores);
}

/// Stores of a kernel that are not ordered yet.
struct Stores {
    waiting: Vec<Store>,
}

struct Store {
    /// Its position among the stages.
    stage: usize,
    target: BufferId,
    /// Which tensors it reads of those that the kernel writes.
    reads: BTreeSet<BufferId>,
}

impl Stores {
    fn of(kernel: &Kernel) -> Stores {
        let writes = kernel.writes();
        let both: BTreeSet<BufferId> = kernel
            .reads()
            .into_iter()
            .filter(|buffer| writes.contains(buffer))
            .collect();
        let reads = |stage: usize| match both.is_empty() {
            true => BTreeSet::new(),
            false => read_by(kernel, stage, &both),
        };
        let stages = kernel.stages.iter().enumerate();
        let stores = stages.filter_map(|(stage, store)| match store {
            Stage::Store { buffer, .. } => Some(Store {
                stage,
                target: *buffer,
                reads: reads(stage),
            }),
            Stage::Reduce { .. } => None,
        });
        Stores {
            waiting: stores.collect(),
        }
    }

    /// The first of them after which no other one reads what it writes.
    fn free(&self) -> Option<usize> {
        (0..self.waiting.len()).find(|&candidate| {
            let target = self.waiting[candidate].target;
            let mut others = self.waiting.iter().enumerate();
            others.all(|(other, store)| other == candidate || !store.reads.contains(&target))
        })
    }
}

/// Which of some tensors a stage reads.
fn read_by(kernel: &Kernel, stage: usize, of: &BTreeSet<BufferId>) -> BTreeSet<BufferId> {
    let scalars = kernel.scalars.iter().zip(kernel.cone(stage));
    let loads = scalars.filter_map(|(scalar, needed)| match scalar {
        Scalar::Load { buffer, .. } if needed => Some(*buffer),
        _ => None,
    });
    loads.filter(|buffer| of.contains(buffer)).collect()
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
        instead: None,
    }
}
