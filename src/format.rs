//! `nnc fmt`: model files in the one canonical layout.

use crate::cli::FmtArgs;
use crate::failure::{Blame, Failure, Outcome, Stop};
use crate::model::read;
use crate::report::Report;
use nnc_grammar::{Severity, Sources, parse, render};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Formats files, or says which are not formatted.
pub fn fmt(args: &FmtArgs, report: Report) -> Outcome {
    let mut faulty = false;
    for path in files(&args.files)? {
        let text = read(&path)?;
        let Some(formatted) = formatted(&path, &text, report) else {
            faulty = true;
            continue;
        };
        if formatted == text {
            continue;
        }
        match args.check {
            true => {
                faulty = true;
                report.result(format!("{} is not formatted", path.display()))?;
            }
            false => {
                write(&path, &formatted)?;
                report.say(format!("formatted {}", path.display()))?;
            }
        }
    }
    if faulty {
        Err(Stop::Told(Blame::Model))
    } else {
        Ok(())
    }
}

/// The file itself, or all models of a folder.
fn files(given: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| fault("read", path, &error))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let models = paths.filter(|path| path.extension().is_some_and(|e| e == "nn"));
        let mut models: Vec<PathBuf> = models.collect();
        models.sort();
        files.extend(models);
    }
    Ok(files)
}

/// The text in its canonical layout; syntax errors are told instead.
fn formatted(path: &Path, text: &str, report: Report) -> Option<String> {
    let mut sources = Sources::default();
    let file = sources.add(path.display().to_string(), text);
    let (tree, mut diagnostics) = parse(file, text);
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        render::sort(&mut diagnostics);
        report.diagnostics(&diagnostics, &sources);
        return None;
    }
    Some(nnc_grammar::format(&tree, text))
}

/// Beside its place and renamed: an interrupt leaves the old or the new.
fn write(path: &Path, text: &str) -> Outcome {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let fault = |error: &std::io::Error| fault("write", path, error);
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(|error| fault(&error))?;
    new.write_all(text.as_bytes())
        .map_err(|error| fault(&error))?;
    if let Ok(old) = std::fs::metadata(path) {
        let rights = new.as_file().set_permissions(old.permissions());
        rights.map_err(|error| fault(&error))?;
    }
    new.persist(path).map_err(|error| fault(&error.error))?;
    Ok(())
}

fn fault(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::world(
        "io",
        format!("cannot {action} `{}`: {error}", path.display()),
    )
}
