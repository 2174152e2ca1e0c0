//! Models that play, from outside: they go on bit for bit after Ctrl-C, are judged and measured
//! as others are, and say what cannot be done with them.

use super::elsewhere::npy;
use super::place::Place;
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// With a memory of its own, a copy that lags behind, and a policy that draws.
const REMEMBERS: &str = "\
net q(observation: [n]) -> [2] { observation |> dense(16) |> relu |> dense(2) }

train {
    data      = cartpole(replay: 500, warmup: 100, steps: 300, episodes: 5)
    policy    = epsilon_greedy(q(observation), linear(1.0, steps: 200, final: 0.05))
    batch     = 16
    epochs    = 20
    optimizer = adam(1e-3)

    let target = copy(q)
    let worth: [k] = q(observation)
    let promise = max(target(next_observation)) * (1 - terminated)
    minimize huber(worth[k = action], reward + 0.99 * promise)
    update target = lerp(target, q, 0.01)
}
";

/// With whole episodes, in a world of cells.
const WHOLE: &str = "\
net actor(cell: class(12)) -> [4] { one_hot(cell) |> dense(4) }

train {
    data      = gridworld(steps: 100, episodes: 20)
    policy    = sample(actor(observation))
    batch     = 32
    epochs    = 20
    optimizer = adam(1e-2)
    minimize cross_entropy(actor(observation), action) * return
}
";

/// A place with both models.
fn place() -> Place {
    let place = Place::new();
    place.write("remembers.nn", REMEMBERS);
    place.write("whole.nn", WHOLE);
    place
}

#[cfg(unix)]
#[test]
fn an_interrupted_game_goes_on_as_if_it_had_not_been() {
    let place = place();
    for model in ["remembers", "whole"] {
        place
            .nnc(&format!("run {model}.nn --out {model}-1 --threads 1"))
            .exits(0);
        let mut child = place
            .command(&format!("run {model}.nn --out {model}-2 --threads 2"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // When it has begun, and before it ends.
        let metrics = place.path(&format!("{model}-2/metrics.jsonl"));
        let begun = Instant::now();
        while fs::metadata(&metrics).map_or(0, |file| file.len()) == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "nothing is written"
            );
            sleep(Duration::from_millis(1));
        }
        let interrupt = format!("kill -INT {}", child.id());
        std::process::Command::new("sh")
            .args(["-c", &interrupt])
            .status()
            .unwrap();
        assert!(child.wait().unwrap().success());
        let record = place.read(&format!("{model}-2/run.json"));
        assert!(record.contains("\"interrupted\""), "{record}");
        place
            .nnc(&format!("run {model}.nn --out {model}-2 --resume"))
            .exits(0);
        for file in ["weights.safetensors", "resume.safetensors", "metrics.jsonl"] {
            let [whole, parts] = ["1", "2"]
                .map(|run| fs::read(place.path(&format!("{model}-{run}/{file}"))).unwrap());
            assert!(whole == parts, "{model}: {file} differs");
        }
    }
}

#[test]
fn what_was_learnt_by_playing_is_judged_and_applied() {
    let place = place();
    for (model, seen, said) in [("remembers", &[3, 4][..], 2), ("whole", &[3][..], 4)] {
        place
            .nnc(&format!("run {model}.nn --out {model} --epochs 2 --quiet"))
            .exits(0);
        let weights = format!("--weights {model}/weights.safetensors");
        // The test's episodes are the same whoever asks for them.
        let lines = place.read(&format!("{model}/metrics.jsonl"));
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let judged = &place
            .nnc(&format!("eval {model}.nn {weights} --json"))
            .exits(0)
            .objects()[0];
        for name in ["loss", "return", "samples"] {
            assert_eq!(judged[name], last[name], "{model}: {name}");
        }
        let array = match seen {
            [_, _] => npy(seen, &[0.0_f32; 12]),
            _ => npy(seen, &[0_i64, 5, 11]),
        };
        place.write("seen.npy", array);
        // What a net says of actions are numbers: they need not be likelihoods.
        let answers = place.nnc(&format!("predict {model}.nn {weights} seen.npy --json"));
        for answer in answers.exits(0).objects() {
            assert_eq!(answer["result"].as_array().unwrap().len(), said);
            assert!(answer.get("probability").is_none(), "{answer}");
        }
        let figures = place.nnc(&format!(
            "bench {model}.nn --seconds 0.01 --threads 1 --json"
        ));
        assert!(figures.exits(0).objects()[0]["step_ms"].as_f64().unwrap() > 0.0);
        let text = place
            .nnc(&format!("generate {model}.nn {weights}"))
            .exits(1);
        assert!(text.err.contains("gives no text"), "{}", text.err);
        place.nnc(&format!("check {model}.nn")).exits(0);
    }
}

#[test]
fn what_cannot_be_seen_in_a_world_is_refused() {
    let place = place();
    place.nnc("run whole.nn --out out --steps 1").exits(0);
    place.write("nowhere.npy", npy(&[2], &[0_i64, 99]));
    place.write("table.npy", npy(&[3, 4], &[0.0_f32; 12]));
    for (input, said) in [
        ("nowhere.npy", "99 is no class below 12"),
        ("table.npy", "the net reads [] (or a batch, [n])"),
    ] {
        let words = format!("predict whole.nn --weights out/weights.safetensors {input}");
        let done = place.nnc(&words).exits(2);
        assert!(done.err.contains(said), "{}", done.err);
    }
}
