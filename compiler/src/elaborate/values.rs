//! What expressions evaluate to while a model is elaborated.

use super::builtins::Builtin;
use super::catalog::Signature;
use super::copies::Source;
use super::data::Pipeline;
use super::pointwise::Pointwise;
use crate::graph::NodeId;
use nnc_grammar::Span;
use nnc_grammar::ast::Definition;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// A value, or the proof that a diagnostic says why there is none.
pub(super) type Eval<T> = Result<T, Reported>;

/// A diagnostic has been issued; whoever needs the value keeps silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(pub(super) ());

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Int(i64),
    Float(f64),
    Bool(bool),
    String(Rc<str>),
    /// Several values: a list of sizes, the parts of a split.
    List(Rc<[Value<'a>]>),
    /// Sizes with the names of axes, as `reshape` takes them.
    Shape(Rc<[Axis]>),
    /// What stands after `over:`.
    Axes(Rc<[AxisRef]>),
    Tensor(Tensor),
    /// Numbers that get their shape from where they are used: `zeros`, `random()`.
    Recipe(Rc<Recipe<'a>>),
    Function(Function<'a>),
    /// `adam(lr)`
    Optimizer(Rc<Instance<'a>>),
    /// `weights("vgg16.safetensors")`
    Weights(Rc<WeightsFile>),
    /// `mnist() |> split(valid: 0.1)`
    Pipeline(Rc<Pipeline>),
    /// Nothing: a block without a value, an argument left out.
    Nothing,
    /// A diagnostic has been issued where this value should come from.
    Unknown,
}

/// What can be called or piped into.
#[derive(Clone, Debug)]
pub(super) enum Function<'a> {
    Definition(&'a Definition),
    Builtin(&'static Builtin),
    /// A step of a data pipeline.
    Data(Rc<Signature>),
    /// A layer with its hyper-parameters, owner of its parameters.
    Instance(Rc<Instance<'a>>),
    /// A call that named arguments but left the first parameter open.
    Partial(Rc<Partial<'a>>),
    /// `conv2d(16, kernel: 3) |> relu` as a value.
    Composition(Rc<[Function<'a>]>),
}

/// A function with some of its arguments.
#[derive(Debug)]
pub(super) struct Partial<'a> {
    pub function: Function<'a>,
    /// By parameter name.
    pub arguments: Vec<(String, Given<'a>)>,
}

/// A file of saved weights, and what of it goes where.
#[derive(Debug)]
pub(super) struct WeightsFile {
    /// As written.
    pub path: String,
    /// The part of the file that is meant; empty for all of it.
    pub from: String,
    /// The part of the model that it fills.
    pub into: String,
    pub span: Span,
}

/// A value and the expression that gave it.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    pub value: Value<'a>,
    pub span: Span,
}

/// A layer or optimiser with its hyper-parameters.
#[derive(Debug)]
pub(super) struct Instance<'a> {
    pub definition: &'a Definition,
    /// Hyper-parameters in the order of the definition.
    pub hyper: Vec<(Cow<'a, str>, Given<'a>)>,
    /// The expression that made it.
    pub span: Span,
    /// The instance in whose body it was made.
    pub parent: String,
    /// Given by `let`, or on first use.
    pub path: RefCell<Option<String>>,
    /// What it is a copy of, if `copy` made it.
    pub source: Option<Source>,
}

/// A tensor under construction: a node and what the language knows of it.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub node: NodeId,
    /// In which graph the node lies.
    pub home: Home,
    /// Whether the graph's leading axis is the batch.
    pub batch: bool,
    /// The axes of one sample.
    pub axes: Vec<Axis>,
    pub element: Element,
    /// How it came about, for messages.
    pub trace: Option<Rc<Trace>>,
}

/// The graphs that are built side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Home {
    /// The phase's own: one batch of data.
    Body,
    /// Final numbers from totals; see `total`.
    Metrics,
    /// Initial values of slots.
    Init,
}

/// What a tensor's elements mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Element {
    Number,
    Int,
    /// An index below this.
    Class(usize),
    Bool,
}

/// One axis of a sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Axis {
    pub size: usize,
    /// Names, one per definition that named it; the innermost last.
    pub labels: Vec<Label>,
}

/// The name of an axis within one application of a definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Label {
    pub scope: u32,
    pub name: Rc<str>,
}

/// An axis as it was referred to.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum AxisRef {
    /// The implicit axis.
    Batch,
    /// By name.
    Named(Label, Span),
    /// `..` where no pattern says which: all axes of the sample.
    All,
}

/// How a tensor came about.
#[derive(Debug)]
pub(super) struct Trace {
    /// The expression, in the user's file.
    pub span: Span,
    /// `gives [32, 28, 28]`
    pub text: String,
    /// Whether this is a field of the data.
    pub is_field: bool,
    /// What went into it, down a pipe.
    pub previous: Option<Rc<Trace>>,
}

/// A pointwise expression without a shape.
#[derive(Debug)]
pub(super) enum Recipe<'a> {
    /// Uniform in [0, 1); the number identifies the draw.
    Uniform(u32),
    /// How many inputs feed one element of the parameter being initialised.
    FanIn,
    /// How many outputs one input of the parameter being initialised feeds.
    FanOut,
    /// An operation on recipes and numbers.
    Apply(Pointwise, Vec<Value<'a>>),
}

impl Axis {
    pub fn unnamed(size: usize) -> Axis {
        Axis {
            size,
            labels: Vec::new(),
        }
    }

    /// The innermost name.
    pub fn label(&self) -> Option<&Label> {
        self.labels.last()
    }

    /// Names the axis within a scope; a scope has one name for it.
    pub fn name(&mut self, label: Label) {
        self.labels.retain(|old| old.scope != label.scope);
        self.labels.push(label);
    }

    /// How messages call it: its name if a person gave it one.
    pub fn shown_name(&self) -> Option<&str> {
        self.label()
            .map(|label| &*label.name)
            .filter(|name| !name.starts_with('.'))
    }
}

impl Tensor {
    pub fn sizes(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.size).collect()
    }

    /// One number, the same for all samples.
    pub fn is_scalar(&self) -> bool {
        self.axes.is_empty() && !self.batch
    }

    /// Position in the graph's shape of an axis of the sample.
    pub fn graph_axis(&self, axis: usize) -> usize {
        axis + usize::from(self.batch)
    }

    /// `[32, 28, 28]`, `[64] class(10)`
    pub fn shape_text(&self) -> String {
        let sizes = shape_text(&self.sizes());
        match self.element {
            Element::Number => sizes,
            _ if self.axes.is_empty() => self.element.to_string(),
            _ => format!("{sizes} {}", self.element),
        }
    }
}

/// `[32, 28, 28]`
pub(super) fn shape_text(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Number => write!(f, "numbers"),
            Element::Int => write!(f, "int"),
            Element::Class(count) => write!(f, "class({count})"),
            Element::Bool => write!(f, "bool"),
        }
    }
}

impl<'a> Value<'a> {
    /// The number, if it is one known at compile time.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Value::Int(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The value as one would write it, where one can.
    pub fn plain_text(&self) -> String {
        match self {
            Value::Int(value) => value.to_string(),
            Value::Float(value) => float_text(*value),
            Value::Bool(value) => value.to_string(),
            Value::String(text) => format!("\"{text}\""),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::plain_text).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Tensor(tensor) => tensor.shape_text(),
            other => other.kind_text(),
        }
    }

    /// What it is, for messages: `the int 3`, `a tensor of [3, 4]`.
    pub fn kind_text(&self) -> String {
        match self {
            Value::Int(value) => format!("the int {value}"),
            Value::Float(value) => format!("the number {}", float_text(*value)),
            Value::Bool(value) => format!("the bool {value}"),
            Value::String(text) => format!("the string \"{text}\""),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Axes(_) => "an axis".to_owned(),
            Value::Shape(_) => "a list of sizes".to_owned(),
            Value::Tensor(tensor) if tensor.is_scalar() && tensor.element == Element::Number => {
                "a number known only when the model runs".to_owned()
            }
            Value::Tensor(tensor) => format!("a tensor of {}", tensor.shape_text()),
            Value::Recipe(_) => "numbers that have no shape of their own".to_owned(),
            Value::Function(function) => function.kind_text(),
            Value::Optimizer(instance) => {
                format!("the optimizer `{}`", instance.definition.name.name)
            }
            Value::Weights(_) => "saved weights".to_owned(),
            Value::Pipeline(_) => "data".to_owned(),
            Value::Nothing => "nothing".to_owned(),
            Value::Unknown => "an unknown value".to_owned(),
        }
    }
}

impl Function<'_> {
    /// The name of the definition at its root.
    pub fn name(&self) -> &str {
        match self {
            Function::Definition(definition) => &definition.name.name,
            Function::Builtin(builtin) => builtin.name,
            Function::Data(signature) => &signature.name,
            Function::Instance(instance) => &instance.definition.name.name,
            Function::Partial(partial) => partial.function.name(),
            Function::Composition(_) => "|>",
        }
    }

    fn kind_text(&self) -> String {
        match self {
            Function::Instance(_) => format!("the layer `{}`", self.name()),
            Function::Composition(_) => "a chain of layers".to_owned(),
            Function::Partial(_) => format!("`{}` with arguments missing", self.name()),
            Function::Data(_) => format!("the data source `{}`", self.name()),
            Function::Definition(_) | Function::Builtin(_) => {
                format!("the function `{}`", self.name())
            }
        }
    }
}

/// A float as one would write it: `0.001`, `1e-8`, `2.0`.
pub(super) fn float_text(value: f64) -> String {
    format!("{value:?}")
}
