//! What can stand in a model's `data = ...`: one table of sources, one of steps.

use super::{
    Call, Field, Places, cifar10, csv, digits, images, linear, mnist, npz, points, sentences,
    sequences, shapes, text,
};
use crate::error::{Error, Result};

/// A data source or a loader step, for the compiler's checks and for people.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// What it is called.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// In order.
    pub parameters: &'static [Parameter],
}

/// A parameter of a source or step.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// What it is called.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParameterKind,
    /// Its default as it would be written; `None`: must be given.
    pub default: Option<&'static str>,
    /// One sentence.
    pub doc: &'static str,
}

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParameterKind {
    /// A whole number.
    Int,
    /// A whole number or a list of them.
    Ints,
    /// A number.
    Float,
    /// A number or a list of them.
    Floats,
    /// True or false.
    Bool,
    /// A string.
    Text,
}

/// A parameter with a default.
pub(crate) const fn optional(
    name: &'static str,
    kind: ParameterKind,
    default: &'static str,
    doc: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        default: Some(default),
        doc,
    }
}

const fn required(name: &'static str, kind: ParameterKind, doc: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        default: None,
        doc,
    }
}

use ParameterKind::{Bool, Float, Floats, Int, Ints, Text};

/// Where samples come from.
pub const SOURCES: &[Signature] = &[
    Signature {
        name: "mnist",
        doc: "Handwritten digits, 60,000 + 10,000 images of 28 x 28. Fields: image [1, 28, 28], label class(10).",
        parameters: &[],
    },
    Signature {
        name: "digits",
        doc: "Synthetic digits, drawn as distorted strokes. Fields: image [1, 28, 28], label class(10).",
        parameters: &[
            optional("train", Int, "12000", "training samples"),
            optional("test", Int, "2000", "test samples"),
            optional("seed", Int, "0", "another seed, other digits"),
        ],
    },
    Signature {
        name: "linear",
        doc: "A random linear function with noise. Fields: x [features], y [].",
        parameters: &[
            optional("features", Int, "1", "how many numbers x has"),
            optional(
                "noise",
                Float,
                "0.1",
                "standard deviation of what is added to y",
            ),
            SAMPLES,
            optional("seed", Int, "0", "another seed, another function"),
        ],
    },
    Signature {
        name: "points",
        doc: "Random numbers in 0..1, of which a model makes its own data. Fields: u [features].",
        parameters: &[
            optional("features", Int, "2", "how many numbers a sample has"),
            SAMPLES,
            optional("seed", Int, "0", "another seed, other numbers"),
        ],
    },
    Signature {
        name: "sequences",
        doc: "Random tokens, each on its own and equally likely: what is to be learnt of them, the model says. \
              Fields: tokens [length] class(classes).",
        parameters: &[
            required("length", Int, "tokens of a sample"),
            required("classes", Int, "how many different ones there are"),
            optional(
                "samples",
                Int,
                "10000",
                "training samples; a quarter as many for the test",
            ),
            optional("seed", Int, "0", "another seed, other tokens"),
        ],
    },
    Signature {
        name: "cifar10",
        doc: "Photographs of ten kinds, 50,000 + 10,000 of 32 x 32. Fields: image [3, 32, 32], label class(10).",
        parameters: &[],
    },
    Signature {
        name: "fashion_mnist",
        doc: "Articles of clothing, 60,000 + 10,000 images of 28 x 28. Fields: image [1, 28, 28], label class(10).",
        parameters: &[],
    },
    Signature {
        name: "csv",
        doc: "A table of comma-separated values with a line of column names. \
              Fields: x [other columns], y: the label, a number or a class.",
        parameters: &[
            required("file", Text, "UTF-8"),
            required("label", Text, "the column to be predicted"),
            optional(
                "classes",
                Bool,
                "false",
                "whether numbers in that column are classes",
            ),
            TEST,
        ],
    },
    Signature {
        name: "npz",
        doc: "NumPy arrays in stored order, a field each; `test_NAME` is the test's. \
              Fields: as the arrays are called; integers are classes.",
        parameters: &[
            required("file", Text, "as `numpy.savez` writes it"),
            CLASSES,
        ],
    },
    Signature {
        name: "npy",
        doc: "One or two NumPy arrays in stored order. Fields: x, y; integers are classes.",
        parameters: &[
            required("x", Text, "as `numpy.save` writes it"),
            optional("y", Text, "", "what goes with it"),
            optional("test_x", Text, "", "the test's; without it, `x` is"),
            optional("test_y", Text, "", "what goes with that"),
            CLASSES,
        ],
    },
    Signature {
        name: "images",
        doc: "PNG and JPEG files in one folder per class, or in train/ and test/ of such folders. \
              Fields: image [3, height, width], label class(folders).",
        parameters: &[
            required("folder", Text, "where the classes' folders are"),
            required("size", Floats, "[height, width] that all are brought to"),
            TEST,
        ],
    },
    Signature {
        name: "shapes",
        doc: "Generated pictures of discs and squares. \
              Fields: image [1, size, size], mask [size, size] class(3): nothing, disc, square.",
        parameters: &[
            optional("size", Int, "32", "pixels of a side"),
            optional("train", Int, "2000", "training samples"),
            optional("test", Int, "400", "test samples"),
            optional("seed", Int, "0", "another seed, other pictures"),
        ],
    },
    Signature {
        name: "sentences",
        doc: "Generated remarks of up to 12 words that praise (1) or find fault (0). \
              Fields: tokens [12] class(48), label class(2).",
        parameters: &[
            optional("train", Int, "4000", "training samples"),
            optional("test", Int, "1000", "test samples"),
            optional("seed", Int, "0", "another seed, other remarks"),
        ],
    },
    Signature {
        name: "text",
        doc: "Windows of a text file, character by character; its last tenth is for the test. \
              Fields: tokens [context] class(characters), target: the same, one on.",
        parameters: &[required("file", Text, "UTF-8"), CONTEXT, STRIDE, VALID],
    },
    Signature {
        name: "tinyshakespeare",
        doc: "A million characters of Shakespeare's plays, 65 different ones, as `text` gives them. \
              Fields: tokens [context] class(65), target.",
        parameters: &[CONTEXT, STRIDE, VALID],
    },
];

const CLASSES: Parameter = optional(
    "classes",
    Ints,
    "0",
    "how many, or a list of so many for each array of classes; 0: one more than the greatest",
);
const SAMPLES: Parameter = optional(
    "samples",
    Int,
    "1000",
    "training samples; a quarter as many for the test",
);
const TEST: Parameter = optional(
    "test",
    Float,
    "0.2",
    "the fraction that is kept for the test",
);
const CONTEXT: Parameter = required("context", Int, "characters of a sample");
const STRIDE: Parameter = optional(
    "stride",
    Int,
    "0",
    "from the start of a training sample to that of the next; 0 is the context: side by side",
);

const VALID: Parameter = optional(
    "valid",
    Float,
    "0",
    "the part of the text, in front of the test's, to choose settings by",
);

/// What may follow a source, by `|>`.
pub const STEPS: &[Signature] = &[
    Signature {
        name: "normalize",
        doc: "Makes the first field (x - mean) / std, one number for all or one per leading index.",
        parameters: &[
            required("mean", Floats, "to be subtracted"),
            required("std", Floats, "to be divided by"),
        ],
    },
    Signature {
        name: "standardize",
        doc: "Brings the first field to mean 0 and deviation 1 over the training samples, one pair per leading index.",
        parameters: &[],
    },
    Signature {
        name: "random_crop",
        doc: "Moves training pictures by up to so many pixels, at random.",
        parameters: &[optional("padding", Int, "4", "at most so many pixels")],
    },
    Signature {
        name: "flip",
        doc: "Mirrors, left for right, every other training picture, at random.",
        parameters: &[],
    },
    Signature {
        name: "rotate",
        doc: "Turns training pictures by a random angle.",
        parameters: &[optional(
            "degrees",
            Float,
            "10",
            "at most so many, either way",
        )],
    },
    Signature {
        name: "noise",
        doc: "Adds normal noise to training samples.",
        parameters: &[optional("std", Float, "0.1", "its standard deviation")],
    },
    Signature {
        name: "cutout",
        doc: "Zeroes a square of each training picture, at random.",
        parameters: &[optional("size", Int, "8", "pixels of its side")],
    },
    Signature {
        name: "split",
        doc: "Cuts a validation split from the training samples, chosen by the run's seed.",
        parameters: &[required(
            "valid",
            Float,
            "its fraction of the training samples",
        )],
    },
    Signature {
        name: "shuffle",
        doc: "Whether each epoch visits the training samples in an order of its own.",
        parameters: &[optional(
            "on",
            Bool,
            "true",
            "`false` keeps the order of the source",
        )],
    },
    Signature {
        name: "take",
        doc: "Keeps the first samples of every split; of samples that come class by class, evenly spaced ones.",
        parameters: &[required("n", Int, "at most so many")],
    },
];

/// The fields of a source's samples; where they depend on a file, it is read.
pub fn fields(source: &Call, places: &Places) -> Result<Vec<Field>> {
    known(source, SOURCES, "data source")?;
    match source.name.as_str() {
        "mnist" => Ok(mnist::fields()),
        "digits" => digits::fields(source),
        "linear" => linear::fields(source),
        "points" => points::fields(source),
        "sequences" => sequences::fields(source),
        "cifar10" => Ok(cifar10::fields()),
        "fashion_mnist" => Ok(mnist::fields()),
        "csv" => csv::fields(source, places),
        "npz" | "npy" => npz::fields(source, places),
        "images" => images::fields(source, places),
        "shapes" => shapes::fields(source),
        "sentences" => sentences::fields(source),
        "text" => text::fields(source, places),
        "tinyshakespeare" => text::shakespeare_fields(source),
        other => unreachable!("`{other}` is in the catalogue"),
    }
}

/// Sees that a pipeline calls what there is, with arguments that there are.
pub(super) fn check(pipeline: &[Call]) -> Result<(&Call, &[Call])> {
    let Some((source, steps)) = pipeline.split_first() else {
        return Err(Error::NoData("the model names no data source".into()));
    };
    known(source, SOURCES, "data source")?;
    for step in steps {
        known(step, STEPS, "loader step")?;
    }
    Ok((source, steps))
}

/// Sees that a call names an entry of a table, with arguments that it takes.
pub(crate) fn known(call: &Call, table: &[Signature], what: &str) -> Result<()> {
    let Some(signature) = table.iter().find(|entry| entry.name == call.name) else {
        let names: Vec<&str> = table.iter().map(|entry| entry.name).collect();
        return Err(call.fault(format!("no such {what}; there are: {}", names.join(", "))));
    };
    for (name, _) in &call.arguments {
        if !signature.parameters.iter().any(|p| p.name == name) {
            return Err(call.fault(format!("`{}` takes no `{name}`", call.name)));
        }
    }
    for parameter in signature.parameters {
        if parameter.default.is_none() && call.argument(parameter.name).is_none() {
            return Err(call.wrong(parameter.name, "is missing"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Value;
    use super::*;

    #[test]
    fn every_source_says_what_its_samples_are() {
        for source in SOURCES {
            assert!(source.doc.contains("Fields: "), "{}", source.name);
            if source.parameters.iter().all(|p| p.default.is_some()) {
                let fields = fields(&Call::new(source.name), &Places::default()).unwrap();
                assert!(
                    fields.iter().all(|f| source.doc.contains(&f.name)),
                    "{}",
                    source.name
                );
            }
        }
    }

    #[test]
    fn strangers_are_refused() {
        let message = |call: Call| fields(&call, &Places::default()).unwrap_err().to_string();
        assert!(message(Call::new("mnits")).contains("no such data source; there are: mnist, "));
        let call = Call::new("digits").with("size", Value::Int(3));
        assert_eq!(message(call), "`digits(size: 3)`: `digits` takes no `size`");
        let pipeline = [Call::new("mnist"), Call::new("split")];
        let message = check(&pipeline).unwrap_err().to_string();
        assert_eq!(message, "`split()`: `valid` is missing");
    }
}
