//! Sums of products: `@` and `einsum`.

use super::argument;
use crate::elaborate::faults::with_trace;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Axis, Element, Eval, Given, Home, Reported, Tensor, Value};
use crate::graph::{Contract, View};
use crate::index::IndexExpr;
use nnc_grammar::{Code, Diagnostic, Span};

/// Which index runs along each axis of the operands and of the result.
#[derive(Clone)]
pub(super) struct Indices {
    pub operands: Vec<Vec<usize>>,
    pub result: Vec<usize>,
    /// Size of each index.
    pub sizes: Vec<usize>,
}

pub(super) fn einsum<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let formula = argument(arguments, 0);
    let Value::String(text) = &formula.value else {
        return Err(interpreter.wrong_kind(
            &formula.value,
            formula.span,
            "a formula such as \"t e, u e -> t u\"",
        ));
    };
    let mut tensors = Vec::new();
    for given in arguments[1..].iter().flatten() {
        tensors.push((interpreter.numbers_argument(given)?, given.span));
    }
    let (indices, names) = interpreter.formula(text, formula.span, &tensors, span)?;
    let mut result = interpreter.products(tensors, indices.clone(), span)?;
    for (axis, &index) in result.axes.iter_mut().zip(&indices.result) {
        let label = interpreter.label(&names[index]);
        axis.name(label);
    }
    Ok(Value::Tensor(result))
}

impl<'a> Interpreter<'a> {
    /// `a @ b`: the last axis of `a` against the first of `b`.
    pub fn matmul(&mut self, a: &Given<'a>, b: &Given<'a>, span: Span) -> Eval<Value<'a>> {
        let x = self.numbers_argument(a)?;
        let w = self.numbers_argument(b)?;
        // x: [.., n], w: [n, m] -> [.., m]; with further axes in front of w, which x must
        // have too: [b.., t, n], [b.., n, m] -> [b.., t, m].
        let (rank, columns) = (x.axes.len(), w.axes.len());
        let shared = columns.saturating_sub(2);
        let apart = x
            .axes
            .iter()
            .zip(&w.axes)
            .take(shared)
            .any(|(a, b)| a.size != b.size);
        if rank == 0 || columns == 0 || apart || (shared > 0 && rank != columns) {
            let fault = Diagnostic::error(
                Code::ShapeMismatch,
                span,
                format!(
                    "`@` takes [.., n] and [n, m], or [b, t, n] and [b, n, m], not {} and {}",
                    x.shape_text(),
                    w.shape_text()
                ),
            )
            .help("say any other product by its axes: `einsum(\"t e, u e -> t u\", a, b)`");
            let fault = with_trace(fault, x.trace.as_ref());
            return Err(self.fault(with_trace(fault, w.trace.as_ref())));
        }
        let (n, rows) = (x.axes[rank - 1].size, w.axes[shared].size);
        if n != rows {
            let which = if shared > 0 { "last but one" } else { "first" };
            let fault = Diagnostic::error(
                Code::ShapeMismatch,
                span,
                format!(
                    "`@` multiplies the last axis of {} with the {which} of {}, but {n} is not {rows}",
                    x.shape_text(),
                    w.shape_text()
                ),
            )
            .label(a.span, format!("gives {}", x.shape_text()))
            .label(b.span, format!("gives {}", w.shape_text()));
            let fault = with_trace(fault, x.trace.as_ref());
            return Err(self.fault(with_trace(fault, w.trace.as_ref())));
        }
        let result_columns = rank..rank + columns - shared - 1;
        let indices = Indices {
            operands: vec![
                (0..rank).collect(),
                (0..shared)
                    .chain([rank - 1])
                    .chain(result_columns.clone())
                    .collect(),
            ],
            result: (0..rank - 1).chain(result_columns).collect(),
            sizes: x
                .sizes()
                .into_iter()
                .chain(w.sizes().into_iter().skip(shared + 1))
                .collect(),
        };
        let product = self.product(&[(x, a.span), (w, b.span)], &indices, span)?;
        Ok(Value::Tensor(product))
    }

    /// The product of any number of tensors, two at a time from the left: what neither a later
    /// one nor the result reads is summed as soon as it can be.
    fn products(
        &mut self,
        mut tensors: Vec<(Tensor, Span)>,
        mut indices: Indices,
        span: Span,
    ) -> Eval<Tensor> {
        while tensors.len() > 2 {
            let later = tensors.split_off(2);
            let later_indices = indices.operands.split_off(2);
            let read = |index: &usize| {
                indices.result.contains(index) || later_indices.iter().flatten().any(|i| i == index)
            };
            let mut kept: Vec<usize> = Vec::new();
            for &index in indices.operands.iter().flatten() {
                if read(&index) && !kept.contains(&index) {
                    kept.push(index);
                }
            }
            let first = Indices {
                operands: indices.operands,
                result: kept.clone(),
                sizes: indices.sizes.clone(),
            };
            let made = self.product(&tensors, &first, span)?;
            tensors = [(made, span)].into_iter().chain(later).collect();
            indices.operands = [kept].into_iter().chain(later_indices).collect();
        }
        self.product(&tensors, &indices, span)
    }

    /// Reads `t h e, u h e -> h t u`.
    fn formula(
        &mut self,
        text: &str,
        place: Span,
        tensors: &[(Tensor, Span)],
        span: Span,
    ) -> Eval<(Indices, Vec<String>)> {
        let Some((operands, result)) = text.split_once("->") else {
            return Err(
                self.bad_formula(place, "a formula needs `->`, such as \"t e, u e -> t u\"")
            );
        };
        let operands: Vec<Vec<&str>> = operands
            .split(',')
            .map(|o| o.split_whitespace().collect())
            .collect();
        if operands.len() != tensors.len() {
            let count = |n: usize, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            let (named, given) = (
                count(operands.len(), "operand"),
                count(tensors.len(), "tensor"),
            );
            let message = format!("the formula has {named}, and {given} to work on");
            return Err(self.bad_formula(place, &message));
        }
        let all = operands.iter().flatten();
        if let Some(name) = all.copied().find(|name| !is_name(name)) {
            let message = format!("`{name}` is no name of an axis");
            return Err(self.bad_formula(place, &message));
        }
        let mut names: Vec<String> = Vec::new();
        let mut from: Vec<(usize, usize)> = Vec::new();
        let mut indices = Indices {
            operands: Vec::new(),
            result: Vec::new(),
            sizes: Vec::new(),
        };
        for (o, (operand, (tensor, tensor_span))) in operands.iter().zip(tensors).enumerate() {
            if operand.len() != tensor.axes.len() {
                let fault = Diagnostic::error(
                    Code::ShapeMismatch,
                    *tensor_span,
                    format!(
                        "the formula has `{}` for {}, which has {} axes",
                        operand.join(" "),
                        tensor.shape_text(),
                        tensor.axes.len()
                    ),
                )
                .here(format!("gives {}", tensor.shape_text()))
                .label(place, "in this formula");
                return Err(self.fault(with_trace(fault, tensor.trace.as_ref())));
            }
            let mut own = Vec::new();
            for (name, axis) in operand.iter().zip(&tensor.axes) {
                let index = match names.iter().position(|known| known == name) {
                    Some(index) if indices.sizes[index] == axis.size => index,
                    Some(index) => {
                        let (first, _) = from[index];
                        return Err(self.sizes_differ(
                            name,
                            &tensors[first],
                            (tensor, *tensor_span),
                            span,
                        ));
                    }
                    None => {
                        names.push((*name).to_owned());
                        from.push((o, own.len()));
                        indices.sizes.push(axis.size);
                        names.len() - 1
                    }
                };
                own.push(index);
            }
            indices.operands.push(own);
        }
        for name in result.split_whitespace() {
            let Some(index) = names.iter().position(|known| known == name) else {
                let message = format!("`{name}` stands behind `->`, but in no operand");
                return Err(self.bad_formula(place, &message));
            };
            if indices.result.contains(&index) {
                let message = format!("`{name}` stands twice behind `->`");
                return Err(self.bad_formula(place, &message));
            }
            indices.result.push(index);
        }
        Ok((indices, names))
    }

    fn bad_formula(&mut self, place: Span, message: &str) -> Reported {
        self.fault(Diagnostic::error(Code::BadValue, place, message).here("in this formula"))
    }

    fn sizes_differ(
        &mut self,
        name: &str,
        (a, a_span): &(Tensor, Span),
        (b, b_span): (&Tensor, Span),
        span: Span,
    ) -> Reported {
        let fault = Diagnostic::error(
            Code::ShapeMismatch,
            span,
            format!(
                "the axis `{name}` has one size in {} and another in {}",
                a.shape_text(),
                b.shape_text()
            ),
        )
        .label(*a_span, format!("gives {}", a.shape_text()))
        .label(b_span, format!("gives {}", b.shape_text()))
        .help("axes of the same name are the same axis; give one of them another name");
        self.fault(fault)
    }

    /// Where all of some tensors are at home.
    pub(super) fn one_home(&mut self, tensors: &[(&Tensor, Span)]) -> Eval<Home> {
        let home = tensors[0].0.home;
        if let Some((_, other)) = tensors.iter().find(|(tensor, _)| tensor.home != home) {
            let fault = Diagnostic::error(
                Code::Misplaced,
                *other,
                "a total over the whole pass meets a value of single samples",
            );
            return Err(self.fault(fault.here("mixes the two")));
        }
        Ok(home)
    }

    /// The product as one node; the batch, where an operand has it, leads.
    pub(super) fn product(
        &mut self,
        tensors: &[(Tensor, Span)],
        indices: &Indices,
        span: Span,
    ) -> Eval<Tensor> {
        let given: Vec<(&Tensor, Span)> = tensors.iter().map(|(x, span)| (x, *span)).collect();
        let home = self.one_home(&given)?;
        let batch = tensors.iter().any(|(tensor, _)| tensor.batch);
        let leading = usize::from(batch);
        // Dimensions: the batch, the result's indices, the summed ones.
        let used = |index: &usize| indices.operands.iter().flatten().any(|i| i == index);
        let summed =
            (0..indices.sizes.len()).filter(|index| used(index) && !indices.result.contains(index));
        let order: Vec<usize> = indices.result.iter().copied().chain(summed).collect();
        let sizes: Vec<usize> = order.iter().map(|&index| indices.sizes[index]).collect();
        let dims = self.full_shape(batch, &sizes);
        let rank = leading + indices.result.len();
        self.check_size(&dims[..rank], span)?;
        let map = |tensor: &Tensor, own: &[usize]| -> Vec<IndexExpr> {
            let places = own
                .iter()
                .map(|index| order.iter().position(|i| i == index));
            let places = places.map(|place| IndexExpr::dim(place.unwrap_or_default() + leading));
            tensor
                .batch
                .then(|| IndexExpr::dim(0))
                .into_iter()
                .chain(places)
                .collect()
        };
        let maps: Vec<Vec<IndexExpr>> = tensors
            .iter()
            .zip(&indices.operands)
            .map(|((tensor, _), own)| map(tensor, own))
            .collect();
        let graph = self.graph(home);
        let node = match (tensors, maps.as_slice()) {
            ([(a, _), (b, _)], [a_map, b_map]) => {
                let contract = Contract {
                    dims,
                    rank,
                    a: a_map.clone(),
                    b: b_map.clone(),
                };
                graph.contract(a.node, b.node, contract)
            }
            ([(a, _)], [a_map]) => {
                let axes: Vec<usize> = (rank..dims.len()).collect();
                let spread = graph.view(
                    a.node,
                    View {
                        shape: dims,
                        map: a_map.clone(),
                        fill: 0.0,
                    },
                );
                graph.sum(spread, &axes)
            }
            _ => unreachable!("elaborate: a product of {} operands", tensors.len()),
        };
        let axes = indices.result.iter().map(|&index| {
            let own = tensors
                .iter()
                .zip(&indices.operands)
                .find_map(|((tensor, _), own)| {
                    own.iter()
                        .position(|&i| i == index)
                        .map(|axis| tensor.axes[axis].clone())
                });
            own.unwrap_or_else(|| Axis::unnamed(indices.sizes[index]))
        });
        Ok(Tensor {
            node,
            home,
            batch,
            axes: axes.collect(),
            element: Element::Number,
            trace: tensors[0].0.trace.clone(),
        })
    }
}

/// Letters, digits and `_`, of which a digit is not the first.
fn is_name(text: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(of_name) && !text.starts_with(|c: char| c.is_ascii_digit())
}
