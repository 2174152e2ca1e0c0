//! Going through the parts of kernels.

use super::{
    BinaryOp, BufferId, Combine, Instead, Kernel, Repeat, RowsByNumber, Scalar, ScalarId, Stage,
};
use crate::index::{Dim, IndexExpr};
use std::sync::Arc;

impl Scalar {
    /// What it is computed from.
    pub fn operands(&self) -> Vec<ScalarId> {
        match *self {
            Scalar::F32(_)
            | Scalar::I32(_)
            | Scalar::Mask(_)
            | Scalar::Index(_)
            | Scalar::Load { .. }
            | Scalar::Reduced(_) => Vec::new(),
            Scalar::Unary(_, x) => vec![x],
            Scalar::Binary(_, x, y) => vec![x, y],
            Scalar::Fma(x, y, z) | Scalar::Select(x, y, z) => vec![x, y, z],
        }
    }

    /// The same operator of other operands.
    pub fn with_operands(&self, to: impl Fn(ScalarId) -> ScalarId) -> Scalar {
        match self {
            Scalar::Unary(op, x) => Scalar::Unary(*op, to(*x)),
            Scalar::Binary(op, x, y) => Scalar::Binary(*op, to(*x), to(*y)),
            Scalar::Fma(x, y, z) => Scalar::Fma(to(*x), to(*y), to(*z)),
            Scalar::Select(x, y, z) => Scalar::Select(to(*x), to(*y), to(*z)),
            leaf => leaf.clone(),
        }
    }

    /// The index expressions in it.
    pub fn indices(&self) -> &[IndexExpr] {
        match self {
            Scalar::Index(index) => std::slice::from_ref(index),
            Scalar::Load { at, .. } => at,
            _ => &[],
        }
    }
}

impl Stage {
    /// The inner dimensions it loops over.
    pub fn over(&self) -> &[Dim] {
        match self {
            Stage::Reduce { over, .. } | Stage::Store { over, .. } => over,
        }
    }

    /// What it combines or writes.
    pub fn value(&self) -> ScalarId {
        match self {
            Stage::Reduce { value, .. } | Stage::Store { value, .. } => *value,
        }
    }
}

impl Kernel {
    /// The loop over time that it is, if it is one.
    pub fn repeat(&self) -> Option<&Arc<Repeat>> {
        match &self.instead {
            Some(Instead::Repeat(repeat)) => Some(repeat),
            _ => None,
        }
    }

    /// The rows that it moves by their numbers, if that is what it does.
    pub fn rows(&self) -> Option<RowsByNumber> {
        match self.instead {
            Some(Instead::Rows(rows)) => Some(rows),
            _ => None,
        }
    }

    /// How many of its stages reduce.
    pub fn reductions(&self) -> usize {
        let stages = self.stages.iter();
        stages
            .filter(|stage| matches!(stage, Stage::Reduce { .. }))
            .count()
    }

    /// Tensors that it reads, each once.
    pub fn reads(&self) -> Vec<BufferId> {
        let loads = self.scalars.iter().filter_map(|scalar| match scalar {
            Scalar::Load { buffer, .. } => Some(*buffer),
            _ => None,
        });
        distinct(loads)
    }

    /// Tensors that it writes, each once.
    pub fn writes(&self) -> Vec<BufferId> {
        let stores = self.stages.iter().filter_map(|stage| match stage {
            Stage::Store { buffer, .. } => Some(*buffer),
            Stage::Reduce { .. } => None,
        });
        distinct(stores)
    }

    /// The tensors of its code's arguments, in order: those read, then those written.
    pub fn arguments(&self) -> Vec<BufferId> {
        distinct(self.reads().into_iter().chain(self.writes()))
    }

    /// Whether it is a sum of products and an epilogue.
    pub fn is_product(&self) -> bool {
        self.factors().is_some()
    }

    /// The two loads whose products it sums, if that is what it does: in one reduction, and
    /// each factor is used at several points. The sum over element-wise products is no such thing.
    pub fn factors(&self) -> Option<(ScalarId, ScalarId)> {
        let (first, rest) = self.stages.split_first()?;
        let Stage::Reduce {
            combine: Combine::Sum,
            value,
            ..
        } = first
        else {
            return None;
        };
        let plain = |stage: &Stage| matches!(stage, Stage::Store { over, .. } if over.is_empty());
        match self.scalars[value.index()] {
            Scalar::Binary(BinaryOp::Mul, a, b) if rest.iter().all(plain) => {
                (self.is_reused(a) && self.is_reused(b)).then_some((a, b))
            }
            _ => None,
        }
    }

    /// Whether a scalar is a load that does not depend on all outer dimensions.
    fn is_reused(&self, id: ScalarId) -> bool {
        match &self.scalars[id.index()] {
            Scalar::Load { at, .. } => (0..self.outer)
                .any(|dim| self.dims[dim] > 1 && at.iter().all(|e| e.coefficient(dim) == 0)),
            _ => false,
        }
    }

    /// For each scalar, whether the value of the stage depends on it.
    pub fn cone(&self, stage: usize) -> Vec<bool> {
        let mut needed = vec![false; self.scalars.len()];
        needed[self.stages[stage].value().index()] = true;
        for (id, scalar) in self.scalars.iter().enumerate().rev() {
            if needed[id] {
                for operand in scalar.operands() {
                    needed[operand.index()] = true;
                }
            }
        }
        needed
    }

    /// Replaces every index expression.
    pub fn map_indices(&mut self, to: impl Fn(&IndexExpr) -> IndexExpr) {
        for scalar in &mut self.scalars {
            match scalar {
                Scalar::Index(index) => *index = to(index),
                Scalar::Load { at, .. } => at.iter_mut().for_each(|index| *index = to(index)),
                _ => {}
            }
        }
        for stage in &mut self.stages {
            if let Stage::Store { at, .. } = stage {
                at.iter_mut().for_each(|index| *index = to(index));
            }
        }
    }

    /// Replaces every tensor.
    pub fn map_buffers(&mut self, to: impl Fn(BufferId) -> BufferId) {
        if let Some(Instead::Repeat(repeat)) = &mut self.instead {
            for window in Arc::make_mut(repeat).windows.iter_mut().flatten() {
                window.buffer = to(window.buffer);
            }
        }
        for scalar in &mut self.scalars {
            if let Scalar::Load { buffer, .. } = scalar {
                *buffer = to(*buffer);
            }
        }
        for stage in &mut self.stages {
            if let Stage::Store { buffer, .. } = stage {
                *buffer = to(*buffer);
            }
        }
    }
}

fn distinct(buffers: impl Iterator<Item = BufferId>) -> Vec<BufferId> {
    let mut found = Vec::new();
    for buffer in buffers {
        if !found.contains(&buffer) {
            found.push(buffer);
        }
    }
    found
}
