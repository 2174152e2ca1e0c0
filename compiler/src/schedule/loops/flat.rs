//! A kernel whose accesses are addresses: logical axes, layouts and borders are
//! gone, what is left is arithmetic on loop indices. Two kernels with the same
//! flat form are the same code.

use crate::bug::bug;
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, BufferId, Combine, Kernel, Scalar, ScalarId, Stage, UnaryOp};
use crate::schedule::PlacedBuffer;
use std::ops::Range;

/// Loops, values and stages of a kernel over flat addresses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flat {
    /// Extents of the loops, the outer ones first.
    pub extents: Vec<usize>,
    /// How many of them are outer loops.
    pub outer: usize,
    /// Indices that follow from those of the loops by an exact division. Expressions name the
    /// first of them by `extents.len()`; it means something only where its guard holds.
    pub quotients: Vec<IndexExpr>,
    /// Element types of the arguments.
    pub args: Vec<DType>,
    /// Operands point backwards.
    pub values: Vec<Value>,
    /// What happens at a point.
    pub stages: Vec<FlatStage>,
}

/// Position of a [`Value`].
pub type ValueId = usize;

/// A [`Scalar`] over flat addresses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// The bits of a number.
    F32(u32),
    /// An integer.
    I32(i32),
    /// A mask.
    Mask(bool),
    /// The value of an expression, as i32.
    Index(IndexExpr),
    /// Whether an expression is an integer within `0..size`.
    Within(IndexExpr, usize),
    /// An element.
    Load {
        /// Which.
        access: Access,
        /// All of these [`Value::Within`] must hold, else the value is `fill`.
        guards: Vec<ValueId>,
        /// In the type of the element.
        fill: Fill,
    },
    /// The result of a stage.
    Reduced(usize),
    /// One operand.
    Unary(UnaryOp, ValueId),
    /// Two operands.
    Binary(BinaryOp, ValueId, ValueId),
    /// `a * b + c`.
    Fma(ValueId, ValueId, ValueId),
    /// Mask, then, else.
    Select(ValueId, ValueId, ValueId),
}

/// The bits of what stands outside a tensor.
pub type Fill = u32;

/// A place in memory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Access {
    /// Which argument of the kernel.
    pub arg: usize,
    /// Elements from the start of its memory.
    pub address: IndexExpr,
}

/// A [`Stage`] over flat addresses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FlatStage {
    /// The inner loops, outermost first.
    pub over: Vec<Dim>,
    /// What is computed at each point.
    pub value: ValueId,
    /// What becomes of it.
    pub sink: Sink,
}

/// What becomes of a stage's values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Sink {
    /// They are combined to one, [`Value::Reduced`].
    Reduce(Combine),
    /// They are written to memory.
    Store(Access),
}

/// What is done next at a point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Turn {
    /// A reduction, the number of its stage.
    Reduce(usize),
    /// Neighbouring stores of one element each. They read everything before they write
    /// anything: an update in place sees the old values of all tensors.
    StoresAtPoint(Range<usize>),
    /// A store with loops of its own.
    StoreOver(usize),
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A number.
    F32,
    /// An integer.
    I32,
    /// True or false.
    Mask,
}

impl Kind {
    /// The type of which it is a value.
    pub fn dtype(self) -> DType {
        match self {
            Kind::F32 => DType::F32,
            Kind::I32 => DType::I32,
            Kind::Mask => DType::Bool,
        }
    }
}

/// Replaces axes by addresses.
pub fn flatten(kernel: &Kernel, buffers: &[PlacedBuffer]) -> Flat {
    let arg_buffers = kernel.arguments();
    let mut builder = Builder {
        kernel,
        buffers,
        flat: Flat {
            extents: kernel.dims.clone(),
            outer: kernel.outer,
            quotients: Vec::new(),
            args: arg_buffers
                .iter()
                .map(|b| buffers[b.index()].buffer.dtype)
                .collect(),
            values: Vec::new(),
            stages: Vec::new(),
        },
        arg_buffers,
        value_of: Vec::new(),
    };
    for scalar in &kernel.scalars {
        let value = builder.value(scalar);
        let id = builder.intern(value);
        builder.value_of.push(id);
    }
    for stage in &kernel.stages {
        let stage = builder.stage(stage);
        builder.flat.stages.push(stage);
    }
    builder.flat
}

/// The bits of a fill in a tensor of some type.
pub(super) fn fill_bits(fill: f32, dtype: DType) -> u32 {
    match dtype {
        DType::F32 => fill.to_bits(),
        DType::I32 => (fill as i32).cast_unsigned(),
        DType::Bool => bug!("schedule", "a tensor of masks in memory"),
    }
}

struct Builder<'a> {
    kernel: &'a Kernel,
    buffers: &'a [PlacedBuffer],
    arg_buffers: Vec<BufferId>,
    flat: Flat,
    value_of: Vec<ValueId>,
}

impl Builder<'_> {
    fn of(&self, scalar: ScalarId) -> ValueId {
        self.value_of[scalar.index()]
    }

    fn intern(&mut self, value: Value) -> ValueId {
        let known = self.flat.values.iter().position(|v| *v == value);
        known.unwrap_or_else(|| {
            self.flat.values.push(value);
            self.flat.values.len() - 1
        })
    }

    fn value(&mut self, scalar: &Scalar) -> Value {
        match scalar {
            Scalar::F32(number) => Value::F32(number.to_bits()),
            Scalar::I32(number) => Value::I32(*number),
            Scalar::Mask(mask) => Value::Mask(*mask),
            Scalar::Index(expr) => Value::Index(expr.clone()),
            Scalar::Load { buffer, at, fill } => self.load(*buffer, at, *fill),
            Scalar::Reduced(stage) => self.reduced(*stage),
            Scalar::Unary(op, a) => Value::Unary(*op, self.of(*a)),
            Scalar::Binary(op, a, b) => Value::Binary(*op, self.of(*a), self.of(*b)),
            Scalar::Fma(a, b, c) => Value::Fma(self.of(*a), self.of(*b), self.of(*c)),
            Scalar::Select(mask, a, b) => Value::Select(self.of(*mask), self.of(*a), self.of(*b)),
        }
    }

    fn load(&mut self, buffer: BufferId, at: &[IndexExpr], fill: Option<f32>) -> Value {
        let guards = match fill {
            None => Vec::new(),
            Some(fill) => self.guards(buffer, at, fill),
        };
        let fill = fill.unwrap_or(0.0);
        Value::Load {
            access: self.access(buffer, at),
            guards,
            fill: fill_bits(fill, self.buffers[buffer.index()].buffer.dtype),
        }
    }

    /// The result of a stage; what it combines stands before it like any operand.
    fn reduced(&self, stage: usize) -> Value {
        if self.kernel.stages[stage].value().index() >= self.value_of.len() {
            bug!(
                "fuse",
                "{}: stage {stage} is read before its value",
                self.kernel.name
            );
        }
        Value::Reduced(stage)
    }

    /// One for each axis on which an index may lead outside. A border of zeros is
    /// as good as inside where the fill is zero.
    fn guards(&mut self, buffer: BufferId, at: &[IndexExpr], fill: f32) -> Vec<ValueId> {
        let layout = &self.buffers[buffer.index()].layout;
        let mut guards = Vec::new();
        for ((expr, &size), &(before, after)) in at.iter().zip(&layout.extents).zip(&layout.border)
        {
            let (low, high) = expr.numerator_range(&self.flat.extents);
            let bordered = fill == 0.0
                && expr.divisor == 1
                && low >= -(before as i64)
                && high < (size + after) as i64;
            if !bordered && !expr.always_within(&self.flat.extents, size) {
                guards.push(Value::Within(expr.clone(), size));
            }
        }
        guards.into_iter().map(|guard| self.intern(guard)).collect()
    }

    fn access(&mut self, buffer: BufferId, at: &[IndexExpr]) -> Access {
        let layout = &self.buffers[buffer.index()].layout;
        let mut terms = Vec::new();
        let mut offset = layout.base as i64;
        for (expr, &stride) in at.iter().zip(&layout.strides) {
            let stride = stride as i64;
            if expr.divisor == 1 {
                offset += expr.offset * stride;
                terms.extend(expr.terms.iter().map(|&(dim, c)| (dim, c * stride)));
            } else {
                let quotients = &mut self.flat.quotients;
                let known = quotients.iter().position(|q| q == expr);
                let quotient = known.unwrap_or_else(|| {
                    quotients.push(expr.clone());
                    quotients.len() - 1
                });
                terms.push((self.flat.extents.len() + quotient, stride));
            }
        }
        let arg = self.arg_buffers.iter().position(|b| *b == buffer);
        Access {
            arg: arg.unwrap_or_else(|| bug!("schedule", "{buffer} is no argument")),
            address: IndexExpr::affine(terms, offset),
        }
    }

    fn stage(&mut self, stage: &Stage) -> FlatStage {
        match stage {
            Stage::Reduce {
                over,
                combine,
                value,
            } => FlatStage {
                over: over.clone(),
                value: self.of(*value),
                sink: Sink::Reduce(*combine),
            },
            Stage::Store {
                over,
                buffer,
                at,
                value,
            } => FlatStage {
                over: over.clone(),
                value: self.of(*value),
                sink: Sink::Store(self.access(*buffer, at)),
            },
        }
    }
}

impl Value {
    /// The values it is computed from.
    pub fn operands(&self) -> impl Iterator<Item = ValueId> + '_ {
        let (list, fixed): (&[ValueId], [Option<ValueId>; 3]) = match self {
            Value::Load { guards, .. } => (guards, [None; 3]),
            Value::Unary(_, a) => (&[], [Some(*a), None, None]),
            Value::Binary(_, a, b) => (&[], [Some(*a), Some(*b), None]),
            Value::Fma(a, b, c) | Value::Select(a, b, c) => (&[], [Some(*a), Some(*b), Some(*c)]),
            Value::F32(_)
            | Value::I32(_)
            | Value::Mask(_)
            | Value::Index(_)
            | Value::Within(..)
            | Value::Reduced(_) => (&[], [None; 3]),
        };
        list.iter().copied().chain(fixed.into_iter().flatten())
    }

    /// Whether it is a literal.
    pub fn is_constant(&self) -> bool {
        matches!(self, Value::F32(_) | Value::I32(_) | Value::Mask(_))
    }
}

impl FlatStage {
    /// The memory it writes.
    pub fn store(&self) -> Option<&Access> {
        match &self.sink {
            Sink::Store(access) => Some(access),
            Sink::Reduce(_) => None,
        }
    }
}

impl Flat {
    /// All stages, in the order in which a point runs them.
    pub fn turns(&self) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        for (number, stage) in self.stages.iter().enumerate() {
            let at_point = stage.over.is_empty();
            match (&stage.sink, turns.last_mut()) {
                (Sink::Reduce(_), _) => turns.push(Turn::Reduce(number)),
                (Sink::Store(_), Some(Turn::StoresAtPoint(stages))) if at_point => {
                    stages.end = number + 1;
                }
                (Sink::Store(_), _) if at_point => {
                    turns.push(Turn::StoresAtPoint(number..number + 1));
                }
                (Sink::Store(_), _) => turns.push(Turn::StoreOver(number)),
            }
        }
        turns
    }

    /// Points of a set of loops.
    pub fn points(&self, dims: impl IntoIterator<Item = Dim>) -> usize {
        dims.into_iter().map(|dim| self.extents[dim]).product()
    }

    /// The type of each value.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::with_capacity(self.values.len());
        for value in &self.values {
            let kind = match value {
                Value::F32(_) | Value::Fma(..) => Kind::F32,
                Value::I32(_) | Value::Index(_) => Kind::I32,
                Value::Mask(_) | Value::Within(..) => Kind::Mask,
                Value::Load { access, .. } => match self.args[access.arg] {
                    DType::F32 => Kind::F32,
                    DType::I32 => Kind::I32,
                    DType::Bool => bug!("schedule", "a tensor of masks in memory"),
                },
                Value::Reduced(stage) => kinds[self.stages[*stage].value],
                Value::Unary(op, a) => match op {
                    UnaryOp::ToF32 | UnaryOp::MaskToF32 | UnaryOp::BitsToF32 => Kind::F32,
                    UnaryOp::ToI32 | UnaryOp::BitsToI32 => Kind::I32,
                    UnaryOp::Neg
                    | UnaryOp::Abs
                    | UnaryOp::Sqrt
                    | UnaryOp::Floor
                    | UnaryOp::Nearest
                    | UnaryOp::Not => kinds[*a],
                },
                Value::Binary(BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Equal, ..) => {
                    Kind::Mask
                }
                Value::Binary(_, a, _) | Value::Select(_, a, _) => kinds[*a],
            };
            kinds.push(kind);
        }
        kinds
    }
}
