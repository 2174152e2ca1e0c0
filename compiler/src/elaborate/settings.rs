//! The settings of `train`: everything about a run that is no tensor.

use super::data::Data;
use super::faults::{did_you_mean, listed};
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Value};
use nnc_grammar::ast::{Expr, Ident, StatementKind, Train};
use nnc_grammar::{Code, Diagnostic, Span};

/// All settings there are.
pub(super) const SETTINGS: [&str; 6] =
    ["data", "batch", "epochs", "optimizer", "seed", "clip_norm"];

/// Those that `--set` can change.
pub(super) const NUMBERS: [&str; 4] = ["batch", "epochs", "seed", "clip_norm"];

/// More samples per step than this are a mistake.
const LARGEST_BATCH: i64 = 1 << 24;

/// More passes than this are a mistake.
const MOST_EPOCHS: i64 = 1_000_000_000;

/// What the settings say.
pub(super) struct Settings<'a> {
    pub data: Data,
    pub batch: usize,
    pub epochs: usize,
    pub seed: u64,
    pub clip_norm: Option<f64>,
    /// Evaluated where the step's number is known; missing only after a fault.
    pub optimizer: Option<&'a Expr>,
}

impl<'a> Interpreter<'a> {
    /// Reads the settings; `batch` replaces the one that is written. Without data there
    /// is nothing to go on with; for other faults a number stands in, so that the rest
    /// of the block can be checked.
    pub fn settings(&mut self, train: &'a Train, batch: Option<usize>) -> Eval<Settings<'a>> {
        let written = self.written(train);
        self.enter(None, train.span, None);
        let find = |name: &str| {
            written
                .iter()
                .find(|(ident, _)| ident.name == name)
                .map(|(_, e)| *e)
        };
        let data = match find("data") {
            Some(expr) => self.data(expr),
            None => Err(self.lacks(train, "data", "data = mnist()")),
        };
        let size = match batch {
            Some(0) => Err(self.lacks(train, "batch", "batch = 64")),
            Some(batch) => Ok(batch),
            None => match self.setting("batch", find("batch")) {
                Ok(Some(given)) => self
                    .int_setting(&given, "batch", 1, LARGEST_BATCH)
                    .map(|n| n as usize),
                Ok(None) => Err(self.lacks(train, "batch", "batch = 64")),
                Err(reported) => Err(reported),
            },
        };
        let epochs = match self.setting("epochs", find("epochs")) {
            Ok(Some(given)) => self
                .int_setting(&given, "epochs", 1, MOST_EPOCHS)
                .map(|n| n as usize),
            Ok(None) => Err(self.lacks(train, "epochs", "epochs = 10")),
            Err(reported) => Err(reported),
        };
        let seed = match self.setting("seed", find("seed")) {
            Ok(Some(given)) => self
                .int_setting(&given, "seed", 0, i64::MAX)
                .map(|n| n as u64),
            Ok(None) => Ok(0),
            Err(reported) => Err(reported),
        };
        let clip_norm = match self.setting("clip_norm", find("clip_norm")) {
            Ok(Some(given)) => self.positive_setting(&given, "clip_norm").map(Some),
            Ok(None) => Ok(None),
            Err(reported) => Err(reported),
        };
        let optimizer = match find("optimizer") {
            Some(expr) => Ok(expr),
            None => Err(self.lacks(train, "optimizer", "optimizer = adam(1e-3)")),
        };
        self.frames.pop();
        Ok(Settings {
            data: data?,
            batch: size.unwrap_or(1),
            epochs: epochs.unwrap_or(1),
            seed: seed.unwrap_or(0),
            clip_norm: clip_norm.unwrap_or(None),
            optimizer: optimizer.ok(),
        })
    }

    /// The settings as written, each once; unknown ones are told.
    fn written(&mut self, train: &'a Train) -> Vec<(&'a Ident, &'a Expr)> {
        let mut written: Vec<(&'a Ident, &'a Expr)> = Vec::new();
        for statement in &train.body.statements {
            let StatementKind::Setting { name, value } = &statement.kind else {
                continue;
            };
            if !SETTINGS.contains(&name.name.as_str()) {
                let fault = Diagnostic::error(
                    Code::BadSetting,
                    name.span,
                    format!("`train` has no setting `{}`", name.name),
                )
                .here("not a setting")
                .note(format!("there are {}", listed(SETTINGS)));
                let fault = did_you_mean(fault, &name.name, SETTINGS);
                self.fault(fault);
                continue;
            }
            if let Some((first, _)) = written.iter().find(|(known, _)| known.name == name.name) {
                let fault = Diagnostic::error(
                    Code::DuplicateName,
                    name.span,
                    format!("`{}` is set twice", name.name),
                )
                .here("set again here")
                .label(first.span, "first set here");
                self.fault(fault);
                continue;
            }
            written.push((name, value));
        }
        written
    }

    fn lacks(&mut self, train: &Train, name: &str, example: &str) -> super::values::Reported {
        let start = Span {
            end: train.span.start + "train".len() as u32,
            ..train.span
        };
        self.fault(
            Diagnostic::error(
                Code::BadSetting,
                start,
                format!("`train` lacks the setting `{name}`"),
            )
            .here(format!("no `{name}` in this block"))
            .help(format!("add a line such as `{example}`")),
        )
    }

    /// The value of a setting after `--set`.
    fn setting(&mut self, name: &str, expr: Option<&'a Expr>) -> Eval<Option<Given<'a>>> {
        let written = expr.map(|expr| self.given(expr)).transpose()?;
        Ok(self.overriding(name).or(written))
    }

    fn int_setting(&mut self, given: &Given<'a>, name: &str, least: i64, most: i64) -> Eval<i64> {
        match given.value {
            Value::Int(value) if (least..=most).contains(&value) => Ok(value),
            ref value => {
                let message = format!("`{name}` cannot be {}", value.kind_text());
                let fault = Diagnostic::error(Code::BadSetting, given.span, message);
                let limits = match most {
                    i64::MAX => format!("must be an int from {least}"),
                    most => format!("must be an int from {least} to {most}"),
                };
                Err(self.fault(fault.here(limits)))
            }
        }
    }

    fn positive_setting(&mut self, given: &Given<'a>, name: &str) -> Eval<f64> {
        match given.value.as_number() {
            Some(value) if value > 0.0 => Ok(value),
            _ => {
                let message = format!("`{name}` cannot be {}", given.value.kind_text());
                let fault = Diagnostic::error(Code::BadSetting, given.span, message);
                Err(self.fault(fault.here("must be a number above 0")))
            }
        }
    }
}
