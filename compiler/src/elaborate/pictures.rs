//! `show`: pictures that a run draws after each epoch.

use super::interpreter::Interpreter;
use super::metrics::metric_name;
use super::values::{Element, Eval, Home, Tensor, Value};
use nnc_grammar::ast::Argument;
use nnc_grammar::{Code, Diagnostic};

impl<'a> Interpreter<'a> {
    /// One shown expression: its name, and a picture for each sample.
    pub fn shown(
        &mut self,
        argument: &'a Argument,
        earlier: &[(String, Tensor)],
    ) -> Eval<(String, Tensor)> {
        let expr = &argument.value;
        let name = match &argument.name {
            Some(name) => name.name.clone(),
            None => metric_name(expr),
        };
        if earlier.iter().any(|(known, _)| *known == name) {
            let message = format!("two pictures are called `{name}`");
            let fault = Diagnostic::error(Code::DuplicateName, argument.span(), message)
                .here("would replace the first")
                .help("name them: `show before: image, after: decoded`");
            return Err(self.fault(fault));
        }
        let given = self.given(expr)?;
        self.want_numbers(&given)?;
        let Value::Tensor(tensor) = &given.value else {
            return Err(self.wrong_kind(&given.value, expr.span, "pictures"));
        };
        let tensor = self.numbers(&tensor.clone());
        let pictures = matches!(*tensor.sizes(), [_, _] | [1 | 3, _, _]);
        if tensor.home == Home::Body
            && tensor.element == Element::Number
            && pictures
            && tensor.batch
        {
            return Ok((name, tensor));
        }
        let shape = tensor.shape_text();
        let message = match tensor.batch {
            true => format!("a picture is [h, w], [1, h, w] or [3, h, w], but this is {shape}"),
            false => "a picture is shown of each sample, but this is the same for all".to_owned(),
        };
        let fault = Diagnostic::error(Code::ShapeMismatch, expr.span, message)
            .here(format!("gives {shape}"));
        let fault = match tensor.batch {
            true => fault.help("give it that shape: `show pixels |> reshape([1, 28, 28])`"),
            false => fault,
        };
        Err(self.fault(super::faults::with_trace(fault, tensor.trace.as_ref())))
    }
}
