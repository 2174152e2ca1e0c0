//! The library that comes with the compiler: `.nn` text like any other. A model needs few of
//! its items, and parsing all of them would take longer than compiling a small network.

use nnc_grammar::ast::Item;
use nnc_grammar::{FileId, Sources, parse_part};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

macro_rules! texts {
    ($($name:literal)*) => {
        [$((concat!("<prelude>/", $name), include_str!(concat!("../prelude/", $name)))),*]
    };
}

/// The library's texts by name.
const TEXTS: [(&str, &str); 13] = texts! {
    "math.nn" "initializers.nn" "activations.nn" "layers.nn" "recurrent.nn" "convolutions.nn" "norms.nn" "attention.nn" "losses.nn" "metrics.nn" "optimizers.nn" "schedules.nn" "policies.nn"
};

/// What begins an item of the library.
const KEYWORDS: [&str; 5] = ["const ", "fn ", "layer ", "net ", "optimizer "];

/// The library's items, each parsed when it is first asked for.
pub struct Library {
    files: Range<FileId>,
    parts: Vec<Part>,
    by_name: BTreeMap<&'static str, usize>,
}

/// The text of one item, with the comment above it.
struct Part {
    name: &'static str,
    file: FileId,
    text: &'static str,
    range: Range<usize>,
    item: OnceLock<Item>,
}

/// Enters the library's texts among the sources.
pub fn prelude(sources: &mut Sources) -> Library {
    let files = TEXTS.map(|(title, text)| sources.add(title, text));
    let mut library = Library {
        files: files[0]..FileId(files[0].0 + files.len() as u32),
        parts: Vec::new(),
        by_name: BTreeMap::new(),
    };
    for (file, (_, text)) in files.into_iter().zip(TEXTS) {
        for (name, range) in cut(text) {
            let other = library.by_name.insert(name, library.parts.len());
            assert!(
                other.is_none(),
                "elaborate: the prelude defines `{name}` twice"
            );
            library.parts.push(Part {
                name,
                file,
                text,
                range,
                item: OnceLock::new(),
            });
        }
    }
    library
}

impl Library {
    /// The item of a name.
    pub fn find(&self, name: &str) -> Option<&Item> {
        let &part = self.by_name.get(name)?;
        Some(self.parts[part].item())
    }

    /// All names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// All items, in the order of the texts.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.parts.iter().map(Part::item)
    }

    /// Whether a text is one of the library's.
    pub fn owns(&self, file: FileId) -> bool {
        self.files.contains(&file)
    }
}

impl Part {
    fn item(&self) -> &Item {
        self.item.get_or_init(|| {
            let (parsed, diagnostics) = parse_part(self.file, self.text, self.range.clone());
            assert!(
                diagnostics.is_empty(),
                "elaborate: `{}` has faults: {diagnostics:#?}",
                self.name
            );
            let [item] = <[Item; 1]>::try_from(parsed.items)
                .unwrap_or_else(|items| panic!("elaborate: `{}` is {}", self.name, items.len()));
            item
        })
    }
}

/// The names of a text's items and where they stand. An item begins where a line begins with its
/// keyword, and the comment right above belongs to it.
fn cut(text: &'static str) -> Vec<(&'static str, Range<usize>)> {
    let mut parts: Vec<(&str, Range<usize>)> = Vec::new();
    let mut comment = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let keyword = KEYWORDS.iter().find(|keyword| line.starts_with(*keyword));
        if let Some(keyword) = keyword {
            let start = comment.unwrap_or(at);
            if let Some((_, before)) = parts.last_mut() {
                before.end = start;
            }
            let rest = &line[keyword.len()..];
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name = rest.split(|c| !is_word(c)).next().unwrap_or_default();
            parts.push((name, start..text.len()));
        }
        comment = match line.starts_with('#') {
            true => comment.or(Some(at)),
            false => None,
        };
        at += line.len();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use nnc_grammar::parse;

    #[test]
    fn an_item_by_itself_is_what_it_is_in_its_text() {
        let library = prelude(&mut Sources::default());
        let mut alone = library.items();
        for (file, (title, text)) in (0..).map(FileId).zip(TEXTS) {
            let (parsed, diagnostics) = parse(file, text);
            assert!(diagnostics.is_empty(), "{title}: {diagnostics:#?}");
            for item in parsed.items {
                assert_eq!(format!("{:?}", alone.next()), format!("{:?}", Some(item)));
            }
        }
        assert!(alone.next().is_none());
    }
}
