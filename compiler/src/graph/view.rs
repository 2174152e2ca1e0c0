//! Reading through maps: identity, composition, and undoing a merge of axes.

use super::View;
use crate::index::IndexExpr;
use std::ops::Range;

impl View {
    /// A view in normal form: what cannot be read outside has fill 0.
    pub fn new(shape: Vec<usize>, map: Vec<IndexExpr>, fill: f64, operand: &[usize]) -> View {
        let mut view = View { shape, map, fill };
        if view.stays_inside(operand) {
            view.fill = 0.0;
        }
        view
    }

    /// Whether no point reads outside an operand of this shape.
    pub fn stays_inside(&self, operand: &[usize]) -> bool {
        let mut axes = self.map.iter().zip(operand);
        axes.all(|(expr, &size)| expr.always_within(&self.shape, size))
    }

    /// Whether the result is the operand itself.
    pub fn is_identity(&self, operand: &[usize]) -> bool {
        self.shape == operand
            && self
                .map
                .iter()
                .enumerate()
                .all(|(axis, e)| e.as_dim() == Some(axis))
    }

    /// One view that reads an operand as `self` reads what `inner` makes of it, or
    /// `None` where there is no such view.
    ///
    /// A read of `self` outside the intermediate tensor must lead outside the operand
    /// too and find the same fill: cropping and then padding are not one view.
    pub fn after(&self, inner: &View, operand: &[usize]) -> Option<View> {
        let map: Option<Vec<IndexExpr>> = inner
            .map
            .iter()
            .map(|expr| expr.substitute(&self.map))
            .collect();
        let stays = self.stays_inside(&inner.shape);
        let fill = match (stays, inner.stays_inside(operand)) {
            (true, _) => inner.fill,
            (false, true) => self.fill,
            (false, false) if self.fill.to_bits() == inner.fill.to_bits() => self.fill,
            (false, false) => return None,
        };
        let caught = (0..self.map.len()).all(|axis| self.leaves_both(inner, operand, axis));
        (stays || caught).then_some(())?;
        Some(View::new(self.shape.clone(), map?, fill, operand))
    }

    /// Whether a read of `self` outside `axis` of the intermediate tensor always
    /// leads outside the operand as well.
    fn leaves_both(&self, inner: &View, operand: &[usize], axis: usize) -> bool {
        let size = inner.shape[axis] as i64;
        let ranges: Vec<(i64, i64)> = self
            .map
            .iter()
            .map(|e| value_range(e, &self.shape))
            .collect();
        let (low, high) = ranges[axis];
        let divided = self.map[axis].divisor != 1;
        let readers = || {
            let axes = inner.map.iter().zip(operand);
            axes.filter(move |(expr, _)| expr.coefficient(axis) != 0)
        };
        // Where the divided index has no value, the expression that it enters has none either.
        if divided && readers().next().is_none() {
            return false;
        }
        // The numerators that an operand's axis sees while this index is `from..=to`.
        let numerators = |expr: &IndexExpr, from: i64, to: i64| {
            let terms = expr.terms.iter();
            terms.fold((expr.offset, expr.offset), |(min, max), &(dim, c)| {
                let (a, b) = if dim == axis { (from, to) } else { ranges[dim] };
                (min + (c * a).min(c * b), max + (c * a).max(c * b))
            })
        };
        let outside = |from: i64, to: i64| {
            from > to
                || readers().any(|(expr, &operand_size)| {
                    let (min, max) = numerators(expr, from, to);
                    max < 0 || min > (operand_size as i64 - 1) * expr.divisor
                })
        };
        outside(low, high.min(-1)) && outside(low.max(size), high)
    }

    /// The view that reads `from` as `self` reads the tensor that merges axes of
    /// `from` into `merged` (row-major); `None` where an index cannot be taken apart.
    pub fn through_merge(&self, from: &[usize], merged: &[usize]) -> Option<View> {
        let map = take_apart(&self.map, &self.shape, from, merged)?;
        Some(View::new(self.shape.clone(), map, self.fill, from))
    }
}

/// Per axis of `from`, its share of the index expressions for `merged`, in which
/// neighbouring axes of `from` are one. Untouched axes keep their expression, guards and all.
pub fn take_apart(
    map: &[IndexExpr],
    extents: &[usize],
    from: &[usize],
    merged: &[usize],
) -> Option<Vec<IndexExpr>> {
    let mut parts = Vec::with_capacity(from.len());
    for (expr, group) in map.iter().zip(merge_groups(from, merged)) {
        let sizes = &from[group];
        match sizes {
            [_] => parts.push(expr.clone()),
            _ => parts.extend(digits(expr, extents, sizes)?),
        }
    }
    Some(parts)
}

/// An index below the product of `sizes` as the indices of a row-major tensor of that shape.
pub(super) fn digits(
    expr: &IndexExpr,
    extents: &[usize],
    sizes: &[usize],
) -> Option<Vec<IndexExpr>> {
    if expr.divisor != 1 {
        return None;
    }
    let mut terms = expr.terms.clone();
    let mut offset = expr.offset;
    let mut digits = Vec::with_capacity(sizes.len());
    for (axis, &size) in sizes.iter().enumerate() {
        let stride: i64 = sizes[axis + 1..].iter().product::<usize>() as i64;
        let (mine, rest): (Vec<_>, Vec<_>) = terms.into_iter().partition(|(_, c)| c % stride == 0);
        let mine = mine.into_iter().map(|(dim, c)| (dim, c / stride));
        let digit = IndexExpr::affine(mine, offset.div_euclid(stride));
        if !digit.always_within(extents, size) {
            return None;
        }
        digits.push(digit);
        terms = rest;
        offset = offset.rem_euclid(stride);
    }
    Some(digits)
}

/// For each axis of `merged`, the axes of `from` that it consists of; fewer ranges
/// than axes, or axes left over, where `merged` is no merge of neighbours.
pub fn merge_groups(from: &[usize], merged: &[usize]) -> Vec<Range<usize>> {
    let mut groups = Vec::with_capacity(merged.len());
    let mut start = 0;
    for &size in merged {
        let mut end = start;
        let mut product = 1;
        while end < from.len() && (end == start || product < size) {
            product *= from[end];
            end += 1;
        }
        if end == start || product != size {
            break;
        }
        groups.push(start..end);
        start = end;
    }
    groups
}

/// Whether `merged` is `from` with neighbouring axes made one.
pub fn is_merge(from: &[usize], merged: &[usize]) -> bool {
    let groups = merge_groups(from, merged);
    groups.len() == merged.len() && groups.last().map_or(0, |last| last.end) == from.len()
}

/// The least and the greatest value over all points at which there is one.
fn value_range(expr: &IndexExpr, extents: &[usize]) -> (i64, i64) {
    let (low, high) = expr.numerator_range(extents);
    (
        -(-low).div_euclid(expr.divisor),
        high.div_euclid(expr.divisor),
    )
}
