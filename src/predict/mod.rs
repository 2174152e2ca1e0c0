//! `nnc predict`: saved weights on pictures and arrays.

mod answer;
mod array;
mod image;

use crate::cli::PredictArgs;
use crate::failure::{Failure, Outcome};
use crate::model::{Compiler, Loaded, calls};
use crate::report::{Report, shape};
use answer::{Answer, Meaning, meaning, sample_name};
use array::{Numbers, read_array};
use image::{PictureForm, read_picture};
use nnc_compiler::graph::{Experiment, Field};
use nnc_runtime::data::{self, Affine};
use nnc_runtime::program::InputKind;
use nnc_runtime::rng::{Stream, step_seed};
use nnc_runtime::train::{Phase, Programs};
use nnc_runtime::{Machine, checkpoint};
use serde_json::{Map, json};
use std::path::Path;

/// Applies the net to each input.
pub fn predict(args: &PredictArgs, report: Report) -> Outcome {
    let loaded = Loaded::load(&args.model, &report)?;
    let experiment = &loaded.model.experiment;
    let field = the_input(&loaded)?;
    let compiler = Compiler::new(&loaded, &args.machine)?;
    let mut machine = Machine::new(compiler.slots().clone(), compiler.threads())?;
    checkpoint::load_weights(&mut machine, &args.weights)?;
    let remarks = report.quiet_if(args.json);
    for path in &args.inputs {
        let samples = Samples::read(path, field, experiment, &remarks)?;
        let mut predictor = Predictor {
            compiler: &compiler,
            machine: &mut machine,
            field,
            experiment,
        };
        let answers = predictor.answers(&samples)?;
        for (index, answer) in answers.iter().enumerate() {
            let line = match args.json {
                true => as_json(path, index, answer),
                false => {
                    let name = sample_name(&path.display().to_string(), index, answers.len());
                    format!("{name}  {}", answer.text())
                }
            };
            report.result(line)?;
        }
    }
    Ok(())
}

/// The one field of the data that the net reads.
fn the_input(loaded: &Loaded) -> Outcome<&Field> {
    let experiment = &loaded.model.experiment;
    let Some(step) = loaded.model.steps.get(&nnc_compiler::graph::Phase::Predict) else {
        let fault = format!(
            "`{}` is not applied to fields of the data alone",
            experiment.net
        );
        return Err(Failure::model("no-prediction", fault).into());
    };
    let reads = |field: &&Field| {
        step.inputs
            .iter()
            .any(|input| input.kind == nnc_compiler::graph::InputKind::Field(field.name.clone()))
    };
    let fields: Vec<&Field> = experiment.fields.iter().filter(reads).collect();
    match fields[..] {
        [field] => Ok(field),
        _ => {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            let fault = format!(
                "`{}` reads {} fields ({})",
                experiment.net,
                names.len(),
                names.join(", ")
            );
            let failure = Failure::world("bad-input", format!("{fault}; predict can give it one"));
            Err(failure.into())
        }
    }
}

/// What the net reads, one sample after the other.
struct Samples {
    count: usize,
    values: Values,
}

enum Values {
    Floats(Vec<f32>),
    Classes(Vec<i32>),
}

impl Samples {
    /// From a picture or an array, scaled as the data source and its loader steps do it.
    fn read(
        path: &Path,
        field: &Field,
        experiment: &Experiment,
        report: &Report,
    ) -> Outcome<Samples> {
        let is_array = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        let (count, numbers) = match is_array {
            true => {
                let array = read_array(path)?;
                let count = array
                    .samples_of(&field.shape)
                    .map_err(|fault| unusable(path, &fault))?;
                (count, array.values)
            }
            false => match PictureForm::of(&field.shape) {
                Some(form) if field.classes.is_none() => {
                    let pixels = read_picture(path, form, &experiment.source, report)?;
                    (1, Numbers::Bytes(pixels))
                }
                _ => {
                    let fault = format!(
                        "`{}` is {}, which no picture is",
                        field.name,
                        shape(&field.shape)
                    );
                    let help = "give an .npy array of that shape, or a batch of them";
                    return Err(unusable(path, &fault).help(help).into());
                }
            },
        };
        let values = match field.classes {
            Some(classes) => Values::Classes(
                as_classes(&numbers, classes).map_err(|fault| unusable(path, &fault))?,
            ),
            None => Values::Floats(as_floats(&numbers, count, field, experiment)?),
        };
        Ok(Samples { count, values })
    }
}

fn unusable(path: &Path, fault: &str) -> Failure {
    Failure::world("bad-input", format!("`{}`: {fault}", path.display()))
}

/// Bytes are pixels, which sources bring to 0..1; other numbers are taken as they are.
/// Then come the loader steps.
fn as_floats(
    numbers: &Numbers,
    count: usize,
    field: &Field,
    experiment: &Experiment,
) -> Outcome<Vec<f32>> {
    let start = match numbers {
        Numbers::Bytes(_) => Affine::unit_bytes(),
        Numbers::Floats(_) | Numbers::Integers(_) => Affine::identity(),
    };
    let affine = scaling(start, field, experiment)?;
    let size = field.shape.iter().product::<usize>();
    let mut values = vec![0.0; count * size];
    let samples = values.chunks_exact_mut(size);
    match numbers {
        Numbers::Bytes(bytes) => {
            for (from, to) in bytes.chunks_exact(size).zip(samples) {
                affine.bytes(from, to);
            }
        }
        Numbers::Floats(floats) => {
            for (from, to) in floats.chunks_exact(size).zip(samples) {
                affine.floats(from, to);
            }
        }
        Numbers::Integers(integers) => {
            let floats: Vec<f32> = integers.iter().map(|&value| value as f32).collect();
            for (from, to) in floats.chunks_exact(size).zip(samples) {
                affine.floats(from, to);
            }
        }
    }
    Ok(values)
}

/// What the loader steps do to the field; they change the first one alone.
fn scaling(start: Affine, field: &Field, experiment: &Experiment) -> Outcome<Affine> {
    let is_first = experiment.fields.first() == Some(field);
    let pipeline = calls(&experiment.pipeline);
    let steps = match is_first {
        true => pipeline.get(1..).unwrap_or_default(),
        false => &[],
    };
    let field = data::Field {
        name: field.name.clone(),
        shape: field.shape.clone(),
        classes: field.classes,
    };
    Ok(data::affine(start, &field, steps)?)
}

fn as_classes(numbers: &Numbers, classes: usize) -> Result<Vec<i32>, String> {
    let check = |value: i64| match usize::try_from(value) {
        Ok(class) if class < classes => Ok(value as i32),
        _ => Err(format!("{value} is no class below {classes}")),
    };
    match numbers {
        Numbers::Integers(values) => values.iter().map(|&value| check(value)).collect(),
        Numbers::Bytes(values) => values
            .iter()
            .map(|&value| check(i64::from(value)))
            .collect(),
        Numbers::Floats(_) => Err("the net reads classes, but the array holds real numbers".into()),
    }
}

/// The net with its weights.
struct Predictor<'a> {
    compiler: &'a Compiler<'a>,
    machine: &'a mut Machine,
    field: &'a Field,
    experiment: &'a Experiment,
}

impl Predictor<'_> {
    /// Batch by batch, the last one smaller.
    fn answers(&mut self, samples: &Samples) -> Outcome<Vec<Answer>> {
        let mut answers = Vec::with_capacity(samples.count);
        while answers.len() < samples.count {
            let batch = (samples.count - answers.len()).min(self.experiment.batch);
            self.batch(samples, answers.len(), batch, &mut answers)?;
        }
        Ok(answers)
    }

    fn batch(
        &mut self,
        samples: &Samples,
        first: usize,
        batch: usize,
        answers: &mut Vec<Answer>,
    ) -> Outcome {
        let program = self.compiler.program(Phase::Predict, batch)?;
        let meaning = self.meaning(&program.outputs[0].shape);
        let size = self.field.shape.iter().product::<usize>();
        let part = first * size..(first + batch) * size;
        let kind = InputKind::Field(self.field.name.clone());
        self.machine.run_once(
            program,
            |workspace, program| {
                workspace.set(
                    program,
                    &InputKind::Seed,
                    step_seed(self.experiment.seed, Stream::Predict, 0),
                );
                match &samples.values {
                    Values::Floats(values) => fill(workspace.input(program, &kind), &values[part]),
                    Values::Classes(values) => fill(workspace.input(program, &kind), &values[part]),
                }
            },
            |workspace, program| {
                let name = &workspace.program(program).outputs[0].name;
                let Some(result) = workspace.output::<f32>(program, name) else {
                    panic!("bug in `predict`: no output {name}");
                };
                let rows = result.chunks_exact(result.len() / batch);
                answers.extend(rows.map(|row| Answer::new(&meaning, row)));
            },
        )?;
        Ok(())
    }

    /// Of a result of this shape, batch included.
    fn meaning(&self, shape: &[usize]) -> Meaning {
        let classes = self
            .experiment
            .fields
            .iter()
            .filter_map(|field| field.classes);
        let classes: Vec<usize> = match self.compiler.has(Phase::Act) {
            // What a net says of actions may be what they are worth; that is the policy's to know.
            true => Vec::new(),
            false => classes.collect(),
        };
        meaning(&shape[1..], &classes)
    }
}

fn fill<T: Copy>(input: Option<&mut [T]>, values: &[T]) {
    // A net that ignores its input has none.
    if let Some(input) = input {
        input.copy_from_slice(values);
    }
}

fn as_json(path: &Path, index: usize, answer: &Answer) -> String {
    let mut line = Map::new();
    line.insert("input".into(), json!(path.display().to_string()));
    line.insert("index".into(), json!(index));
    line.extend(
        answer
            .members()
            .into_iter()
            .map(|(key, value)| (key.to_string(), value)),
    );
    serde_json::Value::Object(line).to_string()
}
