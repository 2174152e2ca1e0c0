//! What puts elements into another order or place: reversing, stacking, spacing out,
//! repeating, and reading rows by their numbers.

use super::argument;
use super::movement::named_axes;
use crate::elaborate::faults::with_trace;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Axis, Element, Eval, Given, Home, Tensor, Value};
use crate::graph::{DType, Type, View};
use crate::index::IndexExpr;
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

pub(super) fn reverse<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let mut tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    for axis in named_axes(arguments, 1) {
        let position = interpreter.find_axis(&tensor, axis, span)?;
        let size = tensor.axes[position].size;
        let reach = (IndexExpr::affine([(0, -1)], size as i64 - 1), size);
        tensor = interpreter.remapped(&tensor, position, reach, 0.0, span)?;
    }
    Ok(Value::Tensor(tensor))
}

/// Zeros between the elements: `by - 1` of them.
pub(super) fn dilate<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let mut tensor = interpreter.numbers_argument(argument(arguments, 0))?;
    let by = interpreter.int_argument(argument(arguments, 2), "`by`", 1)?;
    for axis in named_axes(arguments, 1) {
        let position = interpreter.find_axis(&tensor, axis, span)?;
        let size = (tensor.axes[position].size - 1)
            .saturating_mul(by)
            .saturating_add(1);
        let reach = (IndexExpr::dim(0).over(by as i64), size);
        tensor = interpreter.remapped(&tensor, position, reach, 0.0, span)?;
    }
    Ok(Value::Tensor(tensor))
}

/// Each element `by` times: a copy along a new axis behind, and both taken as one.
pub(super) fn stretch<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let mut tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    let by = interpreter.int_argument(argument(arguments, 2), "`by`", 1)?;
    for axis in named_axes(arguments, 1) {
        let position = interpreter.find_axis(&tensor, axis, span)?;
        let whole = tensor.axes[position].size.saturating_mul(by);
        let mut axes = tensor.axes.clone();
        axes.insert(position + 1, Axis::unnamed(by));
        let at = tensor.graph_axis(position);
        let rank = tensor.graph_axis(tensor.axes.len());
        let map = (0..rank).map(|axis| IndexExpr::dim(axis + usize::from(axis > at)));
        let map = map.collect();
        tensor = interpreter.viewed(&tensor, axes, map, 0.0, span)?;
        tensor.axes.remove(position + 1);
        tensor.axes[position].size = whole;
        let shape = interpreter.full_shape(tensor.batch, &tensor.sizes());
        tensor.node = interpreter.graph(tensor.home).reshape(tensor.node, &shape);
    }
    Ok(Value::Tensor(tensor))
}

/// Along a new first axis.
pub(super) fn stack<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let Value::List(parts) = &given.value else {
        let wanted = "a list of tensors, such as `[a, b]`";
        return Err(interpreter.wrong_kind(&given.value, given.span, wanted));
    };
    let mut tensors = Vec::new();
    let mut shape: Option<String> = None;
    for part in parts.iter() {
        let part = Given {
            value: part.clone(),
            span: given.span,
        };
        let tensor = interpreter.numbers_argument(&part)?;
        let first = shape.get_or_insert_with(|| tensor.shape_text());
        if *first != tensor.shape_text() {
            let message = format!("{first} and {} cannot be stacked", tensor.shape_text());
            let fault = Diagnostic::error(Code::ShapeMismatch, span, message)
                .here("tensors of one shape are stacked");
            return Err(interpreter.fault(with_trace(fault, tensor.trace.as_ref())));
        }
        let mut axes = tensor.axes.clone();
        axes.insert(0, Axis::unnamed(1));
        let leading = usize::from(tensor.batch);
        let rank = tensor.graph_axis(tensor.axes.len());
        let map = (0..rank).map(|axis| IndexExpr::dim(axis + usize::from(axis >= leading)));
        let map = map.collect();
        tensors.push((interpreter.viewed(&tensor, axes, map, 0.0, span)?, 0));
    }
    interpreter.joined(tensors, given, span)
}

/// One number everywhere, the same for all samples.
pub(super) fn fill<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let Some(number) = given.value.as_number() else {
        return Err(interpreter.wrong_kind(&given.value, given.span, "a number"));
    };
    let target = argument(arguments, 1);
    let Value::Shape(axes) = &target.value else {
        return Err(interpreter.wrong_kind(&target.value, target.span, "a list of sizes"));
    };
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    interpreter.check_size(&sizes, span)?;
    let node = interpreter
        .graph(Home::Body)
        .constant(number, Type::f32(sizes));
    Ok(Value::Tensor(Tensor {
        axes: axes.to_vec(),
        ..interpreter.scalar_tensor(node)
    }))
}

/// Reads along an axis at the places that a tensor of indices names; its axes stand
/// in the place of that axis.
pub(super) fn gather<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let x = interpreter.numbers_argument(argument(arguments, 0))?;
    let axis = interpreter.one_axis(&x, named_axes(arguments, 2), span)?;
    let size = x.axes[axis].size;
    let given = argument(arguments, 1);
    let index = interpreter.index_argument(given, size)?;
    let home = interpreter.one_home(&[(&x, argument(arguments, 0).span), (&index, given.span)])?;
    // x: [a.., n, b..], index: [i..] -> [a.., i.., b..]
    let axes = [&x.axes[..axis], &index.axes, &x.axes[axis + 1..]].concat();
    let batch = x.batch || index.batch;
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    let shape = interpreter.full_shape(batch, &sizes);
    interpreter.check_size(&shape, span)?;
    let (at, shared) = (x.graph_axis(axis), usize::from(x.batch && index.batch));
    let graph = interpreter.graph(home);
    let mut node = graph.gather(x.node, index.node, (at, shared));
    if index.batch && !x.batch {
        // The batch stands in front of the numbers' own axes.
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order[..=axis].rotate_right(1);
        node = graph.transpose(node, &order);
    }
    Ok(Value::Tensor(Tensor {
        node,
        home,
        batch,
        axes,
        ..x
    }))
}

/// The sum of all rows whose index is the same, for each index: what `gather` reads
/// along, this adds to.
pub(super) fn scatter<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let x = interpreter.numbers_argument(argument(arguments, 0))?;
    let size = interpreter.int_argument(argument(arguments, 2), "`size`", 1)?;
    let given = argument(arguments, 1);
    let index = interpreter.index_argument(given, size)?;
    let own = index.axes.len();
    let leads = x.axes.len() >= own
        && x.axes
            .iter()
            .zip(&index.axes)
            .all(|(a, b)| a.size == b.size);
    if !leads {
        let (x, index) = (x.shape_text(), index.shape_text());
        let message = format!("{index} names no place for each row of {x}");
        let fault = Diagnostic::error(Code::ShapeMismatch, given.span, message)
            .here(format!("gives {index}"))
            .help("its axes must be the first ones of what is scattered");
        return Err(interpreter.fault(fault));
    }
    let home = interpreter.one_home(&[(&x, argument(arguments, 0).span), (&index, given.span)])?;
    // x: [i.., b..], index: [i..] -> [n, b..]
    let axes = [&[Axis::unnamed(size)], &x.axes[own..]].concat();
    let batch = x.batch || index.batch;
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    let shape = interpreter.full_shape(batch, &sizes);
    interpreter.check_size(&shape, span)?;
    let own_shape = interpreter.full_shape(batch, &x.sizes());
    let graph = interpreter.graph(home);
    let mut rows = x.node;
    if batch && !x.batch {
        // The same rows for each sample, which has numbers of its own for them.
        let behind: Vec<usize> = (1..own_shape.len()).collect();
        rows = graph.broadcast(rows, &own_shape, &behind);
    }
    let places = (usize::from(batch), usize::from(index.batch));
    Ok(Value::Tensor(Tensor {
        node: graph.scatter(rows, index.node, places, size),
        home,
        batch,
        axes,
        ..x
    }))
}

/// What a hyper-parameter says for two axes at once, or for each of them.
pub(super) fn pair<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    _: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    // A word may stand for a number, such as `"same"`; what it can say is the caller's to check.
    let is_one = |value: &Value<'_>| matches!(value, Value::Int(_) | Value::String(_));
    match &given.value {
        Value::List(items) if items.len() == 2 && items.iter().all(is_one) => {
            Ok(given.value.clone())
        }
        one if is_one(one) => Ok(Value::List(Rc::from([one.clone(), one.clone()]))),
        value => Err(interpreter.wrong_kind(value, given.span, "an int, or a list of two ints")),
    }
}

/// A function of each of a list.
pub(super) fn each<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let Value::List(items) = &given.value else {
        let wanted = "a list, such as `split` gives";
        return Err(interpreter.wrong_kind(&given.value, given.span, wanted));
    };
    let function = argument(arguments, 1);
    let mut results = Vec::new();
    for item in items.iter() {
        let item = Given {
            value: item.clone(),
            span: given.span,
        };
        results.push(interpreter.apply(&function.value, item, span)?);
    }
    Ok(Value::List(Rc::from(results)))
}

impl<'a> Interpreter<'a> {
    /// An argument that names places on an axis of some size.
    fn index_argument(&mut self, given: &Given<'a>, size: usize) -> Eval<Tensor> {
        let tensor = self.tensor_argument(given)?;
        match tensor.element {
            Element::Int => Ok(tensor),
            Element::Class(count) if count <= size => Ok(tensor),
            Element::Class(count) => {
                let message = format!(
                    "class({count}) counts more classes than the axis has elements, {size}"
                );
                let fault = Diagnostic::error(Code::ShapeMismatch, given.span, message);
                Err(self.fault(fault.here(format!("this is {}", tensor.shape_text()))))
            }
            Element::Number | Element::Bool => {
                Err(self.wrong_kind(&given.value, given.span, "classes"))
            }
        }
    }

    /// A new last axis with 1 at the index and 0 elsewhere.
    pub(super) fn hits(&mut self, index: &Tensor, size: usize, span: Span) -> Eval<Tensor> {
        let mut axes = index.axes.clone();
        axes.push(Axis::unnamed(size));
        let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
        let shape = self.full_shape(index.batch, &sizes);
        self.check_size(&shape, span)?;
        let places: Vec<usize> = (0..shape.len() - 1).collect();
        let graph = self.graph(index.home);
        let class = graph.broadcast(index.node, &shape, &places);
        let own = graph.iota(shape.len() - 1, &shape);
        let hit = graph.equal(own, class);
        let node = graph.cast(hit, DType::F32);
        Ok(Tensor {
            node,
            axes,
            element: Element::Number,
            ..index.clone()
        })
    }

    /// Tensors one behind the other along an axis of each, as one: each is padded to the
    /// whole length, and they are added.
    pub(super) fn joined(
        &mut self,
        tensors: Vec<(Tensor, usize)>,
        given: &Given<'a>,
        span: Span,
    ) -> Eval<Value<'a>> {
        for pair in tensors.windows(2) {
            self.check_joined(&pair[0], &pair[1], span)?;
        }
        let total = tensors.iter().fold(0usize, |sum, (tensor, axis)| {
            sum.saturating_add(tensor.axes[*axis].size)
        });
        let mut offset = 0;
        let mut whole: Option<Given<'a>> = None;
        for (tensor, axis) in tensors {
            let size = tensor.axes[axis].size;
            let reach = (IndexExpr::affine([(0, 1)], -(offset as i64)), total);
            offset += size;
            let value = Value::Tensor(self.remapped(&tensor, axis, reach, 0.0, span)?);
            let part = Given { value, span };
            whole = Some(match whole {
                None => part,
                Some(sum) => {
                    let op = crate::elaborate::pointwise::Pointwise::Add;
                    let value = self.pointwise(op, vec![sum, part], span)?;
                    Given { value, span }
                }
            });
        }
        match whole {
            Some(given) => Ok(given.value),
            None => Err(self.bad_value(
                given.span,
                "an empty list has no shape".to_owned(),
                "empty".to_owned(),
            )),
        }
    }

    /// Whether two tensors agree in all sizes but those of the axes along which they are joined.
    fn check_joined(
        &mut self,
        (a, a_axis): &(Tensor, usize),
        (b, b_axis): &(Tensor, usize),
        span: Span,
    ) -> Eval<()> {
        let others = |tensor: &Tensor, axis: usize| {
            let mut sizes = tensor.sizes();
            // A tensor of fewer axes may have none in that place.
            if let Some(size) = sizes.get_mut(axis) {
                *size = 0;
            }
            sizes
        };
        if a_axis == b_axis && others(a, *a_axis) == others(b, *b_axis) {
            return Ok(());
        }
        let (had, has) = (a.shape_text(), b.shape_text());
        let message = format!("{had} and {has} differ in more than the axis they are joined along");
        let fault = Diagnostic::error(Code::ShapeMismatch, span, message)
            .here(format!("joins {had} and {has}"));
        let fault = with_trace(fault, a.trace.as_ref());
        Err(self.fault(with_trace(fault, b.trace.as_ref())))
    }

    /// Reads the tensor through a map.
    pub(super) fn viewed(
        &mut self,
        tensor: &Tensor,
        axes: Vec<Axis>,
        map: Vec<IndexExpr>,
        fill: f64,
        span: Span,
    ) -> Eval<Tensor> {
        let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
        let shape = self.full_shape(tensor.batch, &sizes);
        self.check_size(&shape, span)?;
        let node = self
            .graph(tensor.home)
            .view(tensor.node, View { shape, map, fill });
        Ok(Tensor {
            node,
            axes,
            ..tensor.clone()
        })
    }
}
