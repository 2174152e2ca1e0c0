//! One diagnostic, drawn for people and written for programs.
#![allow(clippy::unwrap_used, missing_docs)]

use nnc_grammar::render::{self, Color};
use nnc_grammar::{Code, Diagnostic, FileId, Sources, Span};

fn example() -> (Sources, Diagnostic) {
    let mut sources = Sources::default();
    let model = sources.add(
        "models/é.nn",
        "net f(x: [4]) -> [2] {\n    x |> dense(\"é\")\n}\n",
    );
    let prelude = sources.add(
        "<prelude>/layers.nn",
        "layer dense(units: int)(x: [.., n]) { x }\n",
    );
    let place = |file: FileId, what: &str| {
        let start = sources.file(file).text.find(what).unwrap() as u32;
        Span {
            file,
            start,
            end: start + what.len() as u32,
        }
    };
    let diagnostic = Diagnostic::error(
        Code::TypeMismatch,
        place(model, "\"é\""),
        "`units` of `dense` is an int, not a string",
    )
    .here("this is a string")
    .label(
        place(prelude, "units: int"),
        "the parameter is declared here",
    )
    .note("hyper-parameters are known when the model is compiled")
    .help("write `dense(2)`");
    (sources, diagnostic)
}

#[test]
fn terminal() {
    let (sources, diagnostic) = example();
    insta::assert_snapshot!(render::terminal(&diagnostic, &sources, Color::Never), @r#"
error[type-mismatch]: `units` of `dense` is an int, not a string
 --> models/é.nn:2:16
  |
2 |     x |> dense("é")
  |                ^^^ this is a string
  |
 ::: <prelude>/layers.nn:1:13
  |
1 | layer dense(units: int)(x: [.., n]) { x }
  |             ---------- the parameter is declared here
  |
  = note: hyper-parameters are known when the model is compiled
  = help: write `dense(2)`
"#);
    let colored = render::terminal(&diagnostic, &sources, Color::Always);
    assert!(colored.contains("\u{1b}["), "{colored}");
}

#[test]
fn json() {
    let (sources, diagnostic) = example();
    let line = render::json(&diagnostic, &sources);
    assert!(!line.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap(), @r#"
{
  "severity": "error",
  "code": "type-mismatch",
  "message": "`units` of `dense` is an int, not a string",
  "labels": [
    {
      "file": "models/é.nn",
      "line": 2,
      "column": 16,
      "end_line": 2,
      "end_column": 19,
      "text": "this is a string",
      "primary": true
    },
    {
      "file": "<prelude>/layers.nn",
      "line": 1,
      "column": 13,
      "end_line": 1,
      "end_column": 23,
      "text": "the parameter is declared here",
      "primary": false
    }
  ],
  "notes": [
    "hyper-parameters are known when the model is compiled"
  ],
  "helps": [
    "write `dense(2)`"
  ]
}
"#);
}

#[test]
fn sorted_and_said_once() {
    let (_, first) = example();
    let mut later = first.clone();
    later.labels[0].span.start += 1;
    let mut warning = Diagnostic::warning(Code::Unused, first.span(), "unused");
    warning.labels = first.labels.clone();
    let mut all = vec![later.clone(), warning.clone(), first.clone(), later.clone()];
    render::sort(&mut all);
    assert_eq!(all, [first, warning, later]);
    assert_eq!(
        render::summary(&all).as_deref(),
        Some("2 errors and 1 warning")
    );
    assert_eq!(render::summary(&[]), None);
}
