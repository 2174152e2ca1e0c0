//! Masks for places that may lie outside.

use super::super::demand::Source;
use super::super::tensors::Forms;
use super::{Force, Nest, Stuck};
use crate::graph::{DType, NodeId};
use crate::index::IndexExpr;
use crate::nest::{BinaryOp, Scalar, ScalarId, UnaryOp};

impl Nest<'_> {
    /// `value` where the place is inside the node, else `fill`. Where that cannot be
    /// told in 32 bits, the node has to be read from memory.
    pub(super) fn guarded(
        &mut self,
        id: NodeId,
        at: &[IndexExpr],
        value: ScalarId,
        fill: Option<f64>,
    ) -> Result<ScalarId, Stuck> {
        let Some(fill) = fill else { return Ok(value) };
        let ty = &self.graph.ty(id);
        let fill = self.constant(fill, ty.dtype);
        if value == fill {
            return Ok(value);
        }
        let mut axes = at.iter().zip(&ty.shape);
        if !axes.all(|(index, &size)| self.can_be_told(index, size)) {
            let own = self.cut.source(self.graph, id, self.cluster) == Source::Memory;
            return Err(Stuck::Force(Force {
                node: id,
                forms: Forms { own, row: false },
            }));
        }
        let Some(inside) = self.inside(at, &ty.shape) else {
            return Ok(value);
        };
        Ok(match ty.dtype {
            DType::F32 | DType::I32 => self.pool.add(Scalar::Select(inside, value, fill)),
            DType::Bool => {
                let outside = self.pool.unary(UnaryOp::Not, inside);
                let kept = self.pool.binary(BinaryOp::And, inside, value);
                let other = self.pool.binary(BinaryOp::And, outside, fill);
                self.pool.binary(BinaryOp::Or, kept, other)
            }
        })
    }

    /// Whether the numbers that [`Nest::inside`] compares are integers of 32 bits, and
    /// those that it divides exact in f32.
    fn can_be_told(&self, index: &IndexExpr, size: usize) -> bool {
        const EXACT: i64 = 1 << 24;
        let (low, high) = index.numerator_range(&self.dims);
        let end = size as i64 * index.divisor;
        let fits = |number: i64| i32::try_from(number).is_ok();
        let is_whole = index.divisor == 1 || (low > -EXACT && high < EXACT);
        let is_told = is_whole && fits(low) && fits(high) && (high < end || fits(end));
        is_told || index.always_within(&self.dims, size)
    }

    /// The mask of being inside a tensor; `None` when that is always so.
    fn inside(&mut self, at: &[IndexExpr], shape: &[usize]) -> Option<ScalarId> {
        let mut all = None;
        for (index, &size) in at.iter().zip(shape) {
            let (low, high) = index.numerator_range(&self.dims);
            let divisor = index.divisor;
            let numerator = IndexExpr::affine(index.terms.iter().copied(), index.offset);
            let numerator = self.pool.add(Scalar::Index(numerator));
            let mut conditions = Vec::new();
            if low < 0 {
                let zero = self.pool.i32(0);
                conditions.push(self.pool.binary(BinaryOp::LessEq, zero, numerator));
            }
            if high >= size as i64 * divisor {
                let end = self.pool.i32((size as i64 * divisor) as i32);
                conditions.push(self.pool.binary(BinaryOp::Less, numerator, end));
            }
            if divisor != 1 {
                conditions.push(self.divides(divisor, numerator));
            }
            for condition in conditions {
                all = Some(match all {
                    Some(others) => self.pool.binary(BinaryOp::And, others, condition),
                    None => condition,
                });
            }
        }
        all
    }

    /// Whether a divisor divides an integer between -2^24 and 2^24: whether its quotient is whole
    /// in f32. A quotient that rounds up to a whole number fails when multiplied back.
    fn divides(&mut self, divisor: i64, numerator: ScalarId) -> ScalarId {
        let x = self.pool.unary(UnaryOp::ToF32, numerator);
        let divisor = self.pool.f32(divisor as f32);
        let quotient = self.pool.binary(BinaryOp::Div, x, divisor);
        let whole = self.pool.unary(UnaryOp::Floor, quotient);
        let back = self.pool.binary(BinaryOp::Mul, whole, divisor);
        self.pool.binary(BinaryOp::Equal, back, x)
    }

    /// A number of a type.
    pub(super) fn constant(&mut self, value: f64, dtype: DType) -> ScalarId {
        match dtype {
            DType::F32 => self.pool.f32(value as f32),
            DType::I32 => self.pool.i32(value as i64 as i32),
            DType::Bool => self.pool.add(Scalar::Mask(value != 0.0)),
        }
    }
}
