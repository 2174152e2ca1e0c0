//! Considers the ways to run a contraction as tiles: as it is, with its operands
//! exchanged, with one of them packed, each with its sum in parts where `parts` wants that.

use super::choose::{choose, most_vectors};
use super::linear::{Operands, is_plain, operands};
use super::parts::in_parts;
use super::rewrite::{Packed, cut, pack, spread};
use super::{Linear, Often, TilePlan, Tiled, TiledStep};
use crate::index::Dim;
use crate::nest::{Buffer, BufferId, Kernel, Role, Scalar, ScalarId};
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
    let best = candidates(&kernel, tensors, target)
        .into_iter()
        .min_by(|one, other| one.cost().total_cmp(&other.cost()))?;
    steps.extend(best.pack.map(TiledStep::Loops));
    steps.push(TiledStep::Tiles(best.kernel, best.plan));
    steps.extend(best.combine.map(TiledStep::Loops));
    let given = best.tensors.given;
    let added = best.tensors.buffers.into_iter().zip(best.tensors.layouts);
    Some(Tiled {
        buffers: added.skip(given).collect(),
        steps,
    })
}

/// All tensors, those that were added here behind those given.
#[derive(Clone)]
pub(super) struct Tensors {
    pub buffers: Vec<Buffer>,
    pub layouts: Vec<Layout>,
    given: usize,
    pub often: Often,
}

impl Tensors {
    pub fn next(&self) -> BufferId {
        BufferId(self.buffers.len() as u32)
    }

    fn add(&mut self, (buffer, layout): (Buffer, Layout)) {
        self.buffers.push(buffer);
        self.layouts.push(layout);
    }

    /// These, and one more.
    pub fn with(&self, added: (Buffer, Layout)) -> Tensors {
        let mut tensors = self.clone();
        tensors.add(added);
        tensors
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
    pub fn bytes(&self, load: &Scalar) -> usize {
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
    pub fn stride(&self, load: &Scalar, dim: Dim) -> i64 {
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
pub(super) struct Candidate {
    pub tensors: Tensors,
    /// Copies an operand first.
    pub pack: Option<Kernel>,
    pub kernel: Kernel,
    pub plan: TilePlan,
    /// Adds up the parts of the sum at last.
    pub combine: Option<Kernel>,
    /// Cycles of the tiles, and of what is copied before and added up behind them, with what the
    /// estimate may err by where that is to be worth it.
    pub tiling: f64,
    pub around: f64,
}

impl Candidate {
    fn cost(&self) -> f64 {
        self.tiling + self.around
    }
}

/// With both operands as they are, and with the one packed for which that is best.
fn candidates(kernel: &Kernel, tensors: Tensors, target: &Target) -> Vec<Candidate> {
    let best_packed = packings(kernel, &tensors)
        .into_iter()
        .filter_map(|packing| packed(kernel, &packing, &tensors, target))
        .min_by(|one, other| one.cost().total_cmp(&other.cost()));
    let found = tiles(kernel, &tensors, target);
    let unpacked = found.map(|(plan, tiling)| Candidate {
        tensors,
        pack: None,
        kernel: kernel.clone(),
        plan,
        combine: None,
        tiling,
        around: 0.0,
    });
    let candidates = unpacked.into_iter().chain(best_packed);
    candidates
        .map(|candidate| in_parts(&candidate, target).unwrap_or(candidate))
        .collect()
}

/// The better of the two orders of the operands.
pub(super) fn tiles(
    kernel: &Kernel,
    tensors: &Tensors,
    target: &Target,
) -> Option<(TilePlan, f64)> {
    let linear = Linear::of(kernel, &tensors.buffers, &tensors.layouts)?;
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
) -> Option<Candidate> {
    let extent = kernel.dims[packing.columns];
    let lanes = target.isa.lanes();
    let widths = (1..=most_vectors(target.isa)).map(|vectors| vectors * lanes);
    // A panel of columns touches: fewer pages and cache sets than a slice of all columns.
    let panels = widths.filter(|&width| extent > width && extent.is_multiple_of(width));
    panels
        .map(Some)
        .chain([None])
        .filter_map(|panel| packed_by(kernel, packing, panel, tensors, target))
        .min_by(|one, other| one.cost().total_cmp(&other.cost()))
}

fn packed_by(
    kernel: &Kernel,
    packing: &Packing,
    panel: Option<usize>,
    tensors: &Tensors,
    target: &Target,
) -> Option<Candidate> {
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
    let around = match tensors.lasts(load) {
        true => 0.0,
        false => ONE_MORE_KERNEL + elements as f64 * PACK_ELEMENT,
    };
    let tensors = tensors.with(buffer);
    let (plan, tiling) = tiles(&kernel, &tensors, target)?;
    let around = around + tiling * DOUBT;
    let products: usize = kernel.dims.iter().product();
    (tiling + around < products as f64 * LOOPS_PRODUCT).then_some(Candidate {
        tensors,
        pack: Some(pack),
        kernel,
        plan,
        combine: None,
        tiling,
        around,
    })
}

/// How often an element may occur in a packed operand: windows that overlap are not spelt out.
const MOST_COPIES: usize = 2;

/// Cycles that a product takes in a loop nest, which needs nothing packed.
const LOOPS_PRODUCT: f64 = 0.5;

/// Cycles to start one more kernel.
pub(super) const ONE_MORE_KERNEL: f64 = 2000.0;

/// A copy has to save more than this part of the tiles' time: the estimate is no better.
const DOUBT: f64 = 0.02;

/// Cycles to copy an element.
const PACK_ELEMENT: f64 = 2.0;
