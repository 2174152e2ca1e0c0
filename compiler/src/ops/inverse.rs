//! Maps read backwards: which points of a result read a given element of an operand?
//! The gradients of views and products are views and products through the answer.

use crate::graph::{DType, GraphBuilder, NodeId, Type, View, row_major};
use crate::index::{Dim, IndexExpr};

/// A nest over an operand's elements and, for each, the points that read it.
///
/// An axis read as `h + k` is solved for one index, `h = y - k`; the other is
/// kept. An axis read as the digits of a number, `3 * h + k` with k below 3, is
/// read once by each pair, and the nest has the pair itself instead of the axis, so that nothing is divided.
pub struct Inverse {
    /// Extents: those of the operand's axes (digits in the place of theirs), then the kept ones.
    pub dims: Vec<usize>,
    /// How many of them stand for the operand's axes.
    pub rank: usize,
    /// The old dimensions in terms of the new.
    pub old: Vec<IndexExpr>,
    /// What must hold besides: the expression is the index.
    pub conditions: Vec<(IndexExpr, Dim)>,
    axes: Vec<Axis>,
    operand: Vec<usize>,
}

/// How the nest covers an axis of the operand.
enum Axis {
    /// By an index of its own.
    Whole,
    /// By the digits of the index, which starts at an offset.
    Digits(Vec<Dim>, i64),
}

impl Inverse {
    /// Reads `map`, over dimensions of `extents`, backwards. Where there is a choice
    /// it solves for a preferred dimension, of those the longest, since a
    /// solved one need not be walked.
    pub fn new(
        map: &[IndexExpr],
        extents: &[usize],
        operand: &[usize],
        preferred: impl Fn(Dim) -> bool,
    ) -> Inverse {
        let axes: Vec<Axis> = (0..map.len())
            .map(|axis| digits(map, extents, axis))
            .collect();
        let solved = Solver::new(map, extents, operand, axes, &preferred).solve(map);
        solved.unwrap_or_else(|| {
            let whole = map.iter().map(|_| Axis::Whole).collect();
            Solver::new(map, extents, operand, whole, &preferred).postpone(map)
        })
    }

    /// `y`, over the nest's leading dimensions, as the operand is shaped.
    pub fn shaped(&self, g: &mut GraphBuilder, y: NodeId) -> NodeId {
        let mut next = 0;
        let mut merged = Vec::new();
        let mut map = Vec::new();
        for (axis, kind) in self.axes.iter().enumerate() {
            let (count, offset) = match kind {
                Axis::Whole => (1, 0),
                Axis::Digits(dims, offset) => (dims.len(), *offset),
            };
            merged.push(self.dims[next..next + count].iter().product());
            map.push(IndexExpr::affine([(axis, 1)], -offset));
            next += count;
        }
        let y = g.reshape(y, &merged);
        let shape = self.operand.clone();
        g.view(y, View::new(shape, map, 0.0, &merged))
    }

    /// `y`, over all dimensions of the nest, and 0 where a condition does not hold.
    pub fn conditioned(&self, g: &mut GraphBuilder, y: NodeId) -> NodeId {
        let mut y = y;
        for (expr, target) in &self.conditions {
            let ty = Type {
                dtype: DType::I32,
                shape: self.dims.clone(),
            };
            let mut left = g.constant(expr.offset as f64, ty.clone());
            for &(dim, c) in &expr.terms {
                let index = g.iota(dim, &self.dims);
                let term = g.scale(index, c as f64);
                left = g.add(left, term);
            }
            let index = g.iota(*target, &self.dims);
            let right = g.scale(index, expr.divisor as f64);
            let holds = g.equal(left, right);
            let zero = g.constant_like(0.0, y);
            y = g.select(holds, y, zero);
        }
        y
    }
}

/// The axis as digits, if the map reads it so and reads nothing else by them.
fn digits(map: &[IndexExpr], extents: &[usize], axis: usize) -> Axis {
    let expr = &map[axis];
    let mut terms: Vec<(Dim, i64)> = expr.terms.clone();
    terms.retain(|&(dim, _)| extents[dim] > 1);
    terms.sort_by_key(|&(_, c)| std::cmp::Reverse(c));
    let dims: Vec<Dim> = terms.iter().map(|&(dim, _)| dim).collect();
    let sizes: Vec<usize> = dims.iter().map(|&dim| extents[dim]).collect();
    let strides = row_major(&sizes, 0);
    let in_order = (0..terms.len()).all(|k| terms[k].1 == strides.coefficient(k));
    let alone = dims.iter().all(|&dim| {
        let mut others = map.iter().enumerate().filter(|&(other, _)| other != axis);
        others.all(|(_, e)| e.coefficient(dim) == 0)
    });
    match expr.divisor == 1 && dims.len() > 1 && in_order && alone {
        true => Axis::Digits(dims, expr.offset),
        false => Axis::Whole,
    }
}

/// The system of equations `map[axis] = index`, being solved. Until the end the old
/// dimensions bear the numbers after those of the operand's axes.
struct Solver<'a> {
    extents: &'a [usize],
    operand: &'a [usize],
    axes: Vec<Axis>,
    /// Number of the first new dimension of each axis.
    starts: Vec<Dim>,
    /// How many new dimensions stand for axes.
    rank: usize,
    old: Vec<Option<IndexExpr>>,
    conditions: Vec<(IndexExpr, Dim)>,
    preferred: &'a dyn Fn(Dim) -> bool,
}

impl<'a> Solver<'a> {
    fn new(
        map: &[IndexExpr],
        extents: &'a [usize],
        operand: &'a [usize],
        axes: Vec<Axis>,
        preferred: &'a dyn Fn(Dim) -> bool,
    ) -> Solver<'a> {
        let mut starts = Vec::with_capacity(map.len());
        let mut rank = 0;
        for axis in &axes {
            starts.push(rank);
            rank += match axis {
                Axis::Whole => 1,
                Axis::Digits(dims, _) => dims.len(),
            };
        }
        Solver {
            extents,
            operand,
            axes,
            starts,
            rank,
            old: vec![None; extents.len()],
            conditions: Vec::new(),
            preferred,
        }
    }

    /// `None` where a solution has no form as an index expression.
    fn solve(mut self, map: &[IndexExpr]) -> Option<Inverse> {
        let mut open = Vec::new();
        for (axis, expr) in map.iter().enumerate() {
            let start = self.starts[axis];
            match (&self.axes[axis], expr.as_dim()) {
                (Axis::Digits(dims, _), _) => {
                    for (k, &dim) in dims.iter().enumerate() {
                        self.old[dim] = Some(IndexExpr::dim(start + k));
                    }
                }
                (Axis::Whole, Some(dim)) if self.old[dim].is_none() => {
                    self.old[dim] = Some(IndexExpr::dim(start));
                }
                (Axis::Whole, _) => open.push(axis),
            }
        }
        for axis in open {
            self.solve_axis(axis, &map[axis])?;
        }
        self.finish()
    }

    fn solve_axis(&mut self, axis: usize, expr: &IndexExpr) -> Option<()> {
        let target = self.starts[axis];
        let expr = expr.substitute(&self.known())?;
        let candidates = expr.terms.iter().filter(|&&(dim, _)| dim >= self.rank);
        let best = candidates.max_by_key(|&&(dim, c)| {
            let old = dim - self.rank;
            let first = std::cmp::Reverse(old);
            ((self.preferred)(old), self.extents[old], -c.abs(), first)
        });
        let Some(&(dim, _)) = best else {
            let holds = expr == IndexExpr::constant(0) && self.operand[axis] == 1;
            if !holds {
                self.conditions.push((expr, target));
            }
            return Some(());
        };
        let solution = expr.solve(dim, target);
        let mut by = self.identity();
        by[dim] = solution.clone();
        for known in self.old.iter_mut().flatten() {
            *known = known.substitute(&by)?;
        }
        self.old[dim - self.rank] = Some(solution);
        Some(())
    }

    /// All old dimensions are kept and all equations conditions.
    fn postpone(mut self, map: &[IndexExpr]) -> Inverse {
        let rank = self.rank;
        for (axis, expr) in map.iter().enumerate() {
            let expr = expr.rename(|dim| rank + dim);
            self.conditions.push((expr, self.starts[axis]));
        }
        let dims = self.operand.iter().chain(self.extents).copied().collect();
        Inverse {
            dims,
            rank,
            old: (0..self.extents.len())
                .map(|dim| IndexExpr::dim(rank + dim))
                .collect(),
            conditions: self.conditions,
            axes: self.axes,
            operand: self.operand.to_vec(),
        }
    }

    /// Each old dimension by what is known of it.
    fn known(&self) -> Vec<IndexExpr> {
        let dims = self.old.iter().enumerate();
        dims.map(|(dim, known)| match known {
            Some(expr) => expr.clone(),
            None => IndexExpr::dim(self.rank + dim),
        })
        .collect()
    }

    /// Every dimension, new and old, by itself.
    fn identity(&self) -> Vec<IndexExpr> {
        (0..self.rank + self.extents.len())
            .map(IndexExpr::dim)
            .collect()
    }

    fn finish(self) -> Option<Inverse> {
        let mut dims = Vec::new();
        for (axis, kind) in self.axes.iter().enumerate() {
            match kind {
                Axis::Whole => dims.push(self.operand[axis]),
                Axis::Digits(digits, _) => dims.extend(digits.iter().map(|&d| self.extents[d])),
            }
        }
        // Close the gaps that solved dimensions leave.
        let mut by = self.identity();
        for (dim, known) in self.old.iter().enumerate() {
            if known.is_none() {
                by[self.rank + dim] = IndexExpr::dim(dims.len());
                dims.push(self.extents[dim]);
            }
        }
        let old: Option<Vec<IndexExpr>> = self.known().iter().map(|e| e.substitute(&by)).collect();
        let conditions = self.conditions.iter();
        let conditions: Option<Vec<(IndexExpr, Dim)>> = conditions
            .map(|(expr, target)| Some((expr.substitute(&by)?, *target)))
            .collect();
        Some(Inverse {
            rank: self.rank,
            old: old?,
            conditions: conditions?,
            dims,
            axes: self.axes,
            operand: self.operand.to_vec(),
        })
    }
}
