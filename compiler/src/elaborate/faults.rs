//! How faults are told. A fault inside the library is shown where the user's file
//! led there, with the shapes that came in.

use super::interpreter::{Frame, Interpreter};
use super::values::{Reported, Tensor, Trace, Value};
use nnc_grammar::ast::{Definition, DefinitionKind, Expr, ExprKind};
use nnc_grammar::{Code, Diagnostic, Span};
use std::rc::Rc;

/// How many earlier stages of a pipe a message shows.
const SHOWN_STAGES: usize = 3;

impl<'a> Interpreter<'a> {
    /// Reports a fault, once.
    pub fn fault(&mut self, diagnostic: Diagnostic) -> Reported {
        let diagnostic = if self.globals.in_library(diagnostic.span()) {
            self.shown_at_use(diagnostic)
        } else {
            self.with_uses(diagnostic)
        };
        self.report(diagnostic);
        Reported(())
    }

    /// Adds a diagnostic as it stands, once.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let same = |known: &Diagnostic| {
            (known.code, known.span(), &known.message)
                == (diagnostic.code, diagnostic.span(), &diagnostic.message)
        };
        if !self.diagnostics.iter().any(same) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// A value of the wrong kind.
    pub fn wrong_kind(&mut self, value: &Value<'a>, span: Span, wanted: &str) -> Reported {
        self.wrong_value(value, span, wanted, |fault| fault)
    }

    /// A value where only what is known at compile time can stand.
    pub fn not_fixed(&mut self, value: &Value<'a>, span: Span, wanted: &str) -> Reported {
        self.wrong_value(value, span, wanted, |fault| with_schedules(fault, value))
    }

    /// A value that cannot be calculated with as a tensor can.
    pub fn no_tensor(&mut self, value: &Value<'a>, span: Span, wanted: &str) -> Reported {
        let of_tensors = matches!(value, Value::List(items)
            if items.iter().any(|item| matches!(item, Value::Tensor(_))));
        self.wrong_value(value, span, wanted, |fault| match of_tensors {
            true => fault.help(
                "a function of each of a list is `each(list, function)`, their sum `sum(list)`",
            ),
            false => fault,
        })
    }

    fn wrong_value(
        &mut self,
        value: &Value<'a>,
        span: Span,
        wanted: &str,
        advise: impl FnOnce(Diagnostic) -> Diagnostic,
    ) -> Reported {
        if matches!(value, Value::Unknown) {
            return Reported(());
        }
        let found = value.kind_text();
        let mut fault = Diagnostic::error(
            Code::TypeMismatch,
            span,
            format!("expected {wanted}, found {found}"),
        )
        .here(format!("this is {found}"));
        if let Value::Tensor(tensor) = value {
            fault = with_trace(fault, tensor.trace.as_ref());
        }
        self.fault(advise(fault))
    }

    /// Remembers, for messages, that the user's expression gave this tensor.
    pub fn traced(&self, mut tensor: Tensor, span: Span, previous: Option<Rc<Trace>>) -> Tensor {
        if !self.globals.in_library(span) {
            tensor.trace = Some(Rc::new(Trace {
                span,
                text: format!("gives {}", tensor.shape_text()),
                is_field: false,
                previous,
            }));
        }
        tensor
    }

    /// Moves a fault from the library to the call in the user's file.
    fn shown_at_use(&self, mut fault: Diagnostic) -> Diagnostic {
        let inside = fault.span();
        let Some(frame) = self.user_call() else {
            return fault;
        };
        let name = frame
            .definition
            .map_or("", |definition| definition.name.name.as_str());
        if !fault.message.starts_with(&format!("`{name}`")) {
            fault.message = format!("`{name}`: {}", fault.message);
        }
        let (line, _) = self.sources.line_column(inside);
        let file = &self.sources.file(inside.file).name;
        fault
            .labels
            .retain(|label| !self.globals.in_library(label.span));
        let shown: Vec<String> = frame.reads.iter().map(|(text, _)| text.clone()).collect();
        let text = match shown.as_slice() {
            [] => String::new(),
            _ => format!("reads {}", shown.join(" and ")),
        };
        let labels = std::mem::take(&mut fault.labels);
        let mut moved = Diagnostic::error(fault.code, frame.call, fault.message).here(text);
        moved.severity = fault.severity;
        moved.labels.extend(labels);
        moved.notes = fault.notes;
        moved.helps = fault.helps;
        for (_, trace) in &frame.reads {
            moved = with_trace(moved, trace.as_ref());
        }
        let source = shortened(self.sources.text(inside));
        moved = moved.note(format!("found at {file}:{line}, in `{source}`"));
        self.with_uses(moved)
    }

    /// The innermost application that the user's file asks for.
    fn user_call(&self) -> Option<&Frame<'a>> {
        self.frames
            .iter()
            .rev()
            .find(|frame| frame.definition.is_some() && !self.globals.in_library(frame.call))
    }

    /// What the user's file applies there.
    pub fn used_definition(&self) -> Option<&'a Definition> {
        self.user_call()?.definition
    }

    /// Shows which uses of the user's own definitions led to the fault.
    fn with_uses(&self, mut fault: Diagnostic) -> Diagnostic {
        let place = fault.span();
        for frame in self.frames.iter().rev() {
            let Some(definition) = frame.definition else {
                continue;
            };
            let within = definition.span.file == place.file
                && definition.span.start <= place.start
                && place.end <= definition.span.end;
            // A net is used as its own text says; only others depend on their use.
            let telling = definition.kind != DefinitionKind::Net;
            if within && telling && frame.call != place && !self.globals.in_library(frame.call) {
                let shapes: Vec<String> = frame.reads.iter().map(|r| r.0.clone()).collect();
                let text = match shapes.as_slice() {
                    [] => format!("in this use of `{}`", definition.name.name),
                    _ => format!(
                        "in this use of `{}`, which reads {}",
                        definition.name.name,
                        shapes.join(" and ")
                    ),
                };
                fault = labelled(fault, frame.call, text);
                break;
            }
        }
        fault
    }
}

/// Says where one number that is known only when the model runs may stand, if this is one.
pub(super) fn with_schedules(fault: Diagnostic, value: &Value<'_>) -> Diagnostic {
    match value {
        Value::Tensor(tensor) if tensor.axes.is_empty() && !tensor.batch => fault.note(
            "a number that changes while the model runs, as what depends on `step` does, can stand \
             where an optimizer takes one, such as `adam(lr: cosine(1e-3, steps: total_steps))`",
        ),
        _ => fault,
    }
}

/// Labels the stages that led to a tensor.
pub(super) fn with_trace(mut fault: Diagnostic, trace: Option<&Rc<Trace>>) -> Diagnostic {
    let stages = std::iter::successors(trace, |stage| stage.previous.as_ref());
    for (i, stage) in stages.take(SHOWN_STAGES).enumerate() {
        // What the data looks like matters to those who read it directly.
        if i == 0 || !stage.is_field {
            fault = labelled(fault, stage.span, stage.text.clone());
        }
    }
    fault
}

/// Adds a label unless the place has one already.
fn labelled(fault: Diagnostic, span: Span, text: String) -> Diagnostic {
    let known = fault.labels.iter().any(|label| label.span == span);
    if known {
        fault
    } else {
        fault.label(span, text)
    }
}

/// The part of an expression that gives its value: the last stage of a pipe.
pub(super) fn place(expr: &Expr) -> Span {
    match &expr.kind {
        ExprKind::Pipe(_, last) => last.span,
        _ => expr.span,
    }
}

/// "did you mean" for a misspelt name, if one of the candidates is near.
pub(super) fn did_you_mean<'n>(
    fault: Diagnostic,
    name: &str,
    candidates: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let here = ELSEWHERE
        .iter()
        .find(|(there, here)| *there == name && candidates.contains(here))
        .map(|(_, here)| *here);
    match here.or_else(|| nnc_grammar::nearest(name, candidates)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

/// What the library's items and their arguments are called in other frameworks, where the
/// spelling leads elsewhere.
const ELSEWHERE: [(&str, &str); 32] = [
    ("Linear", "dense"),
    ("Dense", "dense"),
    ("Conv2d", "conv2d"),
    ("Conv2D", "conv2d"),
    ("MaxPool2d", "max_pool2d"),
    ("MaxPooling2D", "max_pool2d"),
    ("AvgPool2d", "avg_pool2d"),
    ("AveragePooling2D", "avg_pool2d"),
    ("BatchNorm2d", "batch_norm"),
    ("BatchNormalization", "batch_norm"),
    ("LayerNorm", "layer_norm"),
    ("LayerNormalization", "layer_norm"),
    ("LSTM", "lstm"),
    ("GRU", "gru"),
    ("CrossEntropyLoss", "cross_entropy"),
    ("MSELoss", "mse"),
    ("units", "filters"),
    ("channels", "filters"),
    ("out_channels", "filters"),
    ("kernel_size", "kernel"),
    ("pool_size", "size"),
    ("strides", "stride"),
    ("learning_rate", "lr"),
    ("rate", "p"),
    ("axis", "over"),
    ("dim", "over"),
    ("kinds", "classes"),
    ("num_classes", "classes"),
    ("target", "label"),
    ("test_split", "test"),
    ("validation_split", "valid"),
    ("betas", "beta1"),
];

/// `a`, `b` and `c`
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The first line of a text, cut to fit into a message.
fn shortened(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or("").chars().take(60).collect();
    if line.len() < text.len() {
        format!("{line} ...")
    } else {
        line
    }
}
