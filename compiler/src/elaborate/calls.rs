//! Applies functions, layers and nets.

use super::arguments::{Call, Formal, Mode};
use super::interpreter::Interpreter;
use super::values::{Eval, Function, Given, Partial, Reported, Value};
use nnc_grammar::Span;
use nnc_grammar::ast::{Argument, Definition, DefinitionKind};
use std::rc::Rc;

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
        if let Some(Given {
            value: Value::Function(first),
            ..
        }) = &piped
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
                let formals: Vec<Formal<'_>> =
                    instance.definition.inputs.iter().map(Formal::of).collect();
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
                let formals = [Formal {
                    name: "x",
                    mode: Mode::Value,
                    optional: false,
                }];
                let matched = self.match_arguments(&call, &formals)?;
                let Some(Some(mut value)) = matched.into_iter().next() else {
                    return Err(Reported(()));
                };
                for part in parts.iter() {
                    let part = Value::Function(part.clone());
                    value = Given {
                        value: self.apply(&part, value, span)?,
                        span,
                    };
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
                DefinitionKind::Layer if !d.hyper.is_empty() => {
                    (d.hyper.iter().map(Formal::of).collect(), false)
                }
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
            piped: piped.then_some(Given {
                value: Value::Unknown,
                span,
            }),
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
            && call
                .arguments
                .iter()
                .all(|argument| argument.name.is_some());
        let names_first = call.arguments.iter().any(|argument| {
            argument
                .name
                .as_ref()
                .is_some_and(|name| name.name == first.name)
        }) || call.earlier.iter().any(|(name, _)| name == first.name);
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
        Ok(Some(Value::Function(Function::Partial(Rc::new(Partial {
            function,
            arguments,
        })))))
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
}
