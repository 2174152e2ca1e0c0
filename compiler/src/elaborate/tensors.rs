//! Tensors in the graph: broadcasting, conversion, and the limits of size.

use super::axes::{alignment, axis_names};
use super::faults::with_trace;
use super::interpreter::Interpreter;
use super::values::{Axis, Element, Eval, Given, Home, Reported, Tensor, Value, shape_text};
use crate::graph::{DType, NodeId, Type};
use nnc_grammar::{Code, Diagnostic, Span};

/// No tensor may have more elements than this: indices are 32-bit in compiled code.
const MOST_ELEMENTS: u128 = i32::MAX as u128;

/// No graph may have more nodes than this.
const MOST_NODES: usize = 1 << 20;

/// The shape that operands are brought to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub home: Home,
    pub batch: bool,
    pub axes: Vec<Axis>,
}

impl Target {
    pub fn of(tensor: &Tensor) -> Target {
        Target {
            home: tensor.home,
            batch: tensor.batch,
            axes: tensor.axes.clone(),
        }
    }

    pub fn sizes(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.size).collect()
    }

    pub fn tensor(self, node: NodeId, element: Element) -> Tensor {
        Tensor {
            node,
            home: self.home,
            batch: self.batch,
            axes: self.axes,
            element,
            trace: None,
        }
    }
}

impl Element {
    /// How the graph holds such elements.
    pub fn dtype(self) -> DType {
        match self {
            Element::Number => DType::F32,
            Element::Int | Element::Class(_) => DType::I32,
            Element::Bool => DType::Bool,
        }
    }
}

impl<'a> Interpreter<'a> {
    /// A scalar of the phase's own graph.
    pub fn scalar_tensor(&self, node: NodeId) -> Tensor {
        let target = Target {
            home: Home::Body,
            batch: false,
            axes: Vec::new(),
        };
        target.tensor(node, Element::Number)
    }

    /// The shape in the graph, batch included.
    pub fn full_shape(&self, batch: bool, sizes: &[usize]) -> Vec<usize> {
        let leading = batch.then_some(self.batch);
        leading.into_iter().chain(sizes.iter().copied()).collect()
    }

    /// Refuses sizes that no machine holds, and graphs without end.
    pub fn check_size(&mut self, sizes: &[usize], span: Span) -> Eval<()> {
        self.run.nodes += 1;
        if self.run.nodes > MOST_NODES {
            let message = format!("the network takes more than {MOST_NODES} operations");
            let fault = Diagnostic::error(Code::TooLarge, span, message);
            return Err(self.fault(fault.here("at this point")));
        }
        let elements = sizes
            .iter()
            .try_fold(1u128, |product, &size| product.checked_mul(size as u128));
        match elements {
            Some(elements) if elements <= MOST_ELEMENTS => Ok(()),
            _ => {
                let bytes = elements.map_or_else(
                    || "more bytes than can be counted".to_owned(),
                    |elements| bytes_text(elements.saturating_mul(4)),
                );
                let message = format!("a tensor of {} would need {bytes}", shape_text(sizes));
                let limit = format!("no tensor may have more than {MOST_ELEMENTS} elements");
                let fault = Diagnostic::error(Code::TooLarge, span, message);
                Err(self.fault(fault.here("made here").note(limit)))
            }
        }
    }

    /// The common shape of operands: equal ranks must agree in every size, a lower
    /// rank aligns by the names of its axes.
    pub fn common(&mut self, operands: &[Given<'a>], span: Span) -> Eval<Target> {
        let tensors: Vec<(&Tensor, Span)> = operands
            .iter()
            .filter_map(|given| match &given.value {
                Value::Tensor(tensor) => Some((tensor, given.span)),
                _ => None,
            })
            .collect();
        let Some((&(first, first_span), _)) = tensors.split_first() else {
            unreachable!("elaborate: no operand has a shape");
        };
        let mut target = Target::of(first);
        let mut widest = (first, first_span);
        for &(tensor, tensor_span) in &tensors[1..] {
            if tensor.home != target.home {
                return Err(self.mixed_homes(span));
            }
            target.batch |= tensor.batch;
            if tensor.axes.len() > target.axes.len() {
                target.axes.clone_from(&tensor.axes);
                widest = (tensor, tensor_span);
            }
        }
        for &(tensor, tensor_span) in &tensors {
            if alignment(&tensor.axes, &target.axes).is_none() {
                return Err(self.do_not_fit(widest, (tensor, tensor_span), span));
            }
            if tensor.axes.len() == target.axes.len() {
                for (axis, other) in target.axes.iter_mut().zip(&tensor.axes) {
                    if axis.labels.is_empty() {
                        axis.labels.clone_from(&other.labels);
                    }
                }
            }
        }
        self.check_size(&self.full_shape(target.batch, &target.sizes()), span)?;
        Ok(target)
    }

    fn mixed_homes(&mut self, span: Span) -> Reported {
        self.fault(
            Diagnostic::error(
                Code::Misplaced,
                span,
                "a total over the whole pass meets a value of single samples",
            )
            .here("mixes the two")
            .help("put the whole expression of samples inside: `total(a * b)`"),
        )
    }

    fn do_not_fit(
        &mut self,
        (wide, wide_span): (&Tensor, Span),
        (narrow, narrow_span): (&Tensor, Span),
        span: Span,
    ) -> Reported {
        let (a, b) = (wide.shape_text(), narrow.shape_text());
        let mut fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!("shapes {a} and {b} do not fit together"),
        );
        if wide_span != span {
            fault = fault.label(wide_span, format!("gives {a}"));
        }
        if narrow_span != span && narrow_span != wide_span {
            fault = fault.label(narrow_span, format!("gives {b}"));
        }
        if wide.axes.len() == narrow.axes.len() {
            fault = fault.note("tensors with as many axes must agree in the size of each; axes of size 1 are not stretched");
        } else {
            let names: Vec<&str> = narrow.axes.iter().filter_map(Axis::shown_name).collect();
            fault = fault.note("a tensor with fewer axes must say by name which axes it meets");
            fault = match names.as_slice() {
                [] => fault.help("name them where the tensors are bound: `let x: [c, h, w] = ...` and `let scale: [c] = ...`"),
                names => fault.note(format!(
                    "{b} has the axes [{}], {a} has [{}]",
                    names.join(", "),
                    axis_names(&wide.axes)
                )),
            };
        }
        let fault = with_trace(fault, wide.trace.as_ref());
        let fault = with_trace(fault, narrow.trace.as_ref());
        self.fault(fault)
    }

    /// The operand as a node of the target's shape.
    pub fn spread(&mut self, given: &Given<'a>, target: &Target, dtype: DType) -> Eval<NodeId> {
        let shape = self.full_shape(target.batch, &target.sizes());
        let constant = |this: &mut Self, value: f64| {
            let ty = Type {
                dtype,
                shape: shape.clone(),
            };
            this.graph(target.home).constant(value, ty)
        };
        match &given.value {
            Value::Int(value) => Ok(constant(self, *value as f64)),
            Value::Float(value) => Ok(constant(self, *value)),
            Value::Bool(value) => Ok(constant(self, f64::from(u8::from(*value)))),
            Value::Tensor(tensor) => {
                let node = self.graph(target.home).cast(tensor.node, dtype);
                Ok(self.stretch(node, tensor, target))
            }
            Value::Recipe(recipe) => {
                let value = self.instantiate(recipe, target, None, given.span)?;
                let given = Given {
                    value,
                    span: given.span,
                };
                self.spread(&given, target, dtype)
            }
            value => Err(self.no_tensor(value, given.span, "a number or a tensor")),
        }
    }

    /// Repeats a node along the axes of the target that the tensor lacks.
    fn stretch(&mut self, node: NodeId, tensor: &Tensor, target: &Target) -> NodeId {
        if tensor.batch == target.batch && tensor.axes.len() == target.axes.len() {
            return node;
        }
        let Some(places) = alignment(&tensor.axes, &target.axes) else {
            unreachable!("elaborate: operands that do not fit were refused");
        };
        let leading = usize::from(target.batch);
        let axes: Vec<usize> = tensor
            .batch
            .then_some(0)
            .into_iter()
            .chain(places.into_iter().map(|place| place + leading))
            .collect();
        let shape = self.full_shape(target.batch, &target.sizes());
        self.graph(target.home).broadcast(node, &shape, &axes)
    }

    /// The value with exactly the shape of a parameter or state.
    pub fn like(&mut self, given: &Given<'a>, model: &Tensor, what: &str) -> Eval<NodeId> {
        if let Value::Tensor(tensor) = &given.value {
            let fits = !tensor.batch
                && tensor.axes.len() <= model.axes.len()
                && alignment(&tensor.axes, &model.axes).is_some();
            if !fits || tensor.home != model.home {
                let wanted = model.shape_text();
                let batch = if tensor.batch { " for each sample" } else { "" };
                let mut fault = Diagnostic::error(
                    Code::ShapeMismatch,
                    given.span,
                    format!(
                        "{what} is {wanted}, but its new value is {}{batch}",
                        tensor.shape_text()
                    ),
                )
                .here(format!("gives {}{batch}", tensor.shape_text()));
                if tensor.batch {
                    fault = fault.help("reduce over the batch: `mean(x, over: [batch, ..])`");
                }
                return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
            }
        }
        self.spread(given, &Target::of(model), model.element.dtype())
    }
}

/// `4.0 TiB`
pub(super) fn bytes_text(bytes: u128) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} bytes")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}
