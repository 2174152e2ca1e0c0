//! Variances in one pass over what they are of.
//!
//! A mean and the mean square of the distance from it are two passes, the second after the
//! first. Where both go over many rows, each row gets its own: of a row of q elements that
//! lies in the nearest caches, the sum S and the sum V of squared distances from the row's
//! own mean. Then the whole has the sum of all S, and the sum of squared distances from
//! its mean m is that of `V + q * (S / q - m)^2`. Nothing large is subtracted from anything
//! large, so this is as exact as two passes are. Chan, Golub and LeVeque 1983.

use super::cost;
use crate::graph::{GraphBuilder, NodeId, Op, Step, is_mean};
use rustc_hash::FxHashMap;

/// The same step, in which sums and sums of squared distances over many rows are found row by row.
pub fn by_rows(step: &Step) -> Step {
    let found = variances(step);
    if found.is_empty() {
        return step.clone();
    }
    let g = GraphBuilder::sharing(&step.graph.origins);
    step.rebuilt(g, |g, id, node, new| match found.get(&id) {
        Some(Part::Sum { x, rows }) => rows.sum(g, new[x.index()]),
        Some(Part::Squares { x, mean, rows }) => rows.squares(g, new[x.index()], new[mean.index()]),
        None => g.copy(node, new),
    })
}

/// What a node is to a variance of `x`.
enum Part {
    /// The sum over all rows, of which the mean is made.
    Sum { x: NodeId, rows: SummedAxes },
    /// The sum of squared distances from `mean`, which has one element for each result.
    Squares {
        x: NodeId,
        mean: NodeId,
        rows: SummedAxes,
    },
}

fn variances(step: &Step) -> FxHashMap<NodeId, Part> {
    let graph = &step.graph;
    let mut found = FxHashMap::default();
    for (id, node) in graph.iter() {
        let Op::Sum { axes } = &node.op else { continue };
        let square = graph.node(node.inputs[0]);
        let [distance, again] = square.inputs[..] else {
            continue;
        };
        let [x, repeated] = graph.node(distance).inputs[..] else {
            continue;
        };
        let is_square = square.op == Op::Mul && distance == again;
        if !is_square || graph.node(distance).op != Op::Sub || !is_mean(graph, repeated, x, axes) {
            continue;
        }
        let Some(rows) = SummedAxes::of(&graph.ty(x).shape, axes) else {
            continue;
        };
        let mean = graph.node(repeated).inputs[0];
        let sum = graph.node(mean).inputs[0];
        let of_sum = rows.clone();
        found.insert(sum, Part::Sum { x, rows: of_sum });
        found.insert(id, Part::Squares { x, mean, rows });
    }
    found
}

/// The summed axes of a tensor, those of a row apart.
#[derive(Clone)]
struct SummedAxes {
    shape: Vec<usize>,
    /// Summed axes before those of a row.
    many: Vec<usize>,
    /// The last ones that are summed.
    row: Vec<usize>,
}

impl SummedAxes {
    /// Rows as long as may be, if there are many and they are worth it.
    fn of(shape: &[usize], axes: &[usize]) -> Option<SummedAxes> {
        let extent = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
        let start = (0..axes.len()).find(|&start| extent(&axes[start..]) <= cost::NEAR_ROW)?;
        let (many, row) = axes.split_at(start.max(1));
        let pays = extent(row) >= SHORTEST_ROW && extent(many) > 1;
        pays.then(|| SummedAxes {
            shape: shape.to_vec(),
            many: many.to_vec(),
            row: row.to_vec(),
        })
    }

    /// The sum over all rows of x.
    fn sum(&self, g: &mut GraphBuilder, x: NodeId) -> NodeId {
        let sums = g.sum(x, &self.row);
        g.sum(sums, &self.many_of_sums())
    }

    /// The sum of squared distances of x from its mean.
    fn squares(&self, g: &mut GraphBuilder, x: NodeId, mean: NodeId) -> NodeId {
        let length: usize = self.row.iter().map(|&axis| self.shape[axis]).product();
        let sums = g.sum(x, &self.row);
        let own_mean = g.scale(sums, 1.0 / length as f64);
        let outside = self.without(&self.row);
        let repeated = g.broadcast(own_mean, &self.shape, &outside);
        let distance = g.sub(x, repeated);
        let square = g.mul(distance, distance);
        let within = g.sum(square, &self.row);

        let many = self.many_of_sums();
        let shape = g.shape(sums).to_vec();
        let kept: Vec<usize> = (0..shape.len())
            .filter(|axis| !many.contains(axis))
            .collect();
        let repeated = g.broadcast(mean, &shape, &kept);
        let apart = g.sub(own_mean, repeated);
        let square = g.mul(apart, apart);
        let between = g.scale(square, length as f64);
        let both = g.add(within, between);
        g.sum(both, &many)
    }

    /// The axes of the rows' sums along which they are summed.
    fn many_of_sums(&self) -> Vec<usize> {
        let outside = self.without(&self.row).into_iter().enumerate();
        let summed = outside.filter(|(_, axis)| self.many.contains(axis));
        summed.map(|(position, _)| position).collect()
    }

    fn without(&self, axes: &[usize]) -> Vec<usize> {
        let all = 0..self.shape.len();
        all.filter(|axis| !axes.contains(axis)).collect()
    }
}

/// Rows shorter than this are not worth a sum of their own.
const SHORTEST_ROW: usize = 16;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::eval::eval;
    use crate::graph::Type;
    use crate::ops::Precision;
    use crate::testing::nets::normalized;
    use crate::testing::{Numbers, step_of};

    fn norm(shape: &[usize], axes: &[usize]) -> Step {
        step_of(&[Type::f32(shape)], |g, x| {
            vec![("y".to_string(), normalized(g, x[0], axes, 1e-5))]
        })
    }

    /// Rows of all shapes, wherever their axes stand, sum up to what two passes find.
    #[test]
    fn rows_sum_up() {
        let cases: [(&[usize], &[usize]); 6] = [
            (&[5, 3, 4, 6], &[0, 2, 3]),
            (&[5, 3, 4, 6], &[0, 3]),
            (&[2, 20, 3], &[0, 1]),
            (&[2, 3, 70, 60], &[0, 2, 3]),
            (&[3, 1, 40], &[0, 1, 2]),
            (&[4, 24], &[0, 1]),
        ];
        for (shape, axes) in cases {
            let step = norm(shape, axes);
            let by_rows = by_rows(&step);
            let x = Numbers(7).f32(shape, -2.0, 3.0);
            let [two_passes, rows] = [&step, &by_rows].map(|step| {
                let done = eval(step, std::slice::from_ref(&x), &[], Precision::F64);
                done.outputs[0].1.elements.clone()
            });
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
            assert!(
                two_passes.iter().zip(&rows).all(close),
                "{shape:?} {axes:?}"
            );
            let reduces = by_rows.graph.nodes.len() > step.graph.nodes.len();
            assert_eq!(reduces, *axes != [0, 3], "{by_rows}");
        }
    }

    /// In f32, a mean a thousand times the spread costs no more digits than with two passes.
    #[test]
    fn a_large_mean_costs_no_digits() {
        let shape = [32, 2, 8, 8];
        let step = norm(&shape, &[0, 2, 3]);
        let x = Numbers(3).f32(&shape, 999.0, 1001.0);
        let exact = eval(&step, std::slice::from_ref(&x), &[], Precision::F64);
        let error = |step: &Step| {
            let done = eval(step, std::slice::from_ref(&x), &[], Precision::F32);
            let pairs = done.outputs[0].1.elements.iter();
            let pairs = pairs.zip(&exact.outputs[0].1.elements);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let (two_passes, rows) = (error(&step), error(&by_rows(&step)));
        assert!(
            rows <= 2.0 * two_passes + 1e-6,
            "{rows} beside {two_passes}"
        );
    }
}
