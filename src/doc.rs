//! `nnc doc`: an item of the library with its documentation and its text.

use crate::cli::DocArgs;
use crate::failure::{Failure, Outcome};
use crate::report::Report;
use nnc_compiler::elaborate::{builtin_docs, prelude};
use nnc_grammar::ast::{File, Item};
use nnc_grammar::{Sources, Span, nearest};
use nnc_runtime::data;

/// Prints one item, or the names of all.
pub fn doc(args: &DocArgs, report: &Report) -> Outcome {
    let mut sources = Sources::default();
    let files = prelude(&mut sources);
    let Some(name) = &args.name else {
        return report.result(overview(&files, &sources));
    };
    let found = from_library(name, &files, &sources)
        .or_else(|| builtin(name))
        .or_else(|| from_data(name));
    match found {
        Some(text) => report.result(text),
        None => Err(unknown(name, &files).into()),
    }
}

/// The comment above an item, and the item.
fn from_library(name: &str, files: &[File], sources: &Sources) -> Option<String> {
    let items = files.iter().flat_map(|file| &file.items);
    let (doc, span) = items
        .filter_map(named)
        .find_map(|(known, doc, span)| (known == name).then_some((doc, span)))?;
    let source = sources.file(span.file);
    let text = source.text.get(span.start as usize..span.end as usize)?;
    let comment: String = doc.iter().map(|line| format!("# {line}\n")).collect();
    Some(format!("# {}\n\n{comment}{text}", source.name))
}

fn named(item: &Item) -> Option<(&str, &[String], Span)> {
    match item {
        Item::Const(item) => Some((&item.name.name, &item.doc, item.span)),
        Item::Definition(item) => Some((&item.name.name, &item.doc, item.span)),
        Item::Train(_) | Item::Use(_) => None,
    }
}

fn builtin(name: &str) -> Option<String> {
    let (call, doc) = builtin_docs().find(|(call, _)| call.split('(').next() == Some(name))?;
    Some(format!("# builtin\n\n# {doc}\n{call}"))
}

/// A data source or loader step with its parameters.
fn from_data(name: &str) -> Option<String> {
    let entry = data::SOURCES
        .iter()
        .chain(data::STEPS)
        .find(|entry| entry.name == name)?;
    let parameters = entry
        .parameters
        .iter()
        .map(|parameter| match parameter.default {
            Some(default) => format!("    {} = {default}  # {}\n", parameter.name, parameter.doc),
            None => format!("    {}  # {}\n", parameter.name, parameter.doc),
        });
    let parameters: String = parameters.collect();
    let list = if parameters.is_empty() {
        String::new()
    } else {
        format!("\n{parameters}")
    };
    Some(format!("# data\n\n# {}\n{name}({list})", entry.doc))
}

/// A line for each file of the library, for the builtins, and for the data.
fn overview(files: &[File], sources: &Sources) -> String {
    let mut lines = Vec::new();
    for file in files {
        let names: Vec<&str> = file
            .items
            .iter()
            .filter_map(named)
            .map(|(name, ..)| name)
            .collect();
        let first = file
            .items
            .iter()
            .find_map(named)
            .map(|(.., span)| span.file);
        let title = first.map_or("", |id| sources.file(id).name.as_str());
        lines.push(format!("{title}: {}", names.join(" ")));
    }
    let builtins = builtin_docs().filter_map(|(call, _)| Some(call.split('(').next()?.to_owned()));
    lines.push(format!(
        "builtins: {}",
        builtins.collect::<Vec<_>>().join(" ")
    ));
    let data = data::SOURCES
        .iter()
        .chain(data::STEPS)
        .map(|entry| entry.name);
    lines.push(format!("data: {}", data.collect::<Vec<_>>().join(" ")));
    lines.join("\n")
}

fn unknown(name: &str, files: &[File]) -> Failure {
    let items = files.iter().flat_map(|file| &file.items).filter_map(named);
    let library = items.map(|(name, ..)| name.to_owned());
    let builtins = builtin_docs().filter_map(|(call, _)| Some(call.split('(').next()?.to_owned()));
    let data = data::SOURCES
        .iter()
        .chain(data::STEPS)
        .map(|entry| entry.name.to_owned());
    let names: Vec<String> = library.chain(builtins).chain(data).collect();
    let failure = Failure::world("usage", format!("nothing is called `{name}`"));
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help("`nnc doc` lists all there is"),
    }
}
