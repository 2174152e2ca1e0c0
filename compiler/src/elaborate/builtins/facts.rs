//! Builtins that bring something into the graph: indices, draws; and the
//! selection of elements by index.

use super::argument;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::tensors::Target;
use crate::elaborate::values::{AxisRef, Element, Eval, Given, Home, Recipe, Tensor, Value};
use crate::graph::DType;
use crate::index::IndexExpr;
use nnc_grammar::ast::{Expr, Ident};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

pub(super) fn index<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let tensor = interpreter.tensor_argument(argument(arguments, 0))?;
    if let Some(Value::Axes(axes)) = arguments[1].as_ref().map(|given| &given.value)
        && **axes == [AxisRef::Batch]
    {
        return Ok(interpreter.place_in_batch(&tensor));
    }
    let over = match arguments[1].as_ref().map(|given| &given.value) {
        Some(Value::Axes(axes)) => axes.to_vec(),
        _ => vec![AxisRef::All],
    };
    let axis = interpreter.one_axis(&tensor, &over, span)?;
    let axis = tensor.axes[axis].clone();
    let node = interpreter.graph(tensor.home).iota(0, &[axis.size]);
    Ok(Value::Tensor(Tensor {
        node,
        home: tensor.home,
        batch: false,
        axes: vec![axis],
        element: Element::Int,
        trace: None,
    }))
}

pub(super) fn one_hot<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let given = argument(arguments, 0);
    let tensor = interpreter.tensor_argument(given)?;
    let Element::Class(count) = tensor.element else {
        return Err(interpreter.wrong_kind(&given.value, given.span, "classes"));
    };
    interpreter.hits(&tensor, count, span).map(Value::Tensor)
}

pub(super) fn random<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let draw = interpreter.next_draw;
    interpreter.next_draw += 1;
    let recipe = Recipe::Uniform(draw);
    match arguments[0].as_ref().map(|given| &given.value) {
        Some(Value::Shape(axes)) => {
            let target = Target {
                home: Home::Body,
                // What an optimiser draws belongs to a parameter, not to a sample.
                batch: interpreter.run.optimizing.is_none(),
                axes: axes.to_vec(),
            };
            interpreter.instantiate(&recipe, &target, None, span)
        }
        _ => Ok(Value::Recipe(Rc::new(recipe))),
    }
}

impl<'a> Interpreter<'a> {
    /// Which sample of the batch it is: a class below the batch's size.
    fn place_in_batch(&mut self, tensor: &Tensor) -> Value<'a> {
        let size = self.batch;
        let graph = self.graph(tensor.home);
        let node = graph.iota(0, &[size]);
        Value::Tensor(Tensor {
            node,
            home: tensor.home,
            batch: true,
            axes: Vec::new(),
            element: Element::Class(size),
            trace: None,
        })
    }

    /// `x[k = label, t = 0]`
    pub fn eval_select(
        &mut self,
        base: &'a Expr,
        selectors: &'a [(Ident, Expr)],
        span: Span,
    ) -> Eval<Value<'a>> {
        let given = self.given(base)?;
        let mut tensor = self.tensor_argument(&given)?;
        for (name, index) in selectors {
            let label = self.label(&name.name);
            let axis = self.find_axis(&tensor, &AxisRef::Named(label, name.span), span)?;
            let index = self.given(index)?;
            tensor = match &index.value {
                Value::Int(at) => self.select_at(&tensor, axis, *at, index.span)?,
                Value::Tensor(classes)
                    if matches!(classes.element, Element::Class(_) | Element::Int) =>
                {
                    let classes = classes.clone();
                    self.select_by(tensor, axis, &classes, index.span, span)?
                }
                value => return Err(self.wrong_kind(value, index.span, "an int or classes")),
            };
        }
        Ok(Value::Tensor(tensor))
    }

    /// The element at a constant index.
    fn select_at(&mut self, tensor: &Tensor, axis: usize, at: i64, span: Span) -> Eval<Tensor> {
        let size = tensor.axes[axis].size;
        if at < 0 || at >= size as i64 {
            let message = format!("there is no element {at} on an axis of size {size}");
            let fault = Diagnostic::error(Code::BadValue, span, message)
                .here(format!("must lie in 0 to {}", size - 1));
            return Err(self.fault(match at < 0 {
                true => fault.help(format!(
                    "places count from the start; the last is {}",
                    size - 1
                )),
                false => fault,
            }));
        }
        let gone = tensor.graph_axis(axis);
        let map = (0..tensor.graph_axis(tensor.axes.len())).map(|i| match i {
            _ if i < gone => IndexExpr::dim(i),
            _ if i > gone => IndexExpr::dim(i - 1),
            _ => IndexExpr::constant(at),
        });
        let map = map.collect();
        let mut axes = tensor.axes.clone();
        axes.remove(axis);
        self.viewed(tensor, axes, map, 0.0, span)
    }

    /// The element that a class names, one per remaining index: the sum over the axis
    /// of what stands at the class and zero elsewhere.
    fn select_by(
        &mut self,
        tensor: Tensor,
        axis: usize,
        classes: &Tensor,
        classes_span: Span,
        span: Span,
    ) -> Eval<Tensor> {
        let size = tensor.axes[axis].size;
        if let Element::Class(count) = classes.element
            && count > size
        {
            let message =
                format!("class({count}) counts more classes than the axis has elements, {size}");
            let fault = Diagnostic::error(Code::ShapeMismatch, classes_span, message);
            return Err(self.fault(fault.here(format!("this is {}", classes.shape_text()))));
        }
        let mut kept = tensor.axes.clone();
        kept.remove(axis);
        let agree = classes.axes.len() == kept.len()
            && classes
                .axes
                .iter()
                .zip(&kept)
                .all(|(a, b)| a.size == b.size);
        if !agree || classes.home != tensor.home {
            let message = format!(
                "{} cannot select from {}: it must have the shape of the axes that remain",
                classes.shape_text(),
                tensor.shape_text()
            );
            let fault = Diagnostic::error(Code::ShapeMismatch, classes_span, message);
            return Err(self.fault(fault.here(format!("gives {}", classes.shape_text()))));
        }
        let batch = tensor.batch || classes.batch;
        let tensor = self.with_batch(tensor, batch, span)?;
        let shape = self.full_shape(batch, &tensor.sizes());
        let at = tensor.graph_axis(axis);
        let leading = usize::from(batch);
        let places = (0..kept.len()).map(|i| i + leading + usize::from(i >= axis));
        let places: Vec<usize> = classes
            .batch
            .then_some(0)
            .into_iter()
            .chain(places)
            .collect();
        let graph = self.graph(tensor.home);
        let own = graph.iota(at, &shape);
        let wanted = graph.broadcast(classes.node, &shape, &places);
        let hit = graph.equal(own, wanted);
        let numbers = graph.cast(tensor.node, DType::F32);
        let zero = graph.constant_like(0.0, numbers);
        let chosen = graph.select(hit, numbers, zero);
        let node = graph.sum(chosen, &[at]);
        Ok(Tensor {
            node,
            axes: kept,
            batch,
            element: Element::Number,
            ..tensor
        })
    }

    /// The tensor with a batch axis, repeated if it has none.
    fn with_batch(&mut self, tensor: Tensor, batch: bool, span: Span) -> Eval<Tensor> {
        if tensor.batch == batch {
            return Ok(tensor);
        }
        let shape = self.full_shape(true, &tensor.sizes());
        self.check_size(&shape, span)?;
        let places: Vec<usize> = (1..shape.len()).collect();
        let node = self
            .graph(tensor.home)
            .broadcast(tensor.node, &shape, &places);
        Ok(Tensor {
            node,
            batch: true,
            ..tensor
        })
    }
}
