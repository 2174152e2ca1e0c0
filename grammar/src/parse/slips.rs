//! Frequent slips of the pen that single tokens betray: what other languages write,
//! and what the grammar's tokens cannot hold.

use super::Rule;
use super::layout::Token;

/// A slip found at a token.
pub(super) struct Slip {
    /// One past its last byte.
    pub end: usize,
    /// None when it is harmless.
    pub message: Option<String>,
    pub help: Option<String>,
    /// What parses in its place; at most as long as the slip.
    pub patch: &'static str,
    /// What the patch is, for the decision whether the line goes on.
    pub rule: Rule,
}

/// What other languages write: the sign, the message, the edit, and what parses instead.
const FOREIGN: &[(&str, &str, &str, &str)] = &[
    ("**", "a power is written with `^`", "write `x^2`", "^"),
    ("//", "a comment starts with `#`", "write `# ...`", ""),
    (
        "/*",
        "a comment starts with `#` and ends with its line",
        "write `# ...` on each line",
        "",
    ),
    ("&&", "`&&` is written `and`", "write `a and b`", "+"),
    ("||", "`||` is written `or`", "write `a or b`", "+"),
    ("!", "`!` is written `not`", "write `not a`", "-"),
    (
        "+=",
        "names are bound once: there is no `+=`",
        "write `let y = x + ...`, or `update s = s + ...` for a state",
        "=",
    ),
    (
        "-=",
        "names are bound once: there is no `-=`",
        "write `let y = x - ...`, or `update s = s - ...` for a state",
        "=",
    ),
    (
        "*=",
        "names are bound once: there is no `*=`",
        "write `let y = x * ...`, or `update s = s * ...` for a state",
        "=",
    ),
    (
        "/=",
        "names are bound once: there is no `/=`",
        "write `let y = x / ...`, or `update s = s / ...` for a state",
        "=",
    ),
    (
        "=>",
        "`=>` is no sign of the language",
        "a result's type follows `->`, a value follows `=`",
        "=",
    ),
    (":=", "`:=` is written `=`", "write `let x = ...`", "="),
    (
        "...",
        "any number of axes is written `..`",
        "write `[.., n]`",
        "..",
    ),
    (
        ";",
        "there are no semicolons: a statement ends with its line",
        "remove it, and start the next statement on a new line",
        "",
    ),
    (
        "?",
        "`?` is no sign of the language",
        "a choice is written `if c { a } else { b }`",
        "",
    ),
];

/// Signs that look like the ones meant.
const LOOKALIKES: &[(&str, &str)] = &[
    ("×", "*"),
    ("·", "*"),
    ("÷", "/"),
    ("−", "-"),
    ("–", "-"),
    ("—", "-"),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "!="),
    ("→", "->"),
    ("“", "\""),
    ("”", "\""),
    ("‘", "\""),
    ("’", "\""),
    ("…", ".."),
    ("\u{a0}", "an ordinary space"),
];

/// The slip that begins at a token, if any.
pub(super) fn find(text: &str, tokens: &[Token], at: usize) -> Option<Slip> {
    let token = tokens[at];
    let written = token.text(text);
    match token.rule {
        Rule::foreign => Some(foreign(text, token)),
        Rule::foreign_string => Some(Slip {
            end: token.end,
            message: Some("text stands in double quotes".into()),
            help: Some(format!("write `\"{}\"`", written.trim_matches('\''))),
            patch: "0",
            rule: Rule::string,
        }),
        Rule::open_string => Some(Slip {
            end: token.end,
            message: Some("this text has no closing `\"`".into()),
            help: Some("close it on the same line; a line break in a text is written `\\n`".into()),
            patch: "0",
            rule: Rule::string,
        }),
        Rule::bad_number => Some(Slip {
            end: token.end,
            message: Some(format!("`{}` is not a number", shortened(written))),
            help: Some(number_help(written)),
            patch: "0",
            rule: Rule::int,
        }),
        Rule::unknown => Some(unknown(text, tokens, at)),
        _ => None,
    }
}

fn foreign(text: &str, token: Token) -> Slip {
    let sign = token.text(text);
    let entry = FOREIGN.iter().find(|entry| entry.0 == sign);
    let (_, message, help, patch) = *entry.unwrap_or_else(|| {
        panic!("parse: the grammar's `foreign` and its table differ in `{sign}`")
    });
    let rest = &text[token.end..];
    let end = match sign {
        "//" => token.end + rest.find('\n').unwrap_or(rest.len()),
        "/*" => token.end + rest.find("*/").map_or(rest.len(), |n| n + "*/".len()),
        _ => token.end,
    };
    Slip {
        end,
        message: Some(message.into()),
        help: Some(help.into()),
        patch,
        rule: Rule::symbol,
    }
}

fn number_help(written: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(fraction) = written.strip_prefix('.').filter(|rest| digits(rest)) {
        return format!("write `0.{fraction}`");
    }
    if let Some(whole) = written.strip_suffix('.').filter(|rest| digits(rest)) {
        return format!("write `{whole}.0`");
    }
    "numbers are written `64`, `1_000`, `0.5`, `1e-3`; a name starts with a letter".into()
}

/// A run of characters that no token begins with is one slip.
fn unknown(text: &str, tokens: &[Token], at: usize) -> Slip {
    let first = tokens[at];
    let mut end = first.end;
    for token in &tokens[at + 1..] {
        if token.rule != Rule::unknown || token.start != end {
            break;
        }
        end = token.end;
    }
    let written = &text[first.start..end];
    if written == "\u{feff}" && first.start == 0 {
        return Slip {
            end,
            message: None,
            help: None,
            patch: "",
            rule: Rule::unknown,
        };
    }
    let meant = LOOKALIKES
        .iter()
        .find(|(sign, _)| written.starts_with(sign));
    let help = match meant {
        Some((_, meant @ "an ordinary space")) => format!("write {meant}"),
        Some((_, meant)) => format!("write `{meant}`"),
        None if written.chars().any(char::is_alphabetic) => {
            "names are made of the letters a to z and A to Z, digits and `_`".into()
        }
        None => "remove it".into(),
    };
    Slip {
        end,
        message: Some(format!(
            "`{}` is not part of the language",
            shortened(written).escape_debug()
        )),
        help: Some(help),
        patch: "",
        rule: Rule::unknown,
    }
}

/// The beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 24;
    if text.chars().count() <= LONGEST {
        text.to_string()
    } else {
        text.chars().take(LONGEST).chain("...".chars()).collect()
    }
}
