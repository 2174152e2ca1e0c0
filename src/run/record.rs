//! `run.json`: what was run, on what, and how it ended.

use crate::data::Data;
use crate::model::{Compiler, Loaded};
use nnc_runtime::data::Split;
use nnc_runtime::train::{self, Ending, Measures, Plan, Start};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Everything that a result depends on, and the result.
#[derive(Serialize, Debug)]
pub struct Record {
    nnc: &'static str,
    model: String,
    net: String,
    parameters: usize,
    /// After `--set`, as text.
    constants: BTreeMap<String, String>,
    seed: u64,
    batch: usize,
    epochs: usize,
    steps: Option<u64>,
    start: String,
    threads: usize,
    isa: String,
    data: DataRecord,
    /// Seconds since 1970.
    started: u64,
    status: Status,
    result: Option<ResultRecord>,
}

#[derive(Serialize, Debug)]
struct DataRecord {
    pipeline: String,
    from: String,
    /// Generated samples stand in for the data that the model names.
    substitute: bool,
    /// Samples of an epoch.
    train: usize,
    valid: Option<usize>,
    /// Samples; of a world, episodes.
    test: usize,
}

impl DataRecord {
    fn new(pipeline: String, data: &Data, batch: usize) -> DataRecord {
        let provenance = data.provenance();
        let (valid, test) = match data {
            Data::Samples(data) => (data.valid.as_ref().map(Split::samples), data.test.samples()),
            Data::World(world) => (None, world.episodes),
        };
        DataRecord {
            pipeline,
            from: provenance.to_string(),
            substitute: provenance.is_substitute(),
            train: data.source().samples(batch),
            valid,
            test,
        }
    }
}

#[derive(Serialize, Debug)]
struct ResultRecord {
    epochs: usize,
    steps: u64,
    /// Where the validation decides: the epoch whose weights are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_epoch: Option<usize>,
    seconds: f64,
    #[serde(serialize_with = "by_name")]
    test: Option<Measures>,
}

/// Whether and how a run has ended.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Still on its way, or killed.
    Running,
    /// All epochs are done.
    Finished,
    /// The validation did not get better.
    Early,
    /// `--steps` was reached.
    StepLimit,
    /// By Ctrl-C.
    Interrupted,
    /// With an error.
    Failed,
}

impl Status {
    /// How a run ended.
    pub fn of(outcome: &nnc_runtime::Result<train::Outcome>) -> Status {
        match outcome {
            Err(_) => Status::Failed,
            Ok(outcome) => match outcome.ending {
                Ending::Finished => Status::Finished,
                Ending::Early => Status::Early,
                Ending::StepLimit => Status::StepLimit,
                Ending::Interrupted => Status::Interrupted,
            },
        }
    }
}

impl Record {
    /// Of a run that begins.
    pub fn new(loaded: &Loaded, compiler: &Compiler<'_>, plan: &Plan<'_>, data: &Data) -> Record {
        let experiment = &loaded.model.experiment;
        let pipeline = crate::model::calls(&experiment.pipeline);
        let pipeline: Vec<String> = pipeline.iter().map(ToString::to_string).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Record {
            nnc: env!("CARGO_PKG_VERSION"),
            model: loaded.path.display().to_string(),
            net: loaded.name().to_string(),
            parameters: loaded.parameters(),
            constants: experiment.constants.iter().cloned().collect(),
            seed: plan.seed,
            batch: plan.batch,
            epochs: plan.epochs,
            steps: plan.steps,
            start: match &plan.start {
                Start::Fresh => "fresh".into(),
                Start::Filled(files) => {
                    let paths = files.iter().map(|file| file.path.display().to_string());
                    format!("init {}", paths.collect::<Vec<_>>().join(", "))
                }
                Start::Weights(path) => format!("weights {}", path.display()),
                Start::Resume(path) => format!("resume {}", path.display()),
            },
            threads: plan.threads,
            isa: compiler.isa().to_string(),
            data: DataRecord::new(pipeline.join(" |> "), data, plan.batch),
            started: now.map_or(0, |time| time.as_secs()),
            status: Status::Running,
            result: None,
        }
    }

    /// The run has ended.
    pub fn end(
        &mut self,
        status: Status,
        outcome: &nnc_runtime::Result<train::Outcome>,
        time: Duration,
    ) {
        self.status = status;
        self.result = outcome.as_ref().ok().map(|outcome| ResultRecord {
            epochs: outcome.epochs,
            steps: outcome.step,
            best_epoch: outcome.best.map(|best| best.epoch),
            seconds: time.as_secs_f64(),
            test: outcome.test.clone(),
        });
    }

    /// For the file.
    pub fn to_json(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(text) => text + "\n",
            Err(error) => panic!("bug in `run`: a record is plain values, yet {error}"),
        }
    }
}

/// Measures as an object, in their order.
fn by_name<S: Serializer>(measures: &Option<Measures>, serializer: S) -> Result<S::Ok, S::Error> {
    match measures {
        Some(measures) => {
            serializer.collect_map(measures.iter().map(|(name, value)| (name, value)))
        }
        None => serializer.serialize_none(),
    }
}
