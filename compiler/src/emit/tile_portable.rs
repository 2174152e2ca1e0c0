//! The tile in CLIF: vectors of four, and single columns where fewer than four are
//! left. For every machine; the wide form is held against it.

use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, UserFuncName, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::scalar::{self, Lanes, clif_type};
use super::tile::{FRAME_ENTRY, Summed, Tile, near, tile_signature, trips_entry};
use crate::nest::BinaryOp;
use crate::schedule::loops::Kind;
use crate::schedule::tiles::{A, B, ELEMENT_BYTES, Element, Multiply, PlaceId, Value, ValueId};

/// The function `tile(frame)`.
pub(super) fn tile_portable(tile: &Tile<'_>, config: TargetFrontendConfig) -> ir::Function {
    let mut function = ir::Function::with_name_signature(UserFuncName::default(), tile_signature());
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let frame = b.block_params(entry)[0];
    let mut emitter = Emitter {
        places: (0..tile.plan.linear.places.len())
            .map(|place| {
                let offset = (place as i64 * FRAME_ENTRY) as i32;
                b.ins().load(
                    types::I64,
                    MemFlagsData::trusted().with_readonly(),
                    frame,
                    offset,
                )
            })
            .collect(),
        columns: columns(tile.columns),
        row_offsets: (0..tile.rows())
            .map(|row| tile.row_offset(A, row))
            .collect(),
        kinds: tile.plan.linear.kinds(),
        trips: tile.plan.edges.is_some().then(|| {
            let flags = MemFlagsData::trusted().with_readonly();
            let entry = trips_entry(tile.plan) as i32;
            b.ins().load(types::I64, flags, frame, entry)
        }),
        tile,
        b,
    };
    let zeros = emitter.zeros();
    let pointers = (emitter.places[A], emitter.places[B]);
    let sums = emitter.sum(&tile.summed(), pointers, (0, 0), zeros);
    emitter.epilogue(&sums);
    emitter.b.ins().return_(&[]);
    emitter.b.seal_all_blocks();
    emitter.b.finalize(config);
    function
}

/// How many steps a loop's body holds.
const UNROLLED: i64 = 4;

/// Columns that are computed together.
#[derive(Clone, Copy)]
struct Column {
    first: usize,
    lanes: Lanes,
}

fn columns(count: usize) -> Vec<Column> {
    let vectors = (0..count / 4).map(|vector| Column {
        first: vector * 4,
        lanes: Lanes::Four,
    });
    let single = (count / 4 * 4..count).map(|first| Column {
        first,
        lanes: Lanes::One,
    });
    vectors.chain(single).collect()
}

struct Emitter<'a> {
    b: FunctionBuilder<'a>,
    tile: &'a Tile<'a>,
    /// Every place at the tile's first row and column.
    places: Vec<ir::Value>,
    columns: Vec<Column>,
    /// From the first row of A to each, in bytes.
    row_offsets: Vec<i64>,
    kinds: Vec<Kind>,
    /// How often the outermost loop runs; else it runs as often as it can.
    trips: Option<ir::Value>,
}

impl Emitter<'_> {
    /// Of every row, of every column.
    fn zeros(&mut self) -> Vec<ir::Value> {
        let mut zeros = Vec::new();
        for _ in 0..self.row_offsets.len() {
            for column in 0..self.columns.len() {
                let lanes = self.columns[column].lanes;
                zeros.push(scalar::constant(&mut self.b, Kind::F32, lanes, 0));
            }
        }
        zeros
    }

    /// Adds the products of these loops, from these offsets to the pointers, to `sums`.
    fn sum(
        &mut self,
        loops: &[Summed],
        pointers: (ir::Value, ir::Value),
        offsets: (i64, i64),
        sums: Vec<ir::Value>,
    ) -> Vec<ir::Value> {
        let Some((summed, inner)) = loops.split_first() else {
            return self.step(pointers, offsets, sums);
        };
        let steps_inside: i64 = inner.iter().map(|summed| summed.extent).product();
        let unrolled = (UNROLLED / steps_inside).clamp(1, summed.extent);
        let trips = summed.extent / unrolled;
        let counted = self.trips.take();
        let body = |emitter: &mut Self, pointers, steps, mut sums| {
            for step in 0..steps {
                let (a, b) = (step * summed.a_stride, step * summed.b_stride);
                sums = emitter.sum(inner, pointers, (offsets.0 + a, offsets.1 + b), sums);
            }
            sums
        };
        if trips == 1 && counted.is_none() {
            return body(self, pointers, summed.extent, sums);
        }
        let (again, after) = (self.b.create_block(), self.b.create_block());
        let mut arguments: Vec<ir::Value> = vec![
            counted.unwrap_or_else(|| self.b.ins().iconst(types::I64, trips)),
            pointers.0,
            pointers.1,
        ];
        arguments.extend(sums);
        for &argument in &arguments {
            let ty = self.b.func.dfg.value_type(argument);
            self.b.append_block_param(again, ty);
            self.b.append_block_param(after, ty);
        }
        self.jump(again, &arguments);

        self.b.switch_to_block(again);
        let inside = self.b.block_params(again).to_vec();
        let sums = body(self, (inside[1], inside[2]), unrolled, inside[3..].to_vec());
        let mut next = vec![
            self.b.ins().iadd_imm_s(inside[0], -1),
            self.b
                .ins()
                .iadd_imm_s(inside[1], unrolled * summed.a_stride),
            self.b
                .ins()
                .iadd_imm_s(inside[2], unrolled * summed.b_stride),
        ];
        next.extend(sums);
        let arguments: Vec<ir::BlockArg> = next.iter().map(|&value| value.into()).collect();
        self.b
            .ins()
            .brif(next[0], again, &arguments, after, &arguments);

        self.b.switch_to_block(after);
        let rest = self.b.block_params(after).to_vec();
        body(
            self,
            (rest[1], rest[2]),
            summed.extent % unrolled,
            rest[3..].to_vec(),
        )
    }

    fn jump(&mut self, to: ir::Block, arguments: &[ir::Value]) {
        let arguments: Vec<ir::BlockArg> = arguments.iter().map(|&value| value.into()).collect();
        self.b.ins().jump(to, &arguments);
    }

    /// One row of B times one element of each row of A.
    fn step(
        &mut self,
        (a, b): (ir::Value, ir::Value),
        (a_offset, b_offset): (i64, i64),
        mut sums: Vec<ir::Value>,
    ) -> Vec<ir::Value> {
        let width = self.columns.len();
        let mut row_of_b = Vec::with_capacity(width);
        for column in 0..width {
            let Column { first, lanes } = self.columns[column];
            let offset = b_offset + first as i64 * ELEMENT_BYTES;
            row_of_b.push(self.load(Kind::F32, lanes, b, offset));
        }
        for row in 0..self.row_offsets.len() {
            let element = self.load(Kind::F32, Lanes::One, a, a_offset + self.row_offsets[row]);
            let vector = self.b.ins().splat(types::F32X4, element);
            for column in 0..width {
                let a = match self.columns[column].lanes {
                    Lanes::One => element,
                    Lanes::Four => vector,
                };
                let sum = &mut sums[row * width + column];
                *sum = match self.tile.plan.multiply {
                    Multiply::Fused => self.b.ins().fma(a, row_of_b[column], *sum),
                    Multiply::Separate => {
                        let product = self.b.ins().fmul(a, row_of_b[column]);
                        self.b.ins().fadd(*sum, product)
                    }
                };
            }
        }
        sums
    }

    /// All reads of a vector come before its writes, so that tensors may be updated in place.
    fn epilogue(&mut self, sums: &[ir::Value]) {
        for row in 0..self.row_offsets.len() {
            for column in 0..self.columns.len() {
                let sum = sums[row * self.columns.len() + column];
                let column = self.columns[column];
                let mut values = Vec::with_capacity(self.kinds.len());
                for id in 0..self.kinds.len() {
                    let value = self.value(id, row, column, sum, &values);
                    values.push(value);
                }
                for &write in &self.tile.plan.linear.writes {
                    self.write(write.place, row, column, values[write.value]);
                }
            }
        }
    }

    fn value(
        &mut self,
        id: ValueId,
        row: usize,
        column: Column,
        sum: ir::Value,
        values: &[ir::Value],
    ) -> ir::Value {
        let linear = &self.tile.plan.linear;
        let (kind, lanes) = (self.kinds[id], column.lanes);
        match linear.values[id] {
            Value::Constant(kind, bits) => scalar::constant(&mut self.b, kind, lanes, bits),
            Value::Read(place) => match linear.places[place].element {
                Element::Index => self.index(place, row, column),
                Element::F32(_) | Element::I32(_) => self.read(kind, place, row, column),
            },
            Value::Sum => sum,
            Value::Unary(op, x) => scalar::unary(&mut self.b, op, self.kinds[x], lanes, values[x]),
            Value::Binary(op, x, y) => {
                let y = match (op, linear.values[y]) {
                    (BinaryOp::ShiftLeft | BinaryOp::ShiftRight, Value::Constant(kind, bits)) => {
                        scalar::constant(&mut self.b, kind, Lanes::One, bits)
                    }
                    _ => values[y],
                };
                scalar::binary(&mut self.b, op, self.kinds[x], lanes, values[x], y)
            }
            Value::Fma(x, y, z) => self.b.ins().fma(values[x], values[y], values[z]),
            Value::Select(mask, x, y) => {
                scalar::select(&mut self.b, kind, lanes, values[mask], values[x], values[y])
            }
        }
    }

    /// The number at the tile's origin, plus what row and columns add.
    fn index(&mut self, place: PlaceId, row: usize, column: Column) -> ir::Value {
        let per_column = self.tile.column_stride(place);
        let first = self.tile.row_offset(place, row) + per_column * column.first as i64;
        let origin = self.b.ins().ireduce(types::I32, self.places[place]);
        let added = |lane: i64| (first + per_column * lane) as u32;
        match column.lanes {
            Lanes::One => {
                let added = scalar::constant(&mut self.b, Kind::I32, Lanes::One, added(0));
                self.b.ins().iadd(origin, added)
            }
            Lanes::Four => {
                let origin = scalar::splat(&mut self.b, Kind::I32, origin);
                let lanes = std::array::from_fn(|lane| added(lane as i64));
                let added = scalar::vector(&mut self.b, Kind::I32, lanes);
                self.b.ins().iadd(origin, added)
            }
        }
    }

    fn read(&mut self, kind: Kind, place: PlaceId, row: usize, column: Column) -> ir::Value {
        let (pointer, offset) = self.address(place, row, column);
        match (column.lanes, self.tile.column_stride(place)) {
            (Lanes::Four, 0) => {
                let one = self.load(kind, Lanes::One, pointer, offset);
                scalar::splat(&mut self.b, kind, one)
            }
            (Lanes::One, _) | (Lanes::Four, ELEMENT_BYTES) => {
                self.load(kind, column.lanes, pointer, offset)
            }
            (Lanes::Four, stride) => {
                let first = self.load(kind, Lanes::One, pointer, offset);
                let vector = self
                    .b
                    .ins()
                    .scalar_to_vector(clif_type(kind, Lanes::Four), first);
                (1..4).fold(vector, |vector, lane| {
                    let next = self.load(kind, Lanes::One, pointer, offset + lane * stride);
                    self.b.ins().insertlane(vector, next, lane as u8)
                })
            }
        }
    }

    fn write(&mut self, place: PlaceId, row: usize, column: Column, value: ir::Value) {
        let (pointer, offset) = self.address(place, row, column);
        match (column.lanes, self.tile.column_stride(place)) {
            (Lanes::Four, stride) if stride != ELEMENT_BYTES => {
                for lane in 0..4 {
                    let element = self.b.ins().extractlane(value, lane as u8);
                    self.store(element, pointer, offset + lane * stride);
                }
            }
            _ => self.store(value, pointer, offset),
        }
    }

    fn address(&self, place: PlaceId, row: usize, column: Column) -> (ir::Value, i64) {
        let columns = self.tile.column_stride(place) * column.first as i64;
        (
            self.places[place],
            self.tile.row_offset(place, row) + columns,
        )
    }

    fn load(&mut self, kind: Kind, lanes: Lanes, pointer: ir::Value, offset: i64) -> ir::Value {
        let ty = clif_type(kind, lanes);
        self.b.ins().load(ty, UNALIGNED, pointer, near(offset))
    }

    fn store(&mut self, value: ir::Value, pointer: ir::Value, offset: i64) {
        self.b.ins().store(UNALIGNED, value, pointer, near(offset));
    }
}

/// Vectors start at any element, and every address is valid.
const UNALIGNED: MemFlagsData = MemFlagsData::new().with_notrap();
