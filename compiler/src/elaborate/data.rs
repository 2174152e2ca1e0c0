//! The description of the data: `mnist() |> split(valid: 0.1)`. The compiler checks
//! it against the catalogue and passes it on as plain values.

use super::arguments::{Call, Formal, Mode};
use super::catalog::{DataType, Role, Signature};
use super::faults::did_you_mean;
use super::interpreter::Interpreter;
use super::values::{Eval, Function, Given, Reported, Value};
use crate::graph::{DataStep, DataValue, Field};
use nnc_grammar::ast::Expr;
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// The pipeline and what a sample of it consists of.
pub(super) struct Data {
    pub pipeline: Vec<DataStep>,
    pub fields: Vec<Field>,
    pub span: Span,
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
        let pipeline = match value {
            Value::Pipeline(pipeline) => pipeline.to_vec(),
            value => return Err(self.wrong_kind(&value, expr.span, "data, such as `mnist()`")),
        };
        let source = &pipeline[0];
        match self.globals.catalog.fields(&source.name, &source.arguments) {
            Ok(fields) => Ok(Data {
                pipeline,
                fields,
                span: expr.span,
            }),
            Err(message) => Err(self.fault(
                Diagnostic::error(
                    Code::BadValue,
                    expr.span,
                    format!("`{}`: {message}", source.name),
                )
                .here("in this description of data"),
            )),
        }
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
            format!("no data source is called `{name}`"),
        )
        .here("not known");
        let signatures = self.globals.catalog.signatures();
        let sources: Vec<&str> = signatures
            .iter()
            .filter(|signature| signature.role == Role::Source)
            .map(|signature| signature.name.as_str())
            .collect();
        let fault = fault.note(format!("there are {}", super::faults::listed(sources)));
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
        let mut arguments = Vec::new();
        for (parameter, given) in signature.parameters.iter().zip(matched) {
            let value = match (given, &parameter.default) {
                (Some(given), _) => self.data_value(&given, parameter.ty, &parameter.name)?,
                (None, Some(default)) => default.clone(),
                (None, None) => unreachable!("elaborate: missing arguments were refused"),
            };
            arguments.push((parameter.name.clone(), value));
        }
        let step = DataStep {
            name: signature.name.clone(),
            arguments,
        };
        match (signature.role, piped.map(|given| given.value)) {
            (Role::Source, None) => Ok(Value::Pipeline(Rc::from(vec![step]))),
            (Role::Step, Some(Value::Pipeline(steps))) => {
                self.check_step(&steps[0], &step, span)?;
                Ok(Value::Pipeline(
                    steps.iter().cloned().chain([step]).collect(),
                ))
            }
            (Role::Source, Some(_)) => Err(self.fault(
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

    /// Whether a step makes sense for the samples of a source.
    fn check_step(&mut self, source: &DataStep, step: &DataStep, span: Span) -> Eval<()> {
        let catalog = self.globals.catalog;
        // What is wrong with the source is told where all of the data is known.
        let Ok(fields) = catalog.fields(&source.name, &source.arguments) else {
            return Ok(());
        };
        catalog.check(step, &fields).map_err(|fault| {
            let message = format!("`{}`: {fault}", step.name);
            self.fault(Diagnostic::error(Code::BadValue, span, message).here("in this step"))
        })
    }

    fn data_value(&mut self, given: &Given<'a>, ty: DataType, name: &str) -> Eval<DataValue> {
        let wanted = match (ty, &given.value) {
            (DataType::Int, Value::Int(value)) => return Ok(DataValue::Int(*value)),
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
            (DataType::Float, _) => "a number",
            (DataType::Bool, _) => "`true` or `false`",
            (DataType::String, _) => "a string",
            (DataType::Numbers, _) => "a list of numbers",
        };
        Err(self.wrong_kind(&given.value, given.span, &format!("{wanted} for `{name}`")))
    }
}
