//! Axes: how they are written, and which of a tensor's they are.

use super::faults::{did_you_mean, with_trace};
use super::interpreter::Interpreter;
use super::values::{Axis, AxisRef, Eval, Label, Reported, Tensor, Value};
use nnc_grammar::ast::{AxisPattern, Expr, ExprKind, Type, TypeKind};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

impl<'a> Interpreter<'a> {
    /// The axes that an argument such as `over: [batch, ..]` names.
    pub fn eval_axes(&mut self, expr: &'a Expr) -> Eval<Vec<AxisRef>> {
        match &expr.kind {
            ExprKind::List(items) => {
                let mut axes = Vec::new();
                for item in items {
                    axes.extend(self.eval_axes(item)?);
                }
                Ok(axes)
            }
            ExprKind::Rest => Ok(match &self.frame().rest {
                Some(rest) => rest
                    .iter()
                    .filter_map(|axis| axis.label().cloned())
                    .map(|label| AxisRef::Named(label, expr.span))
                    .collect(),
                None => vec![AxisRef::All],
            }),
            ExprKind::Name(name) => Ok(match self.variable(name).map(|v| v.value.clone()) {
                Some(Value::Axes(axes)) => axes.to_vec(),
                _ if name == "batch" => vec![AxisRef::Batch],
                _ => vec![AxisRef::Named(self.label(name), expr.span)],
            }),
            _ => Err(self.fault(
                Diagnostic::error(
                    Code::TypeMismatch,
                    expr.span,
                    "expected the name of an axis",
                )
                .here("not a name")
                .help("axes are said by name: `over: c` or `over: [batch, ..]`"),
            )),
        }
    }

    /// Positions in the graph's shape of the axes that were named, ascending, and
    /// whether the batch is among them.
    pub fn find_axes(
        &mut self,
        tensor: &Tensor,
        axes: &[AxisRef],
        span: Span,
    ) -> Eval<(Vec<usize>, bool)> {
        let mut found = Vec::new();
        let mut batch = false;
        for axis in axes {
            match axis {
                AxisRef::Batch => batch = true,
                AxisRef::All => found.extend(0..tensor.axes.len()),
                AxisRef::Named(..) => found.push(self.find_axis(tensor, axis, span)?),
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok((found, batch))
    }

    /// Position of an axis among the axes of a sample.
    pub fn find_axis(&mut self, tensor: &Tensor, axis: &AxisRef, span: Span) -> Eval<usize> {
        let (label, place) = match axis {
            AxisRef::Named(label, place) => (label, *place),
            AxisRef::All if tensor.axes.len() == 1 => return Ok(0),
            AxisRef::All => {
                let message = format!("{} has not one axis", tensor.shape_text());
                let fault = Diagnostic::error(Code::UnknownAxis, span, message);
                return Err(self.fault(fault.here("say which axis by name")));
            }
            AxisRef::Batch => {
                let fault = Diagnostic::error(
                    Code::UnknownAxis,
                    span,
                    "the batch cannot be used as an axis here",
                );
                return Err(self.fault(fault.here("only reductions may name the batch")));
            }
        };
        let known = tensor
            .axes
            .iter()
            .position(|axis| axis.labels.contains(label));
        let by_name = |axis: &Axis| {
            axis.labels
                .iter()
                .rev()
                .any(|known| known.name == label.name)
        };
        match known.or_else(|| tensor.axes.iter().position(by_name)) {
            Some(position) => Ok(position),
            None => Err(self.unknown_axis(tensor, label, place)),
        }
    }

    fn unknown_axis(&mut self, tensor: &Tensor, label: &Label, place: Span) -> Reported {
        let name = &*label.name;
        // By the names that whoever asks has for them.
        let shown: Vec<&str> = tensor
            .axes
            .iter()
            .map(|axis| {
                let own = axis.labels.iter().find(|known| known.scope == label.scope);
                own.map(|own| &*own.name)
                    .or(axis.shown_name())
                    .unwrap_or("_")
            })
            .collect();
        let shape = tensor.shape_text();
        let fault = Diagnostic::error(
            Code::UnknownAxis,
            place,
            format!("{shape} has no axis called `{name}`"),
        )
        .here("no such axis");
        let fault = if shown.iter().all(|name| *name == "_") {
            fault.help("name its axes where it is bound: `let x: [c, h, w] = ...`")
        } else {
            let fault = fault.note(format!("its axes are [{}]", shown.join(", ")));
            let named = did_you_mean(fault, name, shown.iter().copied());
            match named.helps.is_empty() {
                true => named.help(format!(
                    "use one of these names, or give it your own: `let x: [{}] = ...`",
                    vec!["..."; shown.len()].join(", ")
                )),
                false => named,
            }
        };
        self.fault(with_trace(fault, tensor.trace.as_ref()))
    }

    /// The axes of a parameter or state; every size must be known.
    pub fn slot_axes(&mut self, ty: &'a Type) -> Eval<Vec<Axis>> {
        match &ty.kind {
            TypeKind::Tensor {
                axes,
                element: None,
            } => self.known_axes(axes, ty.span),
            TypeKind::Named(name) if name.name == "scalar" => Ok(Vec::new()),
            _ => Err(self.fault(
                Diagnostic::error(Code::TypeMismatch, ty.span, "expected a shape")
                    .here("parameters and states hold numbers")
                    .help("write a shape, such as `[n, units]`, or `[]` for one number"),
            )),
        }
    }

    /// The axes of a pattern all of whose sizes must be known.
    pub fn known_axes(&mut self, patterns: &'a [AxisPattern], span: Span) -> Eval<Vec<Axis>> {
        let mut axes = Vec::new();
        for pattern in patterns {
            match pattern {
                AxisPattern::Rest(span) => match self.frame().rest.clone() {
                    Some(rest) => axes.extend(rest),
                    None => {
                        return Err(self.fault(
                            Diagnostic::error(
                                Code::Misplaced,
                                *span,
                                "`..` stands for nothing here",
                            )
                            .here("no pattern before has a `..`"),
                        ));
                    }
                },
                AxisPattern::Size(expr) => axes.push(self.known_axis(expr)?),
            }
        }
        self.check_size(&axes.iter().map(|axis| axis.size).collect::<Vec<_>>(), span)?;
        Ok(axes)
    }

    fn known_axis(&mut self, expr: &'a Expr) -> Eval<Axis> {
        let size = match self.eval(expr)? {
            Value::Int(size) if size > 0 => size as usize,
            Value::Int(size) => {
                let fault = Diagnostic::error(
                    Code::BadValue,
                    expr.span,
                    format!("an axis cannot have the size {size}"),
                );
                let fault = fault.here("must be at least 1");
                return Err(self.fault(match size {
                    -1 => fault.help("no size is found out: say it, or what it follows from, such as `count(x) / 28`"),
                    _ => fault,
                }));
            }
            value => return Err(self.wrong_kind(&value, expr.span, "a size")),
        };
        let mut axis = Axis::unnamed(size);
        if let ExprKind::Name(name) = &expr.kind {
            let label = self.label(name);
            axis.name(label);
        }
        Ok(axis)
    }

    /// An argument that is a shape; `[..]`, where no pattern says which axes these are,
    /// leaves it open.
    pub fn shape_value(&mut self, expr: &'a Expr) -> Eval<Value<'a>> {
        let open = match &expr.kind {
            ExprKind::List(items) => {
                matches!(items.as_slice(), [only] if matches!(only.kind, ExprKind::Rest))
                    && self.frame().rest.is_none()
            }
            ExprKind::Name(name) => self
                .variable(name)
                .is_some_and(|v| matches!(v.value, Value::Nothing)),
            _ => false,
        };
        match open {
            true => Ok(Value::Nothing),
            false => Ok(Value::Shape(Rc::from(self.eval_shape(expr)?))),
        }
    }

    /// A list of sizes as an argument: `reshape([t, heads, e])`; names name the axes.
    pub fn eval_shape(&mut self, expr: &'a Expr) -> Eval<Vec<Axis>> {
        match &expr.kind {
            ExprKind::List(items) => {
                let mut axes: Vec<Eval<Axis>> = Vec::new();
                for item in items {
                    match (&item.kind, self.frame().rest.clone()) {
                        (ExprKind::Rest, Some(rest)) => axes.extend(rest.into_iter().map(Ok)),
                        _ => axes.push(self.known_axis(item)),
                    }
                }
                axes.into_iter().collect()
            }
            _ => match self.eval(expr)? {
                Value::Shape(axes) => Ok(axes.to_vec()),
                Value::Int(size) if size > 0 => Ok(vec![self.known_axis(expr)?]),
                value => {
                    Err(self.wrong_kind(&value, expr.span, "a list of sizes such as `[8, 16]`"))
                }
            },
        }
    }
}

/// Where each axis of `narrow` lies in `wide`: by position if there are as many,
/// else by name.
pub(super) fn alignment(narrow: &[Axis], wide: &[Axis]) -> Option<Vec<usize>> {
    if narrow.len() == wide.len() {
        let agree = narrow.iter().zip(wide).all(|(a, b)| a.size == b.size);
        return agree.then(|| (0..wide.len()).collect());
    }
    let mut places: Vec<usize> = Vec::new();
    for axis in narrow {
        let place = same_axis(axis, wide)?;
        if wide[place].size != axis.size || places.contains(&place) {
            return None;
        }
        places.push(place);
    }
    Some(places)
}

/// The axis of `wide` that bears the same name: the innermost one, any one, or at
/// least one that reads the same.
fn same_axis(axis: &Axis, wide: &[Axis]) -> Option<usize> {
    let label = axis.label()?;
    wide.iter()
        .position(|other| other.label() == Some(label))
        .or_else(|| {
            wide.iter()
                .position(|other| other.labels.iter().any(|l| axis.labels.contains(l)))
        })
        .or_else(|| {
            let name = axis.shown_name()?;
            wide.iter()
                .position(|other| other.shown_name() == Some(name))
        })
}

/// `c, h, w`; `_` for an axis without a name.
pub(super) fn axis_names(axes: &[Axis]) -> String {
    let names: Vec<&str> = axes
        .iter()
        .map(|axis| axis.shown_name().unwrap_or("_"))
        .collect();
    names.join(", ")
}
