//! The scalar language's operators in wide vectors, register to register.

use super::wide_asm::{Vector, WideAsm};
use super::wide_ops::{Compare, Op2, Op3, OpImmediate};
use crate::bug::bug;
use crate::nest::{BinaryOp, UnaryOp};
use crate::schedule::loops::Kind;

impl WideAsm {
    /// How many registers of no value [`WideAsm::unary`] needs besides.
    pub fn unary_scratch(op: UnaryOp) -> usize {
        match op {
            UnaryOp::ToI32 => 2,
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not | UnaryOp::MaskToF32 => 1,
            _ => 0,
        }
    }

    /// `d = op s` for an operand of `kind`; `d` may be `s`, `scratch` is neither.
    pub fn unary(&mut self, op: UnaryOp, kind: Kind, d: Vector, s: Vector, scratch: &[Vector]) {
        match (op, kind) {
            (UnaryOp::Neg, Kind::F32) => self.with_bits(Op3::Xor, d, s, 1 << 31, scratch),
            (UnaryOp::Neg, _) => {
                self.zero(scratch[0]);
                self.op3(Op3::SubI, d, scratch[0], s);
            }
            (UnaryOp::Abs, Kind::F32) => self.with_bits(Op3::And, d, s, !(1 << 31), scratch),
            (UnaryOp::Abs, _) => self.op2(Op2::AbsI, d, s),
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

/// Whether an operator compares: its result is no operand's register.
pub(super) fn compares(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Equal)
}
