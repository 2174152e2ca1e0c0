//! The primitives, one file each: what an operation means, the type of its result
//! (`infer`), its gradient in terms of other operations (`grad`), the scalar
//! expression it becomes (`lower`, pointwise ones), and what a naive reader of the
//! definition computes (`eval`, the oracle that compiled code is tested against).

mod chain;
mod inverse;
mod operands;
mod tensor;

#[cfg(test)]
mod laws;

pub use chain::Chain;
pub use tensor::{Precision, Tensor};

use crate::bug::bug;
use crate::graph::{DType, Op, Type};
use crate::nest::{ScalarId, ScalarPool};
use operands::Operands;

/// Registers the operations: a pattern, its file, and the attributes that the functions there take.
macro_rules! primitives {
    (
        pointwise { $($point:pat => $point_file:ident($($point_attr:ident),*);)+ }
        others { $($other:pat => $other_file:ident($($other_attr:ident),*);)+ }
    ) => {
        $(mod $point_file;)+
        $(mod $other_file;)+

        /// The type of an operation's result, or what is wrong with its operands. Leaves
        /// and reshapes take the type that they are given.
        pub fn infer(op: &Op, inputs: &[&Type], given: Option<&Type>) -> Result<Type, String> {
            let operands = Operands::new(inputs, given);
            let ty = match op {
                $($point => $point_file::infer($($point_attr,)* &operands),)+
                $($other => $other_file::infer($($other_attr,)* &operands),)+
            }?;
            operands.accept(ty)
        }

        /// Hands each operand of a node its share of the node's gradient.
        pub fn grad(op: &Op, chain: &mut Chain) {
            match op {
                $($point => $point_file::grad($($point_attr,)* chain),)+
                $($other => $other_file::grad($($other_attr,)* chain),)+
            }
        }

        /// The scalar expression that a pointwise operation becomes. `of` is the type of its last operand.
        pub fn lower(op: &Op, s: &mut ScalarPool, x: &[ScalarId], of: DType) -> ScalarId {
            match op {
                $($point => $point_file::lower($($point_attr,)* s, x, of),)+
                _ => bug!("lower", "{op:?} is not pointwise"),
            }
        }

        /// Whether the operation acts on each element alone: whether it can be lowered.
        #[allow(unused_variables, reason = "patterns bind attributes that do not matter here")]
        pub fn is_pointwise(op: &Op) -> bool {
            match op {
                $($point => true,)+
                $($other => false,)+
            }
        }

        /// What the operation makes of its operands, rounded as stored.
        pub fn eval(op: &Op, x: &[&Tensor], ty: &Type, precision: Precision) -> Tensor {
            match op {
                $($point => Tensor::pointwise(x, ty, precision, |x, of| $point_file::eval($($point_attr,)* x, of)),)+
                $($other => $other_file::eval($($other_attr,)* x, ty, precision),)+
            }
        }

        /// The name in dumps: that of the operation's file.
        #[allow(unused_variables, reason = "patterns bind attributes that do not matter here")]
        pub fn name(op: &Op) -> &'static str {
            match op {
                $($point => stringify!($point_file),)+
                $($other => stringify!($other_file),)+
            }
        }

        #[cfg(test)]
        const SOURCES: &[(&str, &str)] = &[
            $((stringify!($point_file), include_str!(concat!(stringify!($point_file), ".rs"))),)+
            $((stringify!($other_file), include_str!(concat!(stringify!($other_file), ".rs"))),)+
        ];
    };
}

primitives! {
    pointwise {
        Op::Neg => neg();
        Op::Abs => abs();
        Op::Sqrt => sqrt();
        Op::Exp => exp();
        Op::Log => log();
        Op::Sin => sin();
        Op::Cos => cos();
        Op::Tanh => tanh();
        Op::Erf => erf();
        Op::Floor => floor();
        Op::Not => not();
        Op::Cast(to) => cast(to);
        Op::StopGradient => stop_gradient();
        Op::Add => add();
        Op::Sub => sub();
        Op::Mul => mul();
        Op::Div => div();
        Op::Pow => pow();
        Op::Max => max();
        Op::Min => min();
        Op::Less => less();
        Op::LessEq => less_eq();
        Op::Equal => equal();
        Op::And => and();
        Op::Or => or();
        Op::Select => select();
    }
    others {
        Op::Input(_) | Op::Slot(_) => bound();
        Op::Constant(value) => constant(value);
        Op::Iota { axis } => iota(axis);
        Op::Uniform { stream } => uniform(stream);
        Op::View(view) => view(view);
        Op::Reshape => reshape();
        Op::Sum { axes } => sum(axes);
        Op::MaxOver { axes } => max_over(axes);
        Op::ArgMax { axis } => argmax(axis);
        Op::Contract(contract) => contract(contract);
        Op::Gather { axis, shared } => gather(axis, shared);
        Op::Scatter { axis, shared, size } => scatter(axis, shared, size);
        Op::Scan(body) => scan(body);
        Op::Part(position) => part(position);
        Op::Grad => gradient();
    }
}

/// A constant as a scalar expression.
pub fn lower_constant(s: &mut ScalarPool, value: f64, dtype: DType) -> ScalarId {
    constant::lower(value, s, dtype)
}

/// A random number as a scalar expression of the seed and the element's row-major index, both i32.
pub fn lower_uniform(s: &mut ScalarPool, stream: u32, seed: ScalarId, index: ScalarId) -> ScalarId {
    uniform::lower(stream, s, seed, index)
}
