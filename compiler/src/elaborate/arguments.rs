//! Matches the arguments of a call with the parameters of the callee.

use super::faults::{did_you_mean, listed};
use super::interpreter::Interpreter;
use super::values::{Eval, Given, Reported, Value};
use nnc_grammar::ast::{Argument, Parameter, TypeKind};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// A parameter, as far as matching needs to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Formal<'p> {
    pub name: &'p str,
    pub mode: Mode,
    pub optional: bool,
}

/// How an argument is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// As an expression.
    Value,
    /// As names of axes.
    Axes,
    /// As a list of sizes whose names name axes.
    Shape,
}

/// A call as written.
pub(super) struct Call<'a, 'c> {
    /// What is called, for messages.
    pub name: &'c str,
    /// Where it is defined, if in the user's file.
    pub defined: Option<Span>,
    /// What the pipe brings: the first argument.
    pub piped: Option<Given<'a>>,
    /// Arguments given before, by name.
    pub earlier: &'c [(String, Given<'a>)],
    pub arguments: &'a [Argument],
    pub span: Span,
}

/// The arguments in the order of the parameters.
pub(super) type Matched<'a> = Vec<Option<Given<'a>>>;

impl<'p> Formal<'p> {
    /// What a parameter of a definition wants.
    pub fn of(parameter: &'p Parameter) -> Formal<'p> {
        let mode = match parameter.ty.as_ref().map(|ty| &ty.kind) {
            Some(TypeKind::Named(name)) if name.name == "axis" || name.name == "axes" => Mode::Axes,
            Some(TypeKind::Named(name)) if name.name == "shape" => Mode::Shape,
            _ => Mode::Value,
        };
        Formal {
            name: &parameter.name.name,
            mode,
            optional: parameter.default.is_some(),
        }
    }
}

impl<'a> Interpreter<'a> {
    /// The arguments in the order of the parameters; all faults are told.
    pub fn match_arguments(
        &mut self,
        call: &Call<'a, '_>,
        formals: &[Formal<'_>],
    ) -> Eval<Matched<'a>> {
        let matched = self.match_some(call, formals)?;
        let missing: Vec<&str> = formals
            .iter()
            .zip(&matched)
            .filter(|(formal, value)| value.is_none() && !formal.optional)
            .map(|(formal, _)| formal.name)
            .collect();
        if missing.is_empty() {
            return Ok(matched);
        }
        let names = listed(missing);
        let fault = Diagnostic::error(
            Code::MissingArgument,
            call.span,
            format!("`{}` needs {names}", call.name),
        )
        .here(format!("{names} missing"));
        Err(self.fault(with_definition(fault, call, formals)))
    }

    /// The same, where arguments may be missing.
    pub fn match_some(&mut self, call: &Call<'a, '_>, formals: &[Formal<'_>]) -> Eval<Matched<'a>> {
        let mut matched: Matched<'a> = vec![None; formals.len()];
        for (name, given) in call.earlier {
            if let Some(i) = formals.iter().position(|formal| formal.name == name) {
                matched[i] = Some(given.clone());
            }
        }
        let mut failed = None;
        // By name first: positions fill what is left, in order.
        let named = |argument: &&'a Argument| argument.name.is_some();
        let by_name: Vec<_> = call.arguments.iter().filter(named).collect();
        for argument in by_name {
            let done = self.match_named(call, argument, formals, &mut matched);
            failed = done.err().or(failed);
        }
        let mut free = (0..formals.len())
            .filter(|&i| matched[i].is_none())
            .collect::<Vec<_>>()
            .into_iter();
        if let Some(piped) = &call.piped {
            match free.next() {
                Some(i) => matched[i] = Some(piped.clone()),
                None => failed = Some(self.too_many(call, call.span, formals)),
            }
        }
        for argument in call
            .arguments
            .iter()
            .filter(|argument| argument.name.is_none())
        {
            match free.next() {
                Some(i) => match self.argument(argument, formals[i].mode) {
                    Ok(given) => matched[i] = Some(given),
                    Err(reported) => failed = Some(reported),
                },
                None => failed = Some(self.too_many(call, argument.value.span, formals)),
            }
        }
        match failed {
            Some(reported) => Err(reported),
            None => Ok(matched),
        }
    }

    fn match_named(
        &mut self,
        call: &Call<'a, '_>,
        argument: &'a Argument,
        formals: &[Formal<'_>],
        matched: &mut Matched<'a>,
    ) -> Eval<()> {
        let Some(name) = &argument.name else {
            return Ok(());
        };
        let Some(i) = formals.iter().position(|formal| formal.name == name.name) else {
            let fault = Diagnostic::error(
                Code::UnknownArgument,
                name.span,
                format!("`{}` takes no argument `{}`", call.name, name.name),
            )
            .here("no such argument");
            let fault = did_you_mean(fault, &name.name, formals.iter().map(|formal| formal.name));
            let reported = self.fault(with_definition(fault, call, formals));
            // Its value may have faults of its own.
            let _ = self.eval(&argument.value);
            return Err(reported);
        };
        if let Some(first) = &matched[i] {
            let fault = Diagnostic::error(
                Code::UnknownArgument,
                name.span,
                format!("`{}` gets `{}` twice", call.name, name.name),
            )
            .here("given again here")
            .label(first.span, "first given here");
            return Err(self.fault(fault));
        }
        matched[i] = Some(self.argument(argument, formals[i].mode)?);
        Ok(())
    }

    fn argument(&mut self, argument: &'a Argument, mode: Mode) -> Eval<Given<'a>> {
        let expr = &argument.value;
        let value = match mode {
            Mode::Value => self.eval(expr)?,
            Mode::Axes => Value::Axes(Rc::from(self.eval_axes(expr)?)),
            Mode::Shape => self.shape_value(expr)?,
        };
        let span = self.given_at(expr).unwrap_or(expr.span);
        Ok(Given { value, span })
    }

    fn too_many(&mut self, call: &Call<'a, '_>, span: Span, formals: &[Formal<'_>]) -> Reported {
        let given = call.arguments.len() + usize::from(call.piped.is_some());
        let takes = match formals.len() {
            0 => "no argument".to_owned(),
            1 => "1 argument".to_owned(),
            n => format!("{n} arguments"),
        };
        let piped = if call.piped.is_some() {
            ", the piped one included"
        } else {
            ""
        };
        let fault = Diagnostic::error(
            Code::UnknownArgument,
            span,
            format!(
                "`{}` takes {takes}, but {given} are given{piped}",
                call.name
            ),
        )
        .here("one too many");
        self.fault(with_definition(fault, call, formals))
    }

    /// Evaluates the arguments of a call that cannot take place, for their faults.
    pub fn check_arguments(&mut self, arguments: &'a [Argument]) -> Reported {
        for argument in arguments {
            let axes = argument
                .name
                .as_ref()
                .is_some_and(|name| name.name == "over");
            if !axes {
                // Faults are told on the way; there is no value to lose.
                let _ = self.eval(&argument.value);
            }
        }
        Reported(())
    }
}

/// Shows what can be given.
fn with_definition(fault: Diagnostic, call: &Call<'_, '_>, formals: &[Formal<'_>]) -> Diagnostic {
    let names: Vec<String> = formals
        .iter()
        .map(|formal| match formal.optional {
            true => format!("{}: ...", formal.name),
            false => formal.name.to_owned(),
        })
        .collect();
    let signature = format!("{}({})", call.name, names.join(", "));
    match call.defined {
        Some(span) => fault.label(span, "defined here"),
        None => fault.note(format!("it is `{signature}`")),
    }
}
