//! Scalars under construction: equal ones are one.

use super::{BinaryOp, Scalar, ScalarId, UnaryOp};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// The scalar expressions of a kernel, each of them once.
#[derive(Clone, Debug, Default)]
pub struct ScalarPool {
    scalars: Vec<Scalar>,
    known: HashMap<Exact, ScalarId>,
}

impl ScalarPool {
    /// The handle of a scalar, which joins the pool if it is new.
    pub fn add(&mut self, scalar: Scalar) -> ScalarId {
        let next = ScalarId(self.scalars.len() as u32);
        let id = *self.known.entry(Exact(scalar.clone())).or_insert(next);
        if id == next {
            self.scalars.push(scalar);
        }
        id
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

/// A scalar that equals another when all bits do: numbers compare as bits, so
/// that -0 stays -0 and NaN equals itself.
#[derive(Clone, Debug)]
struct Exact(Scalar);

impl PartialEq for Exact {
    fn eq(&self, other: &Exact) -> bool {
        same_bits(&self.0, &other.0)
    }
}

impl Eq for Exact {}

impl Hash for Exact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_bits(&self.0, state);
    }
}

/// Whether two scalars are equal in all bits.
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
