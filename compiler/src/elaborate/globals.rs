//! What a name means when no variable bears it: the user's items, then the
//! library's, then the builtins.

use super::builtins::{self, Builtin};
use super::catalog::Catalog;
use super::values::Value;
use nnc_grammar::ast::{Const, Definition, File, Item};
use nnc_grammar::{Code, Diagnostic, FileId, Span};
use std::collections::{BTreeMap, BTreeSet};

/// All items by name.
pub(super) struct Globals<'a> {
    user: BTreeMap<&'a str, Global<'a>>,
    library: BTreeMap<&'a str, Global<'a>>,
    library_files: BTreeSet<FileId>,
    pub catalog: &'a dyn Catalog,
    /// Constants that are known, by the place of their definition.
    pub constants: BTreeMap<Span, Constant<'a>>,
    /// The user's items that something uses.
    pub used: BTreeSet<Span>,
}

/// An item that has a name.
#[derive(Clone, Copy)]
pub(super) enum Global<'a> {
    Const(&'a Const),
    Definition(&'a Definition),
    Builtin(&'static Builtin),
}

/// How far the evaluation of a `const` is.
#[derive(Clone)]
pub(super) enum Constant<'a> {
    /// Its own value leads back to it.
    InProgress,
    Done(Value<'a>),
}

impl<'a> Globals<'a> {
    /// Collects the items of the user's file and of the library; two items of the
    /// user's with one name are a fault, but hiding a name of the library is not.
    pub fn collect(
        main: &'a File,
        library: &'a [File],
        catalog: &'a dyn Catalog,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Globals<'a> {
        let mut globals = Globals {
            user: BTreeMap::new(),
            library: BTreeMap::new(),
            library_files: BTreeSet::new(),
            catalog,
            constants: BTreeMap::new(),
            used: BTreeSet::new(),
        };
        for item in library.iter().flat_map(|file| &file.items) {
            if let Some((name, global)) = named(item) {
                globals.library_files.insert(global.span().file);
                let hidden = globals.library.insert(name, global);
                assert!(
                    hidden.is_none(),
                    "elaborate: the prelude defines `{name}` twice"
                );
            }
        }
        for item in &main.items {
            let Some((name, global)) = named(item) else {
                continue;
            };
            if let Some(first) = globals.user.get(name) {
                diagnostics.push(
                    Diagnostic::error(
                        Code::DuplicateName,
                        global.name_span(),
                        format!("`{name}` is defined twice"),
                    )
                    .here("defined again here")
                    .label(first.name_span(), "first defined here")
                    .help("give one of them another name"),
                );
                continue;
            }
            globals.user.insert(name, global);
        }
        globals
    }

    /// Whether a place lies in the library.
    pub fn in_library(&self, span: Span) -> bool {
        self.library_files.contains(&span.file)
    }

    /// What a name means at a place. The library's text does not see the user's items,
    /// so that hiding one of its names changes nothing within it.
    pub fn find(&self, name: &str, place: Span) -> Option<Global<'a>> {
        let user = (!self.in_library(place)).then_some(&self.user);
        user.and_then(|user| user.get(name))
            .or_else(|| self.library.get(name))
            .copied()
            .or_else(|| builtins::find(name).map(Global::Builtin))
    }

    /// The user's items in the order of their names.
    pub fn user_items(&self) -> impl Iterator<Item = (&'a str, Global<'a>)> {
        self.user.iter().map(|(&name, &global)| (name, global))
    }

    /// Every name there is, for suggestions.
    pub fn names(&self) -> Vec<&'a str> {
        let items = self.user.keys().chain(self.library.keys()).copied();
        items
            .chain(builtins::names().map(|name| -> &'a str { name }))
            .collect()
    }
}

impl<'a> Global<'a> {
    fn span(self) -> Span {
        match self {
            Global::Const(item) => item.span,
            Global::Definition(item) => item.span,
            Global::Builtin(_) => unreachable!("elaborate: builtins are no items"),
        }
    }

    /// Where its name stands.
    pub fn name_span(self) -> Span {
        match self {
            Global::Const(item) => item.name.span,
            Global::Definition(item) => item.name.span,
            Global::Builtin(_) => unreachable!("elaborate: builtins are no items"),
        }
    }
}

fn named(item: &Item) -> Option<(&str, Global<'_>)> {
    match item {
        Item::Const(item) => Some((&item.name.name, Global::Const(item))),
        Item::Definition(item) => Some((&item.name.name, Global::Definition(item))),
        Item::Train(_) => None,
    }
}
