//! Values meet types and shape patterns: names bind sizes, sizes are checked, axes
//! get their names.

use super::faults::{did_you_mean, with_trace};
use super::globals::Global;
use super::interpreter::Interpreter;
use super::tensors::Target;
use super::values::{Axis, Element, Eval, Given, Home, Reported, Tensor, Value, shape_text};
use nnc_grammar::ast::{self, AxisPattern, Expr, ExprKind, Ident, Type, TypeKind};
use nnc_grammar::{Code, Diagnostic, Span};

/// The types that have names.
const TYPE_NAMES: [&str; 10] = [
    "int", "float", "bool", "string", "function", "scalar", "axis", "axes", "shape", "class",
];

impl<'a> Interpreter<'a> {
    /// The value as the receiver's type wants it. `what` names the receiver.
    pub fn meet(&mut self, given: Given<'a>, ty: &'a Type, what: &str) -> Eval<Value<'a>> {
        self.meet_with(given, ty, what, false)
    }

    /// The same within a signature, where `..` stands for the same axes throughout.
    pub fn meet_signature(
        &mut self,
        given: Given<'a>,
        ty: &'a Type,
        what: &str,
    ) -> Eval<Value<'a>> {
        self.meet_with(given, ty, what, true)
    }

    fn meet_with(
        &mut self,
        given: Given<'a>,
        ty: &'a Type,
        what: &str,
        signature: bool,
    ) -> Eval<Value<'a>> {
        match (&ty.kind, given.value) {
            (_, Value::Unknown) => Err(Reported(())),
            (TypeKind::Named(name), value) => {
                let given = Given {
                    value,
                    span: given.span,
                };
                self.meet_named(given, name, what)
            }
            (TypeKind::Tensor { axes, element }, Value::Tensor(tensor)) => {
                let tensor = self.meet_element(tensor, element.as_ref(), given.span, ty, what)?;
                let tensor = self.meet_axes(tensor, axes, given.span, ty, what, signature)?;
                Ok(Value::Tensor(tensor))
            }
            (
                TypeKind::Tensor {
                    axes,
                    element: None,
                },
                value @ (Value::Int(_) | Value::Float(_)),
            ) if axes.iter().all(|axis| matches!(axis, AxisPattern::Rest(_))) => Ok(value),
            (
                TypeKind::Tensor {
                    axes: _,
                    element: None,
                },
                Value::Recipe(recipe),
            ) => {
                let axes = self.slot_axes(ty)?;
                let target = Target {
                    home: Home::Body,
                    batch: true,
                    axes,
                };
                self.instantiate(&recipe, &target, None, given.span)
            }
            (TypeKind::Tensor { .. }, value) => {
                let pattern = self.sources.text(ty.span);
                Err(self.no_tensor(
                    &value,
                    given.span,
                    &format!("a tensor of {pattern} for {what}"),
                ))
            }
        }
    }

    fn meet_named(&mut self, given: Given<'a>, name: &'a Ident, what: &str) -> Eval<Value<'a>> {
        let Given { value, span } = given;
        let wanted = match (name.name.as_str(), &value) {
            ("int", Value::Int(_))
            | ("float", Value::Float(_))
            | ("bool", Value::Bool(_))
            | ("string", Value::String(_))
            | ("function", Value::Function(_))
            | ("axis" | "axes", Value::Axes(_))
            | ("shape", Value::Shape(_) | Value::Nothing)
            | ("scalar", Value::Int(_) | Value::Float(_)) => return Ok(value),
            ("float", Value::Int(int)) => return Ok(Value::Float(*int as f64)),
            ("scalar", Value::Tensor(tensor)) if tensor.axes.is_empty() => return Ok(value),
            ("int", _) => "an int",
            ("float", _) => "a number known at compile time",
            ("bool", _) => "`true` or `false`",
            ("string", _) => "a string",
            ("function", _) => "a function",
            ("scalar", _) => "one number",
            ("axis" | "axes", _) => "an axis",
            ("shape", _) => "a list of sizes",
            (unknown, _) => {
                let fault = Diagnostic::error(
                    Code::UnknownName,
                    name.span,
                    format!("no type is called `{unknown}`"),
                )
                .here("not a type");
                let fault = did_you_mean(fault, unknown, TYPE_NAMES);
                return Err(self.fault(fault));
            }
        };
        let wanted = format!("{wanted} for {what}");
        match name.name.as_str() {
            "int" | "float" => Err(self.not_fixed(&value, span, &wanted)),
            _ => Err(self.wrong_kind(&value, span, &wanted)),
        }
    }

    fn meet_element(
        &mut self,
        tensor: Tensor,
        element: Option<&'a ast::Element>,
        span: Span,
        ty: &'a Type,
        what: &str,
    ) -> Eval<Tensor> {
        let found = tensor.element;
        let wanted = match element {
            None => "numbers",
            Some(element) => element.name.name.as_str(),
        };
        let fits = match (wanted, found) {
            ("numbers", Element::Number | Element::Int)
            | ("bool", Element::Bool)
            | ("int", Element::Int | Element::Class(_)) => true,
            ("class", Element::Class(count)) => {
                return match element.and_then(|element| element.argument.as_deref()) {
                    Some(argument) => {
                        self.meet_class(&tensor, count, argument, span, what)?;
                        Ok(tensor)
                    }
                    None => Ok(tensor),
                };
            }
            ("numbers" | "class" | "bool" | "int", _) => false,
            (unknown, _) => {
                let span = element.map_or(ty.span, |element| element.name.span);
                let fault = Diagnostic::error(
                    Code::UnknownName,
                    span,
                    format!("no kind of element is called `{unknown}`"),
                )
                .here("neither `class`, `bool` nor `int`");
                let fault = did_you_mean(fault, unknown, TYPE_NAMES);
                return Err(self.fault(fault));
            }
        };
        if fits {
            return Ok(tensor);
        }
        let pattern = self.sources.text(ty.span);
        let mut fault = Diagnostic::error(
            Code::TypeMismatch,
            span,
            format!("{what} is a tensor of {found}, but it should be `{pattern}`"),
        )
        .here(format!("this is {}", tensor.shape_text()));
        if wanted == "numbers" {
            fault = fault.help("`float(x)` makes numbers of classes and masks, `one_hot(x)` a row of them of each class");
        }
        Err(self.fault(with_trace(fault, tensor.trace.as_ref())))
    }

    /// `class(k)`: binds `k`, or compares with it.
    fn meet_class(
        &mut self,
        tensor: &Tensor,
        count: usize,
        argument: &'a Expr,
        span: Span,
        what: &str,
    ) -> Eval<()> {
        let Some((expected, because)) = self.expected_size(argument)? else {
            if let ExprKind::Name(name) = &argument.kind {
                self.bind(name.as_str(), Value::Int(count as i64), span);
            }
            return Ok(());
        };
        if expected == count as i64 {
            return Ok(());
        }
        let text = self.sources.text(argument.span);
        let mut fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!("{what} counts {count} classes, but `{text}` is {expected}"),
        )
        .here(format!("this is class({count})"));
        if let Some(because) = because.filter(|because| *because != span) {
            fault = fault.label(because, format!("`{text}` is {expected} because of this"));
        }
        let definition = self.frame().definition;
        let given = definition.is_some_and(|d| d.hyper.iter().any(|p| p.name.name == text));
        fault = match expected > 0 {
            true if given => fault.help(format!("make `{text}` {count}")),
            true => fault.help(format!(
                "the last layer should have {count} outputs, such as `dense({count})`"
            )),
            false => fault,
        };
        Err(self.fault(with_trace(fault, tensor.trace.as_ref())))
    }

    fn meet_axes(
        &mut self,
        mut tensor: Tensor,
        patterns: &'a [AxisPattern],
        span: Span,
        ty: &'a Type,
        what: &str,
        signature: bool,
    ) -> Eval<Tensor> {
        let rest_at = patterns
            .iter()
            .position(|p| matches!(p, AxisPattern::Rest(_)));
        let named = patterns.len() - usize::from(rest_at.is_some());
        let rank = tensor.axes.len();
        if rank < named || (rest_at.is_none() && rank != named) {
            return Err(self.wrong_rank(&tensor, named, rest_at.is_some(), span, ty, what));
        }
        let mut axis = 0;
        for pattern in patterns {
            match pattern {
                AxisPattern::Rest(_) => {
                    let range = axis..axis + rank - named;
                    axis = range.end;
                    if signature {
                        self.meet_rest(&mut tensor, range, span, ty, what)?;
                    }
                }
                AxisPattern::Size(expr) => {
                    self.meet_size(&mut tensor, axis, expr, span, ty, what)?;
                    axis += 1;
                }
            }
        }
        Ok(tensor)
    }

    fn meet_size(
        &mut self,
        tensor: &mut Tensor,
        axis: usize,
        expr: &'a Expr,
        span: Span,
        ty: &'a Type,
        what: &str,
    ) -> Eval<()> {
        let found = tensor.axes[axis].size;
        let expected = self.expected_size(expr)?;
        if let ExprKind::Name(name) = &expr.kind {
            if expected.is_none() {
                self.bind(name.as_str(), Value::Int(found as i64), span);
            }
            let label = self.label(name);
            tensor.axes[axis].name(label);
        }
        let Some((expected, because)) = expected else {
            return Ok(());
        };
        if expected == found as i64 {
            return Ok(());
        }
        let pattern = self.sources.text(ty.span);
        let text = self.sources.text(expr.span);
        let shape = tensor.shape_text();
        let known = match &expr.kind {
            ExprKind::Int(_) => String::new(),
            _ => format!(" with `{text}` = {expected}"),
        };
        let mut fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!("{what} must be `{pattern}`{known}, but it is {shape}"),
        )
        .here(format!("gives {shape}"));
        if let Some(because) = because.filter(|because| *because != span) {
            fault = fault.label(because, format!("`{text}` is {expected} because of this"));
        }
        if matches!(&expr.kind, ExprKind::Name(name) if self.variable(name).is_none()) {
            fault = fault.help(format!(
                "here `{text}` is the constant: an axis of another size has another name"
            ));
        }
        Err(self.fault(with_trace(fault, tensor.trace.as_ref())))
    }

    /// The size that an axis must have and what says so; `None` for a name that is
    /// still free.
    pub fn expected_size(&mut self, expr: &'a Expr) -> Eval<Option<(i64, Option<Span>)>> {
        let mut because = None;
        if let ExprKind::Name(name) = &expr.kind {
            if name == "batch" {
                return Err(self.fault(
                    Diagnostic::error(
                        Code::Misplaced,
                        expr.span,
                        "the batch is no axis of a sample",
                    )
                    .here("stands for the implicit axis")
                    .help("leave it out of shapes; reductions may say `over: [batch, ..]`"),
                ));
            }
            match self.variable(name) {
                Some(variable) => because = Some(variable.span),
                None => match self.globals.find(name, expr.span) {
                    Some(Global::Const(item)) => because = Some(item.name.span),
                    _ => return Ok(None),
                },
            }
        }
        match self.eval(expr)? {
            Value::Int(size) => Ok(Some((size, because))),
            value => Err(self.wrong_kind(&value, expr.span, "a size")),
        }
    }

    /// `..` in a signature: the first binds, the others must agree.
    fn meet_rest(
        &mut self,
        tensor: &mut Tensor,
        range: std::ops::Range<usize>,
        span: Span,
        ty: &'a Type,
        what: &str,
    ) -> Eval<()> {
        let Some(rest) = self.frame().rest.clone() else {
            for (i, axis) in tensor.axes[range.clone()].iter_mut().enumerate() {
                if axis.labels.is_empty() {
                    let label = self.label(&format!("..{i}"));
                    axis.name(label);
                }
            }
            self.frame().rest = Some(tensor.axes[range].to_vec());
            return Ok(());
        };
        let sizes = |axes: &[Axis]| axes.iter().map(|axis| axis.size).collect::<Vec<_>>();
        let (expected, found) = (sizes(&rest), sizes(&tensor.axes[range.clone()]));
        if expected == found {
            for (axis, known) in tensor.axes[range].iter_mut().zip(rest) {
                for label in known.labels {
                    axis.name(label);
                }
            }
            return Ok(());
        }
        let pattern = self.sources.text(ty.span);
        let fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!(
                "{what} must be `{pattern}` with `..` = {}, but it is {}",
                shape_text(&expected),
                tensor.shape_text()
            ),
        )
        .here(format!("gives {}", tensor.shape_text()))
        .note("`..` stands for the same axes throughout a signature");
        Err(self.fault(with_trace(fault, tensor.trace.as_ref())))
    }

    fn wrong_rank(
        &mut self,
        tensor: &Tensor,
        named: usize,
        open: bool,
        span: Span,
        ty: &'a Type,
        what: &str,
    ) -> Reported {
        let pattern = self.sources.text(ty.span);
        let shape = tensor.shape_text();
        let count = match (named, open) {
            (1, true) => "at least 1 axis".to_owned(),
            (_, true) => format!("at least {named} axes"),
            (1, false) => "1 axis".to_owned(),
            (_, false) => format!("{named} axes"),
        };
        let mut fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!("{what} must be `{pattern}` ({count}), but it is {shape}"),
        )
        .here(format!("gives {shape}"));
        let sizes = tensor.sizes();
        if named == 1 && sizes.len() > 1 {
            fault = fault.help("make one axis of them first: `|> flatten`");
        } else if named == sizes.len() + 1 {
            let padded: Vec<usize> = std::iter::once(1).chain(sizes).collect();
            fault = fault.help(format!(
                "add an axis first: `|> reshape({})`",
                shape_text(&padded)
            ));
        }
        self.fault(with_trace(fault, tensor.trace.as_ref()))
    }
}
