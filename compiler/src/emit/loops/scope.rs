//! What is known where: one frame per open loop, looked up from the innermost out.

use super::Emitter;
use crate::emit::scalar::Lanes;
use crate::index::IndexExpr;
use crate::schedule::loops::{Dims, ValueId};
use cranelift_codegen::ir;
use std::collections::BTreeMap;

/// The index of a loop or quotient.
#[derive(Clone, Debug)]
pub enum Index {
    /// Its loop is not open.
    Unknown,
    /// The loop is written out, and this is the round.
    Constant(i64),
    /// Known when the code runs.
    Variable(Induction),
}

/// An index with the multiples of it that the loop keeps at hand.
#[derive(Clone, Debug)]
pub struct Induction {
    /// As i64.
    pub index: ir::Value,
    /// Pairs of a coefficient and the bytes it comes to.
    pub scaled: Vec<(i64, ir::Value)>,
}

impl Induction {
    /// Without multiples.
    pub fn new(index: ir::Value) -> Induction {
        Induction {
            index,
            scaled: Vec::new(),
        }
    }
}

/// An argument and the indices already counted in, each with its coefficient.
pub type PointerKey = (usize, Vec<(ir::Value, i64)>);

/// A value, its width, the number of its vector (0 for what is one element), and the
/// rounds of the written-out loops within which it changes.
pub type ValueKey = (ValueId, Lanes, usize, Vec<i64>);

/// What has been computed in a loop. A loop that is written out has no frame of its own:
/// its rounds differ in the keys, and index expressions are without constant indices.
#[derive(Default)]
pub struct Frame {
    /// Loops and quotients that became known here.
    bound: Vec<usize>,
    /// Values.
    pub values: BTreeMap<ValueKey, ir::Value>,
    /// Single elements spread to vectors.
    pub splats: BTreeMap<ValueKey, ir::Value>,
    /// Guards.
    pub guards: BTreeMap<(IndexExpr, usize), ir::Value>,
    /// Conjunctions of guards.
    pub masks: BTreeMap<Vec<ir::Value>, ir::Value>,
    /// Results of stages.
    pub reduced: BTreeMap<(usize, usize), ir::Value>,
    /// Quotients.
    pub quotients: BTreeMap<IndexExpr, ir::Value>,
    /// Addresses.
    pub pointers: BTreeMap<PointerKey, ir::Value>,
    /// Bytes that an index times a coefficient comes to.
    pub scaled: BTreeMap<(ir::Value, i64), ir::Value>,
    /// Guards that hold here.
    pub assumed: Vec<ir::Value>,
}

impl Emitter<'_> {
    /// Opens a scope in which `dim` has an index.
    pub fn enter(&mut self, dim: usize, index: Index) {
        self.frames.push(Frame::default());
        self.bind(dim, index);
    }

    /// The key of a value here.
    pub fn key(&self, id: ValueId, block: usize) -> ValueKey {
        let dims = self.dependencies[id].iter();
        let rounds = dims.filter_map(|dim| match self.indices[dim] {
            Index::Constant(round) => Some(round),
            Index::Variable(_) | Index::Unknown => None,
        });
        (id, self.lanes(id), block, rounds.collect())
    }

    /// Closes the innermost scope: what was known only there is forgotten.
    pub fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        for dim in frame.bound {
            self.indices[dim] = Index::Unknown;
        }
        for &(stage, _) in frame.reduced.keys() {
            self.done &= !(1 << stage);
        }
    }

    /// Gives `dim` an index until the innermost scope closes.
    pub fn bind(&mut self, dim: usize, index: Index) {
        if let Index::Variable(induction) = &index {
            let depth = self.frames.len();
            self.depths.entry(induction.index).or_insert(depth);
        }
        self.indices[dim] = index;
        self.frame().bound.push(dim);
    }

    /// The innermost scope.
    pub fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Something computed in any open scope.
    pub fn known<T: Copy>(&self, look: impl Fn(&Frame) -> Option<&T>) -> Option<T> {
        self.frames.iter().rev().find_map(look).copied()
    }

    /// An expression with the indices of written-out loops put in.
    pub fn substitute(&self, expr: &IndexExpr) -> IndexExpr {
        let mut expr = expr.clone();
        for (dim, coefficient) in std::mem::take(&mut expr.terms) {
            match self.indices[dim] {
                Index::Constant(index) => expr.offset += index * coefficient,
                Index::Variable(_) | Index::Unknown => expr.terms.push((dim, coefficient)),
            }
        }
        expr
    }

    /// Whether all these loops are open.
    pub fn all_bound(&self, dims: Dims) -> bool {
        dims.iter()
            .all(|dim| !matches!(self.indices[dim], Index::Unknown))
    }
}
