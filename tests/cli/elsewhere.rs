//! The same training as another framework's, by the command line alone: its initial weights,
//! its batches in its order; compared are each step's loss and the final weights. The
//! recordings are PyTorch's, those that `compiler/tests/reference.rs` compares the library with.

use super::place::Place;
use npyz::WriterBuilder;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// PyTorch's `mlp` among the recordings, as the text for people shows it.
fn mlp() -> &'static str {
    let text = include_str!("../../docs/data.md");
    let (_, rest) = text.split_once("```nn\n").unwrap();
    rest.split("```").next().unwrap()
}

const STEPS: usize = 10;

/// Ours and theirs; they keep `[out, in]`.
const WEIGHTS: [(&str, &str); 4] = [
    ("model/fc1/w", "fc1.weight"),
    ("model/fc1/b", "fc1.bias"),
    ("model/fc2/w", "fc2.weight"),
    ("model/fc2/b", "fc2.bias"),
];

#[test]
fn a_recorded_training_is_repeated() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("compiler/tests/reference/data");
    let bytes = fs::read(recordings.join("mlp.safetensors")).unwrap();
    let recorded = SafeTensors::deserialize(&bytes).unwrap();
    let text = fs::read_to_string(recordings.join("tolerances.json")).unwrap();
    let tolerances: Value = serde_json::from_str(&text).unwrap();
    let tolerance = |name: &str| tolerances["mlp"][name].as_f64().unwrap();

    let place = Place::new();
    place.write("mlp.nn", mlp());
    let initial: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = WEIGHTS
        .iter()
        .map(|(ours, theirs)| (*ours, turned(&recorded, &format!("param.{theirs}"))))
        .collect();
    let views = initial.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (*name, view)
    });
    let initial = safetensors::serialize(views, None).unwrap();
    place.write("initial.safetensors", initial);
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for step in 0..STEPS {
        x.extend(numbers(&recorded, &format!("batch{step}.x")));
        let label = recorded.tensor(&format!("batch{step}.label")).unwrap();
        let label = label.data().chunks_exact(8);
        labels.extend(label.map(|b| i64::from_le_bytes(b.try_into().unwrap())));
    }
    let samples = labels.len() as u64;
    let arrays = [
        ("x.npy", npy(&[samples, 1, 28, 28], &x)),
        ("label.npy", npy(&[samples], &labels)),
    ];
    place.write("batches.npz", stored(&arrays));

    let done = place.nnc("run mlp.nn --out out").exits(0);
    assert!(done.out.contains("4 tensors from initial"), "{}", done.out);
    let records = place.read("out/metrics.jsonl");
    let steps = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<Value> = steps.filter(|line| line.get("samples").is_none()).collect();
    assert_eq!(steps.len(), STEPS);
    for (step, line) in steps.iter().enumerate() {
        let name = format!("loss{step}");
        let far = (line["loss"].as_f64().unwrap() - f64::from(numbers(&recorded, &name)[0])).abs();
        assert!(far <= tolerance(&name), "{name} is off by {far:e}");
    }
    let bytes = fs::read(place.path("out/weights.safetensors")).unwrap();
    let made = SafeTensors::deserialize(&bytes).unwrap();
    for (ours, theirs) in WEIGHTS {
        let name = format!("final.{theirs}");
        let (_, expected) = turned(&recorded, &name);
        let made = floats(made.tensor(ours).unwrap().data());
        let far = made
            .iter()
            .zip(floats(&expected))
            .fold(0.0, |far: f64, (a, b)| {
                far.max((f64::from(*a) - f64::from(b)).abs())
            });
        assert!(far <= tolerance(&name), "{name} is off by {far:e}");
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.chunks_exact(4);
    numbers
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn numbers(recorded: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    floats(recorded.tensor(name).unwrap().data())
}

/// A tensor with its rows as columns, if it has rows.
fn turned(recorded: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<u8>) {
    let tensor = recorded.tensor(name).unwrap();
    let numbers = floats(tensor.data());
    let (shape, numbers): (Vec<usize>, Vec<f32>) = match *tensor.shape() {
        [rows, columns] => {
            let turned = (0..rows * columns).map(|i| numbers[i % rows * columns + i / rows]);
            (vec![columns, rows], turned.collect())
        }
        _ => (tensor.shape().to_vec(), numbers),
    };
    (
        shape,
        numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    )
}

pub fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A zip archive of files as they are, as `numpy.savez` writes them.
pub fn stored(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut entry = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry.extend(checksum(bytes).to_le_bytes());
        entry.extend((bytes.len() as u32).to_le_bytes());
        entry.extend((bytes.len() as u32).to_le_bytes());
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&entry);
        directory.extend([0; 10]);
        directory.extend((archive.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&entry);
        archive.extend(name.as_bytes());
        archive.extend(bytes);
    }
    let (start, count) = (archive.len() as u32, files.len() as u16);
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// CRC-32 of zip archives.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    let of = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(!0, of)
}
