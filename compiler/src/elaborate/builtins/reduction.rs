//! Sums, maxima and what else takes axes together.

use super::argument;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::pointwise::Pointwise;
use crate::elaborate::values::{AxisRef, Element, Eval, Given, Tensor, Value};
use nnc_grammar::{Code, Diagnostic, Span};

pub(super) fn sum<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    if let Value::List(items) = &given.value
        && arguments[1].is_none()
    {
        return sum_of_list(interpreter, items, given.span, span);
    }
    reduce(interpreter, arguments, span, |interpreter, tensor, axes| {
        interpreter.graph(tensor.home).sum(tensor.node, axes)
    })
}

/// All elements of all tensors of a list.
fn sum_of_list<'a>(
    interpreter: &mut Interpreter<'a>,
    items: &[Value<'a>],
    place: Span,
    span: Span,
) -> Eval<Value<'a>> {
    let mut total = Given {
        value: Value::Int(0),
        span,
    };
    for item in items {
        let item = Given {
            value: item.clone(),
            span: place,
        };
        let value = sum(interpreter, &[Some(item), None], span)?;
        let value = Given { value, span };
        total.value = interpreter.pointwise(Pointwise::Add, vec![total.clone(), value], span)?;
    }
    Ok(total.value)
}

pub(super) fn max<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    reduce(interpreter, arguments, span, |interpreter, tensor, axes| {
        interpreter.graph(tensor.home).max_over(tensor.node, axes)
    })
}

pub(super) fn argmax<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.numbers_argument(argument(arguments, 0))?;
    let axis = interpreter.one_axis(&tensor, over(arguments), span)?;
    let graph_axis = tensor.graph_axis(axis);
    let node = interpreter
        .graph(tensor.home)
        .argmax(tensor.node, graph_axis);
    let mut axes = tensor.axes.clone();
    let element = Element::Class(axes.remove(axis).size);
    Ok(Value::Tensor(Tensor {
        node,
        axes,
        element,
        ..tensor
    }))
}

pub(super) fn count<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    if given.value.as_number().is_some() {
        return Ok(Value::Int(1));
    }
    let tensor = interpreter.tensor_argument(given)?;
    let (axes, batch) = interpreter.reduced(&tensor, over(arguments), span)?;
    let sizes = axes.iter().map(|&axis| tensor.axes[axis].size);
    let count: usize = sizes.chain(batch.then_some(interpreter.batch)).product();
    Ok(Value::Int(count as i64))
}

/// Takes axes together; a number is its own reduction.
fn reduce<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
    emit: impl FnOnce(&mut Interpreter<'a>, &Tensor, &[usize]) -> crate::graph::NodeId,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    if given.value.as_number().is_some() {
        return Ok(given.value.clone());
    }
    let tensor = interpreter.numbers_argument(given)?;
    let (axes, batch) = interpreter.reduced(&tensor, over(arguments), span)?;
    let graph_axes: Vec<usize> = batch
        .then_some(0)
        .into_iter()
        .chain(axes.iter().map(|&axis| tensor.graph_axis(axis)))
        .collect();
    let node = emit(interpreter, &tensor, &graph_axes);
    let kept = tensor.axes.iter().enumerate();
    let kept = kept.filter(|(i, _)| !axes.contains(i));
    Ok(Value::Tensor(Tensor {
        node,
        batch: tensor.batch && !batch,
        axes: kept.map(|(_, axis)| axis.clone()).collect(),
        ..tensor
    }))
}

/// The argument after `over:`.
fn over<'c>(arguments: &'c [Option<Given<'_>>]) -> &'c [AxisRef] {
    match arguments
        .get(1)
        .and_then(Option::as_ref)
        .map(|given| &given.value)
    {
        Some(Value::Axes(axes)) => axes,
        _ => &[AxisRef::All],
    }
}

impl<'a> Interpreter<'a> {
    /// Which axes of the sample are reduced, and whether the batch is.
    fn reduced(
        &mut self,
        tensor: &Tensor,
        over: &[AxisRef],
        span: Span,
    ) -> Eval<(Vec<usize>, bool)> {
        let (axes, batch) = self.find_axes(tensor, over, span)?;
        if batch && !tensor.batch {
            let fault = Diagnostic::error(
                Code::UnknownAxis,
                span,
                format!(
                    "this {} is the same for all samples: it has no batch",
                    tensor.shape_text()
                ),
            );
            return Err(self.fault(fault.here("reduces over the batch")));
        }
        Ok((axes, batch))
    }

    /// The one axis that is named.
    pub(super) fn one_axis(
        &mut self,
        tensor: &Tensor,
        over: &[AxisRef],
        span: Span,
    ) -> Eval<usize> {
        match over {
            [axis] => self.find_axis(tensor, axis, span),
            several => {
                let message = format!("expected one axis, found {}", several.len());
                let fault = Diagnostic::error(Code::UnknownAxis, span, message);
                Err(self.fault(fault.here("names several axes")))
            }
        }
    }
}
