//! The scalar language in CLIF, one element or a vector of four at a time.
//!
//! A mask is an `i8` of 0 or 1 for one element and an `I32X4` of all or no bits for four.

use crate::nest::{BinaryOp, Combine, UnaryOp};
use crate::schedule::loops::Kind;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, Type, types};
use cranelift_frontend::FunctionBuilder;

/// How many elements a value holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lanes {
    /// One.
    One,
    /// A vector.
    Four,
}
use Lanes::{Four, One};

/// The CLIF type of a value.
pub fn clif_type(kind: Kind, lanes: Lanes) -> Type {
    match (kind, lanes) {
        (Kind::F32, One) => types::F32,
        (Kind::I32, One) => types::I32,
        (Kind::Mask, One) => types::I8,
        (Kind::F32, Four) => types::F32X4,
        (Kind::I32 | Kind::Mask, Four) => types::I32X4,
    }
}

/// A literal by its bits; a mask's are all or none.
pub fn constant(b: &mut FunctionBuilder, kind: Kind, lanes: Lanes, bits: u32) -> ir::Value {
    match (kind, lanes) {
        (Kind::F32, One) => b.ins().f32const(f32::from_bits(bits)),
        (Kind::I32, One) => b.ins().iconst(types::I32, i64::from(bits)),
        (Kind::Mask, One) => b.ins().iconst(types::I8, i64::from(bits & 1)),
        (_, Four) => vector(b, kind, [bits; 4]),
    }
}

/// A literal vector.
pub fn vector(b: &mut FunctionBuilder, kind: Kind, lanes: [u32; 4]) -> ir::Value {
    let bytes: Vec<u8> = lanes.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let handle = b.func.dfg.constants.insert(bytes.into());
    b.ins().vconst(clif_type(kind, Four), handle)
}

/// The same element in every lane.
pub fn splat(b: &mut FunctionBuilder, kind: Kind, a: ir::Value) -> ir::Value {
    let a = match kind {
        Kind::Mask => b.ins().bmask(types::I32, a),
        Kind::F32 | Kind::I32 => a,
    };
    b.ins().splat(clif_type(kind, Four), a)
}

/// An operator with one operand of `kind`.
pub fn unary(
    b: &mut FunctionBuilder,
    op: UnaryOp,
    kind: Kind,
    lanes: Lanes,
    a: ir::Value,
) -> ir::Value {
    match (op, kind, lanes) {
        (UnaryOp::Neg, Kind::F32, _) => b.ins().fneg(a),
        (UnaryOp::Neg, ..) => b.ins().ineg(a),
        (UnaryOp::Abs, Kind::F32, _) => b.ins().fabs(a),
        (UnaryOp::Abs, ..) => b.ins().iabs(a),
        (UnaryOp::Sqrt, ..) => b.ins().sqrt(a),
        (UnaryOp::Floor, ..) => b.ins().floor(a),
        (UnaryOp::Nearest, ..) => b.ins().nearest(a),
        (UnaryOp::Not, Kind::Mask, One) => b.ins().bxor_imm_u(a, 1),
        (UnaryOp::Not, ..) => b.ins().bnot(a),
        (UnaryOp::ToF32, ..) => b.ins().fcvt_from_sint(clif_type(Kind::F32, lanes), a),
        (UnaryOp::ToI32, ..) => b.ins().fcvt_to_sint_sat(clif_type(Kind::I32, lanes), a),
        (UnaryOp::MaskToF32, _, One) => {
            let one = constant(b, Kind::F32, One, 1f32.to_bits());
            let zero = constant(b, Kind::F32, One, 0);
            b.ins().select(a, one, zero)
        }
        (UnaryOp::MaskToF32, _, Four) => {
            let one = constant(b, Kind::I32, Four, 1f32.to_bits());
            let bits = b.ins().band(a, one);
            same_bits(b, types::F32X4, bits)
        }
        (UnaryOp::BitsToI32, ..) => same_bits(b, clif_type(Kind::I32, lanes), a),
        (UnaryOp::BitsToF32, ..) => same_bits(b, clif_type(Kind::F32, lanes), a),
    }
}

/// An operator with two operands of `kind`. The amount of a shift is one element.
pub fn binary(
    b: &mut FunctionBuilder,
    op: BinaryOp,
    kind: Kind,
    lanes: Lanes,
    x: ir::Value,
    y: ir::Value,
) -> ir::Value {
    let float = kind == Kind::F32;
    match op {
        BinaryOp::Add if float => b.ins().fadd(x, y),
        BinaryOp::Add => b.ins().iadd(x, y),
        BinaryOp::Sub if float => b.ins().fsub(x, y),
        BinaryOp::Sub => b.ins().isub(x, y),
        BinaryOp::Mul if float => b.ins().fmul(x, y),
        BinaryOp::Mul => b.ins().imul(x, y),
        BinaryOp::Div => b.ins().fdiv(x, y),
        // These comparisons are the ones that become a single instruction.
        BinaryOp::Max if float => {
            let mask = fcmp(b, FloatCC::LessThan, y, x);
            select(b, kind, lanes, mask, x, y)
        }
        BinaryOp::Min if float => {
            let mask = fcmp(b, FloatCC::LessThan, x, y);
            select(b, kind, lanes, mask, x, y)
        }
        BinaryOp::Max => b.ins().smax(x, y),
        BinaryOp::Min => b.ins().smin(x, y),
        BinaryOp::And => b.ins().band(x, y),
        BinaryOp::Or => b.ins().bor(x, y),
        BinaryOp::Xor => b.ins().bxor(x, y),
        BinaryOp::ShiftLeft => b.ins().ishl(x, y),
        BinaryOp::ShiftRight => b.ins().ushr(x, y),
        BinaryOp::Less if float => fcmp(b, FloatCC::LessThan, x, y),
        BinaryOp::Less => b.ins().icmp(IntCC::SignedLessThan, x, y),
        BinaryOp::LessEq if float => fcmp(b, FloatCC::LessThanOrEqual, x, y),
        BinaryOp::LessEq => b.ins().icmp(IntCC::SignedLessThanOrEqual, x, y),
        BinaryOp::Equal if float => fcmp(b, FloatCC::Equal, x, y),
        BinaryOp::Equal => b.ins().icmp(IntCC::Equal, x, y),
    }
}

/// Where the mask is true `x`, else `y`, both of `kind`.
pub fn select(
    b: &mut FunctionBuilder,
    kind: Kind,
    lanes: Lanes,
    mask: ir::Value,
    x: ir::Value,
    y: ir::Value,
) -> ir::Value {
    match lanes {
        One => b.ins().select(mask, x, y),
        Four => {
            let mask = match kind {
                Kind::F32 => same_bits(b, types::F32X4, mask),
                Kind::I32 | Kind::Mask => mask,
            };
            b.ins().bitselect(mask, x, y)
        }
    }
}

/// What a reduction starts from.
pub fn identity(b: &mut FunctionBuilder, combine: Combine, kind: Kind, lanes: Lanes) -> ir::Value {
    constant(b, kind, lanes, combine.neutral(kind.dtype()))
}

/// One more element into a reduction.
pub fn combine(
    b: &mut FunctionBuilder,
    combine: Combine,
    kind: Kind,
    lanes: Lanes,
    so_far: ir::Value,
    x: ir::Value,
) -> ir::Value {
    match (combine, kind) {
        (Combine::Sum, _) => binary(b, BinaryOp::Add, kind, lanes, so_far, x),
        (Combine::Max, Kind::F32) => keep_nan(b, BinaryOp::Max, lanes, so_far, x),
        (Combine::Min, Kind::F32) => keep_nan(b, BinaryOp::Min, lanes, so_far, x),
        (Combine::Max, _) => binary(b, BinaryOp::Max, kind, lanes, so_far, x),
        (Combine::Min, _) => binary(b, BinaryOp::Min, kind, lanes, so_far, x),
    }
}

/// The operator gives the second operand where one is NaN; a NaN that comes first must be
/// kept, and all bits set are a NaN too.
fn keep_nan(
    b: &mut FunctionBuilder,
    op: BinaryOp,
    lanes: Lanes,
    so_far: ir::Value,
    x: ir::Value,
) -> ir::Value {
    let best = binary(b, op, Kind::F32, lanes, so_far, x);
    let is_nan = fcmp(b, FloatCC::Unordered, so_far, so_far);
    match lanes {
        One => b.ins().select(is_nan, so_far, best),
        Four => {
            let best = same_bits(b, types::I32X4, best);
            let bits = b.ins().bor(best, is_nan);
            same_bits(b, types::F32X4, bits)
        }
    }
}

/// Where the mask is true `x`, else all bits zero.
pub fn select_or_zero(
    b: &mut FunctionBuilder,
    kind: Kind,
    mask: ir::Value,
    x: ir::Value,
) -> ir::Value {
    let x = same_bits(b, types::I32X4, x);
    let bits = b.ins().band(mask, x);
    same_bits(b, clif_type(kind, Four), bits)
}

fn fcmp(b: &mut FunctionBuilder, condition: FloatCC, x: ir::Value, y: ir::Value) -> ir::Value {
    b.ins().fcmp(condition, x, y)
}

fn same_bits(b: &mut FunctionBuilder, ty: Type, a: ir::Value) -> ir::Value {
    if b.func.dfg.value_type(a) == ty {
        return a;
    }
    let little = MemFlagsData::new().with_endianness(Endianness::Little);
    b.ins().bitcast(ty, little, a)
}
