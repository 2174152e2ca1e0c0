//! Short remarks of a few words that praise or find fault, some by denying the opposite: data
//! for the classification of text that needs no files. No single word decides.

use super::counts::Counts;
use super::{Call, Column, Dataset, Field, Provenance, Split, Values};
use crate::error::Result;
use crate::rng::{Random, Stream};
use std::sync::Arc;

/// Words of a remark, with nothing behind its end.
const LENGTH: usize = 12;
const NOTHING: &str = "";
const OPENINGS: [&str; 6] = ["the", "this", "that", "our", "their", "every"];
const THINGS: [&str; 10] = [
    "film", "meal", "book", "room", "song", "play", "hotel", "story", "garden", "concert",
];
const GOOD: [&str; 8] = [
    "good",
    "lovely",
    "great",
    "fine",
    "superb",
    "charming",
    "bright",
    "wonderful",
];
const BAD: [&str; 8] = [
    "bad", "awful", "dull", "poor", "dreadful", "boring", "dreary", "horrid",
];
const DEGREES: [&str; 4] = ["very", "rather", "really", "quite"];
const OTHERS: [&str; 6] = ["was", "not", "never", "and", "but", "i"];
const ENDINGS: [&str; 5] = ["thought", "today", "again", "indeed", "there"];

fn words() -> Vec<&'static str> {
    let groups: [&[&str]; 8] = [
        &[NOTHING],
        &OPENINGS,
        &THINGS,
        &GOOD,
        &BAD,
        &DEGREES,
        &OTHERS,
        &ENDINGS,
    ];
    groups.concat()
}

/// `tokens` and `label`: 1 is praise.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    counts(source).map(|_| described())
}

fn described() -> Vec<Field> {
    vec![
        Field::classes("tokens", &[LENGTH], words().len()),
        Field::classes("label", &[], 2),
    ]
}

fn counts(source: &Call) -> Result<Counts> {
    Counts::of(source, [4000, 1000], LENGTH)
}

/// Draws everything from the source's own seed.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let Counts { train, test, seed } = counts(source)?;
    let words = words();
    let split = |numbers: std::ops::Range<usize>| {
        let (mut tokens, mut labels) = (Vec::new(), Vec::new());
        for number in numbers {
            let (remark, praise) = remark(&mut Random::new(seed, Stream::Data, number as u64));
            let places = remark
                .iter()
                .map(|word| words.iter().position(|w| w == word));
            tokens.extend(places.map(|place| place.unwrap_or_default() as i32));
            labels.push(i32::from(praise));
        }
        let columns = described().into_iter().zip([tokens, labels]);
        let column = |(field, values)| Column {
            field,
            values: Values::Classes(Arc::new(values)),
        };
        Split::new(columns.map(column).collect())
    };
    Ok(Dataset {
        train: split(0..train),
        valid: None,
        test: split(train..train + test),
        shuffle: true,
        provenance: Provenance::Generated(format!("{train} + {test} generated remarks")),
    })
}

/// `the meal was not very good but i thought`, filled up with nothing.
fn remark(random: &mut Random) -> (Vec<&'static str>, bool) {
    let mut pick = |words: &[&'static str]| words[random.below(words.len() as u32) as usize];
    let yes = ["yes", "no"];
    let mut said = vec![pick(&OPENINGS), pick(&THINGS), "was"];
    let mut praise = pick(&yes) == "yes";
    let kind = praise;
    if pick(&yes) == "yes" {
        said.push(pick(&["not", "never"]));
        praise = !praise;
    }
    if pick(&yes) == "yes" {
        said.push(pick(&DEGREES));
    }
    said.push(pick(if kind { &GOOD } else { &BAD }));
    if pick(&yes) == "yes" {
        said.extend(["i", pick(&ENDINGS)]);
    }
    said.resize(LENGTH, NOTHING);
    (said, praise)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_word_decides() {
        let data = load(&Call::new("sentences")).unwrap();
        let [Values::Classes(tokens), Values::Classes(labels)] = [
            &data.train.columns()[0].values,
            &data.train.columns()[1].values,
        ] else {
            panic!("no classes");
        };
        let praised = labels.iter().filter(|&&label| label == 1).count();
        assert!((1800..2200).contains(&praised));
        for word in 1..words().len() as i32 {
            let rows = tokens.chunks(LENGTH).zip(labels.iter());
            let with: Vec<i32> = rows
                .filter(|(row, _)| row.contains(&word))
                .map(|(_, &l)| l)
                .collect();
            let share = with.iter().sum::<i32>() as f64 / with.len().max(1) as f64;
            assert!(
                with.is_empty() || (0.3..0.7).contains(&share),
                "{} {share}",
                words()[word as usize]
            );
        }
    }
}
