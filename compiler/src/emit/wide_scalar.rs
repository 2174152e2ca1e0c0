//! The scalar language in wide vectors: computes a tile's epilogue on the registers
//! that hold its sums, one vector of columns after the other.

use iced_x86::Register;
use iced_x86::code_asm::registers::{gpr32, gpr64};
use iced_x86::code_asm::{AsmMemoryOperand, AsmRegister64, dword_ptr, qword_ptr};

use super::tile::{FRAME_ENTRY, Tile, near};
use super::wide_arithmetic::{compares, takes_number};
use super::wide_asm::{At, Vector, WideAsm, must};
use super::wide_ops::{Op2, Op3};
use super::wide_registers::{Action, Program, Registers, stack_at};
use super::wide_transpose::{is_turned, stack_bytes, store_turned};
use crate::bug::bug;
use crate::nest::{BinaryOp, UnaryOp};
use crate::schedule::loops::Kind;
use crate::schedule::tiles::{B, Element, PlaceId, Value, ValueId, Write};
use crate::target::Isa;

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
        registers: Registers::new(&program, same_in_rows(tile), sums..epilogue.registers),
        in_memory: in_memory(tile),
        held: hold(asm, tile),
        row: 0,
        vector: 0,
        lanes: 0,
        asm,
    };
    for vector in 0..epilogue.vectors {
        let last = vector + 1 == epilogue.vectors;
        emitter.lanes = if last {
            epilogue.tail
        } else {
            emitter.asm.lanes()
        };
        emitter.registers.forget();
        for row in 0..epilogue.rows {
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

/// Which values are the same in every row of a tile: constants, a bias, what is made of them.
fn same_in_rows(tile: &Tile<'_>) -> Vec<bool> {
    let linear = &tile.plan.linear;
    let mut same: Vec<bool> = Vec::with_capacity(linear.values.len());
    for value in &linear.values {
        same.push(match *value {
            Value::Sum => false,
            Value::Read(place) => (0..tile.rows()).all(|row| tile.row_offset(place, row) == 0),
            _ => value.operands().all(|operand| same[operand]),
        });
    }
    same
}

/// Which numbers are read from memory by the instructions that need them: registers are few
/// beside a tile's sums.
fn in_memory(tile: &Tile<'_>) -> Vec<bool> {
    let linear = &tile.plan.linear;
    let kinds = linear.kinds();
    let is_number = |value: &Value| matches!(value, Value::Constant(Kind::F32, _));
    let mut numbers: Vec<bool> = match tile.plan.isa {
        Isa::Avx512 => linear.values.iter().map(is_number).collect(),
        Isa::Avx2 | Isa::Portable => vec![false; linear.values.len()],
    };
    for value in &linear.values {
        let in_registers: Vec<ValueId> = match *value {
            Value::Fma(x, y, z) if numbers[z] => vec![x, y],
            Value::Fma(x, y, z) if numbers[y] => vec![x, z],
            Value::Fma(x, y, z) if numbers[x] => vec![y, z],
            Value::Binary(op, x, y) if kinds[x] == Kind::F32 && takes_number(op) => {
                match numbers[y] {
                    true => vec![x],
                    false if commutes(op) => vec![y],
                    false => vec![x, y],
                }
            }
            _ => value.operands().collect(),
        };
        in_registers.into_iter().for_each(|id| numbers[id] = false);
    }
    for write in &linear.writes {
        numbers[write.value] = false;
    }
    numbers
}

/// Whether the order of an operator's operands makes no difference.
fn commutes(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Mul)
}

/// Keeps in registers where the first places that the epilogue touches begin: those of the
/// operands are free by now.
fn hold(asm: &mut WideAsm, tile: &Tile<'_>) -> Vec<(PlaceId, AsmRegister64)> {
    let places = &tile.plan.linear.places;
    let mut registers = [gpr64::rsi, gpr64::rdx, gpr64::r8, gpr64::r9].into_iter();
    let mut held: Vec<(PlaceId, AsmRegister64)> = Vec::new();
    for place in B + 1..places.len() {
        if places[place].element == Element::Index {
            continue;
        }
        let same = held
            .iter()
            .find(|(known, _)| places[*known] == places[place]);
        let register = same.map(|&(_, register)| register).or_else(|| {
            let register = registers.next()?;
            must(asm.code.mov(register, qword_ptr(entry(place))));
            Some(register)
        });
        held.extend(register.map(|register| (place, register)));
    }
    held
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
    /// By value, whether it is a number that is read from memory where it is needed.
    in_memory: Vec<bool>,
    /// Where some places begin.
    held: Vec<(PlaceId, AsmRegister64)>,
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
                Action::Compute(id) if self.registers.holds(id) => {}
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
            Value::Constant(..) if self.in_memory[id] => {}
            Value::Constant(_, bits) => self.constant(id, bits),
            Value::Read(place) => match self.tile.plan.linear.places[place].element {
                Element::Index => self.index(id, place),
                Element::F32(_) | Element::I32(_) => self.read(id, place),
            },
            Value::Sum => bug!("emit", "the sum is where it was summed"),
            Value::Unary(op, x) => self.unary(op, id, x),
            Value::Binary(op, x, y) => self.binary(op, id, x, y),
            Value::Fma(x, y, z) if self.in_memory[z] => self.fused_with_number(id, x, y, z),
            Value::Fma(x, y, z) if self.in_memory[y] => self.fused_by_number(id, x, y, z),
            Value::Fma(x, y, z) if self.in_memory[x] => self.fused_by_number(id, y, x, z),
            Value::Fma(x, y, z) => {
                let (x, y, z) = (self.fetch(x), self.fetch(y), self.fetch(z));
                let d = self.define(id);
                self.asm.fused(d, x, y, z);
            }
            Value::Select(mask, yes, no) => {
                let (mask, yes, no) = (self.fetch(mask), self.fetch(yes), self.fetch(no));
                let d = self.take();
                self.asm.select(d, mask, yes, no);
                self.registers.assign(id, d);
            }
        }
    }

    /// A step of a polynomial, its coefficient read from memory.
    fn fused_with_number(&mut self, id: ValueId, x: ValueId, y: ValueId, z: ValueId) {
        let number = self.number(z);
        let (x, y) = (self.fetch(x), self.fetch(y));
        let d = self.define(id);
        let (kept, other) = if d == y { (y, x) } else { (x, y) };
        if d != kept {
            self.asm.op2(Op2::Move, d, kept);
        }
        self.asm.multiply_into_number(d, other, number);
    }

    /// `x * y + z`, the number `y` read from memory.
    fn fused_by_number(&mut self, id: ValueId, x: ValueId, y: ValueId, z: ValueId) {
        let number = self.number(y);
        let (x, z) = (self.fetch(x), self.fetch(z));
        let d = self.define(id);
        if d == x {
            return self.asm.multiply_by_number(d, z, number);
        }
        if d != z {
            self.asm.op2(Op2::Move, d, z);
        }
        self.asm.multiply_add_broadcast(d, x, number);
    }

    /// Where a number stands.
    fn number(&mut self, id: ValueId) -> At {
        match self.tile.plan.linear.values[id] {
            Value::Constant(_, bits) => self.asm.constant(&[bits]),
            _ => bug!("emit", "no number is read from memory"),
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
        match self.tile.column_stride(place) {
            0 => {
                let from = self.address(place);
                self.asm.broadcast(d, from);
            }
            ELEMENT => {
                let from = self.address(place);
                self.asm.load_first(d, from, self.lanes);
            }
            stride => {
                // Lane by lane through the stack.
                let from = self.point_at(place);
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
        match self.tile.column_stride(place) {
            ELEMENT => {
                let to = self.address(place);
                let scratch = self.take();
                self.asm.store_first(to, value, self.lanes, scratch);
                self.registers.give(scratch);
            }
            stride => {
                let to = self.point_at(place);
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
        let scratch: Vec<Vector> = (0..self.asm.unary_scratch(op))
            .map(|_| self.take())
            .collect();
        let d = match op {
            UnaryOp::Sqrt => self.take_for(id),
            _ => self.define(id),
        };
        self.asm.unary(op, kind, d, s, &scratch);
        scratch
            .into_iter()
            .for_each(|register| self.registers.give(register));
    }

    fn binary(&mut self, op: BinaryOp, id: ValueId, x: ValueId, y: ValueId) {
        if let BinaryOp::ShiftLeft | BinaryOp::ShiftRight = op {
            let Value::Constant(_, amount) = self.tile.plan.linear.values[y] else {
                bug!("emit", "a shift by no constant");
            };
            let s = self.fetch(x);
            let d = self.define(id);
            return self.asm.shift(op, d, s, amount);
        }
        for (number, other) in [(y, x), (x, y)] {
            if self.in_memory[number] {
                let number = self.number(number);
                let other = self.fetch(other);
                let d = self.define(id);
                return self.asm.binary_with_number(op, d, other, number);
            }
        }
        let (a, b) = (self.fetch(x), self.fetch(y));
        let d = match compares(op) {
            true => self.take_for(id),
            false => self.define(id),
        };
        self.asm.binary(op, self.kinds[x], d, a, b);
    }

    /// Where this row and vector of a place begin. May take [`POINTER`].
    fn address(&mut self, place: PlaceId) -> At {
        let held = self.held.iter().find(|(held, _)| *held == place);
        match held {
            Some(&(_, register)) => At {
                base: register.into(),
                offset: self.offset(place),
            },
            None => self.point_at(place),
        }
    }

    /// The same, by way of [`POINTER`].
    fn point_at(&mut self, place: PlaceId) -> At {
        if self.tile.plan.linear.places[place].element == Element::Index {
            bug!("emit", "an index has no address");
        };
        must(self.asm.code.mov(gpr64::r10, qword_ptr(entry(place))));
        At {
            base: POINTER,
            offset: self.offset(place),
        }
    }

    /// From where a place begins to this row and vector of it.
    fn offset(&self, place: PlaceId) -> i64 {
        let first_column = (self.vector * self.asm.lanes()) as i64;
        self.tile.row_offset(place, self.row) + first_column * self.tile.column_stride(place)
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

    /// A register for the result that is no operand's.
    fn take_for(&mut self, id: ValueId) -> Vector {
        let register = self.take();
        self.registers.assign(id, register);
        register
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

/// Where the frame says where a place begins.
fn entry(place: PlaceId) -> AsmMemoryOperand {
    gpr64::rdi + place as i32 * FRAME_ENTRY as i32
}

/// An entry of the frame.
fn frame(place: PlaceId) -> At {
    At {
        base: Register::RDI,
        offset: place as i64 * FRAME_ENTRY,
    }
}
