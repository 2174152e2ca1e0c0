//! A contraction as addresses: every access of the kernel becomes a start and one
//! stride per dimension, and dimensions that every access walks as one become one.

use super::edges::{Edges, Reach, reaches};
use crate::graph::DType;
use crate::index::{Dim, IndexExpr};
use crate::nest::{BinaryOp, Buffer, BufferId, Combine, Kernel, Scalar, ScalarId, Stage, UnaryOp};
use crate::schedule::Layout;
use crate::schedule::loops::Kind;

/// A contraction and its epilogue, by addresses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Linear {
    /// Extents of the dimensions that the tiles walk over; the first `outer` are not summed over.
    pub dims: Vec<usize>,
    /// How many dimensions are not summed over.
    pub outer: usize,
    /// The two operands (first that which is broadcast, then that which is read in
    /// vectors), then whatever the epilogue touches.
    pub places: Vec<LinearPlace>,
    /// What the epilogue computes; operands point backwards.
    pub values: Vec<Value>,
    /// What the epilogue writes, and where.
    pub writes: Vec<Write>,
    /// Where sums may leave out what meets a border of zeros.
    pub edges: Vec<Edges>,
}

/// A number that is affine in the indices: an address, or the value of an index expression.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LinearPlace {
    /// What lies there.
    pub element: Element,
    /// At the index 0 of every dimension: bytes from the argument's start, or the number itself.
    pub base: i64,
    /// What one step along each dimension adds: bytes, or units.
    pub strides: Vec<i64>,
}

/// What a place refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Element {
    /// Memory of floats: the kernel's argument of that number.
    F32(usize),
    /// Memory of integers.
    I32(usize),
    /// No memory: the value of an index expression.
    Index,
}

/// Position of a [`Value`] among [`Linear::values`].
pub type ValueId = usize;

/// Position of a place among [`Linear::places`].
pub type PlaceId = usize;

/// A scalar of the epilogue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// A literal by its bits; a mask's are all or none.
    Constant(Kind, u32),
    /// What lies at a place, or the index that it is.
    Read(PlaceId),
    /// What the products came to.
    Sum,
    /// One operand.
    Unary(UnaryOp, ValueId),
    /// Two operands.
    Binary(BinaryOp, ValueId, ValueId),
    /// `a * b + c`.
    Fma(ValueId, ValueId, ValueId),
    /// Mask, then, else.
    Select(ValueId, ValueId, ValueId),
}

/// A store of the epilogue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Write {
    /// Where.
    pub place: PlaceId,
    /// What.
    pub value: ValueId,
}

impl Value {
    /// What it is computed from.
    pub fn operands(&self) -> impl Iterator<Item = ValueId> + use<> {
        let (operands, count) = match *self {
            Value::Constant(..) | Value::Read(_) | Value::Sum => ([0; 3], 0),
            Value::Unary(_, x) => ([x, 0, 0], 1),
            Value::Binary(_, x, y) => ([x, y, 0], 2),
            Value::Fma(x, y, z) | Value::Select(x, y, z) => ([x, y, z], 3),
        };
        operands.into_iter().take(count)
    }
}

/// Bytes of an element, whatever its type.
pub const ELEMENT_BYTES: i64 = 4;

/// The positions of the operands in [`Linear::places`].
pub const A: PlaceId = 0;
/// See [`A`].
pub const B: PlaceId = 1;

impl Linear {
    /// The linear form of a kernel, if it is a contraction whose every access is plain.
    pub fn of(kernel: &Kernel, buffers: &[Buffer], layouts: &[Layout]) -> Option<Linear> {
        let operands = operands(kernel)?;
        let summed = operands.over.iter().copied();
        let order: Vec<Dim> = (0..kernel.outer).chain(summed).collect();
        let context = Context {
            kernel,
            buffers,
            layouts,
            order: &order,
            arguments: &kernel.arguments(),
        };
        let mut linear = Linear {
            dims: order.iter().map(|&dim| kernel.dims[dim]).collect(),
            outer: kernel.outer,
            places: vec![context.read(operands.a)?, context.read(operands.b)?],
            values: Vec::new(),
            writes: Vec::new(),
            edges: Vec::new(),
        };
        let mut value_of = vec![None; kernel.scalars.len()];
        for stage in 1..kernel.stages.len() {
            for (id, needed) in kernel.cone(stage).into_iter().enumerate() {
                if needed && value_of[id].is_none() {
                    let value = linear.value(ScalarId(id as u32), &context, &value_of)?;
                    value_of[id] = Some(linear.values.len());
                    linear.values.push(value);
                }
            }
            let Stage::Store {
                over,
                buffer,
                at,
                value,
            } = &kernel.stages[stage]
            else {
                return None;
            };
            if !over.is_empty() {
                return None;
            }
            linear.writes.push(Write {
                place: linear.places.len(),
                value: value_of[value.index()]?,
            });
            linear.places.push(context.memory(*buffer, at, false)?);
        }
        linear.merge(reaches(kernel, &operands, layouts, &order));
        Some(linear)
    }

    fn value(
        &mut self,
        id: ScalarId,
        context: &Context<'_>,
        value_of: &[Option<ValueId>],
    ) -> Option<Value> {
        let of = |id: ScalarId| value_of[id.index()];
        Some(match context.kernel.scalars[id.index()] {
            Scalar::F32(x) => Value::Constant(Kind::F32, x.to_bits()),
            Scalar::I32(x) => Value::Constant(Kind::I32, x.cast_unsigned()),
            Scalar::Mask(x) => Value::Constant(Kind::Mask, if x { u32::MAX } else { 0 }),
            Scalar::Index(_) | Scalar::Load { .. } => {
                self.places.push(context.read(id)?);
                Value::Read(self.places.len() - 1)
            }
            Scalar::Reduced(0) => Value::Sum,
            Scalar::Reduced(_) => return None,
            Scalar::Unary(op, x) => Value::Unary(op, of(x)?),
            Scalar::Binary(op, x, y) => Value::Binary(op, of(x)?, of(y)?),
            Scalar::Fma(x, y, z) => Value::Fma(of(x)?, of(y)?, of(z)?),
            Scalar::Select(mask, x, y) => Value::Select(of(mask)?, of(x)?, of(y)?),
        })
    }

    /// The type of every value.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::with_capacity(self.values.len());
        for value in &self.values {
            kinds.push(match *value {
                Value::Constant(kind, _) => kind,
                Value::Read(place) => match self.places[place].element {
                    Element::F32(_) => Kind::F32,
                    Element::I32(_) | Element::Index => Kind::I32,
                },
                Value::Sum | Value::Fma(..) => Kind::F32,
                Value::Unary(op, x) => match op {
                    UnaryOp::ToF32 | UnaryOp::MaskToF32 | UnaryOp::BitsToF32 => Kind::F32,
                    UnaryOp::ToI32 | UnaryOp::BitsToI32 => Kind::I32,
                    _ => kinds[x],
                },
                Value::Binary(BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Equal, ..) => {
                    Kind::Mask
                }
                Value::Binary(_, x, _) => kinds[x],
                Value::Select(_, yes, _) => kinds[yes],
            });
        }
        kinds
    }

    /// Exchanges the operands: rows become columns.
    pub fn swapped(&self) -> Linear {
        let mut linear = self.clone();
        linear.places.swap(A, B);
        linear
    }

    /// Drops dimensions of extent 1 and joins neighbours that every access walks as one. What
    /// the operands reach beyond their edges along the dimensions that remain is left out.
    fn merge(&mut self, mut reaches: Vec<Reach>) {
        for dim in (0..self.dims.len()).rev() {
            if self.dims[dim] == 1 {
                self.remove(dim);
                reaches.iter_mut().for_each(|reach| reach.remove(dim));
            }
        }
        while let Some((outside, inside)) = self.joinable() {
            reaches.retain(|reach| reach.joins(outside, inside, self.dims[inside]));
            self.dims[inside] *= self.dims[outside];
            self.remove(outside);
            reaches.iter_mut().for_each(|reach| reach.remove(outside));
        }
        let edges = reaches
            .iter()
            .filter_map(|reach| reach.edges(&self.dims, self.outer));
        self.edges = edges.collect();
    }

    fn joinable(&self) -> Option<(Dim, Dim)> {
        let pairs = (0..self.dims.len()).flat_map(|o| (0..self.dims.len()).map(move |i| (o, i)));
        pairs
            .filter(|&(outside, inside)| {
                outside != inside && (outside < self.outer) == (inside < self.outer)
            })
            .find(|&(outside, inside)| {
                // Only the operands know the dimensions that are summed over.
                let summed = outside >= self.outer;
                let places = if summed {
                    &self.places[..2]
                } else {
                    &self.places
                };
                places.iter().all(|place| {
                    place.strides[outside] == place.strides[inside] * self.dims[inside] as i64
                })
            })
    }

    fn remove(&mut self, dim: Dim) {
        self.dims.remove(dim);
        for place in &mut self.places {
            place.strides.remove(dim);
        }
        if dim < self.outer {
            self.outer -= 1;
        }
    }
}

pub(super) struct Operands {
    pub a: ScalarId,
    pub b: ScalarId,
    pub over: Vec<Dim>,
}

/// The two loads whose product the first stage sums, and over what.
pub(super) fn operands(kernel: &Kernel) -> Option<Operands> {
    let Some(Stage::Reduce {
        over,
        combine: Combine::Sum,
        value,
    }) = kernel.stages.first()
    else {
        return None;
    };
    let Scalar::Binary(BinaryOp::Mul, a, b) = kernel.scalars[value.index()] else {
        return None;
    };
    let is_load = |id: ScalarId| matches!(kernel.scalars[id.index()], Scalar::Load { .. });
    (is_load(a) && is_load(b)).then(|| Operands {
        a,
        b,
        over: over.clone(),
    })
}

/// Whether every point of `dims` reads an element, or, if `bordered`, a zero of the border.
pub(super) fn is_plain(at: &[IndexExpr], dims: &[usize], layout: &Layout, bordered: bool) -> bool {
    at.iter().enumerate().all(|(axis, index)| {
        let (low, high) = index.numerator_range(dims);
        let (before, after) = if bordered {
            layout.border[axis]
        } else {
            (0, 0)
        };
        let end = (layout.extents[axis] + after) as i64;
        index.divisor == 1 && low >= -(before as i64) && high < end
    })
}

struct Context<'a> {
    kernel: &'a Kernel,
    buffers: &'a [Buffer],
    layouts: &'a [Layout],
    /// The kernel's dimensions in the order of the linear form's.
    order: &'a [Dim],
    arguments: &'a [BufferId],
}

impl Context<'_> {
    fn read(&self, id: ScalarId) -> Option<LinearPlace> {
        match &self.kernel.scalars[id.index()] {
            Scalar::Load { buffer, at, fill } => self.memory(*buffer, at, *fill == Some(0.0)),
            Scalar::Index(index) => Some(LinearPlace {
                element: Element::Index,
                base: index.offset,
                strides: self.strides(std::iter::once((index, 1)))?,
            }),
            _ => None,
        }
    }

    /// `bordered`: outside the tensor there are zeros, so that reading its border is right.
    fn memory(&self, buffer: BufferId, at: &[IndexExpr], bordered: bool) -> Option<LinearPlace> {
        let layout = &self.layouts[buffer.index()];
        if !is_plain(at, &self.kernel.dims, layout, bordered) {
            return None;
        }
        let stride = |axis: usize| layout.strides[axis] as i64 * ELEMENT_BYTES;
        let origin: i64 = at
            .iter()
            .enumerate()
            .map(|(axis, index)| index.offset * stride(axis))
            .sum();
        let argument = self.arguments.iter().position(|&known| known == buffer)?;
        Some(LinearPlace {
            element: match self.buffers[buffer.index()].dtype {
                DType::F32 => Element::F32(argument),
                _ => Element::I32(argument),
            },
            base: layout.base as i64 * ELEMENT_BYTES + origin,
            strides: self.strides(
                at.iter()
                    .enumerate()
                    .map(|(axis, index)| (index, stride(axis))),
            )?,
        })
    }

    /// The sum of index expressions, each weighed, as strides. None if one depends on a
    /// dimension that is not walked.
    fn strides<'e>(&self, parts: impl Iterator<Item = (&'e IndexExpr, i64)>) -> Option<Vec<i64>> {
        let mut strides = vec![0; self.order.len()];
        for (index, weight) in parts {
            for &(dim, coefficient) in &index.terms {
                let position = self.order.iter().position(|&walked| walked == dim)?;
                strides[position] += coefficient * weight;
            }
        }
        Some(strides)
    }
}
