//! From a text to a model. The data sources are those of the command line and one more:
//! `samples(shape: [1, 4, 4], classes: 3)`, with the fields `x` and `y`, holds no data.

#[path = "../../src/model/catalogue.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "of a larger program, whose tests run there"
)]
pub mod catalogue;

use catalogue::Catalogue;
use nnc_compiler::elaborate::{
    Catalog, DataFault, DataParameter, DataType, Request, Role, Signature, elaborate, load_uses,
    prelude,
};
use nnc_compiler::graph::{DType, DataValue, Field, Model};
use nnc_grammar::ast::File;
use nnc_grammar::render::{Color, terminal};
use nnc_grammar::{Severity, Sources, parse};
use nnc_runtime::data::Places;
use std::path::Path;

/// Parses and elaborates a text, for a batch of its own choice if none is given.
/// A test's text has no faults.
#[track_caller]
pub fn load(name: &str, text: &str, batch: Option<usize>) -> (File, Model) {
    let mut sources = Sources::default();
    let prelude = prelude(&mut sources);
    let file = sources.add(name, text);
    let (main, mut diagnostics) = parse(file, text);
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut read =
        |path: &Path| std::fs::read_to_string(models.join(path)).map_err(|error| error.to_string());
    let (uses, found) = load_uses(&main, Path::new(name), &mut sources, &mut read);
    diagnostics.extend(found);
    let request = Request {
        main: &main,
        file,
        uses: &uses,
        prelude: &prelude,
        overrides: &[],
        batch,
        catalog: &WithSamples::new(),
    };
    let (model, found) = elaborate(&sources, &request);
    diagnostics.extend(found);
    diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    let told: Vec<String> = diagnostics
        .iter()
        .map(|d| terminal(d, &sources, Color::Never))
        .collect();
    assert!(told.is_empty(), "{}\n\nin\n{text}", told.join("\n\n"));
    (main, model.expect("no model and no error"))
}

/// The runtime's sources and `samples`.
struct WithSamples {
    known: Catalogue,
    signatures: Vec<Signature>,
}

impl WithSamples {
    fn new() -> WithSamples {
        let known = Catalogue::new(Places {
            model: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/models").into()),
            directory: None,
        });
        let parameter = |name: &str, ty, default| DataParameter {
            name: name.to_owned(),
            ty,
            default: Some(default),
        };
        let numbers = || DataValue::List(Vec::new());
        let mut signatures = known.signatures().to_vec();
        signatures.push(Signature {
            name: "samples".to_owned(),
            role: Role::Source,
            parameters: vec![
                parameter("shape", DataType::Numbers, numbers()),
                parameter("target", DataType::Numbers, numbers()),
                parameter("classes", DataType::Int, DataValue::Int(0)),
            ],
            doc: "Fields of these shapes; y is of a class if there are any.".to_owned(),
        });
        WithSamples { known, signatures }
    }
}

impl Catalog for WithSamples {
    fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    fn absent_fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Vec<(String, String)> {
        self.known.absent_fields(source, arguments)
    }

    fn fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Result<Vec<Field>, DataFault> {
        if source != "samples" {
            return self.known.fields(source, arguments);
        }
        let argument = |name: &str| {
            &arguments
                .iter()
                .find(|(known, _)| known == name)
                .expect("a default")
                .1
        };
        let classes = match argument("classes") {
            DataValue::Int(0) => None,
            classes => Some(size(classes)),
        };
        let x = Field {
            name: "x".to_owned(),
            shape: sizes(argument("shape")),
            dtype: DType::F32,
            classes: None,
        };
        let y = Field {
            name: "y".to_owned(),
            shape: sizes(argument("target")),
            dtype: if classes.is_some() {
                DType::I32
            } else {
                DType::F32
            },
            classes,
        };
        Ok(vec![x, y])
    }
}

fn sizes(value: &DataValue) -> Vec<usize> {
    match value {
        DataValue::List(values) => values.iter().map(size).collect(),
        single => vec![size(single)],
    }
}

fn size(value: &DataValue) -> usize {
    match value {
        DataValue::Int(size) => *size as usize,
        DataValue::Float(size) => *size as usize,
        other => panic!("{other:?} is no size"),
    }
}
