//! The syntax tree: what was written, with a span on every node and no meaning yet.

use crate::source::Span;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub struct Ident {
    /// The name; may be dotted only in [`ExprKind::Field`], never here.
    pub name: String,
    /// Its place.
    pub span: Span,
}

/// One `.nn` file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Items in the order of the text.
    pub items: Vec<Item>,
    /// Every comment, in the order of the text, for the formatter.
    pub comments: Vec<Comment>,
}

/// A `# ...` comment up to the end of its line.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The text with its `#`.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// What a file consists of.
#[derive(Clone, Debug)]
pub enum Item {
    /// `use "blocks.nn"`
    Use(Use),
    /// `const lr: float = 1e-3`
    Const(Const),
    /// `fn`, `layer`, `net`, `optimizer`
    Definition(Definition),
    /// `train { ... }`
    Train(Train),
}

/// `use "PATH"`: another file's items.
#[derive(Clone, Debug)]
pub struct Use {
    /// The path as written, relative to the file that it stands in.
    pub path: String,
    /// The whole item.
    pub span: Span,
}

/// `const NAME: TYPE = VALUE`; `--set NAME=VALUE` replaces the value.
#[derive(Clone, Debug)]
pub struct Const {
    /// Its name.
    pub name: Ident,
    /// Its type, if written.
    pub ty: Option<Type>,
    /// Its value.
    pub value: Expr,
    /// The whole item.
    pub span: Span,
    /// The comment lines right above it, without `#`.
    pub doc: Vec<String>,
}

/// Which keyword opened a definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DefinitionKind {
    /// `fn`: a function of values; owns nothing.
    Fn,
    /// `layer`: owns parameters and states; an instance per use.
    Layer,
    /// `net`: a layer that a `train` block can apply to fields of the data.
    Net,
    /// `optimizer`: maps `weight`, `grad` and its states to the next weight.
    Optimizer,
}

/// `layer dense(units: int, bias = true)(x: [.., n]) -> [.., units] { ... }`
///
/// A `fn` has all its parameters in `inputs`; a `net` too; an `optimizer` has
/// only `hyper`; a `layer` has both lists (or `inputs` alone, when it was written
/// with one list: `layer flat(x: [..])`).
#[derive(Clone, Debug)]
pub struct Definition {
    /// `fn`, `layer`, ...
    pub kind: DefinitionKind,
    /// Its name.
    pub name: Ident,
    /// Hyper-parameters: known at compile time.
    pub hyper: Vec<Parameter>,
    /// Tensors (for a `fn`: any values).
    pub inputs: Vec<Parameter>,
    /// The type after `->`.
    pub result: Option<Type>,
    /// What it computes.
    pub body: Block,
    /// The whole item.
    pub span: Span,
    /// The comment lines right above it, without `#`.
    pub doc: Vec<String>,
}

/// One parameter of a definition.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Ident,
    /// Its type or shape pattern, if written.
    pub ty: Option<Type>,
    /// Its default, if any.
    pub default: Option<Expr>,
    /// The whole parameter.
    pub span: Span,
}

/// A type or a shape pattern.
#[derive(Clone, Debug)]
pub struct Type {
    /// Which.
    pub kind: TypeKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of types.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// `int`, `float`, `bool`, `string`, `function`, `scalar`: by name; the compiler knows which exist.
    Named(Ident),
    /// `[c, h, w]`, `[.., n]`, `[t] class(vocab)`, `class(10)` (no axes), `[h, w] bool`.
    Tensor {
        /// The axes.
        axes: Vec<AxisPattern>,
        /// What the elements are, when not f32: `class(k)`, `bool`, `int`.
        element: Option<Element>,
    },
}

/// One axis of a shape pattern.
#[derive(Clone, Debug)]
pub enum AxisPattern {
    /// `..`: any number of axes; at most one in a pattern.
    Rest(Span),
    /// A size. A lone name that is not bound yet binds the size and names the axis;
    /// anything else must evaluate to the size.
    Size(Expr),
}

/// What a tensor's elements are.
#[derive(Clone, Debug)]
pub struct Element {
    /// `class`, `bool`, `int`.
    pub name: Ident,
    /// `k` in `class(k)`.
    pub argument: Option<Box<Expr>>,
    /// Its place.
    pub span: Span,
}

/// `{ ... }`: statements, the last of which may be an expression, its value.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it does, in order.
    pub statements: Vec<Statement>,
    /// With its braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Which.
    pub kind: StatementKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of statements. Which may stand where is the compiler's business.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// `let a, b: [c, h] = value`
    Let {
        /// One name, or several for a tuple.
        names: Vec<Ident>,
        /// The receiving pattern.
        ty: Option<Type>,
        /// The value.
        value: Expr,
    },
    /// `param w: [n, units] = init`
    Param {
        /// Its name, the last part of its path.
        name: Ident,
        /// Its shape.
        ty: Type,
        /// A number, or an initialiser.
        init: Expr,
    },
    /// `state running_mean: [c] = zeros`
    State {
        /// Its name.
        name: Ident,
        /// Its shape; optimiser states have none, they are like their weight.
        ty: Option<Type>,
        /// A number, or an initialiser.
        init: Expr,
    },
    /// `update m = value`
    Update {
        /// The state.
        name: Ident,
        /// Its next value.
        value: Expr,
    },
    /// `batch = 64` in `train`
    Setting {
        /// Which setting.
        name: Ident,
        /// Its value.
        value: Expr,
    },
    /// `minimize loss`
    Minimize(Expr),
    /// `report accuracy(logits, label), robust: accuracy(attacked, label)`
    Report(Vec<Argument>),
    /// `show fake, reconstruction: decoded`
    Show(Vec<Argument>),
    /// `step generator with adam(2e-4) { ... }` in `train`
    Step {
        /// Whose parameters it changes.
        names: Vec<Ident>,
        /// How.
        optimizer: Expr,
        /// What for: `let`s, settings, one `minimize`, `report`s.
        body: Block,
    },
    /// `next h = value` in a `scan`
    Next {
        /// What is carried.
        name: Ident,
        /// Its value from here on, and at the next step.
        value: Expr,
    },
    /// `yield h, c` in a `scan`
    Yield(Vec<Expr>),
    /// An expression; the value of its block when it stands last.
    Expr(Expr),
}

/// `train { ... }`
#[derive(Clone, Debug)]
pub struct Train {
    /// Settings, `let`s, `minimize`, `report`.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Which.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `64`, `1_000`
    Int(i64),
    /// `1e-3`
    Float(f64),
    /// `true`
    Bool(bool),
    /// `"text"`
    String(String),
    /// `x`
    Name(String),
    /// `[a, b]`; `..` may stand in an axis list (`over: [batch, ..]`).
    List(Vec<Expr>),
    /// `..` inside a list.
    Rest,
    /// `vgg16.features`, `valid.loss`
    Field(Box<Expr>, Ident),
    /// `f(a, key: b)`
    Call(Box<Expr>, Vec<Argument>),
    /// `x[k = label]`, `x[t = 0]`: one element along each named axis.
    Select(Box<Expr>, Vec<(Ident, Expr)>),
    /// `x |> f(a)`: `f(a)(x)`, the way of layers; for a `fn` the piped value comes first.
    Pipe(Box<Expr>, Box<Expr>),
    /// `-x`, `not x`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `if c { a } else { b }`, decided when compiling.
    If {
        /// The condition.
        condition: Box<Expr>,
        /// When true.
        then: Block,
        /// When false; another `if` is a block with that one expression.
        otherwise: Option<Block>,
    },
    /// `repeat 3 { basic_block(16) }`: after a pipe, the block's function applied so often, each time a new instance.
    Repeat {
        /// How often.
        count: Box<Expr>,
        /// What.
        body: Block,
    },
    /// `scan xt in x with h: [n] = zeros { ... }`: a loop over time.
    Scan(Box<Scan>),
    /// `{ random_crop(32) flip }`: a block as a value.
    Block(Block),
}

/// `scan reverse xt in x, yt in y with h: [n] = zeros, c = first { ... }`
#[derive(Clone, Debug)]
pub struct Scan {
    /// Whether time runs backward.
    pub backward: bool,
    /// The names of slices, and the tensors that they are slices of.
    pub slices: Vec<(Ident, Expr)>,
    /// What is carried from step to step.
    pub carries: Vec<Carry>,
    /// One step.
    pub body: Block,
}

/// `h: [n] = zeros`: a value that is carried from step to step.
#[derive(Clone, Debug)]
pub struct Carry {
    /// Its name.
    pub name: Ident,
    /// Its shape, if written.
    pub ty: Option<Type>,
    /// Its value before the first step.
    pub first: Expr,
}

/// An argument of a call, or what `report` and `show` list.
#[derive(Clone, Debug)]
pub struct Argument {
    /// `key` in `key: value`.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// Operators with one operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Neg,
    Not,
}

/// Operators with two operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    /// `%`
    Rem,
    /// `^`, binds tighter than a leading minus
    Pow,
    /// `@`, matrix product
    MatMul,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    And,
    Or,
}

impl Item {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            Item::Use(item) => item.span,
            Item::Const(item) => item.span,
            Item::Definition(item) => item.span,
            Item::Train(item) => item.span,
        }
    }
}

impl Argument {
    /// From its name, if it has one, to the end of its value.
    pub fn span(&self) -> Span {
        match &self.name {
            Some(name) => name.span.to(self.value.span),
            None => self.value.span,
        }
    }
}

impl Block {
    /// The `if` that is all of this block: what `else if` leaves behind.
    pub fn only_if(&self) -> Option<&Expr> {
        match self.statements.as_slice() {
            [
                Statement {
                    kind: StatementKind::Expr(expr),
                    ..
                },
            ] => matches!(expr.kind, ExprKind::If { .. }).then_some(expr),
            _ => None,
        }
    }
}

impl BinaryOp {
    /// Every operator.
    pub const ALL: &'static [BinaryOp] = &[
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Rem,
        BinaryOp::Pow,
        BinaryOp::MatMul,
        BinaryOp::Eq,
        BinaryOp::NotEq,
        BinaryOp::Less,
        BinaryOp::LessEq,
        BinaryOp::Greater,
        BinaryOp::GreaterEq,
        BinaryOp::And,
        BinaryOp::Or,
    ];

    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::Pow => "^",
            BinaryOp::MatMul => "@",
            BinaryOp::Eq => "==",
            BinaryOp::NotEq => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEq => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEq => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }
}
