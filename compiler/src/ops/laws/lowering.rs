//! Lowered operations against the oracle, or against the exact value.

use super::samples::Sample;
use super::{as_f32, rounds};
use crate::graph::{DType, Op, Type};
use crate::index::IndexExpr;
use crate::nest::{ScalarId, ScalarPool, Surroundings, Value, eval_scalar};
use crate::ops::{Precision, Tensor, eval, infer, is_pointwise, lower, lower_uniform};
use crate::testing::Numbers;

struct Nothing;

impl Surroundings for Nothing {
    fn index(&self, _: &IndexExpr) -> i32 {
        0
    }
    fn load(&self, _: crate::nest::BufferId, _: &[IndexExpr], _: Option<f32>) -> Value {
        Value::F32(0.0)
    }
    fn reduced(&self, _: usize) -> Value {
        Value::F32(0.0)
    }
}

/// A pointwise operation as compiled code sees it: operands come from two places of
/// a stand-in for memory.
struct Lowered {
    scalars: Vec<crate::nest::Scalar>,
    result: ScalarId,
    known: Vec<Value>,
    of: Vec<DType>,
}

impl Lowered {
    fn new(op: &Op, of: &[DType]) -> Lowered {
        let mut s = ScalarPool::default();
        let x: Vec<ScalarId> = (0..of.len())
            .map(|i| s.add(crate::nest::Scalar::Reduced(i)))
            .collect();
        let result = lower(op, &mut s, &x, *of.last().unwrap());
        Lowered {
            scalars: s.finish(),
            result,
            known: Vec::new(),
            of: of.to_vec(),
        }
    }

    fn at(&mut self, x: &[f64]) -> f64 {
        self.known.clear();
        for (&x, of) in x.iter().zip(&self.of) {
            self.known.push(match of {
                DType::F32 => Value::F32(x as f32),
                DType::I32 => Value::I32(x as i32),
                DType::Bool => Value::Mask(x != 0.0),
            });
        }
        for scalar in &self.scalars[x.len()..] {
            let value = eval_scalar(scalar, &self.known, &Nothing);
            self.known.push(value);
        }
        match self.known[self.result.index()] {
            Value::F32(x) => f64::from(x),
            Value::I32(x) => f64::from(x),
            Value::Mask(x) => f64::from(x),
        }
    }
}

/// Distance from the exact value in units of the last place of an f32.
fn ulps(lowered: f64, exact: f64) -> f64 {
    let rounded = exact as f32;
    if lowered.is_nan() || rounded.is_nan() {
        return if lowered.is_nan() == rounded.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if rounded.is_infinite() || lowered.is_infinite() {
        let close = |x: f64| x.abs() > f64::from(f32::MAX) * (1.0 - 1e-6);
        let same = close(lowered) && close(exact) && lowered.signum() == exact.signum();
        return if same { 0.0 } else { f64::INFINITY };
    }
    let exponent = exact.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (lowered - exact).abs() / (exponent - 23.0).exp2()
}

/// Finite numbers over all magnitudes, and the edges.
fn floats() -> impl Iterator<Item = f64> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN,
    ];
    let tiny = [
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE,
        f32::from_bits(1),
        -f32::from_bits(1),
    ];
    let all = (0..100_000u32).map(|i| f32::from_bits(i.wrapping_mul(42_949) ^ (i << 7)));
    let usual = (0..60_000).map(|i| (i as f32 - 30_000.0) * 0.003_7);
    edges
        .into_iter()
        .chain(tiny)
        .chain(all)
        .chain(usual)
        .map(f64::from)
}

#[test]
fn lowered_functions_keep_their_accuracy() {
    let limits = [
        (Op::Exp, 1.2),
        (Op::Log, 1.0),
        (Op::Tanh, 4.5),
        (Op::Erf, 5.0),
        (Op::Sqrt, 0.5),
    ];
    for (op, limit) in limits {
        let mut lowered = Lowered::new(&op, &[DType::F32]);
        let exact = |x: f64| {
            eval(
                &op,
                &[&Tensor {
                    ty: Type::f32([]),
                    elements: vec![x],
                }],
                &Type::f32([]),
                Precision::F64,
            )
            .elements[0]
        };
        let (error, at) = floats().fold((0.0, 0.0), |(worst, at), x| {
            let error = ulps(lowered.at(&[x]), exact(x));
            if error > worst {
                (error, x)
            } else {
                (worst, at)
            }
        });
        assert!(error <= limit, "{op:?}({at:?}) is {error} ulp off");
    }
}

#[test]
fn lowered_sines_keep_their_accuracy() {
    for (op, exact) in [(Op::Sin, f64::sin as fn(f64) -> f64), (Op::Cos, f64::cos)] {
        let mut lowered = Lowered::new(&op, &[DType::F32]);
        for x in floats().filter(|x| x.is_nan() || x.is_infinite() || x.abs() <= 8192.0) {
            let (y, exact) = (lowered.at(&[x]), exact(x));
            let fine =
                (y.is_nan() && exact.is_nan()) || ulps(y, exact) <= 2.0 || (y - exact).abs() < 1e-7;
            assert!(fine, "{op:?}({x:?}) = {y:?}, not {exact:?}");
        }
    }
}

#[test]
fn lowered_powers_keep_their_accuracy() {
    let mut lowered = Lowered::new(&Op::Pow, &[DType::F32, DType::F32]);
    let mut numbers = Numbers(1);
    let exponents = [
        0.0,
        1.0,
        -1.0,
        2.0,
        3.0,
        0.5,
        -2.5,
        7.0,
        1e10,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let mut worst = (0.0, 0.0, 0.0);
    for x in floats() {
        let random = f64::from(numbers.between(-20.0, 20.0) as f32);
        for y in exponents.into_iter().chain([random]) {
            let (x, y) = (f64::from(x as f32), f64::from(y as f32));
            // -0 counts as 0, and of -infinity there are no broken powers.
            let base = match x {
                0.0 => 0.0,
                f64::NEG_INFINITY if y != 0.0 && y.floor() != y => f64::NAN,
                _ => x,
            };
            let error = ulps(lowered.at(&[x, y]), base.powf(y));
            if error > worst.0 {
                worst = (error, x, y);
            }
        }
    }
    assert!(worst.0 <= 2.0, "{worst:?}");
}

/// All that need no polynomial: the same bits.
#[test]
fn lowered_operations_equal_the_oracle() {
    for Sample { op, x, .. } in rounds() {
        let polynomial = [
            Op::Exp,
            Op::Log,
            Op::Sin,
            Op::Cos,
            Op::Tanh,
            Op::Erf,
            Op::Pow,
        ];
        if !is_pointwise(&op) || polynomial.contains(&op) {
            continue;
        }
        let of: Vec<DType> = x.iter().map(|x| x.ty.dtype).collect();
        let types: Vec<&Type> = x.iter().map(|x| &x.ty).collect();
        let ty = infer(&op, &types, None).unwrap();
        let x: Vec<Tensor> = x.iter().map(as_f32).collect();
        let operands: Vec<&Tensor> = x.iter().collect();
        let expected = eval(&op, &operands, &ty, Precision::F32);
        let mut lowered = Lowered::new(&op, &of);
        for (i, expected) in expected.elements.iter().enumerate() {
            let x: Vec<f64> = x.iter().map(|x| x.elements[i]).collect();
            assert_eq!(
                lowered.at(&x).to_bits(),
                expected.to_bits(),
                "{op:?} of {x:?}"
            );
        }
    }
}

#[test]
fn not_a_number_passes_max_and_min() {
    for op in [Op::Max, Op::Min] {
        for (a, b) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::NAN, f64::NAN)] {
            assert!(
                Lowered::new(&op, &[DType::F32; 2]).at(&[a, b]).is_nan(),
                "{op:?}({a}, {b})"
            );
            let mut s = ScalarPool::default();
            let x = s.add(crate::nest::Scalar::Reduced(0));
            let zero = s.f32(0.0);
            for operands in [[x, zero], [zero, x]] {
                let result = lower(&op, &mut s, &operands, DType::F32);
                let mut known = vec![Value::F32(f32::NAN)];
                for scalar in &s.clone().finish()[1..] {
                    known.push(eval_scalar(scalar, &known, &Nothing));
                }
                assert!(
                    matches!(known[result.index()], Value::F32(y) if y.is_nan()),
                    "{op:?}"
                );
            }
        }
    }
}

#[test]
fn lowered_random_numbers_are_the_oracles() {
    let shape = [3, 50];
    let ty = Type::f32(shape);
    for (seed, stream) in [(0, 0), (-5, 1), (i32::MAX, 900)] {
        let tensor = Tensor {
            ty: Type {
                dtype: DType::I32,
                shape: vec![],
            },
            elements: vec![f64::from(seed)],
        };
        let op = Op::Uniform { stream };
        let expected = eval(&op, &[&tensor], &ty, Precision::F32);
        let mut s = ScalarPool::default();
        let seed_id = s.add(crate::nest::Scalar::Reduced(0));
        let index_id = s.add(crate::nest::Scalar::Reduced(1));
        let result = lower_uniform(&mut s, stream, seed_id, index_id);
        let mut lowered = Lowered {
            scalars: s.finish(),
            result,
            known: Vec::new(),
            of: vec![DType::I32, DType::I32],
        };
        for (i, &expected) in expected.elements.iter().enumerate() {
            assert_eq!(lowered.at(&[f64::from(seed), i as f64]), expected);
            assert!((0.0..1.0).contains(&expected));
        }
    }
}
