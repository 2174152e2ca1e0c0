//! Index arithmetic of reading through views and merged axes: taking an index apart
//! into digits, and deciding whether reads outside a tensor can be told from the rest.

use crate::graph::{View, merge_groups};
use crate::index::{Dim, IndexExpr};

/// Why an access has no affine form over the present dimensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// It has one when `dim` is split into an outer part and an inner one of extent `by`.
    Split {
        /// The dimension.
        dim: Dim,
        /// Extent of the inner part.
        by: usize,
    },
    /// It has none.
    NotAffine,
}

/// An index below the product of `sizes` as the indices of a row-major tensor of that
/// shape; `extents` are those of the dimensions.
pub fn digits(
    index: &IndexExpr,
    extents: &[usize],
    sizes: &[usize],
) -> Result<Vec<IndexExpr>, Obstacle> {
    if let [_] = sizes {
        return Ok(vec![index.clone()]);
    }
    if index.divisor != 1 {
        return Err(Obstacle::NotAffine);
    }
    let mut terms = index.terms.clone();
    let mut offset = index.offset;
    let mut digits = Vec::with_capacity(sizes.len());
    for (axis, &size) in sizes.iter().enumerate() {
        let stride: i64 = sizes[axis + 1..].iter().product::<usize>() as i64;
        let (mine, rest): (Vec<_>, Vec<_>) = terms.into_iter().partition(|(_, c)| c % stride == 0);
        let mine = mine.into_iter().map(|(dim, c)| (dim, c / stride));
        let digit = IndexExpr::affine(mine, offset.div_euclid(stride));
        if !digit.always_within(extents, size) {
            return Err(obstacle(&digit, extents, size));
        }
        digits.push(digit);
        terms = rest;
        offset = offset.rem_euclid(stride);
    }
    Ok(digits)
}

/// What keeps a digit from staying below its size.
fn obstacle(digit: &IndexExpr, extents: &[usize], size: usize) -> Obstacle {
    for &(dim, c) in &digit.terms {
        let extent = extents[dim];
        if c > 0 && size as i64 % c == 0 {
            let by = size / c as usize;
            if by < extent && by > 1 && extent.is_multiple_of(by) {
                return Obstacle::Split { dim, by };
            }
        }
    }
    Obstacle::NotAffine
}

/// The indices of a tensor of shape `from` at the place `at` of the tensor in which
/// its axes are merged into the shape `merged`.
pub fn unmerge(
    at: &[IndexExpr],
    extents: &[usize],
    from: &[usize],
    merged: &[usize],
) -> Result<Vec<IndexExpr>, Obstacle> {
    let mut indices = Vec::with_capacity(from.len());
    for (index, group) in at.iter().zip(merge_groups(from, merged)) {
        indices.extend(digits(index, extents, &from[group])?);
    }
    Ok(indices)
}

/// The place in a tensor in which axes of a shape `from` are merged into the shape `merged`;
/// `None` when an index that would be merged is divided.
pub fn merge(at: &[IndexExpr], from: &[usize], merged: &[usize]) -> Option<Vec<IndexExpr>> {
    let groups = merge_groups(from, merged).into_iter();
    groups
        .map(|group| match group.len() {
            1 => Some(at[group.start].clone()),
            _ => linear(&at[group.clone()], &from[group]),
        })
        .collect()
}

/// Whether every place `at` outside of what `view` makes leads it outside its operand.
pub fn leaves_together(
    view: &View,
    operand: &[usize],
    at: &[IndexExpr],
    extents: &[usize],
) -> bool {
    let mut axes = at.iter().zip(&view.shape).enumerate();
    axes.all(|(axis, (index, &size))| {
        index.always_within(extents, size)
            || view.map.iter().zip(operand).any(|(expr, &operand_size)| {
                // One step outside on either side is outside there as well.
                matches!(expr.terms.as_slice(), &[(dim, c)] if dim == axis && c > 0 && expr.divisor == 1
                    && expr.offset - c < 0
                    && expr.offset + c * size as i64 >= operand_size as i64)
            })
    })
}

/// The row-major index of a place in a tensor of this shape; `None` when an index is divided.
pub fn linear(at: &[IndexExpr], shape: &[usize]) -> Option<IndexExpr> {
    crate::graph::row_major(shape, 0)
        .substitute(at)
        .filter(|index| index.divisor == 1)
}
