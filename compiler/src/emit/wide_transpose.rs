//! Stores of a tile whose rows, not its columns, are neighbours in memory: the tile goes
//! through the stack, four by four elements at a time are turned in registers, and
//! each column is written in vectors.

use super::tile::Tile;
use super::wide_asm::{At, Vector, WideAsm};
use super::wide_ops::Op3;
use crate::schedule::tiles::{ELEMENT_BYTES, PlaceId};

/// Whether rows are neighbours at a place, and columns are not.
pub(super) fn is_turned(tile: &Tile<'_>, place: PlaceId) -> bool {
    tile.column_stride(place) != ELEMENT_BYTES
        && tile.rows() > 1
        && (0..tile.rows()).all(|row| tile.row_offset(place, row) == row as i64 * ELEMENT_BYTES)
}

/// Bytes of stack for the rows of a tile that is `vectors` wide, rounded up to whole vectors.
pub(super) fn stack_bytes(asm: &WideAsm, rows: usize, vectors: usize) -> i64 {
    let rows = rows.next_multiple_of(asm.lanes());
    (rows * vectors) as i64 * asm.vector_bytes()
}

/// Writes what lies row by row at `stack` to the place that begins at `to`. All vector
/// registers are free by then.
pub(super) fn store_turned(asm: &mut WideAsm, tile: &Tile<'_>, place: PlaceId, stack: At, to: At) {
    let lanes = asm.lanes();
    let row_bytes = tile.columns.div_ceil(lanes) as i64 * asm.vector_bytes();
    for first_row in (0..tile.rows()).step_by(lanes) {
        let rows = lanes.min(tile.rows() - first_row);
        asm.set_tail(rows);
        for first_column in (0..tile.columns).step_by(4) {
            for (within, &block) in BLOCK.iter().enumerate() {
                for part in 0..lanes / 4 {
                    let row = (first_row + 4 * part + within) as i64;
                    let offset = row * row_bytes + first_column as i64 * ELEMENT_BYTES;
                    asm.load_part(block, part, stack.plus(offset));
                }
            }
            turn(asm);
            let columns = 4.min(tile.columns - first_column);
            for (column, &turned) in (first_column..).zip(&TURNED[..columns]) {
                let offset =
                    column as i64 * tile.column_stride(place) + first_row as i64 * ELEMENT_BYTES;
                asm.store_first(to.plus(offset), turned, rows, HALVES[0]);
            }
        }
    }
}

/// Each of the four: of every fourth row, four columns.
const BLOCK: [Vector; 4] = [Vector(0), Vector(1), Vector(2), Vector(3)];
const HALVES: [Vector; 4] = [Vector(4), Vector(5), Vector(6), Vector(7)];
/// Each of the four: a column.
const TURNED: [Vector; 4] = [Vector(8), Vector(9), Vector(10), Vector(11)];

/// [`BLOCK`] to [`TURNED`].
fn turn(asm: &mut WideAsm) {
    let [b0, b1, b2, b3] = BLOCK;
    let [low01, high01, low23, high23] = HALVES;
    asm.op3(Op3::InterleaveLow, low01, b0, b1);
    asm.op3(Op3::InterleaveHigh, high01, b0, b1);
    asm.op3(Op3::InterleaveLow, low23, b2, b3);
    asm.op3(Op3::InterleaveHigh, high23, b2, b3);
    asm.op3(Op3::PairsLow, TURNED[0], low01, low23);
    asm.op3(Op3::PairsHigh, TURNED[1], low01, low23);
    asm.op3(Op3::PairsLow, TURNED[2], high01, high23);
    asm.op3(Op3::PairsHigh, TURNED[3], high01, high23);
}
