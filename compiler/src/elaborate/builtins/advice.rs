//! How a definition speaks to those who use it: `check` and `warn`.

use super::argument;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Eval, Function, Given, Home, Value};
use nnc_grammar::{Code, Diagnostic, Span};

pub(super) fn check<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    match interpreter.condition(argument(arguments, 0))? {
        Some(false) => {
            let fault = interpreter.advice(Diagnostic::error, Code::BadValue, arguments, span)?;
            Err(interpreter.fault(fault))
        }
        // What is known only when the model runs cannot be checked here.
        Some(true) | None => Ok(Value::Nothing),
    }
}

pub(super) fn warn<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    if interpreter.condition(argument(arguments, 0))? == Some(true) {
        let warning = interpreter.advice(Diagnostic::warning, Code::Suspicious, arguments, span)?;
        interpreter.fault(warning);
    }
    Ok(Value::Nothing)
}

pub(super) fn known<'a>(
    _: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    _: Span,
) -> Eval<Value<'a>> {
    let later = matches!(
        argument(arguments, 0).value,
        Value::Tensor(_) | Value::Recipe(_)
    );
    Ok(Value::Bool(!later))
}

pub(super) fn kind_of<'a>(
    _: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    _: Span,
) -> Eval<Value<'a>> {
    let kind = match argument(arguments, 0).value {
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::List(_) => "list",
        Value::Tensor(_) => "tensor",
        _ => "other",
    };
    Ok(Value::String(kind.into()))
}

pub(super) fn made_by<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    _: Span,
) -> Eval<Value<'a>> {
    let function = argument(arguments, 1);
    let Value::Function(Function::Definition(definition)) = &function.value else {
        return Err(interpreter.wrong_kind(
            &function.value,
            function.span,
            "the name of a function",
        ));
    };
    let made = match &argument(arguments, 0).value {
        Value::Tensor(tensor) if tensor.home == Home::Body => interpreter
            .run
            .made
            .contains(&(tensor.node, definition.name.span)),
        _ => false,
    };
    Ok(Value::Bool(made))
}

impl<'a> Interpreter<'a> {
    /// A condition, if it is known at compile time.
    fn condition(&mut self, given: &Given<'a>) -> Eval<Option<bool>> {
        match &given.value {
            Value::Bool(condition) => Ok(Some(*condition)),
            Value::Tensor(_) | Value::Recipe(_) => Ok(None),
            other => Err(self.wrong_kind(other, given.span, "`true` or `false`")),
        }
    }

    /// The message as a diagnostic, at the user's argument that it shows first.
    fn advice(
        &mut self,
        kind: fn(Code, Span, String) -> Diagnostic,
        code: Code,
        arguments: &[Option<Given<'a>>],
        span: Span,
    ) -> Eval<Diagnostic> {
        let (text, place) = self.filled_in(argument(arguments, 1))?;
        let speaker = match place {
            // Moved to the use, the message gets the name of what is used there.
            None if self.globals.in_library(span) => None,
            _ => self.used_definition(),
        };
        let message = match speaker {
            Some(definition) => format!("`{}`: {text}", definition.name.name),
            None => text,
        };
        let diagnostic = kind(code, place.unwrap_or(span), message);
        match &arguments[2] {
            Some(help) => Ok(diagnostic.help(self.filled_in(help)?.0)),
            None => Ok(diagnostic),
        }
    }

    /// A text with values in the place of `{name}`, and where the user gave the first.
    fn filled_in(&mut self, given: &Given<'a>) -> Eval<(String, Option<Span>)> {
        let Value::String(text) = &given.value else {
            return Err(self.wrong_kind(&given.value, given.span, "a string"));
        };
        let mut filled = String::new();
        let mut place = None;
        let mut rest: &str = text;
        while let Some((before, (name, after))) = rest
            .split_once('{')
            .and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            filled.push_str(before);
            match self.variable(name) {
                Some(variable) => {
                    filled.push_str(&variable.value.plain_text());
                    let theirs = !self.globals.in_library(variable.span);
                    place = place.or(theirs.then_some(variable.span));
                }
                None => filled.push_str(name),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok((filled, place))
    }
}
