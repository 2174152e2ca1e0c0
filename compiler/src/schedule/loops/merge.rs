//! Fewer and longer loops: neighbours that every expression counts as one become
//! one, and loops of one round disappear.

use super::flat::{Access, Flat, Sink, Value};
use crate::index::{Dim, IndexExpr};

/// Merges what can be merged. Extents become 1 in place; [`order`](super::order) drops them.
pub fn merge(flat: &mut Flat) {
    drop_single_rounds(flat);
    let mut groups = vec![(0..flat.outer).collect::<Vec<Dim>>()];
    groups.extend(flat.stages.iter().map(|stage| stage.over.clone()));
    for group in &groups {
        while let Some((outer, inner)) = mergeable(flat, group) {
            flat.extents[inner] *= flat.extents[outer];
            flat.extents[outer] = 1;
            for_each_expr(flat, &mut |expr| {
                expr.terms.retain(|&(dim, _)| dim != outer);
            });
        }
    }
}

/// The index of a loop of one round is 0.
fn drop_single_rounds(flat: &mut Flat) {
    let extents = flat.extents.clone();
    for_each_expr(flat, &mut |expr| {
        expr.terms
            .retain(|&(dim, _)| extents.get(dim).is_none_or(|&extent| extent > 1));
    });
}

/// Two loops of a group such that every expression is one of `outer * extent(inner) + inner`.
fn mergeable(flat: &mut Flat, group: &[Dim]) -> Option<(Dim, Dim)> {
    let long: Vec<Dim> = group
        .iter()
        .copied()
        .filter(|&dim| flat.extents[dim] > 1)
        .collect();
    for &outer in &long {
        for &inner in &long {
            let extent = flat.extents[inner] as i64;
            let mut stages = flat.stages.iter();
            let mut together = outer != inner
                && stages.all(|s| s.over.contains(&outer) == s.over.contains(&inner));
            for_each_expr(flat, &mut |expr| {
                together &= expr.coefficient(outer) == expr.coefficient(inner) * extent;
            });
            if together {
                return Some((outer, inner));
            }
        }
    }
    None
}

/// Shows every index expression of the kernel to `f`.
pub fn for_each_expr(flat: &mut Flat, f: &mut dyn FnMut(&mut IndexExpr)) {
    flat.quotients.iter_mut().for_each(&mut *f);
    for value in &mut flat.values {
        match value {
            Value::Index(expr) | Value::Within(expr, _) => f(expr),
            Value::Load {
                access: Access { address, .. },
                ..
            } => f(address),
            Value::F32(_)
            | Value::I32(_)
            | Value::Mask(_)
            | Value::Reduced(_)
            | Value::Unary(..)
            | Value::Binary(..)
            | Value::Fma(..)
            | Value::Select(..) => {}
        }
    }
    for stage in &mut flat.stages {
        if let Sink::Store(access) = &mut stage.sink {
            f(&mut access.address);
        }
    }
}
