//! The state of an elaboration: an abstract interpreter that runs the model's text
//! once per phase and leaves a graph behind.

use super::freeze::Frozen;
use super::globals::Globals;
use super::moment::Moment;
use super::overrides::Override;
use super::slots::Slots;
use super::values::{Axis, Home, Label, Tensor, Trace, Value};
use crate::graph::{GraphBuilder, Input, InputKind, LayerInfo, NodeId, Origin, SlotId};
use nnc_grammar::ast::Definition;
use nnc_grammar::{Diagnostic, Sources, Span};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Everything that lives through the phases.
pub(super) struct Interpreter<'a> {
    pub sources: &'a Sources,
    pub globals: Globals<'a>,
    pub overrides: &'a [Override],
    /// Whether data is being described: names mean sources and steps.
    pub in_data: bool,
    pub diagnostics: Vec<Diagnostic>,
    pub slots: Slots,
    /// What keeps its value.
    pub frozen: Vec<Frozen>,
    pub init: GraphBuilder,
    pub run: Run,
    /// Definitions being applied, outermost first.
    pub frames: Vec<Frame<'a>>,
    /// The loops over time whose steps are being described, outermost first.
    pub scans: Vec<Moment<'a>>,
    /// The innermost expression of the user's file that is being evaluated.
    pub here: Option<Span>,
    /// How deep expressions are nested right now.
    pub depth: usize,
    pub batch: usize,
    /// Identifies the next random draw, over all phases.
    pub next_draw: u32,
    next_scope: u32,
}

/// What is built in one phase.
#[derive(Default)]
pub(super) struct Run {
    pub training: bool,
    /// Whether the `train` block is being run.
    pub in_train: bool,
    /// Fields that its data would have if it were described otherwise, and how.
    pub absent_fields: Vec<(String, String)>,
    /// Which `step` of it, from 1; 0 where there are none.
    pub step: usize,
    pub body: GraphBuilder,
    pub metrics: GraphBuilder,
    pub inputs: Vec<Input>,
    pub input_nodes: Vec<NodeId>,
    pub slot_nodes: BTreeMap<SlotId, NodeId>,
    /// Values that `update` gave to states so far.
    pub current: BTreeMap<SlotId, NodeId>,
    /// Values that steps gave to parameters, in order.
    pub versions: Vec<(SlotId, NodeId)>,
    /// The parameters that some step changes.
    pub trained: BTreeSet<SlotId>,
    /// By which step an optimiser's state was declared.
    pub optimizer_states: BTreeMap<String, usize>,
    /// The paths of copies, and of what they are copies of.
    pub copies: BTreeMap<String, String>,
    /// Sums over the pass, by name.
    pub totals: Vec<(SlotId, NodeId)>,
    /// Random draws by identity and shape.
    pub draws: BTreeMap<(u32, Vec<usize>), NodeId>,
    pub layers: Vec<LayerInfo>,
    /// Paths that have been applied, for `layers`.
    pub applied: BTreeSet<String>,
    /// The first application of a net: its name and its result.
    pub net: Option<(String, Tensor)>,
    /// The metric whose expression is being evaluated.
    pub metric: Option<String>,
    /// How many samples the pass has, once something asks.
    pub samples: Option<Tensor>,
    /// The parameter whose next value is being made.
    pub optimizing: Option<String>,
    /// Which functions gave which nodes, the functions by the place of their names.
    pub made: BTreeSet<(NodeId, Span)>,
    /// How many totals the metric has so far.
    pub metric_totals: usize,
    /// How many operations there are, roughly.
    pub nodes: usize,
}

/// One application of a definition.
pub(super) struct Frame<'a> {
    /// Identifies its axis names.
    pub scope: u32,
    /// `None` for the `train` block and for constants.
    pub definition: Option<&'a Definition>,
    /// The expression that applied it.
    pub call: Span,
    /// The tensors it reads.
    pub reads: Vec<(String, Option<Rc<Trace>>)>,
    pub variables: Vec<Variable<'a>>,
    /// The axes that `..` stands for in its signature.
    pub rest: Option<Vec<Axis>>,
    /// Path of the instance whose body this is, inherited by functions.
    pub path: String,
    /// How often each name was given to a part of this instance.
    pub parts: BTreeMap<String, usize>,
    /// What `param` and `state` declared in this application.
    pub declared: BTreeMap<String, Declared>,
}

/// A name in scope.
pub(super) struct Variable<'a> {
    pub name: Cow<'a, str>,
    pub value: Value<'a>,
    /// What gave it its value.
    pub span: Span,
}

/// A `param` or `state` of the current application.
#[derive(Clone)]
pub(super) struct Declared {
    pub slot: SlotId,
    pub tensor: Tensor,
    pub is_state: bool,
    pub span: Span,
}

impl<'a> Interpreter<'a> {
    pub fn new(
        sources: &'a Sources,
        globals: Globals<'a>,
        overrides: &'a [Override],
    ) -> Interpreter<'a> {
        Interpreter {
            sources,
            globals,
            overrides,
            in_data: false,
            diagnostics: Vec::new(),
            slots: Slots::default(),
            frozen: Vec::new(),
            init: GraphBuilder::new(),
            run: Run::default(),
            frames: Vec::new(),
            scans: Vec::new(),
            here: None,
            depth: 0,
            batch: 1,
            next_draw: 0,
            next_scope: 0,
        }
    }

    /// Enters a definition, or (without one) top-level text. Parameters and parts
    /// belong to `path`, by default to the surrounding instance.
    pub fn enter(&mut self, definition: Option<&'a Definition>, call: Span, path: Option<String>) {
        self.next_scope += 1;
        let path = path.unwrap_or_else(|| {
            self.frames
                .last()
                .map_or_else(String::new, |frame| frame.path.clone())
        });
        self.frames.push(Frame {
            scope: self.next_scope,
            definition,
            call,
            reads: Vec::new(),
            variables: Vec::new(),
            rest: None,
            path,
            parts: BTreeMap::new(),
            declared: BTreeMap::new(),
        });
    }

    /// The application whose text is being evaluated.
    pub fn frame(&mut self) -> &mut Frame<'a> {
        match self.frames.last_mut() {
            Some(frame) => frame,
            None => unreachable!("elaborate: text is evaluated within a frame"),
        }
    }

    pub fn label(&mut self, name: &str) -> Label {
        Label {
            scope: self.frame().scope,
            name: Rc::from(name),
        }
    }

    pub fn bind(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>, span: Span) {
        let name = name.into();
        self.frame().variables.push(Variable { name, value, span });
    }

    /// The variable of that name in the current application.
    pub fn variable(&self, name: &str) -> Option<&Variable<'a>> {
        let frame = self.frames.last()?;
        frame.variables.iter().rev().find(|v| v.name == name)
    }

    /// The graph to add nodes to, told where they come from.
    pub fn graph(&mut self, home: Home) -> &mut GraphBuilder {
        let origin = Origin {
            span: self.here,
            path: self
                .frames
                .last()
                .map_or_else(String::new, |frame| frame.path.clone()),
        };
        let graph = match home {
            Home::Body => &mut self.run.body,
            Home::Metrics => &mut self.run.metrics,
            Home::Init => &mut self.init,
        };
        graph.set_origin(origin);
        graph
    }

    /// A value handed in from outside, the same node wherever it is asked for.
    pub fn input(&mut self, kind: InputKind, ty: crate::graph::Type) -> NodeId {
        use crate::graph::InputId;
        if let Some(i) = self.run.inputs.iter().position(|input| input.kind == kind) {
            return self.run.input_nodes[i];
        }
        let id = InputId(self.run.inputs.len() as u32);
        let node = self.graph(Home::Body).input(id, ty.clone());
        self.run.inputs.push(Input { kind, ty });
        self.run.input_nodes.push(node);
        node
    }
}
