//! `contract(a, b)[i] = sum over k of a[a-map(i, k)] * b[b-map(i, k)]`, reads outside
//! an operand being 0.
//!
//! Matrix products, einsums, convolutions of any stride, padding and dilation.
//! Edges: NaN where a term is NaN. In which order the terms are added is up to the
//! compiler, and the same in every run. Gradient: again products, of dy and the
//! other operand, the maps solved for the operand's axes: of a convolution the two
//! backward ones.

use super::inverse::Inverse;
use super::operands::{Inferred, Operands, check_map};
use super::view::scatter;
use super::{Chain, Precision, Tensor};
use crate::graph::{Contract, DType, GraphBuilder, NodeId, Side, Type};
use crate::index::{Dim, IndexExpr};

pub fn infer(contract: &Contract, x: &Operands) -> Inferred {
    let [a, b] = x.get()?;
    check_map(&contract.a, &contract.dims, &a.shape)?;
    check_map(&contract.b, &contract.dims, &b.shape)?;
    if contract.rank > contract.dims.len() || contract.dims.contains(&0) {
        return Err(format!("has dims {:?}, rank {}", contract.dims, contract.rank));
    }
    if a.dtype != DType::F32 || b.dtype != DType::F32 {
        return Err("takes f32".into());
    }
    Ok(Type::f32(contract.shape()))
}

pub fn grad(contract: &Contract, c: &mut Chain) {
    let (a, b) = (c.x[0], c.x[1]);
    if c.wanted[0] {
        let da = grad_by(c.g, contract, Side::A, (a, b), c.dy);
        c.pass(0, da);
    }
    if c.wanted[1] {
        let db = grad_by(c.g, contract, Side::B, (b, a), c.dy);
        c.pass(1, db);
    }
}

/// The gradient by the operand on a side: a product of `dy` and the other operand.
fn grad_by(
    g: &mut GraphBuilder,
    contract: &Contract,
    side: Side,
    (operand, other): (NodeId, NodeId),
    dy: NodeId,
) -> NodeId {
    let shape = g.shape(operand).to_vec();
    let map = contract.access(side).map;
    let other_map = contract.access(side.other()).map;
    let other_shape = g.shape(other).to_vec();
    // A dimension whose index enters dy or the other operand as it is finds 0 there
    // beyond its extent, so a solution for it may lead there.
    let guarded = |dim: Dim| {
        let mut axes = other_map.iter().zip(&other_shape);
        dim < contract.rank
            || axes.any(|(e, &size)| e.as_dim() == Some(dim) && size <= contract.dims[dim])
    };
    let inverse = Inverse::new(&map, &contract.dims, &shape, guarded);
    let harmless = |(dim, expr): (Dim, &IndexExpr)| {
        guarded(dim) || expr.always_within(&inverse.dims, contract.dims[dim])
    };
    let solved = inverse.conditions.is_empty() && inverse.old.iter().enumerate().all(harmless);
    let other_map: Option<Vec<IndexExpr>> =
        other_map.iter().map(|e| e.substitute(&inverse.old)).collect();
    match other_map {
        Some(other_map) if solved => {
            let product = Contract {
                dims: inverse.dims.clone(),
                rank: inverse.rank,
                a: inverse.old[..contract.rank].to_vec(),
                b: other_map,
            };
            let y = g.contract(dy, other, product);
            inverse.shaped(g, y)
        }
        _ => grad_in_two(g, contract, side, (&shape, other), dy),
    }
}

/// The same in two steps: the gradient by what was read of the operand, a product
/// with the dimensions that the reading looks at for axes, and from there to the operand.
fn grad_in_two(
    g: &mut GraphBuilder,
    contract: &Contract,
    side: Side,
    (shape, other): (&[usize], NodeId),
    dy: NodeId,
) -> NodeId {
    let map = contract.access(side).map;
    let (read, summed): (Vec<Dim>, Vec<Dim>) =
        (0..contract.dims.len()).partition(|&dim| map.iter().any(|e| e.coefficient(dim) != 0));
    let mut position = vec![0; contract.dims.len()];
    for (new, &old) in read.iter().chain(&summed).enumerate() {
        position[old] = new;
    }
    let moved = |e: &IndexExpr| e.rename(|dim| position[dim]);
    let result = (0..contract.rank).map(|dim| IndexExpr::dim(position[dim]));
    let product = Contract {
        dims: read.iter().chain(&summed).map(|&dim| contract.dims[dim]).collect(),
        rank: read.len(),
        a: result.collect(),
        b: contract.access(side.other()).map.iter().map(moved).collect(),
    };
    let dread = g.contract(dy, other, product);
    let map: Vec<IndexExpr> = map.iter().map(moved).collect();
    scatter(g, dread, &map, shape)
}

pub fn eval(contract: &Contract, x: &[&Tensor], ty: &Type, precision: Precision) -> Tensor {
    let (a, b) = (x[0], x[1]);
    let summed = &contract.dims[contract.rank..];
    Tensor::from_fn(ty, |outer| {
        let mut point = outer.to_vec();
        super::tensor::points(summed).fold(0.0, |sum, inner| {
            point.truncate(contract.rank);
            point.extend(inner);
            let product = a.read(&contract.a, &point).zip(b.read(&contract.b, &point));
            precision.round(sum + product.map_or(0.0, |(a, b)| a * b), DType::F32)
        })
    })
}
