//! The order in which kernels run: tensors are written late, read soon and given up
//! early, and what was just written is read next.

use crate::bug::bug;
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The same kernels in a good order. At each step runs the one that frees the most
/// memory or needs the least; among equals the one whose operands are newest, and
/// then the one that came first.
pub fn order(kernels: Kernels) -> Kernels {
    let mut queue = Queue::new(&kernels);
    let mut order = Vec::with_capacity(kernels.kernels.len());
    while let Some(next) = queue.next() {
        order.push(next);
    }
    if order.len() < kernels.kernels.len() {
        bug!("schedule", "kernels wait for each other in a circle")
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

/// What makes a kernel the next one: the memory it frees, how new its operands are, its
/// place in the order given.
type Rank = (i64, Option<usize>, Reverse<usize>);

/// Kernels that wait, and those that could run.
struct Queue<'a> {
    buffers: &'a [Buffer],
    /// What each kernel reads and writes.
    reads: Vec<Vec<BufferId>>,
    writes: Vec<Vec<BufferId>>,
    /// For each kernel, how many it waits for, and who waits for it.
    missing: Vec<usize>,
    followers: Vec<Vec<usize>>,
    /// The kernels that read each tensor, and how many of them are still to run.
    readers: Vec<Vec<usize>>,
    unread: Vec<usize>,
    /// When each tensor was written.
    written: Vec<Option<usize>>,
    ready: BTreeSet<Rank>,
    /// The rank of each kernel that is ready.
    ranks: Vec<Option<Rank>>,
    done: usize,
}

impl<'a> Queue<'a> {
    fn new(kernels: &'a Kernels) -> Queue<'a> {
        let count = kernels.kernels.len();
        let mut readers = vec![Vec::new(); kernels.buffers.len()];
        let reads: Vec<Vec<BufferId>> = kernels.kernels.iter().map(Kernel::reads).collect();
        for (kernel, buffers) in reads.iter().enumerate() {
            buffers
                .iter()
                .for_each(|buffer| readers[buffer.index()].push(kernel));
        }
        let mut queue = Queue {
            buffers: &kernels.buffers,
            writes: kernels.kernels.iter().map(Kernel::writes).collect(),
            reads,
            missing: vec![0; count],
            followers: vec![Vec::new(); count],
            unread: readers.iter().map(Vec::len).collect(),
            written: vec![None; readers.len()],
            readers,
            ready: BTreeSet::new(),
            ranks: vec![None; count],
            done: 0,
        };
        queue.link();
        for kernel in 0..count {
            if queue.missing[kernel] == 0 {
                queue.is_ready(kernel);
            }
        }
        queue
    }

    /// Finds whom each kernel waits for: who writes what it reads, and who reads or writes
    /// what it overwrites, as far as they came before it.
    fn link(&mut self) {
        let mut writer: Vec<Option<usize>> = vec![None; self.buffers.len()];
        // Since it was last written.
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.buffers.len()];
        for kernel in 0..self.reads.len() {
            let mut before = BTreeSet::new();
            for buffer in &self.reads[kernel] {
                before.extend(writer[buffer.index()]);
            }
            for buffer in &self.writes[kernel] {
                before.extend(writer[buffer.index()].replace(kernel));
                before.extend(readers[buffer.index()].drain(..));
            }
            for buffer in &self.reads[kernel] {
                readers[buffer.index()].push(kernel);
            }
            self.missing[kernel] = before.len();
            for earlier in before {
                self.followers[earlier].push(kernel);
            }
        }
    }

    fn next(&mut self) -> Option<usize> {
        let (.., Reverse(kernel)) = self.ready.pop_last()?;
        self.ranks[kernel] = None;
        for buffer in std::mem::take(&mut self.reads[kernel]) {
            let unread = &mut self.unread[buffer.index()];
            *unread -= 1;
            if *unread == 1 {
                self.has_one_reader(buffer);
            }
        }
        for buffer in &self.writes[kernel] {
            self.written[buffer.index()] = Some(self.done);
        }
        self.done += 1;
        for follower in std::mem::take(&mut self.followers[kernel]) {
            self.missing[follower] -= 1;
            if self.missing[follower] == 0 {
                self.is_ready(follower);
            }
        }
        Some(kernel)
    }

    fn is_ready(&mut self, kernel: usize) {
        let rank = (self.gain(kernel), self.newest(kernel), Reverse(kernel));
        self.ranks[kernel] = Some(rank);
        self.ready.insert(rank);
    }

    /// Whoever reads a tensor last frees it. Nothing else changes the rank of a kernel
    /// that is ready: what it reads is written, and what it writes waits for it.
    fn has_one_reader(&mut self, buffer: BufferId) {
        let last = self.readers[buffer.index()].iter();
        let last = last
            .copied()
            .find(|&k| self.ranks[k].is_some() && self.reads[k].contains(&buffer));
        if let Some(kernel) = last
            && let Some(rank) = self.ranks[kernel].take()
        {
            self.ready.remove(&rank);
            self.is_ready(kernel);
        }
    }

    /// Elements that a kernel frees, less those that it needs.
    fn gain(&self, kernel: usize) -> i64 {
        let elements = |buffer: &BufferId| {
            let buffer = &self.buffers[buffer.index()];
            match buffer.role {
                Role::Temporary => buffer.extents.iter().product::<usize>() as i64,
                Role::Input(_) | Role::Slot(_) | Role::Output => 0,
            }
        };
        let reads = self.reads[kernel].iter();
        let freed = reads.filter(|buffer| self.unread[buffer.index()] == 1);
        let writes = self.writes[kernel].iter();
        let needed = writes.filter(|buffer| self.written[buffer.index()].is_none());
        freed.map(elements).sum::<i64>() - needed.map(elements).sum::<i64>()
    }

    /// When the newest of its operands was written.
    fn newest(&self, kernel: usize) -> Option<usize> {
        let reads = self.reads[kernel].iter();
        reads
            .filter_map(|buffer| self.written[buffer.index()])
            .max()
    }
}
