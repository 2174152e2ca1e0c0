//! Contractions rewritten as other kernels that compute the same: with an operand
//! packed by a loop nest in front, or with the sum cut into parts that a loop nest
//! behind adds up.

use super::linear::operands;
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{Buffer, BufferId, Combine, Kernel, Role, Scalar, ScalarId, Stage};
use crate::schedule::Layout;

/// A kernel, and what has to run before it to pack one of its operands.
pub(super) struct Packed {
    /// Copies the operand.
    pub pack: Kernel,
    /// Reads the copy.
    pub kernel: Kernel,
    /// The copy.
    pub buffer: (Buffer, Layout),
}

/// Packs `operand` with its elements in the order of `axes`, dimensions of `kernel` of
/// which the last is innermost. The copy's buffer is to have the id `copy`.
pub(super) fn pack(kernel: &Kernel, operand: ScalarId, axes: &[Dim], copy: BufferId) -> Packed {
    let extents: Vec<usize> = axes.iter().map(|&dim| kernel.dims[dim]).collect();
    let position = |dim: Dim| axes.iter().position(|&axis| axis == dim).unwrap_or(0);
    let places: Vec<Terms> = (0..kernel.dims.len())
        .map(|dim| vec![(position(dim), 1)])
        .collect();
    let load = substitute_scalar(&kernel.scalars[operand.index()], &places);
    let pack = copying(
        format!("{}_pack", kernel.name),
        load,
        &extents,
        copy,
        kernel,
    );
    let mut kernel = kernel.clone();
    kernel.scalars[operand.index()] = Scalar::Load {
        buffer: copy,
        at: axes.iter().map(|&dim| IndexExpr::dim(dim)).collect(),
        fill: None,
    };
    Packed {
        pack,
        kernel,
        buffer: temporary(extents),
    }
}

/// Copies `operand` with zeros between and around its elements, wherever the kernel would
/// look for one that is not there; every read of the copy is then plain. `order` is that
/// of the tensor's axes in memory, the copy's buffer is to have the id `copy`.
pub(super) fn spread(
    kernel: &Kernel,
    operand: ScalarId,
    order: &[usize],
    copy: BufferId,
) -> Option<Packed> {
    let Scalar::Load { buffer, at, fill } = &kernel.scalars[operand.index()] else {
        return None;
    };
    let ranges: Vec<(i64, i64)> = at
        .iter()
        .map(|index| index.numerator_range(&kernel.dims))
        .collect();
    let extents: Vec<usize> = ranges
        .iter()
        .map(|(low, high)| (high - low + 1) as usize)
        .collect();
    let source = at
        .iter()
        .zip(&ranges)
        .enumerate()
        .map(|(axis, (index, &(low, _)))| IndexExpr {
            divisor: index.divisor,
            ..IndexExpr::affine([(axis, 1)], low)
        });
    let load = Scalar::Load {
        buffer: *buffer,
        at: source.collect(),
        fill: *fill,
    };
    let plain = at.iter().zip(&ranges).map(|(index, (low, _))| IndexExpr {
        offset: index.offset - low,
        divisor: 1,
        terms: index.terms.clone(),
    });
    let mut reader = kernel.clone();
    reader.scalars[operand.index()] = Scalar::Load {
        buffer: copy,
        at: plain.collect(),
        fill: None,
    };
    let layout = Layout::new(extents.clone(), order.to_vec(), vec![(0, 0); extents.len()]);
    Some(Packed {
        pack: copying(
            format!("{}_spread", kernel.name),
            load,
            &extents,
            copy,
            kernel,
        ),
        kernel: reader,
        buffer: (temporary(extents).0, layout),
    })
}

/// A kernel that writes `load` at every point of `extents` into a tensor of that shape.
fn copying(name: String, load: Scalar, extents: &[usize], copy: BufferId, of: &Kernel) -> Kernel {
    Kernel {
        name,
        dims: extents.to_vec(),
        outer: extents.len(),
        scalars: vec![load],
        stages: vec![Stage::Store {
            over: Vec::new(),
            buffer: copy,
            at: (0..extents.len()).map(IndexExpr::dim).collect(),
            value: ScalarId(0),
        }],
        origin: of.origin.clone(),
        instead: None,
    }
}

/// A contraction in parts, and what adds them up.
pub(super) struct Parted {
    /// Computes each part's sums.
    pub parts: Kernel,
    /// Adds them up and runs the epilogue.
    pub combine: Kernel,
    /// The sums of the parts.
    pub buffer: (Buffer, Layout),
}

/// Cuts the sum along dimension `along` into `count` parts of one size; `axes` are the
/// outer dimensions in the order in which sums are to lie.
pub(super) fn part(
    kernel: &Kernel,
    along: Dim,
    count: usize,
    axes: &[Dim],
    sums: BufferId,
) -> Option<Parted> {
    let operands = operands(kernel)?;
    let Some(Stage::Reduce { value, .. }) = kernel.stages.first() else {
        return None;
    };
    let extents: Vec<usize> = std::iter::once(count)
        .chain(axes.iter().map(|&dim| kernel.dims[dim]))
        .collect();
    let place = |part: Dim, of: &dyn Fn(Dim) -> Dim| -> Vec<IndexExpr> {
        let axes = axes.iter().map(|&dim| IndexExpr::dim(of(dim)));
        std::iter::once(IndexExpr::dim(part)).chain(axes).collect()
    };

    // The part is dimension 0, before all others.
    let size = kernel.dims[along] / count;
    let shifted: Vec<Terms> = (0..kernel.dims.len())
        .map(|dim| {
            let part = (dim == along).then_some((0, size as i64));
            std::iter::once((dim + 1, 1)).chain(part).collect()
        })
        .collect();
    let mut dims = kernel.dims.clone();
    dims[along] = size;
    dims.insert(0, count);
    let parts = Kernel {
        name: format!("{}_parts", kernel.name),
        dims,
        outer: kernel.outer + 1,
        scalars: vec![
            substitute_scalar(&kernel.scalars[operands.a.index()], &shifted),
            substitute_scalar(&kernel.scalars[operands.b.index()], &shifted),
            Scalar::Binary(crate::nest::BinaryOp::Mul, ScalarId(0), ScalarId(1)),
            Scalar::Reduced(0),
        ],
        stages: vec![
            Stage::Reduce {
                over: operands.over.iter().map(|dim| dim + 1).collect(),
                combine: Combine::Sum,
                value: ScalarId(2),
            },
            Stage::Store {
                over: Vec::new(),
                buffer: sums,
                at: place(0, &|dim| dim + 1),
                value: ScalarId(3),
            },
        ],
        origin: kernel.origin.clone(),
        instead: None,
    };

    // The part is the only dimension besides the outer ones.
    let mut combine = Kernel {
        name: format!("{}_sum", kernel.name),
        dims: kernel.dims[..kernel.outer]
            .iter()
            .copied()
            .chain([count])
            .collect(),
        ..kernel.clone()
    };
    combine.scalars[value.index()] = Scalar::Load {
        buffer: sums,
        at: place(kernel.outer, &|dim| dim),
        fill: None,
    };
    combine.stages[0] = Stage::Reduce {
        over: vec![kernel.outer],
        combine: Combine::Sum,
        value: *value,
    };
    drop_unused(&mut combine);
    Some(Parted {
        parts,
        combine,
        buffer: temporary(extents),
    })
}

/// Replaces `dim` by two dimensions, its quotient by `size` before its remainder.
pub(super) fn cut(kernel: &Kernel, dim: Dim, size: usize) -> Kernel {
    let places: Vec<Terms> = (0..kernel.dims.len())
        .map(|old| match old.cmp(&dim) {
            std::cmp::Ordering::Less => vec![(old, 1)],
            std::cmp::Ordering::Equal => vec![(old, size as i64), (old + 1, 1)],
            std::cmp::Ordering::Greater => vec![(old + 1, 1)],
        })
        .collect();
    let mut dims = kernel.dims.clone();
    dims[dim] = size;
    dims.insert(dim, kernel.dims[dim] / size);
    let over = |over: &[Dim]| -> Vec<Dim> {
        over.iter()
            .flat_map(|&dim| places[dim].iter().map(|&(new, _)| new))
            .collect()
    };
    let stages = kernel.stages.iter().map(|stage| match stage {
        Stage::Reduce {
            over: old,
            combine,
            value,
        } => Stage::Reduce {
            over: over(old),
            combine: *combine,
            value: *value,
        },
        Stage::Store {
            over: old,
            buffer,
            at,
            value,
        } => Stage::Store {
            over: over(old),
            buffer: *buffer,
            at: at.iter().map(|index| substitute(index, &places)).collect(),
            value: *value,
        },
    });
    Kernel {
        name: kernel.name.clone(),
        dims,
        outer: kernel.outer + usize::from(dim < kernel.outer),
        scalars: kernel
            .scalars
            .iter()
            .map(|scalar| substitute_scalar(scalar, &places))
            .collect(),
        stages: stages.collect(),
        origin: kernel.origin.clone(),
        instead: None,
    }
}

/// What a dimension becomes: a sum of new dimensions, weighed.
type Terms = Vec<(Dim, i64)>;

fn substitute(index: &IndexExpr, places: &[Terms]) -> IndexExpr {
    let terms = index.terms.iter().flat_map(|&(dim, coefficient)| {
        places[dim]
            .iter()
            .map(move |&(new, weight)| (new, weight * coefficient))
    });
    IndexExpr {
        divisor: index.divisor,
        ..IndexExpr::affine(terms, index.offset)
    }
}

fn substitute_scalar(scalar: &Scalar, places: &[Terms]) -> Scalar {
    match scalar {
        Scalar::Load { buffer, at, fill } => Scalar::Load {
            buffer: *buffer,
            at: at.iter().map(|index| substitute(index, places)).collect(),
            fill: *fill,
        },
        Scalar::Index(index) => Scalar::Index(substitute(index, places)),
        other => other.clone(),
    }
}

/// Drops scalars that no stage leads to.
fn drop_unused(kernel: &mut Kernel) {
    let mut used = vec![false; kernel.scalars.len()];
    for stage in &kernel.stages {
        used[stage.value().index()] = true;
    }
    for id in (0..used.len()).rev() {
        if used[id] {
            for operand in kernel.scalars[id].operands() {
                used[operand.index()] = true;
            }
        }
    }
    let mut kept = 0;
    let renamed: Vec<ScalarId> = used
        .iter()
        .map(|&used| {
            kept += u32::from(used);
            ScalarId(kept.saturating_sub(1))
        })
        .collect();
    let mut position = 0;
    kernel.scalars.retain(|_| {
        position += 1;
        used[position - 1]
    });
    for scalar in &mut kernel.scalars {
        *scalar = scalar.with_operands(|id| renamed[id.index()]);
    }
    for stage in &mut kernel.stages {
        let (Stage::Reduce { value, .. } | Stage::Store { value, .. }) = stage;
        *value = renamed[value.index()];
    }
}

fn temporary(extents: Vec<usize>) -> (Buffer, Layout) {
    let layout = Layout::row_major(extents.clone());
    let buffer = Buffer {
        dtype: DType::F32,
        extents,
        role: Role::Temporary,
    };
    (buffer, layout)
}
