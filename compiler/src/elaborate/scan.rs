//! `scan`: a loop over time. Its block is run once, on leaves that stand for what is
//! carried and for the slices of any step; the graph makes a loop of what comes out.

use super::axes::alignment;
use super::faults::with_trace;
use super::interpreter::Interpreter;
use super::moment::{Carried, Moment};
use super::tensors::Target;
use super::values::{Axis, Element, Eval, Function, Given, Home, Reported, Tensor, Value};
use crate::graph::{self, DType, Enclosed, NodeId, Recurrence, TimeOrder};
use nnc_grammar::ast::{AxisPattern, Carry, Expr, ExprKind, Ident, Scan, Type, TypeKind};
use nnc_grammar::{Code, Diagnostic, Span};

impl<'a> Interpreter<'a> {
    /// The value of a `scan`: what it yields, one behind the other; or, if it yields
    /// nothing, the last values of what it carries.
    pub fn scan(&mut self, scan: &'a Scan, span: Span) -> Eval<Value<'a>> {
        let (time, slices) = self.slices(scan)?;
        let mut first = Vec::new();
        let mut carried = Vec::new();
        for carry in &scan.carries {
            let (node, target, element) = self.first_value(carry)?;
            first.push(node);
            carried.push(Carried {
                name: &carry.name,
                target,
                element,
                next: None,
            });
        }
        let sliced = slices.iter().map(|(_, x)| self.time_first(x)).collect();
        let order = match scan.backward {
            true => TimeOrder::Backward,
            false => TimeOrder::Forward,
        };
        let graph = self.graph(Home::Body);
        let recurrence = Recurrence::begin(graph, time.size, order, first, sliced);

        let outer = self.frame().variables.len();
        for ((name, x), &leaf) in slices.iter().zip(recurrence.slices()) {
            let slice = self.slice(x, leaf);
            self.bind(name.name.as_str(), Value::Tensor(slice), name.span);
        }
        for (carried, &leaf) in carried.iter().zip(recurrence.carried()) {
            let value = self.uncarried(leaf, &carried.target, carried.element);
            let name = carried.name;
            self.bind(name.name.as_str(), Value::Tensor(value), name.span);
        }
        // Random numbers of a step are new ones, and no one else's.
        let draws = self.run.draws.clone();
        self.scans.push(Moment {
            span,
            frames: self.frames.len(),
            carried,
            yielded: None,
        });
        let value = self.block_statements(&scan.body);
        self.frame().variables.truncate(outer);
        self.run.draws = draws;
        let Some(moment) = self.scans.pop() else {
            unreachable!("elaborate: the moment was just begun")
        };
        let value = value?;
        self.check_result(scan, &moment, &value)?;
        self.results(moment, recurrence, &time)
    }

    /// The tensors to go through, and their common leading axis.
    fn slices(&mut self, scan: &'a Scan) -> Eval<(Axis, Vec<(&'a Ident, Tensor)>)> {
        let mut slices: Vec<(&Ident, Tensor)> = Vec::new();
        let mut time: Option<(Axis, Span)> = None;
        for (name, x) in &scan.slices {
            let given = self.given(x)?;
            let tensor = match given.value {
                Value::Tensor(tensor) if tensor.home == Home::Body => tensor,
                value => return Err(self.no_tensor(&value, given.span, "a tensor to go through")),
            };
            let Some(axis) = tensor.axes.first().cloned() else {
                let message = "a `scan` goes along the first axis, but this tensor has none";
                let fault = Diagnostic::error(Code::ShapeMismatch, given.span, message)
                    .here(format!("gives {}", tensor.shape_text()));
                return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
            };
            match &time {
                Some((known, first)) if known.size != axis.size => {
                    let message = format!(
                        "a `scan` goes through tensors of equal length, but these have {} and {} steps",
                        known.size, axis.size
                    );
                    let fault = Diagnostic::error(Code::ShapeMismatch, given.span, message)
                        .here(format!("gives {}", tensor.shape_text()))
                        .label(*first, format!("has {} steps", known.size));
                    return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
                }
                Some(_) => {}
                None => time = Some((axis, given.span)),
            }
            slices.push((name, tensor));
        }
        match time {
            Some((time, _)) => Ok((time, slices)),
            None => unreachable!("elaborate: the grammar gives a scan something to go through"),
        }
    }

    /// What is carried before the first step.
    fn first_value(&mut self, carry: &'a Carry) -> Eval<(NodeId, Target, Element)> {
        let name = &carry.name.name;
        let mut given = self.given(&carry.first)?;
        if let Value::Function(
            function @ (Function::Definition(_) | Function::Builtin(_) | Function::Partial(_)),
        ) = &given.value
        {
            given.value = self.call(&Value::Function(function.clone()), &[], None, given.span)?;
        }
        let (axes, element) = match (&carry.ty, &given.value) {
            (Some(ty), _) => {
                if let (Value::Tensor(_), Some(free)) = (&given.value, self.free_size(ty)) {
                    return Err(self.named_by_value(free, name));
                }
                self.carried_type(ty)?
            }
            (None, Value::Tensor(tensor)) => {
                let element = match tensor.element {
                    Element::Int => Element::Number,
                    element => element,
                };
                (tensor.axes.clone(), element)
            }
            (None, _) => {
                let message = format!("`{name}` needs a shape");
                return Err(self.fault(
                    Diagnostic::error(Code::TypeMismatch, carry.name.span, message)
                        .here("has no shape")
                        .help(format!("write it: `with {name}: [n] = ...`")),
                ));
            }
        };
        let target = Target {
            home: Home::Body,
            batch: true,
            axes,
        };
        let what = format!("the first value of `{name}`");
        let (node, _) = self.carried_value(&given, &target, element, &what)?;
        Ok((node, target, element))
    }

    /// A name in a shape that nothing has given a size yet.
    fn free_size(&self, ty: &'a Type) -> Option<&'a Expr> {
        let TypeKind::Tensor { axes, .. } = &ty.kind else {
            return None;
        };
        axes.iter().find_map(|axis| match axis {
            AxisPattern::Size(size) => match &size.kind {
                ExprKind::Name(name) => {
                    let bound = self.variable(name).is_some();
                    let known = bound || self.globals.find(name, size.span).is_some();
                    (!known).then_some(size)
                }
                _ => None,
            },
            AxisPattern::Rest(_) => None,
        })
    }

    /// `with h: [k] = first`, as if the shape were a pattern.
    fn named_by_value(&mut self, free: &Expr, carried: &str) -> Reported {
        let size = self.sources.text(free.span);
        let message = format!("the size `{size}` is not known here");
        self.fault(
            Diagnostic::error(Code::UnknownName, free.span, message)
                .here("takes no size from the value: this shape is no pattern")
                .help(format!(
                    "leave the shape out: `with {carried} = ...` has that of its value"
                ))
                .help(format!(
                    "or name the axes before the loop: `let {carried}_0: [{size}] = ...`"
                )),
        )
    }

    /// `[n]`, `[n] class(k)`, `[n] bool`
    fn carried_type(&mut self, ty: &'a Type) -> Eval<(Vec<Axis>, Element)> {
        let (axes, element): (&[AxisPattern], _) = match &ty.kind {
            TypeKind::Tensor {
                axes,
                element: Some(element),
            } => (axes, element),
            TypeKind::Named(name) if name.name == "bool" => return Ok((Vec::new(), Element::Bool)),
            _ => return Ok((self.slot_axes(ty)?, Element::Number)),
        };
        let classes = match &element.argument {
            Some(argument) => self.expected_size(argument)?,
            None => None,
        };
        let element = match (element.name.name.as_str(), classes) {
            ("bool", None) => Element::Bool,
            // Beyond, not every integer is a 32-bit float, as which it is carried.
            ("class", Some((classes, _))) if (1..=1 << 24).contains(&classes) => {
                Element::Class(classes as usize)
            }
            _ => {
                let message = "a `scan` carries numbers, classes or masks";
                return Err(self.fault(
                    Diagnostic::error(Code::TypeMismatch, element.span, message)
                        .here("is none of these")
                        .help("write a shape alone, or one with `class(10)` or `bool` behind it"),
                ));
            }
        };
        Ok((self.known_axes(axes, ty.span)?, element))
    }

    /// A value as it is carried, of a fixed shape and kind: as numbers, and as itself.
    pub fn carried_value(
        &mut self,
        given: &Given<'a>,
        target: &Target,
        element: Element,
        what: &str,
    ) -> Eval<(NodeId, NodeId)> {
        let known = match (&given.value, element) {
            (Value::Tensor(tensor), _) => {
                self.check_carried(tensor, target, element, given.span, what)?;
                true
            }
            (Value::Int(class), Element::Class(classes)) => (0..classes as i64).contains(class),
            (Value::Bool(_), element) => element == Element::Bool,
            (_, element) => element == Element::Number,
        };
        if !known {
            let wanted = match element {
                Element::Class(classes) => format!("a class below {classes} for {what}"),
                element => format!("{element} for {what}"),
            };
            return Err(self.wrong_kind(&given.value, given.span, &wanted));
        }
        let node = self.spread(given, target, element.dtype())?;
        Ok((self.graph(Home::Body).cast(node, DType::F32), node))
    }

    fn check_carried(
        &mut self,
        tensor: &Tensor,
        target: &Target,
        element: Element,
        span: Span,
        what: &str,
    ) -> Eval<()> {
        let fits = match (element, tensor.element) {
            (Element::Number, Element::Number | Element::Int) | (Element::Bool, Element::Bool) => {
                true
            }
            (Element::Class(all), Element::Class(these)) => these <= all,
            _ => false,
        };
        if !fits {
            let message = format!("{what} must be {element}, but it is {}", tensor.element);
            let fault = Diagnostic::error(Code::TypeMismatch, span, message)
                .here(format!("gives {}", tensor.shape_text()));
            let fault = match element {
                Element::Number => {
                    fault.help("`float(x)` makes numbers of masks, `one_hot(x)` of classes")
                }
                _ => fault.note("what a `scan` carries keeps its kind from step to step"),
            };
            return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
        }
        let aligned = tensor.axes.len() <= target.axes.len()
            && alignment(&tensor.axes, &target.axes).is_some();
        if !aligned || tensor.home != target.home {
            let wanted = target.clone().tensor(tensor.node, element).shape_text();
            let message = format!("{what} must be {wanted}, but it is {}", tensor.shape_text());
            let fault = Diagnostic::error(Code::ShapeMismatch, span, message)
                .here(format!("gives {}", tensor.shape_text()))
                .note("what a `scan` carries keeps its shape from step to step");
            return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
        }
        Ok(())
    }

    /// What is carried as numbers, as what it is.
    fn uncarried(&mut self, numbers: NodeId, target: &Target, element: Element) -> Tensor {
        let graph = self.graph(Home::Body);
        let node = match element {
            Element::Bool => above_half(graph, numbers),
            element => graph.cast(numbers, element.dtype()),
        };
        target.clone().tensor(node, element)
    }

    /// The tensor with time as its leading axis in the graph, before the batch.
    fn time_first(&mut self, x: &Tensor) -> NodeId {
        let graph = self.graph(Home::Body);
        let node = match x.element {
            Element::Bool => graph.cast(x.node, DType::F32),
            _ => x.node,
        };
        match x.batch {
            true => swap_leading(graph, node),
            false => node,
        }
    }

    /// What stands for a slice at any step.
    fn slice(&mut self, x: &Tensor, leaf: NodeId) -> Tensor {
        let graph = self.graph(Home::Body);
        let node = match x.element {
            Element::Bool => above_half(graph, leaf),
            _ => leaf,
        };
        Tensor {
            node,
            axes: x.axes[1..].to_vec(),
            trace: None,
            ..x.clone()
        }
    }

    /// What is wrong with a step as a whole.
    fn check_result(&mut self, scan: &'a Scan, moment: &Moment<'a>, value: &Value<'a>) -> Eval<()> {
        if let Some(carried) = moment.carried.iter().find(|carried| carried.next.is_none()) {
            let name = &carried.name.name;
            let message = format!("`{name}` is carried, but nothing says what it is next");
            return Err(self.fault(
                Diagnostic::error(Code::Misplaced, carried.name.span, message)
                    .here("stays as it is")
                    .help(format!("write `next {name} = ...` in the block, where `let` would only bind another value; what all steps share needs not be carried")),
            ));
        }
        if let (false, Some(last)) = (matches!(value, Value::Nothing), scan.body.statements.last())
        {
            return Err(self.misplaced(
                last.span,
                "the block of a `scan` has no value".to_owned(),
                "write `yield` before what each step leaves behind".to_owned(),
            ));
        }
        if moment.carried.is_empty() && moment.yielded.is_none() {
            return Err(self.misplaced(
                moment.span,
                "this `scan` leaves nothing behind".to_owned(),
                "`yield` a value at each step, or carry one: `with h: [n] = zeros`".to_owned(),
            ));
        }
        Ok(())
    }

    fn results(
        &mut self,
        moment: Moment<'a>,
        recurrence: Recurrence,
        time: &Axis,
    ) -> Eval<Value<'a>> {
        let next: Vec<NodeId> = moment
            .carried
            .iter()
            .filter_map(|carried| carried.next.map(|(node, _)| node))
            .collect();
        let yielded = moment
            .yielded
            .as_ref()
            .map_or(&[][..], |(yielded, _)| yielded);
        for tensor in yielded {
            let sizes: Vec<usize> = [time.size].into_iter().chain(tensor.sizes()).collect();
            self.check_size(&self.full_shape(true, &sizes), moment.span)?;
        }
        let nodes: Vec<NodeId> = yielded.iter().map(|tensor| tensor.node).collect();
        let graph = self.graph(Home::Body);
        let Enclosed { scan, yields } = recurrence.end(graph, &next, &nodes);
        let mut results = Vec::new();
        if moment.yielded.is_some() {
            for (tensor, all) in yielded.iter().zip(yields) {
                let graph = self.graph(Home::Body);
                let node = swap_leading(graph, all);
                let node = match tensor.element {
                    Element::Bool => above_half(graph, node),
                    _ => node,
                };
                let axes = [time.clone()].into_iter().chain(tensor.axes.clone());
                results.push(Value::Tensor(Tensor {
                    node,
                    axes: axes.collect(),
                    ..tensor.clone()
                }));
            }
        } else {
            for (position, carried) in moment.carried.into_iter().enumerate() {
                let node = self.graph(Home::Body).last(scan, position);
                let last = self.uncarried(node, &carried.target, carried.element);
                results.push(Value::Tensor(last));
            }
        }
        Ok(match <[Value<'a>; 1]>::try_from(results) {
            Ok([only]) => only,
            Err(results) => Value::List(results.into()),
        })
    }
}

/// The two leading axes the other way round.
fn swap_leading(graph: &mut crate::graph::GraphBuilder, x: NodeId) -> NodeId {
    let mut order: Vec<usize> = (0..graph.shape(x).len()).collect();
    order.swap(0, 1);
    graph.transpose(x, &order)
}

/// A mask from its numbers.
fn above_half(graph: &mut crate::graph::GraphBuilder, x: NodeId) -> NodeId {
    let ty = graph::Type::f32(graph.shape(x));
    let half = graph.constant(0.5, ty);
    graph.less(half, x)
}
