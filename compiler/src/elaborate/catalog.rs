//! Where data sources and loader steps are described. The compiler knows none of
//! them: whoever runs models supplies a [`Catalog`].

use super::weights::SavedTensors;
use crate::graph::{DataStep, DataValue, Field};

/// The data sources and loader steps that a model may name.
pub trait Catalog {
    /// All of them.
    fn signatures(&self) -> &[Signature];

    /// The fields of a sample from a source, or why these arguments make no sense.
    fn fields(&self, source: &str, arguments: &[(String, DataValue)])
    -> Result<Vec<Field>, String>;

    /// The tensors in a file of weights, which a model names relative to itself, or
    /// why there are none to be had.
    fn weights(&self, path: &str) -> Result<SavedTensors, String> {
        Err(format!("there is no `{path}`"))
    }

    /// Why a step's arguments make no sense for samples of these fields, if they do not.
    fn check(&self, step: &DataStep, fields: &[Field]) -> Result<(), String> {
        let _ = (step, fields);
        Ok(())
    }
}

/// A data source or a loader step: `mnist()`, `split(valid: 0.1)`.
#[derive(Clone, PartialEq, Debug)]
pub struct Signature {
    /// Its name in a model.
    pub name: String,
    /// Whether it starts a pipeline or stands after `|>`.
    pub role: Role,
    /// What it takes.
    pub parameters: Vec<DataParameter>,
    /// One line for people.
    pub doc: String,
}

/// Where in a pipeline something stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// First: it names the fields of a sample.
    Source,
    /// After a `|>`.
    Step,
}

/// A parameter of a source or step.
#[derive(Clone, PartialEq, Debug)]
pub struct DataParameter {
    /// Its name.
    pub name: String,
    /// What it must be.
    pub ty: DataType,
    /// What it is when left out; without one it is needed.
    pub default: Option<DataValue>,
}

/// The types of such parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DataType {
    Int,
    Float,
    Bool,
    String,
    /// A list of numbers.
    Numbers,
}
