//! Kernels as loop nests over affine accesses: the product of `fuse`, the
//! subject of `schedule`, the input of `emit`. There is one form. A contraction is
//! a kernel whose first stage sums a product of two loads; what follows it is
//! its epilogue. A softmax is a kernel of two reductions and a store per row.

mod arithmetic;
mod display;
mod eval_scalar;
mod interpret;
mod pool;
mod repeat;
mod rows;
mod scalar;
mod tidy;
mod types;
mod verify;
mod visit;

pub use eval_scalar::{Surroundings, Value, eval_scalar};
pub use interpret::{Address, Elements, interpret, interpret_at, interpret_kernel, unwritten};
pub use pool::{ScalarPool, hash_bits, same_bits};
pub use repeat::{Repeat, Window};
pub use rows::RowsByNumber;
pub use scalar::{BinaryOp, Scalar, ScalarId, UnaryOp};
pub use verify::{verify, verify_kernel};

use crate::bug::bug;
use crate::graph::{DType, InputId, Origin, SlotId};
use crate::ids::handle;
use crate::index::{Dim, IndexExpr};
use std::sync::Arc;

handle! {
    /// A tensor in memory.
    BufferId, "b"
}

/// What `fuse` makes of a step: kernels in dependency order and the tensors between them.
#[derive(Clone, PartialEq, Debug)]
pub struct Kernels {
    /// Tensors in memory.
    pub buffers: Vec<Buffer>,
    /// What to compute, in an order that respects every read after its write.
    pub kernels: Vec<Kernel>,
    /// Named results.
    pub outputs: Vec<(String, BufferId)>,
}

/// A tensor in memory, by its logical axes; where and how it lies is the schedule's business.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Buffer {
    /// F32 or I32.
    pub dtype: DType,
    /// Extent of each logical axis.
    pub extents: Vec<usize>,
    /// Whose memory it is.
    pub role: Role,
}

/// Whose memory a buffer is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Handed in by the caller, row-major, read only.
    Input(InputId),
    /// A persistent tensor, row-major.
    Slot(SlotId),
    /// Lives within the step; the schedule chooses its layout and shares memory by liveness.
    Temporary,
    /// A result read by the caller after the step, row-major.
    Output,
}

/// For each point of the outer dimensions, run the stages in order: reductions first, then
/// stores. Points of the outer dimensions are independent of each other: any order, any
/// thread. A tensor that is both read and written is read only where it is written, and
/// by no stage after the one that writes it.
#[derive(Clone, PartialEq, Debug)]
pub struct Kernel {
    /// Short and telling, unique in its step: `k3_contract_relu`.
    pub name: String,
    /// Extents of all index variables.
    pub dims: Vec<usize>,
    /// The first `outer` of them are the outer dimensions; each other one belongs to the stages that loop over it.
    pub outer: usize,
    /// The scalar expressions of all stages; operands point backwards.
    pub scalars: Vec<Scalar>,
    /// What happens at a point.
    pub stages: Vec<Stage>,
    /// Where it came from: the origin of its most important node.
    pub origin: Origin,
    /// What it does instead, if it is no nest of loops over affine accesses: then its
    /// scalars and stages only name the tensors that it reads and writes.
    pub instead: Option<Instead>,
}

/// What a kernel may be besides a nest of loops over affine accesses.
#[derive(Clone, PartialEq, Debug)]
pub enum Instead {
    /// A loop over time around other kernels.
    Repeat(Arc<Repeat>),
    /// Rows read or added up by their numbers.
    Rows(RowsByNumber),
}

/// Reductions of a kernel at most: the code generator keeps sets of stages in 64 bits, and
/// reductions that wait for each other in so many registers gain nothing by it.
pub const MOST_REDUCTIONS: usize = 32;

/// Dimensions of a kernel at most: the schedule keeps sets of loops in 64 bits, and
/// splits some loops in two.
pub const MOST_DIMS: usize = 48;

/// One loop inside a kernel.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// Combines `value` over all points of `over`; later stages read it as [`Scalar::Reduced`].
    Reduce {
        /// The inner dimensions it loops over.
        over: Vec<Dim>,
        /// How.
        combine: Combine,
        /// What.
        value: ScalarId,
    },
    /// Writes `value` at every point of `over` (none: once per outer point).
    Store {
        /// The inner dimensions it loops over.
        over: Vec<Dim>,
        /// The tensor.
        buffer: BufferId,
        /// Where; one expression per axis, always in range, no two points the same place.
        at: Vec<IndexExpr>,
        /// What.
        value: ScalarId,
    },
}

/// How a reduction combines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Combine {
    /// From 0.
    Sum,
    /// From negative infinity; NaN wins. Integers: from `i32::MIN`.
    Max,
    /// From positive infinity; NaN wins. Integers: from `i32::MAX`.
    Min,
}

impl Combine {
    /// The bits of what it starts from, which combined with anything is that.
    pub fn neutral(self, dtype: DType) -> u32 {
        match (self, dtype) {
            (Combine::Sum, DType::F32) => 0.0f32.to_bits(),
            (Combine::Max, DType::F32) => f32::NEG_INFINITY.to_bits(),
            (Combine::Min, DType::F32) => f32::INFINITY.to_bits(),
            (Combine::Sum, DType::I32) => 0,
            (Combine::Max, DType::I32) => i32::MIN.cast_unsigned(),
            (Combine::Min, DType::I32) => i32::MAX.cast_unsigned(),
            (_, DType::Bool) => bug!("nest", "a reduction of masks"),
        }
    }
}
