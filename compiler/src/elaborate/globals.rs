//! What a name means when no variable bears it: the user's items, then the
//! library's, then the builtins.

use super::builtins::{self, Builtin};
use super::catalog::Catalog;
use super::values::Value;
use super::{Library, Request};
use nnc_grammar::ast::{Const, Definition, DefinitionKind, File, Item};
use nnc_grammar::{Code, Diagnostic, FileId, Span};
use std::collections::{BTreeMap, BTreeSet};

/// All items by name.
pub(super) struct Globals<'a> {
    /// The user's files; the one that is run is `main`.
    scopes: BTreeMap<FileId, Scope<'a>>,
    main: FileId,
    library: &'a Library,
    pub catalog: &'a dyn Catalog,
    /// Constants that are known, by the place of their definition.
    pub constants: BTreeMap<Span, Constant<'a>>,
    /// The user's items that something uses.
    pub used: BTreeSet<Span>,
    /// Items that the text of others names, be it where a condition keeps it from running:
    /// in which definition, none for `train`, and which.
    pub mentions: Vec<(Option<Span>, Span)>,
}

/// What a file of the user's defines, and which others it uses.
#[derive(Default)]
struct Scope<'a> {
    items: BTreeMap<&'a str, Global<'a>>,
    uses: Vec<FileId>,
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
    /// Collects the items of the user's files and of the library; two items of one
    /// file with one name are a fault, but hiding a name of the library is not.
    pub fn collect(request: &Request<'a>, diagnostics: &mut Vec<Diagnostic>) -> Globals<'a> {
        let mut globals = Globals {
            scopes: BTreeMap::new(),
            main: request.file,
            library: request.prelude,
            catalog: request.catalog,
            constants: BTreeMap::new(),
            used: BTreeSet::new(),
            mentions: Vec::new(),
        };
        let used = request.uses.files.iter().map(|(id, file)| (*id, file));
        for (id, file) in used.chain([(request.file, request.main)]) {
            let scope = scope(file, &request.uses.places, diagnostics);
            globals.scopes.insert(id, scope);
        }
        globals
    }

    /// Whether a place lies in the library.
    pub fn in_library(&self, span: Span) -> bool {
        self.library.owns(span.file)
    }

    /// What a name means at a place: the file's own item, else that of a file that it
    /// uses, else the library's. The library's text does not see the user's items, so
    /// that hiding one of its names changes nothing within it.
    pub fn find(&self, name: &str, place: Span) -> Option<Global<'a>> {
        let user = match self.in_library(place) {
            true => None,
            false => self.find_in(name, place.file, &mut BTreeSet::new()),
        };
        let library = || Some(named(self.library.find(name)?)?.1);
        user.or_else(library)
            .or_else(|| builtins::find(name).map(Global::Builtin))
    }

    fn find_in(&self, name: &str, file: FileId, seen: &mut BTreeSet<FileId>) -> Option<Global<'a>> {
        // The command line sees what the file that is run sees.
        let scope = self.scopes.get(&file).or(self.scopes.get(&self.main))?;
        if !seen.insert(file) {
            return None;
        }
        let own = scope.items.get(name).copied();
        let mut used = scope.uses.iter();
        own.or_else(|| used.find_map(|&file| self.find_in(name, file, seen)))
    }

    /// The items of the file that is run, in the order of their names.
    pub fn user_items(&self) -> impl Iterator<Item = (&'a str, Global<'a>)> {
        let main = self.scopes.get(&self.main).into_iter();
        main.flat_map(|scope| scope.items.iter().map(|(&name, &global)| (name, global)))
    }

    /// What the text of `train` and of all that is used names is used as well.
    pub fn use_mentioned(&mut self) {
        loop {
            let before = self.used.len();
            for (owner, named) in &self.mentions {
                if owner.is_none_or(|owner| self.used.contains(&owner)) {
                    self.used.insert(*named);
                }
            }
            if self.used.len() == before {
                return;
            }
        }
    }

    /// The constants that the file that is run sees, those of files that it uses included.
    pub fn settable(&self) -> Vec<(&'a str, &'a Const)> {
        let names: BTreeSet<&'a str> = self
            .scopes
            .values()
            .flat_map(|scope| scope.items.keys().copied())
            .collect();
        let constant = |name: &'a str| match self.find_in(name, self.main, &mut BTreeSet::new())? {
            Global::Const(item) => Some((name, item)),
            _ => None,
        };
        names.into_iter().filter_map(constant).collect()
    }

    /// Every name there is, for suggestions.
    pub fn names(&self) -> Vec<&'a str> {
        let user = self.scopes.values().flat_map(|scope| scope.items.keys());
        let library = self.library.names().map(|name| -> &'a str { name });
        user.copied()
            .chain(library)
            .chain(builtins::names().map(|name| -> &'a str { name }))
            .collect()
    }
}

/// What a file says to others and to itself.
fn scope<'a>(
    file: &'a File,
    places: &BTreeMap<Span, FileId>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Scope<'a> {
    let mut scope = Scope::default();
    for item in &file.items {
        if let Item::Use(item) = item {
            // One that could not be loaded has been told.
            scope.uses.extend(places.get(&item.span));
        }
        let Some((name, global)) = named(item) else {
            continue;
        };
        if let Some(first) = scope.items.get(name) {
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
        scope.items.insert(name, global);
    }
    scope
}

impl<'a> Global<'a> {
    /// Whether it is a `net`.
    pub fn is_net(self) -> bool {
        matches!(self, Global::Definition(d) if d.kind == DefinitionKind::Net)
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
        Item::Use(_) | Item::Train(_) => None,
    }
}
