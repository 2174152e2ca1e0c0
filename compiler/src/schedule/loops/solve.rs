//! Reductions over an index that the outer ones determine. The gradient of a pooling
//! sums `dy[(h - p) / 2]` over `p`, and all but one `p` of each window lead nowhere. With
//! `h = 2 * h' + s` that one is `p = s`: no division, no guard, no loop remains.

use super::flat::fill_bits;
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, Kernel, Scalar, ScalarId, Stage, UnaryOp};
use crate::schedule::PlacedBuffer;

/// Takes such indices out of their reductions.
pub fn solve(mut kernel: Kernel, buffers: &[PlacedBuffer]) -> Kernel {
    let types = kernel.types(|buffer| buffers[buffer.index()].buffer.dtype);
    while let Some(solved) = solve_one(&kernel, &types) {
        kernel = solved;
    }
    kernel
}

fn solve_one(kernel: &Kernel, types: &[DType]) -> Option<Kernel> {
    (0..kernel.stages.len())
        .flat_map(|stage| divided(kernel, stage).map(move |expr| (stage, expr)))
        .find_map(|(stage, expr)| {
            let solution = solution(kernel, stage, expr)?;
            is_neutral_without(kernel, types, stage, expr)
                .then(|| apply(kernel, stage, &solution))?
        })
}

/// The divisions that a reduction's reads are guarded by.
fn divided(kernel: &Kernel, stage: usize) -> impl Iterator<Item = &IndexExpr> {
    let is_reduction = matches!(kernel.stages[stage], Stage::Reduce { .. });
    let cone = if is_reduction {
        kernel.cone(stage)
    } else {
        Vec::new()
    };
    let scalars = kernel
        .scalars
        .iter()
        .zip(cone)
        .filter(|(_, needed)| *needed);
    scalars
        .filter_map(|(scalar, _)| match scalar {
            Scalar::Load {
                at, fill: Some(_), ..
            } => Some(at),
            _ => None,
        })
        .flatten()
        .filter(|expr| expr.divisor > 1)
}

/// `outer` is `divisor` times a new index plus `rest`, and `inner` is `first + step * rest`.
struct Solution {
    outer: Dim,
    inner: Dim,
    divisor: usize,
    first: i64,
    step: i64,
}

fn solution(kernel: &Kernel, stage: usize, expr: &IndexExpr) -> Option<Solution> {
    let &[(outer, _), (inner, _)] = expr.terms.as_slice() else {
        return None;
    };
    let divisor = usize::try_from(expr.divisor).ok()?;
    let mut users = (0..kernel.stages.len()).filter(|&s| kernel.stages[s].over().contains(&inner));
    let fits = outer < kernel.outer
        && users.next() == Some(stage)
        && users.next().is_none()
        && kernel.dims[inner] == divisor
        && kernel.dims[outer].is_multiple_of(divisor);
    if !fits {
        return None;
    }
    // For each rest of the outer index the inner one that makes the division exact.
    let mut point = vec![0; kernel.dims.len()];
    let mut partners = Vec::new();
    for rest in 0..divisor {
        point[outer] = rest;
        let mut exact = (0..divisor).filter(|&partner| {
            point[inner] = partner;
            expr.at(&point).is_some()
        });
        match (exact.next(), exact.next()) {
            (Some(only), None) => partners.push(only as i64),
            _ => return None,
        }
    }
    let step = partners[1] - partners[0];
    let straight = partners.windows(2).all(|pair| pair[1] - pair[0] == step);
    straight.then_some(Solution {
        outer,
        inner,
        divisor,
        first: partners[0],
        step,
    })
}

/// The rest becomes the last outer loop; the solved loop stays with a single round.
fn apply(kernel: &Kernel, stage: usize, solution: &Solution) -> Option<Kernel> {
    let rest = kernel.outer;
    let by: Vec<IndexExpr> = (0..kernel.dims.len())
        .map(|dim| match dim {
            _ if dim == solution.outer => {
                IndexExpr::affine([(dim, solution.divisor as i64), (rest, 1)], 0)
            }
            _ if dim == solution.inner => {
                IndexExpr::affine([(rest, solution.step)], solution.first)
            }
            _ if dim < rest => IndexExpr::dim(dim),
            _ => IndexExpr::dim(dim + 1),
        })
        .collect();
    let mut solved = kernel.clone();
    let mut possible = true;
    kernel_indices(kernel).for_each(|expr| possible &= expr.substitute(&by).is_some());
    if !possible {
        return None;
    }
    solved.map_indices(|expr| expr.substitute(&by).unwrap_or_else(|| expr.clone()));
    solved.dims[solution.outer] /= solution.divisor;
    solved.dims[solution.inner] = 1;
    solved.dims.insert(rest, solution.divisor);
    solved.outer += 1;
    for (position, over) in solved.stages.iter_mut().map(over_mut).enumerate() {
        if position == stage {
            over.retain(|&dim| dim != solution.inner);
        }
        over.iter_mut().for_each(|dim| *dim += 1);
    }
    Some(solved)
}

fn kernel_indices(kernel: &Kernel) -> impl Iterator<Item = &IndexExpr> {
    let read = kernel.scalars.iter().flat_map(Scalar::indices);
    let written = kernel.stages.iter().filter_map(|stage| match stage {
        Stage::Store { at, .. } => Some(at),
        Stage::Reduce { .. } => None,
    });
    read.chain(written.flatten())
}

fn over_mut(stage: &mut Stage) -> &mut Vec<Dim> {
    match stage {
        Stage::Reduce { over, .. } | Stage::Store { over, .. } => over,
    }
}

/// Whether a point adds nothing to a reduction where an index has no value: every
/// load there gives its fill.
fn is_neutral_without(kernel: &Kernel, types: &[DType], stage: usize, expr: &IndexExpr) -> bool {
    let Stage::Reduce { combine, value, .. } = kernel.stages[stage] else {
        return false;
    };
    let neutral = combine.neutral(types[value.index()]);
    known_without(kernel, types, value, expr) == Some(neutral)
}

/// The bits of a value where an index has none, if they are always the same.
fn known_without(kernel: &Kernel, types: &[DType], id: ScalarId, expr: &IndexExpr) -> Option<u32> {
    let known = |id: ScalarId| known_without(kernel, types, id, expr);
    match &kernel.scalars[id.index()] {
        Scalar::F32(number) => Some(number.to_bits()),
        Scalar::I32(number) => Some(number.cast_unsigned()),
        Scalar::Load { at, fill, .. } => {
            let fill = fill.filter(|_| at.contains(expr))?;
            Some(fill_bits(fill, types[id.index()]))
        }
        Scalar::Select(_, then, otherwise) => {
            known(*then).filter(|bits| known(*otherwise) == Some(*bits))
        }
        Scalar::Binary(BinaryOp::Mul, x, y) => match (known(*x), known(*y)) {
            (Some(x), Some(y)) if types[id.index()] == DType::F32 => {
                Some((f32::from_bits(x) * f32::from_bits(y)).to_bits())
            }
            // Zero times zero or one; other factors might be infinite.
            (Some(0), None) if is_zero_or_one(kernel, *y) => Some(0),
            (None, Some(0)) if is_zero_or_one(kernel, *x) => Some(0),
            _ => None,
        },
        _ => None,
    }
}

fn is_zero_or_one(kernel: &Kernel, id: ScalarId) -> bool {
    let scalar = &kernel.scalars[id.index()];
    matches!(scalar, Scalar::Unary(UnaryOp::MaskToF32, _))
}
