//! What running a kernel costs, in rough cycles of one core: enough to compare
//! vector dimensions and to size tasks, no more.

use super::dims::Dims;
use super::flat::{Access, Flat, FlatStage, Sink, Value};
use super::order::{loads, stage_order};
use crate::index::Dim;
use crate::nest::{BinaryOp, UnaryOp};
use crate::schedule::ELEMENT_BYTES;
use crate::target::Isa;
use std::collections::BTreeSet;

/// Loops shorter than this are not worth a vector.
const SHORTEST: usize = 4;

/// So many different numbers of lanes may be left at the ends of a kernel's wide vectors:
/// each keeps a mask.
pub const MOST_TAILS: usize = 5;

/// Vectors that are worked on at once at most.
pub const MOST_BLOCKS: usize = 4;

/// Which loop vectors run along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Along {
    /// An outer loop: a vector holds neighbouring points.
    Outer(Dim),
    /// The innermost loop of each stage for which that pays.
    Inner,
}

/// The cycles of a kernel.
pub fn kernel_cycles(flat: &Flat, along: Along, isa: Isa) -> f64 {
    let dependencies = flat.dependencies();
    let cycles = |stage, vector| stage_cycles(flat, &dependencies, stage, vector, isa);
    let stages = (0..flat.stages.len()).map(|stage| match along {
        Along::Outer(dim) => cycles(stage, Some(dim)),
        Along::Inner => {
            let scalar = cycles(stage, None);
            inner_vector(flat, stage, isa)
                .map_or(scalar, |dim| scalar.min(cycles(stage, Some(dim))))
        }
    });
    stages.sum()
}

/// The bytes that a kernel reads and writes, each place once.
pub fn memory_bytes(flat: &Flat) -> f64 {
    let stores = flat.stages.iter().filter_map(FlatStage::store);
    let places: BTreeSet<&Access> = loads(flat).chain(stores).collect();
    let elements = |access: &Access| -> f64 {
        let dims = flat.dims_of(&access.address);
        dims.iter().map(|dim| flat.extents[dim] as f64).product()
    };
    places.into_iter().map(elements).sum::<f64>() * ELEMENT_BYTES as f64
}

/// The loop of a stage along which vectors could run.
pub fn inner_vector(flat: &Flat, stage: usize, isa: Isa) -> Option<Dim> {
    let dim = *stage_order(flat, stage).last()?;
    can_be_vector(flat, dim, isa).then_some(dim)
}

/// Whether it pays to run a stage's vectors along that loop.
pub fn inner_pays(flat: &Flat, stage: usize, dim: Dim, isa: Isa) -> bool {
    let dependencies = flat.dependencies();
    stage_cycles(flat, &dependencies, stage, Some(dim), isa)
        < stage_cycles(flat, &dependencies, stage, None, isa)
}

/// Long enough, its lanes near enough to each other, and no division depends on it:
/// lanes share what a guard of that kind decides.
pub fn can_be_vector(flat: &Flat, dim: Dim, isa: Isa) -> bool {
    let divided = flat.values.iter().any(|value| match value {
        Value::Within(expr, _) => expr.divisor != 1 && flat.dims_of(expr).contains(dim),
        _ => false,
    });
    let quotient = flat
        .quotients
        .iter()
        .any(|expr| flat.dims_of(expr).contains(dim));
    flat.extents[dim] >= SHORTEST && !divided && !quotient && lanes_are_near(flat, dim, isa)
}

/// Whether the lanes of all vectors side by side are within reach of one address:
/// instructions hold offsets of 32 bits, half of which other loops may take.
fn lanes_are_near(flat: &Flat, dim: Dim, isa: Isa) -> bool {
    const FARTHEST: i64 = i32::MAX as i64 / 2;
    let lanes = (isa.lanes() * MOST_BLOCKS * ELEMENT_BYTES) as i64;
    let stores = flat.stages.iter().filter_map(FlatStage::store);
    loads(flat)
        .chain(stores)
        .all(|access| access.address.coefficient(dim).abs() <= FARTHEST / lanes)
}

fn stage_cycles(
    flat: &Flat,
    dependencies: &[Dims],
    index: usize,
    vector: Option<Dim>,
    isa: Isa,
) -> f64 {
    let stage = &flat.stages[index];
    let over = Dims::of(stage.over.iter().copied());
    let outer = Dims::of(0..flat.outer);
    let rounds = |dims: Dims| -> f64 {
        dims.iter()
            .map(|dim| match vector {
                Some(v) if v == dim => blocks(flat.extents[dim], isa),
                _ => flat.extents[dim] as f64,
            })
            .product()
    };
    let evaluations = |dims: Dims| {
        let inner = dims.without(outer);
        // What changes in an inner loop is computed anew at every outer point.
        rounds(if inner.is_empty() {
            dims
        } else {
            inner.union(outer)
        })
    };
    let values: f64 = flat
        .cone(index)
        .into_iter()
        .map(|id| evaluations(dependencies[id]) * value_cycles(&flat.values[id], vector, isa))
        .sum();
    values
        + rounds(over.union(outer)) * sink_cycles(stage, vector, isa)
        + finish(stage, vector, isa) * rounds(outer)
}

/// Vectors along a loop, with what is left: single elements, or lanes of one more vector.
fn blocks(extent: usize, isa: Isa) -> f64 {
    let lanes = isa.lanes();
    match isa {
        Isa::Portable => (extent / lanes + extent % lanes) as f64,
        Isa::Avx2 | Isa::Avx512 => extent.div_ceil(lanes) as f64,
    }
}

/// Divisions and roots have a unit of their own, which takes its time for each lane; roots of
/// 512 bits do without.
fn division_cycles(isa: Isa) -> f64 {
    match isa {
        Isa::Portable => 4.0,
        Isa::Avx2 => 6.0,
        Isa::Avx512 => 12.0,
    }
}

fn value_cycles(value: &Value, vector: Option<Dim>, isa: Isa) -> f64 {
    match value {
        Value::F32(_) | Value::I32(_) | Value::Mask(_) | Value::Reduced(_) => 0.0,
        Value::Within(..) => 0.5,
        Value::Load { access, guards, .. } => {
            access_cycles(access, vector, isa) + guards.len() as f64
        }
        Value::Unary(UnaryOp::Sqrt, _) if isa == Isa::Avx512 => 6.0,
        Value::Unary(UnaryOp::Sqrt, _) | Value::Binary(BinaryOp::Div, ..) => division_cycles(isa),
        Value::Index(_) | Value::Unary(..) | Value::Binary(..) | Value::Fma(..) => 0.5,
        Value::Select(..) => 1.0,
    }
}

/// Neighbours come in one vector, the same element is spread once, others are
/// gathered one by one.
fn access_cycles(access: &Access, vector: Option<Dim>, isa: Isa) -> f64 {
    const APART: f64 = 1.5;
    match vector.map(|dim| access.address.coefficient(dim)) {
        None | Some(0 | 1) => 1.0,
        Some(_) => APART * isa.lanes() as f64,
    }
}

fn sink_cycles(stage: &FlatStage, vector: Option<Dim>, isa: Isa) -> f64 {
    match &stage.sink {
        Sink::Reduce(_) => 1.0,
        Sink::Store(access) => access_cycles(access, vector, isa),
    }
}

/// Lanes of a reduction along an inner loop are combined at its end.
fn finish(stage: &FlatStage, vector: Option<Dim>, isa: Isa) -> f64 {
    const EACH_TIME_IN_HALF: f64 = 6.0;
    match (&stage.sink, vector) {
        (Sink::Reduce(_), Some(dim)) if stage.over.contains(&dim) => {
            EACH_TIME_IN_HALF * f64::from(isa.lanes().ilog2())
        }
        _ => 0.0,
    }
}
