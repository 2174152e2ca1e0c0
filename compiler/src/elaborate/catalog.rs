//! Where data sources and loader steps are described. The compiler knows none of
//! them: whoever runs models supplies a [`Catalog`].

use super::weights::SavedTensors;
use crate::graph::{DataStep, DataValue, Field};

/// The data sources and loader steps that a model may name.
pub trait Catalog {
    /// All of them.
    fn signatures(&self) -> &[Signature];

    /// The fields of a sample from a source, or why these arguments make no sense.
    fn fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Result<Vec<Field>, DataFault>;

    /// Fields that the source would have with other arguments, each with what to do for it.
    fn absent_fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Vec<(String, String)> {
        let _ = (source, arguments);
        Vec::new()
    }

    /// The tensors in a file of weights, which a model names relative to itself; none if
    /// the file is not there yet, or why it cannot be read.
    fn weights(&self, path: &str) -> Result<Option<SavedTensors>, String> {
        let _ = path;
        Ok(None)
    }

    /// Why a step's arguments make no sense for samples of these fields, if they do not.
    fn check(&self, step: &DataStep, fields: &[Field]) -> Result<(), DataFault> {
        let _ = (step, fields);
        Ok(())
    }
}

/// Why a source or a step makes no sense as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataFault {
    /// What is wrong with it.
    pub message: String,
    /// The argument that is to blame, if it is one alone.
    pub argument: Option<String>,
}

impl From<String> for DataFault {
    fn from(message: String) -> DataFault {
        DataFault {
            message,
            argument: None,
        }
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
    /// First: it is played, and its first field is what a policy sees, its second what a
    /// policy decides.
    Environment,
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
    /// An int or a list of ints.
    Ints,
    Float,
    Bool,
    String,
    /// A list of numbers.
    Numbers,
}
