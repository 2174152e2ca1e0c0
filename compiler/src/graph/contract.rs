//! Products: how they read their operands, and the same product over other dimensions.

use super::{Contract, View, row_major};
use crate::index::{Dim, IndexExpr};

/// The two operands of a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Side {
    A,
    B,
}

impl Side {
    /// The opposite side.
    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

impl Contract {
    /// The shape of the result.
    pub fn shape(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// How an operand is read, as a view over all dimensions.
    pub fn access(&self, side: Side) -> View {
        let map = match side {
            Side::A => &self.a,
            Side::B => &self.b,
        };
        View {
            shape: self.dims.clone(),
            map: map.clone(),
            fill: 0.0,
        }
    }

    /// The same product that reads an operand in another way.
    pub fn with_access(&self, side: Side, map: Vec<IndexExpr>) -> Contract {
        let mut contract = self.clone();
        match side {
            Side::A => contract.a = map,
            Side::B => contract.b = map,
        }
        contract
    }

    /// The same product without sums over a single point.
    pub(super) fn without_unit_sums(self) -> Contract {
        let is_unit = |dim: Dim| dim >= self.rank && self.dims[dim] == 1;
        if !(0..self.dims.len()).any(is_unit) {
            return self;
        }
        let mut dims = Vec::with_capacity(self.dims.len());
        let mut old = Vec::with_capacity(self.dims.len());
        for (dim, &size) in self.dims.iter().enumerate() {
            old.push(match is_unit(dim) {
                true => IndexExpr::constant(0),
                false => IndexExpr::dim(dims.len()),
            });
            if !is_unit(dim) {
                dims.push(size);
            }
        }
        // Whole parts always have a substitution.
        let map = |map: &[IndexExpr]| map.iter().filter_map(|e| e.substitute(&old)).collect();
        Contract {
            a: map(&self.a),
            b: map(&self.b),
            rank: self.rank,
            dims,
        }
    }

    /// The same product with `dim` taken apart into dimensions of `sizes`, row-major.
    /// An axis of the result becomes several.
    pub fn apart(&self, dim: Dim, sizes: &[usize]) -> Contract {
        let mut dims = self.dims.clone();
        dims.splice(dim..=dim, sizes.iter().copied());
        let old: Vec<IndexExpr> = (0..self.dims.len())
            .map(|old| match old {
                _ if old < dim => IndexExpr::dim(old),
                _ if old > dim => IndexExpr::dim(old + sizes.len() - 1),
                _ => row_major(sizes, dim),
            })
            .collect();
        let apart = |map: &[IndexExpr]| -> Vec<IndexExpr> {
            // Whole parts always have a substitution.
            map.iter().filter_map(|e| e.substitute(&old)).collect()
        };
        Contract {
            rank: self.rank + if dim < self.rank { sizes.len() - 1 } else { 0 },
            a: apart(&self.a),
            b: apart(&self.b),
            dims,
        }
    }
}
