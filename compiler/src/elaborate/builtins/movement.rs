//! What moves elements without calculating: each becomes a view or a reshape.

use super::argument;
use crate::elaborate::faults::with_trace;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Axis, AxisRef, Eval, Given, Tensor, Value, shape_text};
use crate::index::IndexExpr;
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

pub(super) fn reshape<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let tensor = interpreter.tensor_argument(given)?;
    let target = argument(arguments, 1);
    let Value::Shape(axes) = &target.value else {
        return Err(interpreter.wrong_kind(&target.value, target.span, "a list of sizes"));
    };
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    interpreter.check_size(&sizes, span)?;
    let (had, wanted): (usize, usize) = (tensor.sizes().iter().product(), sizes.iter().product());
    if had != wanted {
        let (from, to) = (tensor.shape_text(), shape_text(&sizes));
        let fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!("{from} has {had} elements, but {to} has {wanted}"),
        )
        .here(format!("makes {to} of {from}"));
        return Err(interpreter.fault(with_trace(fault, tensor.trace.as_ref())));
    }
    let shape = interpreter.full_shape(tensor.batch, &sizes);
    let node = interpreter.graph(tensor.home).reshape(tensor.node, &shape);
    Ok(Value::Tensor(Tensor {
        node,
        axes: axes.to_vec(),
        ..tensor
    }))
}

pub(super) fn transpose<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    let mut order = Vec::new();
    for axis in named_axes(arguments, 1) {
        let position = interpreter.find_axis(&tensor, axis, span)?;
        order.push(position);
    }
    let each_once = (0..tensor.axes.len()).all(|axis| order.contains(&axis));
    if !each_once || order.len() != tensor.axes.len() {
        return Err(interpreter.bad_value(
            argument(arguments, 1).span,
            format!(
                "{} has {} axes; name each of them once",
                tensor.shape_text(),
                tensor.axes.len()
            ),
            "not each axis once".to_owned(),
        ));
    }
    let places: Vec<usize> = tensor
        .batch
        .then_some(0)
        .into_iter()
        .chain(order.iter().map(|&axis| tensor.graph_axis(axis)))
        .collect();
    let node = interpreter
        .graph(tensor.home)
        .transpose(tensor.node, &places);
    let axes = order
        .iter()
        .map(|&axis| tensor.axes[axis].clone())
        .collect();
    Ok(Value::Tensor(Tensor {
        node,
        axes,
        ..tensor
    }))
}

pub(super) fn pad<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.numbers_argument(argument(arguments, 0))?;
    let before = interpreter.int_argument(argument(arguments, 2), "the padding", 0)?;
    let after = interpreter.int_argument(argument(arguments, 3), "the padding", 0)?;
    let fill = match &arguments[4] {
        None => 0.0,
        Some(given) => match given.value.as_number() {
            Some(fill) => fill,
            None => return Err(interpreter.wrong_kind(&given.value, given.span, "a number")),
        },
    };
    let mut result = tensor;
    for axis in named_axes(arguments, 1) {
        let position = interpreter.find_axis(&result, axis, span)?;
        let size = result.axes[position]
            .size
            .saturating_add(before)
            .saturating_add(after);
        let reach = (IndexExpr::affine([(0, 1)], -(before as i64)), size);
        result = interpreter.remapped(&result, position, reach, fill, span)?;
    }
    Ok(Value::Tensor(result))
}

pub(super) fn slice<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    let axis = interpreter.one_axis(&tensor, named_axes(arguments, 1), span)?;
    let from = interpreter.int_argument(argument(arguments, 2), "`from`", 0)?;
    let to = interpreter.int_argument(argument(arguments, 3), "`to`", 1)?;
    let size = tensor.axes[axis].size;
    if from >= to || to > size {
        return Err(interpreter.bad_value(
            span,
            format!("there is no slice {from} to {to} of an axis of size {size}"),
            format!("reads {}", tensor.shape_text()),
        ));
    }
    let reach = (IndexExpr::affine([(0, 1)], from as i64), to - from);
    interpreter
        .remapped(&tensor, axis, reach, 0.0, span)
        .map(Value::Tensor)
}

pub(super) fn windows<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    let position = interpreter.one_axis(&tensor, named_axes(arguments, 1), span)?;
    let size = interpreter.int_argument(argument(arguments, 2), "the size of a window", 1)?;
    let mut step = |position: usize, what| match &arguments[position] {
        None => Ok(1),
        Some(given) => interpreter.int_argument(given, what, 1),
    };
    let stride = step(3, "the stride")?;
    let dilation = step(4, "the dilation")?;
    let axis = &tensor.axes[position];
    let reach = (size - 1)
        .checked_mul(dilation)
        .and_then(|n| n.checked_add(1));
    let Some(reach) = reach.filter(|&reach| reach <= axis.size) else {
        let name = axis
            .shown_name()
            .map_or(String::new(), |name| format!(" `{name}`"));
        let dilated = if dilation == 1 {
            String::new()
        } else {
            format!(" with dilation {dilation}")
        };
        let fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!(
                "a window of {size}{dilated} does not fit into the axis{name} of size {}",
                axis.size
            ),
        )
        .help("use a smaller window, or pad the input");
        return Err(interpreter.fault(with_trace(fault, tensor.trace.as_ref())));
    };
    let mut axes = tensor.axes.clone();
    axes[position].size = (axis.size - reach) / stride + 1;
    axes.insert(position + 1, Axis::unnamed(size));
    let at = tensor.graph_axis(position);
    let map = (0..tensor.graph_axis(tensor.axes.len())).map(|axis| match axis {
        _ if axis < at => IndexExpr::dim(axis),
        _ if axis > at => IndexExpr::dim(axis + 1),
        _ => IndexExpr::affine([(at, stride as i64), (at + 1, dilation as i64)], 0),
    });
    let map = map.collect();
    interpreter
        .viewed(&tensor, axes, map, 0.0, span)
        .map(Value::Tensor)
}

pub(super) fn concat<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let Value::List(parts) = &given.value else {
        return Err(interpreter.wrong_kind(
            &given.value,
            given.span,
            "a list of tensors, such as `[a, b]`",
        ));
    };
    let mut tensors = Vec::new();
    for part in parts.iter() {
        let part = Given {
            value: part.clone(),
            span: given.span,
        };
        tensors.push(interpreter.numbers_argument(&part)?);
    }
    let Some(first) = tensors.first() else {
        return interpreter.joined(Vec::new(), given, span);
    };
    // Whoever has the axis by that name says which it is; in the others it is the one in its place.
    let named = |tensor: &Tensor| match named_axes(arguments, 1) {
        [AxisRef::Named(label, _)] => tensor
            .axes
            .iter()
            .position(|axis| axis.labels.contains(label)),
        _ => None,
    };
    let (position, labels) = match tensors.iter().find_map(|t| Some((t, named(t)?))) {
        Some((tensor, position)) => (position, tensor.axes[position].labels.clone()),
        None => {
            let position = interpreter.one_axis(first, named_axes(arguments, 1), span)?;
            (position, first.axes[position].labels.clone())
        }
    };
    let tensors = tensors
        .into_iter()
        .map(|tensor| {
            let own = named(&tensor).unwrap_or(position);
            (tensor, own)
        })
        .collect();
    let mut whole = interpreter.joined(tensors, given, span)?;
    if let Value::Tensor(whole) = &mut whole {
        whole.axes[position].labels = labels;
    }
    Ok(whole)
}

pub(super) fn split<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    let parts = argument(arguments, 1);
    if let Value::List(_) | Value::Shape(_) = &parts.value {
        let fault = Diagnostic::error(
            Code::TypeMismatch,
            parts.span,
            "`split` makes equal parts, and takes how many",
        )
        .here("a list")
        .help("cut unequal parts one by one: `slice(x, over: d, from: 0, to: 10)`");
        return Err(interpreter.fault(fault));
    }
    let parts = interpreter.int_argument(parts, "the number of parts", 1)?;
    let axis = match &arguments[2] {
        Some(_) => interpreter.one_axis(&tensor, named_axes(arguments, 2), span)?,
        None => interpreter.one_axis(&tensor, &[AxisRef::All], span)?,
    };
    let size = tensor.axes[axis].size;
    if size % parts != 0 {
        return Err(interpreter.bad_value(
            span,
            format!(
                "an axis of size {size} cannot be split into {parts} equal parts; unequal ones \
                 are cut by `slice`"
            ),
            format!("reads {}", tensor.shape_text()),
        ));
    }
    let length = size / parts;
    let mut values = Vec::new();
    for part in 0..parts {
        let reach = (IndexExpr::affine([(0, 1)], (part * length) as i64), length);
        let part = interpreter.remapped(&tensor, axis, reach, 0.0, span)?;
        values.push(Value::Tensor(part));
    }
    Ok(Value::List(Rc::from(values)))
}

impl<'a> Interpreter<'a> {
    /// Reads one axis through `reach`, an expression of dimension 0, giving it a new size.
    pub(super) fn remapped(
        &mut self,
        tensor: &Tensor,
        position: usize,
        (expr, size): (IndexExpr, usize),
        fill: f64,
        span: Span,
    ) -> Eval<Tensor> {
        let at = tensor.graph_axis(position);
        let mut axes = tensor.axes.clone();
        axes[position].size = size;
        let map = (0..tensor.graph_axis(tensor.axes.len())).map(|axis| {
            if axis == at {
                let terms = expr.terms.iter().map(|&(_, c)| (at, c));
                IndexExpr::affine(terms, expr.offset).over(expr.divisor)
            } else {
                IndexExpr::dim(axis)
            }
        });
        let map = map.collect();
        self.viewed(tensor, axes, map, fill, span)
    }
}

/// The axes that an argument names.
pub(super) fn named_axes<'c>(arguments: &'c [Option<Given<'_>>], position: usize) -> &'c [AxisRef] {
    match arguments[position].as_ref().map(|given| &given.value) {
        Some(Value::Axes(axes)) => axes,
        _ => &[],
    }
}
