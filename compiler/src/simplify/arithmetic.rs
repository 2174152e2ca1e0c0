//! Rewrites of sums, products and powers.

use super::rewrite::Rewrite;
use crate::graph::{DType, NodeId, Op, Type};
use crate::ops::{self, Precision, Tensor};

/// A pointwise operation on constants is a constant.
pub fn fold_constants(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !r.is_pointwise(id) {
        return None;
    }
    let scalar = |dtype: DType| Type {
        dtype,
        shape: Vec::new(),
    };
    let operands: Option<Vec<Tensor>> = r
        .inputs(id)
        .iter()
        .map(|&x| {
            let ty = scalar(r.g.ty(x).dtype);
            let value = Precision::F64.round(r.constant(x)?, ty.dtype);
            Some(Tensor {
                ty,
                elements: vec![value],
            })
        })
        .collect();
    let operands = operands?;
    let operands: Vec<&Tensor> = operands.iter().collect();
    let ty = scalar(r.g.ty(id).dtype);
    let value = ops::eval(r.op(id), &operands, &ty, Precision::F64).elements[0];
    Some(r.g.constant_like(value, id))
}

/// `stop_gradient(x) = x`, now that gradients are made.
pub fn drop_stop_gradient(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [x] = r.operands(id, &Op::StopGradient)?;
    Some(x)
}

/// `c + x = x + c`: so the rules below look for constants on the right alone.
pub fn constant_last(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let commutes = matches!(
        r.op(id),
        Op::Add | Op::Mul | Op::Max | Op::Min | Op::Equal | Op::And | Op::Or
    );
    let &[a, b] = r.inputs(id) else { return None };
    let swapped = commutes && r.constant(a).is_some() && r.constant(b).is_none();
    swapped.then(|| r.like(id, &[b, a]))
}

/// `x + 0`, `x - 0`, `x * 1`, `x / 1`, `x and true`, `x or false` are x.
pub fn drop_neutral(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let &[x, c] = r.inputs(id) else { return None };
    let neutral = match r.op(id) {
        Op::Add | Op::Sub | Op::Or => 0.0,
        Op::Mul | Op::Div | Op::Pow | Op::And => 1.0,
        _ => return None,
    };
    (r.constant(c)? == neutral).then_some(x)
}

/// `x * 0 = 0`, `x and false = false`, `0 / x = 0`.
pub fn times_zero(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let &[a, b] = r.inputs(id) else { return None };
    let zero = match r.op(id) {
        Op::Mul | Op::And => b,
        Op::Div => a,
        _ => return None,
    };
    (r.constant(zero)? == 0.0).then_some(zero)
}

/// `(x * c) * d = x * (c * d)`, `(c / x) * d = (c * d) / x`, `(x + c) + d = x + (c + d)`.
pub fn group_constants(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let &[inner, d] = r.inputs(id) else {
        return None;
    };
    let d = r.constant(d)?;
    let (op, _) = r.parts(id);
    let (inner_op, inner_inputs) = r.parts(inner);
    let [x, y] = inner_inputs[..] else {
        return None;
    };
    let (cx, cy) = (r.constant(x), r.constant(y));
    match (op, inner_op, cx, cy) {
        (Op::Mul, Op::Mul, None, Some(c)) => {
            let factor = r.g.constant_like(c * d, y);
            Some(r.g.mul(x, factor))
        }
        (Op::Mul, Op::Div, Some(c), None) => {
            let numerator = r.g.constant_like(c * d, x);
            Some(r.g.div(numerator, y))
        }
        (Op::Add, Op::Add, None, Some(c)) => {
            let term = r.g.constant_like(c + d, y);
            Some(r.g.add(x, term))
        }
        (Op::Add, Op::Sub, Some(c), None) => {
            let term = r.g.constant_like(c + d, x);
            Some(r.g.sub(term, y))
        }
        _ => None,
    }
}

/// `x * a + x * b = x * (a + b)`, also where x stands deeper in the products: what a gradient
/// is multiplied by is then one value, to be kept from the forward pass, and not several.
pub fn factor_out(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !matches!(r.op(id), Op::Add | Op::Sub) {
        return None;
    }
    let &[a, b] = r.inputs(id) else { return None };
    let (mut a, mut b) = (factors(r, a)?, factors(r, b)?);
    let (in_a, in_b) = a.iter().enumerate().find_map(|(in_a, x)| {
        let in_b = b.iter().position(|y| x == y)?;
        r.constant(*x).is_none().then_some((in_a, in_b))
    })?;
    let x = a.remove(in_a);
    b.remove(in_b);
    let (a, b) = (product(r, &a)?, product(r, &b)?);
    let sum = r.like(id, &[a, b]);
    Some(r.g.mul(x, sum))
}

/// Two factors or more of a product that nobody else reads.
fn factors(r: &Rewrite, id: NodeId) -> Option<Vec<NodeId>> {
    let [a, b] = r.operands(id, &Op::Mul).filter(|_| r.read_once(id))?;
    let apart = |x: NodeId| factors(r, x).unwrap_or_else(|| vec![x]);
    Some([apart(a), apart(b)].concat())
}

fn product(r: &mut Rewrite, factors: &[NodeId]) -> Option<NodeId> {
    let (&first, rest) = factors.split_first()?;
    Some(rest.iter().fold(first, |product, &x| r.g.mul(product, x)))
}

/// `x / c = x * (1 / c)`, `x - c = x + (-c)`, of f32; the former only where `1 / c` has all
/// its digits, which it loses where it gets too small or too large for an f32.
pub fn divide_by_constant(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let &[x, c] = r.inputs(id) else { return None };
    if r.g.ty(x).dtype != DType::F32 {
        return None;
    }
    let value = r.constant(c)?;
    let (op, _) = r.parts(id);
    match op {
        Op::Div => {
            if !((1.0 / value) as f32).is_normal() {
                return None;
            }
            let inverse = r.g.constant_like(1.0 / value, c);
            Some(r.g.mul(x, inverse))
        }
        Op::Sub => {
            let negative = r.g.constant_like(-value, c);
            Some(r.g.add(x, negative))
        }
        _ => None,
    }
}

/// `x + x = x * 2`, so that one rule about factors is enough.
pub fn add_twice(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [a, b] = r.operands(id, &Op::Add)?;
    (a == b).then(|| {
        let two = r.g.constant_like(2.0, a);
        r.g.mul(a, two)
    })
}

/// Negations move towards the results, where they meet a sum and vanish.
pub fn lift_negation(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    if !matches!(r.op(id), Op::Neg | Op::Add | Op::Sub | Op::Mul | Op::Div) {
        return None;
    }
    let (op, inputs) = r.parts(id);
    let negated = |r: &Rewrite, x: NodeId| r.operands(x, &Op::Neg).map(|[x]| x);
    match (op, &inputs[..]) {
        (Op::Neg, &[x]) => {
            if let Some(x) = negated(r, x) {
                return Some(x);
            }
            if let Some([a, b]) = r.operands(x, &Op::Sub) {
                return Some(r.g.sub(b, a));
            }
            let [x, c] = r.operands(x, &Op::Mul)?;
            let factor = r.g.constant_like(-r.constant(c)?, c);
            Some(r.g.mul(x, factor))
        }
        (Op::Add, &[a, b]) => match (negated(r, a), negated(r, b)) {
            (_, Some(b)) => Some(r.g.sub(a, b)),
            (Some(a), None) => Some(r.g.sub(b, a)),
            (None, None) => None,
        },
        (Op::Sub, &[a, b]) => match (negated(r, b), r.constant(a)) {
            (Some(b), _) => Some(r.g.add(a, b)),
            (None, Some(0.0)) => Some(r.g.neg(b)),
            (None, _) => None,
        },
        (op @ (Op::Mul | Op::Div), &[a, b]) => {
            if let (Some(a), Some(c)) = (negated(r, a), r.constant(b)) {
                let c = r.g.constant_like(-c, b);
                return Some(r.g.push(op, &[a, c]));
            }
            let positive = match (negated(r, a), negated(r, b)) {
                (Some(a), _) => r.g.push(op, &[a, b]),
                (None, Some(b)) => r.g.push(op, &[a, b]),
                (None, None) => return None,
            };
            Some(r.g.neg(positive))
        }
        _ => None,
    }
}

/// The greatest exponent that becomes multiplications.
const GREATEST_POWER: i32 = 8;

/// `x^2 = x * x` and so on, `x^0.5 = sqrt(x)`, `x^-n = 1 / x^n`, `x^0 = 1`.
pub fn small_power(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let [x, c] = r.operands(id, &Op::Pow)?;
    let exponent = r.constant(c)?;
    if exponent == 0.5 {
        return Some(r.g.sqrt(x));
    }
    if exponent == 0.0 {
        return Some(r.g.constant_like(1.0, x));
    }
    if exponent < 0.0 {
        let opposite = r.g.constant_like(-exponent, c);
        let power = r.g.pow(x, opposite);
        let one = r.g.constant_like(1.0, x);
        return Some(r.g.div(one, power));
    }
    if exponent.fract() != 0.0 || exponent > f64::from(GREATEST_POWER) {
        return None;
    }
    Some(power(r, x, exponent as u32))
}

/// By squaring; n is at least 1.
fn power(r: &mut Rewrite, x: NodeId, n: u32) -> NodeId {
    if n == 1 {
        return x;
    }
    let half = power(r, x, n / 2);
    let square = r.g.mul(half, half);
    match n % 2 {
        0 => square,
        _ => r.g.mul(square, x),
    }
}
