//! Runs the `train` block once: what it says becomes the graph of a phase.

use super::faults::with_trace;
use super::interpreter::{Interpreter, Run};
use super::settings::Settings;
use super::tensors::Target;
use super::values::{Axis, Element, Eval, Home, Reported, Tensor, Trace, Value};
use crate::graph::{DType, Field, InputKind, Op, SlotKind, Type};
use nnc_grammar::ast::{Expr, StatementKind, Train};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// What one run of the block leaves behind, beside the graphs.
pub(super) struct Outcome {
    /// Mean loss of the batch.
    pub loss: Tensor,
    /// Final numbers, in the graph of metrics; `loss` first.
    pub metrics: Vec<(String, Tensor)>,
}

impl<'a> Interpreter<'a> {
    /// Runs the block for a phase.
    pub fn train(
        &mut self,
        train: &'a Train,
        settings: &Settings<'a>,
        training: bool,
    ) -> Eval<Outcome> {
        self.run = Run {
            training,
            ..Run::default()
        };
        self.enter(None, train.span, Some(String::new()));
        for field in &settings.data.fields {
            self.bind_field(field, settings.data.span);
        }
        let outcome = self.train_statements(train);
        let done = match (outcome, training) {
            (Ok(outcome), true) => self.optimize(&outcome.loss, settings).map(|()| outcome),
            (Err(reported), true) => {
                // Its arguments may have faults of their own.
                if let Some(optimizer) = settings.optimizer {
                    let _ = self.optimizer(optimizer);
                }
                Err(reported)
            }
            (outcome, false) => outcome,
        };
        self.frames.pop();
        done
    }

    fn train_statements(&mut self, train: &'a Train) -> Eval<Outcome> {
        let mut failed = None;
        let mut loss: Option<(Eval<Tensor>, Span)> = None;
        let mut reports = Vec::new();
        for statement in &train.body.statements {
            let done = match &statement.kind {
                StatementKind::Setting { .. } => Ok(()),
                StatementKind::Let { names, ty, value } => self.bind_let(names, ty.as_ref(), value),
                StatementKind::Minimize(expr) => match &loss {
                    Some((_, first)) => Err(self.minimized_twice(statement.span, *first)),
                    None => {
                        let value = self.loss(expr);
                        let done = value.as_ref().map(|_| ()).map_err(|reported| *reported);
                        loss = Some((value, statement.span));
                        done
                    }
                },
                StatementKind::Report(exprs) => {
                    let mut done = Ok(());
                    for expr in exprs {
                        match self.report_metric(expr, &reports) {
                            Ok(Some(report)) => reports.push(report),
                            Ok(None) => {}
                            Err(reported) => done = Err(reported),
                        }
                    }
                    done
                }
                _ => Err(self.fault(
                    Diagnostic::error(
                        Code::Misplaced,
                        statement.span,
                        "this cannot stand in `train`",
                    )
                    .here("neither a setting, `let`, `minimize` nor `report`"),
                )),
            };
            failed = done.err().or(failed);
        }
        let loss = match loss {
            Some((loss, _)) => loss,
            None => {
                let start = Span {
                    end: train.span.start + "train".len() as u32,
                    ..train.span
                };
                Err(self.fault(
                    Diagnostic::error(Code::BadSetting, start, "`train` lacks `minimize`")
                        .here("has nothing to minimize")
                        .help(
                            "say what is to be minimized: `minimize cross_entropy(logits, label)`",
                        ),
                ))
            }
        };
        match failed {
            Some(reported) => Err(reported),
            None => {
                let loss = loss?;
                let mean = self.batch_mean(&loss);
                let mut metrics =
                    vec![("loss".to_owned(), self.pass_mean(&loss, "loss", train.span))];
                metrics.extend(reports);
                Ok(Outcome {
                    loss: mean,
                    metrics,
                })
            }
        }
    }

    fn minimized_twice(&mut self, span: Span, first: Span) -> Reported {
        self.fault(
            Diagnostic::error(Code::DuplicateName, span, "`train` minimizes two things")
                .here("the second")
                .label(first, "the first")
                .help("minimize their sum: `minimize a + b`"),
        )
    }

    /// A field of the data, as a variable.
    fn bind_field(&mut self, field: &Field, span: Span) {
        let shape = self.full_shape(true, &field.shape);
        let ty = Type {
            dtype: field.dtype,
            shape,
        };
        let node = self.input(InputKind::Field(field.name.clone()), ty);
        let element = match (field.dtype, field.classes) {
            (DType::F32, _) => Element::Number,
            (DType::Bool, _) => Element::Bool,
            (DType::I32, Some(classes)) => Element::Class(classes),
            (DType::I32, None) => Element::Int,
        };
        let target = Target {
            home: Home::Body,
            batch: true,
            axes: field
                .shape
                .iter()
                .map(|&size| Axis::unnamed(size))
                .collect(),
        };
        let mut tensor = target.tensor(node, element);
        tensor.trace = Some(Rc::new(Trace {
            span,
            text: format!("`{}` is {}", field.name, tensor.shape_text()),
            is_field: true,
            previous: None,
        }));
        self.bind(field.name.clone(), Value::Tensor(tensor), span);
    }

    /// What `minimize` says: one number per sample, or one for the batch.
    fn loss(&mut self, expr: &'a Expr) -> Eval<Tensor> {
        let given = self.given(expr)?;
        self.want_numbers(&given)?;
        let Value::Tensor(tensor) = &given.value else {
            return Err(self.wrong_kind(
                &given.value,
                expr.span,
                "a loss that depends on the parameters",
            ));
        };
        let tensor = self.numbers(&tensor.clone());
        if tensor.home == Home::Metrics {
            let fault =
                Diagnostic::error(Code::Misplaced, expr.span, "a total cannot be minimized");
            return Err(self.fault(fault.here("known only after the whole pass")));
        }
        if tensor.axes.is_empty() {
            return Ok(tensor);
        }
        let text = self.sources.text(expr.span);
        let fault = Diagnostic::error(
            Code::ShapeMismatch,
            expr.span,
            format!(
                "a loss is one number per sample, but this is {}",
                tensor.shape_text()
            ),
        )
        .here(format!("gives {}", tensor.shape_text()))
        .help(format!("take the mean: `minimize mean({text})`"));
        Err(self.fault(with_trace(fault, tensor.trace.as_ref())))
    }

    /// The mean over the batch.
    fn batch_mean(&mut self, loss: &Tensor) -> Tensor {
        if !loss.batch {
            return loss.clone();
        }
        let share = 1.0 / self.batch as f64;
        let graph = self.graph(Home::Body);
        let sum = graph.sum(loss.node, &[0]);
        let node = graph.scale(sum, share);
        Tensor {
            node,
            batch: false,
            ..loss.clone()
        }
    }

    /// One step of the optimiser for each parameter.
    fn optimize(&mut self, loss: &Tensor, settings: &Settings<'a>) -> Eval<()> {
        let Some(written) = settings.optimizer else {
            return Ok(());
        };
        let optimizer = self.optimizer(written)?;
        let reached = self.reached(loss);
        let mut gradients = Vec::new();
        for (&slot, &node) in &self.run.slot_nodes.clone() {
            if self.slots.table[slot.index()].kind != SlotKind::Param {
                continue;
            }
            if !reached.contains(&node) {
                self.warn_no_gradient(slot);
                continue;
            }
            let gradient = self.graph(Home::Body).push(Op::Grad, &[loss.node, node]);
            gradients.push((slot, gradient));
        }
        if gradients.is_empty() {
            let fault = Diagnostic::error(
                Code::BadSetting,
                written.span,
                "the loss depends on no parameter: there is nothing to train",
            );
            return Err(self.fault(fault.here("has nothing to do")));
        }
        if let Some(limit) = settings.clip_norm {
            self.clip(&mut gradients, limit);
        }
        let mut next = Vec::new();
        for (slot, gradient) in gradients {
            next.push((slot, self.step_parameter(&optimizer, slot, gradient)?));
        }
        self.run.current.extend(next);
        Ok(())
    }
}
