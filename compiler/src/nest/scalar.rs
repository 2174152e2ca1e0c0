//! The scalar language: what a kernel computes at one point. Every backend speaks
//! all of it; transcendental functions are polynomials in it (see `ops/`).

use super::BufferId;
use crate::ids::handle;
use crate::index::IndexExpr;

handle! {
    /// A scalar expression of a kernel.
    ScalarId, "s"
}

/// A scalar expression. The type (f32, i32 or mask) follows from its operands.
#[derive(Clone, PartialEq, Debug)]
pub enum Scalar {
    /// A number.
    F32(f32),
    /// An integer.
    I32(i32),
    /// A mask: all or nothing.
    Mask(bool),
    /// The value of an index expression (divisor 1) at this point, as i32.
    Index(IndexExpr),
    /// An element of a tensor.
    Load {
        /// The tensor.
        buffer: BufferId,
        /// One expression per axis.
        at: Vec<IndexExpr>,
        /// What an access outside the tensor gives; `None` when all are inside.
        fill: Option<f32>,
    },
    /// What the `Reduce` stage at this position of the kernel came to.
    Reduced(usize),
    /// One operand.
    Unary(UnaryOp, ScalarId),
    /// Two operands.
    Binary(BinaryOp, ScalarId, ScalarId),
    /// `a * b + c` with one rounding, f32.
    Fma(ScalarId, ScalarId, ScalarId),
    /// Where the mask is true the second, else the third.
    Select(ScalarId, ScalarId, ScalarId),
}

/// Operators with one operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Neg,
    Abs,
    Sqrt,
    Floor,
    /// To the nearest integer, ties to even, as f32.
    Nearest,
    Not,
    /// i32 to f32.
    ToF32,
    /// f32 to i32, towards zero, saturating; NaN gives 0.
    ToI32,
    /// A mask to 1.0 or 0.0.
    MaskToF32,
    /// The same bits as i32.
    BitsToI32,
    /// The same bits as f32.
    BitsToF32,
}

/// Operators with two operands of one type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    /// Integers wrap.
    Add,
    Sub,
    Mul,
    /// f32 only.
    Div,
    /// f32: `a > b ? a : b` as a machine does it when one is NaN: the second.
    Max,
    Min,
    /// i32 or masks.
    And,
    Or,
    Xor,
    /// i32 by a constant amount.
    ShiftLeft,
    /// i32 by a constant amount, zeros come in.
    ShiftRight,
    /// Masks from f32 or i32; false when one is NaN.
    Less,
    LessEq,
    Equal,
}
