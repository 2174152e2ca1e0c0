//! Applies an optimiser's text to each parameter.

use super::interpreter::Interpreter;
use super::settings::Clip;
use super::values::{Axis, Element, Eval, Function, Given, Home, Instance, Tensor, Value};
use crate::graph::{NodeId, Op, SlotId, Type};
use nnc_grammar::ast::{DefinitionKind, Expr};
use nnc_grammar::{Code, Diagnostic};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Keeps the division finite where all gradients vanish.
const CLIP_EPSILON: f64 = 1e-6;

impl<'a> Interpreter<'a> {
    /// What the setting says: `adam(1e-3)`, or `adam` for its defaults.
    pub fn optimizer(&mut self, expr: &'a Expr) -> Eval<Rc<Instance<'a>>> {
        let mut value = self.eval(expr)?;
        if let Value::Function(Function::Definition(d)) = &value
            && d.kind == DefinitionKind::Optimizer
        {
            value = self.call(&value, &[], None, expr.span)?;
        }
        match value {
            Value::Optimizer(optimizer) => Ok(optimizer),
            value => Err(self.wrong_kind(&value, expr.span, "an optimizer, such as `adam(1e-3)`")),
        }
    }

    /// The next value of a parameter.
    pub fn step_parameter(
        &mut self,
        optimizer: &Instance<'a>,
        slot: SlotId,
        gradient: NodeId,
    ) -> Eval<NodeId> {
        let d = optimizer.definition;
        let span = optimizer.span;
        let parameter = &self.slots.table[slot.index()];
        let sizes = parameter.ty.shape.clone();
        let path = parameter.path.clone();
        let tensor = |node| Tensor {
            node,
            home: Home::Body,
            batch: false,
            axes: sizes.iter().map(|&size| Axis::unnamed(size)).collect(),
            element: Element::Number,
            trace: None,
        };
        let weight = self.current_slot(slot);
        self.enter(Some(d), span, Some(d.name.name.clone()));
        // What the library does to a weight, the setting asked for.
        let outer = self.here.replace(span);
        self.run.optimizing = Some(path);
        for (name, given) in &optimizer.hyper {
            self.bind(name.clone(), given.value.clone(), given.span);
        }
        self.bind("weight", Value::Tensor(weight.clone()), span);
        self.bind("grad", Value::Tensor(tensor(gradient)), span);
        let value = self.block(&d.body);
        let next = value.and_then(|value| {
            let given = Given {
                value,
                span: d.body.statements.last().map_or(d.body.span, |s| s.span),
            };
            self.like(&given, &weight, "the weight")
        });
        self.run.optimizing = None;
        self.here = outer;
        self.frames.pop();
        next
    }

    /// `adam/m:mnist_cnn/conv2d_1/w`; where a second step trains the same parameter in
    /// the same way, `adam_2/m:mnist_cnn/conv2d_1/w`.
    pub fn optimizer_state_path(&mut self, state: &str) -> String {
        let optimizer = self.frame().path.clone();
        let owner = match &self.run.optimizing {
            Some(parameter) => format!("{state}:{parameter}"),
            None => state.to_owned(),
        };
        let step = self.run.step;
        let mut path = format!("{optimizer}/{owner}");
        let mut number = 1;
        while *self
            .run
            .optimizer_states
            .entry(path.clone())
            .or_insert(step)
            != step
        {
            number += 1;
            path = format!("{optimizer}_{number}/{owner}");
        }
        path
    }

    /// Holds each element of the gradients within its limit, then their common norm
    /// within its own.
    pub fn clip(&mut self, gradients: &mut [(SlotId, NodeId)], clip: &Clip) {
        if let Some(limit) = clip.value {
            self.clip_value(gradients, limit);
        }
        if let Some(limit) = clip.norm {
            self.clip_norm(gradients, limit);
        }
    }

    fn clip_value(&mut self, gradients: &mut [(SlotId, NodeId)], limit: f64) {
        let graph = self.graph(Home::Body);
        for (_, gradient) in gradients {
            let high = graph.constant_like(limit, *gradient);
            let low = graph.constant_like(-limit, *gradient);
            let below = graph.min(*gradient, high);
            *gradient = graph.max(below, low);
        }
    }

    /// Scales all gradients down together where their norm exceeds the limit.
    fn clip_norm(&mut self, gradients: &mut [(SlotId, NodeId)], limit: f64) {
        let graph = self.graph(Home::Body);
        let mut squares = None;
        for &(_, gradient) in gradients.iter() {
            let axes: Vec<usize> = (0..graph.shape(gradient).len()).collect();
            let square = graph.mul(gradient, gradient);
            let sum = graph.sum(square, &axes);
            squares = Some(match squares {
                None => sum,
                Some(squares) => graph.add(squares, sum),
            });
        }
        let Some(squares) = squares else { return };
        let norm = graph.sqrt(squares);
        let epsilon = graph.scalar(CLIP_EPSILON);
        let norm = graph.add(norm, epsilon);
        let limit = graph.scalar(limit);
        let ratio = graph.div(limit, norm);
        let one = graph.constant(1.0, Type::f32([]));
        let factor = graph.min(ratio, one);
        for (_, gradient) in gradients.iter_mut() {
            let shape = graph.shape(*gradient).to_vec();
            let factor = graph.broadcast(factor, &shape, &[]);
            *gradient = graph.mul(*gradient, factor);
        }
    }

    /// The nodes that the loss depends on in a way that gradients follow.
    pub fn reached(&self, loss: &Tensor) -> BTreeSet<NodeId> {
        let graph = self.run.body.graph();
        let mut reached = BTreeSet::from([loss.node]);
        for (id, node) in graph.iter().rev() {
            if reached.contains(&id) && node.op != Op::StopGradient {
                reached.extend(node.inputs.iter().copied());
            }
        }
        reached
    }

    pub fn warn_no_gradient(&mut self, slot: SlotId) {
        let path = &self.slots.table[slot.index()].path;
        let place = self.slots.places[slot.index()];
        let warning = Diagnostic::warning(
            Code::Suspicious,
            place,
            format!("the parameter `{path}` gets no gradient: the loss does not depend on it"),
        );
        let warning = warning.here("stays as it was initialised");
        self.report(warning);
    }
}
