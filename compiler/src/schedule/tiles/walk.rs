//! In which order tiles are walked, by what of the operands and the result comes from where.

use super::choose::{Shape, operand_size, tile_lines};
use super::footprint::LINE;
use super::{A, Axis, B, ELEMENT_BYTES, Level, Linear, PlaceId};
use crate::index::Dim;
use crate::target::Target;

/// Columns outside rows, so that a panel of B stays in the first-level cache, or inside them, so
/// that A is read once and results are written side by side. Panels of a packed B are
/// columns as well.
pub(super) fn levels(linear: &Linear, target: &Target, shape: &Shape) -> Vec<Level> {
    let mut dims: Vec<Dim> = (0..linear.outer)
        .filter(|&dim| {
            dim != shape.columns.dim
                && shape.rows.dim != Some(dim)
                && !shape.rows.whole.contains(&dim)
        })
        .collect();
    dims.sort_by_key(|&dim| std::cmp::Reverse(linear.places[A].strides[dim].abs()));
    let knows = |place: PlaceId, dim: &Dim| linear.places[place].strides[*dim] != 0;
    let (panels, others): (Vec<Dim>, Vec<Dim>) = dims
        .into_iter()
        .partition(|dim| knows(B, dim) && !knows(A, dim));
    let (both, inside): (Vec<Dim>, Vec<Dim>) = others.into_iter().partition(|dim| knows(B, dim));
    let level = |axis: Axis, steps: usize| Level {
        axis,
        steps,
        runs: 1,
    };
    let of = |dim: Dim| level(Axis::Dim(dim), linear.dims[dim]);
    let width = shape.columns.width;
    let columns = level(
        Axis::Columns,
        linear.dims[shape.columns.dim].div_ceil(width),
    );
    let rows = level(Axis::Rows, shape.rows.larges + shape.rows.smalls);
    let all = |dims: &[Dim]| dims.iter().map(|&dim| linear.dims[dim]).product::<usize>();
    let walk = Walk {
        rows: rows.steps * all(&inside),
        columns: columns.steps * all(&panels),
        of_b: tile_lines(linear, B, shape, 1, linear.dims[shape.columns.dim]) * all(&panels),
    };
    let is_inside = walk.columns_inside(linear, target, shape);
    let [both, panels, inside] = [both, panels, inside].map(|dims| dims.into_iter().map(of));
    match is_inside {
        true => both
            .chain(inside)
            .chain([rows])
            .chain(panels)
            .chain([columns])
            .collect(),
        false => both
            .chain(panels)
            .chain([columns])
            .chain(inside)
            .chain([rows])
            .collect(),
    }
}

/// The grid of tiles that share no dimension of both operands.
struct Walk {
    rows: usize,
    columns: usize,
    /// Lines of B.
    of_b: usize,
}

impl Walk {
    /// Whether columns are better walked inside rows: if all of B stays in a near cache, and to
    /// read it for each row of tiles, ahead of its use, costs less than to read A for each
    /// column of them and to write lines far apart.
    fn columns_inside(&self, linear: &Linear, target: &Target, shape: &Shape) -> bool {
        let of_a = tile_lines(linear, A, shape, shape.rows.large, shape.columns.width);
        let near = (of_a + self.of_b) * LINE;
        if near <= target.l1_bytes() * 7 / 8 {
            return true;
        }
        let elements = |place: PlaceId| operand_size(linear, place);
        let bytes = |place: PlaceId| elements(place) * ELEMENT_BYTES as usize;
        let line = |afar: bool| match afar {
            true => LINE_WRITTEN_AFAR,
            false => LINE_WRITTEN,
        };
        let written = linear.writes.iter().map(|write| bytes(write.place));
        let written = written.map(|bytes| line(bytes > target.l2_bytes() / 4) * lines_of(bytes));
        let of_b_again = self.of_b as f64 * LINE_AHEAD * (self.rows - 1) as f64;
        let of_a_again = match bytes(A) <= target.l1_bytes() / 2 {
            true => 0.0,
            false => lines_of(bytes(A)) * LINE_READ * (self.columns - 1) as f64,
        };
        near <= target.l2_bytes() / 2 && of_b_again < of_a_again + written.sum::<f64>()
    }
}

fn lines_of(bytes: usize) -> f64 {
    bytes.div_ceil(LINE) as f64
}

/// Cycles to read a line from the second-level cache, and if it is fetched ahead.
pub(super) const LINE_READ: f64 = 0.5;
pub(super) const LINE_AHEAD: f64 = 0.1;
/// Cycles to write a line, and one far from the line before which no near cache holds.
pub(super) const LINE_WRITTEN: f64 = 1.0;
pub(super) const LINE_WRITTEN_AFAR: f64 = 11.0;
