//! `let target = copy(net)`: the same net with weights of its own, which no optimiser
//! changes and only `update target = ...` does. For running averages of weights and
//! for the target networks of reinforcement learning.

use super::faults::did_you_mean;
use super::interpreter::Interpreter;
use super::steps::within;
use super::values::{
    Axis, Element, Eval, Function, Given, Home, Instance, Reported, Tensor, Value,
};
use crate::graph::{Slot, SlotId, SlotKind};
use nnc_grammar::ast::{DefinitionKind, Expr, Ident};
use nnc_grammar::{Code, Diagnostic, Span};
use std::cell::RefCell;
use std::rc::Rc;

/// What a copy is one of.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Where it keeps its parameters.
    pub path: String,
    /// What `train` calls it.
    pub name: String,
}

impl<'a> Interpreter<'a> {
    /// `copy(net)`
    pub fn copy(&mut self, given: &Given<'a>, span: Span) -> Eval<Value<'a>> {
        if !self.run.in_train || self.frames.len() > 1 {
            let fault =
                Diagnostic::error(Code::Misplaced, span, "`copy` stands outside of `train`");
            return Err(self.fault(fault.here("nets are copied where they are trained")));
        }
        let name = self.sources.text(given.span).trim().to_owned();
        let wanted = "a net, or a layer bound by `let`";
        let Value::Function(function) = &given.value else {
            return Err(self.wrong_kind(&given.value, given.span, wanted));
        };
        let (definition, hyper) = match function {
            Function::Definition(d) if d.kind == DefinitionKind::Net => (*d, Vec::new()),
            Function::Instance(instance) if self.variable(&name).is_some() => {
                (instance.definition, instance.hyper.clone())
            }
            _ => return Err(self.wrong_kind(&given.value, given.span, wanted)),
        };
        let Some(path) = self.path_of_owner(function) else {
            return Err(self.wrong_kind(&given.value, given.span, wanted));
        };
        Ok(Value::Function(Function::Instance(Rc::new(Instance {
            definition,
            hyper,
            span,
            parent: String::new(),
            path: RefCell::new(None),
            source: Some(Source { path, name }),
        }))))
    }

    /// The path in the source of what lies at a path in a copy.
    pub fn source_of(&self, path: &str) -> Option<String> {
        let copies = self.run.copies.iter();
        copies
            .filter(|(copy, _)| within(path, copy))
            .map(|(copy, source)| format!("{source}{}", &path[copy.len()..]))
            .next()
    }

    /// Whether the text being evaluated belongs to a copy or a frozen layer, which run
    /// as they do in evaluation.
    pub fn is_still(&mut self) -> bool {
        let path = self.frame().path.clone();
        let copied = self
            .run
            .copies
            .keys()
            .any(|copy| *copy == path || within(&path, copy));
        copied || self.is_frozen_whole(&path)
    }

    /// `update target = lerp(target, net, 0.01)`: for each of the copy's tensors, with
    /// the copy's name and the net's standing for the tensor and its original.
    pub fn update_copy(&mut self, name: &'a Ident, value: &'a Expr) -> Eval<()> {
        let (path, source) = self.updated_copy(name)?;
        let sources: Vec<SlotId> = (0..self.slots.table.len() as u32)
            .map(SlotId)
            .filter(|id| {
                let slot = &self.slots.table[id.index()];
                matches!(slot.kind, SlotKind::Param | SlotKind::State)
                    && within(&slot.path, &source.path)
            })
            .collect();
        if sources.is_empty() {
            let message = format!(
                "nothing above applies `{}`, so its copy is empty",
                source.name
            );
            let fault = Diagnostic::error(Code::BadSetting, name.span, message);
            return Err(self.fault(fault.here("has nothing to update")));
        }
        for original in sources {
            let slot = self.slots.table[original.index()].clone();
            let own = format!("{path}{}", &slot.path[source.path.len()..]);
            let copy = self.copied_slot(own, original, name.span);
            let (mine, theirs) = (self.current_slot(copy), self.current_slot(original));
            let outer = self.frame().variables.len();
            self.bind(name.name.as_str(), Value::Tensor(mine.clone()), name.span);
            self.bind(source.name.clone(), Value::Tensor(theirs), name.span);
            let given = self.given(value);
            let next =
                given.and_then(|given| self.like(&given, &mine, &format!("`{}`", name.name)));
            self.frame().variables.truncate(outer);
            self.run.current.insert(copy, next?);
        }
        Ok(())
    }

    fn updated_copy(&mut self, name: &Ident) -> Eval<(String, Source)> {
        let value = self.variable(&name.name).map(|v| v.value.clone());
        match value {
            Some(Value::Function(Function::Instance(instance))) => match &instance.source {
                Some(source) => {
                    let path = self.path_of(&instance);
                    Ok((path, source.clone()))
                }
                None => Err(self.no_copy(name)),
            },
            Some(Value::Unknown) => Err(Reported(())),
            Some(_) => Err(self.no_copy(name)),
            None => {
                let frame = self.frame();
                let copies = frame.variables.iter().filter(|v| is_copy(&v.value));
                let known: Vec<String> = copies.map(|v| v.name.to_string()).collect();
                let message = format!("no copy is called `{}`", name.name);
                let fault =
                    Diagnostic::error(Code::UnknownName, name.span, message).here("not defined");
                let fault = did_you_mean(fault, &name.name, known.iter().map(String::as_str));
                Err(self.fault(fault))
            }
        }
    }

    fn no_copy(&mut self, name: &Ident) -> Reported {
        self.fault(
            Diagnostic::error(
                Code::Misplaced,
                name.span,
                format!(
                    "`{}` is no copy: in `train`, only copies are updated",
                    name.name
                ),
            )
            .here("not a copy")
            .help(format!("make one: `let {} = copy(net)`", name.name)),
        )
    }

    /// The slot of a copy, with the original's first value.
    pub fn copied_slot(&mut self, path: String, original: SlotId, span: Span) -> SlotId {
        if let Some(id) = self.slots.find(&path) {
            return id;
        }
        let ty = self.slots.table[original.index()].ty.clone();
        let initial = self.slots.initial[original.index()].1;
        let kind = SlotKind::State;
        self.slots.add(Slot { path, ty, kind }, initial, span)
    }

    /// A slot's value after all steps so far.
    pub fn current_slot(&mut self, slot: SlotId) -> Tensor {
        let node = match self.run.current.get(&slot) {
            Some(&node) => node,
            None => self.slot_node(slot),
        };
        let shape = &self.slots.table[slot.index()].ty.shape;
        Tensor {
            node,
            home: Home::Body,
            batch: false,
            axes: shape.iter().map(|&size| Axis::unnamed(size)).collect(),
            element: Element::Number,
            trace: None,
        }
    }

    /// The parameters of a net or layer, as they are after all steps so far.
    pub fn parameters(&mut self, given: &Given<'a>, span: Span) -> Eval<Value<'a>> {
        let path = match &given.value {
            Value::Function(function) => self.path_of_owner(function),
            _ => None,
        };
        let Some(path) = path else {
            let wanted = "a net, or a layer bound by `let`";
            return Err(self.wrong_kind(&given.value, given.span, wanted));
        };
        let slots: Vec<SlotId> = (0..self.slots.table.len() as u32)
            .map(SlotId)
            .filter(|id| {
                let slot = &self.slots.table[id.index()];
                slot.kind == SlotKind::Param && within(&slot.path, &path)
            })
            .collect();
        if slots.is_empty() {
            let message = format!("`{path}` has no parameters yet");
            let fault = Diagnostic::error(Code::BadValue, span, message)
                .here("nothing above applies it")
                .help("apply it first: its layers learn their sizes from what they read");
            return Err(self.fault(fault));
        }
        let tensors = slots.into_iter().map(|slot| self.current_slot(slot));
        let values: Vec<Value<'a>> = tensors.map(Value::Tensor).collect();
        Ok(Value::List(Rc::from(values)))
    }
}

fn is_copy(value: &Value<'_>) -> bool {
    matches!(value, Value::Function(Function::Instance(instance)) if instance.source.is_some())
}
