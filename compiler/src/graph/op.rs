//! The primitive operations. Each has its meaning, shape rule, gradient, lowering
//! and oracle in a file of `ops/`; here is only what they carry.

use super::{DType, InputId, Scan, SlotId};
use crate::index::IndexExpr;

/// A primitive. Pointwise ones take operands of one shape: broadcasting is a [`View`].
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "the names say it; meanings stand in `ops/`")]
pub enum Op {
    // Leaves.
    Input(InputId),
    Slot(SlotId),
    /// Every element is this number (rounded to the type; `Bool`: not zero).
    Constant(f64),
    /// Each element is its index along `axis`, as I32.
    Iota {
        axis: usize,
    },
    /// Uniform in [0, 1), a function of (seed: the one input, I32 scalar), the
    /// stream and the element's row-major index, and of nothing else.
    Uniform {
        stream: u32,
    },

    // Pointwise, one operand.
    Neg,
    Abs,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Tanh,
    Erf,
    Floor,
    Not,
    Cast(DType),
    /// The identity, with gradient zero.
    StopGradient,

    // Pointwise, two operands.
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
    Less,
    LessEq,
    Equal,
    And,
    Or,

    /// Pointwise, three operands: where the first (`Bool`) is true the second, else the third.
    Select,

    // Movement.
    View(View),
    /// Merges neighbouring axes: the same elements in row-major order under a shape of
    /// fewer axes. The opposite, splitting an axis, is affine and therefore a [`View`];
    /// [`super::GraphBuilder::reshape`] makes any other change of shape out of the two.
    Reshape,

    // Reductions; the axes (ascending) disappear.
    Sum {
        axes: Vec<usize>,
    },
    MaxOver {
        axes: Vec<usize>,
    },
    /// The first index at which the greatest element stands, as I32.
    ArgMax {
        axis: usize,
    },

    /// Any sum of products of two tensors.
    Contract(Contract),

    /// Reads rows of the first operand by the numbers that the second one holds.
    Gather {
        /// Along which axis of the first operand rows are numbered.
        axis: usize,
        /// How many leading axes both operands have in common.
        shared: usize,
    },
    /// Adds rows of the first operand up by the numbers that the second one holds.
    Scatter {
        /// Along which axis of the result rows are numbered.
        axis: usize,
        /// How many leading axes both operands have in common.
        shared: usize,
        /// How many rows the result has.
        size: usize,
    },

    /// A loop over time, of many results.
    Scan(Box<Scan>),
    /// One of the results of a scan.
    Part(usize),

    /// The gradient of the first input (a scalar) by the second; `differentiate`
    /// replaces it. `elaborate` puts it wherever the language says `grad`.
    Grad,
}

/// Reads its operand through an affine map: transposes, broadcasts, slices, pads,
/// reverses, dilates and slides windows.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// Shape of the result; its axes are the dimensions of the map.
    pub shape: Vec<usize>,
    /// One expression per axis of the operand.
    pub map: Vec<IndexExpr>,
    /// What stands where the map leads outside the operand.
    pub fill: f64,
}

/// `out[i0..] = sum over the other dims of a[a-map] * b[b-map]`, reads outside an
/// operand being zero. Matrix products, einsums, convolutions with any stride,
/// padding and dilation, transposed ones, and all their gradients are this form.
#[derive(Clone, PartialEq, Debug)]
pub struct Contract {
    /// Extents of all dimensions: first the axes of the result, then the summed ones.
    pub dims: Vec<usize>,
    /// How many of them are axes of the result.
    pub rank: usize,
    /// One expression per axis of the first operand.
    pub a: Vec<IndexExpr>,
    /// One expression per axis of the second operand.
    pub b: Vec<IndexExpr>,
}
