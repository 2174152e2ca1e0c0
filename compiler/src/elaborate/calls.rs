//! Applies functions, layers and nets.

use super::arguments::{Call, Formal, Mode};
use super::faults::place;
use super::interpreter::Interpreter;
use super::values::{Eval, Function, Given, Home, Instance, Partial, Reported, Tensor, Value};
use crate::graph::LayerInfo;
use nnc_grammar::ast::{
    Argument, Definition, DefinitionKind, Parameter, Statement, StatementKind,
};
use nnc_grammar::{Code, Diagnostic, Span};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// How deep applications may nest.
const DEEPEST_FRAMES: usize = 100;

impl<'a> Interpreter<'a> {
    /// `callee(arguments)`, or `piped |> callee(arguments)`.
    pub fn call(
        &mut self,
        callee: &Value<'a>,
        arguments: &'a [Argument],
        piped: Option<Given<'a>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        let Value::Function(function) = callee else {
            let reported = self.wrong_kind(callee, span, "a function or a layer");
            self.check_arguments(arguments);
            return Err(reported);
        };
        if let Some(Given { value: Value::Function(first), .. }) = &piped
            && !matches!(first, Function::Data(_))
        {
            let next = self.call_function(function, arguments, None, span)?;
            return self.compose(first, next, span);
        }
        self.call_function(function, arguments, piped, span)
    }

    /// `piped |> callee`
    pub fn apply(&mut self, callee: &Value<'a>, piped: Given<'a>, span: Span) -> Eval<Value<'a>> {
        if let (Value::Function(next), Value::Function(first)) = (callee, &piped.value)
            && !matches!(first, Function::Data(_))
        {
            return self.compose(first, Value::Function(next.clone()), span);
        }
        self.call(callee, &[], Some(piped), span)
    }

    /// `conv2d(16) |> relu` without a tensor: a layer made of two.
    fn compose(&mut self, first: &Function<'a>, next: Value<'a>, span: Span) -> Eval<Value<'a>> {
        let Value::Function(next) = next else {
            return Err(self.wrong_kind(&next, span, "a function or a layer"));
        };
        let first = match first {
            // An instance now, so that later uses share it.
            Function::Definition(d) if d.kind == DefinitionKind::Layer => {
                match self.call_function(first, &[], None, span)? {
                    Value::Function(instance) => instance,
                    value => return Err(self.wrong_kind(&value, span, "a layer")),
                }
            }
            first => first.clone(),
        };
        let parts = match first {
            Function::Composition(parts) => parts.iter().cloned().chain([next]).collect(),
            first => vec![first, next],
        };
        Ok(Value::Function(Function::Composition(Rc::from(parts))))
    }

    fn call_function(
        &mut self,
        function: &Function<'a>,
        arguments: &'a [Argument],
        piped: Option<Given<'a>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        self.call_with(function, &[], arguments, piped, span)
    }

    fn call_with(
        &mut self,
        function: &Function<'a>,
        earlier: &[(String, Given<'a>)],
        arguments: &'a [Argument],
        piped: Option<Given<'a>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        let call = Call {
            name: function.name(),
            defined: self.defined(function),
            piped,
            earlier,
            arguments,
            span,
        };
        match function {
            Function::Definition(d) => match d.kind {
                DefinitionKind::Fn => self.call_fn(function, d, &call),
                DefinitionKind::Layer | DefinitionKind::Net => self.call_layer(d, call),
                DefinitionKind::Optimizer => {
                    let instance = self.instance(d, &call)?;
                    Ok(Value::Optimizer(Rc::new(instance)))
                }
            },
            Function::Instance(instance) => {
                let formals: Vec<Formal<'_>> = instance.definition.inputs.iter().map(Formal::of).collect();
                let inputs = self.match_arguments(&call, &formals)?;
                self.apply_instance(instance, inputs, span)
            }
            Function::Builtin(builtin) => {
                let formals = builtin.formals();
                if let Some(partial) = self.partial(function, &call, &formals)? {
                    return Ok(partial);
                }
                let arguments = self.match_arguments(&call, &formals)?;
                (builtin.run)(self, &arguments, span)
            }
            Function::Data(signature) => self.call_data(signature, call),
            Function::Partial(partial) => {
                let earlier = partial.arguments.clone();
                self.call_with(&partial.function, &earlier, arguments, call.piped, span)
            }
            Function::Composition(parts) => {
                let formals = [Formal { name: "x", mode: Mode::Value, optional: false }];
                let matched = self.match_arguments(&call, &formals)?;
                let Some(Some(mut value)) = matched.into_iter().next() else {
                    return Err(Reported(()));
                };
                for part in parts.iter() {
                    let part = Value::Function(part.clone());
                    value = Given { value: self.apply(&part, value, span)?, span };
                }
                Ok(value.value)
            }
        }
    }

    /// Looks for faults in the arguments of a stage whose input is unknown.
    pub fn check_call(&mut self, callee: &Value<'a>, arguments: &'a [Argument], span: Span) {
        let Value::Function(function) = callee else {
            return;
        };
        let (formals, piped): (Vec<Formal<'_>>, bool) = match function {
            Function::Definition(d) => match d.kind {
                DefinitionKind::Layer if !d.hyper.is_empty() => (d.hyper.iter().map(Formal::of).collect(), false),
                _ => (d.inputs.iter().map(Formal::of).collect(), true),
            },
            Function::Builtin(builtin) => (builtin.formals(), true),
            _ => {
                self.check_arguments(arguments);
                return;
            }
        };
        let call = Call {
            name: function.name(),
            defined: self.defined(function),
            piped: piped.then_some(Given { value: Value::Unknown, span }),
            earlier: &[],
            arguments,
            span,
        };
        // Faults are told on the way; there is no value to lose.
        let _ = self.match_some(&call, &formals);
    }

    /// Where a definition of the user's stands.
    fn defined(&self, function: &Function<'a>) -> Option<Span> {
        let definition = match function {
            Function::Definition(definition) => definition,
            Function::Instance(instance) => instance.definition,
            _ => return None,
        };
        let span = definition.name.span;
        (!self.globals.in_library(span)).then_some(span)
    }

    fn call_fn(
        &mut self,
        function: &Function<'a>,
        d: &'a Definition,
        call: &Call<'a, '_>,
    ) -> Eval<Value<'a>> {
        let formals: Vec<Formal<'_>> = d.inputs.iter().map(Formal::of).collect();
        if let Some(partial) = self.partial(function, call, &formals)? {
            return Ok(partial);
        }
        let span = call.span;
        let inputs = self.match_arguments(call, &formals)?;
        self.apply_definition(d, None, &[], inputs, span)
    }

    /// A call that only names arguments and leaves the first parameter open is a
    /// function of that parameter: `leaky_relu(slope: 0.2)`.
    fn partial(
        &mut self,
        function: &Function<'a>,
        call: &Call<'a, '_>,
        formals: &[Formal<'_>],
    ) -> Eval<Option<Value<'a>>> {
        let Some(first) = formals.first() else {
            return Ok(None);
        };
        let only_named = !call.arguments.is_empty()
            && call.arguments.iter().all(|argument| argument.name.is_some());
        let names_first = call
            .arguments
            .iter()
            .any(|argument| argument.name.as_ref().is_some_and(|name| name.name == first.name))
            || call.earlier.iter().any(|(name, _)| name == first.name);
        if call.piped.is_some() || !only_named || names_first || first.optional {
            return Ok(None);
        }
        let matched = self.match_some(call, formals)?;
        let arguments = formals
            .iter()
            .zip(matched)
            .filter_map(|(formal, given)| Some((formal.name.to_owned(), given?)))
            .collect();
        let function = function.clone();
        Ok(Some(Value::Function(Function::Partial(Rc::new(Partial { function, arguments })))))
    }

    /// A layer's first parentheses make an instance, a pipe or the second apply it.
    fn call_layer(&mut self, d: &'a Definition, mut call: Call<'a, '_>) -> Eval<Value<'a>> {
        let span = call.span;
        let one_list = d.hyper.is_empty();
        let inputs_here = one_list && (call.piped.is_some() || !call.arguments.is_empty());
        if inputs_here {
            let formals: Vec<Formal<'_>> = d.inputs.iter().map(Formal::of).collect();
            let inputs = self.match_arguments(&call, &formals)?;
            let instance = self.bare_instance(d, Vec::new(), span);
            return self.apply_instance(&instance, inputs, span);
        }
        let piped = call.piped.take();
        let instance = Rc::new(self.instance(d, &call)?);
        match piped {
            None => Ok(Value::Function(Function::Instance(instance))),
            Some(piped) => {
                let call = Call {
                    name: &d.name.name,
                    defined: None,
                    piped: Some(piped),
                    earlier: &[],
                    arguments: &[],
                    span,
                };
                let formals: Vec<Formal<'_>> = d.inputs.iter().map(Formal::of).collect();
                let inputs = self.match_arguments(&call, &formals)?;
                self.apply_instance(&instance, inputs, span)
            }
        }
    }

    /// A definition with its hyper-parameters, defaults filled in and types checked.
    fn instance(&mut self, d: &'a Definition, call: &Call<'a, '_>) -> Eval<Instance<'a>> {
        let span = call.span;
        let formals: Vec<Formal<'_>> = d.hyper.iter().map(Formal::of).collect();
        let layer = d.kind == DefinitionKind::Layer;
        let values = self.match_some(call, &formals);
        if let (true, Ok(values)) = (layer, &values) {
            self.refuse_tensors(d, values, call)?;
        }
        let values = match values {
            Err(reported) => return Err(reported),
            // Told again with what is missing.
            Ok(values) if values.iter().zip(&formals).any(|(v, f)| v.is_none() && !f.optional) => {
                self.match_arguments(call, &formals)?
            }
            Ok(values) => values,
        };
        self.enter(Some(d), span, None);
        let bound = self.bind_parameters(d, &d.hyper, values);
        let frame = self.frames.pop();
        bound?;
        let hyper = frame
            .into_iter()
            .flat_map(|frame| frame.variables)
            .map(|v| (v.name, Given { value: v.value, span: v.span }))
            .collect();
        let instance = self.bare_instance(d, hyper, span);
        Ok(Rc::into_inner(instance).unwrap_or_else(|| unreachable!("elaborate: it was just made")))
    }

    fn bare_instance(
        &mut self,
        definition: &'a Definition,
        hyper: Vec<(Cow<'a, str>, Given<'a>)>,
        span: Span,
    ) -> Rc<Instance<'a>> {
        Rc::new(Instance {
            definition,
            hyper,
            span,
            parent: self.frame().path.clone(),
            path: RefCell::new(None),
        })
    }

    /// `dense(x, 10)`: the tensor belongs into the pipe.
    fn refuse_tensors(
        &mut self,
        d: &'a Definition,
        values: &[Option<Given<'a>>],
        call: &Call<'a, '_>,
    ) -> Eval<()> {
        let tensor = values.iter().flatten().find(|given| {
            matches!(&given.value, Value::Tensor(tensor) if !tensor.is_scalar())
        });
        let Some(given) = tensor else { return Ok(()) };
        let name = &d.name.name;
        let rest: Vec<&str> = call
            .arguments
            .iter()
            .filter(|argument| argument.value.span != given.span)
            .map(|argument| {
                let start = argument.name.as_ref().map_or(argument.value.span, |name| name.span);
                self.sources.text(start.to(argument.value.span))
            })
            .collect();
        let x = self.sources.text(given.span);
        let stage = match rest.as_slice() {
            [] => format!("{x} |> {name}"),
            rest => format!("{x} |> {name}({})", rest.join(", ")),
        };
        Err(self.fault(
            Diagnostic::error(
                Code::TypeMismatch,
                given.span,
                format!("`{name}` takes hyper-parameters in its first parentheses, not tensors"),
            )
            .here(format!("this is {}", given.value.kind_text()))
            .help(format!("pipe the tensor in: `{stage}`")),
        ))
    }

    /// Binds parameters in the current frame, in order, so that defaults see what
    /// stands before them.
    fn bind_parameters(
        &mut self,
        d: &'a Definition,
        parameters: &'a [Parameter],
        values: Vec<Option<Given<'a>>>,
    ) -> Eval<()> {
        let mut failed = None;
        for (parameter, value) in parameters.iter().zip(values) {
            let given = match (value, &parameter.default) {
                (Some(given), _) => Ok(given),
                (None, Some(default)) => self.default(parameter, default),
                (None, None) => unreachable!("elaborate: missing arguments were refused"),
            };
            let what = format!("`{}` of `{}`", parameter.name.name, d.name.name);
            let met = given.and_then(|given| {
                let span = given.span;
                let value = match &parameter.ty {
                    Some(ty) => self.meet_signature(given, ty, &what)?,
                    None => given.value,
                };
                Ok(Given { value, span })
            });
            let given = met.unwrap_or_else(|reported| {
                failed = Some(reported);
                Given { value: Value::Unknown, span: parameter.span }
            });
            self.bind(parameter.name.name.as_str(), given.value, given.span);
        }
        match failed {
            Some(reported) => Err(reported),
            None => Ok(()),
        }
    }

    fn default(
        &mut self,
        parameter: &'a Parameter,
        default: &'a nnc_grammar::ast::Expr,
    ) -> Eval<Given<'a>> {
        let value = match Formal::of(parameter).mode {
            Mode::Value => self.eval(default)?,
            Mode::Axes => Value::Axes(Rc::from(self.eval_axes(default)?)),
            Mode::Shape => Value::Shape(Rc::from(self.eval_shape(default)?)),
        };
        Ok(Given { value, span: default.span })
    }

    /// Applies a layer or net to its tensors.
    pub fn apply_instance(
        &mut self,
        instance: &Rc<Instance<'a>>,
        inputs: Vec<Option<Given<'a>>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        let d = instance.definition;
        let net = d.kind == DefinitionKind::Net;
        let path = if net {
            match instance.parent.as_str() {
                "" => d.name.name.clone(),
                parent => format!("{parent}/{}", d.name.name),
            }
        } else {
            self.path_of(instance)
        };
        let layer = (!net).then(|| self.note_layer(instance, &path)).flatten();
        let value = self.apply_definition(d, Some(path), &instance.hyper, inputs, span)?;
        if let Value::Tensor(tensor) = &value {
            if let Some(layer) = layer {
                self.run.layers[layer].output = tensor.sizes();
            }
            if net && self.run.net.is_none() && instance.parent.is_empty() {
                self.run.net = Some((d.name.name.clone(), tensor.clone()));
            }
        }
        Ok(value)
    }

    /// Enters a layer into the summary when it is applied for the first time.
    fn note_layer(&mut self, instance: &Instance<'a>, path: &str) -> Option<usize> {
        if !self.run.applied.insert(path.to_owned()) {
            return None;
        }
        let text = self.sources.text(instance.span);
        self.run.layers.push(LayerInfo {
            path: path.to_owned(),
            call: text.split_whitespace().collect::<Vec<_>>().join(" "),
            depth: path.matches('/').count().saturating_sub(1),
            output: Vec::new(),
            parameters: 0,
        });
        Some(self.run.layers.len() - 1)
    }

    /// Runs a definition's body.
    pub fn apply_definition(
        &mut self,
        d: &'a Definition,
        path: Option<String>,
        hyper: &[(Cow<'a, str>, Given<'a>)],
        inputs: Vec<Option<Given<'a>>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        if self.frames.len() >= DEEPEST_FRAMES {
            return Err(self.too_deep(span));
        }
        self.enter(Some(d), span, path);
        for given in inputs.iter().flatten() {
            if let Value::Tensor(tensor) = &given.value {
                let read = (tensor.shape_text(), tensor.trace.clone());
                self.frame().reads.push(read);
            }
        }
        for (name, given) in hyper {
            self.bind(name.clone(), given.value.clone(), given.span);
        }
        let value = self.run_definition(d, inputs);
        let scope = self.frame().scope;
        self.frames.pop();
        if let Ok(Value::Tensor(tensor)) = &value
            && tensor.home == Home::Body
        {
            self.run.made.insert((tensor.node, d.name.span));
        }
        let outer = self.frames.last().map_or(0, |frame| frame.scope);
        value.map(|value| renamed(value, scope, outer))
    }

    fn run_definition(&mut self, d: &'a Definition, inputs: Vec<Option<Given<'a>>>) -> Eval<Value<'a>> {
        self.bind_parameters(d, &d.inputs, inputs)?;
        let value = self.block(&d.body)?;
        let end = match d.body.statements.last() {
            Some(Statement { kind: StatementKind::Expr(expr), .. }) => place(expr),
            Some(statement) => statement.span,
            None => d.body.span,
        };
        if let (Value::Nothing, DefinitionKind::Fn | DefinitionKind::Layer | DefinitionKind::Net) =
            (&value, d.kind)
        {
            return Err(self.fault(
                Diagnostic::error(
                    Code::TypeMismatch,
                    end,
                    format!("`{}` gives no value", d.name.name),
                )
                .here("not a value")
                .help("end its block with an expression"),
            ));
        }
        match &d.result {
            Some(ty) => {
                let what = format!("the result of `{}`", d.name.name);
                self.meet_signature(Given { value, span: end }, ty, &what)
            }
            None => Ok(value),
        }
    }
}

/// What leaves a definition: its axes get back the names they had outside, and
/// those that had none keep the definition's.
fn renamed(value: Value<'_>, scope: u32, outer: u32) -> Value<'_> {
    match value {
        Value::Tensor(tensor) => Value::Tensor(renamed_tensor(tensor, scope, outer)),
        Value::List(items) => {
            let items = items.iter().cloned();
            Value::List(items.map(|item| renamed(item, scope, outer)).collect())
        }
        value => value,
    }
}

fn renamed_tensor(mut tensor: Tensor, scope: u32, outer: u32) -> Tensor {
    for axis in &mut tensor.axes {
        let inner = axis.labels.iter().rposition(|label| label.scope == scope);
        let Some(inner) = inner else { continue };
        let mut label = axis.labels.remove(inner);
        if axis.labels.is_empty() && !label.name.starts_with('.') {
            label.scope = outer;
            axis.labels.push(label);
        }
    }
    tensor
}
