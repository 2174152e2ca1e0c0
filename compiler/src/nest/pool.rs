//! Scalars under construction: equal ones are one.

use super::{BinaryOp, Scalar, ScalarId, UnaryOp};
use crate::unique::Unique;
use std::hash::{Hash, Hasher};

/// The scalar expressions of a kernel, each of them once.
#[derive(Clone, Debug, Default)]
pub struct ScalarPool {
    scalars: Vec<Scalar>,
    known: Unique,
}

impl ScalarPool {
    /// The handle of a scalar, which joins the pool if it is new.
    pub fn add(&mut self, scalar: Scalar) -> ScalarId {
        let hash = |scalar: &Scalar, state: &mut _| hash_bits(scalar, state);
        let position = self.known.add(&mut self.scalars, scalar, hash, same_bits);
        ScalarId(position as u32)
    }

    /// A number.
    pub fn f32(&mut self, value: f32) -> ScalarId {
        self.add(Scalar::F32(value))
    }

    /// An integer.
    pub fn i32(&mut self, value: i32) -> ScalarId {
        self.add(Scalar::I32(value))
    }

    /// An operator with one operand.
    pub fn unary(&mut self, op: UnaryOp, x: ScalarId) -> ScalarId {
        self.add(Scalar::Unary(op, x))
    }

    /// An operator with two operands.
    pub fn binary(&mut self, op: BinaryOp, a: ScalarId, b: ScalarId) -> ScalarId {
        self.add(Scalar::Binary(op, a, b))
    }

    /// The scalar behind a handle.
    pub fn get(&self, id: ScalarId) -> &Scalar {
        &self.scalars[id.index()]
    }

    /// All of them, operands first.
    pub fn finish(self) -> Vec<Scalar> {
        self.scalars
    }
}

/// Whether two scalars are equal in all bits: -0 is not 0, and NaN equals itself.
pub fn same_bits(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) => a.to_bits() == b.to_bits(),
        (
            Scalar::Load { buffer, at, fill },
            Scalar::Load {
                buffer: other_buffer,
                at: other_at,
                fill: other_fill,
            },
        ) => {
            buffer == other_buffer
                && at == other_at
                && fill.map(f32::to_bits) == other_fill.map(f32::to_bits)
        }
        (a, b) => a == b,
    }
}

/// Hashes all bits of a scalar.
pub fn hash_bits(scalar: &Scalar, state: &mut impl Hasher) {
    std::mem::discriminant(scalar).hash(state);
    match scalar {
        Scalar::F32(x) => x.to_bits().hash(state),
        Scalar::I32(x) => x.hash(state),
        Scalar::Mask(x) => x.hash(state),
        Scalar::Index(e) => e.hash(state),
        Scalar::Load { buffer, at, fill } => {
            (buffer, at, fill.map(f32::to_bits)).hash(state);
        }
        Scalar::Reduced(stage) => stage.hash(state),
        Scalar::Unary(op, x) => (op, x).hash(state),
        Scalar::Binary(op, a, b) => (op, a, b).hash(state),
        Scalar::Fma(a, b, c) | Scalar::Select(a, b, c) => (a, b, c).hash(state),
    }
}
