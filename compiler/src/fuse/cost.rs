//! What is worth computing again and what is worth storing: one table, and the
//! thresholds with their reasons.
//!
//! The unit is one simple vector operation on one element. Writing an element to
//! memory and reading it back later moves eight bytes: at the ten or so gigabytes a
//! second that a core gets from memory that is the time of [`STORE`] operations
//! on 128-bit vectors.

use crate::graph::{Graph, Node, Op};

/// Storing an element once and loading it once.
pub const STORE: u64 = 12;

/// Loading an element that is in memory anyway.
pub const LOAD: u64 = 2;

/// A value that several kernels need is computed again in each of them up to this
/// cost, provided that what it is computed from is in memory anyway.
pub const CHEAP: u64 = STORE;

/// What is so many times smaller than what is made of it, as the mean of a row is, costs
/// next to nothing to store.
pub const LITTLE: usize = 8;

/// A reduction over at most so many points stays inside the kernel that reads it,
/// as an unrolled expression: pooling windows, pairs, quarters.
pub const TINY_REDUCTION: usize = 16;

/// Rows up to this length are read again by a kernel that reduced them (softmax,
/// normalisation): 64 KiB, so that the second reading comes out of the nearest caches.
pub const LONGEST_ROW: usize = 1 << 14;

/// A parameter with rows of at least so many elements is updated by the product that is its
/// gradient: its rows fill the widest vectors.
pub const UPDATED_ROW: usize = 32;

/// Rows whose neighbours lie between their elements, as a channel's in an image, take a cache
/// line for each element; up to this length they are read again. Beyond it, threads share them.
pub const NEAR_ROW: usize = 1 << 11;

/// Kernels below this many points take less time than starting them does, so that
/// unrelated ones with equal dimensions run as one.
pub const SMALL_KERNEL: usize = 1 << 12;

/// Kernels are not merged beyond so many stages: each store is a stream to memory of its
/// own, of which processors follow some dozens, and a kernel that grew with the depth of
/// the network would differ from all others, so that equal layers would not share code.
pub const MOST_STAGES: usize = 24;

/// The operations per element of a primitive, its operands not counted.
pub fn operations(op: &Op) -> u64 {
    match op {
        Op::Input(_) | Op::Slot(_) => LOAD,
        Op::Constant(_) | Op::Iota { .. } | Op::View(_) | Op::Reshape | Op::StopGradient => 0,
        Op::Div | Op::Sqrt => 4,
        // A hash of some twenty operations takes about as long as memory does, but no memory.
        Op::Uniform { .. } => 8,
        Op::Exp | Op::Log => 12,
        Op::Sin | Op::Cos | Op::Tanh => 16,
        Op::Erf => 24,
        Op::Pow => 30,
        _ => 1,
    }
}

/// How often a node repeats each element that it reads of its operand, along axes that it does
/// not look at.
pub fn copies(graph: &Graph, node: &Node) -> usize {
    let Op::View(view) = &node.op else { return 1 };
    let axes = view.shape.iter().enumerate();
    let repeating = axes.filter(|&(axis, _)| view.map.iter().all(|e| e.coefficient(axis) == 0));
    match view.stays_inside(&graph.ty(node.inputs[0]).shape) {
        true => repeating.map(|(_, &size)| size).product(),
        false => 1,
    }
}
