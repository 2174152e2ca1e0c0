//! Considers the ways to run a contraction as tiles: as it is, with its operands
//! exchanged, with one of them packed, and with a long sum in parts.

use super::choose::choose;
use super::linear::{Operands, is_plain, operands};
use super::rewrite::{Packed, cut, pack, part, spread};
use super::{Linear, Often, TilePlan, Tiled, TiledStep};
use crate::index::Dim;
use crate::nest::{Buffer, BufferId, Kernel, Role, Scalar, ScalarId, Stage};
use crate::schedule::Layout;
use crate::target::Target;

/// Plans `kernel` as tiles, or gives `None` when it is no contraction or not fit for tiles.
/// `layouts` tells how each of `buffers` lies.
pub fn plan(
    kernel: &Kernel,
    buffers: &[Buffer],
    layouts: &[Layout],
    target: &Target,
    often: Often,
) -> Option<Tiled> {
    let mut tensors = Tensors {
        often,
        buffers: buffers.to_vec(),
        layouts: layouts.to_vec(),
        given: buffers.len(),
    };
    let mut steps = Vec::new();
    let mut kernel = kernel.clone();
    let Operands { a, b, .. } = operands(&kernel)?;
    for operand in [a, b] {
        if let Some(order) = tensors.order_if_not_plain(&kernel, operand) {
            let packed = spread(&kernel, operand, &order, tensors.next())?;
            steps.push(TiledStep::Loops(packed.pack));
            tensors.add(packed.buffer);
            kernel = packed.kernel;
        }
    }
    let considered = best(&kernel, &tensors, target)?;
    if let Some((pack, copy)) = considered.pack {
        steps.push(TiledStep::Loops(pack));
        tensors.add(copy);
    }
    match in_parts(&considered.kernel, &considered.plan, &mut tensors, target) {
        Some((parts, plan, combine)) => {
            steps.push(TiledStep::Tiles(parts, plan));
            steps.push(TiledStep::Loops(combine));
        }
        None => steps.push(TiledStep::Tiles(considered.kernel, considered.plan)),
    }
    let added = tensors.buffers.into_iter().zip(tensors.layouts);
    Some(Tiled {
        buffers: added.skip(tensors.given).collect(),
        steps,
    })
}

/// All tensors, those that were added here behind those given.
struct Tensors {
    buffers: Vec<Buffer>,
    layouts: Vec<Layout>,
    given: usize,
    often: Often,
}

impl Tensors {
    fn next(&self) -> BufferId {
        BufferId(self.buffers.len() as u32)
    }

    fn add(&mut self, (buffer, layout): (Buffer, Layout)) {
        self.buffers.push(buffer);
        self.layouts.push(layout);
    }

    /// The order of the axes of what an operand reads, if it reads beyond the edges.
    fn order_if_not_plain(&self, kernel: &Kernel, operand: ScalarId) -> Option<Vec<usize>> {
        let Scalar::Load { buffer, at, fill } = &kernel.scalars[operand.index()] else {
            return None;
        };
        let layout = &self.layouts[buffer.index()];
        let plain = is_plain(at, &kernel.dims, layout, *fill == Some(0.0));
        (!plain).then(|| layout.order.clone())
    }

    /// Bytes of the tensor that a load reads.
    fn bytes(&self, load: &Scalar) -> usize {
        match load {
            Scalar::Load { buffer, .. } => self.layouts[buffer.index()].elements * 4,
            _ => 0,
        }
    }

    /// Whether what a load reads is packed once for many times.
    fn lasts(&self, load: &Scalar) -> bool {
        let is_slot = |buffer: BufferId| matches!(self.buffers[buffer.index()].role, Role::Slot(_));
        match load {
            Scalar::Load { buffer, .. } => self.often == Often::Repeated && is_slot(*buffer),
            _ => false,
        }
    }

    /// How far apart neighbours along `dim` are in what a load reads, in elements.
    fn stride(&self, load: &Scalar, dim: Dim) -> i64 {
        let Scalar::Load { buffer, at, .. } = load else {
            return 0;
        };
        let strides = &self.layouts[buffer.index()].strides;
        at.iter()
            .zip(strides)
            .map(|(index, &stride)| index.coefficient(dim) * stride as i64)
            .sum()
    }
}

/// A way to run a contraction.
struct Considered {
    /// What to run first, and the tensor that it makes.
    pack: Option<(Kernel, (Buffer, Layout))>,
    kernel: Kernel,
    plan: TilePlan,
    /// In cycles.
    cost: f64,
}

fn best(kernel: &Kernel, tensors: &Tensors, target: &Target) -> Option<Considered> {
    let packed = packings(kernel, tensors)
        .into_iter()
        .filter_map(|packing| packed(kernel, &packing, tensors, target));
    unpacked(kernel, tensors, target)
        .into_iter()
        .chain(packed)
        .min_by(|one, other| one.cost.total_cmp(&other.cost))
}

fn unpacked(kernel: &Kernel, tensors: &Tensors, target: &Target) -> Option<Considered> {
    let (plan, cost) = tiles(kernel, &tensors.buffers, &tensors.layouts, target)?;
    Some(Considered {
        pack: None,
        kernel: kernel.clone(),
        plan,
        cost,
    })
}

/// The better of the two orders of the operands.
fn tiles(
    kernel: &Kernel,
    buffers: &[Buffer],
    layouts: &[Layout],
    target: &Target,
) -> Option<(TilePlan, f64)> {
    let linear = Linear::of(kernel, buffers, layouts)?;
    [linear.swapped(), linear]
        .iter()
        .filter_map(|linear| choose(linear, target))
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// One way to pack: the operand, and the dimension that becomes its innermost axis.
struct Packing {
    operand: ScalarId,
    other: ScalarId,
    columns: Dim,
}

/// Each operand by each outer dimension that it alone knows.
fn packings(kernel: &Kernel, tensors: &Tensors) -> Vec<Packing> {
    let Some(operands) = operands(kernel) else {
        return Vec::new();
    };
    let mut packings = Vec::new();
    for (operand, other) in [(operands.a, operands.b), (operands.b, operands.a)] {
        let stride = |id: ScalarId, dim| tensors.stride(&kernel.scalars[id.index()], dim);
        let columns =
            (0..kernel.outer).filter(|&dim| stride(operand, dim) != 0 && stride(other, dim) == 0);
        packings.extend(columns.map(|columns| Packing {
            operand,
            other,
            columns,
        }));
    }
    packings
}

fn packed(
    kernel: &Kernel,
    packing: &Packing,
    tensors: &Tensors,
    target: &Target,
) -> Option<Considered> {
    let whole = packed_by(kernel, packing, None, tensors, target)?;
    let width = whole.plan.columns.width;
    let extent = kernel.dims[packing.columns];
    if extent > width && extent.is_multiple_of(width) {
        // A panel of columns touches: fewer pages and cache sets than a slice of all columns.
        return packed_by(kernel, packing, Some(width), tensors, target);
    }
    Some(whole)
}

fn packed_by(
    kernel: &Kernel,
    packing: &Packing,
    panel: Option<usize>,
    tensors: &Tensors,
    target: &Target,
) -> Option<Considered> {
    let cut_kernel = panel.map(|width| cut(kernel, packing.columns, width));
    let kernel = cut_kernel.as_ref().unwrap_or(kernel);
    let columns = packing.columns + usize::from(panel.is_some());
    let load = &kernel.scalars[packing.operand.index()];
    let other = &kernel.scalars[packing.other.index()];
    let known = |dim: &Dim| tensors.stride(load, *dim) != 0;
    let outer = (0..kernel.outer)
        .filter(known)
        .filter(|&dim| dim != columns);
    let mut summed: Vec<Dim> = (kernel.outer..kernel.dims.len()).filter(known).collect();
    summed.sort_by_key(|&dim| std::cmp::Reverse(tensors.stride(other, dim).abs()));
    let axes: Vec<Dim> = outer.chain(summed).chain([columns]).collect();
    let elements: usize = axes.iter().map(|&dim| kernel.dims[dim]).product();
    if elements * 4 > MOST_COPIES * tensors.bytes(load) {
        return None;
    }
    let Packed {
        pack,
        kernel,
        buffer,
    } = pack(kernel, packing.operand, &axes, tensors.next());
    let with = |all: &[Buffer]| [all, std::slice::from_ref(&buffer.0)].concat();
    let layouts = [&tensors.layouts[..], std::slice::from_ref(&buffer.1)].concat();
    let (plan, cost) = tiles(&kernel, &with(&tensors.buffers), &layouts, target)?;
    let packing = match tensors.lasts(load) {
        true => 0.0,
        false => PACK_START + elements as f64 * PACK_ELEMENT,
    };
    let cost = cost + packing;
    let products: usize = kernel.dims.iter().product();
    (cost < products as f64 * LOOPS_PRODUCT).then_some(Considered {
        pack: Some((pack, buffer)),
        kernel,
        plan,
        cost,
    })
}

/// How often an element may occur in a packed operand: windows that overlap are not spelt out.
const MOST_COPIES: usize = 2;

/// Cycles that a product takes in a loop nest, which needs nothing packed.
const LOOPS_PRODUCT: f64 = 0.5;

/// Cycles to start one more kernel.
const PACK_START: f64 = 2000.0;

/// Cycles to copy an element.
const PACK_ELEMENT: f64 = 2.0;

/// So few tiles cannot be shared among threads.
const FEW_TILES: usize = 8;

/// Fewer tasks than this leave threads idle.
const ENOUGH_TASKS: usize = 16;

/// Operands so many times as large as their results are worth reading in parts: each thread
/// reads its own part, most of which it has made itself, instead of all of one operand.
const READ_PER_RESULT: usize = 3;

/// So many parts at most for that: each has to be added up.
const OWNED_PARTS: usize = 4;

/// The kernel with its sum in parts, if its panels would outgrow the cache, its tiles are too
/// few to share, or its operands are much larger than its results.
fn in_parts(
    kernel: &Kernel,
    plan: &TilePlan,
    tensors: &mut Tensors,
    target: &Target,
) -> Option<(Kernel, TilePlan, Kernel)> {
    if tensors.often == Often::Repeated {
        return None;
    }
    let operands = operands(kernel)?;
    let a = &kernel.scalars[operands.a.index()];
    let b = &kernel.scalars[operands.b.index()];
    // The outermost loop of the sum.
    let &along = operands.over.iter().max_by_key(|&&dim| {
        (
            tensors.stride(a, dim) + tensors.stride(b, dim),
            kernel.dims[dim],
        )
    })?;
    let products: usize = kernel.dims.iter().product();
    let outputs: usize = kernel.dims[..kernel.outer].iter().product();
    let read = tensors.bytes(a) + tensors.bytes(b);
    let summed = products / outputs;
    let panels = summed * 4 * (plan.columns.width + plan.rows.large);
    let grid: usize = plan.levels.iter().map(|level| level.steps).product();
    let few = grid < FEW_TILES && products / PRODUCTS_PER_PART >= 2;
    // Adding parts up costs more than it saves when there are almost as many sums as products.
    let most = (summed / SUMMED_PER_PART).min(products / PRODUCTS_PER_PART);
    let by_owner = (read / (outputs * 4) / READ_PER_RESULT)
        .min(OWNED_PARTS)
        .min(most);
    if !few && panels <= target.l2_bytes() / 2 && by_owner < 2 {
        return None;
    }
    let wanted = read
        .div_ceil(target.l2_bytes())
        .max(ENOUGH_TASKS / grid)
        .min(most)
        .max(by_owner);
    let extent = kernel.dims[along];
    let count = (2..=extent)
        .filter(|count| extent.is_multiple_of(*count) && *count <= 2 * most)
        .min_by_key(|count| count.abs_diff(wanted))?;

    let Some(Stage::Store { buffer, at, .. }) = kernel.stages.get(1) else {
        return None;
    };
    let result = Scalar::Load {
        buffer: *buffer,
        at: at.clone(),
        fill: None,
    };
    let mut axes: Vec<Dim> = (0..kernel.outer).collect();
    axes.sort_by_key(|&dim| std::cmp::Reverse(tensors.stride(&result, dim)));
    let parted = part(kernel, along, count, &axes, tensors.next())?;
    let buffers = [&tensors.buffers[..], std::slice::from_ref(&parted.buffer.0)].concat();
    let layouts = [&tensors.layouts[..], std::slice::from_ref(&parted.buffer.1)].concat();
    let (plan, _) = tiles(&parted.parts, &buffers, &layouts, target)?;
    tensors.add(parted.buffer);
    Some((parted.parts, plan, parted.combine))
}

/// A part is worth a task.
const PRODUCTS_PER_PART: usize = 500_000;

/// A part's sum is long enough to pay for being added up.
const SUMMED_PER_PART: usize = 128;
