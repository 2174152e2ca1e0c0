//! Scalar expressions by the names of their operators.

use super::{BinaryOp, Scalar, ScalarId, ScalarPool, UnaryOp};

impl ScalarPool {
    /// `a * b + c` with one rounding.
    pub fn fma(&mut self, a: ScalarId, b: ScalarId, c: ScalarId) -> ScalarId {
        self.add(Scalar::Fma(a, b, c))
    }

    /// Where the mask is true `a`, else `b`.
    pub fn select(&mut self, mask: ScalarId, a: ScalarId, b: ScalarId) -> ScalarId {
        self.add(Scalar::Select(mask, a, b))
    }

    /// `((c0 * x + c1) * x + c2) ...`, coefficients from the highest power down.
    pub fn polynomial(&mut self, x: ScalarId, coefficients: &[f32]) -> ScalarId {
        let mut coefficients = coefficients.iter();
        let first = coefficients.next().map_or(0.0, |&c| c);
        let mut y = self.f32(first);
        for &c in coefficients {
            let c = self.f32(c);
            y = self.fma(y, x, c);
        }
        y
    }
}

macro_rules! named {
    ($($method:ident $name:ident($($x:ident),+) = $op:ident::$variant:ident;)+) => {
        /// Operators by name.
        impl ScalarPool {
            $(
                #[doc = concat!("[`", stringify!($op), "::", stringify!($variant), "`].")]
                pub fn $name(&mut self, $($x: ScalarId),+) -> ScalarId {
                    self.$method($op::$variant, $($x),+)
                }
            )+
        }
    };
}

named! {
    unary neg(x) = UnaryOp::Neg;
    unary abs(x) = UnaryOp::Abs;
    unary nearest(x) = UnaryOp::Nearest;
    unary to_f32(x) = UnaryOp::ToF32;
    unary to_i32(x) = UnaryOp::ToI32;
    unary bits_to_i32(x) = UnaryOp::BitsToI32;
    unary bits_to_f32(x) = UnaryOp::BitsToF32;
    binary plus(a, b) = BinaryOp::Add;
    binary minus(a, b) = BinaryOp::Sub;
    binary times(a, b) = BinaryOp::Mul;
    binary over(a, b) = BinaryOp::Div;
    binary max(a, b) = BinaryOp::Max;
    binary min(a, b) = BinaryOp::Min;
    binary and(a, b) = BinaryOp::And;
    binary or(a, b) = BinaryOp::Or;
    binary xor(a, b) = BinaryOp::Xor;
    binary shift_left(a, b) = BinaryOp::ShiftLeft;
    binary shift_right(a, b) = BinaryOp::ShiftRight;
    binary less(a, b) = BinaryOp::Less;
    binary less_eq(a, b) = BinaryOp::LessEq;
    binary equal(a, b) = BinaryOp::Equal;
}
