//! Kernels as pseudo-code: loops, loads and stores, each on a line.
//!
//! ```text
//! k0_contract_relu  mlp/dense_1
//! for i0 < 32, i1 < 128:
//!     r0 = sum of i2 < 784: b0[i0, i2] * b1[i2, i1]
//!     b3[i0, i1] = max(r0 + b2[i1], 0)
//! ```

use super::{
    BinaryOp, Buffer, Combine, Instead, Kernel, Kernels, Role, RowsByNumber, Scalar, ScalarId,
    Stage, UnaryOp,
};
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use std::fmt::{self, Display, Formatter};

/// Expressions with more operators than that are cut into lines.
const LONGEST: usize = 12;

impl Display for Kernels {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, buffer) in self.buffers.iter().enumerate() {
            writeln!(f, "b{number}: {buffer}")?;
        }
        for (name, buffer) in &self.outputs {
            writeln!(f, "{name} = {buffer}")?;
        }
        for kernel in &self.kernels {
            write!(f, "\n{kernel}")?;
        }
        Ok(())
    }
}

impl Display for Buffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let dtype = match self.dtype {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::Bool => "bool",
        };
        write!(f, "{dtype}{:?}", self.extents)?;
        match self.role {
            Role::Input(id) => write!(f, " input {id}"),
            Role::Slot(id) => write!(f, " slot {id}"),
            Role::Temporary => Ok(()),
            Role::Output => write!(f, " output"),
        }
    }
}

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match self.origin.path.as_str() {
            "" => writeln!(f)?,
            path => writeln!(f, "  {path}")?,
        }
        match &self.instead {
            Some(Instead::Repeat(repeat)) => return write!(f, "{repeat}"),
            Some(Instead::Rows(rows)) => return self.display_rows(f, *rows),
            None => {}
        }
        let outer: Vec<Dim> = (0..self.outer).collect();
        match outer.is_empty() {
            true => writeln!(f, "once:")?,
            false => writeln!(f, "for {}:", self.loops(&outer))?,
        }
        let mut writer = Writer {
            kernel: self,
            lines: vec![None; self.scalars.len()],
            next_line: 0,
        };
        for position in 0..self.stages.len() {
            writer.stage(f, position)?;
        }
        Ok(())
    }
}

impl Kernel {
    fn display_rows(&self, f: &mut Formatter<'_>, rows: RowsByNumber) -> fmt::Result {
        let [read, numbers, written] = self.arguments()[..] else {
            return writeln!(f, "{rows}");
        };
        writeln!(f, "    {written} = {rows}: {read} at {numbers}")
    }

    fn loops(&self, dims: &[Dim]) -> String {
        let loops = dims
            .iter()
            .map(|&dim| format!("i{dim} < {}", self.dims[dim]));
        loops.collect::<Vec<_>>().join(", ")
    }
}

struct Writer<'a> {
    kernel: &'a Kernel,
    /// The name of each scalar that has a line of its own.
    lines: Vec<Option<usize>>,
    next_line: usize,
}

impl Writer<'_> {
    fn stage(&mut self, f: &mut Formatter<'_>, position: usize) -> fmt::Result {
        let stage = &self.kernel.stages[position];
        let over = stage.over();
        let indent = match over.is_empty() {
            true => "    ",
            false => {
                writeln!(f, "    for {}:", self.kernel.loops(over))?;
                "        "
            }
        };
        // What a loop computes is computed anew in another one.
        self.lines.fill(None);
        self.definitions(f, position, indent)?;
        let value = self.expression(stage.value());
        match stage {
            Stage::Reduce { combine, .. } => {
                let sign = match combine {
                    Combine::Sum => "+=",
                    Combine::Max => "max=",
                    Combine::Min => "min=",
                };
                writeln!(f, "{indent}r{position} {sign} {value}")
            }
            Stage::Store { buffer, at, .. } => {
                writeln!(f, "{indent}{buffer}{} = {value}", places(at))
            }
        }
    }

    /// Lines for what is used several times, and for parts of what would be too long.
    fn definitions(&mut self, f: &mut Formatter<'_>, stage: usize, indent: &str) -> fmt::Result {
        let cone = self.kernel.cone(stage);
        let mut uses = vec![0; cone.len()];
        for (scalar, _) in self
            .kernel
            .scalars
            .iter()
            .zip(&cone)
            .filter(|&(_, &needed)| needed)
        {
            scalar
                .operands()
                .iter()
                .for_each(|operand| uses[operand.index()] += 1);
        }
        let mut operators = vec![0; cone.len()];
        let result = self.kernel.stages[stage].value().index();
        for (id, scalar) in self.kernel.scalars.iter().enumerate() {
            let operands = scalar.operands();
            if !cone[id] || operands.is_empty() {
                continue;
            }
            operators[id] = 1 + operands.iter().map(|o| operators[o.index()]).sum::<usize>();
            if id != result && (uses[id] > 1 || operators[id] >= LONGEST) {
                let value = self.expression(ScalarId(id as u32));
                let line = self.next_line;
                self.next_line += 1;
                writeln!(f, "{indent}t{line} = {value}")?;
                self.lines[id] = Some(line);
                operators[id] = 0;
            }
        }
        Ok(())
    }

    fn expression(&self, id: ScalarId) -> String {
        if let Some(line) = self.lines[id.index()] {
            return format!("t{line}");
        }
        match &self.kernel.scalars[id.index()] {
            Scalar::F32(x) => format!("{x:?}"),
            Scalar::I32(x) => x.to_string(),
            Scalar::Mask(x) => x.to_string(),
            Scalar::Index(index) => format!("int({index})"),
            Scalar::Load { buffer, at, fill } => match fill {
                None => format!("{buffer}{}", places(at)),
                Some(fill) => format!("({buffer}{} else {fill:?})", places(at)),
            },
            Scalar::Reduced(stage) => format!("r{stage}"),
            Scalar::Unary(op, x) => format!("{}({})", unary_name(*op), self.expression(*x)),
            Scalar::Binary(op, a, b) => {
                let (a, b) = (self.expression(*a), self.expression(*b));
                match operator(*op) {
                    Ok(sign) => format!("({a} {sign} {b})"),
                    Err(function) => format!("{function}({a}, {b})"),
                }
            }
            Scalar::Fma(a, b, c) => {
                let (a, b, c) = (
                    self.expression(*a),
                    self.expression(*b),
                    self.expression(*c),
                );
                format!("fma({a}, {b}, {c})")
            }
            Scalar::Select(mask, a, b) => {
                let (a, b) = (self.expression(*a), self.expression(*b));
                format!("({} ? {a} : {b})", self.expression(*mask))
            }
        }
    }
}

fn places(at: &[IndexExpr]) -> String {
    let at: Vec<String> = at.iter().map(ToString::to_string).collect();
    format!("[{}]", at.join(", "))
}

fn unary_name(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Neg => "neg",
        UnaryOp::Abs => "abs",
        UnaryOp::Sqrt => "sqrt",
        UnaryOp::Floor => "floor",
        UnaryOp::Nearest => "nearest",
        UnaryOp::Not => "not",
        UnaryOp::ToF32 => "f32",
        UnaryOp::ToI32 => "i32",
        UnaryOp::MaskToF32 => "one_if",
        UnaryOp::BitsToI32 => "bits_i32",
        UnaryOp::BitsToF32 => "bits_f32",
    }
}

/// The sign of an operator, or the name of a function.
fn operator(op: BinaryOp) -> Result<&'static str, &'static str> {
    match op {
        BinaryOp::Add => Ok("+"),
        BinaryOp::Sub => Ok("-"),
        BinaryOp::Mul => Ok("*"),
        BinaryOp::Div => Ok("/"),
        BinaryOp::Max => Err("max"),
        BinaryOp::Min => Err("min"),
        BinaryOp::And => Ok("&"),
        BinaryOp::Or => Ok("|"),
        BinaryOp::Xor => Ok("^"),
        BinaryOp::ShiftLeft => Ok("<<"),
        BinaryOp::ShiftRight => Ok(">>"),
        BinaryOp::Less => Ok("<"),
        BinaryOp::LessEq => Ok("<="),
        BinaryOp::Equal => Ok("=="),
    }
}
