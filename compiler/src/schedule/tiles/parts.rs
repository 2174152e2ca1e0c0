//! Long sums in parts, each a task's or a thread's own, which are added up at last.

use super::Often;
use super::consider::{Candidate, ONE_MORE_KERNEL, tiles};
use super::linear::operands;
use super::rewrite::part;
use crate::index::Dim;
use crate::nest::{Scalar, Stage};
use crate::target::Target;

/// The same with its sum in parts, if its panels would outgrow the cache, its tiles are too
/// few to share, or its operands are much larger than its results.
pub(super) fn in_parts(candidate: &Candidate, target: &Target) -> Option<Candidate> {
    let Candidate {
        tensors,
        kernel,
        plan,
        ..
    } = candidate;
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
    let tensors = tensors.with(parted.buffer);
    let (plan, tiling) = tiles(&parted.parts, &tensors, target)?;
    let combining = ONE_MORE_KERNEL + (outputs * count) as f64 * ADDED_ELEMENT;
    Some(Candidate {
        tensors,
        pack: candidate.pack.clone(),
        kernel: parted.parts,
        plan,
        combine: Some(parted.combine),
        tiling,
        around: candidate.around + combining,
    })
}

/// So few tiles cannot be shared among threads.
const FEW_TILES: usize = 8;

/// Fewer tasks than this leave threads idle.
const ENOUGH_TASKS: usize = 16;

/// Operands so many times as large as their results are worth reading in parts: each thread
/// reads its own part, most of which it has made itself, instead of all of one operand.
const READ_PER_RESULT: usize = 3;

/// So many parts at most for that: each has to be added up.
const OWNED_PARTS: usize = 4;

/// Cycles to add an element of a part.
const ADDED_ELEMENT: f64 = 0.5;

/// A part is worth a task.
const PRODUCTS_PER_PART: usize = 500_000;

/// A part's sum is long enough to pay for being added up.
const SUMMED_PER_PART: usize = 128;
