//! `use "blocks.nn"`: the items of other files. Whoever has files supplies the reading.

use nnc_grammar::ast::{File, Item, Use};
use nnc_grammar::{Code, Diagnostic, FileId, Severity, Sources, Span, parse};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The files that a model uses, directly or by way of others.
#[derive(Debug, Default)]
pub struct Uses {
    /// Each once.
    pub files: Vec<(FileId, File)>,
    /// Which file each `use` names, by its place.
    pub places: BTreeMap<Span, FileId>,
}

/// Reads a file's text, or says why that is impossible.
pub type ReadText<'r> = dyn FnMut(&Path) -> Result<String, String> + 'r;

/// Loads what `main`, whose path is `path`, uses. Paths are relative to the file that
/// names them. There is nothing to go on with if any of the diagnostics is an error.
pub fn load_uses(
    main: &File,
    path: &Path,
    sources: &mut Sources,
    read: &mut ReadText<'_>,
) -> (Uses, Vec<Diagnostic>) {
    let mut loader = Loader {
        sources,
        read,
        uses: Uses::default(),
        known: BTreeMap::new(),
        diagnostics: Vec::new(),
    };
    loader.follow(main, &mut vec![normal(path)]);
    (loader.uses, loader.diagnostics)
}

struct Loader<'l, 'r> {
    sources: &'l mut Sources,
    read: &'l mut ReadText<'r>,
    uses: Uses,
    known: BTreeMap<PathBuf, FileId>,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_, '_> {
    /// Loads what a file uses; `chain` leads to it.
    fn follow(&mut self, file: &File, chain: &mut Vec<PathBuf>) {
        for item in &file.items {
            if let Item::Use(item) = item {
                self.follow_use(item, chain);
            }
        }
    }

    fn follow_use(&mut self, item: &Use, chain: &mut Vec<PathBuf>) {
        let folder = chain.last().and_then(|path| path.parent());
        let path = normal(&folder.unwrap_or(Path::new("")).join(&item.path));
        if chain.contains(&path) {
            let message = format!("`{}` uses itself", item.path);
            let mut fault = Diagnostic::error(Code::Recursion, item.span, message)
                .here("leads back to where it came from");
            if chain.len() > 1 {
                let names: Vec<String> =
                    chain.iter().map(|p| format!("`{}`", p.display())).collect();
                fault = fault.note(format!("{} use one another", names.join(", ")));
            }
            let fault = fault.help("move what both need into a third file");
            self.diagnostics.push(fault);
            return;
        }
        if let Some(&id) = self.known.get(&path) {
            self.uses.places.insert(item.span, id);
            return;
        }
        let text = match (self.read)(&path) {
            Ok(text) => text,
            Err(reason) => {
                let message = format!("cannot read `{}`: {reason}", path.display());
                let fault = Diagnostic::error(Code::UnknownName, item.span, message)
                    .here("not there")
                    .note("paths are relative to the file that uses them");
                self.diagnostics.push(fault);
                return;
            }
        };
        let id = self.sources.add(path.display().to_string(), text.as_str());
        let (file, diagnostics) = parse(id, &text);
        let sound = diagnostics.iter().all(|d| d.severity != Severity::Error);
        self.diagnostics.extend(diagnostics);
        self.known.insert(path.clone(), id);
        self.uses.places.insert(item.span, id);
        if sound {
            chain.push(path);
            self.follow(&file, chain);
            chain.pop();
        }
        self.uses.files.push((id, file));
    }
}

/// The path without `.` and, as far as can be told without looking, without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
