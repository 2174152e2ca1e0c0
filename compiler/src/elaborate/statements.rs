//! Runs blocks and their statements.

use super::faults::did_you_mean;
use super::interpreter::{Declared, Interpreter};
use super::settings::SETTINGS;
use super::values::{Eval, Function, Given, Reported, Tensor, Value};
use crate::graph::SlotKind;
use nnc_grammar::ast::{Block, DefinitionKind, Expr, Ident, Statement, StatementKind, Type};
use nnc_grammar::{Code, Diagnostic, Span};

impl<'a> Interpreter<'a> {
    /// Runs a block within the current application; its names end with it.
    pub fn block(&mut self, block: &'a Block) -> Eval<Value<'a>> {
        let outer = self.frame().variables.len();
        let value = self.block_statements(block);
        self.frame().variables.truncate(outer);
        value
    }

    pub fn block_statements(&mut self, block: &'a Block) -> Eval<Value<'a>> {
        let mut value = Ok(Value::Nothing);
        let mut failed = None;
        for statement in &block.statements {
            value = self.statement(statement);
            // Names stay known, so the statements that follow can be checked; those of
            // the library have no faults of their own.
            if let Err(reported) = value {
                failed = Some(reported);
                if self.globals.in_library(statement.span) {
                    break;
                }
            }
        }
        match failed {
            Some(reported) => Err(reported),
            None => value,
        }
    }

    fn statement(&mut self, statement: &'a Statement) -> Eval<Value<'a>> {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Let { names, ty, value } => self.bind_let(names, ty.as_ref(), value)?,
            StatementKind::Param { name, ty, init } => {
                self.declare(SlotKind::Param, name, Some(ty), init, span)?;
            }
            StatementKind::State { name, ty, init } => {
                self.declare(SlotKind::State, name, ty.as_ref(), init, span)?;
            }
            StatementKind::Update { name, value } => self.update(name, value)?,
            StatementKind::Setting { name, .. } => return Err(self.assigned(name, span)),
            StatementKind::Minimize(_) => {
                return Err(self.misplaced(
                    span,
                    "`minimize` stands outside of `train`".to_owned(),
                    "return the loss, and minimize it in `train`".to_owned(),
                ));
            }
            StatementKind::Report(_) => {
                return Err(self.misplaced(
                    span,
                    "`report` stands outside of `train`".to_owned(),
                    "return the value, and report it in `train`".to_owned(),
                ));
            }
            StatementKind::Show(_) => {
                return Err(self.misplaced(
                    span,
                    "`show` stands outside of `train`".to_owned(),
                    "return the picture, and show it in `train`".to_owned(),
                ));
            }
            StatementKind::Step { .. } => {
                return Err(self.misplaced(
                    span,
                    "`step` stands outside of `train`".to_owned(),
                    "steps are part of an experiment: write them in `train`".to_owned(),
                ));
            }
            StatementKind::Next { name, value } => self.next_value(name, value, span)?,
            StatementKind::Yield(values) => self.yield_values(values, span)?,
            StatementKind::Expr(expr) => return self.eval(expr),
        }
        Ok(Value::Nothing)
    }

    /// `name = value`, which only `train` has: for its settings.
    fn assigned(&mut self, name: &Ident, span: Span) -> Reported {
        let name = &name.name;
        let message = match SETTINGS.contains(&name.as_str()) {
            true => format!("the setting `{name}` stands outside of `train`"),
            false => format!("`{name} = ...` gives no name a value: there are no assignments"),
        };
        let is_state = |declared: &Declared| declared.is_state;
        let help = if self.carries(name) {
            format!("for its value at the next step, write `next {name} = ...`")
        } else if self.frame().declared.get(name).is_some_and(is_state) {
            format!("to change the state, write `update {name} = ...`")
        } else {
            format!("to name a value, write `let {name} = ...`")
        };
        self.misplaced(span, message, help)
    }

    pub fn misplaced(&mut self, span: Span, message: String, help: String) -> Reported {
        self.fault(
            Diagnostic::error(Code::Misplaced, span, message)
                .here("cannot stand here")
                .help(help),
        )
    }

    /// `let a, b: [c] = value`
    pub fn bind_let(
        &mut self,
        names: &'a [Ident],
        ty: Option<&'a Type>,
        value: &'a Expr,
    ) -> Eval<()> {
        let bound = self.let_values(names, ty, value);
        match bound {
            Ok(values) => {
                for (name, value) in names.iter().zip(values) {
                    self.bind(name.name.as_str(), value, name.span);
                }
                Ok(())
            }
            Err(reported) => {
                for name in names {
                    self.bind(name.name.as_str(), Value::Unknown, name.span);
                }
                Err(reported)
            }
        }
    }

    fn let_values(
        &mut self,
        names: &'a [Ident],
        ty: Option<&'a Type>,
        value: &'a Expr,
    ) -> Eval<Vec<Value<'a>>> {
        let given = self.given(value)?;
        if let [name] = names {
            self.name_instance(&given.value, name);
        }
        let values = match (names, &given.value) {
            ([_], single) => vec![single.clone()],
            (_, Value::List(items)) if items.len() == names.len() => items.to_vec(),
            (_, Value::List(items)) => {
                let message = format!("{} names for {} values", names.len(), items.len());
                let fault = Diagnostic::error(Code::TypeMismatch, given.span, message);
                return Err(self.fault(fault.here(format!("gives {} values", items.len()))));
            }
            (_, other) => {
                let wanted = format!("{} values", names.len());
                return Err(self.wrong_kind(other, given.span, &wanted));
            }
        };
        let mut met = Vec::new();
        for (name, value) in names.iter().zip(values) {
            let span = given.span;
            let value = match ty {
                Some(ty) => self.meet(Given { value, span }, ty, &format!("`{}`", name.name))?,
                None => value,
            };
            met.push(value);
        }
        Ok(met)
    }

    /// A layer bound by `let` is called by that name in paths.
    fn name_instance(&mut self, value: &Value<'a>, name: &Ident) {
        let Value::Function(Function::Instance(instance)) = value else {
            return;
        };
        if instance.path.borrow().is_none() {
            let path = self.part_path(&instance.parent, &name.name, false);
            *instance.path.borrow_mut() = Some(path);
        }
    }

    /// `param w: [n, units] = init`, `state mean: [c] = zeros`
    fn declare(
        &mut self,
        kind: SlotKind,
        name: &'a Ident,
        ty: Option<&'a Type>,
        init: &'a Expr,
        span: Span,
    ) -> Eval<()> {
        let declared = self.declare_slot(kind, name, ty, init, span);
        if declared.is_err() {
            self.bind(name.name.as_str(), Value::Unknown, name.span);
        }
        declared
    }

    fn declare_slot(
        &mut self,
        kind: SlotKind,
        name: &'a Ident,
        ty: Option<&'a Type>,
        init: &'a Expr,
        span: Span,
    ) -> Eval<()> {
        let owner = self.frame().definition.map(|d| d.kind);
        let word = if kind == SlotKind::Param {
            "param"
        } else {
            "state"
        };
        let optimizer = owner == Some(DefinitionKind::Optimizer);
        let allowed = match owner {
            Some(DefinitionKind::Layer | DefinitionKind::Net) => true,
            Some(DefinitionKind::Optimizer) => kind == SlotKind::State,
            _ => false,
        };
        if !allowed {
            return Err(self.misplaced(
                span,
                format!("`{word}` stands outside of a layer"),
                "only a `layer` or `net` owns parameters and states: make this a `layer`"
                    .to_owned(),
            ));
        }
        if let Some(first) = self.frame().declared.get(&name.name).cloned() {
            return Err(self.fault(
                Diagnostic::error(
                    Code::DuplicateName,
                    name.span,
                    format!("`{}` is declared twice", name.name),
                )
                .here("declared again here")
                .label(first.span, "first declared here"),
            ));
        }
        if let Some(variable) = self.variable(&name.name) {
            let first = variable.span;
            return Err(self.fault(
                Diagnostic::error(
                    Code::DuplicateName,
                    name.span,
                    format!("`{}` already has a meaning here", name.name),
                )
                .here("would hide it")
                .label(first, "gets its meaning from this")
                .help("give one of them another name"),
            ));
        }
        let axes = match ty {
            Some(ty) => self.slot_axes(ty)?,
            None => match self.variable("weight").map(|v| &v.value) {
                Some(Value::Tensor(weight)) if optimizer => weight.axes.clone(),
                _ => {
                    return Err(self.fault(
                        Diagnostic::error(
                            Code::TypeMismatch,
                            span,
                            format!("`{}` needs a shape", name.name),
                        )
                        .here("has no shape")
                        .help(format!("write it: `{word} {}: [c] = ...`", name.name)),
                    ));
                }
            },
        };
        let init = self.given(init)?;
        let (path, kind) = if optimizer {
            (self.optimizer_state_path(&name.name), SlotKind::Optimizer)
        } else {
            (format!("{}/{}", self.frame().path, name.name), kind)
        };
        let (slot, tensor) = self.slot(kind, path, axes, &init, span)?;
        let declared = Declared {
            slot,
            tensor,
            is_state: kind != SlotKind::Param,
            span: name.span,
        };
        self.frame().declared.insert(name.name.clone(), declared);
        Ok(())
    }

    /// `update running_mean = value`: takes effect at the end of a training step, and
    /// at once for whoever reads the state from here on.
    fn update(&mut self, name: &'a Ident, value: &'a Expr) -> Eval<()> {
        let given = self.given(value)?;
        let Some(declared) = self.frame().declared.get(&name.name).cloned() else {
            let states: Vec<String> = self.frame().declared.keys().cloned().collect();
            let fault = Diagnostic::error(
                Code::UnknownName,
                name.span,
                format!("no state is called `{}`", name.name),
            )
            .here("not a state of this definition");
            let fault = did_you_mean(fault, &name.name, states.iter().map(String::as_str));
            return Err(self.fault(fault));
        };
        if !declared.is_state {
            return Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    name.span,
                    format!("`{}` is a parameter: the optimizer updates it", name.name),
                )
                .here("not a state")
                .label(declared.span, "declared here")
                .help(format!("declare it as `state {}: ...`", name.name)),
            ));
        }
        if let Some(moment) = self.scans.last() {
            let scan = moment.span;
            return Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    name.span,
                    format!(
                        "the state `{}` is updated at each step of a `scan`",
                        name.name
                    ),
                )
                .here("would be updated many times")
                .label(scan, "within this loop over time")
                .help("carry the value through the scan, or apply the layer before or after it"),
            ));
        }
        let path = self.slots.table[declared.slot.index()].path.clone();
        if !self.run.training || self.is_still() || self.is_frozen(&path) {
            return Ok(());
        }
        let next = self.like(
            &given,
            &declared.tensor,
            &format!("the state `{}`", name.name),
        )?;
        self.run.current.insert(declared.slot, next);
        Ok(())
    }

    /// A state as the last `update` left it, a parameter as it is.
    pub fn current_value(&self, declared: &Declared) -> Tensor {
        let mut tensor = declared.tensor.clone();
        if let Some(&node) = self.run.current.get(&declared.slot) {
            tensor.node = node;
        }
        tensor
    }
}
