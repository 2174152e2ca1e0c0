//! Cuts long reductions with few results into a fixed number of parts, so that there
//! is work for every thread: one kernel reduces each part, a second one the parts.
//! The cut depends on extents alone, so that the order of additions does too.

use crate::index::{Dim, IndexExpr};
use crate::nest::{Buffer, BufferId, Kernel, Kernels, Role, Scalar, ScalarId, Stage};

/// Points below which one thread is quick enough.
const SHORTEST: usize = 1 << 15;

/// Points that a part has at least.
const SHORTEST_PART: usize = 256;

/// Parts that are enough for all threads.
const PARTS: usize = 64;

/// The same kernels, long reductions in two steps.
pub fn split(kernels: Kernels) -> Kernels {
    let mut split = Kernels {
        kernels: Vec::with_capacity(kernels.kernels.len()),
        ..kernels
    };
    for kernel in kernels.kernels {
        match Cut::of(&kernel) {
            Some(cut) => {
                let [parts, whole] = cut.apply(&kernel, &mut split.buffers);
                split.kernels.extend([parts, whole]);
            }
            None => split.kernels.push(kernel),
        }
    }
    split
}

/// The dimensions of a reduction that become outer ones, wholly or in part.
struct Cut {
    parts: Vec<Part>,
}

/// A dimension cut into equal pieces.
struct Part {
    dim: Dim,
    pieces: usize,
    /// Extent of a piece.
    size: usize,
}

impl Cut {
    /// How to cut a kernel, if that pays and all its reductions are independent sums
    /// over the same points.
    fn of(kernel: &Kernel) -> Option<Cut> {
        let over = kernel.stages.first()?.over();
        let outer: usize = kernel.dims[..kernel.outer].iter().product();
        let points: usize = over.iter().map(|&dim| kernel.dims[dim]).product();
        if kernel.is_product() || outer * points < SHORTEST || points < 2 * SHORTEST_PART {
            return None;
        }
        for (position, stage) in kernel.stages.iter().enumerate() {
            let fits = match stage {
                Stage::Store { over, .. } => over.is_empty(),
                Stage::Reduce { over: other, .. } => {
                    let cone = kernel.cone(position);
                    let mut needed = kernel.scalars.iter().zip(cone);
                    other == over
                        && needed.all(|(s, needed)| !needed || !matches!(s, Scalar::Reduced(_)))
                }
            };
            if !fits {
                return None;
            }
        }
        let wanted = PARTS.min(points / SHORTEST_PART);
        let mut parts = Vec::new();
        let mut count = 1;
        for &dim in over {
            if count * 2 > wanted {
                break;
            }
            let pieces = pieces(kernel.dims[dim], wanted / count);
            if pieces > 1 {
                count *= pieces;
                let size = kernel.dims[dim] / pieces;
                parts.push(Part { dim, pieces, size });
            }
        }
        (!parts.is_empty()).then_some(Cut { parts })
    }

    /// The kernel that reduces the parts, and the one that reduces what it makes.
    fn apply(&self, kernel: &Kernel, buffers: &mut Vec<Buffer>) -> [Kernel; 2] {
        let types = kernel.types(|buffer| buffers[buffer.index()].dtype);
        let count = self.parts.len();
        let extents: Vec<usize> = self
            .parts
            .iter()
            .map(|part| part.pieces)
            .chain(kernel.dims[..kernel.outer].iter().copied())
            .collect();
        let reductions: Vec<(usize, &Stage)> = kernel
            .stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| matches!(stage, Stage::Reduce { .. }))
            .collect();
        let partial: Vec<BufferId> = reductions
            .iter()
            .map(|(_, stage)| {
                buffers.push(Buffer {
                    dtype: types[stage.value().index()],
                    extents: extents.clone(),
                    role: Role::Temporary,
                });
                BufferId(buffers.len() as u32 - 1)
            })
            .collect();

        // First kernel: the parts' indices come before all others.
        let mut parts = kernel.clone();
        parts.name = format!("{}_parts", kernel.name);
        parts.map_indices(|index| self.in_part(index));
        parts.dims = extents.clone();
        parts.dims.extend_from_slice(&kernel.dims[kernel.outer..]);
        for part in &self.parts {
            parts.dims[part.dim + count] = part.size;
        }
        parts.outer += count;
        parts.stages.truncate(reductions.len());
        for stage in &mut parts.stages {
            if let Stage::Reduce { over, .. } = stage {
                over.iter_mut().for_each(|dim| *dim += count);
            }
        }
        let at: Vec<IndexExpr> = (0..extents.len()).map(IndexExpr::dim).collect();
        for (number, &buffer) in partial.iter().enumerate() {
            parts.scalars.push(Scalar::Reduced(number));
            parts.stages.push(Stage::Store {
                over: Vec::new(),
                buffer,
                at: at.clone(),
                value: ScalarId(parts.scalars.len() as u32 - 1),
            });
        }

        // Second kernel: the parts' indices are the only inner ones.
        let mut whole = kernel.clone();
        whole.dims.truncate(kernel.outer);
        whole.dims.extend(self.parts.iter().map(|part| part.pieces));
        let inner: Vec<Dim> = (kernel.outer..kernel.outer + count).collect();
        let dims = inner.iter().copied().chain(0..kernel.outer);
        let at: Vec<IndexExpr> = dims.map(IndexExpr::dim).collect();
        for ((position, stage), &buffer) in reductions.iter().zip(&partial) {
            let Stage::Reduce { combine, .. } = stage else {
                continue;
            };
            whole.scalars.push(Scalar::Load {
                buffer,
                at: at.clone(),
                fill: None,
            });
            whole.stages[*position] = Stage::Reduce {
                over: inner.clone(),
                combine: *combine,
                value: ScalarId(whole.scalars.len() as u32 - 1),
            };
        }
        [parts.tidied(), whole.tidied()]
    }

    /// An index within a part: the parts' indices have the first numbers.
    fn in_part(&self, index: &IndexExpr) -> IndexExpr {
        let count = self.parts.len();
        let mut terms: Vec<(Dim, i64)> = Vec::new();
        for &(dim, c) in &index.terms {
            terms.push((dim + count, c));
            if let Some(number) = self.parts.iter().position(|part| part.dim == dim) {
                terms.push((number, c * self.parts[number].size as i64));
            }
        }
        IndexExpr::affine(terms, index.offset).over(index.divisor)
    }
}

/// Into how many equal pieces to cut an extent: at most `wanted`, unless it has no such
/// divisor but is not much larger itself.
fn pieces(extent: usize, wanted: usize) -> usize {
    let divisor = (1..=wanted.min(extent))
        .rev()
        .find(|pieces| extent.is_multiple_of(*pieces));
    match divisor {
        Some(pieces) if pieces * 4 > wanted || pieces == extent => pieces,
        _ if extent <= 2 * wanted => extent,
        other => other.unwrap_or(1),
    }
}
