//! The order in which kernels run: tensors are written late, read soon and given up
//! early, and what was just written is read next.

use crate::bug::bug;
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role};

/// The same kernels in a good order. At each step runs the one that frees the most
/// memory or needs the least; among equals the one whose operands are newest, and
/// then the one that came first.
pub fn order(kernels: Kernels) -> Kernels {
    let buffers = &kernels.buffers;
    let blockers = blockers(&kernels.kernels);
    let mut state = State {
        readers: vec![0; buffers.len()],
        written: vec![None; buffers.len()],
    };
    for buffer in kernels.kernels.iter().flat_map(Kernel::reads) {
        state.readers[buffer.index()] += 1;
    }
    let mut done = vec![false; kernels.kernels.len()];
    let mut order = Vec::with_capacity(done.len());
    while order.len() < done.len() {
        let ready = (0..done.len()).filter(|&k| !done[k] && blockers[k].iter().all(|&b| done[b]));
        let best = ready.max_by_key(|&k| {
            let kernel = &kernels.kernels[k];
            (
                state.gain(kernel, buffers),
                state.newest(kernel),
                std::cmp::Reverse(k),
            )
        });
        let Some(best) = best else {
            bug!("schedule", "kernels wait for each other in a circle")
        };
        done[best] = true;
        for buffer in kernels.kernels[best].reads() {
            state.readers[buffer.index()] -= 1;
        }
        for buffer in kernels.kernels[best].writes() {
            state.written[buffer.index()] = Some(order.len());
        }
        order.push(best);
    }
    let mut waiting: Vec<Option<Kernel>> = kernels.kernels.into_iter().map(Some).collect();
    Kernels {
        kernels: order
            .into_iter()
            .filter_map(|k| waiting[k].take())
            .collect(),
        ..kernels
    }
}

/// For each kernel those that must run before: who writes what it reads, and who reads
/// or writes what it overwrites, as far as they came before it.
fn blockers(kernels: &[Kernel]) -> Vec<Vec<usize>> {
    let reads: Vec<Vec<BufferId>> = kernels.iter().map(Kernel::reads).collect();
    let writes: Vec<Vec<BufferId>> = kernels.iter().map(Kernel::writes).collect();
    let meet = |a: &[BufferId], b: &[BufferId]| a.iter().any(|buffer| b.contains(buffer));
    (0..kernels.len())
        .map(|later| {
            let before = (0..later).filter(|&earlier| {
                meet(&writes[earlier], &reads[later])
                    || meet(&reads[earlier], &writes[later])
                    || meet(&writes[earlier], &writes[later])
            });
            before.collect()
        })
        .collect()
}

struct State {
    /// How many kernels are still to read each tensor.
    readers: Vec<usize>,
    /// When each was written.
    written: Vec<Option<usize>>,
}

impl State {
    /// Bytes that a kernel frees, less those that it needs.
    fn gain(&self, kernel: &Kernel, buffers: &[Buffer]) -> i64 {
        let bytes = |buffer: &BufferId| {
            let buffer = &buffers[buffer.index()];
            match buffer.role {
                Role::Temporary => buffer.extents.iter().product::<usize>() as i64,
                Role::Input(_) | Role::Slot(_) | Role::Output => 0,
            }
        };
        let reads = kernel.reads();
        let freed = reads
            .iter()
            .filter(|buffer| self.readers[buffer.index()] == 1);
        let writes = kernel.writes();
        let needed = writes
            .iter()
            .filter(|buffer| self.written[buffer.index()].is_none());
        freed.map(bytes).sum::<i64>() - needed.map(bytes).sum::<i64>()
    }

    /// When the newest of its operands was written.
    fn newest(&self, kernel: &Kernel) -> Option<usize> {
        kernel
            .reads()
            .iter()
            .filter_map(|buffer| self.written[buffer.index()])
            .max()
    }
}
