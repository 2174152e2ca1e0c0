//! A step as text, one node a line, and as a DOT graph. Both are deterministic.

use super::{Contract, DType, Graph, Node, NodeId, Op, Scan, Step, TimeOrder, Type, View};
use crate::index::IndexExpr;
use crate::ops;
use std::fmt;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {}", format!("{:?}", self.phase).to_lowercase())?;
        for (position, input) in self.inputs.iter().enumerate() {
            writeln!(f, "  in{position}: {} = {:?}", input.ty, input.kind)?;
        }
        write!(f, "{}", self.graph)?;
        for (name, id) in &self.outputs {
            writeln!(f, "  output {name} = {id}")?;
        }
        for (slot, id) in &self.updates {
            writeln!(f, "  update {slot} = {id}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = None;
        for (id, node) in self.iter() {
            let origin = self.origins[node.origin as usize].path.as_str();
            if path != Some(origin) {
                writeln!(
                    f,
                    "  # {}",
                    if origin.is_empty() { "train" } else { origin }
                )?;
                path = Some(origin);
            }
            match &node.op {
                Op::Scan(scan) => write!(f, "  {id} = {}\n{}", Call(node), Body(scan))?,
                _ => writeln!(f, "  {id}: {} = {}", node.ty, Call(node))?,
            }
        }
        Ok(())
    }
}

/// A scan's body, further to the right than what is around it.
struct Body<'a>(&'a Scan);

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Body(scan) = self;
        for line in scan.body.graph.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
        for (position, id) in scan.results().into_iter().enumerate() {
            let word = match position < scan.carried {
                true => "next",
                false => "yield",
            };
            writeln!(f, "      {word} {id}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = match self.dtype {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::Bool => "bool",
        };
        write!(f, "{dtype}{:?}", self.shape)
    }
}

/// `name attributes (operands)`
struct Call<'a>(&'a Node);

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call(node) = self;
        write!(f, "{}", Label(&node.op))?;
        for (position, x) in node.inputs.iter().enumerate() {
            write!(f, "{}{x}", if position == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

/// An operation with its attributes: `sum[0, 2]`, `view[i1, i0-1]`.
struct Label<'a>(&'a Op);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Label(op) = self;
        let name = ops::name(op);
        match op {
            Op::Input(id) => write!(f, "{id}"),
            Op::Slot(id) => write!(f, "{id}"),
            Op::Constant(value) => write!(f, "{value:?}"),
            Op::Iota { axis } | Op::ArgMax { axis } => write!(f, "{name}[{axis}]"),
            Op::Gather { axis, shared } => write!(f, "{name}[{axis}{}]", Shared(*shared)),
            Op::Scatter { axis, shared, size } => {
                write!(f, "{name}[{axis} < {size}{}]", Shared(*shared))
            }
            Op::Uniform { stream } => write!(f, "{name}[stream {stream}]"),
            Op::Scan(scan) => {
                let back = match scan.order {
                    TimeOrder::Forward => "",
                    TimeOrder::Backward => " backward",
                };
                write!(f, "{name}[{} steps{back}]", scan.length)
            }
            Op::Part(position) => write!(f, "{name}[{position}]"),
            Op::Sum { axes } | Op::MaxOver { axes } => write!(f, "{name}{axes:?}"),
            Op::View(View { map, fill, .. }) => {
                write!(f, "{name}[{}]", Map(map))?;
                match fill.to_bits() {
                    0 => Ok(()),
                    _ => write!(f, " else {fill:?}"),
                }
            }
            Op::Contract(contract) => write!(f, "{name}{}", Sum(contract)),
            _ => write!(f, "{name}"),
        }
    }
}

/// How many leading axes are those of both operands, if any are.
struct Shared(usize);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            shared => write!(f, ", {shared} shared"),
        }
    }
}

/// `[sum i2<64: a[i0, i2] * b[i2, i1]]`
struct Sum<'a>(&'a Contract);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sum(contract) = self;
        let summed = contract.dims.iter().enumerate().skip(contract.rank);
        let summed: Vec<String> = summed.map(|(dim, size)| format!("i{dim}<{size}")).collect();
        write!(f, "[")?;
        if !summed.is_empty() {
            write!(f, "sum {}: ", summed.join(", "))?;
        }
        write!(f, "a[{}] * b[{}]]", Map(&contract.a), Map(&contract.b))
    }
}

struct Map<'a>(&'a [IndexExpr]);

impl fmt::Display for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (axis, expr) in self.0.iter().enumerate() {
            write!(f, "{}{expr}", if axis == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Step {
    /// The graph in the DOT language, for `dot -Tsvg`.
    pub fn dot(&self) -> String {
        let mut lines = vec![
            "digraph step {".to_string(),
            "  node [shape=box, fontname=monospace];".to_string(),
        ];
        let name = |id: NodeId| format!("n{}", id.0);
        for (id, node) in self.graph.iter() {
            let label = format!("{id} {}\n{}", Label(&node.op), node.ty);
            lines.push(format!("  {} [label={label:?}];", name(id)));
            for &x in &node.inputs {
                lines.push(format!("  {} -> {};", name(x), name(id)));
            }
        }
        for (output, id) in &self.outputs {
            lines.push(format!("  {output:?} [shape=oval];"));
            lines.push(format!("  {} -> {output:?};", name(*id)));
        }
        for (slot, id) in &self.updates {
            lines.push(format!("  \"{slot}\" [shape=oval];"));
            lines.push(format!("  {} -> \"{slot}\";", name(*id)));
        }
        lines.push("}\n".to_string());
        lines.join("\n")
    }
}
