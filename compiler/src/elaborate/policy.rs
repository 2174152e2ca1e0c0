//! `policy = ...`: how a model acts in the environment that is its data. It becomes a graph of
//! its own, twice: as it explores while training, and as it acts when it is judged.

use super::data::Data;
use super::faults::with_trace;
use super::interpreter::Interpreter;
use super::settings::Settings;
use super::tensors::Target;
use super::values::{Axis, Element, Eval, Given, Home, Reported, Tensor, Value};
use crate::graph::{Field, InputKind, NodeId, Op};
use nnc_grammar::ast::{Block, Expr, StatementKind, Train};
use nnc_grammar::{Code, Diagnostic};

impl<'a> Interpreter<'a> {
    /// Whether there is a policy where one is needed, and none elsewhere.
    pub fn check_policy(&mut self, train: &Train, policy: Option<&Expr>, data: Option<&Data>) {
        let Some(data) = data else {
            return;
        };
        let source = &data.pipeline[0].name;
        match (policy, data.is_environment) {
            (None, true) => {
                let seen = &data.fields[0].name;
                let example = format!("policy = epsilon_greedy(net({seen}), 0.1)");
                self.lacks(train, "policy", &example);
            }
            (Some(policy), false) => {
                let message = format!("nobody acts in `{source}`: it needs no policy");
                let fault = Diagnostic::error(Code::BadSetting, policy.span, message)
                    .here("acts nowhere")
                    .label(data.span, "samples that are there")
                    .help("a policy goes with an environment, such as `cartpole()`");
                self.fault(fault);
            }
            (Some(_), true) | (None, false) => {}
        }
        if data.is_environment {
            self.refuse_pictures(&train.body, source);
        }
        if let ([_, step, ..], true) = (&data.pipeline[..], data.is_environment) {
            let message = format!("`{}` changes samples, but `{source}` is played", step.name);
            let fault = Diagnostic::error(Code::Misplaced, data.span, message)
                .here("goes through no steps")
                .help("change what is seen in the net that reads it");
            self.fault(fault);
        }
    }

    /// Pictures are made of samples that are there from the start.
    fn refuse_pictures(&mut self, block: &Block, source: &str) {
        for statement in &block.statements {
            match &statement.kind {
                StatementKind::Show(_) => {
                    let message = format!("`{source}` has no samples to show before it is played");
                    let fault = Diagnostic::error(Code::Misplaced, statement.span, message);
                    self.fault(fault.here("shows nothing"));
                }
                StatementKind::Step { body, .. } => self.refuse_pictures(body, source),
                _ => {}
            }
        }
    }

    /// What the policy decides for each sample; made before any of `steps` is.
    pub fn policy(
        &mut self,
        expr: &'a Expr,
        settings: &Settings<'a>,
        steps: usize,
    ) -> Eval<NodeId> {
        let [seen, decided, ..] = &settings.data.fields[..] else {
            return Err(Reported(()));
        };
        // Without an environment that has been told.
        if !settings.data.is_environment {
            return Err(Reported(()));
        }
        if steps > 0 {
            let message = "`policy` stands below a step";
            let fault = Diagnostic::error(Code::Misplaced, expr.span, message)
                .here("would act with weights that the step has yet to make")
                .help("write it above the steps");
            return Err(self.fault(fault));
        }
        // Acting changes no states: only what is learnt from does.
        let states = self.run.current.clone();
        let given = self.given(expr);
        self.run.current = states;
        let action = self.action(&given?, decided, &settings.data)?;
        self.sees_only(action, seen, expr)?;
        Ok(action)
    }

    /// The value as a class for each sample.
    fn action(&mut self, given: &Given<'a>, decided: &Field, data: &Data) -> Eval<NodeId> {
        let actions = decided.classes.unwrap_or(0);
        let source = &data.pipeline[0].name;
        let Value::Tensor(tensor) = &given.value else {
            let wanted = format!("an action of `{source}`, class({actions})");
            return Err(self.wrong_kind(&given.value, given.span, &wanted));
        };
        let fits = tensor.element == Element::Class(actions)
            && tensor.axes.is_empty()
            && tensor.home == Home::Body;
        if !fits {
            return Err(self.no_action(given, tensor, actions, source));
        }
        let target = Target {
            home: Home::Body,
            batch: true,
            axes: Vec::<Axis>::new(),
        };
        self.spread(given, &target, decided.dtype)
    }

    fn no_action(
        &mut self,
        given: &Given<'a>,
        tensor: &Tensor,
        actions: usize,
        source: &str,
    ) -> Reported {
        let shape = tensor.shape_text();
        let message = match tensor.element {
            Element::Class(others) if tensor.axes.is_empty() => format!(
                "`{source}` has {actions} actions, but this policy decides between {others}"
            ),
            _ => format!("a policy decides on one action, class({actions}), but this is {shape}"),
        };
        let mut fault = Diagnostic::error(Code::ShapeMismatch, given.span, message)
            .here(format!("gives {shape}"));
        if tensor.element == Element::Number && tensor.sizes() == [actions] {
            let text = self.sources.text(given.span);
            fault = fault.help(format!("take the best: `policy = argmax({text})`"));
        }
        self.fault(with_trace(fault, tensor.trace.as_ref()))
    }

    /// Whether a decision depends on nothing that is known only after it.
    fn sees_only(&mut self, action: NodeId, seen: &Field, expr: &Expr) -> Eval<()> {
        let graph = self.run.body.graph();
        let mut needed = vec![false; graph.nodes.len()];
        needed[action.index()] = true;
        let mut later = None;
        for (id, node) in graph.iter().rev() {
            if !needed[id.index()] {
                continue;
            }
            for input in &node.inputs {
                needed[input.index()] = true;
            }
            if let Op::Input(input) = node.op
                && let InputKind::Field(name) = &self.run.inputs[input.index()].kind
                && *name != seen.name
            {
                later = Some(name.clone());
            }
        }
        let Some(later) = later else {
            return Ok(());
        };
        let message = format!(
            "a policy sees `{}` alone, but this one depends on `{later}`",
            seen.name
        );
        let fault = Diagnostic::error(Code::Misplaced, expr.span, message)
            .here(format!("reads `{later}`, which is known only afterwards"));
        Err(self.fault(fault))
    }
}
