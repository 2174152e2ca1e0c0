//! `report`: numbers about a whole pass, made of totals that each step adds to.

use super::interpreter::Interpreter;
use super::values::{Element, Eval, Home, Tensor, Value};
use nnc_grammar::ast::{Argument, Expr, ExprKind};
use nnc_grammar::{Code, Diagnostic, Span};

impl<'a> Interpreter<'a> {
    /// One reported expression: its name and its final number. `None` for the loss,
    /// which is always reported.
    pub fn report_metric(
        &mut self,
        argument: &'a Argument,
        earlier: &[String],
    ) -> Eval<Option<(String, Tensor)>> {
        let expr = &argument.value;
        let name = match &argument.name {
            Some(name) => name.name.clone(),
            None => metric_name(expr),
        };
        if name == "loss" && argument.name.is_some() {
            let fault = Diagnostic::error(
                Code::DuplicateName,
                argument.span(),
                "`loss` is what is minimized",
            );
            return Err(self.fault(fault.here("needs another name")));
        }
        if name == "loss" {
            let warning = Diagnostic::warning(Code::Unused, expr.span, "`loss` is always reported");
            self.report(warning.here("not needed"));
            return Ok(None);
        }
        let name = numbered(name, earlier);
        self.run.metric = Some(name.clone());
        self.run.metric_totals = 0;
        let value = self.eval(expr);
        self.run.metric = None;
        let tensor = match value? {
            Value::Tensor(tensor) => tensor,
            Value::Int(_) | Value::Float(_) => {
                let fault = Diagnostic::error(
                    Code::TypeMismatch,
                    expr.span,
                    "this number is known before anything runs: there is nothing to report",
                );
                return Err(self.fault(fault.here("a constant")));
            }
            value => return Err(self.wrong_kind(&value, expr.span, "a number to report")),
        };
        if matches!(tensor.element, Element::Class(_)) {
            let fault = Diagnostic::error(
                Code::TypeMismatch,
                expr.span,
                "a class is no number to report",
            );
            return Err(self.fault(fault.here(format!("gives {}", tensor.shape_text()))));
        }
        if !tensor.axes.is_empty() {
            let shape = tensor.shape_text();
            let text = self.sources.text(expr.span);
            let fault = Diagnostic::error(
                Code::ShapeMismatch,
                expr.span,
                format!("only single numbers can be reported, but this is {shape}"),
            )
            .here(format!("gives {shape}"))
            .help(format!("take the mean: `mean({text})`"));
            return Err(self.fault(fault));
        }
        let tensor = match tensor.home {
            Home::Metrics => tensor,
            _ => {
                let numbers = self.numbers(&tensor);
                self.pass_mean(&numbers, &name, expr.span)
            }
        };
        Ok(Some((name, tensor)))
    }

    /// The mean over all samples of the pass.
    pub fn pass_mean(&mut self, tensor: &Tensor, name: &str, span: Span) -> Tensor {
        let sum = self.accumulate(tensor, &format!("total/{name}"), span);
        let samples = self.samples(span);
        let node = self.graph(Home::Metrics).div(sum.node, samples.node);
        Tensor { node, ..sum }
    }

    /// The number of samples of the pass.
    pub fn samples(&mut self, span: Span) -> Tensor {
        if let Some(samples) = &self.run.samples {
            return samples.clone();
        }
        let one = self.graph(Home::Body).scalar(1.0);
        let one = self.scalar_tensor(one);
        let samples = self.accumulate(&one, "total/samples", span);
        self.run.samples = Some(samples.clone());
        samples
    }
}

/// A name that none of the earlier ones bears: `accuracy`, `accuracy_2`.
pub(super) fn numbered(name: String, earlier: &[String]) -> String {
    let of_same = |known: &&String| {
        known
            .strip_prefix(&name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    match earlier.iter().filter(of_same).count() {
        0 => name,
        n => format!("{name}_{}", n + 1),
    }
}

/// What a metric is called: by the function that makes it, or the name it is bound to.
pub(super) fn metric_name(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Name(name) => name.clone(),
        ExprKind::Call(callee, _) => metric_name(callee),
        ExprKind::Pipe(_, last) => metric_name(last),
        _ => "metric".to_owned(),
    }
}
