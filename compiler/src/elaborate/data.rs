//! The description of the data: `mnist() |> split(valid: 0.1)`. The compiler checks
//! it against the catalogue and passes it on as plain values.

use super::arguments::{Call, Formal, Mode};
use super::catalog::{DataFault, DataType, Role, Signature};
use super::faults::did_you_mean;
use super::interpreter::Interpreter;
use super::values::{Eval, Function, Given, Reported, Value};
use crate::graph::{DataStep, DataValue, Field};
use nnc_grammar::ast::Expr;
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// The setting `data`.
pub(super) struct Data {
    pub pipeline: Vec<DataStep>,
    pub fields: Vec<Field>,
    /// Whether it is played.
    pub is_environment: bool,
    pub span: Span,
}

/// A source and the steps behind it, and what a sample of it consists of.
#[derive(Debug)]
pub(super) struct Pipeline {
    steps: Vec<DataStep>,
    fields: Vec<Field>,
}

impl<'a> Interpreter<'a> {
    /// Evaluates the `data` setting.
    pub fn data(&mut self, expr: &'a Expr) -> Eval<Data> {
        self.in_data = true;
        let value = self.eval(expr);
        self.in_data = false;
        let mut value = value?;
        if let Value::Function(Function::Data(signature)) = &value {
            let name = &signature.name;
            let message = format!("`{name}` is a function that gives data");
            let fault = Diagnostic::error(Code::TypeMismatch, expr.span, message);
            let help = format!("call it: `{name}()`");
            self.fault(fault.here("not called").help(help));
            // As if it were, so that the rest can be checked.
            value = self.call(&value, &[], None, expr.span)?;
        }
        match value {
            Value::Pipeline(pipeline) => Ok(Data {
                is_environment: self.is_environment(&pipeline.steps[0].name),
                pipeline: pipeline.steps.clone(),
                fields: pipeline.fields.clone(),
                span: expr.span,
            }),
            value => Err(self.wrong_kind(&value, expr.span, "data, such as `mnist()`")),
        }
    }

    fn is_environment(&self, source: &str) -> bool {
        let mut signatures = self.globals.catalog.signatures().iter();
        signatures.any(|known| known.role == Role::Environment && known.name == source)
    }

    /// A data source or step, by name, while data is being described.
    pub fn data_name(&mut self, name: &str) -> Option<Value<'a>> {
        let signatures = self.globals.catalog.signatures();
        let signature = signatures.iter().find(|signature| signature.name == name)?;
        Some(Value::Function(Function::Data(Rc::new(signature.clone()))))
    }

    /// The names of sources and steps, for suggestions.
    pub fn unknown_data(&mut self, name: &str, span: Span) -> Reported {
        let fault = Diagnostic::error(
            Code::UnknownName,
            span,
            format!("no data source or step is called `{name}`"),
        )
        .here("not known");
        let signatures = self.globals.catalog.signatures();
        let named = |role: Role| {
            let entries = signatures.iter().filter(|entry| entry.role == role);
            super::faults::listed(entries.map(|entry| entry.name.as_str()))
        };
        let fault = fault
            .note(format!("sources are {}", named(Role::Source)))
            .note(format!("environments are {}", named(Role::Environment)))
            .note(format!("steps, after `|>`, are {}", named(Role::Step)));
        let names: Vec<&str> = signatures.iter().map(|s| s.name.as_str()).collect();
        self.fault(did_you_mean(fault, name, names))
    }

    /// Appends a step to the pipeline.
    pub fn call_data(&mut self, signature: &Signature, mut call: Call<'a, '_>) -> Eval<Value<'a>> {
        let span = call.span;
        let piped = call.piped.take();
        let formals: Vec<Formal<'_>> = signature
            .parameters
            .iter()
            .map(|parameter| Formal {
                name: &parameter.name,
                mode: Mode::Value,
                optional: parameter.default.is_some(),
            })
            .collect();
        let matched = self.match_arguments(&call, &formals)?;
        let (mut arguments, mut places) = (Vec::new(), Vec::new());
        for (parameter, given) in signature.parameters.iter().zip(matched) {
            let value = match (given, &parameter.default) {
                (Some(given), _) => {
                    places.push((parameter.name.as_str(), given.span));
                    self.data_value(&given, parameter.ty, &parameter.name)?
                }
                (None, Some(default)) => default.clone(),
                (None, None) => unreachable!("elaborate: missing arguments were refused"),
            };
            arguments.push((parameter.name.clone(), value));
        }
        let step = DataStep {
            name: signature.name.clone(),
            arguments,
        };
        let catalog = self.globals.catalog;
        match (signature.role, piped.map(|given| given.value)) {
            (Role::Source | Role::Environment, None) => {
                let fields = catalog.fields(&step.name, &step.arguments);
                let fields =
                    fields.map_err(|fault| self.data_fault(&step, &fault, &places, span))?;
                Ok(Value::Pipeline(Rc::new(Pipeline {
                    steps: vec![step],
                    fields,
                })))
            }
            (Role::Step, Some(Value::Pipeline(before))) => {
                let checked = catalog.check(&step, &before.fields);
                checked.map_err(|fault| self.data_fault(&step, &fault, &places, span))?;
                Ok(Value::Pipeline(Rc::new(Pipeline {
                    steps: before.steps.iter().cloned().chain([step]).collect(),
                    fields: before.fields.clone(),
                })))
            }
            (Role::Source | Role::Environment, Some(_)) => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    span,
                    format!("`{}` is a source of data", signature.name),
                )
                .here("cannot stand after `|>`"),
            )),
            (Role::Step, _) => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    span,
                    format!("`{}` is a step that data goes through", signature.name),
                )
                .here("has no data to work on")
                .help(format!(
                    "write it behind a source: `mnist() |> {}(...)`",
                    signature.name
                )),
            )),
        }
    }

    /// At the argument that is to blame, else at the call.
    fn data_fault(
        &mut self,
        step: &DataStep,
        fault: &DataFault,
        places: &[(&str, Span)],
        call: Span,
    ) -> Reported {
        let named = fault.argument.as_deref();
        let place = places.iter().find(|(name, _)| Some(*name) == named);
        let span = place.map_or(call, |(_, span)| *span);
        let message = format!("`{}`: {}", step.name, fault.message);
        self.fault(Diagnostic::error(Code::BadValue, span, message))
    }

    fn data_value(&mut self, given: &Given<'a>, ty: DataType, name: &str) -> Eval<DataValue> {
        let wanted = match (ty, &given.value) {
            (DataType::Int | DataType::Ints, Value::Int(value)) => {
                return Ok(DataValue::Int(*value));
            }
            (DataType::Ints, Value::List(items)) => {
                let ints = items.iter().map(|item| match item {
                    Value::Int(value) => Some(DataValue::Int(*value)),
                    _ => None,
                });
                match ints.collect::<Option<Vec<_>>>() {
                    Some(ints) => return Ok(DataValue::List(ints)),
                    None => "an int or a list of ints",
                }
            }
            (DataType::Float, value) if value.as_number().is_some() => {
                return Ok(DataValue::Float(value.as_number().unwrap_or_default()));
            }
            (DataType::Bool, Value::Bool(value)) => return Ok(DataValue::Bool(*value)),
            (DataType::String, Value::String(text)) => {
                return Ok(DataValue::String(text.to_string()));
            }
            (DataType::Numbers, Value::List(items)) => {
                let numbers = items.iter().map(|item| match item {
                    Value::Int(value) => Some(DataValue::Int(*value)),
                    Value::Float(value) => Some(DataValue::Float(*value)),
                    _ => None,
                });
                match numbers.collect::<Option<Vec<_>>>() {
                    Some(numbers) => return Ok(DataValue::List(numbers)),
                    None => "a list of numbers",
                }
            }
            (DataType::Int, _) => "an int",
            (DataType::Ints, _) => "an int or a list of ints",
            (DataType::Float, _) => "a number",
            (DataType::Bool, _) => "`true` or `false`",
            (DataType::String, _) => "a string",
            (DataType::Numbers, _) => "a list of numbers",
        };
        Err(self.wrong_kind(&given.value, given.span, &format!("{wanted} for `{name}`")))
    }
}
