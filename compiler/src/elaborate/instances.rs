//! Instances: layers and optimisers with their hyper-parameters, owners of what
//! `param` and `state` declare.

use super::arguments::{Call, Formal};
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Instance, Value};
use crate::graph::LayerInfo;
use nnc_grammar::ast::{Definition, DefinitionKind};
use nnc_grammar::{Code, Diagnostic, Span};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

impl<'a> Interpreter<'a> {
    /// A definition with its hyper-parameters, defaults filled in and types checked.
    pub fn instance(&mut self, d: &'a Definition, call: &Call<'a, '_>) -> Eval<Instance<'a>> {
        let span = call.span;
        let formals: Vec<Formal<'_>> = d.hyper.iter().map(Formal::of).collect();
        let layer = d.kind == DefinitionKind::Layer;
        let values = self.match_some(call, &formals);
        if let (true, Ok(values)) = (layer, &values) {
            self.refuse_tensors(d, values, call)?;
        }
        let values = match values {
            Err(reported) => return Err(reported),
            // Told again with what is missing.
            Ok(values)
                if values
                    .iter()
                    .zip(&formals)
                    .any(|(v, f)| v.is_none() && !f.optional) =>
            {
                self.match_arguments(call, &formals)?
            }
            Ok(values) => values,
        };
        self.enter(Some(d), span, None);
        let bound = self.bind_parameters(d, &d.hyper, values);
        let frame = self.frames.pop();
        bound?;
        let hyper = frame
            .into_iter()
            .flat_map(|frame| frame.variables)
            .map(|v| {
                (
                    v.name,
                    Given {
                        value: v.value,
                        span: v.span,
                    },
                )
            })
            .collect();
        let instance = self.bare_instance(d, hyper, span);
        Ok(Rc::into_inner(instance).unwrap_or_else(|| unreachable!("elaborate: it was just made")))
    }

    pub fn bare_instance(
        &mut self,
        definition: &'a Definition,
        hyper: Vec<(Cow<'a, str>, Given<'a>)>,
        span: Span,
    ) -> Rc<Instance<'a>> {
        Rc::new(Instance {
            definition,
            hyper,
            span,
            parent: self.frame().path.clone(),
            path: RefCell::new(None),
            source: None,
        })
    }

    /// `dense(x, 10)`: the tensor belongs into the pipe.
    fn refuse_tensors(
        &mut self,
        d: &'a Definition,
        values: &[Option<Given<'a>>],
        call: &Call<'a, '_>,
    ) -> Eval<()> {
        let tensor = values
            .iter()
            .flatten()
            .find(|given| matches!(&given.value, Value::Tensor(tensor) if !tensor.is_scalar()));
        let Some(given) = tensor else { return Ok(()) };
        let name = &d.name.name;
        let rest: Vec<&str> = call
            .arguments
            .iter()
            .filter(|argument| argument.value.span != given.span)
            .map(|argument| {
                let start = argument
                    .name
                    .as_ref()
                    .map_or(argument.value.span, |name| name.span);
                self.sources.text(start.to(argument.value.span))
            })
            .collect();
        let x = self.sources.text(given.span);
        let stage = match rest.as_slice() {
            [] => format!("{x} |> {name}"),
            rest => format!("{x} |> {name}({})", rest.join(", ")),
        };
        Err(self.fault(
            Diagnostic::error(
                Code::TypeMismatch,
                given.span,
                format!("`{name}` takes hyper-parameters in its first parentheses, not tensors"),
            )
            .here(format!("this is {}", given.value.kind_text()))
            .help(format!("pipe the tensor in: `{stage}`")),
        ))
    }

    /// Applies a layer or net to its tensors.
    pub fn apply_instance(
        &mut self,
        instance: &Rc<Instance<'a>>,
        inputs: Vec<Option<Given<'a>>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        let d = instance.definition;
        let net = d.kind == DefinitionKind::Net;
        let copied = instance.source.is_some();
        let path = if net && !copied {
            match instance.parent.as_str() {
                "" => d.name.name.clone(),
                parent => format!("{parent}/{}", d.name.name),
            }
        } else {
            self.path_of(instance)
        };
        if let Some(source) = &instance.source {
            self.run.copies.insert(path.clone(), source.path.clone());
        }
        let listed = !net && !copied && self.source_of(&path).is_none();
        let layer = listed.then(|| self.note_layer(instance, &path)).flatten();
        let value = self.apply_definition(d, Some(path), &instance.hyper, inputs, span)?;
        if let Value::Tensor(tensor) = &value {
            if let Some(layer) = layer {
                self.run.layers[layer].output = tensor.sizes();
            }
            if net && !copied && self.run.net.is_none() && instance.parent.is_empty() {
                self.run.net = Some((d.name.name.clone(), tensor.clone()));
            }
        }
        Ok(value)
    }

    /// Enters a layer into the summary when it is applied for the first time.
    fn note_layer(&mut self, instance: &Instance<'a>, path: &str) -> Option<usize> {
        if !self.run.applied.insert(path.to_owned()) {
            return None;
        }
        let text = self.sources.text(instance.span);
        self.run.layers.push(LayerInfo {
            path: path.to_owned(),
            call: text.split_whitespace().collect::<Vec<_>>().join(" "),
            depth: path.matches('/').count().saturating_sub(1),
            output: Vec::new(),
            parameters: 0,
        });
        Some(self.run.layers.len() - 1)
    }

    /// The instance path that an `Rc`'d instance goes by, naming it on first use.
    pub fn path_of(&mut self, instance: &Instance<'a>) -> String {
        if let Some(path) = &*instance.path.borrow() {
            return path.clone();
        }
        let name = instance.definition.name.name.clone();
        let path = self.part_path(&instance.parent, &name, true);
        *instance.path.borrow_mut() = Some(path.clone());
        path
    }

    /// `parent/name_1`, `parent/name_2`; or without a number for the first of them.
    pub fn part_path(&mut self, parent: &str, name: &str, numbered: bool) -> String {
        let frame = self
            .frames
            .iter_mut()
            .rev()
            .take_while(|frame| frame.path == parent)
            .last();
        let count = match frame {
            Some(frame) => {
                let count = frame.parts.entry(name.to_owned()).or_default();
                *count += 1;
                *count
            }
            None => 1,
        };
        let own = match (numbered, count) {
            (false, 1) => name.to_owned(),
            _ => format!("{name}_{count}"),
        };
        match parent {
            "" => own,
            _ => format!("{parent}/{own}"),
        }
    }
}
