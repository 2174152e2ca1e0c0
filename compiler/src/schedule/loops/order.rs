//! The order of the loops: as the memory lies.

use super::flat::{Access, Flat, Value};
use super::merge::for_each_expr;
use crate::index::Dim;

/// Outer loops from the one with the longest step through the main store's memory
/// to the one with the shortest.
pub fn outer_order(flat: &Flat) -> Vec<Dim> {
    let main = flat
        .stages
        .iter()
        .filter_map(|stage| Some((flat.points(stage.over.iter().copied()), stage.store()?)))
        .max_by_key(|&(points, _)| points)
        .map(|(_, access)| access);
    let mut order: Vec<Dim> = (0..flat.outer)
        .filter(|&dim| flat.extents[dim] > 1)
        .collect();
    order.sort_by_key(|&dim| {
        let own = main.map_or(0, |access| access.address.coefficient(dim).abs());
        std::cmp::Reverse((own, loads_step(flat, dim)))
    });
    order
}

/// Loops of a stage, from the one with the longest step through memory to the
/// one with the shortest.
pub fn stage_order(flat: &Flat, stage: usize) -> Vec<Dim> {
    let stage = &flat.stages[stage];
    let mut order = stage.over.clone();
    order.retain(|&dim| flat.extents[dim] > 1);
    order.sort_by_key(|&dim| {
        let own = stage
            .store()
            .map_or(0, |access| access.address.coefficient(dim).abs());
        std::cmp::Reverse((own, loads_step(flat, dim)))
    });
    order
}

/// How far the loads move together with one step of a loop.
fn loads_step(flat: &Flat, dim: Dim) -> i64 {
    loads(flat)
        .map(|access| access.address.coefficient(dim).abs())
        .sum()
}

/// All loads of a kernel.
pub fn loads(flat: &Flat) -> impl Iterator<Item = &Access> {
    flat.values.iter().filter_map(|value| match value {
        Value::Load { access, .. } => Some(access),
        _ => None,
    })
}

/// Renumbers the loops: `outer` become the outer ones in this order, those of each
/// stage follow in their order. Loops of one round are gone.
pub fn renumber(flat: &mut Flat, outer: &[Dim]) {
    let stages: Vec<Vec<Dim>> = (0..flat.stages.len())
        .map(|stage| stage_order(flat, stage))
        .collect();
    let mut order = outer.to_vec();
    for dim in stages.iter().flatten() {
        if !order.contains(dim) {
            order.push(*dim);
        }
    }
    let new = |old: Dim| order.iter().position(|&dim| dim == old).unwrap_or(old);
    let (before, after) = (flat.extents.len(), order.len());
    for_each_expr(flat, &mut |expr| {
        for (dim, _) in &mut expr.terms {
            *dim = match dim.checked_sub(before) {
                None => new(*dim),
                Some(quotient) => after + quotient,
            };
        }
        expr.terms.sort_unstable();
    });
    for (stage, over) in flat.stages.iter_mut().zip(&stages) {
        stage.over = over.iter().map(|&dim| new(dim)).collect();
    }
    flat.extents = order.iter().map(|&dim| flat.extents[dim]).collect();
    flat.outer = outer.len();
}
