//! A model's steps as the oracle performs them, once in f64 and once in f32, and compiled
//! programs that have to come to the same.

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::eval::{Results, eval};
use nnc_compiler::graph::{DType, Input, InputKind, Model, Node, Op, Phase, Step, Type};
use nnc_compiler::ops::{Precision, Tensor};
use nnc_compiler::target::Target;
use nnc_compiler::{compile, slot_table};
use nnc_runtime::rng::{Random, Stream};
use nnc_runtime::{Handle, Machine, program};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The steps of a short run: initial values, training, an evaluation, metrics, a prediction.
/// Each begins with what the f32 oracle has left, so that errors do not add up.
pub struct Course {
    steps: Vec<Recorded>,
}

struct Recorded {
    phase: Phase,
    inputs: Vec<Tensor>,
    slots: Vec<Tensor>,
    expected: Vec<Expected>,
}

impl Course {
    pub fn of(model: &Model, seed: u64, training: usize) -> Course {
        let mut slots = zeros(model);
        let mut phases = vec![Phase::Init];
        phases.extend(std::iter::repeat_n(Phase::Train, training));
        phases.extend([Phase::Eval, Phase::Metrics, Phase::Predict]);
        let mut steps = Vec::new();
        for (number, phase) in phases.into_iter().enumerate() {
            let inputs = inputs(model, phase, seed, number);
            let step = differentiate(&model.steps[&phase]);
            let oracle = |precision| eval(&step, &inputs, &slots, precision);
            let (exact, rounded) =
                rayon::join(|| oracle(Precision::F64), || oracle(Precision::F32));
            let expected = expected(model, &slots, &exact, &rounded, roundings(&step));
            let mut next = slots.clone();
            for (slot, value) in rounded.updates {
                next[slot.index()] = value;
            }
            steps.push(Recorded {
                phase,
                inputs,
                slots: std::mem::replace(&mut slots, next),
                expected,
            });
        }
        Course { steps }
    }

    /// Where the compiled programs come to something else.
    pub fn faults(&self, model: &Model, target: Target) -> Vec<String> {
        let mut programs = Programs::new(model, target);
        let mut faults = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let made = programs.run(step.phase, &step.inputs, &step.slots);
            let mut found = faults_of(&step.expected, &made);
            if !found.is_empty() {
                found = faults_of(&step.drawn_again(model), &made);
            }
            let told = found.into_iter();
            faults.extend(told.map(|fault| format!("step {number} ({:?}): {fault}", step.phase)));
        }
        faults
    }
}

fn faults_of(expected: &[Expected], made: &[Vec<f32>]) -> Vec<String> {
    let pairs = expected.iter().zip(made);
    pairs
        .filter_map(|(expected, made)| expected.fault(made))
        .collect()
}

impl Recorded {
    /// What is expected, with more samples of what rounding does. One alone may by luck come close to
    /// the exact result, above all where a tensor has few elements, and then says nothing.
    fn drawn_again(&self, model: &Model) -> Vec<Expected> {
        let step = differentiate(&model.steps[&self.phase]);
        let oracle = |precision| eval(&step, &self.inputs, &self.slots, precision);
        let exact = oracle(Precision::F64);
        let mut all: Vec<Expected> = self.expected.clone();
        for seed in 0..DRAWN {
            let drawn = oracle(Precision::Drawn(seed));
            let sample = expected(model, &self.slots, &exact, &drawn, roundings(&step));
            for (known, sample) in all.iter_mut().zip(sample) {
                known.noise = known.noise.max(sample.noise);
            }
        }
        all
    }
}

/// Compiled programs, when they are first needed, with memory to run in. On one thread:
/// that more of them change nothing is tested where whole networks train.
pub struct Programs<'a> {
    model: &'a Model,
    target: Target,
    machine: Machine,
    loaded: BTreeMap<Phase, Handle>,
}

impl Programs<'_> {
    pub fn new(model: &Model, target: Target) -> Programs<'_> {
        Programs {
            model,
            target,
            machine: Machine::new(slot_table(&model.slots), 1).unwrap(),
            loaded: BTreeMap::new(),
        }
    }

    /// All outputs of a step, then all slots after it.
    pub fn run(&mut self, phase: Phase, inputs: &[Tensor], slots: &[Tensor]) -> Vec<Vec<f32>> {
        let (step, machine) = (&self.model.steps[&phase], &mut self.machine);
        let all = self.model.slots.len();
        let handle = *self.loaded.entry(phase).or_insert_with(|| {
            let program = compile(step, machine.table(), &self.target, &mut |_| {});
            machine.load(Arc::new(program)).unwrap()
        });
        for (slot, value) in slots.iter().enumerate() {
            fill(machine.slot_mut(slot), value, |x| x as f32);
        }
        for (input, value) in step.inputs.iter().zip(inputs) {
            let kind = binding(&input.kind);
            // What a program does not read it does not have.
            if input.ty.dtype == DType::F32 {
                fill(
                    machine.input(handle, &kind).unwrap_or_default(),
                    value,
                    |x| x as f32,
                );
            } else {
                fill(
                    machine.input(handle, &kind).unwrap_or_default(),
                    value,
                    |x| x as i32,
                );
            }
        }
        machine.run(handle);
        let outputs = step
            .outputs
            .iter()
            .map(|(name, _)| machine.output::<f32>(handle, name).unwrap());
        let slots = (0..all).map(|slot| machine.slot::<f32>(slot));
        outputs.chain(slots).map(<[f32]>::to_vec).collect()
    }
}

fn fill<T>(to: &mut [T], from: &Tensor, convert: impl Fn(f64) -> T) {
    to.iter_mut()
        .zip(&from.elements)
        .for_each(|(to, from)| *to = convert(*from));
}

/// What a tensor must come to.
#[derive(Clone)]
pub struct Expected {
    pub name: String,
    pub exact: Vec<f64>,
    /// How far f32 took the oracle from it.
    pub noise: f64,
    /// On the longest way to it; without any it must be exact.
    pub roundings: f64,
}

/// All outputs of a step, then all slots after it; those without a next value stay.
fn expected(
    model: &Model,
    slots: &[Tensor],
    exact: &Results,
    rounded: &Results,
    roundings: f64,
) -> Vec<Expected> {
    let computed = |name: &str, exact: &Tensor, rounded: &Tensor| {
        let pairs = exact.elements.iter().zip(&rounded.elements);
        Expected {
            name: name.to_owned(),
            exact: exact.elements.clone(),
            noise: pairs.fold(0.0, |most, (exact, rounded)| {
                most.max((exact - rounded).abs())
            }),
            roundings,
        }
    };
    let outputs = exact.outputs.iter().zip(&rounded.outputs);
    let mut all: Vec<Expected> = outputs
        .map(|((name, exact), (_, rounded))| computed(name, exact, rounded))
        .collect();
    for (position, (slot, before)) in model.slots.iter().zip(slots).enumerate() {
        let mut updates = exact.updates.iter().zip(&rounded.updates);
        all.push(
            match updates.find(|((updated, _), _)| updated.index() == position) {
                Some(((_, exact), (_, rounded))) => computed(&slot.path, exact, rounded),
                None => Expected {
                    name: slot.path.clone(),
                    exact: before.elements.clone(),
                    noise: 0.0,
                    roundings: 0.0,
                },
            },
        );
    }
    all
}

impl Expected {
    /// The element that is farthest off, if it is farther than rounding explains.
    ///
    /// A rounding is off by up to half a unit in the last place of the tensor's greatest
    /// element, uniformly, and those on the way to a result are as good as independent
    /// (Higham and Mary 2019). Where the way makes errors larger (differences of close
    /// numbers) it has done so with the oracle's own: how far f32 takes the oracle from f64
    /// is a sample of that, of which other orders of summation give others of the same size.
    pub fn fault(&self, found: &[f32]) -> Option<String> {
        assert_eq!(found.len(), self.exact.len(), "{}", self.name);
        let scale = self
            .exact
            .iter()
            .fold(0.0, |most: f64, x| most.max(x.abs()));
        let spread = (self.roundings / 3.0).sqrt() * HALF_ULP * scale;
        let tolerance = DEVIATIONS * spread + SAMPLES * self.noise + self.unseen();
        let mut worst: Option<(usize, f64)> = None;
        for (i, (found, exact)) in found.iter().zip(&self.exact).enumerate() {
            let off = (f64::from(*found) - exact).abs();
            let off = if off.is_nan() { f64::INFINITY } else { off };
            if off > tolerance && worst.is_none_or(|(_, most)| off > most) {
                worst = Some((i, off));
            }
        }
        worst.map(|(i, off)| {
            let (name, found, exact) = (&self.name, found[i], self.exact[i]);
            format!(
                "{name}[{i}] is {found}, not {exact}: off by {off:.2e}, more than {tolerance:.2e}"
            )
        })
    }

    /// Kernels take numbers below the least normal one for zero.
    fn unseen(&self) -> f64 {
        if self.roundings == 0.0 {
            0.0
        } else {
            f64::from(f32::MIN_POSITIVE)
        }
    }
}

/// Of a number in [1, 2).
const HALF_ULP: f64 = f32::EPSILON as f64 / 2.0;
/// Standard deviations: more than six happen once in 10^9 times.
const DEVIATIONS: f64 = 6.0;
/// How much larger than one sample of a rounding error another one may be.
const SAMPLES: f64 = 8.0;

/// Further samples, before a difference is called a fault.
const DRAWN: u64 = 8;

/// Roundings on the longest way through a step.
pub fn roundings(step: &Step) -> f64 {
    let mut longest: Vec<f64> = Vec::with_capacity(step.graph.nodes.len());
    for node in &step.graph.nodes {
        let before = node.inputs.iter().map(|x| longest[x.index()]);
        let own = roundings_of(node, node.inputs.first().map(|&x| step.graph.ty(x)));
        longest.push(before.fold(0.0, f64::max) + own);
    }
    longest.into_iter().fold(0.0, f64::max)
}

fn roundings_of(node: &Node, operand: Option<&Type>) -> f64 {
    match &node.op {
        Op::Contract(contract) => contract.dims[contract.rank..].iter().product::<usize>() as f64,
        Op::Sum { .. } => operand.map_or(0, Type::elements) as f64 / node.ty.elements() as f64,
        // Polynomials of some terms.
        Op::Exp | Op::Log | Op::Sin | Op::Cos | Op::Tanh | Op::Erf | Op::Pow => 4.0,
        Op::Sqrt | Op::Add | Op::Sub | Op::Mul | Op::Div => 1.0,
        _ => 0.0,
    }
}

/// What the inputs of a phase may hold in the step of this number.
pub fn inputs(model: &Model, phase: Phase, seed: u64, number: usize) -> Vec<Tensor> {
    let mut random = Random::new(seed, Stream::Data, number as u64);
    let classes = model
        .experiment
        .fields
        .iter()
        .find_map(|field| field.classes);
    let inputs = model.steps[&phase].inputs.iter();
    inputs
        .map(|input| invented(input, classes, number, &mut random))
        .collect()
}

fn invented(input: &Input, classes: Option<usize>, number: usize, random: &mut Random) -> Tensor {
    Tensor::from_fn(&input.ty, |_| match &input.kind {
        InputKind::Field(_) => match (input.ty.dtype, classes) {
            (DType::I32, Some(classes)) => f64::from(random.below(classes as u32)),
            _ => f64::from(random.between(-1.5, 1.5)),
        },
        InputKind::Seed => f64::from(random.bits() as i32),
        InputKind::Step => number.max(1) as f64,
        InputKind::Epoch => 1.0,
        InputKind::TotalSteps => 10.0,
    })
}

/// Slots before they have a first value.
pub fn zeros(model: &Model) -> Vec<Tensor> {
    model
        .slots
        .iter()
        .map(|slot| Tensor::from_fn(&slot.ty, |_| 0.0))
        .collect()
}

fn binding(kind: &InputKind) -> program::InputKind {
    match kind {
        InputKind::Field(name) => program::InputKind::Field(name.clone()),
        InputKind::Seed => program::InputKind::Seed,
        InputKind::Step => program::InputKind::Step,
        InputKind::Epoch => program::InputKind::Epoch,
        InputKind::TotalSteps => program::InputKind::TotalSteps,
    }
}
