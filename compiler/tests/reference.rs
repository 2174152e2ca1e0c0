//! Layers, losses and optimisers of the library against PyTorch: every program of
//! `tests/reference/` starts from the weights of a recorded run, reads the same batches
//! and must come to the same outputs, gradients, losses and weights: in the oracle, which
//! shows what the library's text means, and as compiled code on every kind of processor.
//!
//! The recordings lie in `tests/reference/data/`: initial weights, batches, outputs before and
//! after, first gradients, losses, final weights, and for each the distance that single
//! precision explains.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "reference/runs.rs"]
mod runs;

use nnc_compiler::elaborate::{
    Catalog, DataFault, DataParameter, DataType, Request, Role, Signature, Uses, elaborate, prelude,
};
use nnc_compiler::graph::{DType, DataValue, Field, InputKind, Model, Phase, SlotKind, Type};
use nnc_compiler::ops::Tensor;
use nnc_compiler::target::Isa;
use nnc_grammar::Sources;
use runs::{By, Run};
use safetensors::SafeTensors;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn the_oracle_agrees_with_pytorch() {
    agree_with_pytorch(By::Oracle);
}

#[test]
fn portable_code_agrees_with_pytorch() {
    agree_with_pytorch(By::Code(Isa::Portable));
}

#[test]
fn avx2_code_agrees_with_pytorch() {
    agree_with_pytorch(By::Code(Isa::Avx2));
}

#[test]
fn avx512_code_agrees_with_pytorch() {
    agree_with_pytorch(By::Code(Isa::Avx512));
}

fn agree_with_pytorch(by: By) {
    let programs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference"));
    let recordings = programs.join("data");
    let names = |folder: &Path, extension: &str| {
        let files = std::fs::read_dir(folder).unwrap();
        let paths = files.map(|e| e.unwrap().path());
        let paths = paths.filter(|path| path.extension().is_some_and(|e| e == extension));
        let stems = paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
        stems.collect::<BTreeSet<String>>()
    };
    let cases = names(programs, "nn");
    assert_eq!(cases, names(&recordings, "safetensors"));
    let mut wrong = Vec::new();
    for name in cases {
        let case = Case::read(&recordings, &programs.join(format!("{name}.nn")), by);
        let faults = match name.starts_with("loss_") {
            true => case.check_loss(),
            false => case.check_training(),
        };
        wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(wrong.is_empty(), "{by:?}\n{}", wrong.join("\n"));
}

/// One recorded run and the program that is to repeat it.
struct Case {
    name: String,
    program: String,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    tolerances: BTreeMap<String, f64>,
    by: By,
}

/// Slots by handle.
type Slots = Vec<Tensor>;

impl Case {
    fn read(recordings: &Path, program: &Path, by: By) -> Case {
        let name = program.file_stem().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(recordings.join(format!("{name}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            let numbers = match view.dtype() {
                safetensors::Dtype::F32 => {
                    let numbers = view.data().chunks_exact(4);
                    numbers
                        .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
                        .collect()
                }
                _ => {
                    let numbers = view.data().chunks_exact(8);
                    numbers
                        .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64)
                        .collect()
                }
            };
            (name, (view.shape().to_vec(), numbers))
        });
        let text = std::fs::read_to_string(recordings.join("tolerances.json")).unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tolerances = all[&name].as_object().unwrap().iter();
        Case {
            program: std::fs::read_to_string(program).unwrap(),
            tensors: tensors.collect(),
            tolerances: tolerances
                .map(|(name, tolerance)| (name.clone(), tolerance.as_f64().unwrap()))
                .collect(),
            name,
            by,
        }
    }

    /// Trains as many steps as were recorded, and looks at all that was.
    fn check_training(&self) -> Vec<String> {
        let model = self.compile(&self.program);
        let start = self.slots(&model, "param.", "state.");
        let mut faults = self.check_outputs(&model, "out.", &start);
        let gradients = self.gradients(&self.without_clipping(), &model, &start, 0);
        faults.extend(self.compare_all("grad0.", &gradients));
        if self.tensors.contains_key("clipped_grad0.fc1.weight") {
            let clipped = self.gradients(&self.program, &model, &start, 0);
            faults.extend(self.compare_all("clipped_grad0.", &clipped));
        }
        let mut training = Run::new(&model, Phase::Train, &start, self.by);
        for step in 0.. {
            if !self.tensors.contains_key(&format!("loss{step}")) {
                break;
            }
            if self.tensors.contains_key(&format!("grad_norm{step}")) {
                let slots = training.slots().to_vec();
                let gradients = self.gradients(&self.without_clipping(), &model, &slots, step);
                let squares = gradients.values().flatten().map(|g| g * g);
                let norm = squares.sum::<f64>().sqrt();
                faults.extend(self.compare(&format!("grad_norm{step}"), &[norm]));
            }
            let loss = training.step(&|input| self.input(&input.kind, &input.ty, step, None));
            faults.extend(self.compare(&format!("loss{step}"), &loss));
        }
        let end = training.slots();
        for (slot, found) in model.slots.iter().zip(end) {
            let from = match slot.kind {
                SlotKind::Param => "final.",
                SlotKind::State => "final_state.",
                SlotKind::Optimizer | SlotKind::Total => continue,
            };
            let name = format!("{from}{}", self.torch_name(&slot.path));
            faults.extend(self.compare_slot(&name, &slot.path, &found.elements));
        }
        faults.extend(self.check_outputs(&model, "final_out.", end));
        faults
    }

    /// What the net makes of the first batch, given these weights. A net that gives more
    /// than one tensor has no prediction.
    fn check_outputs(&self, model: &Model, prefix: &str, slots: &[Tensor]) -> Vec<String> {
        let names = ["y", "y.eval"].map(|name| format!("{prefix}{name}"));
        let recorded = names.iter().find(|name| self.tensors.contains_key(*name));
        let recorded = recorded.unwrap_or_else(|| panic!("{}: no {prefix}", self.name));
        if !model.steps.contains_key(&Phase::Predict) {
            assert_eq!(self.name, "decay_loss_term_adam");
            return Vec::new();
        }
        let mut prediction = Run::new(model, Phase::Predict, slots, self.by);
        let found = prediction.step(&|input| self.input(&input.kind, &input.ty, 0, None));
        self.compare(recorded, &found)
    }

    /// The gradient by each parameter, by its path: what an optimiser that keeps it was given.
    fn gradients(
        &self,
        program: &str,
        model: &Model,
        slots: &[Tensor],
        step: usize,
    ) -> BTreeMap<String, Vec<f64>> {
        let keep = "optimizer keep() {\n state g = zeros\n update g = grad\n weight\n}\n";
        let optimizer = program.lines().find(|line| line.contains("optimizer ="));
        let program = program.replace(optimizer.unwrap(), "    optimizer = keep()");
        let keeping = self.compile(&format!("{program}{keep}"));
        let known = model.slots.iter().zip(slots);
        let known: BTreeMap<&str, &Tensor> = known
            .map(|(slot, value)| (slot.path.as_str(), value))
            .collect();
        let start = keeping.slots.iter().map(|slot| match slot.kind {
            SlotKind::Param | SlotKind::State => known[slot.path.as_str()].clone(),
            SlotKind::Optimizer | SlotKind::Total => zeros(&slot.ty),
        });
        let start: Slots = start.collect();
        let mut run = Run::new(&keeping, Phase::Train, &start, self.by);
        run.step(&|input| self.input(&input.kind, &input.ty, step, None));
        let kept = keeping.slots.iter().zip(run.slots());
        let kept = kept.filter_map(|(slot, value)| {
            let path = slot.path.strip_prefix("keep/g:")?;
            Some((path.to_owned(), value.elements.clone()))
        });
        kept.collect()
    }

    fn without_clipping(&self) -> String {
        let lines = self.program.lines();
        let others = lines.filter(|line| !line.contains("clip_norm ="));
        others.map(|line| format!("{line}\n")).collect()
    }

    fn compare_all(&self, prefix: &str, found: &BTreeMap<String, Vec<f64>>) -> Vec<String> {
        let compare = |(path, found): (&String, &Vec<f64>)| {
            let name = format!("{prefix}{}", self.torch_name(path));
            self.compare_slot(&name, path, found)
        };
        found.iter().flat_map(compare).collect()
    }

    /// Row by row: the loss, and its gradient by what is added to the input. A mean of rows is
    /// what the library offers, so that the recorded sums and lists of losses say no more.
    fn check_loss(&self) -> Vec<String> {
        let model = self.compile(&self.program);
        let rows = self.tensors["batch0.input"].0[0];
        // A label below 0 is none: its row counts for nothing, in the mean neither.
        let labels = &self.tensors["batch0.target"].1;
        let ignored = |label: &&f64| self.name.ends_with("_ignored") && **label < 0.0;
        let counted = (rows - labels.iter().filter(ignored).count()) as f64;
        let mut loss = 0.0;
        let mut gradient = Vec::new();
        let slots: Slots = model.slots.iter().map(|slot| zeros(&slot.ty)).collect();
        let mut run = Run::new(&model, Phase::Train, &slots, self.by);
        let shift = model
            .slots
            .iter()
            .position(|slot| slot.kind == SlotKind::Param)
            .unwrap();
        for row in 0..rows {
            run.set_slots(&slots);
            loss +=
                run.step(&|input| self.input(&input.kind, &input.ty, 0, Some(row)))[0] / counted;
            let moved = run.slots()[shift].elements.iter();
            gradient.extend(moved.map(|moved| -moved / counted));
        }
        let mut faults = self.compare("loss0", &[loss]);
        faults.extend(self.compare("grad0.input", &gradient));
        faults
    }

    fn compile(&self, program: &str) -> Model {
        let mut sources = Sources::default();
        let prelude = prelude(&mut sources);
        let file = sources.add(format!("{}.nn", self.name), program);
        let (main, diagnostics) = nnc_grammar::parse(file, program);
        assert!(diagnostics.is_empty(), "{}: {diagnostics:#?}", self.name);
        let request = Request {
            main: &main,
            file,
            uses: &Uses::default(),
            prelude: &prelude,
            overrides: &[],
            batch: None,
            catalog: self,
        };
        let (model, diagnostics) = elaborate(&sources, &request);
        assert!(diagnostics.is_empty(), "{}: {diagnostics:#?}", self.name);
        model.unwrap()
    }

    /// A field of a batch, or one row of it; or the number of the step.
    fn input(&self, kind: &InputKind, ty: &Type, step: usize, row: Option<usize>) -> Tensor {
        let elements = match kind {
            InputKind::Field(field) => {
                let (shape, numbers) = &self.tensors[&format!("batch{step}.{field}")];
                let size: usize = shape[1..].iter().product();
                match row {
                    Some(row) => numbers[row * size..(row + 1) * size].to_vec(),
                    None => numbers.clone(),
                }
            }
            InputKind::Step => vec![(step + 1) as f64],
            other => panic!("{}: no {other:?} was recorded", self.name),
        };
        Tensor {
            ty: ty.clone(),
            elements,
        }
    }

    /// The recorded weights and states; zeros for what PyTorch starts at zero.
    fn slots(&self, model: &Model, weights: &str, states: &str) -> Slots {
        model
            .slots
            .iter()
            .map(|slot| {
                let prefix = match slot.kind {
                    SlotKind::Param => weights,
                    SlotKind::State => states,
                    SlotKind::Optimizer | SlotKind::Total => return zeros(&slot.ty),
                };
                let name = format!("{prefix}{}", self.torch_name(&slot.path));
                Tensor {
                    ty: slot.ty.clone(),
                    elements: self.recorded(&name, &slot.path),
                }
            })
            .collect()
    }

    /// What was recorded for a slot, in our order.
    fn recorded(&self, name: &str, path: &str) -> Vec<f64> {
        let (shape, numbers) = &self.tensors[name];
        match transposed(path, shape) {
            true => our_transposed_layout(shape, numbers),
            false => our_layout(shape, numbers),
        }
    }

    /// `model/block1/conv1/w` is `block1.conv1.weight` there, `model/lstm/u` is
    /// `lstm.weight_hh_l0`.
    fn torch_name(&self, path: &str) -> String {
        let (owner, own) = path
            .strip_prefix("model/")
            .unwrap()
            .rsplit_once('/')
            .unwrap();
        let owner = owner.replace('/', ".");
        let recurrent = self
            .tensors
            .contains_key(&format!("param.{owner}.weight_hh_l0"));
        let own = match own {
            "w" if recurrent => "weight_ih_l0",
            "u" => "weight_hh_l0",
            "b" if recurrent => "bias_ih_l0",
            "bu" => "bias_hh_l0",
            "w" | "scale" => "weight",
            "b" | "shift" => "bias",
            other => other,
        };
        format!("{owner}.{own}")
    }

    fn compare(&self, name: &str, found: &[f64]) -> Vec<String> {
        self.compare_with(name, found, &self.tensors[name].1)
    }

    fn compare_slot(&self, name: &str, path: &str, found: &[f64]) -> Vec<String> {
        self.compare_with(name, found, &self.recorded(name, path))
    }

    fn compare_with(&self, name: &str, found: &[f64], expected: &[f64]) -> Vec<String> {
        let far = distance(found, expected);
        let tolerance = self.tolerances[name];
        match far <= tolerance {
            true => Vec::new(),
            false => vec![format!("{name} is off by {far:e}, more than {tolerance:e}")],
        }
    }
}

/// PyTorch keeps `[out, in]` and `[out, in, h, w]`, we `[in, out]` and `[h, w, in, out]`.
fn our_layout(shape: &[usize], numbers: &[f64]) -> Vec<f64> {
    let (out, into) = match shape {
        [out, into, ..] => (*out, *into),
        _ => return numbers.to_vec(),
    };
    let field: usize = shape[2..].iter().product();
    let mut ours = Vec::with_capacity(numbers.len());
    for k in 0..field {
        for i in 0..into {
            ours.extend((0..out).map(|o| numbers[(o * into + i) * field + k]));
        }
    }
    ours
}

/// Rows of embeddings, and kernels of transposed convolutions, which are `[in, out, h, w]` there.
fn transposed(path: &str, shape: &[usize]) -> bool {
    let owner = path.rsplit('/').nth(1).unwrap();
    let rows = ["embed", "token", "position"].contains(&owner);
    rows || (owner.starts_with("up") && shape.len() == 4)
}

fn our_transposed_layout(shape: &[usize], numbers: &[f64]) -> Vec<f64> {
    let field: usize = shape[2..].iter().product();
    let pairs = shape[0] * shape[1];
    let place = |k: usize| (0..pairs).map(move |pair| numbers[pair * field + k]);
    (0..field).flat_map(place).collect()
}

fn zeros(ty: &Type) -> Tensor {
    Tensor {
        ty: ty.clone(),
        elements: vec![0.0; ty.elements()],
    }
}

/// The greatest difference; infinite where lengths differ or a number is none.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let far = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    far.fold(0.0, |worst, d| {
        if d.is_nan() {
            f64::INFINITY
        } else {
            worst.max(d)
        }
    })
}

impl Catalog for Case {
    fn signatures(&self) -> &[Signature] {
        static SIGNATURES: std::sync::OnceLock<Vec<Signature>> = std::sync::OnceLock::new();
        SIGNATURES.get_or_init(|| {
            vec![Signature {
                name: "reference".to_owned(),
                role: Role::Source,
                parameters: ["classes", "tokens"]
                    .map(|name| DataParameter {
                        name: name.to_owned(),
                        ty: DataType::Int,
                        default: Some(DataValue::Int(1)),
                    })
                    .to_vec(),
                doc: "The batches of a recorded run.".to_owned(),
            }]
        })
    }

    fn fields(&self, _: &str, arguments: &[(String, DataValue)]) -> Result<Vec<Field>, DataFault> {
        let [DataValue::Int(classes), DataValue::Int(tokens)] = [&arguments[0].1, &arguments[1].1]
        else {
            return Err("no numbers".to_owned().into());
        };
        let fields = self.tensors.iter().filter_map(|(name, (shape, _))| {
            let name = name.strip_prefix("batch0.")?;
            let classes = match name {
                "label" | "target" => *classes,
                "tokens" => *tokens,
                _ => 1,
            };
            let counts = classes > 1;
            Some(Field {
                name: name.to_owned(),
                shape: shape[1..].to_vec(),
                dtype: if counts { DType::I32 } else { DType::F32 },
                classes: counts.then_some(classes as usize),
            })
        });
        Ok(fields.collect())
    }
}
