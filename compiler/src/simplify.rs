//! Makes steps smaller: named rewrites of one node each, equal nodes made one,
//! constants folded, what nobody reads dropped, until nothing changes.
//!
//! What the rewrites keep is the value for real numbers. Three liberties are taken
//! with floating point: terms and factors may be grouped in another way, a
//! division by a constant becomes a multiplication, and `x * 0` is 0 even where x is infinite or
//! NaN, as is the sum of what is left of x without its mean.

mod arithmetic;
mod choices;
mod movement;
mod products;
mod quotients;
mod reductions;
mod rewrite;
mod time;

#[cfg(test)]
mod tests;

use crate::bug::bug;
use crate::graph::{Graph, GraphBuilder, NodeId, Step};
use rewrite::Rewrite;
use std::collections::BTreeMap;

/// A rewrite: another node of the same value, where it applies.
type Rule = fn(&mut Rewrite, NodeId) -> Option<NodeId>;

/// All rewrites, tried in this order at each node.
const RULES: &[(&str, Rule)] = &[
    ("fold_constants", arithmetic::fold_constants),
    ("drop_stop_gradient", arithmetic::drop_stop_gradient),
    ("constant_last", arithmetic::constant_last),
    ("drop_neutral", arithmetic::drop_neutral),
    ("times_zero", arithmetic::times_zero),
    ("group_constants", arithmetic::group_constants),
    ("factor_out", arithmetic::factor_out),
    ("divide_sum", quotients::divide_sum),
    ("divide_other_factor", quotients::divide_other_factor),
    ("divide_by_constant", arithmetic::divide_by_constant),
    ("add_twice", arithmetic::add_twice),
    ("lift_negation", arithmetic::lift_negation),
    ("small_power", arithmetic::small_power),
    ("choose_by_constant", choices::choose_by_constant),
    ("choose_same", choices::choose_same),
    ("choose_again", choices::choose_again),
    ("choose_by_negation", choices::choose_by_negation),
    (
        "choose_instead_of_multiplying",
        choices::choose_instead_of_multiplying,
    ),
    (
        "push_constant_into_choice",
        choices::push_constant_into_choice,
    ),
    ("join_choices", choices::join_choices),
    ("compare_result", choices::compare_result),
    ("view_of_constant", movement::view_of_constant),
    ("sink_view", movement::sink_view),
    ("narrow_broadcast", movement::narrow_broadcast),
    ("group_broadcasts", movement::group_broadcasts),
    ("sink_merge", movement::sink_merge),
    ("sum_of_constant", reductions::sum_of_constant),
    ("reduce_once", reductions::reduce_once),
    ("reduce_unit_axes", reductions::reduce_unit_axes),
    ("reduce_merged", reductions::reduce_merged),
    (
        "reduce_before_broadcast",
        reductions::reduce_before_broadcast,
    ),
    ("sum_of_centred", reductions::sum_of_centred),
    ("sum_of_scatter", reductions::sum_of_scatter),
    ("scale_after_sum", reductions::scale_after_sum),
    ("sum_of_products", products::sum_of_products),
    ("sum_of_product", products::sum_of_product),
    ("scale_after_product", products::scale_after_product),
    ("transpose_in_product", products::transpose_in_product),
    ("sum_out_of_product", products::sum_out_of_product),
];

/// More passes than any graph has needed by far.
const PASSES: usize = 100;

/// How often each rewrite was made, by its name; those that never were do not occur.
pub type Counts = BTreeMap<&'static str, usize>;

/// The same step with less to do.
pub fn simplify(step: &Step) -> Step {
    simplify_counting(step).0
}

/// The same step with less to do, and what was done to it.
pub fn simplify_counting(step: &Step) -> (Step, Counts) {
    let mut counts = Counts::new();
    let mut step = settle(step, &mut counts);
    if time::has_scans(&step) {
        time::simplify_bodies(&mut step, &mut counts);
        step = settle(&time::distribute(&step), &mut counts);
        time::simplify_bodies(&mut step, &mut counts);
    }
    (step, counts)
}

/// Rewrites until nothing changes.
fn settle(step: &Step, counts: &mut Counts) -> Step {
    let mut step = pass(step, counts);
    for _ in 0..PASSES {
        let before = counts.values().sum::<usize>();
        let next = pass(&step, counts);
        let done = counts.values().sum::<usize>() == before && next.graph == step.graph;
        step = next;
        if done {
            return step;
        }
    }
    bug!("simplify", "rewrites go in circles: {counts:?}")
}

/// Copies what is needed, node by node, each as the rewrites leave it.
fn pass(step: &Step, counts: &mut Counts) -> Step {
    let uses = count_uses(step);
    let mut new: Vec<NodeId> = Vec::with_capacity(step.graph.nodes.len());
    let mut rewrite = Rewrite::new(GraphBuilder::sharing(&step.graph.origins));
    for (id, node) in step.graph.iter() {
        if uses[id.index()] == 0 {
            // Nobody reads it, so nobody looks this up.
            new.push(NodeId(0));
            continue;
        }
        rewrite.g.set_origin_at(node.origin);
        let mut copy = rewrite.copy(node, &node.inputs_in(&new));
        while let Some((name, better)) = first_match(&mut rewrite, copy) {
            *counts.entry(name).or_default() += 1;
            copy = better;
        }
        rewrite.used(copy, uses[id.index()]);
        new.push(copy);
    }
    let mut step = step.moved_to(rewrite.g.finish(), &new);
    drop_dead(&mut step);
    step
}

fn first_match(rewrite: &mut Rewrite, id: NodeId) -> Option<(&'static str, NodeId)> {
    RULES.iter().find_map(|&(name, rule)| {
        let better = rule(rewrite, id)?;
        (better != id).then_some((name, better))
    })
}

/// How often each node is read, 0 for those on which no result depends.
fn count_uses(step: &Step) -> Vec<u32> {
    let mut uses = vec![0; step.graph.nodes.len()];
    let outputs = step.outputs.iter().map(|(_, id)| id);
    let updates = step.updates.iter().map(|(_, id)| id);
    outputs.chain(updates).for_each(|id| uses[id.index()] += 1);
    for (id, node) in step.graph.iter().rev() {
        if uses[id.index()] > 0 {
            node.inputs.iter().for_each(|x| uses[x.index()] += 1);
        }
    }
    uses
}

/// Drops what no result depends on, and renumbers.
fn drop_dead(step: &mut Step) {
    let uses = count_uses(step);
    let mut new = vec![NodeId(0); uses.len()];
    let mut graph = Graph {
        nodes: Vec::new(),
        origins: std::mem::take(&mut step.graph.origins),
    };
    for (old, mut node) in std::mem::take(&mut step.graph.nodes)
        .into_iter()
        .enumerate()
    {
        if uses[old] > 0 {
            node.inputs.iter_mut().for_each(|x| *x = new[x.index()]);
            new[old] = NodeId(graph.nodes.len() as u32);
            graph.nodes.push(node);
        }
    }
    *step = step.moved_to(graph, &new);
}
