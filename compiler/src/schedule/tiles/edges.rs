//! Sums that reach over the edge of an image: there is nothing but a border of zeros,
//! and what multiplies it can be left out.

use super::linear::Operands;
use crate::index::Dim;
use crate::nest::{Kernel, Scalar};
use crate::schedule::Layout;

/// Which indices of a summed dimension meet no border, by the index of an outer one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Edges {
    /// The outer dimension: the rows of pixels of a result.
    pub outer: Dim,
    /// The summed dimension: the rows of taps of a convolution.
    pub summed: Dim,
    /// For each index of `outer` the first index of `summed`, and where it ends.
    pub ranges: Vec<(usize, usize)>,
}

impl Edges {
    /// The part of the sum that is left.
    pub fn part(&self, extent: usize) -> f64 {
        let left: usize = self.ranges.iter().map(|(first, end)| end - first).sum();
        left as f64 / (self.ranges.len() * extent) as f64
    }
}

/// How an operand moves along one of its axes, which ends in zeros.
pub(super) struct Reach {
    /// By dimension of the linear form.
    coefficients: Vec<i64>,
    offset: i64,
    /// Of the axis.
    extent: usize,
}

/// The axes of both operands that end in zeros; dimensions are numbered as in `order`, which
/// names those of the kernel.
pub(super) fn reaches(
    kernel: &Kernel,
    operands: &Operands,
    layouts: &[Layout],
    order: &[Dim],
) -> Vec<Reach> {
    let mut found = Vec::new();
    for operand in [operands.a, operands.b] {
        if let Scalar::Load {
            buffer,
            at,
            fill: Some(0.0),
        } = &kernel.scalars[operand.index()]
        {
            let axes = at.iter().zip(&layouts[buffer.index()].extents);
            let whole = axes.filter(|(index, _)| index.divisor == 1);
            found.extend(whole.map(|(index, &extent)| Reach {
                coefficients: order.iter().map(|&dim| index.coefficient(dim)).collect(),
                offset: index.offset,
                extent,
            }));
        }
    }
    found
}

impl Reach {
    /// Whether two dimensions, the inner one of this extent, may be walked as one.
    pub fn joins(&self, outside: Dim, inside: Dim, extent: usize) -> bool {
        self.coefficients[outside] == self.coefficients[inside] * extent as i64
    }

    /// Forgets a dimension.
    pub fn remove(&mut self, dim: Dim) {
        self.coefficients.remove(dim);
    }

    /// The edges, if an outer and a summed dimension move along this axis and no others.
    pub fn edges(&self, dims: &[usize], outer_dims: usize) -> Option<Edges> {
        let moving = (0..dims.len()).filter(|&dim| self.coefficients[dim] != 0);
        let moving: Vec<Dim> = moving.collect();
        let [outer, summed] = moving[..] else {
            return None;
        };
        if outer >= outer_dims || summed < outer_dims {
            return None;
        }
        let taps = dims[summed];
        let range = |pixel: usize| {
            let start = self.offset + self.coefficients[outer] * pixel as i64;
            let inside = |&tap: &usize| {
                let place = start + self.coefficients[summed] * tap as i64;
                (0..self.extent as i64).contains(&place)
            };
            match ((0..taps).find(inside), (0..taps).rfind(inside)) {
                (Some(first), Some(last)) => (first, last + 1),
                // A sum of nothing is one of zeros.
                _ => (0, 1),
            }
        };
        let ranges: Vec<(usize, usize)> = (0..dims[outer]).map(range).collect();
        let edges = Edges {
            outer,
            summed,
            ranges,
        };
        (edges.part(taps) < 1.0).then_some(edges)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn taps_outside_the_image_are_left_out() {
        // Rows of pixels by pairs, three taps, one row of zeros around five rows.
        let mut reach = Reach {
            coefficients: vec![2, 1, 1],
            offset: -1,
            extent: 5,
        };
        assert!(reach.edges(&[2, 2, 3], 2).is_none());
        assert!(reach.joins(0, 1, 2) && !reach.joins(0, 1, 3));
        reach.remove(0);
        let edges = reach.edges(&[6, 3], 1).unwrap();
        assert_eq!((edges.outer, edges.summed), (0, 1));
        let ranges = [(1, 3), (0, 3), (0, 3), (0, 3), (0, 2), (0, 1)];
        assert_eq!(edges.ranges, ranges);
    }
}
