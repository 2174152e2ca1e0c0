//! `--set name=value`: replaces a constant or a setting before anything depends on it.

use super::faults::{did_you_mean, listed};
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Value};
use nnc_grammar::{Code, Diagnostic, Sources, Span};
use std::rc::Rc;

/// One `--set`.
#[derive(Clone, Debug)]
pub struct Override {
    /// Which constant or setting.
    pub name: String,
    /// Its new value, as written.
    pub value: String,
    /// Where it stands: in a source text of its own.
    pub span: Span,
}

impl Override {
    /// `name=value` as it came from the command line, entered among the sources so
    /// that messages can show it.
    pub fn new(sources: &mut Sources, name: &str, value: &str) -> Override {
        let text = format!("{name}={value}");
        let end = text.len() as u32;
        let file = sources.add("<command line>", text);
        Override {
            name: name.to_owned(),
            value: value.to_owned(),
            span: Span {
                file,
                start: 0,
                end,
            },
        }
    }
}

impl<'a> Interpreter<'a> {
    /// Refuses what names nothing.
    pub fn check_overrides(&mut self, settings: &[&'static str]) {
        for change in self.overrides {
            let constants = self.globals.settable().into_iter();
            let constants: Vec<&str> = constants.map(|(name, _)| name).collect();
            let name = change.name.as_str();
            if constants.contains(&name) || settings.contains(&name) {
                continue;
            }
            let known = constants.iter().chain(settings).copied();
            let fault = Diagnostic::error(
                Code::BadOverride,
                change.span,
                format!("no constant is called `{name}`"),
            )
            .here("names nothing that can be set");
            let listed = listed(known.clone());
            let fault = did_you_mean(fault, name, known).note(format!("{listed} can be set"));
            self.fault(fault);
        }
    }

    /// What the last `--set` of this name says, if any.
    pub fn overriding(&self, name: &str) -> Option<Given<'a>> {
        let change = self
            .overrides
            .iter()
            .rev()
            .find(|change| change.name == name)?;
        Some(Given {
            value: literal(&change.value),
            span: change.span,
        })
    }

    /// The new value of a constant; it must be of the old one's kind.
    pub fn overridden(
        &mut self,
        name: &str,
        new: Given<'a>,
        old: &Value<'a>,
        place: Span,
    ) -> Eval<Value<'a>> {
        let wanted = match (&new.value, old) {
            (Value::Int(value), Value::Float(_)) => return Ok(Value::Float(*value as f64)),
            (Value::Int(_), Value::Int(_))
            | (Value::Float(_), Value::Float(_))
            | (Value::Bool(_), Value::Bool(_))
            | (Value::String(_), Value::String(_)) => return Ok(new.value),
            (_, Value::Int(_)) => "an int",
            (_, Value::Float(_)) => "a number",
            (_, Value::Bool(_)) => "`true` or `false`",
            (_, Value::String(_)) => "a string",
            _ => "set in the file: it is neither a number, a bool nor a string",
        };
        let fault = Diagnostic::error(
            Code::BadOverride,
            new.span,
            format!("`{name}` must be {wanted}, not {}", new.value.kind_text()),
        )
        .here(format!("this is {}", new.value.kind_text()))
        .label(place, format!("here it is {}", old.kind_text()));
        Err(self.fault(fault))
    }
}

/// A value as one writes it on a command line: strings need no quotes there.
fn literal<'a>(text: &str) -> Value<'a> {
    let plain = text.replace('_', "");
    match text {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(value) = plain.parse::<i64>() {
        return Value::Int(value);
    }
    let starts_like_number = plain.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() && starts_like_number => Value::Float(value),
        _ => Value::String(Rc::from(text.trim_matches('"'))),
    }
}
