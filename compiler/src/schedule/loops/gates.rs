//! Guards that decide whether a point of a reduction counts at all. Where such a guard fails,
//! every load it guards gives its fill, and with these the point adds nothing:
//! the gradient of a pooling reads, for each input, only the windows it lies in.

use super::flat::{Flat, Sink, Value, ValueId};
use crate::nest::{BinaryOp, UnaryOp};

impl Flat {
    /// The guards of a reduction without which its value is the neutral one.
    pub fn gates(&self, stage: usize) -> Vec<ValueId> {
        let Sink::Reduce(combine) = self.stages[stage].sink else {
            return Vec::new();
        };
        let value = self.stages[stage].value;
        let neutral = combine.neutral(self.kinds()[value].dtype());
        let cone = self.cone(stage).into_iter();
        cone.filter(|&id| matches!(self.values[id], Value::Within(..)))
            .filter(|&guard| self.known_without(value, guard) == Some(neutral))
            .collect()
    }

    /// The bits of an f32 or i32 value where a guard fails, if they are always the same.
    fn known_without(&self, id: ValueId, guard: ValueId) -> Option<u32> {
        let known = |id: ValueId| self.known_without(id, guard);
        match &self.values[id] {
            Value::F32(bits) => Some(*bits),
            Value::I32(number) => Some(number.cast_unsigned()),
            Value::Load { guards, fill, .. } => guards.contains(&guard).then_some(*fill),
            Value::Select(_, then, otherwise) => {
                known(*then).filter(|bits| known(*otherwise) == Some(*bits))
            }
            // Zero times zero or one; other factors might be infinite.
            Value::Binary(BinaryOp::Mul, x, y) => {
                let zero = |id: ValueId| known(id) == Some(0);
                let unit =
                    |id: ValueId| matches!(self.values[id], Value::Unary(UnaryOp::MaskToF32, _));
                ((zero(*x) && unit(*y)) || (zero(*y) && unit(*x))).then_some(0)
            }
            _ => None,
        }
    }
}
