//! Data sets: where samples come from, how they lie in memory, and how a batch of
//! them gets into a program's inputs.

mod call;
mod counts;
mod catalogue;
mod pipeline;
mod samples;
mod find;
mod download;
mod mnist;
mod idx;
mod cifar10;
mod digits;
mod linear;
mod points;
mod sequences;
mod text;
mod csv;
mod npz;
mod npy;
mod zip;
mod images;
mod shapes;
mod sentences;
mod augment;

pub use augment::Draw;
pub use call::{Call, Value};
pub use catalogue::{Parameter, ParameterKind, SOURCES, STEPS, Signature, fields};
pub(crate) use catalogue::{known, optional};
pub use download::Progress;
pub use find::Places;
pub use pipeline::{Affine, affine, check_step};
pub use samples::{Column, Split, Values, Windows};
pub use text::{Vocabulary, vocabulary};

use crate::error::Result;
use crate::program::{Element, InputBinding};
use std::fmt;
use std::path::PathBuf;

/// A field of a sample, as a program's input wants it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// `image`, `label`.
    pub name: String,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// `Some(n)`: integers below `n`; `None`: real numbers.
    pub classes: Option<usize>,
}

impl Field {
    /// Real numbers.
    pub(crate) fn numbers(name: &str, shape: &[usize]) -> Field {
        Field {
            name: name.to_owned(),
            shape: shape.to_vec(),
            classes: None,
        }
    }

    /// Integers below `classes`.
    pub(crate) fn classes(name: &str, shape: &[usize], classes: usize) -> Field {
        Field {
            classes: Some(classes),
            ..Field::numbers(name, shape)
        }
    }

    /// How many values a sample has.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it is what an input of a program reads.
    pub(crate) fn check(&self, input: &InputBinding) -> Result<(), String> {
        let element = match self.classes {
            Some(_) => Element::I32,
            None => Element::F32,
        };
        if input.shape[1..] == self.shape && input.element == element {
            return Ok(());
        }
        Err(format!(
            "field `{}` is {element:?} {:?}, the program reads {:?} {:?}",
            self.name,
            self.shape,
            input.element,
            &input.shape[1..]
        ))
    }
}

/// A loaded data set after its pipeline.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What to learn from.
    pub train: Split,
    /// Cut from the training samples, if the pipeline asks for it.
    pub valid: Option<Split>,
    /// What to judge by.
    pub test: Split,
    /// Whether every epoch has an order of its own.
    pub shuffle: bool,
    /// Where the samples came from.
    pub provenance: Provenance,
}

/// Where the samples of a data set came from; belongs into every record of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provenance {
    /// Files on this machine.
    Files(PathBuf),
    /// Files just downloaded.
    Downloaded {
        /// The address they came from.
        from: String,
        /// Where they are now.
        to: PathBuf,
    },
    /// Generated, as the model asks.
    Generated(String),
    /// Generated in place of real data that could not be had: results say nothing
    /// about the data set that the model names.
    Substitute {
        /// `mnist`
        wanted: String,
        /// `12000 + 2000 synthetic digits`
        used: String,
        /// Why.
        reason: String,
    },
}

impl Provenance {
    /// Whether the samples are not those that the model names.
    pub fn is_substitute(&self) -> bool {
        matches!(self, Provenance::Substitute { .. })
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Provenance::Files(path) => write!(f, "{}", path.display()),
            Provenance::Downloaded { from, to } => {
                write!(f, "{} (downloaded from {from})", to.display())
            }
            Provenance::Generated(what) => write!(f, "{what}"),
            Provenance::Substitute {
                wanted,
                used,
                reason,
            } => write!(f, "{used}, NOT {wanted} ({reason})"),
        }
    }
}

/// How to find or make data.
pub struct Request<'a> {
    /// Where files may lie.
    pub places: Places,
    /// Never use the network.
    pub offline: bool,
    /// The run's seed: decides which samples become the validation split.
    pub seed: u64,
    /// Told of downloads.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// Loads what a pipeline describes: its first call is the source, the others are steps.
pub fn load(pipeline: &[Call], request: &mut Request<'_>) -> Result<Dataset> {
    let (source, steps) = catalogue::check(pipeline)?;
    let dataset = match source.name.as_str() {
        "mnist" => mnist::load(&mnist::MNIST, request)?,
        "fashion_mnist" => mnist::load(&mnist::FASHION, request)?,
        "digits" => digits::load(source)?,
        "linear" => linear::load(source)?,
        "points" => points::load(source)?,
        "sequences" => sequences::load(source)?,
        "cifar10" => cifar10::load(request)?,
        "csv" => csv::load(source, &request.places)?,
        "npz" | "npy" => npz::load(source, &request.places)?,
        "images" => images::load(source, &request.places)?,
        "shapes" => shapes::load(source)?,
        "sentences" => sentences::load(source)?,
        "text" => text::load(source, &request.places)?,
        "tinyshakespeare" => text::load_shakespeare(source, request)?,
        other => unreachable!("`{other}` is in the catalogue"),
    };
    pipeline::apply(dataset, steps, request.seed)
}

#[cfg(test)]
mod tests;
