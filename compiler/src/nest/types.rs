//! The type of each scalar, which follows from its operands.

use super::{BinaryOp, BufferId, Kernel, Scalar, ScalarId, UnaryOp};
use crate::graph::DType;

impl Kernel {
    /// The type of each scalar, given those of tensors; masks are `Bool`.
    pub fn types(&self, tensor: impl Fn(BufferId) -> DType) -> Vec<DType> {
        let mut types: Vec<DType> = Vec::with_capacity(self.scalars.len());
        for scalar in &self.scalars {
            let of = |id: ScalarId| types[id.index()];
            let ty = match scalar {
                Scalar::F32(_) | Scalar::Fma(..) => DType::F32,
                Scalar::I32(_) | Scalar::Index(_) => DType::I32,
                Scalar::Mask(_) => DType::Bool,
                Scalar::Load { buffer, .. } => tensor(*buffer),
                Scalar::Reduced(stage) => of(self.stages[*stage].value()),
                Scalar::Unary(op, x) => unary(*op, of(*x)),
                Scalar::Binary(op, x, _) => match op {
                    BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Equal => DType::Bool,
                    _ => of(*x),
                },
                Scalar::Select(_, x, _) => of(*x),
            };
            types.push(ty);
        }
        types
    }
}

fn unary(op: UnaryOp, of: DType) -> DType {
    match op {
        UnaryOp::ToF32 | UnaryOp::MaskToF32 | UnaryOp::BitsToF32 => DType::F32,
        UnaryOp::ToI32 | UnaryOp::BitsToI32 => DType::I32,
        UnaryOp::Neg
        | UnaryOp::Abs
        | UnaryOp::Sqrt
        | UnaryOp::Floor
        | UnaryOp::Nearest
        | UnaryOp::Not => of,
    }
}
