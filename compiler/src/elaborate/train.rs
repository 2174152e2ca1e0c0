//! Runs the `train` block once: what it says becomes the graph of a phase.

use super::faults::with_trace;
use super::interpreter::{Interpreter, Run};
use super::settings::Settings;
use super::tensors::Target;
use super::values::{Axis, Element, Eval, Home, Reported, Tensor, Trace, Value};
use crate::graph::{DType, Field, InputKind, NodeId, Type};
use nnc_grammar::ast::{Expr, Ident, Statement, StatementKind, Train};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// What one run of the block leaves behind, beside the graphs.
pub(super) struct Outcome {
    /// Mean loss of the batch; of several steps, the sum of theirs.
    pub loss: Tensor,
    /// Where there are several steps, the mean loss of each.
    pub losses: Vec<(String, Tensor)>,
    /// Final numbers, in the graph of metrics; `loss` first.
    pub metrics: Vec<(String, Tensor)>,
    /// Pictures of each sample.
    pub shown: Vec<(String, Tensor)>,
    /// What the policy decides, a class for each sample.
    pub action: Option<NodeId>,
}

/// What has been minimised.
pub(super) struct Objective {
    /// `generator_loss`; `loss` for the block's own `minimize`.
    pub name: String,
    /// Of the batch.
    pub mean: Tensor,
    /// Over the pass, in the graph of metrics.
    pub over_pass: Tensor,
}

/// What the statements have said so far.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub failed: Option<Reported>,
    /// What the innermost block minimises, and where it says so.
    pub minimized: Option<(Eval<Tensor>, Span)>,
    pub objectives: Vec<Objective>,
    pub reports: Vec<(String, Tensor)>,
    pub shown: Vec<(String, Tensor)>,
    pub action: Option<NodeId>,
    /// `update`s of copies, to be made when all steps are.
    updates: Vec<(&'a Ident, &'a Expr)>,
}

impl Said<'_> {
    /// The names of all numbers that are told so far.
    pub fn names(&self) -> Vec<String> {
        let losses = self.objectives.iter().map(|objective| &objective.name);
        let reports = self.reports.iter().map(|(name, _)| name);
        losses.chain(reports).cloned().collect()
    }
}

impl<'a> Interpreter<'a> {
    /// Runs the block for a phase.
    pub fn train(
        &mut self,
        train: &'a Train,
        settings: &Settings<'a>,
        training: bool,
    ) -> Eval<Outcome> {
        let source = &settings.data.pipeline[0];
        let catalog = self.globals.catalog;
        self.run = Run {
            training,
            in_train: true,
            absent_fields: catalog.absent_fields(&source.name, &source.arguments),
            ..Run::default()
        };
        self.enter(None, train.span, Some(String::new()));
        for field in &settings.data.fields {
            self.bind_field(field, settings.data.span);
        }
        let outcome = self.train_statements(train, settings);
        self.frames.pop();
        outcome
    }

    fn train_statements(&mut self, train: &'a Train, settings: &Settings<'a>) -> Eval<Outcome> {
        let mut said = Said::default();
        for statement in &train.body.statements {
            let done = match &statement.kind {
                StatementKind::Step {
                    names,
                    optimizer,
                    body,
                } => self.step_statement(names, optimizer, body, settings, &mut said),
                StatementKind::Setting { name, value } if name.name == "policy" => {
                    let action = self.policy(value, settings, said.objectives.len());
                    action.map(|action| said.action = Some(action))
                }
                StatementKind::Setting { .. } => Ok(()),
                StatementKind::Update { name, value } => {
                    said.updates.push((name, value));
                    Ok(())
                }
                _ => self.train_statement(statement, &mut said),
            };
            said.failed = done.err().or(said.failed);
        }
        let minimized = self.minimized(train, settings, &mut said);
        if self.run.training && said.failed.is_none() {
            for (name, value) in std::mem::take(&mut said.updates) {
                let done = self.update_copy(name, value);
                said.failed = done.err().or(said.failed);
            }
        }
        match said.failed {
            Some(reported) => Err(reported),
            None => {
                minimized?;
                Ok(self.outcome(said))
            }
        }
    }

    /// What may stand in `train` and in its steps alike.
    pub fn train_statement(&mut self, statement: &'a Statement, said: &mut Said<'a>) -> Eval<()> {
        match &statement.kind {
            StatementKind::Let { names, ty, value } => self.bind_let(names, ty.as_ref(), value),
            StatementKind::Minimize(expr) => match &said.minimized {
                Some((_, first)) => Err(self.minimized_twice(statement.span, *first)),
                None => {
                    let value = self.loss(expr);
                    let done = value.as_ref().map(|_| ()).map_err(|reported| *reported);
                    said.minimized = Some((value, statement.span));
                    done
                }
            },
            StatementKind::Report(listed) => {
                let mut done = Ok(());
                for argument in listed {
                    match self.report_metric(argument, &said.names()) {
                        Ok(Some(report)) => said.reports.push(report),
                        Ok(None) => {}
                        Err(reported) => done = Err(reported),
                    }
                }
                done
            }
            StatementKind::Show(listed) => {
                let mut done = Ok(());
                // Pictures are made of what the net gives when it does not train.
                let drawn = if self.run.training { &[] } else { &listed[..] };
                for argument in drawn {
                    match self.shown(argument, &said.shown) {
                        Ok(picture) => said.shown.push(picture),
                        Err(reported) => done = Err(reported),
                    }
                }
                done
            }
            StatementKind::Update { .. } => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    statement.span,
                    "`update` stands within a step",
                )
                .here("belongs to no step")
                .help("write it below the steps: copies are updated when all steps are made"),
            )),
            _ => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    statement.span,
                    "this cannot stand in `train`",
                )
                .here("neither a setting, `let`, `minimize`, `report`, `show` nor `step`"),
            )),
        }
    }

    /// The block's own `minimize`, made when everything else has been said; without
    /// one there must be steps.
    fn minimized(
        &mut self,
        train: &Train,
        settings: &Settings<'a>,
        said: &mut Said<'a>,
    ) -> Eval<()> {
        let start = Span {
            end: train.span.start + "train".len() as u32,
            ..train.span
        };
        match said.minimized.take() {
            Some((_, place)) if settings.has_steps => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    place,
                    "`minimize` stands outside of the steps",
                )
                .here("trained by no step")
                .help("where `train` has steps, each has its own `minimize`: move it into one"),
            )),
            Some((Err(reported), _)) => {
                // Its arguments may have faults of their own.
                if let (Some(optimizer), true) = (settings.optimizer, self.run.training) {
                    let _ = self.optimizer(optimizer);
                }
                Err(reported)
            }
            Some((Ok(loss), _)) => {
                let objective = self.objective("loss".to_owned(), &loss, train.span);
                if let (Some(optimizer), true) = (settings.optimizer, self.run.training) {
                    let optimizer = self.optimizer(optimizer)?;
                    self.optimize(&objective.mean, None, &optimizer, &settings.clip)?;
                }
                said.objectives.push(objective);
                Ok(())
            }
            None if settings.has_steps => Ok(()),
            None => Err(self.fault(
                Diagnostic::error(Code::BadSetting, start, "`train` lacks `minimize`")
                    .here("has nothing to minimize")
                    .help("say what is to be minimized: `minimize cross_entropy(logits, label)`"),
            )),
        }
    }

    /// What is minimised, as one number of the batch and as one of the pass.
    pub fn objective(&mut self, name: String, loss: &Tensor, span: Span) -> Objective {
        Objective {
            mean: self.batch_mean(loss),
            over_pass: self.pass_mean(loss, &name, span),
            name,
        }
    }

    fn outcome(&mut self, said: Said<'a>) -> Outcome {
        let mut objectives = said.objectives.into_iter();
        let Some(Objective {
            name,
            mean,
            over_pass,
        }) = objectives.next()
        else {
            unreachable!("elaborate: a block that minimizes nothing was refused");
        };
        let (mut loss, mut total) = (mean.clone(), over_pass.clone());
        let mut losses = vec![(name, mean, over_pass)];
        for objective in objectives {
            loss.node = self.graph(Home::Body).add(loss.node, objective.mean.node);
            total.node = self
                .graph(Home::Metrics)
                .add(total.node, objective.over_pass.node);
            losses.push((objective.name, objective.mean, objective.over_pass));
        }
        // The block's own loss needs no second name.
        losses.retain(|(name, ..)| name != "loss");
        let mut metrics = vec![("loss".to_owned(), total)];
        metrics.extend(
            losses
                .iter()
                .map(|(name, _, total)| (name.clone(), total.clone())),
        );
        metrics.extend(said.reports);
        Outcome {
            loss,
            losses: losses
                .into_iter()
                .map(|(name, mean, _)| (name, mean))
                .collect(),
            metrics,
            shown: said.shown,
            action: said.action,
        }
    }

    fn minimized_twice(&mut self, span: Span, first: Span) -> Reported {
        self.fault(
            Diagnostic::error(
                Code::DuplicateName,
                span,
                "two things are minimized at once",
            )
            .here("the second")
            .label(first, "the first")
            .help("minimize their sum, `minimize a + b`, or give each a `step` of its own"),
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
    pub fn batch_mean(&mut self, loss: &Tensor) -> Tensor {
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
}
