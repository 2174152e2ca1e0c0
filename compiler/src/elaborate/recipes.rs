//! Recipes: numbers that get their shape from where they are used. `x *
//! bernoulli(0.5)` draws as many as `x` has elements, `param w: [n, m] =
//! uniform(-1, 1)` as many as `w` has.

use super::interpreter::Interpreter;
use super::tensors::Target;
use super::values::{Element, Eval, Given, Home, Recipe, Value};
use crate::graph::{DType, InputKind, NodeId, Type};
use nnc_grammar::{Code, Diagnostic, Span};

/// How many inputs and outputs a parameter connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fans {
    pub fan_in: f64,
    pub fan_out: f64,
}

/// Keras' rule: the last axis is what comes out, the last but one what goes in,
/// those before are the receptive field.
pub(super) fn fans(shape: &[usize]) -> Fans {
    let size = |i: usize| shape[i] as f64;
    match shape.len() {
        0 => Fans {
            fan_in: 1.0,
            fan_out: 1.0,
        },
        1 => Fans {
            fan_in: size(0),
            fan_out: size(0),
        },
        rank => {
            let field: f64 = shape[..rank - 2].iter().map(|&n| n as f64).product();
            Fans {
                fan_in: field * size(rank - 2),
                fan_out: field * size(rank - 1),
            }
        }
    }
}

impl<'a> Interpreter<'a> {
    /// The recipe with a shape.
    pub fn instantiate(
        &mut self,
        recipe: &Recipe<'a>,
        target: &Target,
        fans: Option<Fans>,
        span: Span,
    ) -> Eval<Value<'a>> {
        match recipe {
            Recipe::Uniform(draw) => {
                let node = self.draw(*draw, target, span)?;
                Ok(Value::Tensor(target.clone().tensor(node, Element::Number)))
            }
            Recipe::FanIn | Recipe::FanOut => match (recipe, fans) {
                (Recipe::FanIn, Some(fans)) => Ok(Value::Float(fans.fan_in)),
                (_, Some(fans)) => Ok(Value::Float(fans.fan_out)),
                (_, None) => Err(self.fault(
                    Diagnostic::error(
                        Code::Misplaced,
                        span,
                        "`fan_in` and `fan_out` are known only where a parameter gets its first value",
                    )
                    .here("not an initial value"),
                )),
            },
            Recipe::Apply(op, operands) => {
                let mut given = Vec::new();
                for operand in operands {
                    let value = match operand {
                        Value::Recipe(recipe) => self.instantiate(recipe, target, fans, span)?,
                        value => value.clone(),
                    };
                    given.push(Given { value, span });
                }
                self.pointwise(*op, given, span)
            }
        }
    }

    /// Uniform random numbers. One draw used twice in one shape is one tensor.
    fn draw(&mut self, draw: u32, target: &Target, span: Span) -> Eval<NodeId> {
        let shape = self.full_shape(target.batch, &target.sizes());
        self.check_size(&shape, span)?;
        match target.home {
            Home::Init => Ok(self.initial_draw(draw, &shape)),
            Home::Body => {
                let key = (draw, shape.clone());
                if let Some(&node) = self.run.draws.get(&key) {
                    return Ok(node);
                }
                let ty = Type {
                    dtype: DType::I32,
                    shape: Vec::new(),
                };
                let seed = self.input(InputKind::Seed, ty);
                let node = self.graph(Home::Body).uniform(seed, draw, &shape);
                self.run.draws.insert(key, node);
                Ok(node)
            }
            Home::Metrics => Err(self.fault(
                Diagnostic::error(
                    Code::Misplaced,
                    span,
                    "totals cannot be mixed with random numbers",
                )
                .here("draws random numbers"),
            )),
        }
    }
}
