//! The tile as machine code: accumulators live in vector registers, every element of
//! A is broadcast, rows of B are read as vectors, the epilogue runs on the registers.

use std::collections::BTreeSet;

use iced_x86::Register;
use iced_x86::code_asm::{AsmRegister64, registers::gpr64};

use super::tile::{FRAME_ENTRY, Summed, Tile, trips_entry};
use super::wide_asm::{At, Vector, WideAsm, must};
use super::wide_scalar::{Epilogue, store_tile};
use crate::bug::bug;
use crate::schedule::tiles::{A, B, ELEMENT_BYTES, Element, PlaceId, Value};
use crate::target::Isa;

/// The bytes of the function `tile(frame)`, position-independent, System V.
pub(super) fn tile_wide(tile: &Tile<'_>) -> Vec<u8> {
    let isa = tile.plan.isa;
    let mut asm = WideAsm::new(isa);
    let registers = Registers::new(tile, isa);
    let tail = registers.tail;
    asm.point_at_pool();
    asm.set_tail(tail);
    must(
        asm.code
            .mov(A_POINTER, gpr64::rdi + A as i32 * FRAME_ENTRY as i32),
    );
    must(
        asm.code
            .mov(B_POINTER, gpr64::rdi + B as i32 * FRAME_ENTRY as i32),
    );
    for accumulator in 0..registers.rows * registers.vectors {
        asm.zero(Vector(accumulator as u8));
    }
    fetch_for_end(&mut asm, tile, registers.vectors);
    let mut product = Product {
        asm: &mut asm,
        row_offsets: (0..tile.rows())
            .map(|row| tile.row_offset(A, row))
            .collect(),
        ahead: ahead(&tile.summed(), registers.rows * registers.vectors, |of| {
            of.b_stride
        }),
        far_rows: far_rows(tile),
        registers: &registers,
        trips: tile.plan.edges.is_some().then(|| trips_entry(tile.plan)),
        isa,
    };
    product.sum(&tile.summed(), &COUNTERS, 0, 0);
    let epilogue = Epilogue {
        rows: registers.rows,
        vectors: registers.vectors,
        tail,
        registers: isa.registers(),
    };
    store_tile(&mut asm, tile, &epilogue);
    must(asm.code.vzeroupper());
    must(asm.code.ret());
    asm.finish()
}

const A_POINTER: AsmRegister64 = gpr64::rsi;
const B_POINTER: AsmRegister64 = gpr64::rdx;
/// One per loop that is not unrolled. None of them is to be saved.
const COUNTERS: [AsmRegister64; 4] = [gpr64::rcx, gpr64::r8, gpr64::r9, gpr64::r10];
const SCRATCH: AsmRegister64 = gpr64::r11;

/// More loops than this cannot be counted.
pub const MOST_SUMMED: usize = COUNTERS.len();

/// Sums of up to this many steps are written out without a loop.
const WRITTEN_OUT: i64 = 16;

/// How many steps a loop's body holds.
const UNROLLED: i64 = 4;

/// So many products before its use a row of B is on its way: the second-level cache
/// answers while they run. The machine itself runs ahead by a few rows only, because the
/// products that wait for their sums fill it up; unasked, a panel that is larger than the
/// first-level cache costs a tenth to a third of the rate.
const PRODUCTS_AHEAD: i64 = 224;

/// Bytes that make up a line of the cache.
const LINE: i64 = 64;

/// Steps up to this long, in bytes, are followed by the machine's own look-ahead; a loop's
/// body takes several at once.
const FOLLOWED: i64 = 2048 / UNROLLED;

/// The lines of A to fetch ahead of each step: where rows are neighbours and the next step
/// is far away, as in a product by a transposed matrix, the machine does not see it coming.
/// Offsets from where the step's first row stands.
fn far_rows(tile: &Tile<'_>) -> Vec<i64> {
    let loops = tile.summed();
    let is_far = loops.last().is_some_and(|of| of.a_stride.abs() > FOLLOWED);
    let ahead = ahead(&loops, tile.rows() * vectors_of(tile), |of| of.a_stride);
    let (true, Some(ahead)) = (is_far, ahead) else {
        return Vec::new();
    };
    let mut offsets: Vec<i64> = (0..tile.rows())
        .map(|row| tile.row_offset(A, row))
        .collect();
    offsets.sort_unstable();
    let mut lines: Vec<i64> = Vec::new();
    for &offset in &offsets {
        if lines.last().is_none_or(|last| offset >= last + LINE) {
            lines.push(offset);
        }
    }
    // Rows begin anywhere in a line, so that they may end in one more.
    if let (Some(&end), Some(&last)) = (offsets.last(), lines.last())
        && end > last
    {
        lines.push(end);
    }
    if lines.len() * FEWEST_ROWS_OF_LINE > tile.rows() {
        return Vec::new();
    }
    lines.into_iter().map(|offset| offset + ahead).collect()
}

/// A line is fetched for so many rows at least: the fetch itself takes the place of a product.
const FEWEST_ROWS_OF_LINE: usize = 4;

/// How far ahead to fetch an operand: along the innermost loop, if that is long enough to arrive.
fn ahead(loops: &[Summed], products: usize, stride_of: impl Fn(&Summed) -> i64) -> Option<i64> {
    let steps = (PRODUCTS_AHEAD / products as i64).max(1);
    let mut walked = 1;
    let mut stride = None;
    for summed in loops.iter().rev() {
        let start = *stride.get_or_insert(stride_of(summed));
        if stride_of(summed) != start * walked {
            break;
        }
        walked *= summed.extent;
    }
    stride
        .filter(|_| walked > steps)
        .map(|stride| steps * stride)
}

/// Puts on its way, before the sum, what the epilogue reads behind it: an addend, a mask, an
/// optimiser's moments, each row of them far from the last.
fn fetch_for_end(asm: &mut WideAsm, tile: &Tile<'_>, vectors: usize) {
    let lines = lines_for_end(tile);
    let count: usize = lines.iter().map(|(_, lines)| lines.len()).sum();
    let steps: i64 = tile.summed().iter().map(|of| of.extent).product();
    let products = steps * (tile.rows() * vectors) as i64;
    if products < count as i64 * PRODUCTS_PER_FETCH {
        return;
    }
    for (place, lines) in lines {
        let entry = gpr64::rdi + place as i32 * FRAME_ENTRY as i32;
        must(asm.code.mov(SCRATCH, entry));
        for line in lines {
            asm.prefetch(at(SCRATCH, line));
        }
    }
}

/// So many products, at least, for each line that is fetched for the end: fewer are over before it
/// arrives.
const PRODUCTS_PER_FETCH: i64 = 8;

/// By place, the lines that the epilogue reads there in vectors, in bytes from the tile's first.
fn lines_for_end(tile: &Tile<'_>) -> Vec<(PlaceId, BTreeSet<i64>)> {
    let linear = &tile.plan.linear;
    let reads = linear.values.iter().filter_map(|value| match *value {
        Value::Read(place) => Some(place),
        _ => None,
    });
    let in_vectors = reads.filter(|&place| {
        linear.places[place].element != Element::Index && tile.column_stride(place) == ELEMENT_BYTES
    });
    let bytes = tile.columns as i64 * ELEMENT_BYTES;
    let lines = in_vectors.map(|place| {
        let rows = (0..tile.rows()).map(|row| tile.row_offset(place, row));
        let lines = rows.flat_map(|row| {
            (0..bytes)
                .step_by(LINE as usize)
                .map(move |line| row + line)
        });
        (place, lines.collect())
    });
    lines.collect()
}

/// Who is where: accumulators row by row, then a row of B, then a broadcast element of A.
struct Registers {
    rows: usize,
    vectors: usize,
    /// Lanes of the last vector that are columns of the tile.
    tail: usize,
}

impl Registers {
    fn new(tile: &Tile<'_>, isa: Isa) -> Registers {
        let lanes = isa.lanes();
        let vectors = vectors_of(tile);
        let registers = Registers {
            rows: tile.rows(),
            vectors,
            tail: tile.columns - (vectors - 1) * lanes,
        };
        if usize::from(registers.broadcast().0) >= isa.registers() {
            bug!("emit", "a tile of {} x {vectors} vectors", registers.rows);
        }
        registers
    }

    fn accumulator(&self, row: usize, vector: usize) -> Vector {
        Vector((row * self.vectors + vector) as u8)
    }

    fn row_of_b(&self, vector: usize) -> Vector {
        self.accumulator(self.rows, vector)
    }

    fn broadcast(&self) -> Vector {
        self.accumulator(self.rows + 1, 0)
    }
}

fn vectors_of(tile: &Tile<'_>) -> usize {
    tile.columns.div_ceil(tile.plan.isa.lanes())
}

struct Product<'a> {
    asm: &'a mut WideAsm,
    row_offsets: Vec<i64>,
    /// How far ahead of its use B is fetched, in bytes.
    ahead: Option<i64>,
    /// The lines of A that are fetched ahead, in bytes from the step's place.
    far_rows: Vec<i64>,
    registers: &'a Registers,
    /// Where the frame says how often the outermost loop runs; else it runs as often as it can.
    trips: Option<i64>,
    isa: Isa,
}

impl Product<'_> {
    /// Sums over the loops, from these offsets to the pointers, which end where they began.
    fn sum(&mut self, loops: &[Summed], counters: &[AsmRegister64], a: i64, b: i64) {
        let Some((summed, inner)) = loops.split_first() else {
            return self.step(a, b);
        };
        let steps_inside: i64 = inner.iter().map(|summed| summed.extent).product();
        let unrolled = if summed.extent * steps_inside <= WRITTEN_OUT {
            summed.extent
        } else {
            (UNROLLED / steps_inside).clamp(1, summed.extent)
        };
        let trips = summed.extent / unrolled;
        let body = |product: &mut Self, steps: i64, counters: &[AsmRegister64]| {
            for step in 0..steps {
                let (a, b) = (a + step * summed.a_stride, b + step * summed.b_stride);
                product.sum(inner, counters, a, b);
            }
        };
        let counted = self.trips.take();
        if trips == 1 && counted.is_none() {
            return body(self, summed.extent, counters);
        }
        let Some((&counter, counters)) = counters.split_first() else {
            bug!("emit", "more than {MOST_SUMMED} loops sum");
        };
        match counted {
            Some(entry) => must(self.asm.code.mov(counter, gpr64::rdi + entry as i32)),
            None => must(self.asm.code.mov(counter, trips)),
        }
        let mut again = self.asm.code.create_label();
        must(self.asm.code.set_label(&mut again));
        body(self, unrolled, counters);
        self.advance(A_POINTER, unrolled * summed.a_stride);
        self.advance(B_POINTER, unrolled * summed.b_stride);
        must(self.asm.code.dec(counter));
        must(self.asm.code.jnz(again));
        if counted.is_some() {
            if unrolled != 1 {
                bug!(
                    "emit",
                    "a loop that leaves out edges takes {unrolled} steps at once"
                );
            }
            // Nothing is around this loop that needs the pointers.
            return;
        }
        body(self, summed.extent % unrolled, counters);
        self.advance(A_POINTER, -trips * unrolled * summed.a_stride);
        self.advance(B_POINTER, -trips * unrolled * summed.b_stride);
    }

    /// One row of B times one element of each row of A.
    fn step(&mut self, a: i64, b: i64) {
        let Registers {
            rows,
            vectors,
            tail,
        } = *self.registers;
        for vector in 0..vectors {
            let lanes = if vector + 1 == vectors {
                tail
            } else {
                self.isa.lanes()
            };
            let from = at(B_POINTER, b + vector as i64 * self.asm.vector_bytes());
            let register = self.registers.row_of_b(vector);
            self.asm.load_first(register, from, lanes);
        }
        if let Some(ahead) = self.ahead {
            let bytes = vectors as i64 * self.asm.vector_bytes();
            for line in 0..(bytes + LINE - 1) / LINE {
                self.asm.prefetch(at(B_POINTER, b + ahead + line * LINE));
            }
        }
        for &line in &self.far_rows {
            self.asm.prefetch(at(A_POINTER, a + line));
        }
        for row in 0..rows {
            let from = at(A_POINTER, a + self.row_offsets[row]);
            if vectors == 1 && self.isa == Isa::Avx512 {
                let accumulator = self.registers.accumulator(row, 0);
                let b = self.registers.row_of_b(0);
                self.asm.multiply_add_broadcast(accumulator, b, from);
                continue;
            }
            let broadcast = self.registers.broadcast();
            self.asm.broadcast(broadcast, from);
            for vector in 0..vectors {
                let accumulator = self.registers.accumulator(row, vector);
                let b = self.registers.row_of_b(vector);
                self.asm.multiply_add(accumulator, broadcast, b);
            }
        }
    }

    fn advance(&mut self, pointer: AsmRegister64, bytes: i64) {
        match i32::try_from(bytes) {
            Ok(0) => {}
            Ok(bytes) => must(self.asm.code.add(pointer, bytes)),
            Err(_) => {
                must(self.asm.code.mov(SCRATCH, bytes));
                must(self.asm.code.add(pointer, SCRATCH));
            }
        }
    }
}

fn at(base: AsmRegister64, offset: i64) -> At {
    At {
        base: Register::from(base),
        offset,
    }
}
