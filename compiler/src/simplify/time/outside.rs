//! What is computed before and after the new loop, for all steps at once or once.

use super::{Loop, Outside, as_mask};
use crate::graph::{Contract, DType, GraphBuilder, NodeId, Op, Type, View, Way};
use crate::index::IndexExpr;

impl Loop<'_> {
    /// A node outside of the loop: for all steps at once, or once.
    pub(super) fn value(&mut self, id: NodeId) -> Outside {
        if let Some(&known) = self.outside.get(&id) {
            return known;
        }
        let node = self.body.node(id);
        let value = match &node.op {
            Op::Input(input) => {
                let position = input.index();
                if position < self.scan.carried {
                    let before = self.scan.order.before();
                    let scan = self.loop_done(id);
                    Outside::Timed(self.g.trail(scan, position, before))
                } else if position < self.scan.carried + self.scan.sliced {
                    Outside::Timed(self.operands[position])
                } else {
                    Outside::Whole(self.operands[position])
                }
            }
            _ if self.is_left_behind(id) && !self.liftable[id.index()] => {
                let scan = self.loop_done(id);
                let stacked = self.done.iter().flat_map(|(_, stacked)| stacked);
                let position = stacked.into_iter().position(|&other| other == id);
                let position = position.unwrap_or_default();
                Outside::Timed(match position < self.scan.carried {
                    true => self.g.trail(scan, position, self.scan.order.after()),
                    false => {
                        let part = self.g.part(scan, position);
                        match node.ty.dtype {
                            DType::Bool => as_mask(self.g, part),
                            _ => part,
                        }
                    }
                })
            }
            op => {
                let mut inputs = Vec::new();
                for &x in &node.inputs {
                    inputs.push(self.value(x));
                }
                self.lift(op, &node.ty, &inputs)
            }
        };
        self.outside.insert(id, value);
        value
    }

    fn loop_done(&self, id: NodeId) -> NodeId {
        match self.done {
            Some((scan, _)) => scan,
            None => crate::bug::bug!("simplify", "{id} is read before its loop"),
        }
    }

    /// An operation for all steps at once.
    fn lift(&mut self, op: &Op, ty: &Type, inputs: &[Outside]) -> Outside {
        let nodes: Vec<NodeId> = inputs
            .iter()
            .map(|input| match input {
                Outside::Whole(x) | Outside::Timed(x) => *x,
            })
            .collect();
        let timed = |position: usize| matches!(inputs[position], Outside::Timed(_));
        if !(0..inputs.len()).any(timed) {
            return Outside::Whole(self.g.push_as(op.clone(), &nodes, ty.clone()));
        }
        let shape = [&[self.scan.length], ty.shape.as_slice()].concat();
        let later = |axis: &usize| axis + 1;
        let moved = |map: &[IndexExpr], timed: bool| -> Vec<IndexExpr> {
            let time = timed.then(|| IndexExpr::dim(0));
            let rest = map.iter().map(|index| index.rename(|dim| dim + 1));
            time.into_iter().chain(rest).collect()
        };
        Outside::Timed(match op {
            Op::View(view) => {
                let operand = self.g.shape(nodes[0]).to_vec();
                let view = View::new(shape, moved(&view.map, true), view.fill, &operand);
                self.g.view(nodes[0], view)
            }
            Op::Reshape => self.g.reshape(nodes[0], &shape),
            Op::Sum { axes } => {
                let axes: Vec<usize> = axes.iter().map(later).collect();
                self.g.sum(nodes[0], &axes)
            }
            Op::MaxOver { axes } => {
                let axes: Vec<usize> = axes.iter().map(later).collect();
                self.g.max_over(nodes[0], &axes)
            }
            Op::ArgMax { axis } => self.g.argmax(nodes[0], axis + 1),
            Op::Contract(contract) => {
                let mut dims = vec![self.scan.length];
                dims.extend(&contract.dims);
                let contract = Contract {
                    dims,
                    rank: contract.rank + 1,
                    a: moved(&contract.a, timed(0)),
                    b: moved(&contract.b, timed(1)),
                };
                self.g.contract(nodes[0], nodes[1], contract)
            }
            Op::Gather { axis, shared } => {
                let places = (*axis, *shared);
                return self.lift_rows(Way::Gather, inputs, places, |g, x, at, places| {
                    g.gather(x, at, places)
                });
            }
            &Op::Scatter { axis, shared, size } => {
                return self.lift_rows(Way::Scatter, inputs, (axis, shared), |g, x, at, places| {
                    g.scatter(x, at, places, size)
                });
            }
            op => {
                let mut operands = Vec::new();
                for &input in inputs {
                    operands.push(self.timed(input));
                }
                self.g.push(op.clone(), &operands)
            }
        })
    }

    /// Rows moved by their numbers for all steps at once. Time is an axis that both operands have,
    /// unless one table is the same at each step, or the numbers are.
    fn lift_rows(
        &mut self,
        way: Way,
        inputs: &[Outside],
        (axis, shared): (usize, usize),
        moved: impl Fn(&mut GraphBuilder, NodeId, NodeId, (usize, usize)) -> NodeId,
    ) -> Outside {
        let leads = way == Way::Gather && shared == 0 && axis == 0;
        Outside::Timed(match (inputs[0], inputs[1]) {
            (Outside::Whole(x), Outside::Timed(at)) if leads => moved(self.g, x, at, (0, 0)),
            (Outside::Timed(x), Outside::Whole(at)) if shared == 0 => {
                moved(self.g, x, at, (axis + 1, 0))
            }
            (x, at) => {
                let (x, at) = (self.timed(x), self.timed(at));
                moved(self.g, x, at, (axis + 1, shared + 1))
            }
        })
    }

    /// A value for each step, even if it is always the same.
    pub(super) fn timed(&mut self, value: Outside) -> NodeId {
        match value {
            Outside::Timed(x) => x,
            Outside::Whole(x) => {
                let shape = [&[self.scan.length], self.g.shape(x)].concat();
                let axes: Vec<usize> = (1..shape.len()).collect();
                self.g.broadcast(x, &shape, &axes)
            }
        }
    }
}
