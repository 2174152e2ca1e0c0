//! The front end: from a model file's path to an elaborated model, with everything
//! that the compiler has to say about it told.

mod catalogue;
mod compiler;
mod memory;

pub use catalogue::calls;
pub use compiler::{Compiled, Compiler, target};
pub use memory::Memory;

use crate::cli::ModelArgs;
use crate::failure::{Blame, Failure, Outcome, Stop};
use crate::report::Report;
use catalogue::Catalogue;
use nnc_compiler::elaborate::{Library, Override, Request, Uses, elaborate, load_uses, prelude};
use nnc_compiler::graph::{Model, SlotKind};
use nnc_grammar::ast::File;
use nnc_grammar::{Diagnostic, FileId, Severity, Sources, Span, parse, render};
use nnc_runtime::data::Places;
use nnc_runtime::train::Filling;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A model file, parsed, and elaborated for its batch size.
pub struct Loaded {
    /// As the user wrote it.
    pub path: PathBuf,
    /// For the batch size that the file or the command line says.
    pub model: Model,
    text: Text,
}

/// What elaboration starts from.
pub struct Text {
    /// All texts.
    pub sources: Sources,
    /// The user's file.
    pub main: File,
    /// Its text.
    pub file: FileId,
    uses: Uses,
    prelude: Library,
    overrides: Vec<Override>,
    catalogue: Catalogue,
}

impl Loaded {
    /// Reads, parses and elaborates; what is wrong with the model has then been told.
    pub fn load(args: &ModelArgs, report: &Report) -> Outcome<Loaded> {
        let text = Text::read(args, report)?;
        let (model, diagnostics) = text.elaborate(args.batch);
        report.diagnostics(&diagnostics, &text.sources);
        Ok(Loaded {
            path: args.model.clone(),
            model: model.ok_or(Stop::Told(Blame::Model))?,
            text,
        })
    }

    /// Of the net, or where `train` applies none, of the file.
    pub fn name(&self) -> &str {
        match self.model.experiment.net.as_str() {
            "" => self
                .path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or("model"),
            net => net,
        }
    }

    /// `mnist_cnn.nn:6`: where in the model, or in the library, something stands.
    pub fn place(&self, span: Span) -> String {
        let sources = &self.text.sources;
        let name = Path::new(&sources.file(span.file).name);
        let name = name.file_name().unwrap_or(name.as_os_str()).display();
        format!("{name}:{}", sources.line_column(span).0)
    }

    /// Says what is wrong at places of the model's text.
    pub fn tell(&self, diagnostics: &[Diagnostic], report: &Report) {
        report.diagnostics(diagnostics, &self.text.sources);
    }

    /// The same model for another batch size.
    pub fn at_batch(&self, batch: usize) -> Result<Cow<'_, Model>, String> {
        if batch == self.model.experiment.batch {
            return Ok(Cow::Borrowed(&self.model));
        }
        let (model, diagnostics) = self.text.elaborate(Some(batch));
        if let Some(other) = &model
            && other.slots != self.model.slots
        {
            return Err(format!(
                "its parameters would differ for a batch of {batch}: their shapes must not depend on the batch"
            ));
        }
        model.map(Cow::Owned).ok_or_else(|| {
            let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
            let errors: Vec<&str> = errors.map(|error| error.message.as_str()).collect();
            format!(
                "the model is wrong for a batch of {batch}: {}",
                errors.join("; ")
            )
        })
    }

    /// Where the files lie that the model names.
    pub fn places(&self) -> &Places {
        self.text.catalogue.places()
    }

    /// The saved weights that the model starts from.
    pub fn fillings(&self) -> Vec<Filling> {
        let saved = self.model.experiment.saved.iter();
        saved
            .map(|saved| Filling {
                path: folder(&self.path).join(&saved.path),
                fills: saved.fills.clone(),
            })
            .collect()
    }

    /// Sees that the files of weights are there which the model starts from.
    pub fn saved_weights_are_there(&self) -> Outcome {
        let mut saved = self.model.experiment.saved.iter();
        let Some(missing) = saved.find(|saved| !saved.is_there) else {
            return Ok(());
        };
        let path = folder(&self.path).join(&missing.path);
        let fault = format!("there is no `{}`", path.display());
        let help = format!(
            "train the model that saves it, or change `init` in {}",
            self.place(missing.span)
        );
        Err(Failure::world("io", fault).help(help).into())
    }

    /// Elements of all parameters.
    pub fn parameters(&self) -> usize {
        self.elements(SlotKind::Param)
    }

    /// Elements of all slots of a kind.
    pub fn elements(&self, kind: SlotKind) -> usize {
        let slots = self.model.slots.iter().filter(|slot| slot.kind == kind);
        slots.map(|slot| slot.ty.elements()).sum()
    }
}

impl Text {
    /// Reads and parses a model file and the library.
    pub fn read(args: &ModelArgs, report: &Report) -> Outcome<Text> {
        let text = read(&args.model)?;
        let mut sources = Sources::default();
        let file = sources.add(args.model.display().to_string(), text.as_str());
        let (main, mut diagnostics) = parse(file, &text);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            render::sort(&mut diagnostics);
            report.diagnostics(&diagnostics, &sources);
            return Err(Stop::Told(Blame::Model));
        }
        let (uses, mut found) = load_uses(&main, &args.model, &mut sources, &mut read_text);
        diagnostics.append(&mut found);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            render::sort(&mut diagnostics);
            report.diagnostics(&diagnostics, &sources);
            return Err(Stop::Told(Blame::Model));
        }
        Ok(Text {
            overrides: overrides(&args.overrides, &mut sources)?,
            prelude: prelude(&mut sources),
            catalogue: Catalogue::new(Places {
                directory: args.data.clone(),
                model: args.model.parent().map(Path::to_path_buf),
            }),
            uses,
            sources,
            main,
            file,
        })
    }

    /// The model, and what there is to say about it.
    pub fn elaborate(&self, batch: Option<usize>) -> (Option<Model>, Vec<Diagnostic>) {
        let request = Request {
            main: &self.main,
            file: self.file,
            uses: &self.uses,
            prelude: &self.prelude,
            overrides: &self.overrides,
            batch,
            catalog: &self.catalogue,
        };
        elaborate(&self.sources, &request)
    }
}

/// The folder that a model's paths are relative to.
fn folder(model: &Path) -> &Path {
    model.parent().unwrap_or(Path::new(""))
}

/// The text of a file that a model uses.
fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is no text (not UTF-8)".to_owned())
}

/// The text of a model file.
pub fn read(path: &Path) -> Outcome<String> {
    let fault =
        |text: String| Failure::world("io", format!("cannot read `{}`: {text}", path.display()));
    if path.is_dir() {
        return Err(fault("it is a folder, not a model file".into()).into());
    }
    let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| fault("it is no text (not UTF-8)".into()))?;
    Ok(text)
}

fn overrides(written: &[String], sources: &mut Sources) -> Outcome<Vec<Override>> {
    let split = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok(Override::new(sources, name.trim(), value.trim()))
        }
        _ => {
            let fault = format!("`--set {text}` says no value");
            Err(Failure::world("usage", fault)
                .help("write it as NAME=VALUE: `--set lr=3e-4`")
                .into())
        }
    };
    written.iter().map(split).collect()
}
