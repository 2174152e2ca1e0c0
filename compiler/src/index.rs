//! Affine index expressions: how one axis of a tensor is addressed by the indices
//! of a loop nest. Views, contractions and memory accesses all speak this form;
//! it is closed under composition and under differentiation (solve for one index).

use std::fmt;

/// The position of an index variable among the dimensions of its nest.
pub type Dim = usize;

/// `(sum of coefficient * index + offset) / divisor`.
///
/// With a divisor above 1 the expression has a value only where the division is
/// exact: a strided convolution's gradient reads `dy[(h + p - k) / s]`, and zero
/// where `s` does not divide. Terms are sorted by dimension, without zero coefficients.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct IndexExpr {
    /// Which index counts how often.
    pub terms: Vec<(Dim, i64)>,
    /// The constant.
    pub offset: i64,
    /// At least 1.
    pub divisor: i64,
}

impl IndexExpr {
    /// The constant `offset`.
    pub fn constant(offset: i64) -> IndexExpr {
        IndexExpr {
            terms: Vec::new(),
            offset,
            divisor: 1,
        }
    }

    /// The index `dim` itself.
    pub fn dim(dim: Dim) -> IndexExpr {
        IndexExpr::affine([(dim, 1)], 0)
    }

    /// `sum of coefficient * index + offset`, in canonical form.
    pub fn affine(terms: impl IntoIterator<Item = (Dim, i64)>, offset: i64) -> IndexExpr {
        let mut sorted: Vec<(Dim, i64)> = Vec::new();
        for (dim, coefficient) in terms {
            match sorted.iter_mut().find(|(known, _)| *known == dim) {
                Some((_, sum)) => *sum += coefficient,
                None => sorted.push((dim, coefficient)),
            }
        }
        sorted.retain(|&(_, coefficient)| coefficient != 0);
        sorted.sort_unstable();
        IndexExpr {
            terms: sorted,
            offset,
            divisor: 1,
        }
    }

    /// The same expression over `divisor`, in lowest terms.
    pub fn over(mut self, divisor: i64) -> IndexExpr {
        self.divisor *= divisor;
        let common = self
            .terms
            .iter()
            .fold(gcd(self.divisor, self.offset), |g, &(_, c)| gcd(g, c));
        if common > 1 {
            self.terms.iter_mut().for_each(|(_, c)| *c /= common);
            self.offset /= common;
            self.divisor /= common;
        }
        self
    }

    /// Every dimension under another number; no two may get the same one.
    pub fn rename(&self, to: impl Fn(Dim) -> Dim) -> IndexExpr {
        let terms = self.terms.iter().map(|&(dim, c)| (to(dim), c));
        IndexExpr::affine(terms, self.offset).over(self.divisor)
    }

    /// The value plus `distance`.
    pub fn shifted(&self, distance: i64) -> IndexExpr {
        let mut shifted = self.clone();
        shifted.offset += distance * self.divisor;
        shifted
    }

    /// This expression with `by[dim]` in the place of each dimension. It has a value
    /// exactly where all parts have one; `None` when that has no form of this kind.
    pub fn substitute(&self, by: &[IndexExpr]) -> Option<IndexExpr> {
        // With one divided part n/d among whole ones, (c*n/d + rest)/D is
        // (c*n + d*rest)/(D*d), and its exactness implies that of n/d if c and d share no factor.
        let mut divisor = 1;
        for &(dim, c) in &self.terms {
            let part = by[dim].divisor;
            if part != 1 {
                if divisor != 1 || gcd(c, part) != 1 {
                    return None;
                }
                divisor = part;
            }
        }
        let mut terms = Vec::new();
        let mut offset = self.offset * divisor;
        for &(dim, c) in &self.terms {
            let part = &by[dim];
            let scale = c * divisor / part.divisor;
            terms.extend(part.terms.iter().map(|&(inner, k)| (inner, scale * k)));
            offset += scale * part.offset;
        }
        Some(IndexExpr::affine(terms, offset).over(self.divisor * divisor))
    }

    /// The value that `dim` must have for this expression to be the index `target`.
    pub fn solve(&self, dim: Dim, target: Dim) -> IndexExpr {
        let c = self.coefficient(dim);
        let sign = c.signum();
        let others = self
            .terms
            .iter()
            .filter(|&&(other, _)| other != dim)
            .map(|&(other, k)| (other, -sign * k));
        let terms = others.chain([(target, sign * self.divisor)]);
        IndexExpr::affine(terms, -sign * self.offset).over(c.abs())
    }

    /// The index that this expression is, if it is a bare one.
    pub fn as_dim(&self) -> Option<Dim> {
        match (self.terms.as_slice(), self.offset, self.divisor) {
            (&[(dim, 1)], 0, 1) => Some(dim),
            _ => None,
        }
    }

    /// How often `dim` counts; 0 when it does not occur.
    pub fn coefficient(&self, dim: Dim) -> i64 {
        self.terms
            .iter()
            .find(|&&(known, _)| known == dim)
            .map_or(0, |&(_, c)| c)
    }

    /// The value at a point, `None` where the division is not exact.
    pub fn at(&self, point: &[usize]) -> Option<i64> {
        let sum = self.offset
            + self
                .terms
                .iter()
                .map(|&(dim, c)| c * point[dim] as i64)
                .sum::<i64>();
        (sum.rem_euclid(self.divisor) == 0).then(|| sum.div_euclid(self.divisor))
    }

    /// The least and the greatest value of the numerator over all points of `extents`.
    pub fn numerator_range(&self, extents: &[usize]) -> (i64, i64) {
        self.terms
            .iter()
            .fold((self.offset, self.offset), |(low, high), &(dim, c)| {
                let reach = c * (extents[dim] as i64 - 1);
                (low + reach.min(0), high + reach.max(0))
            })
    }

    /// Whether every point of `extents` gives a value in `0..size`.
    pub fn always_within(&self, extents: &[usize], size: usize) -> bool {
        let (low, high) = self.numerator_range(extents);
        self.divisor == 1 && low >= 0 && high < size as i64
    }
}

/// The greatest common divisor; that of 0 and `b` is `b`.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl fmt::Display for IndexExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parenthesis = self.divisor != 1;
        if parenthesis {
            write!(f, "(")?;
        }
        let mut first = true;
        for &(dim, c) in &self.terms {
            let sign = if c < 0 { "-" } else { "+" };
            match (first, c.abs()) {
                (true, 1) if c > 0 => write!(f, "i{dim}")?,
                (true, 1) => write!(f, "-i{dim}")?,
                (true, _) => write!(f, "{c}*i{dim}")?,
                (false, 1) => write!(f, "{sign}i{dim}")?,
                (false, magnitude) => write!(f, "{sign}{magnitude}*i{dim}")?,
            }
            first = false;
        }
        match self.offset {
            0 if first => write!(f, "0")?,
            0 => {}
            offset if first => write!(f, "{offset}")?,
            offset => write!(f, "{offset:+}")?,
        }
        if parenthesis {
            write!(f, ")/{}", self.divisor)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lowest_terms() {
        assert_eq!(
            IndexExpr::affine([(0, 4)], 2).over(2),
            IndexExpr::affine([(0, 2)], 1)
        );
        let kept = IndexExpr::affine([(0, 4)], 1).over(2);
        assert_eq!((kept.divisor, kept.at(&[0])), (2, None));
    }

    /// Solving `e = y` for an index and putting the solution back gives `y`.
    #[test]
    fn solutions_solve() {
        for (stride, divisor) in [(1, 1), (2, 1), (-1, 1), (3, 2), (-2, 3)] {
            let e = IndexExpr::affine([(0, stride), (1, 1)], -1).over(divisor);
            let solution = e.solve(0, 2);
            for h in 0..12 {
                for k in 0..3 {
                    if let Some(y) = e.at(&[h, k]).filter(|y| *y >= 0) {
                        assert_eq!(
                            solution.at(&[0, k, y as usize]),
                            Some(h as i64),
                            "{e}, {solution}"
                        );
                    }
                }
            }
        }
    }

    /// A substitution has a value exactly where its parts have, and the same.
    #[test]
    fn substitutions_keep_values() {
        let parts = [
            IndexExpr::affine([(0, 1), (1, -1)], 1).over(2),
            IndexExpr::affine([(1, 2)], -3),
            IndexExpr::affine([(0, 1)], 0).over(3),
        ];
        let outer = [
            IndexExpr::affine([(0, 1), (1, 1)], 0),
            IndexExpr::affine([(0, 3), (1, -2)], 1).over(2),
            IndexExpr::affine([(2, 2)], 1),
            IndexExpr::affine([(1, 5)], 2).over(5),
        ];
        for e in outer {
            let composed = e.substitute(&parts).unwrap();
            for point in (0..40).map(|i| [i % 8, i / 8]) {
                let inner: Option<Vec<i64>> = e
                    .terms
                    .iter()
                    .map(|&(dim, _)| parts[dim].at(&point))
                    .collect();
                let expected = inner.and_then(|inner| {
                    let sum = e
                        .terms
                        .iter()
                        .zip(inner)
                        .map(|(&(_, c), v)| c * v)
                        .sum::<i64>()
                        + e.offset;
                    (sum.rem_euclid(e.divisor) == 0).then(|| sum.div_euclid(e.divisor))
                });
                assert_eq!(
                    composed.at(&point),
                    expected,
                    "{e} gave {composed} at {point:?}"
                );
            }
        }
        // Two divided parts, or one times a factor of its divisor, have no such form.
        assert_eq!(
            IndexExpr::affine([(0, 1), (2, 1)], 0).substitute(&parts),
            None
        );
        assert_eq!(IndexExpr::affine([(0, 2)], 0).substitute(&parts), None);
    }
}
