//! `nnc doc`: an item of the library with its documentation and its text.

use crate::cli::DocArgs;
use crate::failure::{Failure, Outcome};
use crate::report::Report;
use nnc_compiler::elaborate::{Library, WORDS, builtin_docs, prelude};
use nnc_grammar::ast::Item;
use nnc_grammar::{Sources, Span, nearest};
use nnc_runtime::data::ParameterKind;
use nnc_runtime::{data, play};

/// Prints one item, or the names of all.
pub fn doc(args: &DocArgs, report: &Report) -> Outcome {
    let mut sources = Sources::default();
    let library = prelude(&mut sources);
    let Some(name) = &args.name else {
        return report.result(overview(&library, &sources));
    };
    // A data source may bear the name of an item, since it stands where no item can.
    let found = [
        from_library(name, &library, &sources),
        builtin(name),
        from_data(name),
        word(name),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    match found.is_empty() {
        true => Err(unknown(name, &library).into()),
        false => report.result(found.join("\n\n")),
    }
}

/// The comment above an item, and the item.
fn from_library(name: &str, library: &Library, sources: &Sources) -> Option<String> {
    let (_, doc, span) = named(library.find(name)?)?;
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

/// Data sources, environments and loader steps.
fn data_entries() -> impl Iterator<Item = &'static data::Signature> {
    let sources = data::SOURCES.iter().chain(play::ENVIRONMENTS);
    sources.chain(data::STEPS)
}

/// One of them with its parameters.
fn from_data(name: &str) -> Option<String> {
    let entry = data_entries().find(|entry| entry.name == name)?;
    let parameters = entry.parameters.iter().map(|parameter| {
        let default = match (parameter.default, parameter.kind) {
            (None, _) => String::new(),
            (Some(text), ParameterKind::Text) => format!(" = {text:?}"),
            (Some(default), _) => format!(" = {default}"),
        };
        format!("    {}{default}  # {}\n", parameter.name, parameter.doc)
    });
    let parameters: String = parameters.collect();
    let list = if parameters.is_empty() {
        String::new()
    } else {
        format!("\n{parameters}")
    };
    Some(format!("# data\n\n# {}\n{name}({list})", entry.doc))
}

/// A keyword or a setting, in a sentence and an example.
fn word(name: &str) -> Option<String> {
    let (_, doc, example) = WORDS.iter().find(|(word, ..)| *word == name)?;
    Some(format!("# language\n\n# {doc}\n{example}"))
}

/// A line for each file of the library, for the builtins, for the data and for the language.
fn overview(library: &Library, sources: &Sources) -> String {
    let items: Vec<(&str, Span)> = library
        .items()
        .filter_map(|item| named(item).map(|(name, _, span)| (name, span)))
        .collect();
    let files = items.chunk_by(|(_, one), (_, next)| one.file == next.file);
    let mut lines: Vec<String> = files
        .map(|items| {
            let names: Vec<&str> = items.iter().map(|(name, _)| *name).collect();
            let title = &sources.file(items[0].1.file).name;
            format!("{title}: {}", names.join(" "))
        })
        .collect();
    let builtins = builtin_docs().filter_map(|(call, _)| Some(call.split('(').next()?.to_owned()));
    lines.push(format!(
        "builtins: {}",
        builtins.collect::<Vec<_>>().join(" ")
    ));
    let data = data_entries().map(|entry| entry.name);
    lines.push(format!("data: {}", data.collect::<Vec<_>>().join(" ")));
    let words = WORDS.iter().map(|(word, ..)| *word);
    lines.push(format!("language: {}", words.collect::<Vec<_>>().join(" ")));
    lines.join("\n")
}

fn unknown(name: &str, library: &Library) -> Failure {
    let library = library.names().map(str::to_owned);
    let builtins = builtin_docs().filter_map(|(call, _)| Some(call.split('(').next()?.to_owned()));
    let data = data_entries().map(|entry| entry.name.to_owned());
    let words = WORDS.iter().map(|(word, ..)| (*word).to_owned());
    let names: Vec<String> = library.chain(builtins).chain(data).chain(words).collect();
    let failure = Failure::world("usage", format!("nothing is called `{name}`"));
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help("`nnc doc` lists all there is"),
    }
}
