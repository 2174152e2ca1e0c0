//! Rewrites of `contract`.

use super::movement::reads;
use super::rewrite::Rewrite;
use crate::graph::{Contract, DType, NodeId, Op, Side, View};
use crate::index::{Dim, IndexExpr};

/// `sum of view(a) * view(b)`, where each operand lacks an axis that the other has, is
/// a matrix product.
pub fn sum_of_products(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let Op::Sum { axes } = r.op(id).clone() else {
        return None;
    };
    let product = r.inputs(id)[0];
    let [a, b] = r.operands(product, &Op::Mul)?;
    if r.g.ty(id).dtype != DType::F32 || !r.read_once(product) {
        return None;
    }
    let (view_a, view_b) = (r.view(a)?.1, r.view(b)?.1);
    let shape = &view_a.shape;
    let lacks = |view: &View, other: &View| {
        (0..shape.len()).any(|dim| shape[dim] > 1 && !reads(view, dim) && reads(other, dim))
    };
    let shared = axes
        .iter()
        .any(|&dim| reads(view_a, dim) && reads(view_b, dim));
    if !shared || !lacks(view_a, view_b) || !lacks(view_b, view_a) {
        return None;
    }
    // Result axes first, then the summed ones.
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    let order: Vec<Dim> = kept.chain(axes.iter().copied()).collect();
    let mut map = vec![IndexExpr::constant(0); order.len()];
    for (position, &dim) in order.iter().enumerate() {
        map[dim] = IndexExpr::dim(position);
    }
    let contract = Contract {
        dims: order.iter().map(|&dim| shape[dim]).collect(),
        rank: order.len() - axes.len(),
        a: map.clone(),
        b: map,
    };
    Some(r.g.contract(a, b, contract))
}

/// The sum over axes of a product is a product that sums more.
pub fn sum_of_product(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let Op::Sum { axes } = r.op(id).clone() else {
        return None;
    };
    let product = r.inputs(id)[0];
    let (Op::Contract(contract), inputs) = r.parts(product) else {
        return None;
    };
    if !r.read_once(product) {
        return None;
    }
    let kept = (0..contract.rank).filter(|dim| !axes.contains(dim));
    let summed = axes
        .iter()
        .copied()
        .chain(contract.rank..contract.dims.len());
    let order: Vec<Dim> = kept.chain(summed).collect();
    let mut position = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    let moved = |e: &IndexExpr| e.rename(|dim| position[dim]);
    let summing = Contract {
        dims: order.iter().map(|&dim| contract.dims[dim]).collect(),
        rank: contract.rank - axes.len(),
        a: contract.a.iter().map(moved).collect(),
        b: contract.b.iter().map(moved).collect(),
    };
    Some(r.g.contract(inputs[0], inputs[1], summing))
}

/// `contract(a * c, b) = contract(a, b) * c` for a constant c, where the result has fewer
/// elements than the operand; `contract(-a, b) = -contract(a, b)` always.
pub fn scale_after_product(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (contract, [a, b]) = r.product(id)?;
    for (scaled, side) in [(a, Side::A), (b, Side::B)] {
        let with = |r: &mut Rewrite, x: NodeId| match side {
            Side::A => r.g.contract(x, b, contract.clone()),
            Side::B => r.g.contract(a, x, contract.clone()),
        };
        if !r.read_once(scaled) {
            continue;
        }
        if let Some([x]) = r.operands(scaled, &Op::Neg) {
            let y = with(r, x);
            return Some(r.g.neg(y));
        }
        if let Some([x, c]) = r.operands(scaled, &Op::Mul)
            && let Some(c) = r.constant(c)
            && r.elements(id) < r.elements(scaled)
        {
            let y = with(r, x);
            return Some(r.g.scale(y, c));
        }
    }
    None
}

/// A transposed product is a product with its axes in another order.
pub fn transpose_in_product(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (product, view) = r.view(id)?;
    let (contract, inputs) = r.product(product)?;
    let view = view.clone();
    let bare: Option<Vec<Dim>> = view.map.iter().map(IndexExpr::as_dim).collect();
    let mut bare = bare?;
    let fits = |(&dim, &size): (&Dim, &usize)| view.shape[dim] == size;
    if view.shape.len() != contract.rank
        || !bare.iter().zip(contract.shape()).all(fits)
        || !r.read_once(product)
    {
        return None;
    }
    // Old axis k is new axis bare[k]; a diagonal names one twice.
    let position = bare.clone();
    bare.sort_unstable();
    if bare.iter().enumerate().any(|(k, &dim)| k != dim) {
        return None;
    }
    let moved = |e: &IndexExpr| e.rename(|dim| position.get(dim).copied().unwrap_or(dim));
    let mut dims = contract.dims.clone();
    dims[..contract.rank].copy_from_slice(&view.shape);
    let transposed = Contract {
        dims,
        rank: contract.rank,
        a: contract.a.iter().map(moved).collect(),
        b: contract.b.iter().map(moved).collect(),
    };
    Some(r.g.contract(inputs[0], inputs[1], transposed))
}

/// A sum over a product's axes is summed in the product; that over an index which
/// only one operand knows, before it.
pub fn sum_out_of_product(r: &mut Rewrite, id: NodeId) -> Option<NodeId> {
    let (contract, inputs) = r.product(id)?;
    for (side, x) in [(Side::A, inputs[0]), (Side::B, inputs[1])] {
        let (mine, other) = (contract.access(side), contract.access(side.other()));
        let shape = r.g.shape(x).to_vec();
        // An axis read by a summed index that nothing else reads.
        let lonely = (0..shape.len()).find_map(|axis| {
            let dim = mine.map[axis].as_dim()?;
            let others = mine.map.iter().filter(|e| e.coefficient(dim) != 0).count();
            let lonely = dim >= contract.rank && others == 1 && !reads(&other, dim);
            (lonely && contract.dims[dim] == shape[axis]).then_some((axis, dim))
        });
        let Some((axis, dim)) = lonely else { continue };
        let close = |e: &IndexExpr| e.rename(|d| if d > dim { d - 1 } else { d });
        let mut dims = contract.dims.clone();
        dims.remove(dim);
        let mut map: Vec<IndexExpr> = mine
            .map
            .iter()
            .map(|e| {
                if e.as_dim() == Some(dim) {
                    IndexExpr::constant(0)
                } else {
                    close(e)
                }
            })
            .collect();
        map.remove(axis);
        let other: Vec<IndexExpr> = other.map.iter().map(close).collect();
        let x = r.g.sum(x, &[axis]);
        let smaller = |a, b| Contract {
            dims,
            rank: contract.rank,
            a,
            b,
        };
        return Some(match side {
            Side::A => r.g.contract(x, inputs[1], smaller(map, other)),
            Side::B => r.g.contract(inputs[0], x, smaller(other, map)),
        });
    }
    None
}
