//! Which dimension becomes rows, which columns, and how large a tile is: the choice
//! with the fewest cycles by a small model of the machine.

use super::{
    A, Axis, B, Columns, ELEMENT_BYTES, Level, Linear, LinearPlace, Multiply, Rows, TilePlan,
};
use crate::index::Dim;
use crate::target::{Isa, Target};

/// The best plan for a linear form, `None` if no dimension can be columns.
pub(super) fn choose(linear: &Linear, target: &Target) -> Option<(TilePlan, f64)> {
    let isa = target.isa;
    let candidates = column_dims(linear).into_iter().flat_map(|columns| {
        row_dims(linear, columns).into_iter().flat_map(move |rows| {
            (1..=most_vectors(isa)).map(move |vectors| (columns, rows.clone(), vectors))
        })
    });
    let mut best: Option<(TilePlan, f64)> = None;
    for (columns, rows, vectors) in candidates {
        let Some(shape) = shape(linear, isa, columns, &rows, vectors) else {
            continue;
        };
        let cost = cost(linear, isa, &shape);
        if best.as_ref().is_none_or(|&(_, least)| cost < least) {
            best = Some((plan_of(linear, target, shape), cost));
        }
    }
    best.filter(|(plan, _)| reachable(plan))
}

/// Dimensions whose neighbours touch in B and which A does not know.
pub(super) fn column_dims(linear: &Linear) -> Vec<Dim> {
    let [a, b] = [&linear.places[A], &linear.places[B]];
    (0..linear.outer)
        .filter(|&dim| a.strides[dim] == 0 && b.strides[dim] == ELEMENT_BYTES)
        .collect()
}

/// What may become rows: nothing, a dimension that only A knows, or two of them.
fn row_dims(linear: &Linear, columns: Dim) -> Vec<Vec<Dim>> {
    let only_a = |&dim: &Dim| {
        dim != columns && linear.places[A].strides[dim] != 0 && linear.places[B].strides[dim] == 0
    };
    let dims: Vec<Dim> = (0..linear.outer).filter(only_a).collect();
    let single = dims.iter().map(|&dim| vec![dim]);
    let double = dims.iter().flat_map(|&cut| {
        let others = dims.iter().filter(move |&&whole| whole != cut);
        others.map(move |&whole| vec![cut, whole])
    });
    std::iter::once(Vec::new())
        .chain(single)
        .chain(double)
        .collect()
}

/// A tile's size: rows of the cut dimension, and of all others that lie in it as a whole.
struct Shape {
    rows: Rows,
    columns: Columns,
    /// Rows that one index of the cut dimension holds.
    rows_each: usize,
}

fn shape(linear: &Linear, isa: Isa, columns: Dim, rows: &[Dim], vectors: usize) -> Option<Shape> {
    let most = most_rows(isa, vectors);
    let rows_each: usize = rows.iter().skip(1).map(|&dim| linear.dims[dim]).product();
    let extent = rows.first().map_or(1, |&dim| linear.dims[dim]);
    let at_once = most / rows_each;
    if at_once == 0 {
        return None;
    }
    let tiles = extent.div_ceil(at_once);
    let large = extent.div_ceil(tiles);
    let smalls = tiles * large - extent;
    Some(Shape {
        rows: Rows {
            dim: rows.first().copied(),
            whole: rows.iter().skip(1).copied().collect(),
            large,
            larges: tiles - smalls,
            smalls,
        },
        columns: Columns {
            dim: columns,
            width: (vectors * isa.lanes()).min(linear.dims[columns]),
        },
        rows_each,
    })
}

/// Vectors side by side in a tile.
fn most_vectors(isa: Isa) -> usize {
    match isa {
        Isa::Portable => 2,
        Isa::Avx2 => 4,
        Isa::Avx512 => 8,
    }
}

/// Rows of a tile of so many vectors: what is left of the registers for accumulators
/// when the epilogue has four to compute in.
fn most_rows(isa: Isa, vectors: usize) -> usize {
    let accumulators = match isa {
        // The code generator moves what it multiplies.
        Isa::Portable => 10,
        Isa::Avx2 | Isa::Avx512 => isa.registers() - 4,
    };
    // A row of B and one element of A.
    accumulators.min(isa.registers() - vectors - 1) / vectors
}

/// Cycles for all tiles, on a machine with two vector units, three loads (two of them
/// wide) and three instructions a cycle, and four cycles from a sum to the next. A core
/// alone would take six instructions, but often another thread runs on the other half of
/// it: then a tile one vector wide, of which the products read their broadcast operand
/// themselves, comes through with 96 % of the peak where two vectors make 83 %.
fn cost(linear: &Linear, isa: Isa, shape: &Shape) -> f64 {
    const FIXED: f64 = 30.0;
    const APART: f64 = 2.0;
    const TURNED: f64 = 0.5;
    let summed: usize = linear.dims[linear.outer..].iter().product();
    let lanes = isa.lanes();
    let places = &linear.places[2..];
    // Cycles that a vector costs besides its sum: at places of which columns are no
    // neighbours it is taken apart, or turned if at least rows are.
    let along_rows = |strides: &[i64]| {
        shape.rows.whole.is_empty()
            && shape
                .rows
                .dim
                .is_some_and(|dim| strides[dim] == ELEMENT_BYTES)
    };
    let around: f64 = places
        .iter()
        .map(|place| match place.strides[shape.columns.dim] {
            0 | ELEMENT_BYTES => 1.0,
            _ if along_rows(&place.strides) => TURNED * lanes as f64,
            _ => APART * lanes as f64,
        })
        .sum();
    let tile = |count: usize, columns: usize| {
        let vectors = columns.div_ceil(lanes) as f64;
        let rows = (count * shape.rows_each) as f64;
        let products = rows * vectors;
        let folded = isa == Isa::Avx512 && vectors == 1.0;
        let instructions = products + vectors + if folded { 0.0 } else { rows };
        let step = (products / 2.0)
            .max(rows / 3.0 + vectors / 2.0)
            .max(instructions / 3.0)
            .max(4.0);
        let stores = products * around;
        step * summed as f64 + stores + FIXED
    };
    let extent = linear.dims[shape.columns.dim];
    let (full, rest) = (extent / shape.columns.width, extent % shape.columns.width);
    let rows = &shape.rows;
    let across = |count: usize| {
        let tail = if rest > 0 { tile(count, rest) } else { 0.0 };
        tile(count, shape.columns.width) * full as f64 + tail
    };
    let smalls = if rows.smalls > 0 {
        across(rows.large - 1)
    } else {
        0.0
    };
    let once = across(rows.large) * rows.larges as f64 + smalls * rows.smalls as f64;
    let in_tile =
        |dim: &Dim| *dim == shape.columns.dim || rows.dim == Some(*dim) || rows.whole.contains(dim);
    let times: usize = (0..linear.outer)
        .filter(|dim| !in_tile(dim))
        .map(|dim| linear.dims[dim])
        .product();
    once * times as f64
}

fn plan_of(linear: &Linear, target: &Target, shape: Shape) -> TilePlan {
    let mut reduce: Vec<Dim> = (linear.outer..linear.dims.len()).collect();
    // The innermost loop walks A in the smallest steps.
    reduce.sort_by_key(|&dim| std::cmp::Reverse(linear.places[A].strides[dim].abs()));
    let mut plan = TilePlan {
        isa: target.isa,
        multiply: multiply(target),
        linear: linear.clone(),
        levels: levels(linear, &shape),
        rows: shape.rows,
        columns: shape.columns,
        reduce,
    };
    divide(&mut plan);
    plan
}

/// Every machine with wide tiles fuses; of the others, those that are no x86 do.
fn multiply(target: &Target) -> Multiply {
    if target.features.contains(&"has_fma") || !cfg!(target_arch = "x86_64") {
        Multiply::Fused
    } else {
        Multiply::Separate
    }
}

/// Columns outside rows, so that a panel of B stays in the first-level cache.
fn levels(linear: &Linear, shape: &Shape) -> Vec<Level> {
    let mut dims: Vec<Dim> = (0..linear.outer)
        .filter(|&dim| {
            dim != shape.columns.dim
                && shape.rows.dim != Some(dim)
                && !shape.rows.whole.contains(&dim)
        })
        .collect();
    dims.sort_by_key(|&dim| std::cmp::Reverse(linear.places[A].strides[dim].abs()));
    let level = |axis: Axis, steps: usize| Level {
        axis,
        steps,
        chunk: steps,
    };
    let knows_b = |dim: &Dim| linear.places[B].strides[*dim] != 0;
    let of = |dim: Dim| level(Axis::Dim(dim), linear.dims[dim]);
    let outside = dims.iter().copied().filter(knows_b).map(of);
    let inside = dims.iter().copied().filter(|dim| !knows_b(dim)).map(of);
    let columns = linear.dims[shape.columns.dim].div_ceil(shape.columns.width);
    outside
        .chain([level(Axis::Columns, columns)])
        .chain(inside)
        .chain([level(Axis::Rows, shape.rows.larges + shape.rows.smalls)])
        .collect()
}

/// A task should be worth the trouble of handing it out.
const TASK_PRODUCTS: usize = 500_000;

/// More tasks than this balance no better.
const MOST_TASKS: usize = 128;

/// Divides the levels into tasks: first those that divide the larger operand, so that
/// each thread reads its own part of it.
fn divide(plan: &mut TilePlan) {
    let products: usize = plan.linear.dims.iter().product();
    let mut tasks = (products / TASK_PRODUCTS).clamp(1, MOST_TASKS);
    let a_first = operand_size(&plan.linear, A) >= operand_size(&plan.linear, B);
    let strides = |place: usize, axis: Axis| {
        let strides = &plan.linear.places[place].strides;
        match axis {
            Axis::Dim(dim) => strides[dim],
            Axis::Rows => plan.rows.dim.map_or(0, |dim| strides[dim]),
            Axis::Columns => strides[plan.columns.dim],
        }
    };
    let larger = if a_first { A } else { B };
    let mut order: Vec<usize> = (0..plan.levels.len()).collect();
    order.sort_by_key(|&level| strides(larger, plan.levels[level].axis) == 0);
    for level in order {
        let level = &mut plan.levels[level];
        level.chunk = level.steps.div_ceil(tasks.min(level.steps));
        tasks /= level.runs().min(tasks);
        tasks = tasks.max(1);
    }
}

/// How many elements of an operand are read.
fn operand_size(linear: &Linear, operand: usize) -> usize {
    linear
        .dims
        .iter()
        .zip(&linear.places[operand].strides)
        .filter(|&(_, &stride)| stride != 0)
        .map(|(&extent, _)| extent)
        .product()
}

/// Whether offsets inside a tile fit the instructions, and its loops the counters.
fn reachable(plan: &TilePlan) -> bool {
    const FARTHEST: i64 = 1 << 30;
    const MOST_WRITTEN_OUT: i64 = 16;
    const MOST_LOOPS: usize = 4;
    let dims = &plan.linear.dims;
    let cut = plan.rows.dim.iter().map(|&dim| (dim, plan.rows.large));
    let whole = plan.rows.whole.iter().map(|&dim| (dim, dims[dim]));
    let columns = [(plan.columns.dim, plan.columns.width)];
    let in_tile: Vec<(Dim, usize)> = cut.chain(whole).chain(columns).collect();
    let near = |place: &LinearPlace| {
        let across = in_tile
            .iter()
            .map(|&(dim, count)| place.strides[dim].abs() * count as i64);
        let summed = plan
            .reduce
            .iter()
            .map(|&dim| place.strides[dim].abs() * MOST_WRITTEN_OUT);
        across.chain(summed).sum::<i64>() < FARTHEST
    };
    plan.linear.places.iter().all(near) && plan.reduce.len() <= MOST_LOOPS
}
