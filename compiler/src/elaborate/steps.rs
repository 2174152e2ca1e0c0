//! `step NAME with OPTIMIZER { ... }`: one of several objectives, with the parameters
//! that it may change. Steps act one after the other. What a step applies reads the
//! weights as the steps before it have left them; what was bound to a name before
//! keeps its value. Gradients end at weights that an earlier step made.

use super::faults::did_you_mean;
use super::globals::Global;
use super::interpreter::Interpreter;
use super::metrics::numbered;
use super::settings::{Clip, Settings};
use super::train::Said;
use super::values::{Eval, Function, Home, Instance, Reported, Tensor, Value};
use crate::graph::{NodeId, Op, SlotId, SlotKind};
use nnc_grammar::ast::{Block, Definition, DefinitionKind, Expr, Ident, StatementKind};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// Whose parameters a step changes.
pub(super) struct Owner {
    /// `generator`
    pub path: String,
    /// Where the step names it.
    pub span: Span,
}

impl<'a> Interpreter<'a> {
    /// Runs a step's block; when training, changes the parameters of `names`.
    pub fn step_statement(
        &mut self,
        names: &'a [Ident],
        optimizer: &'a Expr,
        body: &'a Block,
        settings: &Settings<'a>,
        said: &mut Said<'a>,
    ) -> Eval<()> {
        self.run.step += 1;
        let owners = self.owners(names);
        let optimizer = self.optimizer(optimizer);
        let clip = self.step_settings(body, &settings.clip);
        let outer = self.frame().variables.len();
        let outside = said.minimized.take();
        let mut failed = None;
        for statement in &body.statements {
            if !matches!(statement.kind, StatementKind::Setting { .. }) {
                let done = self.train_statement(statement, said);
                failed = done.err().or(failed);
            }
        }
        let minimized = std::mem::replace(&mut said.minimized, outside);
        let loss = match minimized {
            Some((loss, _)) => loss,
            None => Err(self.fault(
                Diagnostic::error(
                    Code::BadSetting,
                    names[0].span,
                    "this step minimizes nothing",
                )
                .here("has no `minimize` in its block")
                .help("say what it is for: `minimize mse(output, target)`"),
            )),
        };
        let done = match (failed, loss) {
            (Some(reported), _) => Err(reported),
            (None, loss) => loss.and_then(|loss| {
                let (owners, optimizer, clip) = (owners?, optimizer?, clip?);
                let words: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
                let name = numbered(format!("{}_loss", words.join("_")), &said.names());
                let objective = self.objective(name, &loss, names[0].span);
                if self.run.training {
                    self.optimize(&objective.mean, Some(&owners), &optimizer, &clip)?;
                }
                said.objectives.push(objective);
                Ok(())
            }),
        };
        self.frame().variables.truncate(outer);
        done
    }

    /// The nets and instances that a step names.
    fn owners(&mut self, names: &'a [Ident]) -> Eval<Vec<Owner>> {
        let owners: Vec<Eval<Owner>> = names.iter().map(|name| self.owner(name)).collect();
        owners.into_iter().collect()
    }

    fn owner(&mut self, name: &'a Ident) -> Eval<Owner> {
        let span = name.span;
        let variable = self.variable(&name.name).map(|v| v.value.clone());
        let value = match variable {
            Some(value) => value,
            None => match self.globals.find(&name.name, span) {
                Some(Global::Definition(d)) => {
                    self.globals.used.insert(d.name.span);
                    Value::Function(Function::Definition(d))
                }
                Some(_) => Value::Nothing,
                None => return Err(self.unknown_owner(name)),
            },
        };
        match &value {
            Value::Unknown => Err(Reported(())),
            Value::Function(Function::Instance(instance)) if instance.source.is_some() => Err(self
                .fault(
                    Diagnostic::error(
                        Code::Misplaced,
                        span,
                        format!("`{}` is a copy: only `update` changes it", name.name),
                    )
                    .here("not trained"),
                )),
            Value::Function(function) => match self.path_of_owner(function) {
                Some(path) => Ok(Owner { path, span }),
                None => Err(self.owns_nothing(name)),
            },
            _ => Err(self.owns_nothing(name)),
        }
    }

    /// Under which path a net or an instance keeps its parameters.
    pub fn path_of_owner(&mut self, function: &Function<'a>) -> Option<String> {
        match function {
            Function::Definition(Definition {
                kind: DefinitionKind::Net,
                name,
                ..
            }) => Some(name.name.clone()),
            Function::Instance(instance) => Some(self.path_of(instance)),
            _ => None,
        }
    }

    fn unknown_owner(&mut self, name: &Ident) -> Reported {
        let message = format!("no net is called `{}`", name.name);
        let fault = Diagnostic::error(Code::UnknownName, name.span, message).here("not defined");
        let nets: Vec<&str> = self
            .globals
            .user_items()
            .filter(|(_, global)| global.is_net())
            .map(|(name, _)| name)
            .collect();
        let fault = did_you_mean(fault, &name.name, nets);
        self.fault(fault)
    }

    fn owns_nothing(&mut self, name: &Ident) -> Reported {
        self.fault(
            Diagnostic::error(
                Code::TypeMismatch,
                name.span,
                format!(
                    "`{}` owns no parameters that a step could change",
                    name.name
                ),
            )
            .here("neither a net nor a layer bound by `let`")
            .help("name a `net`, or bind a layer: `let encoder = mlp(64)`"),
        )
    }

    /// One step of the optimiser for each parameter of the owners, by default for all.
    pub fn optimize(
        &mut self,
        loss: &Tensor,
        owners: Option<&[Owner]>,
        optimizer: &Rc<Instance<'a>>,
        clip: &Clip,
    ) -> Eval<()> {
        let reached = self.reached(loss);
        let parameters = self.trained(owners)?;
        let mut gradients = Vec::new();
        for slot in parameters {
            let versions = self.versions(slot);
            let read = versions.into_iter().filter(|node| reached.contains(node));
            let graph = self.graph(Home::Body);
            let mut gradient: Option<NodeId> = None;
            for version in read {
                let share = graph.push(Op::Grad, &[loss.node, version]);
                gradient = Some(match gradient {
                    None => share,
                    Some(sum) => graph.add(sum, share),
                });
            }
            match gradient {
                Some(gradient) => gradients.push((slot, gradient)),
                None => self.warn_no_gradient(slot),
            }
        }
        if gradients.is_empty() {
            let fault = Diagnostic::error(
                Code::BadSetting,
                optimizer.span,
                match owners {
                    None => "the loss depends on no parameter: there is nothing to train",
                    Some(_) => "the loss depends on no parameter that this step may change",
                },
            );
            return Err(self.fault(fault.here("has nothing to do")));
        }
        self.clip(&mut gradients, clip);
        let mut next = Vec::new();
        for (slot, gradient) in gradients {
            next.push((slot, self.step_parameter(optimizer, slot, gradient)?));
        }
        for (slot, mut node) in next {
            if owners.is_some() {
                // Later steps read it as it is, not as what it was made of.
                node = self.graph(Home::Body).push(Op::StopGradient, &[node]);
                self.run.versions.push((slot, node));
            }
            self.run.current.insert(slot, node);
        }
        Ok(())
    }

    /// The parameters that a step may change: those that are read so far, of the
    /// owners, and not frozen.
    fn trained(&mut self, owners: Option<&[Owner]>) -> Eval<Vec<SlotId>> {
        let read: Vec<SlotId> = self.run.slot_nodes.keys().copied().collect();
        let is_parameter = |slot: &SlotId| self.slots.table[slot.index()].kind == SlotKind::Param;
        let mut parameters: Vec<SlotId> = read.into_iter().filter(is_parameter).collect();
        if let Some(owners) = owners {
            for owner in owners {
                let owned = parameters
                    .iter()
                    .any(|slot| within(&self.slots.table[slot.index()].path, &owner.path));
                if !owned {
                    let message = format!("nothing above applies `{}`", owner.path);
                    let fault = Diagnostic::error(Code::BadSetting, owner.span, message)
                        .here("has no parameters yet")
                        .help("apply it in this step or above it");
                    return Err(self.fault(fault));
                }
            }
            parameters.retain(|slot| {
                let path = &self.slots.table[slot.index()].path;
                owners.iter().any(|owner| within(path, &owner.path))
            });
        }
        parameters.retain(|slot| {
            let path = self.slots.table[slot.index()].path.clone();
            !self.is_frozen(&path)
        });
        self.run.trained.extend(parameters.iter().copied());
        Ok(parameters)
    }

    /// The nodes that a parameter has been read through.
    fn versions(&self, slot: SlotId) -> Vec<NodeId> {
        let first = self.run.slot_nodes.get(&slot).copied();
        let later = self.run.versions.iter().filter(|(known, _)| *known == slot);
        first
            .into_iter()
            .chain(later.map(|&(_, node)| node))
            .collect()
    }

    /// Warns of parameters that no step changes.
    pub fn warn_untrained(&mut self) {
        let read: Vec<SlotId> = self.run.slot_nodes.keys().copied().collect();
        for slot in read {
            let known = &self.slots.table[slot.index()];
            let path = known.path.clone();
            if known.kind == SlotKind::Param
                && !self.run.trained.contains(&slot)
                && !self.is_frozen(&path)
            {
                let place = self.slots.places[slot.index()];
                let message = format!("no step trains the parameter `{path}`");
                let net = path.split('/').next().unwrap_or(&path);
                let warning = Diagnostic::warning(Code::Suspicious, place, message)
                    .here("stays as it was initialised")
                    .help(format!(
                        "add `step {net} with ...`, or `freeze = \"{net}/*\"`"
                    ));
                self.report(warning);
            }
        }
    }
}

/// Whether a slot's path lies in a part of a model.
pub(super) fn within(path: &str, part: &str) -> bool {
    path.strip_prefix(part)
        .is_some_and(|rest| rest.starts_with('/'))
}
