//! `init = weights("vgg16.safetensors")`: saved weights by path, in place of the
//! initialisers' numbers. The compiler reads no files: the catalogue tells what is in one.

use super::interpreter::Interpreter;
use super::settings::Settings;
use super::values::{Eval, Given, Value, WeightsFile, shape_text};
use crate::graph::{Saved, SlotKind};
use nnc_grammar::ast::Expr;
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// The paths and shapes of a file's tensors.
pub type SavedTensors = Vec<(String, Vec<usize>)>;

impl<'a> Interpreter<'a> {
    /// `weights(path, from, into)`
    pub fn weights(&mut self, arguments: &[Option<Given<'a>>], span: Span) -> Eval<Value<'a>> {
        let mut texts = Vec::new();
        for (given, wanted) in arguments.iter().zip([
            "the path of a file",
            "a part of the file, such as `\"vgg16/features\"`",
            "a part of the model, such as `\"flowers/features\"`",
        ]) {
            texts.push(
                match given.as_ref().map(|given| (&given.value, given.span)) {
                    None => None,
                    Some((Value::String(text), _)) => Some(text.trim_matches('/').to_owned()),
                    Some((value, place)) => return Err(self.wrong_kind(value, place, wanted)),
                },
            );
        }
        let Some(Value::String(path)) = arguments[0].as_ref().map(|given| &given.value) else {
            unreachable!("elaborate: missing arguments were refused");
        };
        let from = texts[1].clone().unwrap_or_default();
        let into = texts[2].clone().unwrap_or_else(|| from.clone());
        Ok(Value::Weights(Rc::new(WeightsFile {
            path: path.to_string(),
            from,
            into,
            span,
        })))
    }

    /// The setting `init`: one file, or several, later ones over earlier ones.
    pub fn init_setting(&mut self, expr: &'a Expr) -> Eval<Vec<Rc<WeightsFile>>> {
        let given = self.given(expr)?;
        let items = match &given.value {
            Value::List(items) => items.to_vec(),
            single => vec![single.clone()],
        };
        let mut files = Vec::new();
        for item in items {
            match item {
                Value::Weights(file) => files.push(file),
                other => {
                    let wanted = "saved weights, such as `weights(\"net.safetensors\")`";
                    return Err(self.wrong_kind(&other, given.span, wanted));
                }
            }
        }
        Ok(files)
    }

    /// Which tensor of which file fills which slot, as far as the files are known.
    pub fn saved(&mut self, settings: &Settings<'a>) -> Vec<Saved> {
        let files = settings.init.clone();
        files.iter().map(|file| self.saved_file(file)).collect()
    }

    fn saved_file(&mut self, file: &WeightsFile) -> Saved {
        let mut saved = Saved {
            path: file.path.clone(),
            span: file.span,
            is_there: false,
            fills: Vec::new(),
            missing: Vec::new(),
            left: Vec::new(),
        };
        let tensors = match self.globals.catalog.weights(&file.path) {
            // Whoever runs the model will miss the file; whoever checks it need not.
            Ok(None) => return saved,
            Ok(Some(tensors)) => tensors,
            Err(fault) => {
                let fault = Diagnostic::error(Code::BadSetting, file.span, fault);
                self.fault(fault.here("names no saved weights"));
                return saved;
            }
        };
        saved.is_there = true;
        let mut faults = Vec::new();
        for (tensor, shape) in &tensors {
            let Some(rest) = below(tensor, &file.from) else {
                continue;
            };
            let path = join(&file.into, rest);
            match self.slots.find(&path) {
                Some(slot) if self.is_weight(slot.index()) => {
                    let ours = &self.slots.table[slot.index()].ty.shape;
                    if ours == shape {
                        saved.fills.push((tensor.clone(), path));
                    } else {
                        faults.push((slot, tensor, shape));
                    }
                }
                _ => saved.left.push(tensor.clone()),
            }
        }
        let fits = faults.is_empty();
        for (slot, tensor, shape) in faults {
            let known = &self.slots.table[slot.index()];
            let message = format!(
                "`{}` is {}, but in `{}` it is {}",
                known.path,
                shape_text(&known.ty.shape),
                file.path,
                shape_text(shape)
            );
            let place = self.slots.places[slot.index()];
            let fault = Diagnostic::error(Code::ShapeMismatch, file.span, message)
                .here(format!("holds `{tensor}`"));
            let fault = match self.globals.in_library(place) {
                true => fault,
                false => fault.label(place, "declared here"),
            };
            self.fault(fault);
        }
        self.fill_copies(&mut saved);
        let filled = |path: &str| saved.fills.iter().any(|(_, slot)| slot == path);
        let weights = (0..self.slots.table.len()).filter(|&slot| self.is_weight(slot));
        let paths = weights.map(|slot| &self.slots.table[slot].path);
        let missing = paths.filter(|path| below(path, &file.into).is_some() && !filled(path));
        saved.missing = missing.cloned().collect();
        if saved.fills.is_empty() && !tensors.is_empty() && fits {
            let message = format!("nothing of `{}` fits into this model", file.path);
            let held: Vec<&str> = saved.left.iter().take(3).map(String::as_str).collect();
            let wanted: Vec<&str> = saved.missing.iter().take(3).map(String::as_str).collect();
            let fault = Diagnostic::error(Code::BadSetting, file.span, message)
                .here("fills no parameter")
                .note(format!("it holds {} ...", super::faults::listed(held)))
                .note(format!("the model has {} ...", super::faults::listed(wanted)))
                .help("say which part fills which: `weights(\"a.safetensors\", from: \"a/encoder\", into: \"b/encoder\")`");
            self.fault(fault);
        }
        saved
    }

    /// A copy that the file does not hold starts as what it is a copy of.
    fn fill_copies(&mut self, saved: &mut Saved) {
        for slot in &self.slots.table {
            let Some(source) = self.source_of(&slot.path) else {
                continue;
            };
            let filled = |path: &str| saved.fills.iter().find(|(_, slot)| slot == path);
            if filled(&slot.path).is_none()
                && let Some((tensor, _)) = filled(&source)
            {
                saved.fills.push((tensor.clone(), slot.path.clone()));
            }
        }
    }

    fn is_weight(&self, slot: usize) -> bool {
        matches!(
            self.slots.table[slot].kind,
            SlotKind::Param | SlotKind::State
        )
    }
}

/// What is left of a path below a part; all of it below no part.
fn below<'p>(path: &'p str, part: &str) -> Option<&'p str> {
    match part {
        "" => Some(path),
        part => path.strip_prefix(part)?.strip_prefix('/'),
    }
}

fn join(part: &str, rest: &str) -> String {
    match part {
        "" => rest.to_owned(),
        part => format!("{part}/{rest}"),
    }
}
