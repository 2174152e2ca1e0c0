//! The chain rule at one node.

use crate::graph::{GraphBuilder, NodeId};

/// A node of the forward graph, its gradient, and where its operands' gradients go.
pub struct Chain<'a> {
    /// Where the gradient's nodes are built.
    pub g: &'a mut GraphBuilder,
    /// The node's operands.
    pub x: &'a [NodeId],
    /// The node itself.
    pub y: NodeId,
    /// The gradient by it.
    pub dy: NodeId,
    /// Which operands' gradients anyone asks for.
    pub wanted: &'a [bool],
    /// The gradients by the operands, as far as there are any.
    pub dx: Vec<Option<NodeId>>,
}

impl Chain<'_> {
    /// The gradient by an operand.
    pub fn pass(&mut self, operand: usize, dx: NodeId) {
        self.dx[operand] = Some(dx);
    }

    /// The gradient by the only operand, `dy * slope`.
    pub fn pass_scaled(&mut self, slope: NodeId) {
        let dx = self.g.mul(self.dy, slope);
        self.pass(0, dx);
    }

    /// `dy` where the mask is true, 0 elsewhere; the gradient by an operand that is
    /// chosen there.
    pub fn pass_where(&mut self, operand: usize, mask: NodeId) {
        let zero = self.g.constant_like(0.0, self.dy);
        let dx = self.g.select(mask, self.dy, zero);
        self.pass(operand, dx);
    }
}
