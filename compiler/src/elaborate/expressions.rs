//! Evaluates expressions.

use super::axes::axis_names;
use super::faults::{did_you_mean, place};
use super::globals::{Constant, Global};
use super::interpreter::{Frame, Interpreter};
use super::pointwise::Pointwise;
use super::values::{Axis, Eval, Function, Given, Recipe, Reported, Tensor, Value};
use crate::graph::{InputKind, Type};
use nnc_grammar::ast::{BinaryOp, Const, DefinitionKind, Expr, ExprKind, Ident, UnaryOp};
use nnc_grammar::{Code, Diagnostic, Span, nearest};
use std::rc::Rc;

/// How deep expressions and applications may nest, together.
const DEEPEST: usize = 400;

/// The names with a meaning of their own, unless something else bears them.
pub(super) const SPECIAL_NAMES: [&str; 6] = [
    "training",
    "step",
    "epoch",
    "total_steps",
    "fan_in",
    "fan_out",
];

impl<'a> Interpreter<'a> {
    /// The value of an expression.
    pub fn eval(&mut self, expr: &'a Expr) -> Eval<Value<'a>> {
        if self.depth >= DEEPEST {
            return Err(self.too_deep(expr.span));
        }
        let outer = self.here;
        if !self.globals.in_library(expr.span) {
            self.here = Some(expr.span);
        }
        self.depth += 1;
        let value = self.eval_kind(expr);
        self.depth -= 1;
        self.here = outer;
        match value {
            Ok(Value::Unknown) => Err(Reported(())),
            value => value,
        }
    }

    /// The value of an expression together with its place.
    pub fn given(&mut self, expr: &'a Expr) -> Eval<Given<'a>> {
        let value = self.eval(expr)?;
        let span = self.given_at(expr).unwrap_or(place(expr));
        Ok(Given { value, span })
    }

    /// Where the user gave what the library passes on by name.
    pub fn given_at(&self, expr: &Expr) -> Option<Span> {
        let ExprKind::Name(name) = &expr.kind else {
            return None;
        };
        let variable = self.variable(name)?;
        let theirs = !self.globals.in_library(variable.span);
        (theirs && self.globals.in_library(expr.span)).then_some(variable.span)
    }

    fn eval_kind(&mut self, expr: &'a Expr) -> Eval<Value<'a>> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int(value) => Ok(Value::Int(*value)),
            ExprKind::Float(value) => Ok(Value::Float(*value)),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::String(text) => Ok(Value::String(Rc::from(text.as_str()))),
            ExprKind::Name(name) => self.eval_name(name, span),
            ExprKind::List(items) => self.eval_list(items),
            ExprKind::Rest => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    span,
                    "`..` stands only in shapes and lists of axes",
                )
                .here("no axes are listed here"),
            )),
            ExprKind::Field(base, field) => self.eval_field(base, field, span),
            ExprKind::Call(callee_expr, arguments) => {
                let callee = self.eval(callee_expr);
                let Ok(callee) = callee else {
                    return Err(self.check_arguments(arguments));
                };
                self.refuse_hidden(&callee_expr.kind, &callee, callee_expr.span)?;
                let value = self.call(&callee, arguments, None, span)?;
                Ok(self.traced_value(value, span))
            }
            ExprKind::Select(base, selectors) => self.eval_select(base, selectors, span),
            ExprKind::Pipe(..) => self.eval_pipe(expr),
            ExprKind::Unary(op, operand) => {
                let operand = self.given(operand)?;
                let op = match op {
                    UnaryOp::Neg => Pointwise::Neg,
                    UnaryOp::Not => Pointwise::Not,
                };
                self.pointwise(op, vec![operand], span)
            }
            ExprKind::Binary(op, left, right) => self.eval_binary(*op, left, right, span),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => match (self.decide(condition)?, otherwise) {
                (true, _) => self.block(then),
                (false, Some(otherwise)) => self.block(otherwise),
                (false, None) => Ok(Value::Nothing),
            },
            ExprKind::Repeat { .. } => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    span,
                    "`repeat` has nothing to be applied to",
                )
                .here("stands alone")
                .help("pipe a tensor into it: `x |> repeat 3 { dense(64) }`"),
            )),
            ExprKind::Scan(scan) => {
                let value = self.scan(scan, span)?;
                Ok(self.traced_value(value, span))
            }
            ExprKind::Block(block) => self.block(block),
        }
    }

    /// A call of a function whose name means something else here.
    fn refuse_hidden(&mut self, callee: &ExprKind, value: &Value<'a>, span: Span) -> Eval<()> {
        let (ExprKind::Name(name), false) = (callee, matches!(value, Value::Function(_))) else {
            return Ok(());
        };
        if !matches!(
            self.globals.find(name, span),
            Some(Global::Definition(_) | Global::Builtin(_))
        ) {
            return Ok(());
        }
        let declared = self
            .frame()
            .declared
            .get(name)
            .map(|declared| declared.span);
        let hiding = self
            .variable(name)
            .map(|variable| variable.span)
            .or(declared);
        let found = value.kind_text();
        let mut fault = Diagnostic::error(
            Code::TypeMismatch,
            span,
            format!("`{name}` is no function here: it is {found}"),
        )
        .here("cannot be called")
        .help("give the value another name to call the function");
        if let Some(hiding) = hiding {
            fault = fault.label(hiding, format!("hides the function `{name}`"));
        }
        Err(self.fault(fault))
    }

    fn eval_name(&mut self, name: &'a str, span: Span) -> Eval<Value<'a>> {
        if let Some(variable) = self.variable(name) {
            return match &variable.value {
                Value::Unknown => Err(Reported(())),
                value => Ok(value.clone()),
            };
        }
        if let Some(declared) = self.frame().declared.get(name).cloned() {
            return Ok(Value::Tensor(self.current_value(&declared)));
        }
        if self.in_data
            && let Some(value) = self.data_name(name)
        {
            return Ok(value);
        }
        match self.globals.find(name, span) {
            Some(Global::Const(item)) => self.constant(item),
            Some(Global::Definition(item)) => {
                self.globals.used.insert(item.name.span);
                Ok(Value::Function(Function::Definition(item)))
            }
            Some(Global::Builtin(builtin)) => Ok(Value::Function(Function::Builtin(builtin))),
            None => match self.special(name) {
                Some(value) => Ok(value),
                None if self.in_data => Err(self.unknown_data(name, span)),
                None => Err(self.unknown_name(name, span)),
            },
        }
    }

    /// A name that the language itself gives a meaning.
    fn special(&mut self, name: &str) -> Option<Value<'a>> {
        let run_input = |this: &mut Self, kind| {
            let node = this.input(kind, Type::f32([]));
            Value::Tensor(this.scalar_tensor(node))
        };
        Some(match name {
            "training" => Value::Bool(self.run.training && !self.is_still()),
            "step" => run_input(self, InputKind::Step),
            "epoch" => run_input(self, InputKind::Epoch),
            "total_steps" => run_input(self, InputKind::TotalSteps),
            "fan_in" => Value::Recipe(Rc::new(Recipe::FanIn)),
            "fan_out" => Value::Recipe(Rc::new(Recipe::FanOut)),
            _ => return None,
        })
    }

    fn unknown_name(&mut self, name: &str, span: Span) -> Reported {
        let fault = Diagnostic::error(
            Code::UnknownName,
            span,
            format!("nothing is called `{name}`"),
        )
        .here("not defined here");
        let variables = self
            .frames
            .last()
            .into_iter()
            .flat_map(|frame| &frame.variables);
        let local: Vec<String> = variables.map(|v| v.name.to_string()).collect();
        let declared = self
            .frames
            .last()
            .into_iter()
            .flat_map(|frame| frame.declared.keys());
        let declared: Vec<String> = declared.cloned().collect();
        let frame = self.frames.last();
        let in_train = self.run.in_train && frame.is_some_and(|frame| frame.definition.is_none());
        let fault = match in_train && !local.is_empty() {
            true => {
                let names = super::faults::listed(local.iter().map(String::as_str));
                fault.note(format!("of the data and by `let` there are {names}"))
            }
            false => fault,
        };
        let mut absent = self.run.absent_fields.iter();
        let absent = absent.find(|(field, _)| field == name && self.frames.len() == 1);
        let mut signatures = self.globals.catalog.signatures().iter();
        // Who writes `images` beside a field `image` hardly means the source of that name.
        let is_slip = nearest(name, local.iter().map(String::as_str)).is_some();
        let fault = if let Some((_, remedy)) = absent {
            fault.help(remedy.clone())
        } else if !is_slip && signatures.any(|s| s.name == name) {
            fault.help(format!(
                "`{name}` is data: write `data = {name}(...)` in `train`"
            ))
        } else {
            did_you_mean(
                fault,
                name,
                local
                    .iter()
                    .chain(&declared)
                    .map(String::as_str)
                    .chain(self.globals.names())
                    .chain(SPECIAL_NAMES),
            )
        };
        self.fault(fault)
    }

    /// The value of a `const`, evaluated when it is first asked for.
    pub fn constant(&mut self, item: &'a Const) -> Eval<Value<'a>> {
        self.globals.used.insert(item.name.span);
        let key = item.name.span;
        match self.globals.constants.get(&key).cloned() {
            Some(Constant::Done(Value::Unknown)) => Err(Reported(())),
            Some(Constant::Done(value)) => Ok(value),
            Some(Constant::InProgress) => Err(self.fault(
                Diagnostic::error(
                    Code::Recursion,
                    key,
                    format!("the value of `{}` depends on itself", item.name.name),
                )
                .here("needed for its own value"),
            )),
            None => {
                self.globals.constants.insert(key, Constant::InProgress);
                self.enter(None, item.span, None);
                let value = self.constant_value(item);
                self.frames.pop();
                let known = value.as_ref().map_or(Value::Unknown, Value::clone);
                self.globals.constants.insert(key, Constant::Done(known));
                value
            }
        }
    }

    fn constant_value(&mut self, item: &'a Const) -> Eval<Value<'a>> {
        let value = self.eval(&item.value)?;
        let given = Given {
            value,
            span: item.value.span,
        };
        let value = match &item.ty {
            Some(ty) => self.meet(
                given.clone(),
                ty,
                &format!("the constant `{}`", item.name.name),
            )?,
            None => given.value,
        };
        if let Value::Tensor(_) = value {
            return Err(self.not_fixed(&value, given.span, "a value known at compile time"));
        }
        match self.overriding(&item.name.name) {
            Some(new) if self.is_settable(item) => {
                self.overridden(&item.name.name, new, &value, item.name.span)
            }
            _ => Ok(value),
        }
    }

    /// Whether the command line's name for a constant means this one.
    fn is_settable(&self, item: &Const) -> bool {
        let settable = self.globals.settable();
        settable
            .iter()
            .any(|(_, known)| known.name.span == item.name.span)
    }

    fn eval_list(&mut self, items: &'a [Expr]) -> Eval<Value<'a>> {
        let values: Vec<Eval<Value<'a>>> = items.iter().map(|item| self.eval(item)).collect();
        let values: Eval<Vec<Value<'a>>> = values.into_iter().collect();
        Ok(Value::List(Rc::from(values?)))
    }

    fn eval_field(&mut self, base: &'a Expr, field: &'a Ident, span: Span) -> Eval<Value<'a>> {
        let value = self.eval(base)?;
        let name = &field.name;
        let message = format!("{} has no part `{name}`", value.kind_text());
        let fault = Diagnostic::error(Code::UnknownName, span, message).here("no such part");
        let fault = match value {
            Value::Tensor(tensor) => self.tensor_part(fault, base, &tensor, name),
            Value::Function(Function::Definition(_) | Function::Instance(_)) => {
                fault.help(format!(
                    "what several nets have in common is a layer of its own: \
                 `layer {name}(...)(x) {{ ... }}`, bound in each net by `let {name} = {name}(...)`"
                ))
            }
            _ => fault,
        };
        Err(self.fault(fault))
    }

    /// `x.T`, `x.shape`, `x.reshape(...)`: how other languages ask tensors for something.
    fn tensor_part(&self, fault: Diagnostic, base: &Expr, x: &Tensor, name: &str) -> Diagnostic {
        let text = self.sources.text(base.span);
        match name {
            "T" => {
                let backwards: Vec<Axis> = x.axes.iter().rev().cloned().collect();
                let names = axis_names(&backwards);
                fault.help(format!(
                    "axes are put in another order by name: `transpose({text}, to: [{names}])`"
                ))
            }
            "shape" | "size" | "ndim" => {
                let bound = match &base.kind {
                    ExprKind::Name(bound) => bound,
                    _ => "x",
                };
                fault.help(format!(
                    "a pattern gives the sizes names: `let {bound}: [c, h, w] = ...`; `count({bound}, over: h)` is one"
                ))
            }
            _ if self.is_done_by_pipe(name, base.span) => fault.help(format!(
                "what is done with a tensor stands behind a pipe: `{text} |> {name}`"
            )),
            _ => fault,
        }
    }

    /// Whether something of this name takes a tensor and gives another.
    fn is_done_by_pipe(&self, name: &str, place: Span) -> bool {
        match self.globals.find(name, place) {
            Some(Global::Builtin(_)) => true,
            Some(Global::Definition(definition)) => {
                matches!(definition.kind, DefinitionKind::Fn | DefinitionKind::Layer)
            }
            Some(Global::Const(_)) | None => false,
        }
    }

    fn eval_binary(
        &mut self,
        op: BinaryOp,
        left: &'a Expr,
        right: &'a Expr,
        span: Span,
    ) -> Eval<Value<'a>> {
        let left = self.given(left);
        let right = self.given(right);
        let (left, right) = (left?, right?);
        let op = match op {
            BinaryOp::Add => Pointwise::Add,
            BinaryOp::Sub => Pointwise::Sub,
            BinaryOp::Mul => Pointwise::Mul,
            BinaryOp::Div => Pointwise::Div,
            BinaryOp::Rem => Pointwise::Rem,
            BinaryOp::Pow => Pointwise::Pow,
            BinaryOp::Eq => Pointwise::Equal,
            BinaryOp::NotEq => Pointwise::NotEqual,
            BinaryOp::Less => Pointwise::Less,
            BinaryOp::LessEq => Pointwise::LessEq,
            BinaryOp::Greater => Pointwise::Greater,
            BinaryOp::GreaterEq => Pointwise::GreaterEq,
            BinaryOp::And => Pointwise::And,
            BinaryOp::Or => Pointwise::Or,
            BinaryOp::MatMul => return self.matmul(&left, &right, span),
        };
        self.pointwise(op, vec![left, right], span)
    }

    /// The value of a condition, which must be known at compile time.
    fn decide(&mut self, condition: &'a Expr) -> Eval<bool> {
        match self.eval(condition)? {
            Value::Bool(value) => Ok(value),
            Value::Tensor(_) | Value::Recipe(_) => Err(self.fault(
                Diagnostic::error(
                    Code::TypeMismatch,
                    condition.span,
                    "`if` is decided when compiling, but this is known only when the model runs",
                )
                .here("differs from element to element or from step to step")
                .help("choose by element: `where(condition, a, b)`"),
            )),
            value => Err(self.wrong_kind(&value, condition.span, "`true` or `false`")),
        }
    }

    /// Remembers where a tensor came from, if it does not know.
    fn traced_value(&self, value: Value<'a>, span: Span) -> Value<'a> {
        match value {
            Value::Tensor(tensor) => Value::Tensor(self.traced(tensor, span, None)),
            value => value,
        }
    }

    /// Fails because the nesting is too deep, naming the definition that recurs.
    pub fn too_deep(&mut self, span: Span) -> Reported {
        let applied = |frame: &Frame<'a>| Some((frame.definition?.name.name.as_str(), frame.call));
        let chain: Vec<(&str, Span)> = self.frames.iter().rev().filter_map(applied).collect();
        let recurring = chain.iter().find(|(name, call)| {
            let times = chain.iter().filter(|(other, _)| other == name).count();
            times > 2 && !self.globals.in_library(*call)
        });
        let fault = match recurring {
            Some(&(name, call)) => {
                let message = format!("`{name}` goes on applying itself without end");
                Diagnostic::error(Code::Recursion, call, message)
                    .here("applies it again")
                    .help("repeat a part a fixed number of times: `x |> repeat 3 { dense(64) }`")
            }
            None => {
                let message = "this is nested too deeply";
                let here = format!("{DEEPEST} levels deep");
                Diagnostic::error(Code::TooLarge, span, message).here(here)
            }
        };
        // The frames are all alike: showing the uses would not help.
        self.report(fault);
        Reported(())
    }
}
