//! What a net's result means: a class with its probability, or numbers.

use crate::report::{measure, shape};
use serde_json::{Value, json};

/// How many of the next best classes are shown to people.
const RUNNERS_UP: usize = 2;
/// How many numbers of a result are shown to people.
const NUMBERS_SHOWN: usize = 12;
/// How far from 1 a sum of probabilities in f32 may be.
const SUM_TOLERANCE: f32 = 1e-4;

/// What the numbers of a result stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// One number for each class: logits, log-probabilities or probabilities.
    Classes,
    /// Numbers of this shape.
    Numbers(Vec<usize>),
}

/// The result for one sample.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// The probability of each class.
    Classes(Vec<f32>),
    /// Numbers of this shape.
    Numbers(Vec<usize>, Vec<f32>),
}

impl Answer {
    /// Understands a result.
    pub fn new(meaning: &Meaning, result: &[f32]) -> Answer {
        match meaning {
            Meaning::Classes if is_distribution(result) => Answer::Classes(result.to_vec()),
            Meaning::Classes => Answer::Classes(softmax(result)),
            Meaning::Numbers(shape) => Answer::Numbers(shape.clone(), result.to_vec()),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        match self {
            Answer::Classes(probabilities) => {
                let ranked = ranked(probabilities);
                let percent = |class: usize| format!("{:.1} %", probabilities[class] * 100.0);
                let others = ranked.iter().skip(1).take(RUNNERS_UP);
                let others: Vec<String> = others
                    .map(|&class| format!("{class}: {}", percent(class)))
                    .collect();
                format!(
                    "{}  {}  ({})",
                    ranked[0],
                    percent(ranked[0]),
                    others.join(", ")
                )
            }
            Answer::Numbers(_, values) => {
                let shown: Vec<String> = values
                    .iter()
                    .take(NUMBERS_SHOWN)
                    .map(|&value| measure(value))
                    .collect();
                let rest = match values.len() > NUMBERS_SHOWN {
                    true => format!(" ... {} in all", values.len()),
                    false => String::new(),
                };
                format!("{}{rest}", shown.join(" "))
            }
        }
    }

    /// For programs: members to add to an object.
    pub fn members(&self) -> Vec<(&'static str, Value)> {
        match self {
            Answer::Classes(probabilities) => {
                let class = ranked(probabilities)[0];
                vec![
                    ("class", json!(class)),
                    ("probability", json!(probabilities[class])),
                    ("probabilities", json!(probabilities)),
                ]
            }
            Answer::Numbers(shape, values) => {
                vec![("shape", json!(shape)), ("result", json!(values))]
            }
        }
    }
}

/// For `k` classes a result of `[k]` has one number for each.
pub fn meaning(result: &[usize], classes: &[usize]) -> Meaning {
    match result {
        [k] if *k > 1 && classes.contains(k) => Meaning::Classes,
        other => Meaning::Numbers(other.to_vec()),
    }
}

/// A net may end in a softmax of its own; a second one would flatten its result.
fn is_distribution(result: &[f32]) -> bool {
    result.iter().all(|&p| p >= 0.0) && (result.iter().sum::<f32>() - 1.0).abs() <= SUM_TOLERANCE
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits
        .iter()
        .map(|&logit| (logit - greatest).exp())
        .collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Classes from the most to the least probable, equal ones in order.
fn ranked(probabilities: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    classes.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    classes
}

/// The name of a sample among those of its file.
pub fn sample_name(path: &str, index: usize, count: usize) -> String {
    match count {
        1 => path.to_string(),
        _ => format!("{path}{}", shape(&[index])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_and_probabilities_give_the_same_answer() {
        let logits = [1.0, 3.0, 2.0_f32];
        let Answer::Classes(once) = Answer::new(&Meaning::Classes, &logits) else {
            panic!("classes")
        };
        assert!((once[1] - 0.665_241).abs() < 1e-5);
        assert_eq!(
            Answer::new(&Meaning::Classes, &once),
            Answer::Classes(once.clone())
        );
        assert_eq!(
            Answer::Classes(once).text(),
            "1  66.5 %  (2: 24.5 %, 0: 9.0 %)"
        );
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(softmax(&[1e30, 0.0]), [1.0, 0.0]);
    }

    #[test]
    fn a_vector_over_the_classes_of_a_field_is_a_classification() {
        assert_eq!(meaning(&[10], &[10]), Meaning::Classes);
        assert_eq!(meaning(&[784], &[10]), Meaning::Numbers(vec![784]));
        assert_eq!(meaning(&[], &[]), Meaning::Numbers(vec![]));
    }

    #[test]
    fn long_results_are_cut_for_people_alone() {
        let answer = Answer::new(&Meaning::Numbers(vec![20]), &[0.5; 20]);
        assert!(answer.text().ends_with(" ... 20 in all"));
        assert_eq!(answer.members()[1].1.as_array().map(Vec::len), Some(20));
        assert_eq!(
            Answer::new(&Meaning::Numbers(vec![]), &[1.25]).text(),
            "1.250"
        );
    }
}
