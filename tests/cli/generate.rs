//! `nnc generate`: a model of the next character says what it has learnt.

use super::place::Place;

/// Guesses the next character of a text in which each always follows the same one.
const NEXT: &str = "\
net next(tokens: [8] class(4)) -> [8, 4] { tokens |> embedding(4, 8) |> rnn(16) |> dense(4) }

train {
    data      = text(\"round.txt\", context: 8, stride: 3)
    batch     = 32
    epochs    = 6
    optimizer = adam(0.02)
    minimize cross_entropy(next(tokens), target)
}
";

#[test]
fn text_is_a_function_of_weights_prompt_and_seed() {
    let place = Place::new();
    place.write("round.txt", "abcd".repeat(1000));
    place.write("next.nn", NEXT);
    place.nnc("run next.nn --out out --seed 1").exits(0);
    let text = |words: &str| {
        let weights = "generate next.nn --weights out/weights.safetensors";
        place.nnc(&format!("{weights} {words}")).exits(0).out
    };
    assert_eq!(
        text("--prompt cd --length 9 --temperature 0").trim(),
        "cdabcdabcda"
    );
    assert_eq!(text("--prompt b --length 3 --top-k 1").trim(), "bcda");
    let bold = "--prompt a --length 40 --temperature 5 --seed";
    assert_eq!(text(&format!("{bold} 1")), text(&format!("{bold} 1")));
    assert!(text(&format!("{bold} 1")) != text(&format!("{bold} 2")));
}

#[test]
fn what_cannot_be_generated_is_told() {
    let place = Place::new();
    place.write("round.txt", "abcd".repeat(1000));
    place.write("next.nn", NEXT);
    place.nnc("run next.nn --out out --steps 1").exits(0);
    let weights = "--weights out/weights.safetensors";
    let done = place.nnc(&format!("generate next.nn {weights} --prompt xyz"));
    assert!(done.exits(2).err.contains("never seen the character 'x'"));
    let done = place.nnc(&format!("generate digits.nn {weights}"));
    assert!(done.exits(1).err.contains("gives no text"));
    place
        .nnc(&format!("generate next.nn {weights} --temperature -1"))
        .exits(2);
}
