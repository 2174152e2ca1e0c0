//! Persistent tensors: parameters, states, optimiser states, totals. Each is made
//! once, with its initial value; later uses find it by its path.

use super::faults::with_trace;
use super::interpreter::Interpreter;
use super::recipes::fans;
use super::tensors::Target;
use super::values::{Axis, Element, Eval, Function, Given, Home, Tensor, Value, shape_text};
use crate::graph::{DType, Input, InputId, InputKind, NodeId, Slot, SlotId, SlotKind, Type};
use nnc_grammar::{Code, Diagnostic, Span};
use std::collections::BTreeMap;

/// All slots with the graph of their initial values.
#[derive(Default)]
pub(super) struct Slots {
    pub table: Vec<Slot>,
    /// What the `Init` step writes.
    pub initial: Vec<(SlotId, NodeId)>,
    /// Inputs of the `Init` step: the seed, once something draws.
    pub inputs: Vec<Input>,
    /// Where each was declared first.
    pub places: Vec<Span>,
    by_path: BTreeMap<String, SlotId>,
    seed: Option<NodeId>,
    next_stream: u32,
    /// Streams of the draws in the initial value being made.
    draws: BTreeMap<u32, NodeId>,
}

impl Slots {
    /// The slot at a path.
    pub fn find(&self, path: &str) -> Option<SlotId> {
        self.by_path.get(path).copied()
    }

    /// Enters a slot with its first value.
    pub fn add(&mut self, slot: Slot, initial: NodeId, span: Span) -> SlotId {
        let id = SlotId(self.table.len() as u32);
        self.by_path.insert(slot.path.clone(), id);
        self.table.push(slot);
        self.places.push(span);
        self.initial.push((id, initial));
        id
    }
}

impl<'a> Interpreter<'a> {
    /// The slot at a path, made now if it is new.
    pub fn slot(
        &mut self,
        kind: SlotKind,
        path: String,
        axes: Vec<Axis>,
        init: &Given<'a>,
        span: Span,
    ) -> Eval<(SlotId, Tensor)> {
        let id = match self.source_of(&path) {
            Some(source) if kind != SlotKind::Optimizer => {
                let original = self.found_slot(kind, source, &axes, init, span)?;
                self.copied_slot(path, original, span)
            }
            _ => self.found_slot(kind, path, &axes, init, span)?,
        };
        let tensor = Tensor {
            node: self.slot_node(id),
            home: Home::Body,
            batch: false,
            axes,
            element: Element::Number,
            trace: None,
        };
        Ok((id, tensor))
    }

    fn found_slot(
        &mut self,
        kind: SlotKind,
        path: String,
        axes: &[Axis],
        init: &Given<'a>,
        span: Span,
    ) -> Eval<SlotId> {
        let shape: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
        if let Some(id) = self.slots.find(&path) {
            self.check_shared(id, &shape, span)?;
            return Ok(id);
        }
        let initial = self.initial_value(axes, init, &path)?;
        let ty = Type::f32(shape);
        Ok(self.slots.add(Slot { path, ty, kind }, initial, span))
    }

    /// A slot that starts at zero, found or made.
    pub fn zero_slot(&mut self, kind: SlotKind, path: &str, shape: &[usize], span: Span) -> SlotId {
        if let Some(&id) = self.slots.by_path.get(path) {
            return id;
        }
        let ty = Type::f32(shape);
        let initial = self.graph(Home::Init).constant(0.0, ty.clone());
        let path = path.to_owned();
        self.slots.add(Slot { path, ty, kind }, initial, span)
    }

    /// The value that a slot has when the step begins.
    pub fn slot_node(&mut self, id: SlotId) -> NodeId {
        if let Some(&node) = self.run.slot_nodes.get(&id) {
            return node;
        }
        let ty = self.slots.table[id.index()].ty.clone();
        let node = self.graph(Home::Body).slot(id, ty);
        self.run.slot_nodes.insert(id, node);
        node
    }

    /// Numbers for an initial value; each slot has streams of its own, even if one
    /// recipe fills several.
    pub fn initial_draw(&mut self, draw: u32, shape: &[usize]) -> NodeId {
        if let Some(&node) = self.slots.draws.get(&draw) {
            return node;
        }
        let seed = match self.slots.seed {
            Some(seed) => seed,
            None => {
                let ty = Type {
                    dtype: DType::I32,
                    shape: Vec::new(),
                };
                let seed = self.graph(Home::Init).input(InputId(0), ty.clone());
                self.slots.inputs.push(Input {
                    kind: InputKind::Seed,
                    ty,
                });
                self.slots.seed = Some(seed);
                seed
            }
        };
        let stream = self.slots.next_stream;
        self.slots.next_stream += 1;
        let node = self.graph(Home::Init).uniform(seed, stream, shape);
        self.slots.draws.insert(draw, node);
        node
    }

    /// A shared instance must read the same shapes at each use.
    fn check_shared(&mut self, id: SlotId, shape: &[usize], span: Span) -> Eval<()> {
        let slot = &self.slots.table[id.index()];
        if slot.ty.shape == shape {
            return Ok(());
        }
        let message = format!(
            "`{}` is {} here, but {} where it was used first",
            slot.path,
            shape_text(shape),
            shape_text(&slot.ty.shape)
        );
        let fault = Diagnostic::error(Code::ShapeMismatch, span, message)
            .here(format!("needs {}", shape_text(shape)))
            .note("a layer that is used twice shares its parameters, so both uses must read the same shape")
            .help("make a layer of its own for each use");
        Err(self.fault(fault))
    }

    fn initial_value(&mut self, axes: &[Axis], init: &Given<'a>, path: &str) -> Eval<NodeId> {
        self.slots.draws.clear();
        let value = match &init.value {
            // An initialiser without arguments: `init = glorot_uniform`.
            Value::Function(
                function @ (Function::Definition(_) | Function::Builtin(_) | Function::Partial(_)),
            ) => self.call(&Value::Function(function.clone()), &[], None, init.span)?,
            value => value.clone(),
        };
        let target = Target {
            home: Home::Init,
            batch: false,
            axes: axes.to_vec(),
        };
        let sizes = target.sizes();
        let value = match &value {
            Value::Recipe(recipe) => {
                self.instantiate(recipe, &target, Some(fans(&sizes)), init.span)?
            }
            value => value.clone(),
        };
        match &value {
            Value::Int(_) | Value::Float(_) => {}
            Value::Tensor(tensor) if tensor.home == Home::Init => {}
            Value::Tensor(tensor) => {
                let fault = Diagnostic::error(
                    Code::TypeMismatch,
                    init.span,
                    format!("the initial value of `{path}` depends on the data"),
                )
                .here(format!("gives {}", tensor.shape_text()))
                .help("use a number or an initializer: `zeros`, `glorot_uniform`, `normal(std: 0.02)`");
                return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
            }
            value => {
                return Err(self.wrong_kind(
                    value,
                    init.span,
                    &format!("a number or an initializer for `{path}`"),
                ));
            }
        }
        let given = Given {
            value,
            span: init.span,
        };
        self.spread(&given, &target, DType::F32)
    }
}
