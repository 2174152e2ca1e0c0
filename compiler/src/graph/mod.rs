//! The typed tensor graph: what `elaborate` makes, `differentiate` extends and
//! `simplify` shrinks. Shapes are static, the batch is an ordinary leading axis,
//! broadcasting is explicit, and every node comes after its inputs.

mod build;
mod contract;
mod copy;
mod dump;
mod exact;
mod flops;
mod mean;
mod model;
mod op;
mod reshape;
mod rows;
mod scan;
mod enclose;
mod verify;
mod view;

#[cfg(test)]
mod laws;

pub use build::GraphBuilder;
pub use contract::Side;
pub use enclose::{Enclosed, Recurrence, copy_of};
pub use flops::{flops, multiply_accumulates};
pub use mean::is_mean;
pub use model::{
    DataStep, DataValue, Early, Experiment, Field, Input, InputKind, LayerInfo, Model, Phase,
    Saved, Slot, SlotKind, Step,
};
pub use op::{Contract, Op, View};
pub use reshape::row_major;
pub use rows::{Entry, NumberedRows, Way};
pub use scan::{Scan, TimeOrder};
pub use verify::verify;
pub use view::{is_merge, merge_groups, take_apart};

use crate::ids::handle;
use nnc_grammar::Span;

handle! {
    /// A node of a [`Graph`].
    NodeId, "%"
}
handle! {
    /// A persistent tensor: a parameter, a state, an optimiser's state, a metric's total.
    SlotId, "$"
}
handle! {
    /// A tensor or number handed to a step from outside.
    InputId, "in"
}

/// What a tensor's elements are. All take four bytes in memory but `Bool`,
/// which is never stored: kernels recompute masks or store them as f32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DType {
    F32,
    I32,
    Bool,
}

/// A tensor type. An empty shape is a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    /// Of the elements.
    pub dtype: DType,
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
}

impl Type {
    /// An f32 tensor.
    pub fn f32(shape: impl Into<Vec<usize>>) -> Type {
        Type {
            dtype: DType::F32,
            shape: shape.into(),
        }
    }

    /// How many elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where a node came from, for dumps and profiles.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Origin {
    /// The expression that made it, in the outermost user's file that led there.
    pub span: Option<Span>,
    /// The instance it belongs to: `mnist_cnn/conv2d_1`, `adam`, `` (the train block).
    pub path: String,
}

/// One operation of the graph.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// To what; all ids are smaller than the node's own.
    pub inputs: Vec<NodeId>,
    /// What comes out.
    pub ty: Type,
    /// Index into [`Graph::origins`].
    pub origin: u32,
}

/// A list of nodes in dependency order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Where they came from.
    pub origins: Vec<Origin>,
}

impl Graph {
    /// The node behind a handle.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The type of a node.
    pub fn ty(&self, id: NodeId) -> &Type {
        &self.node(id).ty
    }

    /// All nodes with their handles, inputs first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (NodeId(i as u32), node))
    }
}
