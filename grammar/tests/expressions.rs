//! How expressions group, the precedence table above all.
#![allow(clippy::unwrap_used, missing_docs)]

use nnc_grammar::ast::{Block, Expr, ExprKind, Item, Statement, StatementKind, UnaryOp};
use nnc_grammar::{FileId, parse};

/// The expression with all its parentheses.
fn grouped(text: &str) -> String {
    let (file, diagnostics) = parse(FileId(0), &format!("const value = {text}"));
    match file.items.as_slice() {
        [Item::Const(item)] => show(&item.value),
        _ => diagnostics
            .iter()
            .map(|d| d.message.clone())
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn show(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Float(value) => format!("{value:?}"),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::String(value) => format!("{value:?}"),
        ExprKind::Name(name) => name.clone(),
        ExprKind::Rest => "..".into(),
        ExprKind::List(elements) => format!("[{}]", all(elements)),
        ExprKind::Field(base, name) => format!("{}.{}", show(base), name.name),
        ExprKind::Call(callee, arguments) => {
            let arguments = arguments.iter().map(|argument| match &argument.name {
                Some(name) => format!("{}: {}", name.name, show(&argument.value)),
                None => show(&argument.value),
            });
            format!(
                "{}({})",
                show(callee),
                arguments.collect::<Vec<_>>().join(", ")
            )
        }
        ExprKind::Select(base, axes) => {
            let axes = axes
                .iter()
                .map(|(axis, place)| format!("{} = {}", axis.name, show(place)));
            format!("{}[{}]", show(base), axes.collect::<Vec<_>>().join(", "))
        }
        ExprKind::Pipe(left, right) => format!("({} |> {})", show(left), show(right)),
        ExprKind::Unary(UnaryOp::Neg, operand) => format!("(-{})", show(operand)),
        ExprKind::Unary(UnaryOp::Not, operand) => format!("(not {})", show(operand)),
        ExprKind::Binary(op, left, right) => {
            format!("({} {} {})", show(left), op.sign(), show(right))
        }
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            let otherwise = otherwise.as_ref().map_or(String::new(), |block| {
                format!(" else {}", show_block(block))
            });
            format!("if {} {}{otherwise}", show(condition), show_block(then))
        }
        ExprKind::Repeat { count, body } => format!("repeat {} {}", show(count), show_block(body)),
        ExprKind::Scan(scan) => {
            let slices: Vec<String> = scan
                .slices
                .iter()
                .map(|(name, x)| format!("{} in {}", name.name, show(x)))
                .collect();
            let carries: Vec<String> = scan
                .carries
                .iter()
                .map(|carry| format!("{} = {}", carry.name.name, show(&carry.first)))
                .collect();
            let back = if scan.backward { "reverse " } else { "" };
            let (slices, carries) = (slices.join(", "), carries.join(", "));
            format!(
                "scan {back}{slices} with {carries} {}",
                show_block(&scan.body)
            )
        }
        ExprKind::Block(block) => show_block(block),
    }
}

fn show_block(block: &Block) -> String {
    let statements = block
        .statements
        .iter()
        .map(|Statement { kind, .. }| match kind {
            StatementKind::Expr(value) => show(value),
            other => panic!("not in these tests: {other:?}"),
        });
    format!("{{{}}}", statements.collect::<Vec<_>>().join("; "))
}

fn all(elements: &[Expr]) -> String {
    elements.iter().map(show).collect::<Vec<_>>().join(", ")
}

#[test]
fn operators_group_by_precedence() {
    for (text, groups) in [
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c % d @ e", "((((a / b) * c) % d) @ e)"),
        ("x @ w + b", "((x @ w) + b)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("2 * a ^ b * c", "((2 * (a ^ b)) * c)"),
        ("-a ^ 2", "(-(a ^ 2))"),
        ("-a * b", "((-a) * b)"),
        ("a * -b", "(a * (-b))"),
        ("a ^ -b ^ c * d", "((a ^ (-(b ^ c))) * d)"),
        ("- - a", "(-(-a))"),
        ("a - -b", "(a - (-b))"),
        ("a + b < c * d", "((a + b) < (c * d))"),
        ("a == b and c != d", "((a == b) and (c != d))"),
        ("a or b and c or d", "((a or (b and c)) or d)"),
        ("not a == b", "(not (a == b))"),
        ("not a and not b", "((not a) and (not b))"),
        ("not not a", "(not (not a))"),
        ("a == not b", "(a == (not b))"),
        ("(a < b) == (c < d)", "((a < b) == (c < d))"),
    ] {
        assert_eq!(grouped(text), groups, "{text}");
    }
}

#[test]
fn comparisons_do_not_chain() {
    for text in [
        "a < b < c",
        "a == b == c",
        "a < b + 1 >= c",
        "1 + (a == b != c)",
    ] {
        assert_eq!(grouped(text), "comparisons do not chain", "{text}");
    }
}

#[test]
fn pipes_bind_least() {
    for (text, groups) in [
        ("x |> f |> g(1)", "((x |> f) |> g(1))"),
        ("a + b |> f", "((a + b) |> f)"),
        ("not a or b |> f", "(((not a) or b) |> f)"),
        ("a + (b |> f)", "(a + (b |> f))"),
        ("x |> m.head(2)[k = 0]", "(x |> m.head(2)[k = 0])"),
        ("x |> repeat n + 1 { f }", "(x |> repeat (n + 1) {f})"),
        ("scan a in x with h = 0 { h }", "scan a in x with h = 0 {h}"),
        (
            "scan reverse a in x + 1, b in y with h: [n] = zeros, c = d { a }",
            "scan reverse a in (x + 1), b in y with h = zeros, c = d {a}",
        ),
        (
            "scan reverse in x { reverse }",
            "scan reverse in x with  {reverse}",
        ),
        ("scan + 1", "(scan + 1)"),
        ("scan(x)", "scan(x)"),
        ("if a { x } else { y } |> f", "(if a {x} else {y} |> f)"),
        (
            "x |> augment { crop(32, padding: 4) flip }",
            "(x |> augment({crop(32, padding: 4); flip}))",
        ),
        ("x |> f(1) { g }", "(x |> f(1, {g}))"),
        ("x |> a.f { g }", "(x |> a.f({g}))"),
    ] {
        assert_eq!(grouped(text), groups, "{text}");
    }
}

#[test]
fn everything_else() {
    for (text, groups) in [
        ("-x[k = label]", "(-x[k = label])"),
        ("f(a)(b).c(d: 1,)", "f(a)(b).c(d: 1)"),
        ("[a, .., -1,]", "[a, .., (-1)]"),
        ("mean(x, over: [batch, ..])", "mean(x, over: [batch, ..])"),
        (
            "if a { x } else if b { y } else { z }",
            "if a {x} else {if b {y} else {z}}",
        ),
        ("if a { x } else { if b { y } }", "if a {x} else {if b {y}}"),
        ("(if a { f } else { g })(x)", "if a {f} else {g}(x)"),
        (
            "1_000 + 1e-3 + 2.50 + 1E+2",
            "(((1000 + 0.001) + 2.5) + 100.0)",
        ),
        (
            r#"f("a\"b\\\n\té # no comment")"#,
            r#"f("a\"b\\\n\té # no comment")"#,
        ),
    ] {
        assert_eq!(grouped(text), groups, "{text}");
    }
}

#[test]
fn newlines_end_statements_except_where_they_cannot() {
    let (file, diagnostics) = parse(
        FileId(0),
        "fn f(x) {
            a
            (b)
            c(
                d
                , e   # a comment
            )
            g +

            # another
            h
              |> i
            # a third
              |> j

            if k { l }

            else { m }
        }",
    );
    assert_eq!(diagnostics, []);
    let Item::Definition(definition) = &file.items[0] else {
        panic!("a definition");
    };
    assert_eq!(
        show_block(&definition.body),
        "{a; b; c(d, e); (((g + h) |> i) |> j); if k {l} else {m}}"
    );
}

#[test]
fn places_cover_what_they_name() {
    let text = "train { x = (a + b) * f(1, 2)[k = 0] |> g { h }  # end\n}";
    let (file, _) = parse(FileId(0), text);
    let Item::Train(train) = &file.items[0] else {
        panic!("a train");
    };
    let at = |span: nnc_grammar::Span| &text[span.start as usize..span.end as usize];
    assert_eq!(at(train.span), text);
    let statement = &train.body.statements[0];
    assert_eq!(
        at(statement.span),
        "x = (a + b) * f(1, 2)[k = 0] |> g { h }"
    );
    let StatementKind::Setting { value, .. } = &statement.kind else {
        panic!("a setting");
    };
    let ExprKind::Pipe(left, right) = &value.kind else {
        panic!("a pipe");
    };
    assert_eq!(at(right.span), "g { h }");
    let ExprKind::Binary(_, sum, selected) = &left.kind else {
        panic!("a product");
    };
    assert_eq!(at(sum.span), "(a + b)");
    assert_eq!(at(selected.span), "f(1, 2)[k = 0]");
}

#[test]
fn comments_above_an_item_are_its_documentation() {
    let text = "# apart\n\n# One.\n#\n#   Two.\nconst a = 1 # behind\n# Three.\nfn f(x) { x }";
    let (file, _) = parse(FileId(0), text);
    let Item::Const(item) = &file.items[0] else {
        panic!("a const");
    };
    assert_eq!(item.doc, ["One.", "", "  Two."]);
    let Item::Definition(item) = &file.items[1] else {
        panic!("a definition");
    };
    assert_eq!(item.doc, ["Three."]);
    assert_eq!(file.comments.len(), 6);
}
