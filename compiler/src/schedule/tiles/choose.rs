//! Which dimension becomes rows, which columns, and how large a tile is: the choice
//! with the fewest cycles by a small model of the machine.

use super::edges::Edges;
use super::footprint::{Footprint, L1_PERIOD, L2_PERIOD, LINE, footprint, lines};
use super::walk::{LINE_AHEAD, LINE_READ, LINE_WRITTEN, levels};
use super::{
    A, Axis, B, Columns, ELEMENT_BYTES, Level, Linear, LinearPlace, Multiply, PlaceId, Rows,
    TilePlan,
};
use crate::index::Dim;
use crate::schedule::tasks;
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
        let cost = cost(linear, target, &shape);
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
pub(super) struct Shape {
    pub rows: Rows,
    pub columns: Columns,
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
pub(super) fn most_vectors(isa: Isa) -> usize {
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
/// wide) and three instructions a cycle, and a little over four cycles from a sum to the
/// next. A core
/// alone would take six instructions, but often another thread runs on the other half of
/// it: then a tile one vector wide, of which the products read their broadcast operand
/// themselves, comes through with 96 % of the peak where two vectors make 83 %.
///
/// Of A a tile reads each line once, from the second-level cache; rows far apart (of
/// different images) share none, and rows by a power of two apart drive each other out. A panel of
/// B that does not stay beside it in the first-level cache is read again for each tile, but
/// ahead of its use, if its rows do not lie so that they do the same. Lines that are written are
/// fetched first.
fn cost(linear: &Linear, target: &Target, shape: &Shape) -> f64 {
    const FIXED: f64 = 30.0;
    const APART: f64 = 2.0;
    const TURNED: f64 = 0.5;
    let isa = target.isa;
    let summed: usize = linear.dims[linear.outer..].iter().product();
    let left_out = edges_around(linear, shape);
    let left = left_out.map_or(1.0, |edges| edges.part(linear.dims[edges.summed]));
    let summed = summed as f64 * left;
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
    // Rows are turned as many at a time as a vector has lanes.
    let around = |rows: usize| -> f64 {
        let turned = TURNED * (rows.next_multiple_of(lanes) * lanes) as f64 / rows as f64;
        let places = places.iter();
        let cycles = places.map(|place| match place.strides[shape.columns.dim] {
            0 | ELEMENT_BYTES => 1.0,
            _ if along_rows(&place.strides) => turned,
            _ => APART * lanes as f64,
        });
        cycles.sum()
    };
    let tile = |count: usize, columns: usize| {
        let vectors = columns.div_ceil(lanes) as f64;
        let rows = (count * shape.rows_each) as f64;
        let products = rows * vectors;
        let folded = isa == Isa::Avx512 && vectors == 1.0;
        let instructions = products + vectors + if folded { 0.0 } else { rows };
        let step = (products / 2.0)
            .max(rows / 3.0 + vectors / 2.0)
            .max(instructions / 3.0)
            .max(4.5);
        let stores = products * around(count * shape.rows_each);
        let of_a = tile_lines(linear, A, shape, count, columns);
        let of_b = tile_footprint(linear, B, shape, count, columns);
        let again = panel(target, of_a, of_b);
        let waiting = match rows_share_sets(linear, target, shape, count) {
            true => rows * ROW_SHARED,
            false => 0.0,
        };
        let writes = linear.writes.iter();
        let written: usize = writes
            .map(|write| tile_lines(linear, write.place, shape, count, columns))
            .sum();
        let memory = of_a as f64 * LINE_READ + again + written as f64 * LINE_WRITTEN;
        (step + waiting) * summed + stores + FIXED + memory
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

/// Whether the rows of A that a tile goes along do not all have a line of their own in the
/// first-level cache, as rows of pixels with many channels.
fn rows_share_sets(linear: &Linear, target: &Target, shape: &Shape, count: usize) -> bool {
    let cut = shape.rows.dim.map(|dim| (dim, count));
    let whole = shape.rows.whole.iter().map(|&dim| (dim, linear.dims[dim]));
    let rows = footprint(&linear.places[A], cut.into_iter().chain(whole));
    rows.taken(L1_PERIOD) * LINE > target.l1_bytes()
}

/// Cycles that an element of A then takes besides.
const ROW_SHARED: f64 = 0.05;

/// Cycles to read a tile's panel of B once more, beside so many lines of A.
fn panel(target: &Target, of_a: usize, of_b: Footprint) -> f64 {
    // What is larger than that cache in any case goes past it, and the machine follows.
    let near = of_b.lines * LINE <= target.l2_bytes();
    let line = if (of_a + of_b.taken(L1_PERIOD)) * LINE <= target.l1_bytes() {
        0.0
    } else if near && of_b.taken(L2_PERIOD) * LINE > target.l2_bytes() {
        LINE_LOST
    } else if of_b.crowding(L1_PERIOD) >= CROWDED {
        LINE_CROWDED
    } else {
        LINE_AHEAD
    };
    of_b.lines as f64 * line
}

/// Cycles to read a line whose sets are shared by so many others that what is fetched ahead drives
/// out what was fetched before.
const LINE_CROWDED: f64 = 0.5;
const CROWDED: usize = 16;

/// Cycles to read a line that found no place in the second-level cache.
const LINE_LOST: f64 = 5.0;

/// Lines that a tile of so many rows and columns touches at a place.
pub(super) fn tile_lines(
    linear: &Linear,
    place: PlaceId,
    shape: &Shape,
    rows: usize,
    columns: usize,
) -> usize {
    tile_footprint(linear, place, shape, rows, columns).lines
}

fn tile_footprint(
    linear: &Linear,
    place: PlaceId,
    shape: &Shape,
    rows: usize,
    columns: usize,
) -> Footprint {
    let cut = shape.rows.dim.map(|dim| (dim, rows));
    let whole = shape.rows.whole.iter().map(|&dim| (dim, linear.dims[dim]));
    let summed = (linear.outer..linear.dims.len()).map(|dim| (dim, linear.dims[dim]));
    let tile = cut.into_iter().chain(whole).chain(summed);
    footprint(
        &linear.places[place],
        tile.chain([(shape.columns.dim, columns)]),
    )
}

fn plan_of(linear: &Linear, target: &Target, shape: Shape) -> TilePlan {
    let mut plan = TilePlan {
        isa: target.isa,
        multiply: multiply(target),
        linear: linear.clone(),
        levels: levels(linear, target, &shape),
        edges: edges_around(linear, &shape).cloned(),
        rows: shape.rows,
        columns: shape.columns,
        reduce: summed_in_order(linear),
    };
    divide(&mut plan);
    balance(&mut plan, target);
    plan
}

/// The innermost loop walks A in the smallest steps.
fn summed_in_order(linear: &Linear) -> Vec<Dim> {
    let mut reduce: Vec<Dim> = (linear.outer..linear.dims.len()).collect();
    reduce.sort_by_key(|&dim| std::cmp::Reverse(linear.places[A].strides[dim].abs()));
    reduce
}

/// The edges that tiles of a shape can leave out: they know them by a level around them,
/// and count the outermost loop of their sum.
fn edges_around<'a>(linear: &'a Linear, shape: &Shape) -> Option<&'a Edges> {
    let order = summed_in_order(linear);
    let (&outermost, inner) = order.split_first()?;
    let steps: usize = inner.iter().map(|&dim| linear.dims[dim]).product();
    let rows = &shape.rows;
    linear.edges.iter().find(|edges| {
        let in_tile = rows.dim == Some(edges.outer)
            || rows.whole.contains(&edges.outer)
            || shape.columns.dim == edges.outer;
        edges.summed == outermost && steps >= LEAST_COUNTED && !in_tile
    })
}

/// A loop around fewer steps may be written out.
const LEAST_COUNTED: usize = 16;

/// Every machine with wide tiles fuses; of the others, those that are no x86 do.
fn multiply(target: &Target) -> Multiply {
    if target.features.contains(&"has_fma") || !cfg!(target_arch = "x86_64") {
        Multiply::Fused
    } else {
        Multiply::Separate
    }
}

/// A task should be worth the trouble of handing it out.
const TASK_PRODUCTS: usize = 500_000;

/// Where that makes few tasks, or none, they may be as short as this: some microseconds.
const SHORT_TASK_PRODUCTS: usize = 150_000;

/// Fewer tasks than this are made even, and may be short.
const FEW_TASKS: usize = 16;

/// Of few tasks, so many that are equal are better than more that are not.
const EQUAL_TASKS: usize = 4;

/// Runs of so many steps may differ by one: they are even enough.
const EVEN_STEPS: usize = 8;

/// Divides the levels into tasks: first those that divide the larger operand, so that
/// each thread reads its own part of it. A layer with more inputs than outputs so divides by
/// inputs both ways: forward its sum is taken in parts, and in the gradient by its weights what
/// it read is the larger operand. A layer with more outputs divides by outputs: forward its
/// weights are the larger operand, in their gradient what came back is. So each thread updates
/// the part of the weights that it reads at the next step.
/// Few tasks are to be equal, so levels that divide evenly come before others then.
fn divide(plan: &mut TilePlan) {
    let products: usize = plan.linear.dims.iter().product();
    let mut tasks = tasks::within_reason(products / TASK_PRODUCTS);
    let few = tasks < FEW_TASKS;
    if few {
        tasks = tasks::even((products / SHORT_TASK_PRODUCTS).min(FEW_TASKS));
    }
    let a_first = operand_size(&plan.linear, A) >= operand_size(&plan.linear, B);
    let larger = if a_first { A } else { B };
    let mut order: Vec<usize> = (0..plan.levels.len()).collect();
    order.sort_by_key(|&level| stride_along(plan, larger, plan.levels[level].axis) == 0);
    if few {
        for &level in &order {
            let level = &mut plan.levels[level];
            while tasks > 1 && divides_evenly(level.steps, level.runs * 2) {
                level.runs *= 2;
                tasks /= 2;
            }
        }
    }
    if few && plan.tasks() >= EQUAL_TASKS {
        return;
    }
    for level in order {
        let level = &mut plan.levels[level];
        if level.runs == 1 {
            level.runs = tasks.min(level.steps);
            tasks = (tasks / level.runs).max(1);
        }
    }
}

/// Where each task would read all of an operand that does not stay in its cache, tasks
/// are made smaller in that operand and larger in the other, as long as both stay there. It ends,
/// since each turn halves the runs of a level that none doubles again.
fn balance(plan: &mut TilePlan, target: &Target) {
    let room = target.l2_bytes() / 2;
    loop {
        let [a, b] = [A, B].map(|operand| bytes_of_task(plan, operand));
        let (large, small) = if a > b { (A, B) } else { (B, A) };
        if a.max(b) <= room || 2 * a.min(b) > room {
            return;
        }
        let finer = level_of_one(plan, large, small, &|level| {
            2 * level.runs <= level.steps && divides_evenly(level.steps, 2 * level.runs)
        });
        let coarser = level_of_one(plan, small, large, &|level| level.runs.is_multiple_of(2));
        let (Some(finer), Some(coarser)) = (finer, coarser) else {
            return;
        };
        plan.levels[finer].runs *= 2;
        plan.levels[coarser].runs /= 2;
    }
}

/// A level that divides one operand and not the other.
fn level_of_one(
    plan: &TilePlan,
    one: usize,
    other: usize,
    wanted: &dyn Fn(&Level) -> bool,
) -> Option<usize> {
    plan.levels.iter().position(|level| {
        let knows = |operand: usize| stride_along(plan, operand, level.axis) != 0;
        knows(one) && !knows(other) && wanted(level)
    })
}

/// Bytes of an operand that a task reads.
fn bytes_of_task(plan: &TilePlan, operand: usize) -> usize {
    let linear = &plan.linear;
    let part = |axis: Axis| {
        let level = plan.levels.iter().find(|level| level.axis == axis);
        level.map_or(1, |level| level.runs)
    };
    let extent = |(dim, &extent): (Dim, &usize)| {
        let axis = match dim {
            _ if dim == plan.columns.dim => Axis::Columns,
            _ if plan.rows.dim == Some(dim) => Axis::Rows,
            _ => Axis::Dim(dim),
        };
        (dim, extent.div_ceil(part(axis)))
    };
    let walk = linear.dims.iter().enumerate().map(extent);
    lines(&linear.places[operand], walk) * LINE
}

fn stride_along(plan: &TilePlan, operand: usize, axis: Axis) -> i64 {
    let strides = &plan.linear.places[operand].strides;
    match axis {
        Axis::Dim(dim) => strides[dim],
        Axis::Rows => plan.rows.dim.map_or(0, |dim| strides[dim]),
        Axis::Columns => strides[plan.columns.dim],
    }
}

fn divides_evenly(steps: usize, runs: usize) -> bool {
    steps.is_multiple_of(runs) || steps / runs >= EVEN_STEPS
}

/// How many elements of an operand are read.
pub(super) fn operand_size(linear: &Linear, operand: usize) -> usize {
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
