//! Whatever is changed in a program, elaboration answers with a model that verifies or
//! with diagnostics: it never panics, and never fails without a word.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use nnc_compiler::differentiate::differentiate;
use nnc_compiler::graph::verify;
use nnc_grammar::Severity;
use support::compile;

/// Every form of the language on few lines, so that most changes hit something.
const PROGRAM: &str = r#"
const width = 4
const rate: float = 0.1

fn bent(x, slope = 0.5) { where(x > 0, x, slope * x) }

layer mixed(units: int, init = he_normal(gain: 0.5))(x: [.., n]) -> [.., units] {
    check(units > 1, "too few: {units}")
    param w: [n, units] = init
    state seen: [units] = zeros
    let y = x @ w
    if training { update seen = lerp(seen, mean(y, over: [batch, ..]), 0.1) }
    let a, b = split(y, 2, over: units)
    concat([b, a], over: units) + seen
}

optimizer plain(lr = 0.1) {
    state v = zeros
    update v = 0.9 * v + grad^2
    weight - lr * grad / (sqrt(v) + 1e-6)
}

net model(image: [1, 28, 28]) -> [10] {
    let stem = conv2d(2, kernel: 5, stride: 3, padding: "same") |> bent(slope: 0.1)
    let y: [c, h, w] = image |> stem |> max_pool2d(2) |> batch_norm
    let attended = einsum("c h w, c h v -> h w v", y, y) |> softmax(over: v)
    let z = attended |> flatten |> dropout(rate) |> repeat 2 { mixed(width) }
    dense(10)(z) * z[units = 0] - y[c = 1, h = 0, w = 0]
}

train {
    data = mnist() |> split(valid: 0.1)
    batch = 2
    epochs = 1
    optimizer = plain(lr: cosine(0.1, steps: total_steps, warmup: 5))
    clip_norm = 1.0
    seed = 7
    let logits = model(image)
    minimize cross_entropy(logits, label, smoothing: 0.1) + 0.01 * sum(logits^2)
    report accuracy(logits, label), f1(logits, label), total(float(label)) / total(1)
}
"#;

/// What is put in the place of a token.
const REPLACEMENTS: [&str; 26] = [
    "0",
    "-1",
    "1",
    "2.5",
    "99999999999999",
    "1e300",
    "true",
    "\"same\"",
    "[]",
    "[2, 3]",
    "..",
    "x",
    "y",
    "image",
    "label",
    "logits",
    "width",
    "model",
    "dense",
    "random()",
    "batch",
    "zeros",
    "weight",
    "total(1)",
    "mixed",
    "step",
];

#[test]
fn the_program_is_right() {
    let told = answer(PROGRAM);
    assert_eq!(told, Ok(Vec::<String>::new()));
}

#[test]
fn changed_programs_are_answered() {
    let tokens = tokens(PROGRAM);
    // A fixed sequence, so that a failure repeats.
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..800 {
        let mut changed = tokens.clone();
        for _ in 0..=round % 2 {
            let at = next(changed.len());
            match next(4) {
                0 => drop(changed.remove(at)),
                1 => changed[at] = tokens[next(tokens.len())].clone(),
                2 => changed[at] = REPLACEMENTS[next(REPLACEMENTS.len())].to_owned(),
                _ => changed.insert(at, tokens[next(tokens.len())].clone()),
            }
        }
        let text = changed.concat();
        let answered = std::panic::catch_unwind(|| answer(&text));
        match answered {
            Ok(Ok(_)) => {}
            Ok(Err(silent)) => panic!("{silent}:\n{text}"),
            Err(_) => panic!("a panic on:\n{text}"),
        }
    }
}

/// Neither long sums, long pipes, deep brackets nor long chains of definitions
/// exhaust the stack.
#[test]
fn monstrous_programs_are_answered() {
    let net = |body: &str| {
        PROGRAM.replace(
            "image |> stem",
            &format!("image |> stem\n let monster = {body}\n image |> stem"),
        )
    };
    let sum = vec!["1"; 3_000].join(" + ");
    let pipe = format!("image {}", "|> relu ".repeat(3_000));
    let brackets = format!("{}1{}", "(".repeat(3_000), ")".repeat(3_000));
    let lists = format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000));
    for body in [sum, pipe, brackets, lists] {
        assert!(answer(&net(&body)).is_ok());
    }
    let mut chain = String::from("fn f0(x) { x }\n");
    for i in 1..500 {
        chain += &format!("fn f{i}(x) {{ f{}(x) }}\n", i - 1);
    }
    let told = answer(&(chain + &net("f499(image)"))).unwrap();
    assert!(
        told.iter()
            .any(|message| message.contains("nested too deeply")),
        "{told:#?}"
    );
}

/// Words, numbers, strings, signs and the space between them.
fn tokens(text: &str) -> Vec<String> {
    let kind = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '_' | '0'..='9' => 0,
        ' ' | '\n' => 1,
        _ => 2,
    };
    let mut tokens: Vec<String> = Vec::new();
    let mut last = None;
    for c in text.chars() {
        let this = kind(c);
        match tokens.last_mut() {
            Some(token) if last == Some(this) && this != 2 => token.push(c),
            _ => tokens.push(c.to_string()),
        }
        last = Some(this);
    }
    tokens
}

/// The messages, or why the answer is none.
fn answer(text: &str) -> Result<Vec<String>, String> {
    let (model, diagnostics, _) = compile("changed.nn", text, &[]);
    let failed = diagnostics.iter().any(|d| d.severity == Severity::Error);
    match model {
        Some(model) => {
            for step in model.steps.values() {
                verify(step, "elaborate");
                verify(&differentiate(step), "differentiate");
            }
        }
        None if !failed => return Err("neither a model nor an error".to_owned()),
        None => {}
    }
    Ok(diagnostics.into_iter().map(|d| d.message).collect())
}
