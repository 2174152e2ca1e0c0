//! Which values change within which loops.

use super::flat::{Flat, FlatStage, Value, ValueId};
use crate::bug::bug;
use crate::index::{Dim, IndexExpr};

/// A set of loops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dims(u64);

impl Dims {
    /// These loops.
    pub fn of(dims: impl IntoIterator<Item = Dim>) -> Dims {
        Dims(dims.into_iter().fold(0, |bits, dim| bits | 1 << dim))
    }

    /// Whether a loop is among them.
    pub fn contains(self, dim: Dim) -> bool {
        self.0 >> dim & 1 == 1
    }

    /// Those of either.
    pub fn union(self, other: Dims) -> Dims {
        Dims(self.0 | other.0)
    }

    /// Those not in `other`.
    pub fn without(self, other: Dims) -> Dims {
        Dims(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Dim> {
        (0..64).filter(move |&dim| self.contains(dim))
    }
}

impl Flat {
    /// The loops whose index an expression counts, quotients seen through.
    pub fn dims_of(&self, expr: &IndexExpr) -> Dims {
        expr.terms.iter().fold(Dims::default(), |dims, &(dim, _)| {
            dims.union(match dim.checked_sub(self.extents.len()) {
                None => Dims::of([dim]),
                Some(quotient) => self.dims_of(&self.quotients[quotient]),
            })
        })
    }

    /// The loops within which each value changes.
    pub fn dependencies(&self) -> Vec<Dims> {
        if self.extents.len() > 64 {
            bug!("schedule", "a kernel of {} loops", self.extents.len());
        }
        let mut all: Vec<Dims> = Vec::with_capacity(self.values.len());
        for value in &self.values {
            let own = match value {
                Value::Index(expr) | Value::Within(expr, _) => self.dims_of(expr),
                Value::Load { access, .. } => self.dims_of(&access.address),
                Value::Reduced(stage) => {
                    let FlatStage { over, value, .. } = &self.stages[*stage];
                    all[*value].without(Dims::of(over.iter().copied()))
                }
                _ => Dims::default(),
            };
            let of_operands = value.operands().map(|operand| all[operand]);
            let dims = of_operands.fold(own, Dims::union);
            all.push(dims);
        }
        all
    }

    /// Everything that the value of a stage is computed from within that stage,
    /// operands first.
    pub fn cone(&self, stage: usize) -> Vec<ValueId> {
        let mut needed = vec![false; self.values.len()];
        needed[self.stages[stage].value] = true;
        for id in (0..self.values.len()).rev() {
            if needed[id] {
                self.values[id].operands().for_each(|o| needed[o] = true);
            }
        }
        (0..needed.len()).filter(|&id| needed[id]).collect()
    }
}
