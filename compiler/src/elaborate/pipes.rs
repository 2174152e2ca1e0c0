//! Pipes: `x |> f |> repeat 3 { g }`.

use super::interpreter::Interpreter;
use super::values::{Eval, Given, Value};
use nnc_grammar::ast::{Block, Expr, ExprKind};
use nnc_grammar::{Code, Diagnostic, Span};

/// How often `repeat` may repeat.
const MOST_REPEATS: i64 = 10_000;

impl<'a> Interpreter<'a> {
    /// `x |> f |> g(a)`: from left to right, remembering each stage's shape.
    pub fn eval_pipe(&mut self, expr: &'a Expr) -> Eval<Value<'a>> {
        let mut stages = Vec::new();
        let mut head = expr;
        while let ExprKind::Pipe(left, right) = &head.kind {
            stages.push(&**right);
            head = left;
        }
        let mut value = self.given(head);
        for stage in stages.into_iter().rev() {
            value = match value {
                Ok(given) => self.stage(given, stage).map(|value| Given {
                    value,
                    span: stage.span,
                }),
                // Later stages may have faults of their own.
                Err(reported) => {
                    self.check_stage(stage);
                    Err(reported)
                }
            };
        }
        Ok(value?.value)
    }

    /// One stage of a pipe.
    pub fn stage(&mut self, piped: Given<'a>, stage: &'a Expr) -> Eval<Value<'a>> {
        let previous = match &piped.value {
            Value::Tensor(tensor) => tensor.trace.clone(),
            _ => None,
        };
        let outer = self.here;
        if !self.globals.in_library(stage.span) {
            self.here = Some(stage.span);
        }
        let value = self.apply_stage(piped, stage);
        self.here = outer;
        match value? {
            Value::Tensor(tensor) => Ok(Value::Tensor(self.traced(tensor, stage.span, previous))),
            value => Ok(value),
        }
    }

    fn apply_stage(&mut self, piped: Given<'a>, stage: &'a Expr) -> Eval<Value<'a>> {
        match &stage.kind {
            ExprKind::Call(callee, arguments) => match self.eval(callee) {
                Ok(callee) => self.call(&callee, arguments, Some(piped), stage.span),
                Err(_) => Err(self.check_arguments(arguments)),
            },
            ExprKind::Repeat { count, body } => self.repeat(piped, count, body, stage.span),
            _ => {
                let function = self.eval(stage)?;
                self.apply(&function, piped, stage.span)
            }
        }
    }

    /// Looks for faults in a stage that will not run.
    pub fn check_stage(&mut self, stage: &'a Expr) {
        if let ExprKind::Call(callee, arguments) = &stage.kind {
            // Faults are told on the way; there is no value to lose.
            match self.eval(callee) {
                Ok(callee) => self.check_call(&callee, arguments, stage.span),
                Err(_) => _ = self.check_arguments(arguments),
            }
        } else if let ExprKind::Name(_) = &stage.kind {
            let _ = self.eval(stage);
        }
    }

    pub fn repeat(
        &mut self,
        piped: Given<'a>,
        count: &'a Expr,
        body: &'a Block,
        span: Span,
    ) -> Eval<Value<'a>> {
        let times = match self.eval(count)? {
            Value::Int(times) if (0..=MOST_REPEATS).contains(&times) => times,
            Value::Int(times) => {
                let fault = Diagnostic::error(
                    Code::BadValue,
                    count.span,
                    format!("cannot repeat {times} times"),
                );
                return Err(self.fault(fault.here(format!("must lie in 0 to {MOST_REPEATS}"))));
            }
            value => return Err(self.wrong_kind(&value, count.span, "an int")),
        };
        let mut value = piped;
        for _ in 0..times {
            let function = self.block(body)?;
            value = Given {
                value: self.apply(&function, value, body.span)?,
                span,
            };
        }
        Ok(value.value)
    }
}
