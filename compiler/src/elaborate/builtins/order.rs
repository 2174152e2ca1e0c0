//! What follows the order along an axis: running sums and the greatest elements.

use super::argument;
use super::movement::named_axes;
use super::product::Indices;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Axis, AxisRef, Element, Eval, Given, Tensor, Value};
use crate::graph::{DType, NodeId};
use nnc_grammar::Span;
use std::rc::Rc;

/// The sum of all elements up to each: a product with a triangle of ones.
pub(super) fn cumsum<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let x = interpreter.numbers_argument(given)?;
    let axis = interpreter.one_axis(&x, named_axes(arguments, 1), span)?;
    let size = x.axes[axis].size;
    interpreter.check_size(&[size, size], span)?;
    let graph = interpreter.graph(x.home);
    // Of what is summed, then of the sum.
    let (from, to) = (graph.iota(0, &[size, size]), graph.iota(1, &[size, size]));
    let before = graph.less_eq(from, to);
    let node = graph.cast(before, DType::F32);
    let triangle = Tensor {
        node,
        batch: false,
        axes: vec![Axis::unnamed(size), x.axes[axis].clone()],
        ..x.clone()
    };
    let rank = x.axes.len();
    let indices = Indices {
        operands: vec![(0..rank).collect(), vec![axis, rank]],
        result: (0..rank)
            .map(|i| if i == axis { rank } else { i })
            .collect(),
        sizes: x.sizes().into_iter().chain([size]).collect(),
    };
    let operands = [(x, given.span), (triangle, span)];
    interpreter
        .product(&operands, &indices, span)
        .map(Value::Tensor)
}

/// The k greatest elements along an axis, and where they stand, the greatest first.
pub(super) fn top_k<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let x = interpreter.numbers_argument(argument(arguments, 0))?;
    let k = interpreter.int_argument(argument(arguments, 1), "`k`", 1)?;
    let over = match named_axes(arguments, 2) {
        [] => &[AxisRef::All],
        named => named,
    };
    let axis = interpreter.one_axis(&x, over, span)?;
    let size = x.axes[axis].size;
    if k > size {
        return Err(interpreter.bad_value(
            argument(arguments, 1).span,
            format!("an axis of size {size} has no {k} greatest elements"),
            format!("must be at most {size}"),
        ));
    }
    let at = x.graph_axis(axis);
    let graph = interpreter.graph(x.home);
    let shape = graph.shape(x.node).to_vec();
    let kept: Vec<usize> = (0..shape.len()).filter(|&i| i != at).collect();
    let own = graph.iota(at, &shape);
    let zero = graph.constant_like(0.0, x.node);
    let least = graph.constant_like(f64::NEG_INFINITY, x.node);
    let mut rest = graph.stop_gradient(x.node);
    let (mut values, mut places): (Vec<NodeId>, Vec<NodeId>) = Default::default();
    for _ in 0..k {
        let place = graph.argmax(rest, at);
        let wide = graph.broadcast(place, &shape, &kept);
        let hit = graph.equal(own, wide);
        let chosen = graph.select(hit, x.node, zero);
        values.push(graph.sum(chosen, &[at]));
        let place = graph.cast(place, DType::F32);
        places.push(place);
        rest = graph.select(hit, least, rest);
    }
    // One behind the other along the axis.
    let mut row = x.axes.clone();
    row[axis] = Axis::unnamed(k);
    let mut result = shape;
    result[at] = k;
    let mut together = |parts: &[NodeId]| {
        let graph = interpreter.graph(x.home);
        let number = graph.iota(at, &result);
        let mut whole = None;
        for (i, &part) in parts.iter().enumerate() {
            let wide = graph.broadcast(part, &result, &kept);
            whole = Some(match whole {
                None => wide,
                Some(before) => {
                    let ty = graph.ty(number).clone();
                    let i = graph.constant(i as f64, ty);
                    let here = graph.equal(number, i);
                    graph.select(here, wide, before)
                }
            });
        }
        whole.unwrap_or(x.node)
    };
    let (values, places) = (together(&values), together(&places));
    let places = interpreter.graph(x.home).cast(places, DType::I32);
    let numbers = Tensor {
        node: values,
        axes: row.clone(),
        trace: None,
        ..x.clone()
    };
    let classes = Tensor {
        node: places,
        element: Element::Class(size),
        ..numbers.clone()
    };
    Ok(Value::List(Rc::from([
        Value::Tensor(numbers),
        Value::Tensor(classes),
    ])))
}
