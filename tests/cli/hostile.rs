//! What nobody should write, and what befalls files: each ends with a diagnosis and leaves
//! nothing half done behind.

use super::elsewhere::npy;
use super::place::{DIGITS, Done, Place};
use safetensors::tensor::{Dtype, TensorView};

/// It ended with this exit code and these words, without a fault of ours.
#[track_caller]
fn told(done: Done, code: i32, words: &str) {
    let done = done.exits(code);
    assert!(done.err.contains(words), "{}", done.err);
    assert!(!done.err.contains("bug"), "{}", done.err);
}

#[test]
fn texts_that_are_no_models() {
    let place = Place::new();
    place.write("bytes.nn", b"net m(x: [2]) { x } # \xff\xfe");
    for command in ["check", "run", "fmt"] {
        told(place.nnc(&format!("{command} bytes.nn")), 2, "not UTF-8");
        told(
            place.nnc(&format!("{command} none.nn")),
            2,
            "cannot read `none.nn`",
        );
    }
    place.write("empty.nn", "");
    told(place.nnc("check empty.nn"), 1, "has no `train` block");
    place.write("zeros.nn", [0; 100]);
    told(place.nnc("check zeros.nn"), 1, "not part of the language");
    // Megabytes on one line.
    place.write(
        "long.nn",
        format!("const a = \"{}\"", "x".repeat(10_000_000)),
    );
    told(place.nnc("check long.nn"), 1, "has no `train` block");
    for (text, words) in [
        (
            "(".repeat(100_000),
            "more than 64 brackets inside one another",
        ),
        ("-".repeat(100_000) + "1", "more than 256 operations deep"),
        ("9".repeat(100_000), "larger than the largest integer"),
    ] {
        place.write("deep.nn", format!("const a = {text}"));
        told(place.nnc("check deep.nn"), 1, words);
    }
}

#[test]
fn files_that_use_one_another_without_end() {
    let place = Place::new();
    for i in 0..300 {
        place.write(
            &format!("part{i}.nn"),
            format!("use \"part{}.nn\"\n", i + 1),
        );
    }
    place.write("part300.nn", "const lr = 1e-3\n");
    place.write(
        "deep.nn",
        "use \"part0.nn\"\n".to_owned() + &DIGITS.replace("const lr = 3e-3", ""),
    );
    place.nnc("check deep.nn").exits(0);
    place.write("part300.nn", "use \"part7.nn\"\n");
    told(
        place.nnc("check deep.nn"),
        1,
        "leads back to where it came from",
    );
    place.write("folder.nn", "use \"/\"\n");
    told(place.nnc("check folder.nn"), 1, "cannot read `/`");
}

#[test]
fn numbers_beyond_all_bounds() {
    let place = Place::new();
    for (from, to, words) in [
        ("= 64", "= 1_000_000_000_000", "must be an int from 1 to"),
        ("epochs    = 2", "epochs    = 0", "must be an int from 1 to"),
        ("dense(32)", "dense(1_000_000_000_000)", "would need"),
        (
            "dense(32)",
            "repeat 1_000_000_000 { dense(32) }",
            "must lie in 0 to",
        ),
        (
            "train: 600",
            "train: 1_000_000_000_000",
            "`train` must lie between 1 and",
        ),
    ] {
        place.write("huge.nn", DIGITS.replace(from, to));
        told(place.nnc("run huge.nn --out out"), 1, words);
        assert!(!place.path("out").exists());
    }
    // A batch may be larger than the data set: it is what there is.
    place.write("wide.nn", DIGITS.replace("= 64", "= 5000"));
    place.nnc("run wide.nn --out out").exits(0);
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::new();
    place.write("file", "");
    for out in ["file", "file/below", "/dev/null/below"] {
        told(
            place.nnc(&format!("run digits.nn --out {out}")),
            2,
            "cannot write to",
        );
    }
    assert_eq!(place.read("file"), "");
}

/// Trained weights that a model starts from.
const STARTED: &str = "    init = weights(\"start.safetensors\")\n    let logits";

#[test]
fn saved_weights_that_cannot_be_used() {
    let place = Place::new();
    place.write("started.nn", DIGITS.replace("    let logits", STARTED));
    // Whoever checks the model need not have run the one before.
    place.nnc("check started.nn").exits(0);
    let done = place.nnc("run started.nn --out out").exits(2);
    assert!(
        done.err.contains("there is no `start.safetensors`"),
        "{}",
        done.err
    );
    assert!(done.err.contains("started.nn:12"), "{}", done.err);
    place.write("start.safetensors", "garbage");
    let done = place.nnc("check started.nn").exits(1);
    assert!(done.err.contains("started.nn:12:"), "{}", done.err);
    assert!(!place.path("out").exists());
    let numbers: Vec<u8> = [f32::NAN; 10]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let view = TensorView::new(Dtype::F32, vec![10], &numbers).unwrap();
    let saved = safetensors::serialize([("digits_mlp/dense_2/b", view)], None).unwrap();
    place.write("start.safetensors", saved);
    told(
        place.nnc("run started.nn --out out"),
        1,
        "no step has been taken yet",
    );
    assert!(!place.path("out/weights.safetensors").exists());
}

#[test]
fn data_that_hold_no_numbers() {
    let place = Place::new();
    place.write(
        "x.npy",
        npy(&[4, 2], &[1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0, 7.0, 8.0]),
    );
    place.write(
        "nan.nn",
        "net model(x: [2]) { x |> dense(1) }

train {
    data      = npy(\"x.npy\")
    batch     = 2
    epochs    = 1
    optimizer = sgd(0.1)
    minimize mean(model(x)^2)
}
",
    );
    told(place.nnc("run nan.nn --out out"), 1, "sample 2 holds NaN");
    assert!(!place.path("out").exists());
}
