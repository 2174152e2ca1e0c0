//! Training programs of several parts, from outside: several objectives, saved weights,
//! frozen layers, pictures, files that use others.

use super::place::Place;
use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;

/// A generator and a discriminator that are quick to compile and to train.
const ADVERSARIES: &str = "\
net generator(z: [n]) -> [784] { z |> dense(32) |> relu |> dense(784) |> sigmoid }

net discriminator(x: [784]) -> [] { x |> dense(32) |> relu |> dense(1) |> reshape([]) }

train {
    data   = digits(train: 300, test: 70)
    batch  = 64
    epochs = 2

    let real: [784] = image |> flatten
    let fake = generator(normal([8]))
    step discriminator with adam(1e-3) {
        minimize bce_with_logits(discriminator(real), 1) + bce_with_logits(discriminator(stop_gradient(fake)), 0)
    }
    step generator with adam(1e-3) { minimize bce_with_logits(discriminator(fake), 1) }
    show fake: fake |> reshape([28, 28])
}
";

/// What others start from.
const BASE: &str = "\
layer features(width: int)(image: [1, 28, 28]) { image |> flatten |> dense(width) |> batch_norm |> relu }

net base(image: [1, 28, 28]) -> [10] {
    let body = features(16)
    let head = dense(10)
    image |> body |> head
}

train {
    data      = digits(train: 300, test: 70)
    batch     = 64
    epochs    = 1
    optimizer = adam(1e-3)
    minimize cross_entropy(base(image), label)
}
";

const TUNED: &str = "\
use \"base.nn\"

net tuned(image: [1, 28, 28]) -> [10] {
    let body = features(16)
    image |> body |> dense(32) |> relu |> dense(10)
}

train {
    data      = digits(train: 200, test: 70, seed: 1)
    batch     = 20
    epochs    = 2
    optimizer = adam(1e-3)
    init      = weights(\"base/weights.safetensors\", from: \"base\", into: \"tuned\")
    freeze    = \"tuned/body/*\"
    minimize cross_entropy(tuned(image), label)
}
";

fn bytes(place: &Place, path: &str) -> Vec<u8> {
    fs::read(place.path(path)).unwrap()
}

#[test]
fn each_objective_is_recorded_and_pictures_are_drawn() {
    let place = Place::new();
    place.write("gan.nn", ADVERSARIES);
    let done = place.nnc("run gan.nn --out out").exits(0);
    assert!(done.out.contains("drawn out/pictures"), "{}", done.out);
    let text = String::from_utf8(bytes(&place, "out/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let parts = |line: &Value| {
        let part = |name: &str| line[name].as_f64().unwrap();
        (
            part("loss"),
            part("discriminator_loss") + part("generator_loss"),
        )
    };
    assert_eq!(lines.len(), 2 * 5 + 2 + 1);
    for line in &lines {
        let (loss, sum) = parts(line);
        assert!((loss - sum).abs() < 1e-5 * sum, "{line}");
    }
    let picture = image::open(place.path("out/pictures/fake-002.png")).unwrap();
    // Of 64 samples, 8 times 8 with lines between them.
    assert_eq!(picture.width(), 8 * 28 + 7 * 2);
    // The same run again, on another number of threads, and with a break in it.
    place.nnc("run gan.nn --out again --threads 1").exits(0);
    place.nnc("run gan.nn --out parts --steps 7").exits(0);
    place.nnc("run gan.nn --out parts --resume").exits(0);
    for file in [
        "weights.safetensors",
        "metrics.jsonl",
        "pictures/fake-002.png",
    ] {
        let expected = bytes(&place, &format!("out/{file}"));
        assert_eq!(bytes(&place, &format!("again/{file}")), expected, "{file}");
        assert_eq!(bytes(&place, &format!("parts/{file}")), expected, "{file}");
    }
}

#[test]
fn what_is_frozen_stays_as_it_was_saved() {
    let place = Place::new();
    place.write("base.nn", BASE);
    place.write("tuned.nn", TUNED);
    let done = place.nnc("run tuned.nn --out early").exits(2);
    assert!(
        done.err.contains("base/weights.safetensors"),
        "{}",
        done.err
    );
    place.nnc("run base.nn --out base --quiet").exits(0);
    let done = place.nnc("run tuned.nn --out tuned").exits(0);
    let line = done.out.lines().find(|line| line.starts_with("weights"));
    let line = line.unwrap();
    assert!(
        line.contains("6 tensors from base/weights.safetensors"),
        "{line}"
    );
    assert!(line.contains("initialised anew: tuned/dense_1/w"), "{line}");
    assert!(
        line.contains("left over: base/head/b, base/head/w"),
        "{line}"
    );
    let (base, tuned) = (
        bytes(&place, "base/weights.safetensors"),
        bytes(&place, "tuned/weights.safetensors"),
    );
    let base = SafeTensors::deserialize(&base).unwrap();
    let tuned = SafeTensors::deserialize(&tuned).unwrap();
    let mut kept = 0;
    for (name, tensor) in base.tensors() {
        if let Some(part) = name.strip_prefix("base/body/") {
            let now = tuned.tensor(&format!("tuned/body/{part}")).unwrap();
            assert_eq!(now.data(), tensor.data(), "{name}");
            kept += 1;
        }
    }
    assert_eq!(kept, 6);
}
