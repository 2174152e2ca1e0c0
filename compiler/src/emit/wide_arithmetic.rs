//! The scalar language's operators in wide vectors, register to register.

use super::wide_asm::{At, Vector, WideAsm};
use super::wide_ops::{Compare, Op2, Op3, OpImmediate};
use crate::bug::bug;
use crate::nest::{BinaryOp, UnaryOp};
use crate::schedule::loops::Kind;
use crate::target::Isa;

impl WideAsm {
    /// How many registers of no value [`WideAsm::unary`] needs besides.
    pub fn unary_scratch(&self, op: UnaryOp) -> usize {
        match op {
            UnaryOp::Sqrt if self.isa() == Isa::Avx512 => 2,
            UnaryOp::ToI32 => 2,
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not | UnaryOp::MaskToF32 => 1,
            _ => 0,
        }
    }

    /// `d = op s` for an operand of `kind`; `d` may be `s` unless `op` is a root, `scratch` is
    /// neither.
    pub fn unary(&mut self, op: UnaryOp, kind: Kind, d: Vector, s: Vector, scratch: &[Vector]) {
        match (op, kind) {
            (UnaryOp::Neg, Kind::F32) => self.with_bits(Op3::Xor, d, s, 1 << 31, scratch),
            (UnaryOp::Neg, _) => {
                self.zero(scratch[0]);
                self.op3(Op3::SubI, d, scratch[0], s);
            }
            (UnaryOp::Abs, Kind::F32) => self.with_bits(Op3::And, d, s, !(1 << 31), scratch),
            (UnaryOp::Abs, _) => self.op2(Op2::AbsI, d, s),
            (UnaryOp::Sqrt, _) if self.isa() == Isa::Avx512 => self.root(d, s, scratch),
            (UnaryOp::Sqrt, _) => self.op2(Op2::Sqrt, d, s),
            (UnaryOp::Floor, _) => self.op_immediate(OpImmediate::Round, d, s, 1),
            (UnaryOp::Nearest, _) => self.op_immediate(OpImmediate::Round, d, s, 0),
            (UnaryOp::Not, _) => self.with_bits(Op3::Xor, d, s, u32::MAX, scratch),
            (UnaryOp::ToF32, _) => self.op2(Op2::IntToFloat, d, s),
            (UnaryOp::ToI32, _) => self.float_to_i32(d, s, scratch),
            (UnaryOp::MaskToF32, _) => self.with_bits(Op3::And, d, s, 1.0f32.to_bits(), scratch),
            (UnaryOp::BitsToI32 | UnaryOp::BitsToF32, _) if d == s => {}
            (UnaryOp::BitsToI32 | UnaryOp::BitsToF32, _) => self.op2(Op2::Move, d, s),
        }
    }

    /// `d = sqrt(s)`, correctly rounded as the machine's own instruction is. That takes 19
    /// cycles of the one unit which divisions need too, so that an optimiser's update, which
    /// has one of each, would wait for nothing else. From an estimate of `1 / sqrt(s)` to 14
    /// bits it is one step of Newton's for the root, and one more with what is left over, which
    /// a fused multiplication knows exactly (Markstein, IA-64 and Elementary Functions, 2000).
    /// Where some lane is zero, negative, no number, or so small that what is left over would
    /// be denormal, the instruction does it.
    fn root(&mut self, d: Vector, s: Vector, scratch: &[Vector]) {
        let (half, root) = (scratch[0], scratch[1]);
        let one_half = self.constant(&[0.5f32.to_bits()]);
        self.op2(Op2::ReciprocalRoot, half, s);
        self.op3(Op3::MulF, root, s, half);
        // Of zero and infinity this is no number, as of what has no root.
        let by_instruction = self.unless_from(root, LEAST_ROOT);
        self.broadcast(d, one_half);
        self.op3(Op3::MulF, half, half, d);
        self.multiply_subtract(d, root, half);
        self.multiply_add(root, root, d);
        self.op2(Op2::Move, d, s);
        self.multiply_subtract(d, root, root);
        self.multiply_into(d, half, root);
        self.otherwise(by_instruction, Op2::Sqrt, d, s);
    }

    /// `s op bits`.
    fn with_bits(&mut self, op: Op3, d: Vector, s: Vector, bits: u32, scratch: &[Vector]) {
        let at = self.constant(&[bits]);
        self.broadcast(scratch[0], at);
        self.op3(op, d, scratch[0], s);
    }

    /// The machine's conversion gives `i32::MIN` for what is too large (all ones
    /// exclusive-or make it `i32::MAX`) and for NaN (which becomes 0).
    fn float_to_i32(&mut self, d: Vector, s: Vector, scratch: &[Vector]) {
        const TOO_LARGE: f32 = 2_147_483_648.0;
        let (limit, mask) = (scratch[0], scratch[1]);
        let at = self.constant(&[TOO_LARGE.to_bits()]);
        self.broadcast(limit, at);
        self.compare(Compare::LessEqF, mask, limit, s);
        self.compare(Compare::OrderedF, limit, s, s);
        self.op2(Op2::FloatToInt, d, s);
        self.op3(Op3::Xor, d, d, mask);
        self.op3(Op3::And, d, d, limit);
    }

    /// `d = a op b` for operands of `kind`; `d` is no operand of a comparison.
    pub fn binary(&mut self, op: BinaryOp, kind: Kind, d: Vector, a: Vector, b: Vector) {
        let float = kind == Kind::F32;
        let either = |floats, integers| if float { floats } else { integers };
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
                return self.compare(compare, d, a, b);
            }
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight => bug!("emit", "a shift by a vector"),
        };
        self.op3(op3, d, a, b);
    }

    /// `d = a op number`, the number being read from memory for all lanes: of those operators
    /// that [`takes_number`] tells. 512-bit only.
    pub fn binary_with_number(&mut self, op: BinaryOp, d: Vector, a: Vector, number: At) {
        let op3 = match op {
            BinaryOp::Add => Op3::AddF,
            BinaryOp::Sub => Op3::SubF,
            BinaryOp::Mul => Op3::MulF,
            BinaryOp::Div => Op3::DivF,
            BinaryOp::Max => Op3::MaxF,
            BinaryOp::Min => Op3::MinF,
            _ => bug!("emit", "{op:?} of a number in memory"),
        };
        self.op3_broadcast(op3, d, a, number);
    }

    /// `d = s` shifted by a constant amount.
    pub fn shift(&mut self, op: BinaryOp, d: Vector, s: Vector, amount: u32) {
        let op = match op {
            BinaryOp::ShiftLeft => OpImmediate::ShiftLeft,
            _ => OpImmediate::ShiftRight,
        };
        self.op_immediate(op, d, s, amount);
    }

    /// `d = x * y + z`, rounded once; `d` may be any of them.
    pub fn fused(&mut self, d: Vector, x: Vector, y: Vector, z: Vector) {
        if d == x {
            self.multiply_into(d, y, z);
        } else if d == y {
            self.multiply_into(d, x, z);
        } else {
            if d != z {
                self.op2(Op2::Move, d, z);
            }
            self.multiply_add(d, x, y);
        }
    }
}

/// Whether an operator on floats can read its second operand from memory.
pub(super) fn takes_number(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Div, Max, Min, Mul, Sub};
    matches!(op, Add | Sub | Mul | Div | Max | Min)
}

/// What smaller roots leave over may be denormal: it has 48 bits less than their squares.
const LEAST_ROOT: f32 = f32::from_bits((127 - 39) << 23);

/// Whether an operator compares: its result is no operand's register.
pub(super) fn compares(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Equal)
}
