//! The functions that the language itself has, in one table. All others are text in
//! the prelude.

mod advice;
mod arrange;
mod facts;
mod movement;
mod order;
mod product;
mod reduction;
mod totals;
mod training;

use super::arguments::{Formal, Mode};
use super::interpreter::Interpreter;
use super::pointwise::Pointwise;
use super::values::{Eval, Given, Reported, Tensor, Value};
use nnc_grammar::{Code, Diagnostic, Span};
use std::fmt;

/// No size or step that is given as an argument may be larger.
const LARGEST: i64 = 1 << 40;

/// A function of the language.
pub(super) struct Builtin {
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    /// One line for people.
    pub doc: &'static str,
    pub run: Run,
}

/// What a builtin does with its arguments, which are in the order of its parameters.
pub(super) type Run =
    for<'a> fn(&mut Interpreter<'a>, &[Option<Given<'a>>], Span) -> Eval<Value<'a>>;

/// A parameter of a builtin.
pub(super) struct Parameter {
    name: &'static str,
    mode: Mode,
    optional: bool,
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Builtin {
    /// Its parameters, for matching.
    pub fn formals(&self) -> Vec<Formal<'static>> {
        let formal = |parameter: &Parameter| Formal {
            name: parameter.name,
            mode: parameter.mode,
            optional: parameter.optional,
        };
        self.parameters.iter().map(formal).collect()
    }
}

/// The builtin of a name.
pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.iter().find(|builtin| builtin.name == name)
}

/// Every builtin as one calls it, with what it does: for the reference.
pub fn builtin_docs() -> impl Iterator<Item = (String, &'static str)> {
    TABLE.iter().map(|builtin| {
        let names: Vec<&str> = builtin.parameters.iter().map(|p| p.name).collect();
        (
            format!("{}({})", builtin.name, names.join(", ")),
            builtin.doc,
        )
    })
}

/// The names of all builtins.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|builtin| builtin.name)
}

const fn needed(name: &'static str) -> Parameter {
    Parameter {
        name,
        mode: Mode::Value,
        optional: false,
    }
}

const fn optional(name: &'static str) -> Parameter {
    Parameter {
        name,
        mode: Mode::Value,
        optional: true,
    }
}

const fn axes(name: &'static str, optional: bool) -> Parameter {
    Parameter {
        name,
        mode: Mode::Axes,
        optional,
    }
}

const fn shape(name: &'static str) -> Parameter {
    Parameter {
        name,
        mode: Mode::Shape,
        optional: false,
    }
}

const fn optional_shape(name: &'static str) -> Parameter {
    Parameter {
        name,
        mode: Mode::Shape,
        optional: true,
    }
}

macro_rules! table {
    (
        pointwise { $($op_name:literal ($($operand:literal),+) = $op:ident, $op_doc:literal;)* }
        functions { $($name:literal ($($parameter:expr),*) = $run:path, $doc:literal;)* }
    ) => {
        static TABLE: &[Builtin] = &[
            $(Builtin {
                name: $op_name,
                parameters: &[$(needed($operand)),+],
                doc: $op_doc,
                run: |interpreter, arguments, span| {
                    let operands = arguments.iter().flatten().cloned().collect();
                    interpreter.pointwise(Pointwise::$op, operands, span)
                },
            },)*
            $(Builtin { name: $name, parameters: &[$($parameter),*], doc: $doc, run: $run },)*
        ];
    };
}

table! {
    pointwise {
        "abs" ("x") = Abs, "The magnitude.";
        "sqrt" ("x") = Sqrt, "The square root.";
        "exp" ("x") = Exp, "e to the power of x.";
        "log" ("x") = Log, "The natural logarithm.";
        "sin" ("x") = Sin, "The sine.";
        "cos" ("x") = Cos, "The cosine.";
        "tanh" ("x") = Tanh, "The hyperbolic tangent.";
        "erf" ("x") = Erf, "The error function.";
        "floor" ("x") = Floor, "The greatest whole number not above x; the gradient is zero.";
        "float" ("x") = Float, "Numbers from a mask (1 and 0) or from classes.";
        "stop_gradient" ("x") = StopGradient, "x itself, taken as a constant by gradients.";
        "maximum" ("a", "b") = Maximum, "The greater one, element by element.";
        "minimum" ("a", "b") = Minimum, "The lesser one, element by element.";
        "where" ("condition", "a", "b") = Where, "a where the condition holds, else b.";
    }
    functions {
        "sum" (needed("x"), axes("over", true)) = reduction::sum,
            "The sum over axes; over all axes of a sample when none is named.";
        "max" (needed("x"), axes("over", true)) = reduction::max,
            "The greatest element over axes; over all axes of a sample when none is named.";
        "argmax" (needed("x"), axes("over", true)) = reduction::argmax,
            "The index of the first greatest element along an axis, a class.";
        "count" (needed("x"), axes("over", true)) = reduction::count,
            "How many elements a reduction over these axes takes together, an int.";
        "reshape" (needed("x"), shape("shape")) = movement::reshape,
            "The same elements in row-major order under another shape.";
        "transpose" (needed("x"), axes("to", false)) = movement::transpose,
            "The axes in another order.";
        "pad" (needed("x"), axes("over", false), needed("before"), needed("after"), optional("value")) = movement::pad,
            "An axis made longer at both ends, filled with a value (0).";
        "slice" (needed("x"), axes("over", false), needed("from"), needed("to")) = movement::slice,
            "The elements from..to of an axis.";
        "windows" (needed("x"), axes("over", false), needed("size"), optional("stride"), optional("dilation")) = movement::windows,
            "An axis cut into overlapping windows: the axis then says which window, a new one behind it where in the window.";
        "concat" (needed("parts"), axes("over", false)) = movement::concat,
            "A list of tensors one behind the other along an axis.";
        "split" (needed("x"), needed("parts"), axes("over", true)) = movement::split,
            "An axis cut into equal parts, a list.";
        "stack" (needed("parts")) = arrange::stack,
            "A list of tensors of one shape along a new first axis.";
        "each" (needed("list"), needed("function")) = arrange::each,
            "A function of each of a list, a list.";
        "pair" (needed("x")) = arrange::pair,
            "A list of two ints: the list itself, or one int twice; a word, such as \"same\", may stand for an int.";
        "reverse" (needed("x"), axes("over", false)) = arrange::reverse,
            "An axis from its end to its start.";
        "dilate" (needed("x"), axes("over", false), needed("by")) = arrange::dilate,
            "Zeros between the elements of an axis, each `by` from the next.";
        "stretch" (needed("x"), axes("over", false), needed("by")) = arrange::stretch,
            "Each element of an axis `by` times.";
        "fill" (needed("value"), shape("shape")) = arrange::fill,
            "A tensor of one number, the same for all samples.";
        "gather" (needed("x"), needed("at"), axes("over", false)) = arrange::gather,
            "The elements of an axis that classes name, in the place of that axis.";
        "scatter" (needed("x"), needed("at"), needed("size")) = arrange::scatter,
            "For each of so many classes the sum of the rows of x that it names.";
        "cumsum" (needed("x"), axes("over", false)) = order::cumsum,
            "The sums of the elements up to each along an axis.";
        "top_k" (needed("x"), needed("k"), axes("over", true)) = order::top_k,
            "The k greatest elements along an axis and their places, two tensors.";
        "index" (needed("x"), axes("over", true)) = facts::index,
            "0, 1, 2, ... along an axis of x.";
        "one_hot" (needed("x")) = facts::one_hot,
            "For classes: a new last axis with a 1 at the class and 0 elsewhere.";
        "einsum" (needed("formula"), needed("a"), optional("b"), optional("c"), optional("d")) = product::einsum,
            "Any sum of products by named axes: einsum(\"t e, u e -> t u\", q, k).";
        "random" (optional_shape("shape")) = facts::random,
            "Uniform in [0, 1); of a shape for each sample, or as many as the use needs.";
        "total" (needed("x")) = totals::total,
            "In `report`: the sum over all samples of the pass.";
        "total_spread" (needed("x")) = totals::total_spread,
            "In `report`: the sum of squared distances from the mean of all samples of the pass.";
        "grad" (needed("loss"), needed("x")) = training::grad,
            "The gradient of a number by a value that it was made of.";
        "all_samples" (needed("x")) = training::all_samples,
            "The values of all samples of the batch, along a new first axis, seen by each.";
        "copy" (needed("net")) = training::copy,
            "In `train`: the same net with weights of its own, which only `update` changes.";
        "parameters" (needed("net")) = training::parameters,
            "The parameters of a net or a bound layer, a list.";
        "weights" (needed("path"), optional("from"), optional("into")) = training::weights,
            "For `init`: the saved weights in a file; of one part of it, into another part of the model.";
        "check" (needed("condition"), needed("message"), optional("help")) = advice::check,
            "Stops with the message unless the condition holds; {name} in it shows a value.";
        "warn" (needed("condition"), needed("message"), optional("help")) = advice::warn,
            "Warns with the message if the condition holds; {name} in it shows a value.";
        "known" (needed("x")) = advice::known,
            "Whether a value is known when compiling, `true` or `false`.";
        "kind_of" (needed("x")) = advice::kind_of,
            "What a value is when compiling: \"int\", \"float\", \"bool\", \"string\", \"list\", \"tensor\" or \"other\".";
        "made_by" (needed("x"), needed("function")) = advice::made_by,
            "Whether a tensor is the result of a function, `true` or `false`.";
    }
}

impl<'a> Interpreter<'a> {
    /// An argument that must be a tensor of numbers.
    fn numbers_argument(&mut self, given: &Given<'a>) -> Eval<Tensor> {
        self.want_numbers(given)?;
        let tensor = self.tensor_argument(given)?;
        Ok(self.numbers(&tensor))
    }

    /// An argument that must be a tensor.
    fn tensor_argument(&mut self, given: &Given<'a>) -> Eval<Tensor> {
        match &given.value {
            Value::Tensor(tensor) => Ok(tensor.clone()),
            value => Err(self.no_tensor(value, given.span, "a tensor")),
        }
    }

    /// An argument that must be an int of at least `least`.
    fn int_argument(&mut self, given: &Given<'a>, what: &str, least: i64) -> Eval<usize> {
        match given.value {
            Value::Int(value) if (least..=LARGEST).contains(&value) => Ok(value as usize),
            Value::Int(value) if value > LARGEST => Err(self.bad_value(
                given.span,
                format!("{what} cannot be {value}"),
                format!("must be at most {LARGEST}"),
            )),
            Value::Int(value) => Err(self.bad_value(
                given.span,
                format!("{what} cannot be {value}"),
                format!("must be at least {least}"),
            )),
            ref value => Err(self.wrong_kind(value, given.span, &format!("an int for {what}"))),
        }
    }

    fn bad_value(&mut self, span: Span, message: String, here: String) -> Reported {
        self.fault(Diagnostic::error(Code::BadValue, span, message).here(here))
    }
}

/// The argument at a position, which matching has made sure of.
fn argument<'c, 'a>(arguments: &'c [Option<Given<'a>>], position: usize) -> &'c Given<'a> {
    match &arguments[position] {
        Some(given) => given,
        None => unreachable!("elaborate: missing arguments were refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn each_builtin_is_documented_and_found_by_one_name() {
        for (i, builtin) in TABLE.iter().enumerate() {
            assert!(
                builtin.doc.ends_with('.') || builtin.doc.ends_with(')'),
                "{}",
                builtin.name
            );
            assert!(TABLE[..i].iter().all(|other| other.name != builtin.name));
        }
    }
}
