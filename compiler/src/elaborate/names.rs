//! Reads the user's text without running it: names that nothing defines are told even
//! where a condition keeps the text from running, and `let`s that nothing uses.

use super::arguments::{Formal, Mode};
use super::expressions::SPECIAL_NAMES;
use super::faults::did_you_mean;
use super::globals::Global;
use super::interpreter::Interpreter;
use nnc_grammar::ast::{
    Argument, AxisPattern, Block, Definition, DefinitionKind, Expr, ExprKind, File, Item,
    Parameter, Scan, Statement, StatementKind, Type, TypeKind,
};
use nnc_grammar::{Code, Diagnostic, Span};

impl<'a> Interpreter<'a> {
    /// Checks all of a file's names.
    pub fn check_names(&mut self, file: &'a File) {
        for item in &file.items {
            let owner = match item {
                Item::Definition(definition) => Some(definition.name.span),
                Item::Use(_) | Item::Const(_) | Item::Train(_) => None,
            };
            let mut reader = Reader {
                interpreter: self,
                names: Vec::new(),
                any_name: false,
                owner,
            };
            match item {
                Item::Use(_) | Item::Const(_) => {}
                Item::Definition(definition) => reader.definition(definition),
                Item::Train(train) => {
                    // The data's fields are names too, and the block is run anyway.
                    reader.any_name = true;
                    reader.block(&train.body);
                }
            }
        }
    }
}

/// The names in scope at a place of the text.
struct Reader<'i, 'a> {
    interpreter: &'i mut Interpreter<'a>,
    names: Vec<Name<'a>>,
    /// Whether unknown names are left to whoever runs the text.
    any_name: bool,
    /// The definition whose text this is; none for `train`.
    owner: Option<Span>,
}

struct Name<'a> {
    name: &'a str,
    /// Where a `let` made it; `None` for names that need no use.
    made: Option<Span>,
    used: bool,
}

impl<'a> Reader<'_, 'a> {
    fn definition(&mut self, definition: &'a Definition) {
        if definition.kind == DefinitionKind::Optimizer {
            self.add("weight", None);
            self.add("grad", None);
        }
        let parameters = definition.hyper.iter().chain(&definition.inputs);
        for parameter in parameters.clone() {
            self.add(&parameter.name.name, None);
        }
        for parameter in parameters {
            self.parameter(parameter);
        }
        if let Some(result) = &definition.result {
            self.pattern(result);
        }
        self.block(&definition.body);
    }

    fn parameter(&mut self, parameter: &'a Parameter) {
        if let Some(ty) = &parameter.ty {
            self.pattern(ty);
        }
        if let Some(default) = &parameter.default
            && Formal::of(parameter).mode == Mode::Value
        {
            self.expr(default);
        }
    }

    /// A pattern makes names of what it does not know.
    fn pattern(&mut self, ty: &'a Type) {
        let TypeKind::Tensor { axes, element } = &ty.kind else {
            return;
        };
        let sizes = axes.iter().filter_map(|axis| match axis {
            AxisPattern::Size(expr) => Some(expr),
            AxisPattern::Rest(_) => None,
        });
        let argument = element
            .iter()
            .filter_map(|element| element.argument.as_deref());
        for expr in sizes.chain(argument) {
            match &expr.kind {
                ExprKind::Name(name) if !self.mark(name) => self.add(name, None),
                _ => self.expr(expr),
            }
        }
    }

    fn block(&mut self, block: &'a Block) {
        let outer = self.names.len();
        for statement in &block.statements {
            self.statement(statement);
        }
        self.leave(outer);
    }

    /// Forgets the names since `outer`, and warns of those that nothing used.
    fn leave(&mut self, outer: usize) {
        // States declared in a branch stay; they carry no `made`.
        let mut inner = self.names.split_off(outer);
        inner.retain(|name| match name.made {
            Some(span) if !name.used && !name.name.starts_with('_') => {
                let message = format!("nothing uses `{}`", name.name);
                let warning = Diagnostic::warning(Code::Unused, span, message);
                let help = format!("leave it out, or call it `_{}`", name.name);
                self.interpreter
                    .report(warning.here("bound but not used").help(help));
                false
            }
            Some(_) => false,
            None => true,
        });
        self.names.extend(inner);
    }

    fn statement(&mut self, statement: &'a Statement) {
        match &statement.kind {
            StatementKind::Let { names, ty, value } => {
                self.expr(value);
                if let Some(ty) = ty {
                    self.pattern(ty);
                }
                for name in names {
                    self.add(&name.name, Some(name.span));
                }
            }
            StatementKind::Param { name, ty, init } => {
                self.pattern(ty);
                self.expr(init);
                self.add(&name.name, None);
            }
            StatementKind::State { name, ty, init } => {
                if let Some(ty) = ty {
                    self.pattern(ty);
                }
                self.expr(init);
                self.add(&name.name, None);
            }
            StatementKind::Update { name, value } => {
                self.mark(&name.name);
                self.expr(value);
            }
            StatementKind::Setting { value, .. } => self.expr(value),
            StatementKind::Minimize(expr) | StatementKind::Expr(expr) => self.expr(expr),
            StatementKind::Report(listed) | StatementKind::Show(listed) => {
                listed
                    .iter()
                    .for_each(|argument| self.expr(&argument.value));
            }
            StatementKind::Step {
                names,
                optimizer,
                body,
            } => {
                names.iter().for_each(|name| _ = self.mark(&name.name));
                self.expr(optimizer);
                self.block(body);
            }
            StatementKind::Next { name, value } => {
                self.expr(value);
                self.mark(&name.name);
            }
            StatementKind::Yield(exprs) => exprs.iter().for_each(|expr| self.expr(expr)),
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Rest => {}
            ExprKind::String(text) => self.mark_shown(text),
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::List(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Field(base, _) => self.expr(base),
            ExprKind::Call(callee, arguments) => self.call(callee, arguments, false),
            ExprKind::Select(base, selectors) => {
                self.expr(base);
                selectors.iter().for_each(|(_, index)| self.expr(index));
            }
            ExprKind::Pipe(left, right) => {
                self.expr(left);
                match &right.kind {
                    ExprKind::Call(callee, arguments) => self.call(callee, arguments, true),
                    _ => self.expr(right),
                }
            }
            ExprKind::Unary(_, operand) => self.expr(operand),
            ExprKind::Binary(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                self.expr(condition);
                self.block(then);
                otherwise.iter().for_each(|otherwise| self.block(otherwise));
            }
            ExprKind::Repeat { count, body } => {
                self.expr(count);
                self.block(body);
            }
            ExprKind::Scan(scan) => self.scan(scan),
            ExprKind::Block(block) => self.block(block),
        }
    }

    fn scan(&mut self, scan: &'a Scan) {
        scan.slices.iter().for_each(|(_, x)| self.expr(x));
        for carry in &scan.carries {
            if let Some(ty) = &carry.ty {
                self.pattern(ty);
            }
            self.expr(&carry.first);
        }
        let outer = self.names.len();
        for (name, _) in &scan.slices {
            self.add(&name.name, Some(name.span));
        }
        for carry in &scan.carries {
            self.add(&carry.name.name, Some(carry.name.span));
        }
        self.block(&scan.body);
        self.leave(outer);
    }

    /// Arguments that name axes are no expressions.
    fn call(&mut self, callee: &'a Expr, arguments: &'a [Argument], piped: bool) {
        self.expr(callee);
        let formals = match &callee.kind {
            ExprKind::Name(name) => self.formals(name, callee.span),
            _ => None,
        };
        let mut position =
            usize::from(piped && formals.as_ref().is_some_and(|(_, shifts)| *shifts));
        for argument in arguments {
            let formal = match (&formals, &argument.name) {
                (Some((formals, _)), Some(name)) => formals.iter().find(|(n, _)| *n == name.name),
                (Some((formals, _)), None) => {
                    position += 1;
                    formals.get(position - 1)
                }
                (None, _) => None,
            };
            let by_habit = argument
                .name
                .as_ref()
                .is_some_and(|name| name.name == "over");
            let axes = formal.map_or(by_habit, |(_, mode)| *mode == Mode::Axes);
            if axes {
                self.mark_axes(&argument.value);
            } else {
                self.expr(&argument.value);
            }
        }
    }

    /// The parameters of a callee, and whether a pipe fills the first of them.
    fn formals(&self, name: &str, span: Span) -> Option<(Vec<(&'a str, Mode)>, bool)> {
        if self.names.iter().any(|known| known.name == name) {
            return None;
        }
        match self.interpreter.globals.find(name, span)? {
            Global::Const(_) => None,
            Global::Builtin(builtin) => {
                let formals = builtin.formals().into_iter();
                Some((
                    formals.map(|formal| (formal.name, formal.mode)).collect(),
                    true,
                ))
            }
            Global::Definition(d) => {
                let own = if d.hyper.is_empty() {
                    &d.inputs
                } else {
                    &d.hyper
                };
                let formals = own.iter().map(Formal::of);
                let formals = formals.map(|formal| (formal.name, formal.mode)).collect();
                Some((formals, d.hyper.is_empty()))
            }
        }
    }

    fn name(&mut self, name: &'a str, span: Span) {
        if self.mark(name) {
            return;
        }
        let globals = &mut self.interpreter.globals;
        let global = globals.find(name, span);
        if let Some(global @ (Global::Const(_) | Global::Definition(_))) = global {
            globals.mentions.push((self.owner, global.name_span()));
        }
        if global.is_some() || SPECIAL_NAMES.contains(&name) || self.any_name {
            return;
        }
        let names = self.names.iter().map(|known| known.name);
        let candidates = names
            .chain(self.interpreter.globals.names())
            .chain(SPECIAL_NAMES);
        let fault = Diagnostic::error(
            Code::UnknownName,
            span,
            format!("nothing is called `{name}`"),
        );
        let fault = did_you_mean(fault.here("not defined here"), name, candidates);
        self.interpreter.report(fault);
    }

    fn add(&mut self, name: &'a str, made: Option<Span>) {
        self.names.push(Name {
            name,
            made,
            used: false,
        });
    }

    /// Notes a use; whether the name is known here.
    fn mark(&mut self, name: &str) -> bool {
        match self.names.iter_mut().rev().find(|known| known.name == name) {
            Some(known) => {
                known.used = true;
                true
            }
            None => false,
        }
    }

    fn mark_axes(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Name(name) => _ = self.mark(name),
            ExprKind::List(items) => items.iter().for_each(|item| self.mark_axes(item)),
            _ => {}
        }
    }

    /// `{name}` in a text that `check` shows.
    fn mark_shown(&mut self, text: &str) {
        for part in text.split('{').skip(1) {
            if let Some((name, _)) = part.split_once('}') {
                self.mark(name);
            }
        }
    }
}
