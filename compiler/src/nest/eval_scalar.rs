//! The meaning of the scalar language, in Rust: what every backend must compute.

use super::{BinaryOp, BufferId, Scalar, ScalarId, UnaryOp};
use crate::bug::bug;
use crate::index::IndexExpr;

/// A value at one point.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    F32(f32),
    I32(i32),
    Mask(bool),
}

/// What scalar expressions read from around them.
pub trait Surroundings {
    /// The value of an index expression at this point.
    fn index(&self, index: &IndexExpr) -> i32;
    /// An element of a tensor, or the fill.
    fn load(&self, buffer: BufferId, at: &[IndexExpr], fill: Option<f32>) -> Value;
    /// The result of a reduction.
    fn reduced(&self, stage: usize) -> Value;
}

/// The value of one expression, those of its operands being `known`.
pub fn eval_scalar(scalar: &Scalar, known: &[Value], around: &impl Surroundings) -> Value {
    let value = |id: &ScalarId| known[id.index()];
    match scalar {
        Scalar::F32(x) => Value::F32(*x),
        Scalar::I32(x) => Value::I32(*x),
        Scalar::Mask(x) => Value::Mask(*x),
        Scalar::Index(index) => Value::I32(around.index(index)),
        Scalar::Load { buffer, at, fill } => around.load(*buffer, at, *fill),
        Scalar::Reduced(stage) => around.reduced(*stage),
        Scalar::Unary(op, x) => unary(*op, value(x)),
        Scalar::Binary(op, a, b) => binary(*op, value(a), value(b)),
        Scalar::Fma(a, b, c) => match (value(a), value(b), value(c)) {
            (Value::F32(a), Value::F32(b), Value::F32(c)) => Value::F32(a.mul_add(b, c)),
            operands => bug!("eval_scalar", "Fma of {operands:?}"),
        },
        Scalar::Select(mask, a, b) => match value(mask) {
            Value::Mask(true) => value(a),
            Value::Mask(false) => value(b),
            mask => bug!("eval_scalar", "Select by {mask:?}"),
        },
    }
}

fn unary(op: UnaryOp, x: Value) -> Value {
    match (op, x) {
        (UnaryOp::Neg, Value::F32(x)) => Value::F32(-x),
        (UnaryOp::Neg, Value::I32(x)) => Value::I32(x.wrapping_neg()),
        (UnaryOp::Abs, Value::F32(x)) => Value::F32(x.abs()),
        (UnaryOp::Abs, Value::I32(x)) => Value::I32(x.wrapping_abs()),
        (UnaryOp::Sqrt, Value::F32(x)) => Value::F32(x.sqrt()),
        (UnaryOp::Floor, Value::F32(x)) => Value::F32(x.floor()),
        (UnaryOp::Nearest, Value::F32(x)) => Value::F32(x.round_ties_even()),
        (UnaryOp::Not, Value::Mask(x)) => Value::Mask(!x),
        (UnaryOp::ToF32, Value::I32(x)) => Value::F32(x as f32),
        (UnaryOp::ToI32, Value::F32(x)) => Value::I32(x as i32),
        (UnaryOp::MaskToF32, Value::Mask(x)) => Value::F32(f32::from(x)),
        (UnaryOp::BitsToI32, Value::F32(x)) => Value::I32(x.to_bits() as i32),
        (UnaryOp::BitsToF32, Value::I32(x)) => Value::F32(f32::from_bits(x as u32)),
        (op, x) => bug!("eval_scalar", "{op:?} of {x:?}"),
    }
}

fn binary(op: BinaryOp, a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => match op {
            BinaryOp::Add => Value::F32(a + b),
            BinaryOp::Sub => Value::F32(a - b),
            BinaryOp::Mul => Value::F32(a * b),
            BinaryOp::Div => Value::F32(a / b),
            BinaryOp::Max => Value::F32(if a > b { a } else { b }),
            BinaryOp::Min => Value::F32(if a < b { a } else { b }),
            BinaryOp::Less => Value::Mask(a < b),
            BinaryOp::LessEq => Value::Mask(a <= b),
            BinaryOp::Equal => Value::Mask(a == b),
            _ => bug!("eval_scalar", "{op:?} of f32"),
        },
        (Value::I32(a), Value::I32(b)) => match op {
            BinaryOp::Add => Value::I32(a.wrapping_add(b)),
            BinaryOp::Sub => Value::I32(a.wrapping_sub(b)),
            BinaryOp::Mul => Value::I32(a.wrapping_mul(b)),
            BinaryOp::Max => Value::I32(a.max(b)),
            BinaryOp::Min => Value::I32(a.min(b)),
            BinaryOp::And => Value::I32(a & b),
            BinaryOp::Or => Value::I32(a | b),
            BinaryOp::Xor => Value::I32(a ^ b),
            BinaryOp::ShiftLeft => Value::I32(a << b),
            BinaryOp::ShiftRight => Value::I32((a as u32 >> b) as i32),
            BinaryOp::Less => Value::Mask(a < b),
            BinaryOp::LessEq => Value::Mask(a <= b),
            BinaryOp::Equal => Value::Mask(a == b),
            BinaryOp::Div => bug!("eval_scalar", "Div of i32"),
        },
        (Value::Mask(a), Value::Mask(b)) => match op {
            BinaryOp::And => Value::Mask(a && b),
            BinaryOp::Or => Value::Mask(a || b),
            BinaryOp::Xor => Value::Mask(a != b),
            _ => bug!("eval_scalar", "{op:?} of masks"),
        },
        (a, b) => bug!("eval_scalar", "{op:?} of {a:?} and {b:?}"),
    }
}
