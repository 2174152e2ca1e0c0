//! The settings of `train`: everything about a run that is no tensor.

use super::data::Data;
use super::faults::{did_you_mean, listed, with_schedules};
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Reported, Value, WeightsFile};
use crate::graph::Early;
use nnc_grammar::ast::{Block, Expr, Ident, Statement, StatementKind, Train};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// All settings there are.
pub(super) const SETTINGS: [&str; 11] = [
    "data",
    "policy",
    "batch",
    "epochs",
    "optimizer",
    "seed",
    "stop",
    "clip_norm",
    "clip_value",
    "init",
    "freeze",
];

/// Those that a `step` can have for itself.
const OF_STEPS: [&str; 2] = ["clip_norm", "clip_value"];

/// Those that `--set` can change.
pub(super) const NUMBERS: [&str; 5] = ["batch", "epochs", "seed", "clip_norm", "clip_value"];

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
    /// When training ends before its last epoch.
    pub early: Option<Early>,
    pub clip: Clip,
    /// Evaluated where the step's number is known; missing after a fault, and where
    /// each step has its own.
    pub optimizer: Option<&'a Expr>,
    pub has_steps: bool,
    /// Files of weights to start from.
    pub init: Vec<Rc<WeightsFile>>,
}

/// The limits of gradients.
#[derive(Clone, Copy, Default)]
pub(super) struct Clip {
    /// Of all of a step's together.
    pub norm: Option<f64>,
    /// Of each element.
    pub value: Option<f64>,
}

impl<'a> Interpreter<'a> {
    /// Reads the settings; `batch` replaces the one that is written. Without data there
    /// is nothing to go on with; for other faults a number stands in, so that the rest
    /// of the block can be checked.
    pub fn settings(&mut self, train: &'a Train, batch: Option<usize>) -> Eval<Settings<'a>> {
        let written = self.written(&train.body.statements, &SETTINGS, "`train`");
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
        self.check_policy(train, find("policy"), data.as_ref().ok());
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
        let early = find("stop").map(|expr| self.early_setting(expr));
        self.check_stop(find("stop"), data.as_ref().ok());
        let clip = self.clip_settings(&written, &Clip::default());
        if let Some(expr) = find("freeze")
            && let Ok(given) = self.given(expr)
        {
            // Faults are told on the way.
            let _ = self.freeze_setting(&given);
        }
        let init = find("init").map_or(Ok(Vec::new()), |expr| self.init_setting(expr));
        let steps = train.body.statements.iter();
        let mut steps = steps.filter(|s| matches!(s.kind, StatementKind::Step { .. }));
        let first_step = steps.next().map(|statement| statement.span);
        let optimizer = match (find("optimizer"), first_step) {
            (Some(expr), Some(step)) => Err(self.two_ways(expr.span, step)),
            (Some(expr), None) => Ok(expr),
            (None, Some(_)) => Err(Reported(())),
            (None, None) => Err(self.lacks(train, "optimizer", "optimizer = adam(1e-3)")),
        };
        if let (Err(_), Ok(optimizer)) = (&data, &optimizer) {
            // Nothing is trained, so this is the only look at it; faults are told on the way.
            let _ = self.optimizer(optimizer);
        }
        self.frames.pop();
        Ok(Settings {
            data: data?,
            batch: size.unwrap_or(1),
            epochs: epochs.unwrap_or(1),
            seed: seed.unwrap_or(0),
            early: early.and_then(Result::ok),
            clip: clip.unwrap_or_default(),
            optimizer: optimizer.ok(),
            has_steps: first_step.is_some(),
            init: init.unwrap_or_default(),
        })
    }

    /// The settings as written, each once; unknown ones are told.
    fn written(
        &mut self,
        statements: &'a [Statement],
        known: &[&'static str],
        block: &str,
    ) -> Vec<(&'a Ident, &'a Expr)> {
        let mut written: Vec<(&'a Ident, &'a Expr)> = Vec::new();
        for statement in statements {
            let StatementKind::Setting { name, value } = &statement.kind else {
                continue;
            };
            if !known.contains(&name.name.as_str()) {
                let fault = Diagnostic::error(
                    Code::BadSetting,
                    name.span,
                    format!("{block} has no setting `{}`", name.name),
                )
                .here("not a setting")
                .note(format!("there are {}", listed(known.iter().copied())));
                let fault = did_you_mean(fault, &name.name, known.iter().copied());
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

    /// A step's own settings; what it leaves open is as in `train`.
    pub fn step_settings(&mut self, body: &'a Block, outer: &Clip) -> Eval<Clip> {
        let written = self.written(&body.statements, &OF_STEPS, "a `step`");
        self.clip_settings(&written, outer)
    }

    fn clip_settings(&mut self, written: &[(&'a Ident, &'a Expr)], outer: &Clip) -> Eval<Clip> {
        let mut limit = |name: &'static str, outer: Option<f64>| {
            let expr = written.iter().find(|(ident, _)| ident.name == name);
            match self.setting(name, expr.map(|(_, expr)| *expr))? {
                Some(given) => self.positive_setting(&given, name).map(Some),
                None => Ok(outer),
            }
        };
        let (norm, value) = (
            limit("clip_norm", outer.norm),
            limit("clip_value", outer.value),
        );
        Ok(Clip {
            norm: norm?,
            value: value?,
        })
    }

    fn two_ways(&mut self, optimizer: Span, step: Span) -> Reported {
        self.fault(
            Diagnostic::error(
                Code::BadSetting,
                optimizer,
                "`train` has both an optimizer and steps with their own",
            )
            .here("used by no step")
            .label(step, "this step says its optimizer")
            .help("remove it"),
        )
    }

    pub fn lacks(&mut self, train: &Train, name: &str, example: &str) -> Reported {
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
                Err(self.fault(with_schedules(fault.here(limits), value)))
            }
        }
    }

    fn positive_setting(&mut self, given: &Given<'a>, name: &str) -> Eval<f64> {
        match given.value.as_number() {
            Some(value) if value > 0.0 => Ok(value),
            _ => {
                let message = format!("`{name}` cannot be {}", given.value.kind_text());
                let fault = Diagnostic::error(Code::BadSetting, given.span, message);
                let fault = fault.here("must be a number above 0");
                Err(self.fault(with_schedules(fault, &given.value)))
            }
        }
    }
}
