//! `stop = early(valid.loss, patience: 5)`: when training ends before its last epoch.

use super::data::Data;
use super::faults::{did_you_mean, listed};
use super::interpreter::Interpreter;
use super::values::{Eval, Reported, Value};
use crate::graph::Early;
use nnc_grammar::ast::{Argument, Expr, ExprKind, Ident};
use nnc_grammar::{Code, Diagnostic, Span};

/// How the setting is written.
const FORM: &str = "write `stop = early(valid.loss, patience: 5)`";

impl<'a> Interpreter<'a> {
    /// What the setting says; whether there is such a measure is seen when all are known.
    pub fn early_setting(&mut self, expr: &'a Expr) -> Eval<Early> {
        let ExprKind::Call(callee, arguments) = &expr.kind else {
            return Err(self.not_early(expr.span));
        };
        if !matches!(&callee.kind, ExprKind::Name(name) if name == "early") {
            return Err(self.not_early(callee.span));
        }
        let Some((judge, rest)) = arguments.split_first() else {
            return Err(self.not_early(expr.span));
        };
        let metric = self.judged_by(judge)?;
        let (mut patience, mut greatest) = (None, None);
        for (i, argument) in rest.iter().enumerate() {
            self.given_once(&rest[..i], argument)?;
            let name = argument.name.as_ref().map(|name| name.name.as_str());
            match name {
                Some("patience") => patience = Some(self.patience(&argument.value)?),
                Some("greatest") => greatest = Some(self.is_greatest(&argument.value)?),
                _ => return Err(self.not_of_early(argument)),
            }
        }
        let Some(patience) = patience else {
            let message = "`early` needs `patience`";
            let fault = Diagnostic::error(Code::MissingArgument, expr.span, message)
                .here("`patience` missing")
                .help("say after how many epochs without a better value to stop: `patience: 5`");
            return Err(self.fault(fault));
        };
        // A loss falls; which way anything else goes only its author knows.
        let falls = metric.name == "loss" || metric.name.ends_with("_loss");
        match greatest {
            None if !falls => Err(self.without_direction(metric)),
            greatest => Ok(Early {
                metric: metric.name.clone(),
                greatest: greatest.unwrap_or(false),
                patience,
                span: metric.span,
            }),
        }
    }

    /// Refuses to stop by the validation of what is played: there is none.
    pub fn check_stop(&mut self, stop: Option<&Expr>, data: Option<&Data>) {
        let (Some(stop), Some(data)) = (stop, data) else {
            return;
        };
        if !data.is_environment {
            return;
        }
        let source = &data.pipeline[0].name;
        let message = format!("`{source}` is played: it has no validation split to stop by");
        let fault = Diagnostic::error(Code::Misplaced, stop.span, message)
            .here("is never measured")
            .label(data.span, "no samples to validate on")
            .help("remove it: training ends after `epochs`");
        self.fault(fault);
    }

    /// Refuses a measure that nothing reports.
    pub fn check_early(&mut self, early: Option<&Early>, measures: &[String]) -> Eval<()> {
        let Some(early) = early else {
            return Ok(());
        };
        if measures.contains(&early.metric) {
            return Ok(());
        }
        let names = || measures.iter().map(String::as_str);
        let message = format!("nothing called `{}` is reported", early.metric);
        let fault = Diagnostic::error(Code::UnknownName, early.span, message)
            .here("not among what a pass tells")
            .note(format!("there are {}", listed(names())));
        Err(self.fault(did_you_mean(fault, &early.metric, names())))
    }

    /// `valid.loss`
    fn judged_by(&mut self, judge: &'a Argument) -> Eval<&'a Ident> {
        if let (None, ExprKind::Field(split, metric)) = (&judge.name, &judge.value.kind)
            && matches!(&split.kind, ExprKind::Name(name) if name == "valid")
        {
            return Ok(metric);
        }
        let text = self.sources.text(judge.value.span);
        let message = format!("`{text}` is not measured on the validation split");
        let fault = Diagnostic::error(Code::BadSetting, judge.value.span, message)
            .here("training and test must not decide when to stop")
            .help("name the loss or a report of the validation: `valid.loss`");
        Err(self.fault(fault))
    }

    fn given_once(&mut self, before: &[Argument], argument: &Argument) -> Eval<()> {
        let Some(name) = &argument.name else {
            return Ok(());
        };
        let mut before = before.iter().filter_map(|known| known.name.as_ref());
        let Some(first) = before.find(|known| known.name == name.name) else {
            return Ok(());
        };
        let message = format!("`early` gets `{}` twice", name.name);
        let fault = Diagnostic::error(Code::UnknownArgument, name.span, message)
            .here("given again here")
            .label(first.span, "first given here");
        Err(self.fault(fault))
    }

    fn patience(&mut self, expr: &'a Expr) -> Eval<usize> {
        let given = self.given(expr)?;
        match given.value {
            Value::Int(epochs) if (1..=i64::from(u32::MAX)).contains(&epochs) => {
                Ok(epochs as usize)
            }
            value => {
                let message = format!("`patience` cannot be {}", value.kind_text());
                let fault = Diagnostic::error(Code::BadSetting, given.span, message);
                Err(self.fault(fault.here("must be a number of epochs, an int from 1")))
            }
        }
    }

    fn is_greatest(&mut self, expr: &'a Expr) -> Eval<bool> {
        let given = self.given(expr)?;
        match given.value {
            Value::Bool(greatest) => Ok(greatest),
            value => Err(self.wrong_kind(&value, given.span, "`true` or `false` for `greatest`")),
        }
    }

    fn without_direction(&mut self, metric: &Ident) -> Reported {
        let name = &metric.name;
        let message = format!("`early` needs `greatest`: which values of `{name}` are better");
        self.fault(
            Diagnostic::error(Code::MissingArgument, metric.span, message)
                .here("may be better the greater or the less it is")
                .help("say `greatest: true` where more is better, as of an accuracy, else `greatest: false`"),
        )
    }

    fn not_of_early(&mut self, argument: &Argument) -> Reported {
        let (message, span) = match &argument.name {
            Some(name) => (
                format!("`early` takes no argument `{}`", name.name),
                name.span,
            ),
            None => (
                "`early` takes one measure, all else by name".to_owned(),
                argument.value.span,
            ),
        };
        let fault = Diagnostic::error(Code::UnknownArgument, span, message)
            .here("no such argument")
            .note("it is `early(valid.loss, patience: ..., greatest: ...)`");
        let name = argument.name.as_ref().map_or("", |name| &name.name);
        self.fault(did_you_mean(fault, name, ["patience", "greatest"]))
    }

    fn not_early(&mut self, span: Span) -> Reported {
        let message = "`stop` says when training ends before its last epoch";
        let fault = Diagnostic::error(Code::BadSetting, span, message);
        self.fault(fault.here("says nothing of this").help(FORM))
    }
}
