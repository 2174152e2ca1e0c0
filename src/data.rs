//! The data of a model: samples loaded from where they are, or a world to be played in.

use crate::cli::DataArgs;
use crate::failure::{Blame, Outcome, Stop};
use crate::model::{Loaded, calls};
use crate::report::{DownloadBar, Report, count};
use nnc_grammar::{Code, Diagnostic};
use nnc_runtime::Error;
use nnc_runtime::data::{self, Dataset, Provenance, Request};
use nnc_runtime::play::World;
use nnc_runtime::train::Source;
use std::fmt;

/// What a model learns from and is judged by.
pub enum Data {
    /// Samples.
    Samples(Dataset),
    /// What is played.
    World(World),
}

impl Data {
    /// Loads it, and says so unmistakably when it is not the real one.
    pub fn load(loaded: &Loaded, args: &DataArgs, seed: u64, report: &Report) -> Outcome<Data> {
        let pipeline = calls(&loaded.model.experiment.pipeline);
        if let Some(world) = World::of_pipeline(&pipeline)? {
            return Ok(Data::World(world));
        }
        let mut bar = DownloadBar::new(*report);
        let mut request = Request {
            places: loaded.places().clone(),
            offline: args.offline,
            seed,
            progress: &mut |progress| bar.notice(&progress),
        };
        let data = data::load(&pipeline, &mut request);
        let data = data.map_err(|error| told(error, loaded, report))?;
        if data.provenance.is_substitute() {
            report.warn(substitute_warning(&data.provenance));
        }
        Ok(Data::Samples(data))
    }

    /// Refuses to stop by a validation that there is not; what is played has been refused before.
    pub fn check_early(&self, loaded: &Loaded, report: &Report) -> Outcome {
        let Some(early) = &loaded.model.experiment.early else {
            return Ok(());
        };
        if matches!(self, Data::Samples(data) if data.valid.is_some()) {
            return Ok(());
        }
        let message = "the data has no validation split to stop by";
        let fault = Diagnostic::error(Code::BadSetting, early.span, message)
            .here("is never measured")
            .label(
                loaded.model.experiment.data_span,
                "all of it is for training and test",
            )
            .help("cut one off: `|> split(valid: 0.1)`");
        loaded.tell(&[fault], report);
        Err(Stop::Told(Blame::Model))
    }

    /// For the training loop.
    pub fn source(&self) -> Source<'_> {
        match self {
            Data::Samples(data) => Source::Samples(data),
            Data::World(world) => Source::World(world),
        }
    }

    /// Where it came from.
    pub fn provenance(&self) -> Provenance {
        self.source().provenance()
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = match self {
            Data::Samples(data) => data,
            Data::World(world) => {
                let steps = count(world.steps as u64);
                return write!(f, "{}, {steps} steps an epoch", world.provenance());
            }
        };
        let sizes = [
            Some((data.train.samples(), "train")),
            data.valid.as_ref().map(|valid| (valid.samples(), "valid")),
            Some((data.test.samples(), "test")),
        ];
        let sizes: Vec<String> = sizes
            .into_iter()
            .flatten()
            .map(|(samples, name)| format!("{} {name}", count(samples as u64)))
            .collect();
        let sizes = sizes.join(" + ");
        match &data.provenance {
            // The warning in front of it has said why.
            Provenance::Substitute { wanted, .. } => write!(f, "{sizes}, made up, NOT {wanted}"),
            provenance => write!(f, "{sizes} from {provenance}"),
        }
    }
}

/// Faults that show only when all of the data are read have the place where the model asks for
/// them, as those have that show before.
fn told(error: Error, loaded: &Loaded, report: &Report) -> Stop {
    let (blame, message) = match &error {
        Error::BadArgument { call, fault, .. } => (Blame::Model, format!("`{call}`: {fault}")),
        Error::BadFile { .. } | Error::NoData(_) => (Blame::World, error.to_string()),
        _ => return error.into(),
    };
    let span = loaded.model.experiment.data_span;
    loaded.tell(&[Diagnostic::error(Code::BadValue, span, message)], report);
    Stop::Told(blame)
}

/// What must be read wherever results are.
pub fn substitute_warning(provenance: &Provenance) -> String {
    format!(
        "the data are {provenance}; the results say nothing about the real data set. \
         Give its folder with `--data DIR`"
    )
}
