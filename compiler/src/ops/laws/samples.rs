//! Every operation with operands to try it on.

use crate::graph::{Contract, DType, Op, Type, View};
use crate::index::IndexExpr;
use crate::ops::Tensor;
use crate::testing::Numbers;

/// An operation with operands to try it on.
pub struct Sample {
    /// The operation.
    pub op: Op,
    /// Its operands.
    pub x: Vec<Tensor>,
    /// Type of the result where operands do not tell.
    pub given: Option<Type>,
}

/// Every operation, on several types and shapes.
pub fn samples(n: &mut Numbers) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add =
        |op: Op, x: Vec<Tensor>, given: Option<Type>| samples.push(Sample { op, x, given });
    let rank = n.below(4);
    let shape = n.shape(rank);
    for op in [Op::Neg, Op::Abs, Op::Floor, Op::StopGradient] {
        add(op, vec![n.apart(&shape)], None);
    }
    for op in [Op::Sqrt, Op::Log] {
        add(op, vec![n.f32(&shape, 0.1, 3.0)], None);
    }
    for op in [Op::Exp, Op::Sin, Op::Cos, Op::Tanh, Op::Erf] {
        add(op, vec![n.f32(&shape, -3.0, 3.0)], None);
    }
    for op in [Op::Add, Op::Sub, Op::Mul, Op::Max, Op::Min] {
        add(
            op.clone(),
            vec![n.typed(DType::I32, &shape), n.typed(DType::I32, &shape)],
            None,
        );
        add(op, vec![n.apart(&shape), n.f32(&shape, 3.0, 4.0)], None);
    }
    for op in [Op::Max, Op::Min, Op::Less, Op::LessEq, Op::Equal] {
        let both = n.apart(&[2, 2, 3]);
        let (a, b) = both.elements.split_at(6);
        let tensor = |elements: &[f64]| Tensor {
            ty: Type::f32([2, 3]),
            elements: elements.to_vec(),
        };
        add(op, vec![tensor(a), tensor(b)], None);
    }
    for op in [Op::Less, Op::LessEq, Op::Equal] {
        add(
            op,
            vec![n.typed(DType::I32, &shape), n.typed(DType::I32, &shape)],
            None,
        );
    }
    add(
        Op::Div,
        vec![n.f32(&shape, -2.0, 2.0), n.f32(&shape, 0.5, 2.0)],
        None,
    );
    add(
        Op::Pow,
        vec![n.f32(&shape, 0.5, 2.0), n.f32(&shape, -2.0, 3.0)],
        None,
    );
    for op in [Op::And, Op::Or] {
        add(
            op,
            vec![n.typed(DType::Bool, &shape), n.typed(DType::Bool, &shape)],
            None,
        );
    }
    add(Op::Not, vec![n.typed(DType::Bool, &shape)], None);
    for dtype in [DType::F32, DType::I32, DType::Bool] {
        let x = [DType::Bool, dtype, dtype].map(|dtype| n.typed(dtype, &shape));
        add(Op::Select, x.to_vec(), None);
        for to in [DType::F32, DType::I32, DType::Bool] {
            if to != dtype {
                add(Op::Cast(to), vec![n.typed(dtype, &shape)], None);
            }
        }
    }
    for (op, ty) in [
        (Op::Constant(1.5), Type::f32(shape.clone())),
        (
            Op::Iota { axis: 1 },
            Type {
                dtype: DType::I32,
                shape: vec![2, 3],
            },
        ),
    ] {
        add(op, vec![], Some(ty));
    }
    let seed = n.typed(DType::I32, &[]);
    add(
        Op::Uniform { stream: 3 },
        vec![seed],
        Some(Type::f32(shape.clone())),
    );
    for (operand, view) in views(n) {
        add(Op::View(view), vec![n.f32(&operand, -1.0, 1.0)], None);
    }
    for (from, to) in [
        (vec![2, 3, 4], vec![6, 4]),
        (vec![2, 1, 4], vec![2, 4]),
        (vec![5, 2, 3], vec![5, 6]),
    ] {
        add(
            Op::Reshape,
            vec![n.f32(&from, -1.0, 1.0)],
            Some(Type::f32(to)),
        );
    }
    for axes in [vec![0], vec![1, 2], vec![0, 1, 2]] {
        let shape = n.shape(3);
        add(
            Op::Sum { axes: axes.clone() },
            vec![n.f32(&shape, -1.0, 1.0)],
            None,
        );
        add(
            Op::MaxOver { axes: axes.clone() },
            vec![n.apart(&shape)],
            None,
        );
        add(
            Op::MaxOver { axes: axes.clone() },
            vec![n.typed(DType::I32, &shape)],
            None,
        );
        add(Op::ArgMax { axis: axes[0] }, vec![n.apart(&shape)], None);
    }
    for (shared, outer, behind) in [(0, 0, 1), (1, 0, 1), (0, 1, 0), (1, 1, 2)] {
        let axis = shared + outer;
        let (table, own) = (n.shape(axis + 1 + behind), n.below(3));
        let numbers = [&table[..shared], &n.shape(own)].concat();
        let list = [&table[..axis], &numbers[shared..], &table[axis + 1..]].concat();
        let size = table[axis];
        // Some of them name no row.
        let ty = Type {
            dtype: DType::I32,
            shape: numbers,
        };
        let at = Tensor::from_fn(&ty, |_| n.below(size + 2) as f64 - 1.0);
        let op = Op::Gather { axis, shared };
        add(op, vec![n.f32(&table, -1.0, 1.0), at.clone()], None);
        let op = Op::Scatter { axis, shared, size };
        add(op, vec![n.f32(&list, -1.0, 1.0), at], None);
    }
    for (a, b, contract) in contracts(n) {
        add(
            Op::Contract(contract),
            vec![n.f32(&a, -1.0, 1.0), n.f32(&b, -1.0, 1.0)],
            None,
        );
    }
    samples
}

fn index(terms: &[(usize, i64)], offset: i64) -> IndexExpr {
    IndexExpr::affine(terms.iter().copied(), offset)
}

/// Transpose, broadcast, pad, crop, reverse, stride, dilation, windows apart and
/// overlapping, digits, one element, a diagonal, and maps that no solution fits.
fn views(n: &mut Numbers) -> Vec<(Vec<usize>, View)> {
    let d = IndexExpr::dim;
    let fill = n.below(3) as f64 - 1.0;
    let cases: Vec<(Vec<usize>, Vec<usize>, Vec<IndexExpr>)> = vec![
        (vec![3, 2], vec![2, 3], vec![d(1), d(0)]),
        (vec![3], vec![2, 3, 2], vec![d(1)]),
        (vec![], vec![2, 3], vec![]),
        (vec![4], vec![7], vec![index(&[(0, 1)], -2)]),
        (vec![5], vec![3], vec![index(&[(0, 1)], 1)]),
        (vec![4], vec![4], vec![index(&[(0, -1)], 3)]),
        (vec![7], vec![3], vec![index(&[(0, 2)], 1)]),
        (vec![3], vec![7], vec![index(&[(0, 1)], -1).over(2)]),
        (vec![6], vec![3, 2], vec![index(&[(0, 2), (1, 1)], 0)]),
        (vec![7], vec![3, 2], vec![index(&[(0, 2), (1, 1)], 0)]),
        (vec![6], vec![4, 2], vec![index(&[(0, 2), (1, 1)], -1)]),
        (
            vec![24],
            vec![4, 2, 3],
            vec![index(&[(0, 6), (1, 3), (2, 1)], 0)],
        ),
        (vec![6], vec![4, 3], vec![index(&[(0, 1), (1, 1)], 0)]),
        (vec![7], vec![4, 3], vec![index(&[(0, 2), (1, 1)], -1)]),
        (vec![9], vec![3, 2], vec![index(&[(0, 3), (1, 2)], 1)]),
        (vec![5, 3], vec![3], vec![index(&[], 2), d(0)]),
        (vec![1, 3], vec![3], vec![index(&[], 0), d(0)]),
        (vec![3, 3], vec![3], vec![d(0), d(0)]),
        (
            vec![4, 4],
            vec![3, 2],
            vec![index(&[(0, 1), (1, 1)], 0), d(1)],
        ),
        (
            vec![4, 4],
            vec![3, 2],
            vec![index(&[(0, 1), (1, 1)], 0), index(&[(0, 1), (1, -1)], 1)],
        ),
        (
            vec![9, 9],
            vec![3, 2],
            vec![index(&[(0, 2), (1, 3)], 0), index(&[(0, 3), (1, 2)], 0)],
        ),
        (vec![3, 3], vec![5], vec![d(0).over(2), d(0).over(2)]),
        (
            vec![2, 2, 3],
            vec![6],
            vec![index(&[], 1), index(&[(0, 1)], 0).over(3), index(&[], 0)],
        ),
    ];
    let cases = cases.into_iter();
    cases
        .map(|(operand, shape, map)| {
            let view = View::new(shape, map, fill, &operand);
            (operand, view)
        })
        .collect()
}

/// A matrix product, one in a batch, an outer product, convolutions with padding,
/// strides and dilation, a depthwise one, windows apart, and sums that only one operand knows.
pub fn contracts(n: &mut Numbers) -> Vec<(Vec<usize>, Vec<usize>, Contract)> {
    let d = IndexExpr::dim;
    let mut cases = vec![
        (
            vec![3, 4],
            vec![4, 2],
            Contract {
                dims: vec![3, 2, 4],
                rank: 2,
                a: vec![d(0), d(2)],
                b: vec![d(2), d(1)],
            },
        ),
        (
            vec![2, 3, 4],
            vec![2, 4],
            Contract {
                dims: vec![2, 3, 4],
                rank: 2,
                a: vec![d(0), d(1), d(2)],
                b: vec![d(0), d(2)],
            },
        ),
        (
            vec![3],
            vec![2],
            Contract {
                dims: vec![3, 2],
                rank: 2,
                a: vec![d(0)],
                b: vec![d(1)],
            },
        ),
        (
            vec![6],
            vec![2],
            Contract {
                dims: vec![2, 3],
                rank: 1,
                a: vec![index(&[(1, 1)], 2)],
                b: vec![d(0)],
            },
        ),
        (
            vec![6],
            vec![5],
            Contract {
                dims: vec![2, 3],
                rank: 1,
                a: vec![index(&[(0, 1), (1, 1)], 0)],
                b: vec![index(&[(1, 1)], 1)],
            },
        ),
        (
            vec![4, 6],
            vec![2, 3, 2],
            Contract {
                dims: vec![4, 2, 2, 3],
                rank: 2,
                a: vec![d(0), index(&[(2, 3), (3, 1)], 0)],
                b: vec![d(2), d(3), d(1)],
            },
        ),
        (
            vec![5, 3],
            vec![3],
            Contract {
                dims: vec![3],
                rank: 0,
                a: vec![index(&[], 4), d(0)],
                b: vec![d(0)],
            },
        ),
    ];
    for (stride, padding, dilation, kernel) in [
        (1, 0, 1, 1),
        (1, 1, 1, 3),
        (2, 1, 1, 3),
        (2, 0, 1, 2),
        (3, 2, 2, 2),
        (1, 2, 2, 3),
    ] {
        let size = 4 + n.below(4);
        let (channels, units) = (1 + n.below(3), 1 + n.below(3));
        let out = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
        let along = index(
            &[(2, stride as i64), (4, dilation as i64)],
            -(padding as i64),
        );
        cases.push((
            vec![2, channels, size],
            vec![units, channels, kernel],
            Contract {
                dims: vec![2, units, out, channels, kernel],
                rank: 3,
                a: vec![d(0), d(3), along.clone()],
                b: vec![d(1), d(3), d(4)],
            },
        ));
        cases.push((
            vec![2, units, size],
            vec![units, kernel],
            Contract {
                dims: vec![2, units, out, 1, kernel],
                rank: 3,
                a: vec![d(0), d(1), along],
                b: vec![d(1), d(4)],
            },
        ));
    }
    cases
}
