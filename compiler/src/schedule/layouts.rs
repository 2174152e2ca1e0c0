//! Chooses how each tensor lies in memory.
//!
//! What others own is row-major. Of temporaries one axis is innermost: in what a
//! product writes, the axis that only its weights know (a convolution's channels out),
//! so that tiles store whole vectors; in what it reads, the channels it sums over, so
//! that they are neighbours. Element-wise kernels pass the wish on from tensor to tensor.
//! Where wishes differ, the one for more bytes wins. What a product reads beyond an
//! edge gets a border of zeros, so that nothing needs a guard.
//!
//! A dense layer over an image sums over all its axes, which its weights know as one. It
//! takes them in any order as long as the weights stay in the cache, where rows may be
//! far apart; else it wishes the order of the weights.

use super::{ELEMENT_BYTES, Layout};
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role, Scalar, ScalarId, Stage};
use crate::target::Target;
use std::collections::{BTreeMap, BTreeSet};

/// The layout of each tensor. One with borders may take `largest_bordered` times the memory
/// that it takes without.
pub fn layouts(kernels: &Kernels, largest_bordered: usize, target: &Target) -> Vec<Layout> {
    let accesses: Vec<Vec<Access>> = kernels.kernels.iter().map(accesses).collect();
    let innermost = innermost(kernels, &accesses, target);
    let mut borders: Vec<Vec<(usize, usize)>> = kernels
        .buffers
        .iter()
        .map(|buffer| vec![(0, 0); buffer.extents.len()])
        .collect();
    for kernel in kernels.kernels.iter().filter(|kernel| kernel.is_product()) {
        for scalar in &kernel.scalars {
            widen(&mut borders, kernel, &kernels.buffers, scalar);
        }
    }
    // Loops over time read and write slices of whole rows, as do rows moved by their numbers.
    let special = kernels
        .kernels
        .iter()
        .filter(|kernel| kernel.instead.is_some());
    let pinned: Vec<BufferId> = special.flat_map(Kernel::arguments).collect();
    let buffers = kernels.buffers.iter().zip(innermost).zip(borders);
    buffers
        .enumerate()
        .map(|(number, ((buffer, innermost), border))| {
            if pinned.contains(&BufferId(number as u32)) {
                return Layout::row_major(buffer.extents.clone());
            }
            let rank = buffer.extents.len();
            let last = innermost.unwrap_or(rank.wrapping_sub(1));
            let others = (0..rank).filter(|&axis| axis != last);
            let order: Vec<usize> = others.chain((rank > 0).then_some(last)).collect();
            let bordered = Layout::new(buffer.extents.clone(), order.clone(), border);
            let plain: usize = buffer.extents.iter().product();
            match bordered.elements <= plain * largest_bordered {
                true => bordered,
                false => Layout::new(buffer.extents.clone(), order, vec![(0, 0); rank]),
            }
        })
        .collect()
}

/// A tensor at some place.
struct Access {
    buffer: BufferId,
    /// For each axis the dimension that moves along it in the smallest steps.
    along: Vec<Option<Dim>>,
    /// For each axis all dimensions that move along it.
    moving: Vec<Vec<Dim>>,
    /// Whether it is read (by which scalar) or written.
    load: Option<ScalarId>,
}

fn accesses(kernel: &Kernel) -> Vec<Access> {
    let along = |at: &[IndexExpr]| {
        let nearest = at.iter().map(|index| {
            let terms = index.terms.iter();
            terms.min_by_key(|(_, c)| c.abs()).map(|&(dim, _)| dim)
        });
        nearest.collect()
    };
    let moving = |at: &[IndexExpr]| -> Vec<Vec<Dim>> {
        let dims = at.iter().map(|index| index.terms.iter().map(|term| term.0));
        dims.map(Iterator::collect).collect()
    };
    let loads = kernel
        .scalars
        .iter()
        .enumerate()
        .filter_map(|(id, scalar)| match scalar {
            Scalar::Load { buffer, at, .. } => Some(Access {
                buffer: *buffer,
                along: along(at),
                moving: moving(at),
                load: Some(ScalarId(id as u32)),
            }),
            _ => None,
        });
    let stores = kernel.stages.iter().filter_map(|stage| match stage {
        Stage::Store { buffer, at, .. } => Some(Access {
            buffer: *buffer,
            along: along(at),
            moving: moving(at),
            load: None,
        }),
        Stage::Reduce { .. } => None,
    });
    loads.chain(stores).collect()
}

/// Votes for axes to be innermost, in bytes.
type Votes = BTreeMap<BufferId, BTreeMap<usize, u64>>;

/// The innermost axis of each tensor, where it is not simply the last one.
fn innermost(kernels: &Kernels, accesses: &[Vec<Access>], target: &Target) -> Vec<Option<usize>> {
    let buffers = &kernels.buffers;
    let mut decided: Vec<Option<usize>> = vec![None; buffers.len()];
    let mut votes = Votes::new();
    for (kernel, accesses) in kernels.kernels.iter().zip(accesses) {
        product_votes(kernel, accesses, buffers, target, &mut votes);
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); buffers.len()];
    for (kernel, accesses) in accesses.iter().enumerate() {
        for access in accesses {
            users[access.buffer.index()].push(kernel);
        }
    }
    while !votes.is_empty() {
        let mut beside: BTreeSet<usize> = BTreeSet::new();
        for (buffer, axes) in std::mem::take(&mut votes) {
            // Among equal votes the last axis needs no transposition.
            let best = axes.iter().max_by_key(|&(axis, bytes)| (bytes, axis));
            decided[buffer.index()] = best.map(|(&axis, _)| axis);
            beside.extend(&users[buffer.index()]);
        }
        for kernel in beside {
            neighbour_votes(&accesses[kernel], buffers, &decided, &mut votes);
        }
    }
    decided
}

fn is_free(buffers: &[Buffer], buffer: BufferId) -> bool {
    let buffer = &buffers[buffer.index()];
    buffer.role == Role::Temporary && buffer.extents.len() > 1
}

fn vote(votes: &mut Votes, buffers: &[Buffer], buffer: BufferId, axis: usize) {
    let elements: usize = buffers[buffer.index()].extents.iter().product();
    *votes.entry(buffer).or_default().entry(axis).or_default() += elements as u64;
}

/// What a product of a tensor and weights wishes.
fn product_votes(
    kernel: &Kernel,
    accesses: &[Access],
    buffers: &[Buffer],
    target: &Target,
    votes: &mut Votes,
) {
    let Some((a, b)) = kernel.factors() else {
        return;
    };
    let find = |id: ScalarId| accesses.iter().find(|access| access.load == Some(id));
    let (Some(a), Some(b)) = (find(a), find(b)) else {
        return;
    };
    let is_weight = |access: &Access| matches!(buffers[access.buffer.index()].role, Role::Slot(_));
    let (x, w) = match (is_weight(a), is_weight(b)) {
        (false, true) => (a, b),
        (true, false) => (b, a),
        _ => return,
    };
    let knows = |access: &Access, dim: Dim| access.along.contains(&Some(dim));
    let longest = |access: &Access, wanted: &dyn Fn(Dim) -> bool| {
        let axes = access.along.iter().enumerate();
        let axes =
            axes.filter_map(|(axis, dim)| dim.filter(|&dim| wanted(dim)).map(|dim| (axis, dim)));
        axes.max_by_key(|&(axis, dim)| (kernel.dims[dim], axis))
            .map(|(axis, _)| axis)
    };
    let weights: usize = buffers[w.buffer.index()].extents.iter().product();
    let far = weights * ELEMENT_BYTES > target.l2_bytes();
    // Whether the weights know several axes of a tensor as one, in any order of which they
    // may be walked.
    let as_one = |access: &Access, dim: Dim| {
        let mut axes = w.moving.iter().filter(|dims| dims.contains(&dim));
        let several = axes.any(|dims| {
            let known = |along: &&Option<Dim>| along.is_some_and(|dim| dims.contains(&dim));
            access.along.iter().filter(known).count() > 1
        });
        several && !far
    };
    let summed = |dim: Dim| dim >= kernel.outer && knows(w, dim) && !as_one(x, dim);
    if let Some(axis) = longest(x, &summed).filter(|_| is_free(buffers, x.buffer)) {
        vote(votes, buffers, x.buffer, axis);
    }
    for store in accesses.iter().filter(|access| access.load.is_none()) {
        let out =
            |dim: Dim| dim < kernel.outer && knows(w, dim) && !knows(x, dim) && !as_one(store, dim);
        if let Some(axis) = longest(store, &out).filter(|_| is_free(buffers, store.buffer)) {
            vote(votes, buffers, store.buffer, axis);
        }
    }
}

/// What tensors without a wish take over from those beside which they are accessed.
fn neighbour_votes(
    accesses: &[Access],
    buffers: &[Buffer],
    decided: &[Option<usize>],
    votes: &mut Votes,
) {
    for known in accesses {
        let Some(axis) = decided[known.buffer.index()] else {
            continue;
        };
        let Some(dim) = known.along[axis] else {
            continue;
        };
        for other in accesses {
            let undecided = decided[other.buffer.index()].is_none();
            let position = other.along.iter().position(|&along| along == Some(dim));
            if let Some(axis) = position
                && undecided
                && is_free(buffers, other.buffer)
            {
                vote(votes, buffers, other.buffer, axis);
            }
        }
    }
}

/// Makes a border wide enough for a product's operand.
fn widen(
    borders: &mut [Vec<(usize, usize)>],
    kernel: &Kernel,
    buffers: &[Buffer],
    scalar: &Scalar,
) {
    let Scalar::Load {
        buffer: id,
        at,
        fill: Some(fill),
    } = scalar
    else {
        return;
    };
    let buffer = &buffers[id.index()];
    let whole = at.iter().all(|index| index.divisor == 1);
    let can_have = buffer.role == Role::Temporary && buffer.dtype == DType::F32;
    if *fill != 0.0 || !whole || !can_have {
        return;
    }
    for (axis, (index, &size)) in at.iter().zip(&buffer.extents).enumerate() {
        let (low, high) = index.numerator_range(&kernel.dims);
        let (before, after) = &mut borders[id.index()][axis];
        *before = (*before).max(low.min(0).unsigned_abs() as usize);
        *after = (*after).max((high - size as i64 + 1).max(0) as usize);
    }
}
