//! What elaboration hands on: the experiment's facts, its persistent tensors, and
//! one graph per phase.

use super::{DType, Graph, InputId, NodeId, SlotId, Type};
use nnc_grammar::Span;
use std::collections::BTreeMap;

/// A fully elaborated model for one batch size.
#[derive(Clone, Debug)]
pub struct Model {
    /// Data, epochs, names: what the training loop needs to know.
    pub experiment: Experiment,
    /// Persistent tensors, the same for every phase and every batch size.
    pub slots: Vec<Slot>,
    /// The graphs.
    pub steps: BTreeMap<Phase, Step>,
}

/// What a step is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Fills every slot with its initial value. Inputs: the seed.
    Init,
    /// Forward, backward, update, and adding to the metrics' totals. Outputs: `loss`,
    /// and where there are several steps, the loss of each.
    Train,
    /// Forward with `training = false`, and adding to the metrics' totals. Output: `loss`.
    Eval,
    /// The metrics from their totals. Outputs: `loss` and each reported metric.
    Metrics,
    /// Forward with `training = false`, as far as pictures need it. Outputs: what `show`
    /// lists. Missing if it lists nothing.
    Show,
    /// Forward with `training = false`, as far as the net's result needs it. Output:
    /// `result`. Missing if `train` applies no net.
    Predict,
    /// What the policy does while learning, given what it sees. Output: `action`. Missing
    /// where nothing is played, as is the next.
    Explore,
    /// The same with `training = false`.
    Act,
}

/// One graph with its effects.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// What for.
    pub phase: Phase,
    /// The computation.
    pub graph: Graph,
    /// What comes from outside.
    pub inputs: Vec<Input>,
    /// Named results, read by the training loop.
    pub outputs: Vec<(String, NodeId)>,
    /// Next values of slots; all reads see the old ones.
    pub updates: Vec<(SlotId, NodeId)>,
}

/// A tensor or number handed to a step.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// Which; `InputId` is its position.
    pub kind: InputKind,
    /// Its type, batch included.
    pub ty: Type,
}

/// What an input holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum InputKind {
    /// A field of the data, batch leading.
    Field(String),
    /// I32: mixes the run's seed, the phase and the step's number.
    Seed,
    /// F32: number of this optimiser step, from 1.
    Step,
    /// F32: number of this epoch, from 1.
    Epoch,
    /// F32: number of optimiser steps in the whole run.
    TotalSteps,
}

/// A persistent tensor, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct Slot {
    /// `mnist_cnn/conv2d_1/w`; optimiser states `adam/m:mnist_cnn/conv2d_1/w`; totals `total/accuracy_0`.
    pub path: String,
    /// Its type.
    pub ty: Type,
    /// What it is.
    pub kind: SlotKind,
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SlotKind {
    /// A trained parameter; saved.
    Param,
    /// A layer's state, such as a running mean; saved.
    State,
    /// An optimiser's state; saved for resuming.
    Optimizer,
    /// A metric's running total; zeroed at the start of a pass over data.
    Total,
}

/// What the training loop and the reports need to know of a model.
#[derive(Clone, PartialEq, Debug)]
pub struct Experiment {
    /// The net that `train` applies; empty if it applies none.
    pub net: String,
    /// The shape of its result for one sample.
    pub output: Vec<usize>,
    /// Name of the data source, `mnist`.
    pub source: String,
    /// Its arguments and loader steps, as plain values.
    pub pipeline: Vec<DataStep>,
    /// Where all this is said.
    pub data_span: Span,
    /// The fields a sample has.
    pub fields: Vec<Field>,
    /// Samples per step.
    pub batch: usize,
    /// Passes over the training split.
    pub epochs: usize,
    /// What all randomness of the run comes from, unless the command line says otherwise.
    pub seed: u64,
    /// When training ends before its last epoch.
    pub early: Option<Early>,
    /// Reported metrics in order, `loss` not among them.
    pub metrics: Vec<String>,
    /// The layers as they were applied, for summaries.
    pub layers: Vec<LayerInfo>,
    /// The saved weights to start from, later ones over earlier ones.
    pub saved: Vec<Saved>,
    /// Every `const` with its value after `--set`, as text, for records.
    pub constants: Vec<(String, String)>,
}

/// Training ends when a measure of the validation has not become better for some epochs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Early {
    /// `loss`, or what is reported.
    pub metric: String,
    /// Whether greater values are better.
    pub greatest: bool,
    /// Epochs without a better value.
    pub patience: usize,
    /// Where the model names the measure.
    pub span: Span,
}

/// One call in a data pipeline: the source first, then `normalize`, `split`, ...
#[derive(Clone, PartialEq, Debug)]
pub struct DataStep {
    /// Its name.
    pub name: String,
    /// Its arguments by name, in the order of its signature.
    pub arguments: Vec<(String, DataValue)>,
}

/// An argument of a data step.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DataValue {
    Int(i64),
    Float(f64),
    Bool(bool),
    String(String),
    List(Vec<DataValue>),
}

/// A field of a sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// `image`, `label`.
    pub name: String,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// `I32` for classes and tokens.
    pub dtype: DType,
    /// For `I32`: values lie below this.
    pub classes: Option<usize>,
}

/// A file of weights, and what of it fills what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// As written, relative to the model's file.
    pub path: String,
    /// Where the model names it.
    pub span: Span,
    /// Whether it is; the paths below stay empty until then.
    pub is_there: bool,
    /// Tensors of the file with the paths of the slots that they fill.
    pub fills: Vec<(String, String)>,
    /// Parameters and states that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that fill nothing.
    pub left: Vec<String>,
}

/// A layer's application, for summaries.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerInfo {
    /// `mnist_cnn/conv2d_1`
    pub path: String,
    /// `conv2d(32, kernel: 3, padding: 1)`
    pub call: String,
    /// How deep: 0 for the net's own statements.
    pub depth: usize,
    /// Per sample.
    pub output: Vec<usize>,
    /// Elements of the parameters it owns itself or in its parts.
    pub parameters: usize,
}

impl Step {
    /// The input of a kind, if the step has one.
    pub fn input(&self, kind: &InputKind) -> Option<InputId> {
        self.inputs
            .iter()
            .position(|input| input.kind == *kind)
            .map(|i| InputId(i as u32))
    }
}
