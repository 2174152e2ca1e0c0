//! A short way to elaborate. The data sources are those of the command line, with the files of
//! `models/`; the saved weights are made up.

#[path = "../../../src/model/catalogue.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "of a larger program, whose tests run there"
)]
mod catalogue;

use catalogue::Catalogue;
use nnc_compiler::elaborate::{
    Catalog, DataFault, Override, Request, SavedTensors, Signature, elaborate, load_uses, prelude,
};
use nnc_compiler::graph::{DataStep, DataValue, Field, Model};
use nnc_grammar::{Diagnostic, Sources};
use nnc_runtime::data::Places;
use std::path::Path;

/// The runtime's sources, and files of weights that are nowhere.
struct WithWeights(Catalogue);

impl WithWeights {
    fn new() -> WithWeights {
        WithWeights(Catalogue::new(Places {
            model: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../models").into()),
            directory: None,
        }))
    }
}

impl Catalog for WithWeights {
    fn signatures(&self) -> &[Signature] {
        self.0.signatures()
    }

    fn fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Result<Vec<Field>, DataFault> {
        self.0.fields(source, arguments)
    }

    fn absent_fields(
        &self,
        source: &str,
        arguments: &[(String, DataValue)],
    ) -> Vec<(String, String)> {
        self.0.absent_fields(source, arguments)
    }

    fn check(&self, step: &DataStep, fields: &[Field]) -> Result<(), DataFault> {
        self.0.check(step, fields)
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
        catalog: &WithWeights::new(),
    };
    let (model, found) = elaborate(&sources, &request);
    diagnostics.extend(found);
    (model, diagnostics, sources)
}
