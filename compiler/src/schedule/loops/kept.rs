//! Rows that stay in registers: where several stages go along a row of a few vectors, all of it
//! is worked on side by side, so that what one stage has computed the next ones find.

use super::flat::{Access, Flat, Sink, Value, ValueId};
use super::{Blocks, StagePlan};
use crate::index::Dim;
use crate::target::Isa;
use std::collections::BTreeSet;

/// A row of more vectors has too many values for the registers, and time enough for what
/// is done once for each row.
const MOST_VECTORS: usize = 8;

/// Of all registers so many may be taken by what is kept: one half.
const SHARE: usize = 2;

/// Lets all stages along such a row run over all of its vectors at once.
pub(super) fn keep(flat: &Flat, stages: &mut [StagePlan], isa: Isa) {
    if isa == Isa::Portable {
        return;
    }
    let along: Vec<Option<Dim>> = (0..stages.len())
        .map(|stage| match stages[stage] {
            StagePlan::Vector(_) => flat.stages[stage].over.last().copied(),
            StagePlan::Points | StagePlan::Unrolled => None,
        })
        .collect();
    let dims: BTreeSet<Dim> = along.iter().flatten().copied().collect();
    for dim in dims {
        let members: Vec<usize> = (0..stages.len())
            .filter(|&stage| along[stage] == Some(dim))
            .collect();
        if let Some(vectors) = vectors(flat, &members, dim, isa) {
            for &stage in &members {
                stages[stage] = StagePlan::Vector(vectors);
            }
        }
    }
}

/// Of how many vectors the row is, if it is to be kept.
fn vectors(flat: &Flat, members: &[usize], dim: Dim, isa: Isa) -> Option<Blocks> {
    let vectors = flat.extents[dim] / isa.lanes();
    let whole = flat.extents[dim].is_multiple_of(isa.lanes()) && vectors <= MOST_VECTORS;
    let kept = kept(flat, members, dim);
    let fits = kept.len() * vectors * SHARE <= isa.registers();
    let near = |access: &Access| access.address.coefficient(dim).abs() <= 1;
    let loads = members.iter().flat_map(|&stage| flat.cone(stage));
    let mut loads = loads.filter_map(|id| match &flat.values[id] {
        Value::Load { access, .. } => Some(access),
        _ => None,
    });
    let mut stores = members
        .iter()
        .filter_map(|&stage| match &flat.stages[stage].sink {
            Sink::Store(access) => Some(access),
            Sink::Reduce(_) => None,
        });
    let all_near = loads.all(near) && stores.all(near);
    (whole && fits && all_near && !kept.is_empty()).then_some(vectors)
}

/// What changes along the row, is needed by several stages, and is not merely a step towards
/// such a value.
fn kept(flat: &Flat, members: &[usize], dim: Dim) -> BTreeSet<ValueId> {
    let dependencies = flat.dependencies();
    let mut needed = vec![0; flat.values.len()];
    for &stage in members {
        for id in flat.cone(stage) {
            needed[id] += 1;
        }
    }
    let shared = |id: ValueId| needed[id] > 1 && dependencies[id].contains(dim);
    let read_beside = flat
        .values
        .iter()
        .enumerate()
        .filter(|&(id, _)| needed[id] > 0 && !shared(id))
        .flat_map(|(_, value)| value.operands());
    let results = members.iter().map(|&stage| flat.stages[stage].value);
    read_beside
        .chain(results)
        .filter(|&id| shared(id))
        .collect()
}
