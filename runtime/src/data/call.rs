//! Calls of data sources and loader steps as plain values.

use crate::error::{Error, Result};
use std::fmt;

/// `split(valid: 0.1)`
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// What is called.
    pub name: String,
    /// By name, in the order of the signature; what is absent has its default.
    pub arguments: Vec<(String, Value)>,
}

/// An argument.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    String(String),
    List(Vec<Value>),
}

impl Call {
    /// A call without arguments.
    pub fn new(name: &str) -> Call {
        Call {
            name: name.to_string(),
            arguments: Vec::new(),
        }
    }

    /// Adds an argument.
    pub fn with(mut self, name: &str, value: Value) -> Call {
        self.arguments.push((name.to_string(), value));
        self
    }

    pub(crate) fn argument(&self, name: &str) -> Option<&Value> {
        let mut arguments = self.arguments.iter();
        arguments.find(|(known, _)| known == name).map(|(_, v)| v)
    }

    /// A whole number within bounds.
    pub(crate) fn int(&self, name: &str, default: i64, low: i64, high: i64) -> Result<i64> {
        let value = match self.argument(name) {
            None => default,
            Some(Value::Int(value)) => *value,
            Some(other) => return Err(self.wrong(name, format!("is {other}, not an integer"))),
        };
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        let fault = match high {
            i64::MAX => format!("must be at least {low}, but it is {value}"),
            high => format!("must lie between {low} and {high}, but it is {value}"),
        };
        Err(self.wrong(name, fault))
    }

    /// Whole numbers within bounds, one or a list of them; without any, one default.
    pub(crate) fn ints(&self, name: &str, default: i64, low: i64, high: i64) -> Result<Vec<i64>> {
        let Some(Value::List(values)) = self.argument(name) else {
            return Ok(vec![self.int(name, default, low, high)?]);
        };
        let int = |value: &Value| match value {
            Value::Int(value) if (low..=high).contains(value) => Ok(*value),
            other => Err(self.wrong(
                name,
                format!("has {other}, not an integer between {low} and {high}"),
            )),
        };
        values.iter().map(int).collect()
    }

    /// A real number.
    pub(crate) fn float(&self, name: &str, default: f64) -> Result<f64> {
        match self.argument(name) {
            None => Ok(default),
            Some(value) => value
                .as_float()
                .ok_or_else(|| self.wrong(name, format!("is {value}, not a finite number"))),
        }
    }

    /// One number or a list of them.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f64>> {
        let wrong = |value: &Value| self.wrong(name, format!("has {value}, not a finite number"));
        match self.argument(name) {
            None => Err(self.wrong(name, "is missing")),
            Some(Value::List(values)) => values
                .iter()
                .map(|value| value.as_float().ok_or_else(|| wrong(value)))
                .collect(),
            Some(value) => Ok(vec![value.as_float().ok_or_else(|| wrong(value))?]),
        }
    }

    /// Yes or no.
    pub(crate) fn bool(&self, name: &str, default: bool) -> Result<bool> {
        match self.argument(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.wrong(name, format!("is {other}, not true or false"))),
        }
    }

    /// A text.
    pub(crate) fn string(&self, name: &str) -> Result<&str> {
        match self.argument(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(name, format!("is {other}, not a string"))),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    /// A part of all samples, which must leave some on both sides.
    pub(super) fn part(&self, name: &str, default: f64) -> Result<f64> {
        let part = self.float(name, default)?;
        match part > 0.0 && part < 1.0 {
            true => Ok(part),
            false => Err(self.wrong(name, format!("must lie between 0 and 1, but it is {part}"))),
        }
    }

    /// This call makes no sense.
    pub(crate) fn fault(&self, fault: impl Into<String>) -> Error {
        Error::BadArgument {
            call: self.to_string(),
            argument: None,
            fault: fault.into(),
        }
    }

    /// One argument makes no sense; the fault goes on from its name.
    pub(crate) fn wrong(&self, name: &str, fault: impl AsRef<str>) -> Error {
        Error::BadArgument {
            call: self.to_string(),
            argument: Some(name.to_owned()),
            fault: format!("`{name}` {}", fault.as_ref()),
        }
    }
}

impl Value {
    fn as_float(&self) -> Option<f64> {
        let value = match self {
            Value::Int(value) => *value as f64,
            Value::Float(value) => *value,
            Value::Bool(_) | Value::String(_) | Value::List(_) => return None,
        };
        value.is_finite().then_some(value)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (i, (name, value)) in self.arguments.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {value}")?;
        }
        write!(f, ")")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::String(value) => write!(f, "{value:?}"),
            Value::List(values) => {
                write!(f, "[")?;
                for (i, value) in values.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                write!(f, "]")
            }
        }
    }
}
