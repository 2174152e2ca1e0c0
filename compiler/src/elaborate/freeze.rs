//! `freeze = "net/features/*"`: what keeps its value. A pattern names paths of
//! parameters and states; `*` stands for any text.

use super::faults::listed;
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Value};
use crate::graph::SlotKind;
use nnc_grammar::{Code, Diagnostic, Span};

/// One pattern.
pub(super) struct Frozen {
    pattern: String,
    span: Span,
}

impl<'a> Interpreter<'a> {
    /// Reads the setting: a pattern, or a list of them.
    pub fn freeze_setting(&mut self, given: &Given<'a>) -> Eval<()> {
        let patterns = match &given.value {
            Value::List(items) => items.to_vec(),
            single => vec![single.clone()],
        };
        for pattern in patterns {
            let Value::String(text) = &pattern else {
                let wanted = "a pattern of paths, such as `\"net/conv2d_1/*\"`";
                return Err(self.wrong_kind(&pattern, given.span, wanted));
            };
            self.frozen.push(Frozen {
                pattern: text.to_string(),
                span: given.span,
            });
        }
        Ok(())
    }

    /// Whether a parameter or state keeps its value.
    pub fn is_frozen(&self, path: &str) -> bool {
        self.frozen.iter().any(|f| matches(&f.pattern, path))
    }

    /// Whether everything below a path does.
    pub fn is_frozen_whole(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        let mut whole = self.frozen.iter().filter(|f| f.pattern.ends_with('*'));
        whole.any(|f| matches(&f.pattern, &inside))
    }

    /// Refuses patterns that freeze nothing.
    pub fn check_frozen(&mut self) {
        let paths: Vec<String> = self
            .slots
            .table
            .iter()
            .filter(|slot| matches!(slot.kind, SlotKind::Param | SlotKind::State))
            .map(|slot| slot.path.clone())
            .collect();
        let mut faults = Vec::new();
        for frozen in &self.frozen {
            if paths.iter().any(|path| matches(&frozen.pattern, path)) {
                continue;
            }
            let message = format!("`{}` freezes nothing", frozen.pattern);
            let fault = Diagnostic::error(Code::BadSetting, frozen.span, message)
                .here("matches the path of no parameter or state");
            let part = format!("{}/", frozen.pattern);
            faults.push(if paths.iter().any(|path| path.starts_with(&part)) {
                fault.help(format!("to freeze all of a part, write `\"{part}*\"`"))
            } else {
                let mut parts: Vec<&str> = paths
                    .iter()
                    .filter_map(|path| path.rsplit_once('/').map(|(part, _)| part))
                    .collect();
                parts.dedup();
                parts.truncate(MOST_SHOWN);
                fault.note(format!("there are parameters in {}", listed(parts)))
            });
        }
        for fault in faults {
            self.fault(fault);
        }
    }
}

/// How many parts of a model a message lists.
const MOST_SHOWN: usize = 12;

/// Whether a pattern is a path; `*` stands for any text, also an empty one.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path
            .strip_prefix(start)
            .is_some_and(|left| ends_matching(rest, left)),
    }
}

/// Whether some end of a text matches.
fn ends_matching(pattern: &str, text: &str) -> bool {
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.any(|at| matches(pattern, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, path, expected) in [
            ("net/*", "net/dense_1/w", true),
            ("net/*", "network/dense_1/w", false),
            ("*/b", "net/dense_1/b", true),
            ("*/b", "net/b/w", false),
            ("net/*/w", "net/a/b/w", true),
            ("net", "net/w", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
