//! Every command but those that train.

use super::place::{DIGITS, Done, Place, model};
use std::fs;
use std::process::Stdio;

#[test]
fn exit_codes_tell_whose_fault_it_is() {
    let place = Place::new();
    place.write("syntax.nn", "net broken(x: [2]) { x |> }\n");
    place.write("shape.nn", DIGITS.replace("[10] {", "[11] {"));
    place.write("binary.nn", [0xff, 0xfe, 0x00]);
    place.nnc("--help").exits(0);
    place.nnc("check digits.nn").exits(0);
    place.nnc("check syntax.nn").exits(1);
    place.nnc("check shape.nn").exits(1);
    place.nnc("check nowhere.nn").exits(2);
    place.nnc("check .").exits(2);
    place.nnc("check binary.nn").exits(2);
    place.nnc("").exits(2);
    place.nnc("paint digits.nn").exits(2);
    place.nnc("run digits.nn --threads 0").exits(2);
    place.nnc("check digits.nn --set lr").exits(2);
    place.nnc("run digits.nn --resume").exits(2);
}

#[test]
fn models_are_formatted_once() {
    let place = Place::new();
    let untidy = DIGITS
        .replace("relu", " relu ")
        .replace("net ", "# A net.\nnet  ");
    place.write("untidy.nn", &untidy);
    let told = place.nnc("fmt --check untidy.nn").exits(1);
    assert_eq!(told.out, "untidy.nn is not formatted\n");
    assert_eq!(place.read("untidy.nn"), untidy);
    place.nnc("fmt untidy.nn").exits(0);
    let tidy = place.read("untidy.nn");
    assert!(
        tidy.contains("# A net.\nnet ") && !tidy.contains("net  "),
        "{tidy}"
    );
    place.nnc("fmt .").exits(0);
    place.nnc("fmt --check .").exits(0);
    place.nnc("check untidy.nn").exits(0);
    place.write("wrong.nn", "net broken(x: [2]) { x |> }\n");
    let told = place.nnc("fmt .").exits(1);
    assert!(told.err.contains("error[syntax]"), "{}", told.err);
    assert_eq!(place.read("untidy.nn"), tidy);
    place.nnc("fmt nowhere.nn").exits(2);
}

#[test]
fn the_library_documents_itself() {
    let place = Place::new();
    let layer = place.nnc("doc rms_norm").exits(0).out;
    assert!(
        layer.contains("# Each row along the last axis") && layer.contains("layer rms_norm(eps")
    );
    assert!(
        place
            .nnc("doc gather")
            .exits(0)
            .out
            .contains("gather(x, at, over)")
    );
    assert!(place.nnc("doc csv").exits(0).out.contains("test = 0.2"));
    let grid = place.nnc("doc gridworld").exits(0).out;
    assert!(grid.contains("map = \"...G/.#.H/S...\"  # rows"), "{grid}");
    // A schedule, and a data source of the same name.
    let both = place.nnc("doc linear").exits(0).out;
    assert!(
        both.contains("fn linear(") && both.contains("features = 1"),
        "{both}"
    );
    let all = place.nnc("doc").exits(0).out;
    assert!(
        all.contains("dense") && all.contains("top_k") && all.contains("shuffle"),
        "{all}"
    );
    for word in ["scan", "step", "freeze", "clip_norm", "train", "repeat"] {
        let told = place.nnc(&format!("doc {word}")).exits(0).out;
        assert!(
            told.starts_with("# language") && told.contains(word),
            "{told}"
        );
    }
    let told = place.nnc("doc densse").exits(2);
    assert!(told.err.contains("did you mean `dense`?"), "{}", told.err);
}

#[test]
fn errors_go_to_the_standard_error_with_their_place() {
    let place = Place::new();
    place.write("wrong.nn", DIGITS.replace("relu", "rellu"));
    let done = place.nnc("check wrong.nn").exits(1);
    assert_eq!(done.out, "");
    assert!(done.err.contains("error[unknown-name]"), "{}", done.err);
    assert!(done.err.contains("wrong.nn:4:"), "{}", done.err);
    assert!(done.err.contains("did you mean `relu`?"), "{}", done.err);
}

#[test]
fn steps_of_the_data_are_checked_where_they_stand() {
    let place = Place::new();
    for (step, what) in [
        (
            "split(valid: 1.5)",
            "`split`: `valid` must lie between 0 and 1",
        ),
        ("take(0)", "`take`: `n` must lie between"),
        (
            "normalize([0.1, 0.2], [1, 1])",
            "`normalize`: `mean` has 2 numbers",
        ),
    ] {
        let text = DIGITS.replace("test: 150)", &format!("test: 150) |> {step}"));
        place.write("wrong.nn", text);
        let done = place.nnc("check wrong.nn").exits(1);
        assert!(done.err.contains(what), "{}", done.err);
        assert!(done.err.contains("wrong.nn:8:"), "{}", done.err);
    }
}

#[test]
fn errors_as_json_are_one_object_a_line() {
    let place = Place::new();
    place.write(
        "wrong.nn",
        DIGITS
            .replace("relu", "rellu")
            .replace("accuracy", "acuracy"),
    );
    let objects = |words: &str, code| -> Vec<serde_json::Value> {
        let done = place.nnc(words).exits(code);
        done.err
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let faults = objects("check wrong.nn --error-format json", 1);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().all(|fault| fault["code"] == "unknown-name"));
    assert_eq!(faults[0]["labels"][0]["line"], 4);
    assert_eq!(
        objects("check nowhere.nn --error-format json", 2)[0]["code"],
        "io"
    );
    assert_eq!(
        objects("check x.nn --batch no --error-format json", 2)[0]["code"],
        "usage"
    );
}

#[test]
fn constants_can_be_set_and_only_those() {
    let place = Place::new();
    let shown = |words: &str| place.nnc(words).exits(0).out;
    let (plain, set) = (
        shown("dump digits.nn"),
        shown("dump digits.nn --set lr=0.5"),
    );
    assert!(plain != set && set.contains("= 0.5"), "{set}");
    let done = place.nnc("check digits.nn --set lrr=1").exits(1);
    assert!(
        done.err.contains("bad-override") && done.err.contains("did you mean `lr`"),
        "{}",
        done.err
    );
    let done = place.nnc("check digits.nn --set lr=fast").exits(1);
    assert!(done.err.contains("bad-override"), "{}", done.err);
}

#[test]
fn check_sums_a_model_up() {
    let place = Place::new();
    let done = place
        .nnc(&format!("check {}", model("mnist_cnn.nn")))
        .exits(0);
    for fact in [
        "[64, 14, 14]",
        "1,605,760",
        "1,625,866",
        "6.22 GFLOP per step",
        "arena",
    ] {
        assert!(done.out.contains(fact), "no {fact} in\n{}", done.out);
    }
    let summary = &place
        .nnc(&format!("check {} --json", model("mnist_cnn.nn")))
        .exits(0)
        .objects()[0];
    assert_eq!(summary["parameters"], 1_625_866);
    // Two per multiply-accumulate of two convolutions and two dense layers.
    let forward = 2 * (28 * 28 * (9 * 32 + 9 * 32 * 64) + 12544 * 128 + 128 * 10);
    assert_eq!(summary["flop_forward_per_sample"], forward);
    // Gradients by weights and by inputs, but none by the image.
    assert_eq!(
        summary["flop_backward_per_sample"],
        2 * forward - 2 * 28 * 28 * 9 * 32
    );
}

#[test]
fn absurd_sizes_are_refused_with_what_they_would_need() {
    let place = Place::new();
    place.write("huge.nn", DIGITS.replace("dense(32)", "dense(2000000000)"));
    for words in ["check huge.nn", "run huge.nn --out huge"] {
        let done = place.nnc(words).exits(1);
        assert!(done.err.contains("too-large"), "{}", done.err);
        assert!(done.err.contains("TiB"), "{}", done.err);
    }
}

#[test]
fn dumps_are_deterministic() {
    let place = Place::new();
    for folder in ["a", "b"] {
        place
            .nnc(&format!("dump digits.nn --all {folder}"))
            .exits(0);
    }
    let mut names: Vec<String> = fs::read_dir(place.path("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let stages = [
        "ast",
        "graph",
        "grad",
        "simplified",
        "kernels",
        "schedule",
        "clif",
        "asm",
    ];
    let expected: Vec<String> = stages
        .iter()
        .enumerate()
        .map(|(i, stage)| format!("{}-{stage}.txt", i + 1))
        .collect();
    assert_eq!(names, expected);
    for (name, stage) in names.iter().zip(stages) {
        let [a, b] =
            ["a", "b"].map(|folder| fs::read_to_string(place.path(folder).join(name)).unwrap());
        assert!(a == b, "{name} differs");
        assert!(
            !a.contains(&place.folder.path().display().to_string()),
            "{name} names a path"
        );
        let alone = place
            .nnc(&format!("dump digits.nn --stage {stage}"))
            .exits(0)
            .out;
        assert!(a == alone, "{name} is not what --stage {stage} shows");
    }
}

#[test]
fn every_phase_can_be_dumped() {
    let place = Place::new();
    for phase in ["init", "train", "eval", "metrics", "predict"] {
        let shown = place
            .nnc(&format!("dump digits.nn --phase {phase} --stage schedule"))
            .exits(0)
            .out;
        assert!(!shown.is_empty(), "{phase}");
    }
    let dot = place
        .nnc("dump digits.nn --stage simplified --dot")
        .exits(0)
        .out;
    assert!(
        dot.starts_with("digraph") && dot.trim_end().ends_with('}'),
        "{dot}"
    );
    place.nnc("dump digits.nn --stage clif --dot").exits(2);
    let times = place.nnc("dump digits.nn --time").exits(0).out;
    for pass in [
        "parse",
        "elaborate",
        "differentiate",
        "simplify",
        "fuse",
        "schedule",
        "emit",
        "link",
        "total",
    ] {
        assert!(
            times.lines().any(|line| line.starts_with(pass)),
            "no {pass} in\n{times}"
        );
    }
}

#[test]
fn completions_name_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.nnc(&format!("completions {shell}")).exits(0).out;
        for command in ["run", "check", "dump", "eval", "predict", "bench"] {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let place = Place::new();
    let mut command = place.command("dump digits.nn --stage asm");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = Done::from(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(done.err, "");
}

#[test]
fn bench_promises_its_keys() {
    let place = Place::new();
    let done = place
        .nnc("bench digits.nn --seconds 0.01 --threads 1 --json")
        .exits(0);
    let figures = &done.objects()[0];
    for key in [
        "step_ms",
        "step_ms_min",
        "flop_per_step",
        "gflops",
        "peak_gflops",
        "fraction_of_peak",
        "compile_ms",
        "first_step_ms",
        "arena_bytes",
        "inference_ms",
        "inference_1_ms",
        "inference_1_times_the_limit",
        "times_the_limit",
    ] {
        assert!(
            figures[key].as_f64().is_some_and(|value| value > 0.0),
            "{key}: {}",
            figures[key]
        );
    }
    // Forward and by weights for both layers, by inputs for the second alone.
    assert_eq!(
        figures["flop_per_step"],
        2 * 64 * (2 * 784 * 32 + 3 * 32 * 10)
    );
    let words = "bench digits.nn --seconds 0.01 --profile --scaling --trace trace.json";
    let table = place.nnc(words).exits(0).out;
    let parts = [
        "training step",
        "GB/s",
        "share of 64",
        "in all",
        "memory",
        // The layers' line, and the optimiser's.
        "digits.nn:4 digits_mlp/dense_1",
        "digits.nn:11 adam",
    ];
    for part in parts {
        assert!(table.contains(part), "no {part} in\n{table}");
    }
    let words = "bench digits.nn --seconds 0.01 --profile --of inference";
    let table = place.nnc(words).exits(0).out;
    assert!(table.contains("digits.nn:4 digits_mlp/dense_1"), "{table}");
    assert!(!table.contains("digits.nn:11 adam"), "{table}");
    let trace: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("trace.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    assert!(events.iter().any(|event| event["ph"] == "X"));
}

#[test]
fn bench_leaves_out_what_it_is_told_to() {
    let place = Place::new();
    let bench = |words: &str| {
        let words = format!("bench digits.nn --seconds 0.01 --json {words}");
        place.nnc(&words).exits(0).objects().remove(0)
    };
    let all = bench("--ablation --batches");
    let rows = all["ablation"].as_array().unwrap();
    let without = |name: &str| rows.iter().find(|row| row["without"] == name).unwrap();
    let whole = rows.iter().find(|row| row["without"].is_null()).unwrap();
    let launches = |row: &serde_json::Value| row["launches"].as_u64().unwrap();
    assert!(launches(without("fusion")) > 2 * launches(whole));
    assert!(
        without("static-memory")["arena_bytes"].as_u64() > whole["arena_bytes"].as_u64(),
        "{rows:?}"
    );
    for choice in ["wide-tiles", "direct-convolution", "one-entry"] {
        assert!(without(choice)["step_ms"].as_f64() > Some(0.0));
    }
    let batches = all["batches"].as_array().unwrap();
    let sizes: Vec<u64> = batches
        .iter()
        .map(|row| row["batch"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [16, 32, 64, 128, 256]);

    let some = bench("--without wide-tiles --without one-entry --without static-memory");
    assert_eq!(some["isa"], "portable");
    assert_eq!(some["without"].as_array().unwrap().len(), 3);
    place.nnc("bench digits.nn --without tiles").exits(2);
}
