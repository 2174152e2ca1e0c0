//! Operations by element: on numbers known at compile time, on recipes, on tensors.

use super::fold::fold;
use super::interpreter::Interpreter;
use super::tensors::Target;
use super::values::{Element, Eval, Given, Home, Recipe, Tensor, Value};
use crate::graph::{DType, NodeId, Type};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// An operation by element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pointwise {
    Neg,
    Abs,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Tanh,
    Erf,
    Floor,
    Not,
    /// The number of a class, 1 and 0 of a mask.
    Float,
    StopGradient,
    Add,
    Sub,
    Mul,
    Div,
    /// `a - b * floor(a / b)`
    Rem,
    Pow,
    Maximum,
    Minimum,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    Equal,
    NotEqual,
    And,
    Or,
    /// Where the first is true the second, else the third.
    Where,
}

/// What operands an operation takes and what it gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Arithmetic,
    Comparison,
    Logic,
    Conversion,
    Choice,
}

/// Exponents up to this are products.
const LARGEST_PRODUCT: i64 = 8;

impl Pointwise {
    fn family(self) -> Family {
        use Pointwise::{
            And, Equal, Float, Greater, GreaterEq, Less, LessEq, Not, NotEqual, Or, Where,
        };
        match self {
            Less | LessEq | Greater | GreaterEq | Equal | NotEqual => Family::Comparison,
            And | Or | Not => Family::Logic,
            Float => Family::Conversion,
            Where => Family::Choice,
            _ => Family::Arithmetic,
        }
    }
}

impl<'a> Interpreter<'a> {
    /// Applies an operation by element.
    pub fn pointwise(
        &mut self,
        op: Pointwise,
        operands: Vec<Given<'a>>,
        span: Span,
    ) -> Eval<Value<'a>> {
        if let (Pointwise::Where, Value::Bool(condition)) = (op, &operands[0].value) {
            return Ok(operands[if *condition { 1 } else { 2 }].value.clone());
        }
        let mut tensors = 0;
        let mut shaped = false;
        let mut recipes = false;
        for given in &operands {
            match &given.value {
                Value::Tensor(tensor) => {
                    tensors += 1;
                    shaped |= !tensor.is_scalar();
                }
                Value::Recipe(_) => recipes = true,
                Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::String(_) => {}
                value => return Err(self.no_tensor(value, given.span, "a number or a tensor")),
            }
        }
        if recipes && !shaped {
            let values = operands.into_iter().map(|given| given.value).collect();
            return Ok(Value::Recipe(Rc::new(Recipe::Apply(op, values))));
        }
        if tensors > 0 {
            return self.pointwise_tensors(op, &operands, span);
        }
        match fold(op, &operands) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                // Not worth folding here: the graph's rules do it.
                let target = Target {
                    home: Home::Body,
                    batch: false,
                    axes: Vec::new(),
                };
                let node = self.emit(op, &operands, &target, DType::F32)?;
                Ok(Value::Tensor(target.tensor(node, Element::Number)))
            }
            Err(fault) => Err(self.bad_operands(fault, &operands, span)),
        }
    }

    fn bad_operands(
        &mut self,
        (code, message): (Code, String),
        operands: &[Given<'a>],
        span: Span,
    ) -> super::values::Reported {
        let mut fault = Diagnostic::error(code, span, message);
        for given in operands.iter().filter(|given| given.span != span) {
            let known = fault.labels.iter().any(|label| label.span == given.span);
            let literal = self.sources.text(given.span) == given.value.plain_text();
            if !known && !literal {
                fault = fault.label(given.span, format!("this is {}", given.value.kind_text()));
            }
        }
        self.fault(fault)
    }

    fn pointwise_tensors(
        &mut self,
        op: Pointwise,
        operands: &[Given<'a>],
        span: Span,
    ) -> Eval<Value<'a>> {
        let target = self.common(operands, span)?;
        let (dtype, element) = self.operand_type(op, operands)?;
        let node = self.emit(op, operands, &target, dtype)?;
        let trace = operands.iter().find_map(|given| match &given.value {
            Value::Tensor(tensor) if tensor.axes.len() == target.axes.len() => {
                Some(tensor.trace.clone())
            }
            _ => None,
        });
        let mut tensor = target.tensor(node, element);
        tensor.trace = trace.flatten();
        Ok(Value::Tensor(tensor))
    }

    /// The type that operands are brought to, and what the result's elements are.
    fn operand_type(&mut self, op: Pointwise, operands: &[Given<'a>]) -> Eval<(DType, Element)> {
        let family = op.family();
        let chosen = if family == Family::Choice {
            &operands[1..]
        } else {
            operands
        };
        let elements: Vec<Element> = chosen
            .iter()
            .filter_map(|given| element_of(&given.value))
            .collect();
        let countable = |e: &Element| matches!(e, Element::Class(_) | Element::Int);
        let all_ints = elements.iter().any(countable)
            && chosen.iter().all(|given| match &given.value {
                Value::Int(_) => true,
                value => element_of(value).is_some_and(|e| countable(&e)),
            });
        match family {
            Family::Arithmetic => {
                for given in operands {
                    self.want_numbers(given)?;
                }
                Ok((DType::F32, Element::Number))
            }
            Family::Conversion => Ok((DType::F32, Element::Number)),
            Family::Comparison if all_ints => Ok((DType::I32, Element::Bool)),
            Family::Comparison => {
                if elements
                    .iter()
                    .any(|e| *e != elements[0] && *e == Element::Bool)
                {
                    for given in operands {
                        self.want_numbers(given)?;
                    }
                }
                Ok((DType::F32, Element::Bool))
            }
            Family::Logic => {
                for given in operands {
                    self.want_mask(given)?;
                }
                Ok((DType::Bool, Element::Bool))
            }
            Family::Choice => {
                self.want_mask(&operands[0])?;
                if all_ints {
                    let element = elements.iter().copied().max_by_key(|e| match e {
                        Element::Class(count) => *count,
                        _ => usize::MAX,
                    });
                    return Ok((DType::I32, element.unwrap_or(Element::Int)));
                }
                for given in chosen {
                    self.want_numbers(given)?;
                }
                Ok((DType::F32, Element::Number))
            }
        }
    }

    /// Refuses classes and masks where numbers are calculated with.
    pub fn want_numbers(&mut self, given: &Given<'a>) -> Eval<()> {
        let element = match &given.value {
            Value::Tensor(tensor) => tensor.element,
            Value::Bool(_) | Value::String(_) => {
                return Err(self.wrong_kind(&given.value, given.span, "a number or a tensor"));
            }
            _ => return Ok(()),
        };
        let (what, help) = match element {
            Element::Number | Element::Int => return Ok(()),
            Element::Class(_) => (
                "classes",
                "to count with the class's number write `float(x)`, for a row with a 1 at the class `one_hot(x)`",
            ),
            Element::Bool => ("a mask", "write `float(x)` for 1 and 0"),
        };
        Err(self.fault(
            Diagnostic::error(
                Code::TypeMismatch,
                given.span,
                format!("cannot calculate with {what}"),
            )
            .here(format!("this is {}", given.value.kind_text()))
            .help(help),
        ))
    }

    fn want_mask(&mut self, given: &Given<'a>) -> Eval<()> {
        match &given.value {
            Value::Bool(_) => Ok(()),
            Value::Tensor(tensor) if tensor.element == Element::Bool => Ok(()),
            Value::Recipe(_) => Ok(()),
            value => Err(self.wrong_kind(value, given.span, "a condition, such as `x > 0`")),
        }
    }

    /// Adds the nodes of an operation.
    fn emit(
        &mut self,
        op: Pointwise,
        operands: &[Given<'a>],
        target: &Target,
        dtype: DType,
    ) -> Eval<NodeId> {
        if op == Pointwise::Pow
            && let Some(exponent) = operands[1].value.as_number()
        {
            let base = self.spread(&operands[0], target, DType::F32)?;
            return Ok(self.power(base, exponent, target));
        }
        let mut nodes = Vec::new();
        for (i, given) in operands.iter().enumerate() {
            let mask = op == Pointwise::Where && i == 0;
            nodes.push(self.spread(given, target, if mask { DType::Bool } else { dtype })?);
        }
        let graph = self.graph(target.home);
        let node = match (op, nodes.as_slice()) {
            (Pointwise::Neg, &[x]) => graph.neg(x),
            (Pointwise::Abs, &[x]) => graph.abs(x),
            (Pointwise::Sqrt, &[x]) => graph.sqrt(x),
            (Pointwise::Exp, &[x]) => graph.exp(x),
            (Pointwise::Log, &[x]) => graph.log(x),
            (Pointwise::Sin, &[x]) => graph.sin(x),
            (Pointwise::Cos, &[x]) => graph.cos(x),
            (Pointwise::Tanh, &[x]) => graph.tanh(x),
            (Pointwise::Erf, &[x]) => graph.erf(x),
            (Pointwise::Floor, &[x]) => graph.floor(x),
            (Pointwise::Not, &[x]) => graph.not(x),
            (Pointwise::Float, &[x]) => x,
            (Pointwise::StopGradient, &[x]) => graph.stop_gradient(x),
            (Pointwise::Add, &[a, b]) => graph.add(a, b),
            (Pointwise::Sub, &[a, b]) => graph.sub(a, b),
            (Pointwise::Mul, &[a, b]) => graph.mul(a, b),
            (Pointwise::Div, &[a, b]) => graph.div(a, b),
            (Pointwise::Rem, &[a, b]) => {
                let quotient = graph.div(a, b);
                let whole = graph.floor(quotient);
                let part = graph.mul(whole, b);
                graph.sub(a, part)
            }
            (Pointwise::Pow, &[a, b]) => graph.pow(a, b),
            (Pointwise::Maximum, &[a, b]) => graph.max(a, b),
            (Pointwise::Minimum, &[a, b]) => graph.min(a, b),
            (Pointwise::Less, &[a, b]) => graph.less(a, b),
            (Pointwise::LessEq, &[a, b]) => graph.less_eq(a, b),
            (Pointwise::Greater, &[a, b]) => graph.less(b, a),
            (Pointwise::GreaterEq, &[a, b]) => graph.less_eq(b, a),
            (Pointwise::Equal, &[a, b]) => graph.equal(a, b),
            (Pointwise::NotEqual, &[a, b]) => {
                let equal = graph.equal(a, b);
                graph.not(equal)
            }
            (Pointwise::And, &[a, b]) => graph.and(a, b),
            (Pointwise::Or, &[a, b]) => graph.or(a, b),
            (Pointwise::Where, &[mask, a, b]) => graph.select(mask, a, b),
            _ => unreachable!("elaborate: {op:?} of {} operands", nodes.len()),
        };
        Ok(node)
    }

    /// `x ^ exponent` for a known exponent, by products where they are exact.
    fn power(&mut self, x: NodeId, exponent: f64, target: &Target) -> NodeId {
        let shape = self.full_shape(target.batch, &target.sizes());
        let graph = self.graph(target.home);
        let whole = exponent as i64;
        if exponent == 0.5 {
            return graph.sqrt(x);
        }
        if whole as f64 == exponent && (1..=LARGEST_PRODUCT).contains(&whole) {
            let mut square = x;
            let mut product = None;
            let mut left = whole;
            while left > 0 {
                if left % 2 == 1 {
                    product = Some(product.map_or(square, |p| graph.mul(p, square)));
                }
                left /= 2;
                if left > 0 {
                    square = graph.mul(square, square);
                }
            }
            return product.unwrap_or(x);
        }
        let constant = graph.constant(exponent, Type::f32(shape));
        graph.pow(x, constant)
    }

    /// The tensor as numbers: masks become 1 and 0, classes their number.
    pub fn numbers(&mut self, tensor: &Tensor) -> Tensor {
        let node = self.graph(tensor.home).cast(tensor.node, DType::F32);
        Tensor {
            node,
            element: Element::Number,
            ..tensor.clone()
        }
    }
}

fn element_of(value: &Value<'_>) -> Option<Element> {
    match value {
        Value::Tensor(tensor) => Some(tensor.element),
        _ => None,
    }
}
