//! Cuts kernels apart where a tensor is made of several, one behind the other: each
//! element is read from where it comes from, not from everywhere with guards.

use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, Buffer, BufferId, Kernel, Role, Scalar, ScalarId, ScalarPool, Stage};

/// So many tensors one behind the other, at most.
const MOST_REGIONS: usize = 8;

/// The kernel, or one for each region of a dimension along which different loads are
/// within their tensors.
pub fn regions(kernel: Kernel, buffers: &[Buffer]) -> Vec<Kernel> {
    let plain = |stage: &Stage| matches!(stage, Stage::Store { over, .. } if over.is_empty());
    let is_slot = |buffer: &BufferId| matches!(buffers[buffer.index()].role, Role::Slot(_));
    let updates = kernel.writes().iter().any(is_slot);
    if kernel.instead.is_some() || updates || !kernel.stages.iter().all(plain) {
        return vec![kernel];
    }
    match (0..kernel.outer).find_map(|dim| cuts(&kernel, buffers, dim).map(|cuts| (dim, cuts))) {
        Some((dim, cuts)) => cuts
            .windows(2)
            .map(|pair| region(&kernel, buffers, dim, (pair[0], pair[1])))
            .collect(),
        None => vec![kernel],
    }
}

/// Where to cut a dimension: at the ends of what its guarded loads can read, if those
/// are several, apart from each other, and together all there is.
fn cuts(kernel: &Kernel, buffers: &[Buffer], dim: Dim) -> Option<Vec<usize>> {
    let extent = kernel.dims[dim] as i64;
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for scalar in &kernel.scalars {
        let Scalar::Load {
            buffer,
            at,
            fill: Some(_),
        } = scalar
        else {
            continue;
        };
        for (index, &size) in at.iter().zip(&buffers[buffer.index()].extents) {
            if index.coefficient(dim) == 0 {
                continue;
            }
            if *index != IndexExpr::affine([(dim, 1)], index.offset) {
                return None;
            }
            let span = (
                (-index.offset).max(0),
                (size as i64 - index.offset).min(extent),
            );
            if !spans.contains(&span) {
                spans.push(span);
            }
        }
    }
    spans.sort_unstable();
    let follow = spans.windows(2).all(|pair| pair[0].1 == pair[1].0);
    let whole = spans.first()?.0 == 0 && spans.last()?.1 == extent;
    let several = (2..=MOST_REGIONS).contains(&spans.len());
    (several && follow && whole).then(|| {
        let ends = spans.iter().map(|&(_, end)| end as usize);
        std::iter::once(0).chain(ends).collect()
    })
}

/// The part of a kernel in which a dimension is in a range.
fn region(kernel: &Kernel, buffers: &[Buffer], dim: Dim, (start, end): (usize, usize)) -> Kernel {
    let mut region = kernel.clone();
    region.dims[dim] = end - start;
    region.map_indices(|index| IndexExpr {
        offset: index.offset + index.coefficient(dim) * start as i64,
        ..index.clone()
    });
    let mut pool = ScalarPool::default();
    let mut new: Vec<ScalarId> = Vec::with_capacity(region.scalars.len());
    for scalar in &region.scalars {
        let scalar = resolved(scalar, buffers, &region.dims);
        let scalar = scalar.with_operands(|old| new[old.index()]);
        let zero = |pool: &ScalarPool, id: ScalarId| *pool.get(id) == Scalar::F32(0.0);
        new.push(match scalar {
            Scalar::Binary(BinaryOp::Add, a, b) if zero(&pool, a) => b,
            Scalar::Binary(BinaryOp::Add, a, b) if zero(&pool, b) => a,
            other => pool.add(other),
        });
    }
    for stage in &mut region.stages {
        let (Stage::Reduce { value, .. } | Stage::Store { value, .. }) = stage;
        *value = new[value.index()];
    }
    region.scalars = pool.finish();
    region.tidied()
}

/// A load without its guard where it is always within the tensor, or always outside.
fn resolved(scalar: &Scalar, buffers: &[Buffer], dims: &[usize]) -> Scalar {
    let Scalar::Load {
        buffer,
        at,
        fill: Some(fill),
    } = scalar
    else {
        return scalar.clone();
    };
    let extents = &buffers[buffer.index()].extents;
    let mut axes = at.iter().zip(extents);
    if axes.all(|(index, &size)| index.always_within(dims, size)) {
        return Scalar::Load {
            buffer: *buffer,
            at: at.clone(),
            fill: None,
        };
    }
    let mut axes = at.iter().zip(extents);
    let outside = axes.any(|(index, &size)| {
        let (low, high) = index.numerator_range(dims);
        index.divisor == 1 && (high < 0 || low >= size as i64)
    });
    match (outside, buffers[buffer.index()].dtype) {
        (false, _) => scalar.clone(),
        (true, DType::I32) => Scalar::I32(*fill as i32),
        (true, DType::F32 | DType::Bool) => Scalar::F32(*fill),
    }
}
