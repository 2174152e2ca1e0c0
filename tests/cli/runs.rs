//! Training from outside, and what is done with what it leaves behind.

use super::place::{DIGITS, Done, Place, model};
use npyz::WriterBuilder;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn array(shape: &[u64], values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn records(place: &Place, path: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(path)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Trains the digits into `out`.
fn trained(place: &Place) {
    place.nnc("run digits.nn --out out --quiet").exits(0);
}

#[test]
fn a_run_leaves_weights_and_records() {
    let place = Place::new();
    let done = place.nnc("run digits.nn --out out --seed 7").exits(0);
    assert!(done.out.contains("600 train + 150 test"), "{}", done.out);
    assert!(done.out.contains("test"), "{}", done.out);
    let lines = records(&place, "out/metrics.jsonl");
    let passes: Vec<&Value> = lines
        .iter()
        .filter(|line| line.get("samples").is_some())
        .collect();
    let splits: Vec<&str> = passes
        .iter()
        .map(|line| line["split"].as_str().unwrap())
        .collect();
    assert_eq!(splits, ["train", "train", "test"]);
    assert!(
        passes
            .iter()
            .all(|line| line["loss"].is_number() && line["accuracy"].is_number())
    );
    assert_eq!(passes[2]["step"], 20);
    let record: Value =
        serde_json::from_slice(&fs::read(place.path("out/run.json")).unwrap()).unwrap();
    assert_eq!(
        (&record["status"], &record["seed"]),
        (&"finished".into(), &7.into())
    );
    assert_eq!(record["constants"]["lr"], "0.003");
    assert_eq!(record["data"]["substitute"], false);
    let weights = fs::read(place.path("out/weights.safetensors")).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&weights).unwrap();
    assert_eq!(
        weights.tensor("digits_mlp/dense_1/w").unwrap().shape(),
        [784, 32]
    );
}

#[test]
fn results_as_json_are_one_object_a_line_and_nothing_else() {
    let place = Place::new();
    let done = place.nnc("run digits.nn --out out --json").exits(0);
    let splits: Vec<String> = done
        .objects()
        .iter()
        .map(|line| line["split"].as_str().unwrap().into())
        .collect();
    assert_eq!(splits, ["train", "train", "test"]);
    assert_eq!(
        place.nnc("run digits.nn --out quiet --quiet").exits(0).out,
        ""
    );
}

#[test]
fn runs_are_numbered_and_never_overwritten() {
    let place = Place::new();
    for number in 1..=2 {
        let done = place.nnc("run digits.nn --steps 1").exits(0);
        assert!(
            done.out
                .contains(&format!("runs/digits_mlp-{number}/weights")),
            "{}",
            done.out
        );
    }
    let before = fs::read(place.path("runs/digits_mlp-1/weights.safetensors")).unwrap();
    let done = place.nnc("run digits.nn --out runs/digits_mlp-1").exits(2);
    assert!(done.err.contains("holds a run already"), "{}", done.err);
    assert_eq!(
        fs::read(place.path("runs/digits_mlp-1/weights.safetensors")).unwrap(),
        before
    );
}

#[test]
fn a_resumed_run_is_the_run_without_a_break() {
    let place = Place::new();
    place.nnc("run digits.nn --out whole").exits(0);
    place.nnc("run digits.nn --out parts --steps 7").exits(0);
    place.nnc("run digits.nn --out parts --resume").exits(0);
    for file in ["weights.safetensors", "resume.safetensors"] {
        let [whole, parts] =
            ["whole", "parts"].map(|run| fs::read(place.path(run).join(file)).unwrap());
        assert!(whole == parts, "{file} differs");
    }
}

#[test]
fn a_refused_resume_leaves_the_run_as_it_was() {
    let place = Place::new();
    place.nnc("run digits.nn --out run --steps 3").exits(0);
    let record = fs::read(place.path("run/run.json")).unwrap();
    place
        .nnc("run digits.nn --out run --resume --seed 5")
        .exits(2);
    let changed = place
        .nnc("run digits.nn --out run --resume --set lr=0.5")
        .exits(2);
    assert!(changed.err.contains("`lr` was"), "{}", changed.err);
    assert!(record == fs::read(place.path("run/run.json")).unwrap());
}

#[test]
fn results_do_not_depend_on_threads() {
    let place = Place::new();
    for threads in [1, 2, 3] {
        place
            .nnc(&format!(
                "run digits.nn --out t{threads} --threads {threads} --steps 12"
            ))
            .exits(0);
    }
    let weights =
        |threads| fs::read(place.path(&format!("t{threads}/weights.safetensors"))).unwrap();
    assert!(weights(1) == weights(2) && weights(1) == weights(3));
}

#[test]
fn linear_regression_learns_its_line() {
    let place = Place::new();
    let words = format!("run {} --json --out line", model("linear_regression.nn"));
    let lines = place.nnc(&words).exits(0).objects();
    let test = lines.last().unwrap();
    assert_eq!(test["split"], "test");
    // The noise has a standard deviation of 0.1, which no line can explain.
    assert!(test["loss"].as_f64().unwrap() < 0.015, "{test}");
}

#[test]
fn synthetic_digits_in_place_of_mnist_are_announced_everywhere() {
    let place = Place::new();
    place.write(
        "mnist.nn",
        DIGITS.replace("digits(train: 600, test: 150)", "mnist() |> take(128)"),
    );
    let done = place
        .nnc("run mnist.nn --offline --out out --steps 1")
        .exits(0);
    assert_eq!(
        done.err.matches("NOT mnist").count(),
        2,
        "at the start and in the summary:\n{}",
        done.err
    );
    assert!(done.out.contains("NOT mnist"), "{}", done.out);
    assert!(
        records(&place, "out/metrics.jsonl")
            .iter()
            .all(|line| line["data"].as_str().unwrap().contains("NOT mnist"))
    );
    let record = fs::read_to_string(place.path("out/run.json")).unwrap();
    assert!(record.contains("\"substitute\": true"), "{record}");
    let lines = place
        .nnc("run mnist.nn --offline --out again --steps 1 --json")
        .exits(0);
    assert!(
        lines
            .objects()
            .iter()
            .all(|line| line["data"].as_str().unwrap().contains("NOT mnist"))
    );
}

#[test]
fn saved_weights_are_evaluated_and_applied() {
    let place = Place::new();
    trained(&place);
    let test = records(&place, "out/metrics.jsonl").pop().unwrap();
    let measures = &place
        .nnc("eval digits.nn --weights out/weights.safetensors --json")
        .exits(0)
        .objects()[0];
    for name in ["loss", "accuracy", "samples"] {
        assert_eq!(measures[name], test[name], "{name}");
    }

    let picture = image::GrayImage::from_fn(28, 28, |x, y| {
        image::Luma([if (12..16).contains(&x) && (4..24).contains(&y) {
            255
        } else {
            0
        }])
    });
    picture.save(place.path("one.png")).unwrap();
    let pixels: Vec<f32> = picture
        .as_raw()
        .iter()
        .map(|&value| f32::from(value) / 255.0)
        .collect();
    let mut batch = vec![0.0; 70 * 784];
    batch[69 * 784..].copy_from_slice(&pixels);
    place.write("batch.npy", array(&[70, 1, 28, 28], &batch));
    let done = place
        .nnc("predict digits.nn --weights out/weights.safetensors one.png batch.npy --json")
        .exits(0);
    let answers = done.objects();
    assert_eq!(answers.len(), 71);
    assert_eq!(answers[0]["probabilities"].as_array().unwrap().len(), 10);
    // The same digit as a picture and as the last of an array, in another batch.
    assert_eq!(answers[0]["class"], answers[70]["class"]);
    let [a, b] = [0, 70].map(|i: usize| answers[i]["probability"].as_f64().unwrap());
    assert!((a - b).abs() < 1e-5, "{a} and {b}");
    let done = place
        .nnc("predict digits.nn --weights out/weights.safetensors one.png")
        .exits(0);
    assert!(
        done.out.starts_with("one.png  ") && done.out.contains('%'),
        "{}",
        done.out
    );
}

#[test]
fn pictures_of_another_size_or_polarity_are_brought_into_form() {
    let place = Place::new();
    trained(&place);
    let page = image::GrayImage::from_pixel(60, 60, image::Luma([250]));
    page.save(place.path("page.jpg")).unwrap();
    let done = place
        .nnc("predict digits.nn --weights out/weights.safetensors page.jpg")
        .exits(0);
    assert!(
        done.err.contains("60 x 60; resized to 28 x 28"),
        "{}",
        done.err
    );
    assert!(done.err.contains("inverted"), "{}", done.err);
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let place = Place::new();
    trained(&place);
    place.write("flat.npy", array(&[784], &[0.0; 784]));
    place.write("words.png", "these are words");
    for (input, said) in [
        ("flat.npy", "the net reads [1, 28, 28]"),
        ("words.png", "neither a PNG nor a JPEG"),
        ("nothing.png", "cannot read"),
    ] {
        let words = format!("predict digits.nn --weights out/weights.safetensors {input}");
        let done = place.nnc(&words).exits(2);
        assert!(done.err.contains(said), "{}", done.err);
    }
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let place = Place::new();
    trained(&place);
    place.write(
        "corrupt.safetensors",
        b"\xff\xff\xff\xff\xff\xff\xff\x7fnonsense",
    );
    place.write("other.nn", DIGITS.replace("dense(32)", "dense(48)"));
    for words in [
        "eval digits.nn --weights nowhere.safetensors",
        "eval digits.nn --weights corrupt.safetensors",
        "eval other.nn --weights out/weights.safetensors",
        "run other.nn --out again --weights out/weights.safetensors",
    ] {
        place.nnc(words).exits(2);
    }
    let done = place
        .nnc("eval other.nn --weights out/weights.safetensors")
        .exits(2);
    assert!(done.err.contains("digits_mlp/dense_1/w"), "{}", done.err);
    let done = place
        .nnc("run digits.nn --out again --weights out/weights.safetensors --steps 1")
        .exits(0);
    assert!(
        done.out.contains("saved again/weights.safetensors"),
        "{}",
        done.out
    );
}

#[test]
fn damaged_data_is_refused_and_not_replaced() {
    let place = Place::new();
    place.write(
        "mnist.nn",
        DIGITS.replace("digits(train: 600, test: 150)", "mnist()"),
    );
    let folder = place.path("data/mnist");
    fs::create_dir_all(&folder).unwrap();
    for name in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        fs::write(folder.join(name), [0, 0, 8, 3, 0, 0]).unwrap();
    }
    for words in [
        "run mnist.nn --offline --out out",
        "run mnist.nn --offline --out out --data data/mnist",
    ] {
        let done = place.nnc(words).exits(2);
        assert!(done.err.contains("idx"), "{}", done.err);
        assert!(!place.path("out/weights.safetensors").exists());
    }
}

#[test]
fn a_start_that_fails_leaves_no_folder() {
    let place = Place::new();
    let text = DIGITS.replace("test: 150)", "test: 150) |> split(valid: 0.0001)");
    place.write("wrong.nn", text);
    place.nnc("run wrong.nn --out made/for/it").exits(1);
    assert!(!place.path("made").exists());
    place.nnc("run wrong.nn").exits(1);
    assert!(!place.path("runs").exists());
}

#[test]
fn an_unwritable_folder_is_found_before_training() {
    let place = Place::new();
    place.write("file", "");
    let done = place.nnc("run digits.nn --out file/out").exits(2);
    assert!(
        done.err.contains("cannot write to `file/out`"),
        "{}",
        done.err
    );
    assert_eq!(done.out, "");
}

/// Starts a run that would take for ever, and waits until it is on its way.
#[cfg(unix)]
fn endless(
    place: &Place,
    words: &str,
) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    place.write(
        "endless.nn",
        DIGITS.replace("epochs    = 2", "epochs    = 1000000"),
    );
    let mut child = place
        .command(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.trim_start().starts_with("2  train") {
        line.clear();
        assert!(
            out.read_line(&mut line).unwrap() > 0,
            "ended before its second epoch"
        );
    }
    (child, out)
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_after_the_step_with_the_weights_saved() {
    let place = Place::new();
    let (child, mut out) = endless(&place, "run endless.nn --out out");
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    let done = Done::from(child.wait_with_output().unwrap()).exits(0);
    assert!(
        done.err.contains("stopping after this step"),
        "{}",
        done.err
    );
    assert!(
        rest.contains("interrupted after") && rest.contains("--resume"),
        "{rest}"
    );
    let record = fs::read_to_string(place.path("out/run.json")).unwrap();
    assert!(record.contains("\"interrupted\""), "{record}");
    place
        .nnc("eval endless.nn --weights out/weights.safetensors")
        .exits(0);
    place
        .nnc("run endless.nn --out out --resume --steps 1")
        .exits(0);
}

#[cfg(unix)]
#[test]
fn a_run_that_nobody_reads_saves_its_weights_and_ends() {
    let place = Place::new();
    let (child, out) = endless(&place, "run endless.nn --out out");
    drop(out);
    Done::from(child.wait_with_output().unwrap()).exits(0);
    place
        .nnc("eval endless.nn --weights out/weights.safetensors")
        .exits(0);
}

#[test]
fn a_run_stops_early_with_the_best_weights_and_says_so() {
    let place = Place::new();
    let text = DIGITS
        .replace(
            "epochs    = 2",
            "epochs    = 30\n    stop = early(valid.accuracy, greatest: true, patience: 2)",
        )
        .replace("test: 150)", "test: 150) |> split(valid: 0.2)");
    place.write("early.nn", &text);
    let done = place.nnc("run early.nn --out out").exits(0);
    assert!(done.out.contains("stopped early after"), "{}", done.out);
    let record: Value = serde_json::from_str(&place.read("out/run.json")).unwrap();
    let best = record["result"]["best_epoch"].as_u64().unwrap();
    let epochs = record["result"]["epochs"].as_u64().unwrap();
    assert_eq!((&record["status"], epochs), (&"early".into(), best + 2));
    let passes = records(&place, "out/metrics.jsonl");
    let accuracy = |line: &&Value| line["split"] == "valid" && line.get("samples").is_some();
    let accuracies = passes
        .iter()
        .filter(accuracy)
        .map(|line| line["accuracy"].as_f64().unwrap());
    let accuracies: Vec<f64> = accuracies.collect();
    let first = accuracies
        .iter()
        .position(|a| *a == accuracies.iter().copied().fold(0.0, f64::max));
    assert_eq!(first, Some(best as usize - 1), "{accuracies:?}");
    // The weights that are kept are those that were tested.
    let again = place
        .nnc("eval early.nn --weights out/weights.safetensors --json")
        .exits(0);
    let (told, test) = (&again.objects()[0], passes.last().unwrap());
    assert_eq!(told["accuracy"], test["accuracy"]);
    // Nothing is left to do; what is written again is said.
    let resumed = place.nnc("run early.nn --out out --resume").exits(0);
    assert!(
        resumed.err.contains("left 1 line out of out/metrics.jsonl"),
        "{}",
        resumed.err
    );
    assert_eq!(passes, records(&place, "out/metrics.jsonl"));
}

#[test]
fn without_a_validation_split_there_is_nothing_to_stop_by() {
    let place = Place::new();
    let stopping = "epochs    = 2\n    stop = early(valid.loss, patience: 2)";
    place.write("early.nn", DIGITS.replace("epochs    = 2", stopping));
    let done = place.nnc("run early.nn --out out").exits(1);
    assert!(
        done.err.contains("no validation split to stop by"),
        "{}",
        done.err
    );
    assert!(done.err.contains("early.nn:11"), "{}", done.err);
    assert!(!place.path("out").exists());
}
