//! What the block of a `scan` says of a step: `next`, what is carried on, and `yield`, what it leaves.

use super::faults::did_you_mean;
use super::interpreter::Interpreter;
use super::tensors::Target;
use super::values::{Element, Eval, Home, Reported, Tensor, Value};
use crate::graph::{DType, NodeId};
use nnc_grammar::ast::{Expr, Ident};
use nnc_grammar::{Code, Diagnostic, Span};

/// A step of time that is being described.
pub(super) struct Moment<'a> {
    /// The `scan`.
    pub span: Span,
    /// How many applications there are around its block: what is applied within is no
    /// part of it.
    pub frames: usize,
    pub carried: Vec<Carried<'a>>,
    pub yielded: Option<(Vec<Tensor>, Span)>,
}

/// A value that goes from step to step.
pub(super) struct Carried<'a> {
    pub name: &'a Ident,
    pub target: Target,
    /// In the graph all that is carried are numbers.
    pub element: Element,
    pub next: Option<(NodeId, Span)>,
}

impl<'a> Interpreter<'a> {
    /// `next h = value`
    pub fn next_value(&mut self, name: &'a Ident, value: &'a Expr, span: Span) -> Eval<()> {
        let given = self.given(value)?;
        let position = match self
            .moment(span, "next")?
            .carried
            .iter()
            .position(|c| c.name.name == name.name)
        {
            Some(position) => position,
            None => return Err(self.not_carried(name)),
        };
        let carried = &self.moment(span, "next")?.carried[position];
        let (target, element) = (carried.target.clone(), carried.element);
        let earlier = carried.next;
        if let Some((_, first)) = earlier {
            let message = format!("`{}` gets two next values", name.name);
            return Err(self.fault(
                Diagnostic::error(Code::DuplicateName, span, message)
                    .here("the second")
                    .label(first, "the first"),
            ));
        }
        let what = format!("the next value of `{}`", name.name);
        let (numbers, node) = self.carried_value(&given, &target, element, &what)?;
        self.moment(span, "next")?.carried[position].next = Some((numbers, span));
        let value = Value::Tensor(target.tensor(node, element));
        let mut variables = self.frame().variables.iter_mut().rev();
        if let Some(variable) = variables.find(|variable| variable.name == name.name.as_str()) {
            variable.value = value;
        }
        Ok(())
    }

    /// Whether the step that is being described carries a value of this name.
    pub fn carries(&self, name: &str) -> bool {
        let moment = self.scans.last();
        let here = moment.filter(|moment| moment.frames == self.frames.len());
        here.is_some_and(|moment| moment.carried.iter().any(|c| c.name.name == name))
    }

    fn not_carried(&mut self, name: &Ident) -> Reported {
        let known: Vec<String> = self
            .scans
            .last()
            .into_iter()
            .flat_map(|moment| &moment.carried)
            .map(|carried| carried.name.name.clone())
            .collect();
        let message = format!("this `scan` carries nothing called `{}`", name.name);
        let fault = Diagnostic::error(Code::UnknownName, name.span, message).here("is not carried");
        let fault = match known.is_empty() {
            true => fault.help(format!(
                "say what it is before the first step: `with {}: [n] = zeros`",
                name.name
            )),
            false => did_you_mean(fault, &name.name, known.iter().map(String::as_str)),
        };
        self.fault(fault)
    }

    /// `yield h, c`
    pub fn yield_values(&mut self, values: &'a [Expr], span: Span) -> Eval<()> {
        if let Some((_, first)) = self.moment(span, "yield")?.yielded {
            return Err(self.fault(
                Diagnostic::error(Code::DuplicateName, span, "a step yields twice")
                    .here("the second time")
                    .label(first, "the first time")
                    .help("yield several values at once: `yield a, b`"),
            ));
        }
        let mut yielded = Vec::new();
        for value in values {
            let given = self.given(value)?;
            let (axes, element) = match &given.value {
                Value::Tensor(tensor) => (tensor.axes.clone(), tensor.element),
                Value::Int(_) | Value::Float(_) => (Vec::new(), Element::Number),
                value => return Err(self.no_tensor(value, given.span, "a tensor")),
            };
            let target = Target {
                home: Home::Body,
                batch: true,
                axes,
            };
            let node = self.spread(&given, &target, element.dtype())?;
            let node = match element {
                Element::Bool => self.graph(Home::Body).cast(node, DType::F32),
                _ => node,
            };
            yielded.push(target.tensor(node, element));
        }
        self.moment(span, "yield")?.yielded = Some((yielded, span));
        Ok(())
    }

    /// The step that is being described right here.
    fn moment(&mut self, span: Span, word: &str) -> Eval<&mut Moment<'a>> {
        let depth = self.frames.len();
        let here = self
            .scans
            .last()
            .is_some_and(|moment| moment.frames == depth);
        if !here {
            return Err(self.misplaced(
                span,
                format!("`{word}` stands outside of a `scan`"),
                "it belongs to the block of a loop over time: `scan xt in x with h: [n] = zeros { ... }`".to_owned(),
            ));
        }
        match self.scans.last_mut() {
            Some(moment) => Ok(moment),
            None => unreachable!("elaborate: there is a moment, as was just seen"),
        }
    }
}
