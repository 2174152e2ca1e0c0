//! What benchmarks share: the models of the repository, tables, times.

#[path = "../../tests/support/mod.rs"]
mod model;
#[path = "../../src/report/table.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "of a larger program, whose tests run there"
)]
pub mod table;

pub use model::load;

use std::path::Path;
use std::time::Duration;

/// Names and texts of `models/*.nn`; of those that contain a word of the command line
/// (`cargo bench --bench steps -- mlp cnn`) if there is one.
pub fn models() -> Vec<(String, String)> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let mut models = texts("models");
    models.retain(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(word)));
    models
}

/// Names and texts of the `.nn` files of a folder of the repository.
pub fn texts(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.extension().is_some_and(|extension| extension == "nn") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a model is text");
            texts.push((name.into_owned(), text));
        }
    }
    texts.sort();
    texts
}

/// In milliseconds, with a digit more the shorter it is.
pub fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    let digits = if ms < 1.0 { 4 } else { 2 };
    format!("{ms:.digits$}")
}
