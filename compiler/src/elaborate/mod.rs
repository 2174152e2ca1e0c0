//! From the syntax tree and the library to a [`Model`]: the last pass in which the
//! user can be wrong, and the one that finds every such fault.
//!
//! It runs the model's text with an abstract interpreter: numbers, conditions and
//! shapes are calculated here and now, operations on tensors become nodes of a graph.
//! The `train` block is run twice, once with `training` true and once false; its
//! `report`s build the graph of final metrics on the side, its `param`s that of the
//! initial values.

mod prelude;
mod uses;
mod catalog;
mod words;
mod overrides;
mod globals;
mod names;
mod interpreter;
mod values;
mod settings;
mod early;
mod data;
mod train;
mod steps;
mod policy;
mod copies;
mod freeze;
mod weights;
mod statements;
mod expressions;
mod pipes;
mod calls;
mod arguments;
mod instances;
mod apply;
mod patterns;
mod axes;
mod pointwise;
mod fold;
mod recipes;
mod tensors;
mod builtins;
mod slots;
mod scan;
mod moment;
mod optimizer;
mod metrics;
mod pictures;
mod prune;
mod faults;

pub use builtins::builtin_docs;
pub use catalog::{Catalog, DataFault, DataParameter, DataType, Role, Signature};
pub use overrides::Override;
pub use prelude::{Library, prelude};
pub use uses::{ReadText, Uses, load_uses};
pub use weights::SavedTensors;
pub use words::WORDS;

use crate::graph::{Experiment, Graph, Model, Phase, Saved, SlotKind, Step};
use globals::{Global, Globals};
use interpreter::Interpreter;
use nnc_grammar::ast::{File, Item, Train};
use nnc_grammar::{Code, Diagnostic, FileId, Severity, Sources, Span};
use prune::{Draft, prune};
use settings::Settings;
use std::collections::BTreeMap;
use train::Outcome;
use values::Eval;

/// What to elaborate.
pub struct Request<'a> {
    /// The user's file.
    pub main: &'a File,
    /// Its text.
    pub file: FileId,
    /// What it uses, see [`load_uses()`].
    pub uses: &'a Uses,
    /// The library, see [`prelude()`].
    pub prelude: &'a Library,
    /// `--set name=value`, later ones over earlier ones.
    pub overrides: &'a [Override],
    /// Samples per step, instead of what the file says.
    pub batch: Option<usize>,
    /// The data sources there are.
    pub catalog: &'a dyn Catalog,
}

/// The model, unless there are errors; and everything there is to say about it,
/// sorted by place.
pub fn elaborate(sources: &Sources, request: &Request<'_>) -> (Option<Model>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let globals = Globals::collect(request, &mut diagnostics);
    let mut interpreter = Interpreter::new(sources, globals, request.overrides);
    interpreter.diagnostics = diagnostics;
    let model = interpreter.model(request).ok();
    interpreter.check_names(request.main);
    if model.is_some() {
        interpreter.warn_unused();
    }
    let mut diagnostics = interpreter.diagnostics;
    diagnostics.sort_by_key(|diagnostic| {
        let span = diagnostic.span();
        (span.file != request.file, span)
    });
    let failed = diagnostics.iter().any(|d| d.severity == Severity::Error);
    if failed {
        // What looks unused may be used once the errors are mended.
        diagnostics.retain(|diagnostic| diagnostic.code != Code::Unused);
    }
    (model.filter(|_| !failed), diagnostics)
}

impl<'a> Interpreter<'a> {
    fn model(&mut self, request: &Request<'a>) -> Eval<Model> {
        self.check_overrides(&settings::NUMBERS);
        self.constants();
        let train = self.train_block(request)?;
        let settings = self.settings(train, request.batch)?;
        self.batch = settings.batch;
        let training = self.train(train, &settings, true);
        if training.is_ok() && settings.has_steps {
            self.warn_untrained();
        }
        let train_steps = training.map(|outcome| {
            let explore = self.policy_step(Phase::Explore, &outcome);
            (self.step(Phase::Train, &outcome), explore)
        });
        let evaluation = self.train(train, &settings, false);
        let ((train_step, explore_step), outcome) = (train_steps?, evaluation?);
        let act_step = self.policy_step(Phase::Act, &outcome);
        let eval_step = self.step(Phase::Eval, &outcome);
        self.check_frozen();
        let measures: Vec<String> = outcome
            .metrics
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        self.check_early(settings.early.as_ref(), &measures)?;
        let saved = self.saved(&settings);
        let mut steps = BTreeMap::from([(Phase::Train, train_step), (Phase::Eval, eval_step)]);
        steps.insert(Phase::Metrics, self.metrics_step(&outcome));
        if let Some(step) = self.predict_step() {
            steps.insert(Phase::Predict, step);
        }
        if !outcome.shown.is_empty() {
            steps.insert(Phase::Show, self.show_step(&outcome));
        }
        let policies = [explore_step, act_step].into_iter().flatten();
        steps.extend(policies.map(|step| (step.phase, step)));
        steps.insert(Phase::Init, self.init_step());
        Ok(Model {
            experiment: self.experiment(settings, &outcome, saved),
            slots: std::mem::take(&mut self.slots.table),
            steps,
        })
    }

    /// Evaluates every constant of the user's, needed or not.
    fn constants(&mut self) {
        let items: Vec<(&'a str, Global<'a>)> = self.globals.user_items().collect();
        for (_, global) in items {
            if let Global::Const(item) = global {
                let used = self.globals.used.contains(&item.name.span);
                // Faults are told on the way.
                let _ = self.constant(item);
                if !used {
                    self.globals.used.remove(&item.name.span);
                }
            }
        }
    }

    /// The one `train` block.
    fn train_block(&mut self, request: &Request<'a>) -> Eval<&'a Train> {
        let mut blocks = request.main.items.iter().filter_map(|item| match item {
            Item::Train(train) => Some(train),
            _ => None,
        });
        let first = blocks.next();
        if let (Some(first), Some(second)) = (first, blocks.next()) {
            return Err(self.fault(
                Diagnostic::error(
                    Code::DuplicateName,
                    second.span,
                    "the file has two `train` blocks",
                )
                .here("the second")
                .label(first.span, "the first"),
            ));
        }
        match first {
            Some(train) => Ok(train),
            None => {
                let end = self.sources.file(request.file).text.len() as u32;
                let span = Span {
                    file: request.file,
                    start: end,
                    end,
                };
                Err(self.fault(
                    Diagnostic::error(Code::BadSetting, span, "the file has no `train` block")
                        .here("ends without one")
                        .help("add `train { data = ... batch = ... epochs = ... optimizer = ... minimize ... }`"),
                ))
            }
        }
    }

    /// The step of a phase that reads data.
    fn step(&mut self, phase: Phase, outcome: &Outcome) -> Step {
        let mut updates: BTreeMap<_, _> = std::mem::take(&mut self.run.current);
        updates.extend(self.run.totals.iter().copied());
        let loss = ("loss".to_owned(), outcome.loss.node);
        let losses = outcome.losses.iter();
        let outputs =
            std::iter::once(loss).chain(losses.map(|(name, loss)| (name.clone(), loss.node)));
        prune(Draft {
            phase,
            graph: self.run.body.graph(),
            inputs: &self.run.inputs,
            outputs: outputs.collect(),
            updates: updates.into_iter().collect(),
        })
    }

    fn metrics_step(&self, outcome: &Outcome) -> Step {
        let outputs = outcome.metrics.iter();
        prune(Draft {
            phase: Phase::Metrics,
            graph: self.run.metrics.graph(),
            inputs: &[],
            outputs: outputs
                .map(|(name, tensor)| (name.clone(), tensor.node))
                .collect(),
            updates: Vec::new(),
        })
    }

    /// The net's result alone, as it is when evaluating.
    fn predict_step(&self) -> Option<Step> {
        let (_, result) = self.run.net.as_ref()?;
        Some(prune(Draft {
            phase: Phase::Predict,
            graph: self.run.body.graph(),
            inputs: &self.run.inputs,
            outputs: vec![("result".to_owned(), result.node)],
            updates: Vec::new(),
        }))
    }

    /// What the policy decides, alone.
    fn policy_step(&self, phase: Phase, outcome: &Outcome) -> Option<Step> {
        let action = outcome.action?;
        Some(prune(Draft {
            phase,
            graph: self.run.body.graph(),
            inputs: &self.run.inputs,
            outputs: vec![("action".to_owned(), action)],
            updates: Vec::new(),
        }))
    }

    /// The pictures, as the nets make them when evaluating.
    fn show_step(&self, outcome: &Outcome) -> Step {
        let shown = outcome.shown.iter();
        prune(Draft {
            phase: Phase::Show,
            graph: self.run.body.graph(),
            inputs: &self.run.inputs,
            outputs: shown
                .map(|(name, picture)| (name.clone(), picture.node))
                .collect(),
            updates: Vec::new(),
        })
    }

    fn init_step(&self) -> Step {
        let graph: &Graph = self.init.graph();
        prune(Draft {
            phase: Phase::Init,
            graph,
            inputs: &self.slots.inputs,
            outputs: Vec::new(),
            updates: self.slots.initial.clone(),
        })
    }

    fn experiment(
        &mut self,
        settings: Settings<'a>,
        outcome: &Outcome,
        saved: Vec<Saved>,
    ) -> Experiment {
        let (net, output) = match &self.run.net {
            Some((name, result)) => (name.clone(), result.sizes()),
            None => (String::new(), Vec::new()),
        };
        let mut layers = std::mem::take(&mut self.run.layers);
        for layer in &mut layers {
            let within = format!("{}/", layer.path);
            let own = self
                .slots
                .table
                .iter()
                .filter(|slot| slot.kind == SlotKind::Param && slot.path.starts_with(&within));
            layer.parameters = own.map(|slot| slot.ty.elements()).sum();
        }
        let metrics = outcome.metrics.iter().skip(1).map(|(name, _)| name.clone());
        Experiment {
            net,
            output,
            source: settings.data.pipeline[0].name.clone(),
            pipeline: settings.data.pipeline,
            data_span: settings.data.span,
            fields: settings.data.fields,
            batch: settings.batch,
            epochs: settings.epochs,
            seed: settings.seed,
            early: settings.early,
            metrics: metrics.collect(),
            layers,
            saved,
            constants: self.constant_texts(),
        }
    }

    /// Every constant of the user's as text, for records.
    fn constant_texts(&mut self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (name, item) in self.globals.settable() {
            if let Ok(value) = self.constant(item) {
                texts.push((name.to_owned(), value.plain_text()));
            }
        }
        texts
    }

    /// Items of the user's that nothing uses.
    fn warn_unused(&mut self) {
        self.globals.use_mentioned();
        let items: Vec<(&'a str, Global<'a>)> = self.globals.user_items().collect();
        for (name, global) in items {
            let span = global.name_span();
            if !self.globals.used.contains(&span) {
                let warning =
                    Diagnostic::warning(Code::Unused, span, format!("nothing uses `{name}`"));
                self.report(warning.here("defined but not used"));
            }
        }
    }
}
