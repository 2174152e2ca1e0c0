//! Layers, losses and optimisers of the library against PyTorch: every program of
//! `tests/reference/` starts from the weights of a recorded run, reads the same batches
//! and must come to the same losses and weights. The oracle runs them, so this is about
//! what the library's text means, not about compiled code.
//!
//! The recordings lie in `tests/reference/data/`: initial weights, batches, losses, final
//! weights, and for each the distance that single precision explains.
#![allow(missing_docs, clippy::unwrap_used)]

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::elaborate::{
    Catalog, DataFault, DataParameter, DataType, Request, Role, Signature, Uses, elaborate, prelude,
};
use nnc_compiler::eval::eval;
use nnc_compiler::graph::{DType, DataValue, Field, InputKind, Model, Phase, SlotKind, Type};
use nnc_compiler::ops::{Precision, Tensor};
use nnc_grammar::Sources;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[test]
fn library_agrees_with_pytorch() {
    let programs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference"));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(programs)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "nn"))
        .collect();
    paths.sort();
    let recordings = programs.join("data");
    let mut wrong = Vec::new();
    for path in &paths {
        let case = Case::read(&recordings, path);
        let faults = if case.name.starts_with("loss_") {
            case.check_loss()
        } else {
            case.check_training()
        };
        wrong.extend(
            faults
                .into_iter()
                .map(|fault| format!("{}: {fault}", case.name)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One recorded run and the program that is to repeat it.
struct Case {
    name: String,
    program: String,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    tolerances: BTreeMap<String, f64>,
}

/// Slots by handle.
type Slots = Vec<Tensor>;

impl Case {
    fn read(recordings: &Path, program: &Path) -> Case {
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
        }
    }

    /// Trains as many steps as were recorded.
    fn check_training(&self) -> Vec<String> {
        let model = self.compile();
        let train = differentiate(&model.steps[&Phase::Train]);
        let mut slots = self.slots(&model, "param.", "state.");
        let mut faults = Vec::new();
        for step in 0.. {
            if !self.tensors.contains_key(&format!("loss{step}")) {
                break;
            }
            let inputs: Vec<Tensor> = train
                .inputs
                .iter()
                .map(|input| self.input(&input.kind, &input.ty, step, None))
                .collect();
            let results = eval(&train, &inputs, &slots, Precision::F64);
            faults.extend(self.compare(&format!("loss{step}"), &results.outputs[0].1.elements));
            for (slot, next) in results.updates {
                slots[slot.index()] = next;
            }
        }
        let expected = self.slots(&model, "final.", "final_state.");
        for (slot, (found, expected)) in model.slots.iter().zip(slots.iter().zip(&expected)) {
            if matches!(slot.kind, SlotKind::Param | SlotKind::State) {
                let tolerance = self.slot_tolerance(&slot.path);
                let far = distance(&found.elements, &expected.elements);
                if far > tolerance {
                    faults.push(format!(
                        "final {} is off by {far:e}, more than {tolerance:e}",
                        slot.path
                    ));
                }
            }
        }
        faults
    }

    /// Row by row: the loss, and its gradient by what is added to the input.
    fn check_loss(&self) -> Vec<String> {
        let model = self.compile();
        let train = differentiate(&model.steps[&Phase::Train]);
        let rows = self.tensors["batch0.input"].0[0];
        // A label below 0 is none: its row counts for nothing, in the mean neither.
        let labels = &self.tensors["batch0.target"].1;
        let ignored = |label: &&f64| self.name.ends_with("_ignored") && **label < 0.0;
        let counted = (rows - labels.iter().filter(ignored).count()) as f64;
        let mut loss = 0.0;
        let mut gradient = Vec::new();
        for row in 0..rows {
            let slots: Slots = model.slots.iter().map(|slot| zeros(&slot.ty)).collect();
            let inputs: Vec<Tensor> = train
                .inputs
                .iter()
                .map(|input| self.input(&input.kind, &input.ty, 0, Some(row)))
                .collect();
            let results = eval(&train, &inputs, &slots, Precision::F64);
            loss += results.outputs[0].1.elements[0] / counted;
            let by = results
                .updates
                .iter()
                .find(|(slot, _)| model.slots[slot.index()].kind == SlotKind::Param);
            gradient.extend(by.unwrap().1.elements.iter().map(|moved| -moved / counted));
        }
        let mut faults = self.compare("loss0", &[loss]);
        faults.extend(self.compare("grad0.input", &gradient));
        faults
    }

    fn compile(&self) -> Model {
        let mut sources = Sources::default();
        let prelude = prelude(&mut sources);
        let file = sources.add(format!("{}.nn", self.name), &self.program);
        let (main, diagnostics) = nnc_grammar::parse(file, &self.program);
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
                let (shape, numbers) =
                    &self.tensors[&format!("{prefix}{}", self.torch_name(&slot.path))];
                Tensor {
                    ty: slot.ty.clone(),
                    elements: match transposed(&slot.path, shape) {
                        true => our_transposed_layout(shape, numbers),
                        false => our_layout(shape, numbers),
                    },
                }
            })
            .collect()
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

    fn slot_tolerance(&self, path: &str) -> f64 {
        let name = self.torch_name(path);
        let weight = self.tolerances.get(&format!("final.{name}"));
        *weight
            .or(self.tolerances.get(&format!("final_state.{name}")))
            .unwrap()
    }

    fn compare(&self, name: &str, found: &[f64]) -> Vec<String> {
        let far = distance(found, &self.tensors[name].1);
        let tolerance = self.tolerances[name];
        let fault = format!("{name} is off by {far:e}, more than {tolerance:e}");
        if far <= tolerance {
            Vec::new()
        } else {
            vec![fault]
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
