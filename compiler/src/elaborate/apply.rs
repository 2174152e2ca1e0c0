//! Runs the text of a definition on its arguments.

use super::arguments::{Formal, Mode};
use super::faults::place;
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Home, Tensor, Value};
use nnc_grammar::ast::{Definition, DefinitionKind, Expr, Parameter, Statement, StatementKind};
use nnc_grammar::{Code, Diagnostic, Span};
use std::borrow::Cow;
use std::rc::Rc;

/// How deep applications may nest.
const DEEPEST_FRAMES: usize = 100;

impl<'a> Interpreter<'a> {
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

    fn run_definition(
        &mut self,
        d: &'a Definition,
        inputs: Vec<Option<Given<'a>>>,
    ) -> Eval<Value<'a>> {
        self.bind_parameters(d, &d.inputs, inputs)?;
        let value = self.block(&d.body)?;
        let end = match d.body.statements.last() {
            Some(Statement {
                kind: StatementKind::Expr(expr),
                ..
            }) => place(expr),
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

    /// Binds parameters in the current frame, in order, so that defaults see what
    /// stands before them.
    pub fn bind_parameters(
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
                Given {
                    value: Value::Unknown,
                    span: parameter.span,
                }
            });
            self.bind(parameter.name.name.as_str(), given.value, given.span);
        }
        match failed {
            Some(reported) => Err(reported),
            None => Ok(()),
        }
    }

    fn default(&mut self, parameter: &'a Parameter, default: &'a Expr) -> Eval<Given<'a>> {
        let value = match Formal::of(parameter).mode {
            Mode::Value => self.eval(default)?,
            Mode::Axes => Value::Axes(Rc::from(self.eval_axes(default)?)),
            Mode::Shape => self.shape_value(default)?,
        };
        Ok(Given {
            value,
            span: default.span,
        })
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
