//! Products that read every second (or third, ...) place between elements, as the gradient by
//! what a convolution with strides read does: of the terms that they sum most are zeros.
//!
//! An operand is read at `(o + s + c) / d`, o an outer dimension and s a summed one; where d
//! does not divide, there is nothing. For the points with `o = d * q + p` only the terms with
//! `s = d * t + r` remain, for the one r that p asks for, and these read at `q + t + c'`. So the
//! kernel becomes d kernels, one for each p, which together have as many terms as there are
//! elements to multiply. Points without any term have a sum of 0.

use crate::index::{Dim, IndexExpr};
use crate::nest::{Kernel, Kernels, Scalar};

/// The same kernels, none of them a product that reads between elements if that can be helped.
pub fn phases(kernels: Kernels) -> Kernels {
    let mut apart = Kernels {
        kernels: Vec::with_capacity(kernels.kernels.len()),
        ..kernels
    };
    for kernel in kernels.kernels {
        add(kernel, &mut apart.kernels);
    }
    apart
}

fn add(kernel: Kernel, apart: &mut Vec<Kernel>) {
    match Gaps::of(&kernel).and_then(|gaps| gaps.phases(&kernel)) {
        // An image has gaps along both of its axes.
        Some(phases) => phases.into_iter().for_each(|phase| add(phase, apart)),
        None => apart.push(kernel),
    }
}

/// More phases than this are small kernels.
const MOST_PHASES: usize = 4;

/// How a product reads along an axis with gaps between the elements.
struct Gaps {
    /// The index, without its divisor d.
    index: IndexExpr,
    distance: i64,
    /// The dimensions whose steps d does not divide.
    outer: Option<Dim>,
    summed: Option<Dim>,
}

impl Gaps {
    /// The first axis with gaps of an operand of a product.
    fn of(kernel: &Kernel) -> Option<Gaps> {
        let (a, b) = kernel.factors()?;
        if kernel.reductions() != 1 || kernel.instead.is_some() {
            return None;
        }
        [a, b].iter().find_map(|operand| {
            let Scalar::Load {
                at,
                fill: Some(0.0),
                ..
            } = &kernel.scalars[operand.index()]
            else {
                return None;
            };
            at.iter().find_map(|index| Gaps::along(kernel, index))
        })
    }

    fn along(kernel: &Kernel, index: &IndexExpr) -> Option<Gaps> {
        let distance = index.divisor;
        if distance == 1 || distance > MOST_PHASES as i64 {
            return None;
        }
        let uneven = |dim: &Dim| index.coefficient(*dim) % distance != 0;
        let outer: Vec<Dim> = (0..kernel.outer).filter(uneven).collect();
        let summed: Vec<Dim> = (kernel.outer..kernel.dims.len()).filter(uneven).collect();
        let at_most_one = outer.len() <= 1 && summed.len() <= 1;
        (at_most_one && outer.len() + summed.len() > 0).then(|| Gaps {
            index: index.clone(),
            distance,
            outer: outer.first().copied(),
            summed: summed.first().copied(),
        })
    }

    /// The kernels for all phases, unless some need several sums.
    fn phases(&self, kernel: &Kernel) -> Option<Vec<Kernel>> {
        let residues = |dim: Option<Dim>| match dim {
            Some(dim) => 0..(self.distance as usize).min(kernel.dims[dim]),
            None => 0..1,
        };
        let mut phases = Vec::new();
        for point in residues(self.outer) {
            let meets = |term: &usize| {
                let of = |dim: Option<Dim>, residue: usize| {
                    dim.map_or(0, |dim| self.index.coefficient(dim) * residue as i64)
                };
                let numerator = self.index.offset + of(self.outer, point) + of(self.summed, *term);
                numerator % self.distance == 0
            };
            let terms: Vec<usize> = residues(self.summed).filter(meets).collect();
            let name = match self.outer {
                Some(_) => format!("{}_phase{point}", kernel.name),
                None => kernel.name.clone(),
            };
            let phase = match terms[..] {
                [] => without_sum(self.only(kernel, self.outer, point)),
                [term] => {
                    let phase = self.only(kernel, self.outer, point);
                    self.only(&phase, self.summed, term)
                }
                _ => return None,
            };
            phases.push(Kernel { name, ..phase });
        }
        Some(phases)
    }

    /// The kernel at every d-th index of a dimension, starting with the given one.
    fn only(&self, kernel: &Kernel, dim: Option<Dim>, first: usize) -> Kernel {
        let mut kernel = kernel.clone();
        let Some(dim) = dim else { return kernel };
        let distance = self.distance as usize;
        kernel.dims[dim] = (kernel.dims[dim] - first).div_ceil(distance);
        kernel.map_indices(|index| {
            let coefficient = index.coefficient(dim);
            let terms = index.terms.iter().map(|&(other, c)| match other == dim {
                true => (other, c * self.distance),
                false => (other, c),
            });
            let offset = index.offset + coefficient * first as i64;
            IndexExpr::affine(terms, offset).over(index.divisor)
        });
        kernel
    }
}

/// The kernel with a sum of nothing.
fn without_sum(mut kernel: Kernel) -> Kernel {
    for scalar in &mut kernel.scalars {
        if *scalar == Scalar::Reduced(0) {
            *scalar = Scalar::F32(0.0);
        }
    }
    kernel.stages.remove(0);
    kernel.dims.truncate(kernel.outer);
    kernel.tidied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::differentiate::differentiate;
    use crate::fuse::fuse;
    use crate::graph::{Contract, Step};
    use crate::nest::{Role, interpret, unwritten};
    use crate::simplify::simplify;
    use crate::testing::nets::{Bench, relu};
    use crate::testing::{elements, expected, values_for};

    /// The gradient of a convolution along two axes, with another operation behind it.
    fn gradient(side: [usize; 2], taps: usize, stride: usize, padding: i64) -> Step {
        let mut b = Bench::new();
        let (_, x) = b.slot(&[2, 3, side[0], side[1]]);
        let (_, f) = b.slot(&[4, 3, taps, taps]);
        let out = |side: usize| (side + 2 * padding as usize - taps) / stride + 1;
        let y = relu(&mut b.g, x);
        let slide = |axis, tap| IndexExpr::affine([(axis, stride as i64), (tap, 1)], -padding);
        let contract = Contract {
            dims: vec![2, 4, out(side[0]), out(side[1]), 3, taps, taps],
            rank: 4,
            a: vec![
                IndexExpr::dim(0),
                IndexExpr::dim(4),
                slide(2, 5),
                slide(3, 6),
            ],
            b: [1, 4, 5, 6].map(IndexExpr::dim).to_vec(),
        };
        let y = b.g.contract(y, f, contract);
        let square = b.g.mul(y, y);
        let loss = b.g.sum(square, &[0, 1, 2, 3]);
        let dx = b.g.grad(loss, x);
        b.output(dx);
        simplify(&differentiate(&b.step()))
    }

    #[test]
    fn gaps_are_gone_and_the_gradient_is_the_same() {
        let cases = [
            ([8, 8], 3, 2, 1),
            ([7, 4], 1, 2, 0),
            ([5, 9], 2, 3, 0),
            ([6, 6], 5, 2, 2),
            ([11, 5], 1, 4, 0),
            ([2, 2], 1, 3, 0),
        ];
        // Where there are more taps than pixels, the gradient runs over the pixels instead.
        let mut with_gaps = 0;
        for (side, taps, stride, padding) in cases {
            let step = gradient(side, taps, stride, padding);
            let kernels = fuse(&step);
            let has_gaps =
                |kernels: &Kernels| kernels.kernels.iter().any(|k| Gaps::of(k).is_some());
            with_gaps += usize::from(has_gaps(&kernels));
            let kernels = phases(kernels);
            assert!(!has_gaps(&kernels), "{kernels}");
            let (inputs, slots) = values_for(&step);
            let memory = kernels.buffers.iter().map(|buffer| match buffer.role {
                Role::Slot(id) => elements(&slots[id.index()]),
                _ => unwritten(buffer),
            });
            let memory = interpret(&kernels, memory.collect());
            expected(&step, &inputs, &slots).compare(
                |output| memory[kernels.outputs[output].1.index()].clone(),
                |_| Vec::new(),
                &kernels.to_string(),
            );
        }
        assert!(with_gaps >= 3, "{with_gaps}");
    }
}
