//! What `report` adds up over a whole pass, in slots that are zero when it begins.

use super::argument;
use crate::elaborate::interpreter::Interpreter;
use crate::elaborate::values::{Element, Eval, Given, Home, Tensor, Value};
use crate::graph::{GraphBuilder, NodeId, SlotId, SlotKind, Type};
use nnc_grammar::{Code, Diagnostic, Span};

/// The sum over all samples.
pub(super) fn total<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let (tensor, path) = interpreter.added_up("total", argument(arguments, 0), span)?;
    Ok(Value::Tensor(interpreter.accumulate(&tensor, &path, span)))
}

/// The sum of squared distances from the mean of all samples.
///
/// Sums of squares would say it too, but where the mean is large beside the distances little
/// would be left of their difference. So the mean is carried along, and each batch brings
/// its own mean and the distances from that. Chan, Golub and LeVeque 1983.
pub(super) fn total_spread<'a>(
    interpreter: &mut Interpreter<'a>,
    arguments: &[Option<Given<'a>>],
    span: Span,
) -> Eval<Value<'a>> {
    let (tensor, path) = interpreter.added_up("total_spread", argument(arguments, 0), span)?;
    let shape = tensor.sizes();
    let [count, mean, spread] = ["count", "mean", "spread"]
        .map(|part| interpreter.total_slot(&format!("{path}_{part}"), &shape, span));

    let samples = interpreter.batch as f64;
    let g = interpreter.graph(Home::Body);
    let batched = [&[samples as usize], shape.as_slice()].concat();
    let inner: Vec<usize> = (1..batched.len()).collect();
    let for_each_sample = |g: &mut GraphBuilder, x| g.broadcast(x, &batched, &inner);
    let x = match tensor.batch {
        true => tensor.node,
        false => for_each_sample(g, tensor.node),
    };
    let sum = g.sum(x, &[0]);
    let own_mean = g.scale(sum, 1.0 / samples);
    let each = for_each_sample(g, own_mean);
    let distance = g.sub(x, each);
    let square = g.mul(distance, distance);
    let within = g.sum(square, &[0]);

    let new = g.constant_like(samples, own_mean);
    let new_count = g.add(count.old, new);
    let share = g.div(new, new_count);
    let apart = g.sub(own_mean, mean.old);
    let nearer = g.mul(apart, share);
    let new_mean = g.add(mean.old, nearer);
    let weight = g.mul(count.old, share);
    let square = g.mul(apart, apart);
    let between = g.mul(square, weight);
    let both = g.add(within, between);
    let new_spread = g.add(spread.old, both);

    for (total, new) in [
        (&count, new_count),
        (&mean, new_mean),
        (&spread, new_spread),
    ] {
        interpreter.run.totals.push((total.slot, new));
    }
    Ok(Value::Tensor(interpreter.after_pass(&spread, &tensor)))
}

/// A slot that is zero when a pass begins.
struct Total {
    slot: SlotId,
    /// Its value when a step begins.
    old: NodeId,
}

impl<'a> Interpreter<'a> {
    /// What a builtin of this name adds up, and the path of the slot for it.
    fn added_up(&mut self, name: &str, given: &Given<'a>, span: Span) -> Eval<(Tensor, String)> {
        let Some(metric) = self.run.metric.clone() else {
            return Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    span,
                    format!("`{name}` stands outside of `report`"),
                )
                .here("no pass to add up here")
                .help("to add up within a sample or a batch, write `sum(x, over: [batch, ..])`"),
            ));
        };
        self.want_numbers(given)?;
        let tensor = match &given.value {
            Value::Tensor(tensor) => self.numbers(&tensor.clone()),
            Value::Int(_) | Value::Float(_) => {
                let number = given.value.as_number().unwrap_or_default();
                let node = self.graph(Home::Body).scalar(number);
                self.scalar_tensor(node)
            }
            value => return Err(self.no_tensor(value, given.span, "a number or a tensor")),
        };
        if tensor.home != Home::Body {
            let fault = Diagnostic::error(Code::Misplaced, span, "a total of totals");
            return Err(self.fault(fault.here("is added up already")));
        }
        let number = self.run.metric_totals;
        self.run.metric_totals += 1;
        Ok((tensor, format!("total/{metric}_{number}")))
    }

    /// Sums over the batch and adds to a slot; the result is the slot as the metrics'
    /// graph reads it after the pass.
    pub fn accumulate(&mut self, tensor: &Tensor, path: &str, span: Span) -> Tensor {
        let total = self.total_slot(path, &tensor.sizes(), span);
        let samples = self.batch as f64;
        let g = self.graph(Home::Body);
        let added = match tensor.batch {
            true => g.sum(tensor.node, &[0]),
            false => g.scale(tensor.node, samples),
        };
        let new = g.add(total.old, added);
        self.run.totals.push((total.slot, new));
        self.after_pass(&total, tensor)
    }

    fn total_slot(&mut self, path: &str, shape: &[usize], span: Span) -> Total {
        let slot = self.zero_slot(SlotKind::Total, path, shape, span);
        let old = self.slot_node(slot);
        Total { slot, old }
    }

    /// A total as the metrics' graph reads it after the pass.
    fn after_pass(&mut self, total: &Total, of: &Tensor) -> Tensor {
        let ty = Type::f32(of.sizes());
        Tensor {
            node: self.graph(Home::Metrics).slot(total.slot, ty),
            home: Home::Metrics,
            batch: false,
            axes: of.axes.clone(),
            element: Element::Number,
            trace: None,
        }
    }
}
