//! `nnc generate`: text from a model of the next character.
//!
//! The net reads a window of characters and says, for each, which may come next. The text
//! so far is written into the window from its start (its end, once it is longer), so that the answer
//! behind the last character counts; what stands behind that is ignored by a net that looks
//! only back.

use crate::cli::GenerateArgs;
use crate::failure::{Failure, Outcome};
use crate::model::{Compiler, Loaded, calls};
use crate::report::Report;
use nnc_compiler::graph::{Experiment, Field};
use nnc_runtime::data::{Vocabulary, vocabulary};
use nnc_runtime::program::InputKind;
use nnc_runtime::rng::{Random, Stream, step_seed};
use nnc_runtime::train::{Phase, Programs};
use nnc_runtime::{Machine, checkpoint};

/// Prints the prompt and what the net makes of it.
pub fn generate(args: &GenerateArgs, report: Report) -> Outcome {
    let loaded = Loaded::load(&args.model, &report)?;
    let experiment = &loaded.model.experiment;
    let source = &calls(&experiment.pipeline)[0];
    let Some(vocabulary) = vocabulary(source, loaded.places())? else {
        let fault = format!("`{}` gives no text", experiment.source);
        return Err(Failure::model("no-text", fault)
            .help("a model of the next character reads `text(...)` or `tinyshakespeare(...)`")
            .into());
    };
    let field = tokens(experiment, &vocabulary)?;
    let prompt = classes(&args.prompt, &vocabulary)?;
    let compiler = Compiler::new(&loaded, &args.machine)?;
    let mut machine = Machine::new(compiler.slots().clone(), compiler.threads())?;
    checkpoint::load_weights(&mut machine, &args.weights)?;
    let program = compiler.program(Phase::Predict, 1)?;
    let output = program.outputs[0].name.clone();
    let handle = machine.load(program)?;
    let seed = args.machine.seed.unwrap_or(experiment.seed);
    let kind = InputKind::Field(field.name.clone());
    let context = field.shape[0];
    let mut choice = Choice {
        random: Random::new(seed, Stream::Predict, 0),
        temperature: args.temperature,
        top_k: args.top_k.unwrap_or(vocabulary.size()),
    };
    let mut text = prompt;
    for _ in 0..args.length {
        let window = &text[text.len().saturating_sub(context)..];
        machine.set(
            handle,
            &InputKind::Seed,
            step_seed(seed, Stream::Predict, 0),
        );
        if let Some(input) = machine.input::<i32>(handle, &kind) {
            input.fill(0);
            input[..window.len()].copy_from_slice(window);
        }
        machine.run(handle);
        let Some(logits) = machine.output::<f32>(handle, &output) else {
            panic!("bug in `generate`: no output {output}");
        };
        let rows = logits.chunks_exact(vocabulary.size());
        let Some(row) = rows.take(window.len()).next_back() else {
            panic!(
                "bug in `generate`: no logits behind {} characters",
                window.len()
            );
        };
        text.push(choice.next(row));
    }
    let text: String = text
        .into_iter()
        .map(|class| vocabulary.character(class))
        .collect();
    report.result(text)
}

/// The field that holds the characters, if the net is one of the next character.
fn tokens<'a>(experiment: &'a Experiment, vocabulary: &Vocabulary) -> Outcome<&'a Field> {
    let size = vocabulary.size();
    let field = experiment.fields.first();
    let field = field.filter(|field| field.classes == Some(size) && field.shape.len() == 1);
    match field {
        Some(field) if experiment.output == [field.shape[0], size] => Ok(field),
        _ => {
            let fault = format!(
                "`{}` does not say which character comes next: its result is {}",
                experiment.net,
                crate::report::shape(&experiment.output)
            );
            let help = format!(
                "for each character there should be {size} logits, one for each that may follow"
            );
            Err(Failure::model("no-text", fault).help(help).into())
        }
    }
}

/// The prompt as the net reads it; a line break if there is none.
fn classes(prompt: &str, vocabulary: &Vocabulary) -> Outcome<Vec<i32>> {
    let mut classes = Vec::new();
    for character in prompt.chars() {
        match vocabulary.class(character) {
            Some(class) => classes.push(class),
            None => {
                let fault = format!("the model has never seen the character {character:?}");
                return Err(Failure::world("bad-input", fault).into());
            }
        }
    }
    if classes.is_empty() {
        classes.push(vocabulary.class('\n').unwrap_or(0));
    }
    Ok(classes)
}

/// How the next character is chosen among the likely ones.
struct Choice {
    random: Random,
    /// Below 1 the likely ones become likelier; at 0 the likeliest is taken.
    temperature: f64,
    /// Of so many, the likeliest, one is taken.
    top_k: usize,
}

impl Choice {
    fn next(&mut self, logits: &[f32]) -> i32 {
        let mut ranked: Vec<(usize, f64)> =
            logits.iter().map(|&x| f64::from(x)).enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(self.top_k.max(1));
        let (best, top) = ranked[0];
        if self.temperature == 0.0 {
            return best as i32;
        }
        let weights: Vec<f64> = ranked
            .iter()
            .map(|(_, logit)| ((logit - top) / self.temperature).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let mut left = f64::from(self.random.uniform()) * total;
        for ((class, _), weight) in ranked.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return *class as i32;
            }
        }
        best as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(temperature: f64, top_k: usize) -> Choice {
        Choice {
            random: Random::new(1, Stream::Predict, 0),
            temperature,
            top_k,
        }
    }

    #[test]
    fn the_likeliest_is_taken_where_nothing_is_left_to_chance() {
        let logits = [0.0, 3.0, -1.0, 2.9];
        assert_eq!(choice(0.0, 4).next(&logits), 1);
        let mut one = choice(1.0, 1);
        assert!((0..100).all(|_| one.next(&logits) == 1));
    }

    /// Among two, each as often as its share of exp(logit / temperature).
    #[test]
    fn others_are_taken_as_often_as_they_are_likely() {
        const DRAWS: usize = 20_000;
        let mut two = choice(0.5, 2);
        let drawn = (0..DRAWS).map(|_| two.next(&[1.0, 0.5, -9.0, 0.4]));
        let mut counts = [0; 4];
        drawn.for_each(|class| counts[class as usize] += 1);
        let share = counts[0] as f64 / DRAWS as f64;
        let expected = 1.0 / (1.0 + (-1.0f64).exp());
        // Four deviations.
        let deviation = (expected * (1.0 - expected) / DRAWS as f64).sqrt();
        assert!(
            (share - expected).abs() < 4.0 * deviation,
            "{share}, not {expected}"
        );
        assert_eq!(counts[2] + counts[3], 0);
    }
}
