//! The runtime's data sources, as the compiler wants them described.

use nnc_compiler::elaborate::{
    Catalog, DataFault, DataParameter, DataType, Role, SavedTensors, Signature,
};
use nnc_compiler::graph::{DType, DataStep, DataValue, Field};
use nnc_runtime::Error;
use nnc_runtime::checkpoint::saved_tensors;
use nnc_runtime::data::{self, Call, ParameterKind, Places, Value};
use nnc_runtime::play;
use std::path::Path;

/// All sources and loader steps of the runtime.
pub struct Catalogue {
    signatures: Vec<Signature>,
    places: Places,
}

impl Catalogue {
    /// Translates the runtime's tables; files that a source names are looked for in `places`.
    pub fn new(places: Places) -> Catalogue {
        let of = |table: &[data::Signature], role| -> Vec<Signature> {
            table.iter().map(|entry| signature(entry, role)).collect()
        };
        let mut signatures = of(data::SOURCES, Role::Source);
        signatures.extend(of(play::ENVIRONMENTS, Role::Environment));
        signatures.extend(of(data::STEPS, Role::Step));
        Catalogue { signatures, places }
    }

    /// Where files are looked for.
    pub fn places(&self) -> &Places {
        &self.places
    }
}

impl Catalog for Catalogue {
    fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    fn fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Result<Vec<Field>, DataFault> {
        let call = call(source, arguments);
        let fields = play::fields(&call).unwrap_or_else(|| data::fields(&call, &self.places));
        let fields = fields.map_err(fault)?;
        Ok(fields.into_iter().map(field).collect())
    }

    fn absent_fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Vec<(String, String)> {
        let absent = play::absent_fields(&call(source, arguments)).into_iter();
        absent
            .map(|(name, remedy)| (name.to_owned(), remedy))
            .collect()
    }

    fn weights(&self, path: &str) -> Result<Option<SavedTensors>, String> {
        let folder = self.places.model.as_deref().unwrap_or(Path::new(""));
        let path = folder.join(path);
        match path.exists() {
            false => Ok(None),
            true => match saved_tensors(&path) {
                Ok(tensors) => Ok(Some(tensors)),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    fn check(&self, step: &DataStep, fields: &[Field]) -> Result<(), DataFault> {
        let fields: Vec<data::Field> = fields.iter().map(runtime_field).collect();
        data::check_step(&call(&step.name, &step.arguments), &fields).map_err(fault)
    }
}

/// The place says which call it is about.
fn fault(error: Error) -> DataFault {
    match error {
        Error::BadArgument {
            argument, fault, ..
        } => DataFault {
            message: fault,
            argument,
        },
        other => DataFault::from(other.to_string()),
    }
}

fn runtime_field(field: &Field) -> data::Field {
    data::Field {
        name: field.name.clone(),
        shape: field.shape.clone(),
        classes: field.classes,
    }
}

/// A model's data pipeline, as the runtime runs it.
pub fn calls(pipeline: &[DataStep]) -> Vec<Call> {
    pipeline
        .iter()
        .map(|step| call(&step.name, &step.arguments))
        .collect()
}

fn call(name: &str, arguments: &[(String, DataValue)]) -> Call {
    let arguments = arguments.iter();
    Call {
        name: name.to_string(),
        arguments: arguments
            .map(|(name, argument)| (name.clone(), value(argument)))
            .collect(),
    }
}

fn value(value_: &DataValue) -> Value {
    match value_ {
        DataValue::Int(number) => Value::Int(*number),
        DataValue::Float(number) => Value::Float(*number),
        DataValue::Bool(truth) => Value::Bool(*truth),
        DataValue::String(text) => Value::String(text.clone()),
        DataValue::List(values) => Value::List(values.iter().map(value).collect()),
    }
}

fn field(field: data::Field) -> Field {
    Field {
        dtype: match field.classes {
            Some(_) => DType::I32,
            None => DType::F32,
        },
        name: field.name,
        shape: field.shape,
        classes: field.classes,
    }
}

fn signature(entry: &data::Signature, role: Role) -> Signature {
    Signature {
        name: entry.name.to_string(),
        role,
        parameters: entry.parameters.iter().map(parameter).collect(),
        doc: entry.doc.to_string(),
    }
}

fn parameter(parameter: &data::Parameter) -> DataParameter {
    DataParameter {
        name: parameter.name.to_string(),
        ty: match parameter.kind {
            ParameterKind::Int => DataType::Int,
            ParameterKind::Ints => DataType::Ints,
            ParameterKind::Float => DataType::Float,
            ParameterKind::Floats => DataType::Numbers,
            ParameterKind::Bool => DataType::Bool,
            ParameterKind::Text => DataType::String,
        },
        default: parameter.default.map(|text| default(parameter.kind, text)),
    }
}

/// A default as the runtime's table writes it.
fn default(kind: ParameterKind, text: &str) -> DataValue {
    let value = match kind {
        ParameterKind::Int | ParameterKind::Ints => text.parse().ok().map(DataValue::Int),
        ParameterKind::Float | ParameterKind::Floats => text.parse().ok().map(DataValue::Float),
        ParameterKind::Bool => text.parse().ok().map(DataValue::Bool),
        ParameterKind::Text => Some(DataValue::String(text.to_owned())),
    };
    match value {
        Some(value) => value,
        None => panic!("bug in `catalogue`: the default `{text}` is no {kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_runtime_translates() {
        let catalogue = Catalogue::new(Places::default());
        assert_eq!(
            catalogue.signatures().len(),
            data::SOURCES.len() + play::ENVIRONMENTS.len() + data::STEPS.len()
        );
        for signature in catalogue.signatures() {
            let needs_none = signature.parameters.iter().all(|p| p.default.is_some());
            if signature.role != Role::Step && needs_none {
                let fields = catalogue.fields(&signature.name, &[]);
                assert!(
                    fields.is_ok_and(|fields| !fields.is_empty()),
                    "{}",
                    signature.name
                );
            }
        }
    }
}
