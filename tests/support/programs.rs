//! A model's programs for the training loop, compiled when first asked for.

use crate::support::load;
use nnc_compiler::graph::{self, Experiment};
use nnc_compiler::target::Target;
use nnc_compiler::{compile, slot_table};
use nnc_runtime::Result;
use nnc_runtime::program::{Program, SlotTable};
use nnc_runtime::train::{Phase, Programs};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub struct Compiled {
    text: String,
    target: Target,
    slots: SlotTable,
    pictures: bool,
    pub experiment: Experiment,
    known: Mutex<BTreeMap<(Phase, usize), Arc<Program>>>,
}

impl Compiled {
    pub fn new(text: &str, target: Target) -> Compiled {
        let (_, model) = load("model.nn", text, None);
        Compiled {
            text: text.to_owned(),
            target,
            slots: slot_table(&model.slots),
            pictures: model.steps.contains_key(&graph::Phase::Show),
            experiment: model.experiment,
            known: Mutex::default(),
        }
    }
}

impl Programs for Compiled {
    fn slots(&self) -> &SlotTable {
        &self.slots
    }

    fn has_pictures(&self) -> bool {
        self.pictures
    }

    fn program(&self, phase: Phase, batch: usize) -> Result<Arc<Program>> {
        let mut known = self.known.lock().unwrap();
        let program = known.entry((phase, batch)).or_insert_with(|| {
            let (_, model) = load("model.nn", &self.text, Some(batch));
            let step = &model.steps[&graph_phase(phase)];
            Arc::new(compile(step, &self.slots, &self.target, &mut |_| {}))
        });
        Ok(Arc::clone(program))
    }
}

fn graph_phase(phase: Phase) -> graph::Phase {
    match phase {
        Phase::Init => graph::Phase::Init,
        Phase::Train => graph::Phase::Train,
        Phase::Eval => graph::Phase::Eval,
        Phase::Metrics => graph::Phase::Metrics,
        Phase::Show => graph::Phase::Show,
        Phase::Predict => graph::Phase::Predict,
        Phase::Explore => graph::Phase::Explore,
        Phase::Act => graph::Phase::Act,
    }
}
