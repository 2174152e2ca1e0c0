//! A catalogue of data sources that hold no data, and a short way to elaborate.

use nnc_compiler::elaborate::{
    Catalog, DataFault, DataParameter, DataType, Override, Request, Role, SavedTensors, Signature,
    elaborate, load_uses, prelude,
};
use nnc_compiler::graph::{DType, DataValue, Field, Model};
use nnc_grammar::{Diagnostic, Sources};
use std::path::Path;

/// The sources that the models of the repository use.
pub struct TestCatalog(Vec<Signature>);

impl TestCatalog {
    pub fn new() -> TestCatalog {
        let signature = |name: &str, role, parameters| Signature {
            name: name.to_owned(),
            role,
            parameters,
            doc: format!("{name} without data."),
        };
        let parameter = |name: &str, ty, default| DataParameter {
            name: name.to_owned(),
            ty,
            default,
        };
        TestCatalog(vec![
            signature("mnist", Role::Source, vec![]),
            signature("digits", Role::Source, vec![]),
            signature("cifar10", Role::Source, vec![]),
            signature(
                "tinyshakespeare",
                Role::Source,
                vec![
                    parameter("context", DataType::Int, None),
                    parameter("stride", DataType::Int, Some(DataValue::Int(0))),
                    parameter("valid", DataType::Float, Some(DataValue::Float(0.0))),
                ],
            ),
            signature(
                "sequences",
                Role::Source,
                vec![
                    parameter("length", DataType::Int, None),
                    parameter("classes", DataType::Int, None),
                    parameter("samples", DataType::Int, Some(DataValue::Int(10_000))),
                ],
            ),
            signature(
                "linear",
                Role::Source,
                vec![
                    parameter("features", DataType::Int, None),
                    parameter("noise", DataType::Float, Some(DataValue::Float(0.1))),
                    parameter("samples", DataType::Int, Some(DataValue::Int(1000))),
                ],
            ),
            signature("sentences", Role::Source, vec![]),
            signature(
                "shapes",
                Role::Source,
                vec![parameter("size", DataType::Int, None)],
            ),
            signature(
                "csv",
                Role::Source,
                vec![
                    parameter("file", DataType::String, None),
                    parameter("label", DataType::String, None),
                ],
            ),
            signature("cartpole", Role::Environment, played()),
            signature("gridworld", Role::Environment, played()),
            signature("standardize", Role::Step, vec![]),
            signature("flip", Role::Step, vec![]),
            signature(
                "random_crop",
                Role::Step,
                vec![parameter("padding", DataType::Int, None)],
            ),
            signature(
                "normalize",
                Role::Step,
                vec![
                    parameter("mean", DataType::Numbers, None),
                    parameter("std", DataType::Numbers, None),
                ],
            ),
            signature(
                "points",
                Role::Source,
                vec![
                    parameter("features", DataType::Int, Some(DataValue::Int(2))),
                    parameter("samples", DataType::Int, Some(DataValue::Int(1000))),
                ],
            ),
            signature(
                "take",
                Role::Step,
                vec![parameter("n", DataType::Int, None)],
            ),
            signature(
                "split",
                Role::Step,
                vec![parameter("valid", DataType::Float, None)],
            ),
        ])
    }
}

/// What environments take.
fn played() -> Vec<DataParameter> {
    let parameter = |name: &str, ty, default| DataParameter {
        name: name.to_owned(),
        ty,
        default: Some(default),
    };
    vec![
        parameter("replay", DataType::Int, DataValue::Int(0)),
        parameter("warmup", DataType::Int, DataValue::Int(1000)),
        parameter("environments", DataType::Int, DataValue::Int(8)),
        parameter("steps", DataType::Int, DataValue::Int(1000)),
        parameter("discount", DataType::Float, DataValue::Float(1.0)),
        parameter("episodes", DataType::Int, DataValue::Int(100)),
    ]
}

impl Catalog for TestCatalog {
    fn signatures(&self) -> &[Signature] {
        &self.0
    }

    fn fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Result<Vec<Field>, DataFault> {
        let numbers = |name: &str, shape: &[usize]| Field {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype: DType::F32,
            classes: None,
        };
        let classes = |name: &str, shape: &[usize], count| Field {
            dtype: DType::I32,
            classes: Some(count),
            ..numbers(name, shape)
        };
        let label = classes("label", &[], 10);
        let tokens = |name: &str, length: &DataValue, classes: &DataValue| match (length, classes) {
            (DataValue::Int(length), DataValue::Int(classes)) => Field {
                name: name.to_owned(),
                shape: vec![*length as usize],
                dtype: DType::I32,
                classes: Some(*classes as usize),
            },
            other => panic!("no tokens of {other:?}"),
        };
        match source {
            "tinyshakespeare" => {
                let of = |name| tokens(name, &arguments[0].1, &DataValue::Int(65));
                Ok(vec![of("tokens"), of("target")])
            }
            "sequences" => Ok(vec![tokens("tokens", &arguments[0].1, &arguments[1].1)]),
            "mnist" | "digits" => Ok(vec![numbers("image", &[1, 28, 28]), label]),
            "cifar10" => Ok(vec![numbers("image", &[3, 32, 32]), label]),
            "points" => match arguments[0].1 {
                DataValue::Int(n) if n > 0 => Ok(vec![numbers("u", &[n as usize])]),
                _ => Err("`features` must be at least 1".to_owned().into()),
            },
            "csv" => Ok(vec![numbers("x", &[4]), numbers("y", &[])]),
            "sentences" => Ok(vec![classes("tokens", &[12], 48), classes("label", &[], 2)]),
            "shapes" => match arguments[0].1 {
                DataValue::Int(n) => {
                    let (image, mask) = ([1, n as usize, n as usize], [n as usize; 2]);
                    Ok(vec![numbers("image", &image), classes("mask", &mask, 3)])
                }
                _ => Err("`size` is no int".to_owned().into()),
            },
            "linear" => match arguments[0].1 {
                DataValue::Int(n) if n > 0 => {
                    Ok(vec![numbers("x", &[n as usize]), numbers("y", &[])])
                }
                _ => Err("`features` must be at least 1".to_owned().into()),
            },
            "cartpole" | "gridworld" => {
                let cartpole = source == "cartpole";
                let seen = |name: &str| match cartpole {
                    true => numbers(name, &[4]),
                    false => classes(name, &[], 12),
                };
                let mut fields = vec![
                    seen("observation"),
                    classes("action", &[], if cartpole { 2 } else { 4 }),
                    numbers("reward", &[]),
                    seen("next_observation"),
                    numbers("terminated", &[]),
                ];
                if arguments[0].1 == DataValue::Int(0) {
                    fields.push(numbers("return", &[]));
                }
                Ok(fields)
            }
            other => panic!("no source {other}"),
        }
    }

    fn weights(&self, path: &str) -> Result<Option<SavedTensors>, String> {
        let tensor = |path: &str, shape: &[usize]| (path.to_owned(), shape.to_vec());
        match path {
            "saved.safetensors" => Ok(Some(vec![
                tensor("net/hidden/w", &[784, 32]),
                tensor("net/hidden/b", &[32]),
                tensor("net/dense_1/b", &[10]),
                tensor("net/dense_2/w", &[10, 10]),
            ])),
            "damaged.safetensors" => Err(format!("`{path}` is damaged: it ends too early")),
            _ => Ok(None),
        }
    }
}

/// Elaborates a text; the messages come rendered.
pub fn compile(
    name: &str,
    text: &str,
    sets: &[(&str, &str)],
) -> (Option<Model>, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let prelude = prelude(&mut sources);
    let file = sources.add(name, text);
    let overrides: Vec<Override> = sets
        .iter()
        .map(|(name, value)| Override::new(&mut sources, name, value))
        .collect();
    let (main, mut diagnostics) = nnc_grammar::parse(file, text);
    let (uses, mut found) = load_uses(&main, Path::new(name), &mut sources, &mut |path| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = ["tests/errors", "models"].iter();
        let mut texts =
            folders.filter_map(|folder| std::fs::read_to_string(root.join(folder).join(path)).ok());
        texts.next().ok_or_else(|| "no such file".to_owned())
    });
    diagnostics.append(&mut found);
    if !diagnostics.is_empty() {
        return (None, diagnostics, sources);
    }
    let request = Request {
        main: &main,
        file,
        uses: &uses,
        prelude: &prelude,
        overrides: &overrides,
        batch: None,
        catalog: &TestCatalog::new(),
    };
    let (model, found) = elaborate(&sources, &request);
    diagnostics.extend(found);
    (model, diagnostics, sources)
}
