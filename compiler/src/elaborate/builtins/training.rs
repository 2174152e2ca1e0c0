//! Builtins about training: gradients as values, copies and parameters of nets, the
//! whole batch as an axis, saved weights.

use super::argument;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Axis, Element, Eval, Given, Home, Tensor, Value};
use crate::graph::Op;
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// Of each sample's loss by what belongs to the sample; of the mean over the batch, as
/// `minimize` takes it, by what all samples share. By a list, a list.
pub(super) fn grad<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let loss = interpreter.numbers_argument(given)?;
    let by = argument(arguments, 1);
    match &by.value {
        Value::List(items) => {
            let each = items.iter().map(|item| {
                let item = Given {
                    value: item.clone(),
                    span: by.span,
                };
                grad(interpreter, &[Some(given.clone()), Some(item)], span)
            });
            return Ok(Value::List(Rc::from(each.collect::<Eval<Vec<_>>>()?)));
        }
        Value::Function(_) => {
            let text = interpreter.sources.text(by.span);
            let found = by.value.kind_text();
            let message = format!("a gradient is taken by tensors, but this is {found}");
            let fault = Diagnostic::error(Code::TypeMismatch, by.span, message)
                .here(format!("this is {found}"))
                .help(format!(
                    "take it by its parameters: `grad(..., parameters({text}))`"
                ));
            return Err(interpreter.fault(fault));
        }
        _ => {}
    }
    let x = interpreter.tensor_argument(by)?;
    if x.element != Element::Number {
        return Err(interpreter.wrong_kind(&by.value, by.span, "a tensor of numbers"));
    }
    if !loss.axes.is_empty() {
        let message = format!(
            "a gradient is that of one number, but this is {}",
            loss.shape_text()
        );
        let text = interpreter.sources.text(given.span);
        let fault = Diagnostic::error(Code::ShapeMismatch, given.span, message)
            .here(format!("gives {}", loss.shape_text()))
            .help(format!(
                "take the sum or the mean: `grad(sum({text}), ...)`"
            ));
        return Err(interpreter.fault(fault));
    }
    if loss.home != Home::Body || x.home != Home::Body {
        let fault = Diagnostic::error(Code::Misplaced, span, "totals have no gradient");
        return Err(interpreter.fault(fault.here("known only after the whole pass")));
    }
    if !interpreter.reached(&loss).contains(&x.node) {
        let message = "this gradient is zero: the first value does not depend on the second";
        let warning = Diagnostic::warning(Code::Suspicious, span, message)
            .here("always zero")
            .label(by.span, "not used for it");
        let warning = warning.help("gradients are taken by the very value that was read: bind it with `let`, and use that name in both places");
        interpreter.report(warning);
    }
    let number = match (loss.batch, x.batch) {
        (true, true) => interpreter.graph(Home::Body).sum(loss.node, &[0]),
        _ => interpreter.batch_mean(&loss).node,
    };
    let node = interpreter
        .graph(Home::Body)
        .push(Op::Grad, &[number, x.node]);
    Ok(Value::Tensor(Tensor { node, ..x }))
}

/// The batch becomes an ordinary axis, the first one, of a value that all samples see.
pub(super) fn all_samples<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    if !tensor.batch {
        let message = format!(
            "this {} is the same for all samples: it has no batch",
            tensor.shape_text()
        );
        let fault = Diagnostic::error(Code::UnknownAxis, span, message);
        return Err(interpreter.fault(fault.here("has nothing to gather")));
    }
    let mut axes = vec![Axis::unnamed(interpreter.batch)];
    axes.extend(tensor.axes.iter().cloned());
    Ok(Value::Tensor(Tensor {
        batch: false,
        axes,
        ..tensor
    }))
}

pub(super) fn copy<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    interpreter.copy(argument(arguments, 0), span)
}

pub(super) fn parameters<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    interpreter.parameters(argument(arguments, 0), span)
}

pub(super) fn weights<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    interpreter.weights(arguments, span)
}
