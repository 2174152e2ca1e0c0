//! The scalar language in wide vectors: computes a tile's epilogue on the registers
//! that hold its sums, one vector of columns after the other.

use iced_x86::Register;
use iced_x86::code_asm::registers::{gpr32, gpr64};
use iced_x86::code_asm::{dword_ptr, qword_ptr};

use super::tile::{FRAME_ENTRY, Tile, near};
use super::wide_asm::{At, Vector, WideAsm, must};
use super::wide_ops::{Compare, Op2, Op3, OpImmediate};
use super::wide_registers::{Action, Program, Registers, stack_at};
use super::wide_transpose::{is_turned, stack_bytes, store_turned};
use crate::bug::bug;
use crate::nest::{BinaryOp, UnaryOp};
use crate::schedule::loops::Kind;
use crate::schedule::tiles::{Element, PlaceId, Value, ValueId, Write};

/// The shape of the tile that was summed, in registers: row by row from register 0.
pub(super) struct Epilogue {
    pub rows: usize,
    pub vectors: usize,
    /// Lanes of the last vector that are columns of the tile.
    pub tail: usize,
    /// How many vector registers there are.
    pub registers: usize,
}

/// Runs the epilogue on every vector of the tile and writes what it stores.
pub(super) fn store_tile(asm: &mut WideAsm, tile: &Tile<'_>, epilogue: &Epilogue) {
    let sums = epilogue.rows * epilogue.vectors;
    let program = Program::of(&tile.plan.linear);
    let slots = (program.actions.len() as i64 + 1) * asm.vector_bytes();
    let turned: Vec<PlaceId> = tile
        .plan
        .linear
        .writes
        .iter()
        .map(|write| write.place)
        .filter(|&place| is_turned(tile, place))
        .collect();
    let turned_bytes = stack_bytes(asm, epilogue.rows, epilogue.vectors);
    let stack = slots + turned.len() as i64 * turned_bytes;
    must(asm.code.sub(gpr64::rsp, stack as i32));
    let mut emitter = Emitter {
        kinds: tile.plan.linear.kinds(),
        program: &program,
        tile,
        vectors: epilogue.vectors,
        turned: turned
            .iter()
            .enumerate()
            .map(|(number, &place)| (place, slots + number as i64 * turned_bytes))
            .collect(),
        registers: Registers::new(&program, sums..epilogue.registers),
        row: 0,
        vector: 0,
        lanes: 0,
        asm,
    };
    for row in 0..epilogue.rows {
        for vector in 0..epilogue.vectors {
            let last = vector + 1 == epilogue.vectors;
            emitter.lanes = if last {
                epilogue.tail
            } else {
                emitter.asm.lanes()
            };
            (emitter.row, emitter.vector) = (row, vector);
            emitter.run(Vector((row * epilogue.vectors + vector) as u8));
        }
    }
    (emitter.row, emitter.vector) = (0, 0);
    for (place, offset) in std::mem::take(&mut emitter.turned) {
        let to = emitter.address(place);
        store_turned(emitter.asm, tile, place, stack_at(offset), to);
    }
    must(asm.code.add(gpr64::rsp, stack as i32));
}

struct Emitter<'a> {
    asm: &'a mut WideAsm,
    tile: &'a Tile<'a>,
    program: &'a Program<'a>,
    /// Vectors in a row of the tile.
    vectors: usize,
    /// Places that are written at the end, and where their values are kept on the stack.
    turned: Vec<(PlaceId, i64)>,
    kinds: Vec<Kind>,
    registers: Registers<'a>,
    row: usize,
    vector: usize,
    /// Lanes of this vector that are columns of the tile.
    lanes: usize,
}

/// Scratch for numbers on their way between lanes and memory.
const POINTER: Register = Register::R10;

impl Emitter<'_> {
    fn run(&mut self, sum: Vector) {
        self.registers.start();
        let mut sum = Some(sum);
        for position in 0..self.program.actions.len() {
            match self.program.actions[position] {
                Action::Compute(id) => match (self.tile.plan.linear.values[id], sum) {
                    (Value::Sum, Some(register)) => {
                        self.registers.assign(id, register);
                        sum = None;
                    }
                    _ => self.compute(id),
                },
                Action::Write(Write { place, value }) => self.write(place, value),
            }
            self.registers.step();
        }
        // A contraction whose sum nobody reads.
        if let Some(register) = sum {
            self.registers.give(register);
        }
    }

    fn compute(&mut self, id: ValueId) {
        match self.tile.plan.linear.values[id] {
            Value::Constant(_, bits) => self.constant(id, bits),
            Value::Read(place) => match self.tile.plan.linear.places[place].element {
                Element::Index => self.index(id, place),
                Element::F32(_) | Element::I32(_) => self.read(id, place),
            },
            Value::Sum => bug!("emit", "the sum is where it was summed"),
            Value::Unary(op, x) => self.unary(op, id, x),
            Value::Binary(op, x, y) => self.binary(op, id, x, y),
            Value::Fma(x, y, z) => {
                let (x, y, z) = (self.fetch(x), self.fetch(y), self.fetch(z));
                let d = self.define(id);
                if d == x || d == y {
                    // The addend must be the destination of the one form we use.
                    let sum = self.take();
                    self.asm.op2(Op2::Move, sum, z);
                    self.asm.multiply_add(sum, x, y);
                    self.asm.op2(Op2::Move, d, sum);
                    self.registers.give(sum);
                } else {
                    if d != z {
                        self.asm.op2(Op2::Move, d, z);
                    }
                    self.asm.multiply_add(d, x, y);
                }
            }
            Value::Select(mask, yes, no) => {
                let (mask, yes, no) = (self.fetch(mask), self.fetch(yes), self.fetch(no));
                let d = self.take();
                self.asm.select(d, mask, yes, no);
                self.registers.assign(id, d);
            }
        }
    }

    fn constant(&mut self, id: ValueId, bits: u32) {
        let d = self.define(id);
        let at = self.asm.constant(&[bits]);
        self.asm.broadcast(d, at);
    }

    /// The number at the tile's origin, plus what row, vector and lane add.
    fn index(&mut self, id: ValueId, place: PlaceId) {
        let per_column = self.tile.column_stride(place);
        let first_column = (self.vector * self.asm.lanes()) as i64;
        let row = self.tile.row_offset(place, self.row);
        let lanes: Vec<u32> = (0..self.asm.lanes() as i64)
            .map(|lane| (row + per_column * (first_column + lane)) as u32)
            .collect();
        let d = self.define(id);
        let added = self.take();
        self.asm.broadcast(d, frame(place));
        let at = self.asm.constant(&lanes);
        self.asm.load(added, at);
        self.asm.op3(Op3::AddI, d, d, added);
        self.registers.give(added);
    }

    fn read(&mut self, id: ValueId, place: PlaceId) {
        let d = self.define(id);
        let from = self.address(place);
        match self.tile.column_stride(place) {
            0 => self.asm.broadcast(d, from),
            ELEMENT => self.asm.load_first(d, from, self.lanes),
            stride => {
                // Lane by lane through the stack.
                for lane in 0..self.lanes as i64 {
                    let element = gpr64::r10 + near(from.offset + lane * stride);
                    must(self.asm.code.mov(gpr32::r11d, dword_ptr(element)));
                    let slot = gpr64::rsp + self.spare().offset as i32 + lane as i32 * 4;
                    must(self.asm.code.mov(dword_ptr(slot), gpr32::r11d));
                }
                let spare = self.spare();
                self.asm.load(d, spare);
            }
        }
    }

    fn write(&mut self, place: PlaceId, id: ValueId) {
        let value = self.fetch(id);
        if let Some(&(_, kept)) = self.turned.iter().find(|&&(turned, _)| turned == place) {
            let number = (self.row * self.vectors + self.vector) as i64;
            let to = stack_at(kept + number * self.asm.vector_bytes());
            return self.asm.store(to, value);
        }
        let to = self.address(place);
        match self.tile.column_stride(place) {
            ELEMENT => {
                let scratch = self.take();
                self.asm.store_first(to, value, self.lanes, scratch);
                self.registers.give(scratch);
            }
            stride => {
                let spare = self.spare();
                self.asm.store(spare, value);
                for lane in 0..self.lanes as i64 {
                    let slot = gpr64::rsp + spare.offset as i32 + lane as i32 * 4;
                    must(self.asm.code.mov(gpr32::r11d, dword_ptr(slot)));
                    let element = gpr64::r10 + near(to.offset + lane * stride);
                    must(self.asm.code.mov(dword_ptr(element), gpr32::r11d));
                }
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, id: ValueId, x: ValueId) {
        let kind = self.kinds[x];
        let s = self.fetch(x);
        match (op, kind) {
            (UnaryOp::Neg, Kind::F32) => self.with_bits(Op3::Xor, id, s, 1 << 31),
            (UnaryOp::Neg, _) => {
                let zero = self.take();
                self.asm.zero(zero);
                let d = self.define(id);
                self.asm.op3(Op3::SubI, d, zero, s);
                self.registers.give(zero);
            }
            (UnaryOp::Abs, Kind::F32) => self.with_bits(Op3::And, id, s, !(1 << 31)),
            (UnaryOp::Abs, _) => self.op2(Op2::AbsI, id, s),
            (UnaryOp::Sqrt, _) => self.op2(Op2::Sqrt, id, s),
            (UnaryOp::Floor, _) => self.round(id, s, 1),
            (UnaryOp::Nearest, _) => self.round(id, s, 0),
            (UnaryOp::Not, _) => self.with_bits(Op3::Xor, id, s, u32::MAX),
            (UnaryOp::ToF32, _) => self.op2(Op2::IntToFloat, id, s),
            (UnaryOp::ToI32, _) => self.float_to_i32(id, s),
            (UnaryOp::MaskToF32, _) => self.with_bits(Op3::And, id, s, 1.0f32.to_bits()),
            (UnaryOp::BitsToI32 | UnaryOp::BitsToF32, _) => self.op2(Op2::Move, id, s),
        }
    }

    fn binary(&mut self, op: BinaryOp, id: ValueId, x: ValueId, y: ValueId) {
        let float = self.kinds[x] == Kind::F32;
        if let BinaryOp::ShiftLeft | BinaryOp::ShiftRight = op {
            let Value::Constant(_, amount) = self.tile.plan.linear.values[y] else {
                bug!("emit", "a shift by no constant");
            };
            let s = self.fetch(x);
            let d = self.define(id);
            let op = if op == BinaryOp::ShiftLeft {
                OpImmediate::ShiftLeft
            } else {
                OpImmediate::ShiftRight
            };
            return self.asm.op_immediate(op, d, s, amount);
        }
        let either = |floats, integers| if float { floats } else { integers };
        let (a, b) = (self.fetch(x), self.fetch(y));
        let op3 = match op {
            BinaryOp::Add => either(Op3::AddF, Op3::AddI),
            BinaryOp::Sub => either(Op3::SubF, Op3::SubI),
            BinaryOp::Mul => either(Op3::MulF, Op3::MulI),
            BinaryOp::Div => Op3::DivF,
            BinaryOp::Max => either(Op3::MaxF, Op3::MaxI),
            BinaryOp::Min => either(Op3::MinF, Op3::MinI),
            BinaryOp::And => Op3::And,
            BinaryOp::Or => Op3::Or,
            BinaryOp::Xor => Op3::Xor,
            BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Equal => {
                let compare = match op {
                    BinaryOp::Less if float => Compare::LessF,
                    BinaryOp::LessEq if float => Compare::LessEqF,
                    BinaryOp::Equal if float => Compare::EqualF,
                    BinaryOp::Less => Compare::LessI,
                    BinaryOp::LessEq => Compare::LessEqI,
                    _ => Compare::EqualI,
                };
                let d = self.take();
                self.asm.compare(compare, d, a, b);
                self.registers.assign(id, d);
                return;
            }
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight => bug!("emit", "shifts are done above"),
        };
        let d = self.define(id);
        self.asm.op3(op3, d, a, b);
    }

    fn op2(&mut self, op: Op2, id: ValueId, s: Vector) {
        let d = self.define(id);
        self.asm.op2(op, d, s);
    }

    fn round(&mut self, id: ValueId, s: Vector, mode: u32) {
        let d = self.define(id);
        self.asm.op_immediate(OpImmediate::Round, d, s, mode);
    }

    /// `s op bits`.
    fn with_bits(&mut self, op: Op3, id: ValueId, s: Vector, bits: u32) {
        let other = self.take();
        let at = self.asm.constant(&[bits]);
        self.asm.broadcast(other, at);
        self.asm.op3(op, other, other, s);
        self.registers.assign(id, other);
    }

    /// The machine's conversion gives `i32::MIN` for what is too large (all ones
    /// exclusive-or make it `i32::MAX`) and for NaN (which becomes 0).
    fn float_to_i32(&mut self, id: ValueId, s: Vector) {
        const TOO_LARGE: f32 = 2_147_483_648.0;
        let (d, mask) = (self.take(), self.take());
        let at = self.asm.constant(&[TOO_LARGE.to_bits()]);
        self.asm.broadcast(d, at);
        self.asm.compare(Compare::LessEqF, mask, d, s);
        self.asm.op2(Op2::FloatToInt, d, s);
        self.asm.op3(Op3::Xor, d, d, mask);
        self.asm.compare(Compare::OrderedF, mask, s, s);
        self.asm.op3(Op3::And, d, d, mask);
        self.registers.give(mask);
        self.registers.assign(id, d);
    }

    /// Where this row and vector of a place begin. Takes [`POINTER`].
    fn address(&mut self, place: usize) -> At {
        if self.tile.plan.linear.places[place].element == Element::Index {
            bug!("emit", "an index has no address");
        };
        let entry = gpr64::rdi + place as i32 * FRAME_ENTRY as i32;
        must(self.asm.code.mov(gpr64::r10, qword_ptr(entry)));
        let first_column = (self.vector * self.asm.lanes()) as i64;
        At {
            base: POINTER,
            offset: self.tile.row_offset(place, self.row)
                + first_column * self.tile.column_stride(place),
        }
    }

    /// The register that holds a value, for this action.
    fn fetch(&mut self, id: ValueId) -> Vector {
        self.registers.fetch(self.asm, id)
    }

    /// A register for the result, which may be an operand's: the caller writes it only once
    /// it has read its operands.
    fn define(&mut self, id: ValueId) -> Vector {
        self.registers.define(self.asm, id)
    }

    /// An empty register.
    fn take(&mut self) -> Vector {
        self.registers.take(self.asm)
    }

    /// The stack slot that is nobody's.
    fn spare(&self) -> At {
        let slots = self.program.actions.len() as i64;
        stack_at(slots * self.asm.vector_bytes())
    }
}

/// The bytes from one column to its neighbour when they touch.
const ELEMENT: i64 = crate::schedule::tiles::ELEMENT_BYTES;

/// An entry of the frame.
fn frame(place: PlaceId) -> At {
    At {
        base: Register::RDI,
        offset: place as i64 * FRAME_ENTRY,
    }
}
