//! Counts arithmetic as performance is reported: products alone.

use super::{Contract, Op, Step};
use crate::index::{Dim, IndexExpr};

/// Floating-point operations of a step: two per multiply-accumulate of its products,
/// nothing for element-wise work.
pub fn flops(step: &Step) -> u64 {
    let products = step.graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Contract(contract) => {
            let [a, b] = [node.inputs[0], node.inputs[1]].map(|x| &step.graph.ty(x).shape);
            Some(contract.flops(a, b))
        }
        Op::Scan(scan) => Some(scan.length as u64 * flops(&scan.body)),
        _ => None,
    });
    products.sum()
}

impl Contract {
    /// Two per multiply-accumulate, of operands of these shapes.
    pub fn flops(&self, a: &[usize], b: &[usize]) -> u64 {
        2 * multiply_accumulates(&self.dims, &[(&self.a, a), (&self.b, b)])
    }
}

/// How many terms a product of tensors, each read through a map over `dims`, sums in all.
///
/// A convolution's gradient runs over all of its image and all of its kernel, but
/// only as many pairs of the two meet a result as there are results. So an axis of
/// size m counts m times, not as often as a longer index passes by it. Reads of
/// padding count, as is usual.
pub fn multiply_accumulates(dims: &[usize], reads: &[(&[IndexExpr], &[usize])]) -> u64 {
    let mut extents = dims.to_vec();
    let mut bounded: Vec<Dim> = Vec::new();
    for (map, shape) in reads {
        for (expr, &size) in map.iter().zip(*shape) {
            if let Some(dim) = longest(expr, &extents, &bounded)
                && extents[dim] > size
            {
                extents[dim] = size;
                bounded.push(dim);
            }
        }
    }
    extents.iter().map(|&extent| extent as u64).product()
}

fn longest(expr: &IndexExpr, extents: &[usize], bounded: &[Dim]) -> Option<Dim> {
    let dims = expr.terms.iter().map(|&(dim, _)| dim);
    let free = dims.filter(|dim| !bounded.contains(dim));
    free.max_by_key(|&dim| extents[dim])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A convolution without padding along one axis, and its gradient by the image: as many pairs.
    #[test]
    fn a_gradient_costs_what_its_product_costs() {
        for stride in [1, 2] {
            let (image, kernel) = (15, 3);
            let results = (image - kernel) / stride + 1;
            let forward = Contract {
                dims: vec![results, kernel],
                rank: 1,
                a: vec![IndexExpr::affine([(0, stride as i64), (1, 1)], 0)],
                b: vec![IndexExpr::dim(1)],
            };
            let backward = Contract {
                dims: vec![image, kernel],
                rank: 1,
                a: vec![IndexExpr::affine([(0, 1), (1, -1)], 0).over(stride as i64)],
                b: vec![IndexExpr::dim(1)],
            };
            let expected = 2 * (results * kernel) as u64;
            assert_eq!(forward.flops(&[image], &[kernel]), expected);
            assert_eq!(backward.flops(&[results], &[kernel]), expected);
        }
    }
}
