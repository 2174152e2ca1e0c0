//! Random views of every kind.

use super::Numbers;
use crate::graph::View;
use crate::index::IndexExpr;

impl Numbers {
    /// A view of a tensor of this shape: a transposed, padded, thinned, reversed,
    /// windowed, dilated, cropped or repeated one.
    pub fn view(&mut self, shape: &[usize]) -> View {
        let rank = shape.len();
        let mut result = shape.to_vec();
        let mut map: Vec<IndexExpr> = (0..rank).map(IndexExpr::dim).collect();
        if rank == 0 {
            return View::new(vec![2, 3], map, 0.0, shape);
        }
        let axis = self.below(rank);
        let size = shape[axis];
        match self.below(8) {
            0 => {
                result.rotate_left(axis);
                map = (0..rank)
                    .map(|old| IndexExpr::dim((old + rank - axis) % rank))
                    .collect();
            }
            1 => {
                result[axis] = size + 2;
                map[axis] = map[axis].shifted(-1);
            }
            2 => {
                result[axis] = size.div_ceil(2);
                map[axis] = IndexExpr::affine([(axis, 2)], 0);
            }
            3 => map[axis] = IndexExpr::affine([(axis, -1)], size as i64 - 1),
            4 => {
                // Overlapping windows, or neighbouring ones.
                let stride = 1 + self.below(2);
                result[axis] = size.div_ceil(stride);
                map[axis] = IndexExpr::affine([(axis, stride as i64), (rank, 1)], 0);
                result.push(2);
            }
            5 => {
                result[axis] = 2 * size - 1;
                map[axis] = IndexExpr::dim(axis).over(2);
            }
            6 => {
                result[axis] = size.div_ceil(2);
                map[axis] = map[axis].shifted((size / 2) as i64);
            }
            _ => {
                result.insert(axis, 2);
                let moved = |old: usize| if old < axis { old } else { old + 1 };
                map = (0..rank).map(|old| IndexExpr::dim(moved(old))).collect();
            }
        }
        let fill = [0.0, 0.0, -1.0][self.below(3)];
        View::new(result, map, fill, shape)
    }
}
