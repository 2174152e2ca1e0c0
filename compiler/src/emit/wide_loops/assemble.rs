//! From a program of vectors to instructions: `kernel(args, begin, end)`, System V.

use super::homes::{Home, Homes};
use super::lives::Lives;
use super::program::{Item, Loop, MoverId, Op, Origin, Program, Rounds, Spot, Virtual, Width};
use super::registers::Registers;
use crate::emit::wide_arithmetic::compares;
use crate::emit::wide_asm::{At, Vector, WideAsm, must};
use crate::index::Dim;
use crate::nest::UnaryOp;
use crate::schedule::loops::LoopPlan;
use iced_x86::Register;
use iced_x86::code_asm::{AsmRegister64, qword_ptr, registers::gpr32, registers::gpr64};

/// The bytes of a kernel.
pub(super) fn assemble(plan: &LoopPlan, program: &Program) -> Vec<u8> {
    let lives = Lives::of(program);
    let mut asm = WideAsm::new(plan.isa);
    let indices = plan.tasks.loops + 1;
    let homes = Homes::of(program, INDICES + 8 * indices as i32);
    let base = (homes.end as usize).next_multiple_of(ALIGNED as usize) as i64;
    let stack = base + lives.most() as i64 * asm.vector_bytes() + ALIGNED;
    let values = plan.isa.registers() - SCRATCH;
    let mut assembler = Assembler {
        registers: Registers::new(lives, &program.constants, values, base),
        scratch: [Vector(values as u8), Vector(values as u8 + 1)],
        asm: &mut asm,
        plan,
        program,
        homes,
        depth: 0,
    };
    assembler.enter(stack);
    assembler.items(&program.items);
    assembler.leave();
    asm.finish()
}

/// Vector registers that hold no value for longer than an instruction or two.
const SCRATCH: usize = 2;

/// Of the stack, as vectors like to lie.
const ALIGNED: i64 = 64;

// The stack from its top: a vector that is nobody's, numbers, the indices at a task's start,
// movers and counters without a register, values without a register.
const SPARE: i32 = 0;
const CALLERS_STACK: i32 = 64;
const TASK: i32 = 72;
const END: i32 = 80;
const INDICES: i32 = 88;

/// The addresses of the arguments.
const ARGUMENTS: AsmRegister64 = gpr64::rdi;
/// How many elements of the task's share are left.
const REST: AsmRegister64 = gpr64::r10;
const ADDRESS: AsmRegister64 = gpr64::r11;
const OTHER: AsmRegister64 = gpr64::rdx;

/// What the caller wants back as it was.
const SAVED: [AsmRegister64; 6] = [
    gpr64::rbx,
    gpr64::rbp,
    gpr64::r12,
    gpr64::r13,
    gpr64::r14,
    gpr64::r15,
];

struct Assembler<'a> {
    asm: &'a mut WideAsm,
    plan: &'a LoopPlan,
    program: &'a Program,
    registers: Registers,
    scratch: [Vector; SCRATCH],
    homes: Homes,
    /// How many loops with a counter are open.
    depth: usize,
}

impl Assembler<'_> {
    fn enter(&mut self, stack: i64) {
        for register in SAVED {
            must(self.asm.code.push(register));
        }
        must(self.asm.code.mov(ADDRESS, gpr64::rsp));
        must(self.asm.code.sub(gpr64::rsp, stack as i32));
        must(self.asm.code.and(gpr64::rsp, -(ALIGNED as i32)));
        must(self.asm.code.mov(at_stack(CALLERS_STACK), ADDRESS));
        must(self.asm.code.mov(at_stack(TASK), gpr64::rsi));
        must(self.asm.code.mov(at_stack(END), gpr64::rdx));
        for tail in tails(&self.program.items) {
            self.asm.set_tail(tail);
        }
        self.asm.point_at_pool();
        for mover in 0..self.program.movers.len() {
            self.place_mover(mover, &[]);
        }
    }

    fn leave(&mut self) {
        must(self.asm.code.mov(gpr64::rsp, at_stack(CALLERS_STACK)));
        for register in SAVED.into_iter().rev() {
            must(self.asm.code.pop(register));
        }
        must(self.asm.code.vzeroupper());
        must(self.asm.code.ret());
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Compute(id, op) => {
                    self.compute(*id, op);
                    self.registers.step();
                }
                Item::Store { to, value, width } => {
                    let value = self.registers.fetch(self.asm, *value);
                    self.store(*to, value, *width);
                    self.registers.step();
                }
                Item::Move(moves) => {
                    self.advance(moves);
                    self.registers.step();
                }
                Item::Loop(inner) => self.a_loop(inner),
            }
        }
    }

    fn a_loop(&mut self, inner: &Loop) {
        let kept = self.registers.enter(self.asm, &inner.carried);
        let mut again = self.asm.code.create_label();
        let mut done = self.asm.code.create_label();
        match inner.rounds {
            Rounds::Fixed(rounds) => {
                let counter = self.homes.counters[self.depth];
                self.depth += 1;
                self.set(counter, rounds as i64);
                must(self.asm.code.set_label(&mut again));
                self.items(&inner.body);
                self.registers.turn(self.asm, &kept);
                self.advance(&inner.steps);
                must(match counter {
                    Home::Register(counter) => self.asm.code.dec(counter),
                    Home::Stack(offset) => self.asm.code.dec(at_stack(offset)),
                });
                must(self.asm.code.jnz(again));
                self.depth -= 1;
            }
            Rounds::Share(step) => {
                must(self.asm.code.cmp(REST, step as i32));
                must(self.asm.code.jb(done));
                must(self.asm.code.set_label(&mut again));
                self.items(&inner.body);
                self.advance(&inner.steps);
                must(self.asm.code.sub(REST, step as i32));
                must(self.asm.code.cmp(REST, step as i32));
                must(self.asm.code.jae(again));
                must(self.asm.code.set_label(&mut done));
            }
            Rounds::Tasks => {
                must(self.asm.code.set_label(&mut again));
                must(self.asm.code.mov(gpr64::rax, at_stack(TASK)));
                must(self.asm.code.cmp(gpr64::rax, at_stack(END)));
                must(self.asm.code.jae(done));
                self.begin_task();
                self.items(&inner.body);
                must(self.asm.code.inc(at_stack(TASK)));
                must(self.asm.code.jmp(again));
                must(self.asm.code.set_label(&mut done));
                // Labels point at instructions.
                must(self.asm.code.nop());
            }
        }
        self.registers.leave(kept);
    }

    /// Finds the indices at which the task in RAX begins, and takes the movers there.
    fn begin_task(&mut self) {
        let extents = &self.plan.flat.extents;
        let tasks = self.plan.tasks;
        let mut dims: Vec<Dim> = (0..tasks.loops).collect();
        if let Some(rounds) = tasks.chunk {
            let extent = extents[tasks.loops];
            self.peel(tasks.loops, extent.div_ceil(rounds));
            must(self.asm.code.imul_3(OTHER, OTHER, rounds as i32));
            must(self.asm.code.mov(at_stack(index(tasks.loops)), OTHER));
            must(self.asm.code.mov(REST, extent as i64));
            must(self.asm.code.sub(REST, OTHER));
            must(self.asm.code.mov(OTHER, rounds as i64));
            must(self.asm.code.cmp(REST, OTHER));
            must(self.asm.code.cmova(REST, OTHER));
            dims.push(tasks.loops);
        }
        for dim in (0..tasks.loops).rev() {
            self.peel(dim, extents[dim]);
            must(self.asm.code.mov(at_stack(index(dim)), OTHER));
        }
        for mover in 0..self.program.movers.len() {
            if !self.program.movers[mover].terms.is_empty() {
                self.place_mover(mover, &dims);
            }
        }
        self.asm.point_at_pool();
    }

    /// Takes the index of loop `dim` out of RAX, what is left of a task's number, into RDX; that of
    /// the outermost loop is all of it.
    fn peel(&mut self, dim: Dim, indices: usize) {
        if dim == 0 {
            must(self.asm.code.mov(OTHER, gpr64::rax));
        } else {
            must(self.asm.code.xor(gpr32::edx, gpr32::edx));
            must(self.asm.code.mov(ADDRESS, indices as i64));
            must(self.asm.code.div(ADDRESS));
        }
    }

    /// Takes a mover to the task's indices of these loops, and to 0 of all others. Takes RAX
    /// where it has such.
    fn place_mover(&mut self, id: MoverId, dims: &[Dim]) {
        let mover = &self.program.movers[id];
        match mover.origin {
            Origin::Argument(argument) => {
                let entry = qword_ptr(ARGUMENTS + argument as i32 * 8);
                must(self.asm.code.mov(ADDRESS, entry));
            }
            Origin::Number => must(self.asm.code.xor(gpr32::r11d, gpr32::r11d)),
        }
        self.add_to(Home::Register(ADDRESS), mover.base * mover.scale());
        for &dim in dims {
            let step = mover.step(dim);
            if step != 0 {
                must(self.asm.code.mov(OTHER, at_stack(index(dim))));
                must(self.asm.code.mov(gpr64::rax, step));
                must(self.asm.code.imul_2(OTHER, gpr64::rax));
                must(self.asm.code.add(ADDRESS, OTHER));
            }
        }
        must(match self.homes.movers[id] {
            Home::Register(register) => self.asm.code.mov(register, ADDRESS),
            Home::Stack(offset) => self.asm.code.mov(at_stack(offset), ADDRESS),
        });
    }

    fn advance(&mut self, moves: &[(MoverId, i64)]) {
        for &(id, bytes) in moves {
            self.add_to(self.homes.movers[id], bytes);
        }
    }

    fn set(&mut self, home: Home, value: i64) {
        must(match home {
            Home::Register(register) => self.asm.code.mov(register, value),
            Home::Stack(offset) => self.asm.code.mov(at_stack(offset), value as i32),
        });
    }

    fn add_to(&mut self, home: Home, bytes: i64) {
        if bytes == 0 {
            return;
        }
        match (home, i32::try_from(bytes)) {
            (Home::Register(register), Ok(bytes)) => must(self.asm.code.add(register, bytes)),
            (Home::Stack(offset), Ok(bytes)) => must(self.asm.code.add(at_stack(offset), bytes)),
            (Home::Register(register), Err(_)) => {
                must(self.asm.code.mov(OTHER, bytes));
                must(self.asm.code.add(register, OTHER));
            }
            (Home::Stack(offset), Err(_)) => {
                must(self.asm.code.mov(OTHER, bytes));
                must(self.asm.code.add(at_stack(offset), OTHER));
            }
        }
    }

    fn compute(&mut self, id: Virtual, op: &Op) {
        let operands: Vec<Virtual> = op.operands().collect();
        let sources: Vec<Vector> = operands
            .iter()
            .map(|&operand| self.registers.fetch(self.asm, operand))
            .collect();
        let may_be: &[Virtual] = match op {
            Op::Unary(UnaryOp::Sqrt, ..) => &[],
            Op::Unary(..) | Op::Shift(..) | Op::Swap(..) | Op::Fma(..) => &operands,
            Op::Binary(op, ..) if !compares(*op) => &operands,
            Op::Select(..) => &operands[..1],
            _ => &[],
        };
        let d = self.registers.define(self.asm, id, may_be);
        match *op {
            Op::Load(from, width) => self.load(d, from, width),
            Op::Index(from, per_lane) => self.index(d, from, per_lane),
            Op::FirstLanes(count) => {
                let at = self.asm.first_lanes(count);
                self.asm.load(d, at);
            }
            Op::Unary(op, kind, _) => self.asm.unary(op, kind, d, sources[0], &self.scratch),
            Op::Binary(op, kind, ..) => self.asm.binary(op, kind, d, sources[0], sources[1]),
            Op::Shift(op, _, amount) => self.asm.shift(op, d, sources[0], amount),
            Op::Fma(..) => self.asm.fused(d, sources[0], sources[1], sources[2]),
            Op::Select(..) => {
                // The mask may be one of the numbers too, as bits.
                let mask = if d == sources[1] || d == sources[2] {
                    self.scratch[0]
                } else {
                    d
                };
                self.asm.select(mask, sources[0], sources[1], sources[2]);
                if mask != d {
                    self.asm.op2(crate::emit::wide_ops::Op2::Move, d, mask);
                }
            }
            Op::Swap(_, distance) => self.asm.swap(d, sources[0], distance),
        }
    }

    fn load(&mut self, d: Vector, from: Spot, width: Width) {
        let from = self.address(from);
        match width {
            Width::Single => self.asm.broadcast(d, from),
            Width::Neighbours(lanes) => self.asm.load_first(d, from, lanes),
            Width::Apart { lanes, step } => {
                self.asm.gather(d, from, step, lanes, self.scratch);
            }
        }
    }

    /// The number, plus what its offset and each lane add.
    fn index(&mut self, d: Vector, from: Spot, per_lane: i64) {
        let Home::Stack(offset) = self.homes.movers[from.mover] else {
            unreachable!("numbers are on the stack");
        };
        self.asm.broadcast(d, stack(offset));
        let lanes: Vec<u32> = (0..self.asm.lanes() as i64)
            .map(|lane| (from.offset + per_lane * lane) as u32)
            .collect();
        if lanes.iter().any(|&added| added != 0) {
            let at = self.asm.constant(&lanes);
            self.asm.load(self.scratch[0], at);
            self.asm
                .op3(crate::emit::wide_ops::Op3::AddI, d, d, self.scratch[0]);
        }
    }

    fn store(&mut self, to: Spot, value: Vector, width: Width) {
        let to = self.address(to);
        match width {
            Width::Single => self.asm.store_single(to, value),
            Width::Neighbours(lanes) => self.asm.store_first(to, value, lanes, self.scratch[0]),
            Width::Apart { lanes, step } => {
                let spare = stack(SPARE);
                self.asm
                    .scatter(to, value, step, lanes, self.scratch, spare);
            }
        }
    }

    /// Where a spot is; takes [`ADDRESS`] if its mover has no register.
    fn address(&mut self, spot: Spot) -> At {
        let base = match self.homes.movers[spot.mover] {
            Home::Register(register) => register,
            Home::Stack(offset) => {
                must(self.asm.code.mov(ADDRESS, at_stack(offset)));
                ADDRESS
            }
        };
        At {
            base: Register::from(base),
            offset: spot.offset,
        }
    }
}

/// A number on the stack.
fn at_stack(offset: i32) -> iced_x86::code_asm::AsmMemoryOperand {
    qword_ptr(gpr64::rsp + offset)
}

fn stack(offset: i32) -> At {
    At {
        base: Register::RSP,
        offset: i64::from(offset),
    }
}

/// Where the index of a loop at a task's start lies.
fn index(dim: Dim) -> i32 {
    INDICES + 8 * dim as i32
}

/// How many lanes count in vectors that are not whole.
fn tails(items: &[Item]) -> Vec<usize> {
    let mut found = Vec::new();
    collect_tails(items, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn collect_tails(items: &[Item], found: &mut Vec<usize>) {
    for item in items {
        match item {
            Item::Compute(_, Op::Load(_, width)) | Item::Store { width, .. } => match *width {
                Width::Neighbours(lanes) | Width::Apart { lanes, .. } => found.push(lanes),
                Width::Single => {}
            },
            Item::Compute(..) | Item::Move(_) => {}
            Item::Loop(inner) => collect_tails(&inner.body, found),
        }
    }
}
