//! Data sets as a whole: files to splits to batches.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod cifar10;

use super::*;
use crate::machine::Machine;
use crate::program::{Element, InputBinding, InputKind, Program, SlotTable};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn request(directory: Option<&Path>) -> Request<'static> {
    Request {
        places: Places {
            directory: directory.map(Path::to_path_buf),
            model: None,
        },
        offline: true,
        seed: 1,
        progress: Box::leak(Box::new(|_| {})),
    }
}

fn digits(train: i64, test: i64) -> Call {
    Call::new("digits")
        .with("train", Value::Int(train))
        .with("test", Value::Int(test))
}

fn labels(split: &Split) -> Vec<i32> {
    match &split.columns()[1].values {
        Values::Classes(labels) => labels.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn bytes(split: &Split) -> &[u8] {
    match &split.columns()[0].values {
        Values::Bytes(bytes, _) => bytes,
        other => panic!("{other:?}"),
    }
}

fn idx(extents: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, extents.len() as u8];
    file.extend(extents.iter().flat_map(|e| e.to_be_bytes()));
    file.extend(bytes);
    file
}

/// A tiny MNIST: 5 + 3 samples, each image filled with its number.
fn write_mnist(directory: &Path) {
    for (name, count) in [("train", 5_u8), ("t10k", 3)] {
        let pixels: Vec<u8> = (0..count).flat_map(|i| [i * 51; 784]).collect();
        let labels: Vec<u8> = (0..count).collect();
        let images = idx(&[count.into(), 28, 28], &pixels);
        fs::write(directory.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
        let labels = idx(&[count.into()], &labels);
        fs::write(directory.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// What a step that reads `fields` would see of some samples.
fn gathered(split: &Split, batch: &[u32], fields: &[Field], threads: usize) -> Vec<Vec<f32>> {
    let mut offset = 0;
    let mut inputs = Vec::new();
    for field in fields {
        let mut shape = vec![batch.len()];
        shape.extend(&field.shape);
        let elements: usize = shape.iter().product();
        inputs.push(InputBinding {
            kind: InputKind::Field(field.name.clone()),
            element: if field.classes.is_some() {
                Element::I32
            } else {
                Element::F32
            },
            shape,
            offset,
        });
        offset += (elements * 4).next_multiple_of(64);
    }
    let program = Program {
        name: "gather".into(),
        launches: vec![],
        arena_bytes: 0,
        inputs,
        input_bytes: offset,
        outputs: vec![],
        code: Arc::new(()),
    };
    split.check(&program).unwrap();
    let mut machine = Machine::new(SlotTable::default(), threads).unwrap();
    let handle = machine.load(Arc::new(program)).unwrap();
    machine.enter(|session| session.step_on(handle, &|rows| split.gather(batch, rows)));
    let read = |field: &Field| {
        let kind = InputKind::Field(field.name.clone());
        match field.classes {
            None => machine.input::<f32>(handle, &kind).unwrap().to_vec(),
            Some(_) => {
                let classes = machine.input::<i32>(handle, &kind).unwrap();
                classes.iter().map(|&c| c as f32).collect()
            }
        }
    };
    fields.iter().map(read).collect()
}

#[test]
fn mnist_files_become_batches() {
    let directory = tempfile::tempdir().unwrap();
    write_mnist(directory.path());
    let pipeline = [
        Call::new("mnist"),
        Call::new("normalize")
            .with("mean", Value::Float(0.5))
            .with("std", Value::List(vec![Value::Float(0.25)])),
    ];
    let data = load(&pipeline, &mut request(Some(directory.path()))).unwrap();
    assert_eq!((data.train.samples(), data.test.samples()), (5, 3));
    assert_eq!(data.provenance, Provenance::Files(directory.path().into()));
    for threads in [1, 3] {
        let fields = fields(&pipeline[0], &Places::default()).unwrap();
        let batch = gathered(&data.train, &[4, 0, 3], &fields, threads);
        let pixel = |image: usize| batch[0][image * 784 + 783];
        for (image, brightness) in [(0, 204.0 / 255.0), (1, 0.0), (2, 153.0 / 255.0)] {
            assert!((pixel(image) - (brightness - 0.5) / 0.25).abs() < 1e-6);
        }
        assert_eq!(batch[1], [4.0, 0.0, 3.0]);
    }
}

#[test]
fn mnist_faults_name_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let message = || {
        let outcome = load(&[Call::new("mnist")], &mut request(Some(path)));
        outcome.unwrap_err().to_string()
    };
    assert!(message().contains("there is no mnist in"));
    write_mnist(path);
    let labels = path.join("t10k-labels-idx1-ubyte");
    for (damage, fault) in [
        (idx(&[2], &[1, 2]), "expected 3 labels, one per image of"),
        (
            idx(&[3], &[1, 10, 2]),
            "expected labels below 10, found 10 at 1",
        ),
        (idx(&[3], &[1]), "found only 1"),
        (vec![], "it ends within its header"),
    ] {
        fs::write(&labels, damage).unwrap();
        let message = message();
        assert!(
            message.contains(fault) && message.contains("t10k-labels"),
            "{message}"
        );
    }
    fs::remove_file(&labels).unwrap();
    assert!(message().contains("but neither t10k-labels-idx1-ubyte nor"));
    write_mnist(path);
    fs::write(
        path.join("train-images-idx3-ubyte"),
        idx(&[5, 2, 2], &[0; 20]),
    )
    .unwrap();
    assert!(message().contains("expected images of 28 x 28, found 2 x 2"));
}

#[test]
fn digits_are_the_same_everywhere_and_balanced() {
    let load = |call| load(&[call], &mut request(None)).unwrap();
    let (data, again) = (load(digits(600, 100)), load(digits(300, 100)));
    assert_eq!(bytes(&data.train)[..300 * 784], *bytes(&again.train));
    assert_eq!(labels(&data.test), labels(&again.test));
    assert_ne!(bytes(&data.train)[..100 * 784], *bytes(&data.test));
    for digit in 0..10 {
        let count = labels(&data.train).iter().filter(|&&l| l == digit).count();
        assert!((30..100).contains(&count), "{count} of {digit}");
    }
    // Ink, but not too much: MNIST has 13 % of it.
    let ink = bytes(&data.train)
        .iter()
        .map(|&b| f64::from(b))
        .sum::<f64>();
    let mean = ink / (255.0 * 600.0 * 784.0);
    assert!((0.08..0.25).contains(&mean), "{mean}");
    // A checksum of some pixels would break with the last bit of a sine; the labels are integers.
    assert_eq!(labels(&data.train)[..12], FIRST_LABELS);
}

const FIRST_LABELS: [i32; 12] = [8, 1, 0, 3, 6, 0, 8, 7, 8, 6, 9, 4];

#[test]
fn a_split_is_disjoint_complete_and_by_seed() {
    let pipeline = [
        digits(200, 10),
        Call::new("split").with("valid", Value::Float(0.1)),
    ];
    let members = |seed| {
        let mut request = Request {
            seed,
            ..request(None)
        };
        let data = load(&pipeline, &mut request).unwrap();
        (data.train.in_order(), data.valid.unwrap().in_order())
    };
    let (train, valid) = members(1);
    assert_eq!((train.len(), valid.len()), (180, 20));
    let mut all: Vec<u32> = train.iter().chain(&valid).copied().collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..200));
    assert_eq!(members(1), (train, valid.clone()));
    assert_ne!(members(2).1, valid);
}

#[test]
fn an_epoch_is_a_permutation_of_its_own() {
    let data = load(&[digits(50, 5)], &mut request(None)).unwrap();
    let (one, two) = (data.train.shuffled(1, 1), data.train.shuffled(1, 2));
    assert_ne!(one, two);
    let sorted = |mut order: Vec<u32>| {
        order.sort_unstable();
        order
    };
    assert_eq!(sorted(one), data.train.in_order());
    assert_eq!(sorted(two), data.train.in_order());
}

#[test]
fn steps_that_make_no_sense_are_refused() {
    let floats = |values: &[f64]| Value::List(values.iter().map(|&v| Value::Float(v)).collect());
    let normalize =
        |mean: Value, std: Value| Call::new("normalize").with("mean", mean).with("std", std);
    let split = |valid| Call::new("split").with("valid", Value::Float(valid));
    for (step, fault) in [
        (split(0.0), "`valid` must lie between 0 and 1"),
        (split(f64::NAN), "not a finite number"),
        (split(0.001), "leaves a split empty"),
        (
            normalize(floats(&[0.1, 0.2]), floats(&[1.0])),
            "give 1 or 1",
        ),
        (
            normalize(floats(&[0.1]), floats(&[0.0])),
            "`std` must not be 0",
        ),
        (
            Call::new("take").with("n", Value::Int(0)),
            "`n` must lie between 1",
        ),
        (Call::new("augment"), "no such loader step"),
    ] {
        let outcome = load(&[digits(20, 5), step], &mut request(None));
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(fault), "{message}\n  should say: {fault}");
    }
    let too_many = Call::new("linear").with("features", Value::Int(1 << 40));
    assert!(load(&[too_many], &mut request(None)).is_err());
}

#[test]
fn take_keeps_the_first() {
    let pipeline = [digits(20, 9), Call::new("take").with("n", Value::Int(7))];
    let data = load(&pipeline, &mut request(None)).unwrap();
    assert_eq!(data.train.in_order(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(data.test.samples(), 7);
}

#[test]
fn take_leaves_each_class_its_share_where_classes_come_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let rows: String = (0..100).map(|i| format!("{i},{}\n", i / 40)).collect();
    std::fs::write(directory.path().join("t.csv"), format!("x,kind\n{rows}")).unwrap();
    let table = Call::new("csv")
        .with("file", Value::String("t.csv".into()))
        .with("label", Value::String("kind".into()))
        .with("classes", Value::Bool(true));
    let members = |pipeline: &[Call]| {
        let data = load(pipeline, &mut request(Some(directory.path()))).unwrap();
        let Values::Classes(kinds) = &data.train.columns()[1].values else {
            panic!("no classes");
        };
        let mut members = [0; 3];
        for sample in data.train.in_order() {
            members[kinds[sample as usize] as usize] += 1;
        }
        members
    };
    let all = members(std::slice::from_ref(&table));
    let taken = members(&[table, Call::new("take").with("n", Value::Int(20))]);
    assert_eq!(
        (all.iter().sum::<i32>(), taken.iter().sum::<i32>()),
        (80, 20)
    );
    for (all, taken) in all.into_iter().zip(taken) {
        assert!((all - 4 * taken).abs() <= 4, "{taken} of {all}");
    }
}

#[test]
fn linear_data_are_linear() {
    let pipeline = [Call::new("linear")
        .with("features", Value::Int(2))
        .with("noise", Value::Float(0.0))
        .with("samples", Value::Int(40))];
    let data = load(&pipeline, &mut request(None)).unwrap();
    assert_eq!((data.train.samples(), data.test.samples()), (40, 10));
    let (Values::Floats(xs, _), Values::Floats(ys, _)) = (
        &data.train.columns()[0].values,
        &data.train.columns()[1].values,
    ) else {
        panic!("linear data are floats");
    };
    // Affine in x: any affine dependence among points holds among values.
    let row = |i: usize| [xs[2 * i], xs[2 * i + 1], 1.0];
    let determinant = |[a, b, c]: [[f32; 3]; 3]| {
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
    };
    for i in 3..40 {
        let base = determinant([row(0), row(1), row(2)]);
        let predicted = (ys[0] * determinant([row(i), row(1), row(2)])
            + ys[1] * determinant([row(0), row(i), row(2)])
            + ys[2] * determinant([row(0), row(1), row(i)]))
            / base;
        assert!((predicted - ys[i]).abs() < 1e-3, "{predicted} {}", ys[i]);
    }
}

#[test]
fn a_model_that_reads_other_fields_is_refused() {
    let data = load(&[digits(20, 5)], &mut request(None)).unwrap();
    let program = |name: &str, shape: &[usize]| Program {
        name: "train".into(),
        launches: vec![],
        arena_bytes: 0,
        inputs: vec![InputBinding {
            kind: InputKind::Field(name.into()),
            element: Element::F32,
            shape: shape.to_vec(),
            offset: 0,
        }],
        input_bytes: 1 << 20,
        outputs: vec![],
        code: Arc::new(()),
    };
    let message = |p| data.train.check(&p).unwrap_err().to_string();
    assert!(message(program("picture", &[4, 1, 28, 28])).contains("no field `picture`"));
    assert!(
        message(program("image", &[4, 1, 14, 14]))
            .contains("[1, 28, 28], the program reads F32 [1, 14, 14]")
    );
}

/// Real files, where `NNC_DATA` points at them.
#[test]
fn real_mnist_is_whole() {
    let Some(root) = std::env::var_os("NNC_DATA").map(PathBuf::from) else {
        eprintln!("skipped: set NNC_DATA to the folder of the data sets");
        return;
    };
    let data = load(&[Call::new("mnist")], &mut request(Some(&root))).unwrap();
    assert_eq!(
        (data.train.samples(), data.test.samples()),
        (60_000, 10_000)
    );
    assert_eq!(labels(&data.train)[..6], [5, 0, 4, 1, 9, 2]);
}
