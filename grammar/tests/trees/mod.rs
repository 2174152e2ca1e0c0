//! Random syntax trees, of every form that the grammar has.

use nnc_grammar::ast::{
    Argument, AxisPattern, BinaryOp, Block, Carry, Const, Definition, DefinitionKind, Element,
    Expr, ExprKind, File, Ident, Item, Parameter, Scan, Statement, StatementKind, Train, Type,
    TypeKind, UnaryOp, Use,
};
use nnc_grammar::{FileId, Span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const NOWHERE: Span = Span {
    file: FileId(0),
    start: 0,
    end: 0,
};

/// A file of a few items.
pub fn file() -> impl Strategy<Value = File> {
    vec(item(), 0..4).prop_map(|items| File {
        items,
        comments: Vec::new(),
    })
}

fn item() -> BoxedStrategy<Item> {
    let doc = || vec("[a-z]{0,8}", 0..3);
    let constant = (ident(), option::of(ty()), expr(), doc()).prop_map(|(name, ty, value, doc)| {
        Item::Const(Const {
            name,
            ty,
            value,
            span: NOWHERE,
            doc,
        })
    });
    let train = block(&expr()).prop_map(|body| {
        Item::Train(Train {
            body,
            span: NOWHERE,
        })
    });
    let kind = prop::sample::select(vec![
        DefinitionKind::Fn,
        DefinitionKind::Layer,
        DefinitionKind::Net,
        DefinitionKind::Optimizer,
    ]);
    let lists = (vec(parameter(), 0..4), vec(parameter(), 0..4));
    let definition = (
        kind,
        ident(),
        lists,
        option::of(ty()),
        block(&expr()),
        doc(),
    );
    let definition =
        definition.prop_map(|(kind, name, (mut hyper, mut inputs), result, body, doc)| {
            match kind {
                DefinitionKind::Fn | DefinitionKind::Net => hyper.clear(),
                DefinitionKind::Optimizer => inputs.clear(),
                DefinitionKind::Layer => {}
            }
            Item::Definition(Definition {
                kind,
                name,
                hyper,
                inputs,
                result,
                body,
                span: NOWHERE,
                doc,
            })
        });
    let used = "[a-z./]{0,8}".prop_map(|path| {
        Item::Use(Use {
            path,
            span: NOWHERE,
        })
    });
    prop_oneof![used, constant, train, definition].boxed()
}

fn parameter() -> impl Strategy<Value = Parameter> {
    (ident(), option::of(ty()), option::of(expr())).prop_map(|(name, ty, default)| Parameter {
        name,
        ty,
        default,
        span: NOWHERE,
    })
}

fn ty() -> BoxedStrategy<Type> {
    let named = ident().prop_map(TypeKind::Named);
    let element = (ident(), option::of(leaf())).prop_map(|(name, argument)| Element {
        name,
        argument: argument.map(Box::new),
        span: NOWHERE,
    });
    let axes = (vec(expr(), 0..4), option::of(0..4usize)).prop_map(|(sizes, rest)| {
        let mut axes: Vec<AxisPattern> = sizes.into_iter().map(AxisPattern::Size).collect();
        if let Some(at) = rest {
            axes.insert(at.min(axes.len()), AxisPattern::Rest(NOWHERE));
        }
        axes
    });
    let tensor =
        (axes, option::of(element)).prop_map(|(axes, element)| TypeKind::Tensor { axes, element });
    prop_oneof![named, tensor]
        .prop_map(|kind| Type {
            kind,
            span: NOWHERE,
        })
        .boxed()
}

fn block(expr: &BoxedStrategy<Expr>) -> BoxedStrategy<Block> {
    vec(statement(expr), 0..5)
        .prop_map(|statements| Block {
            statements,
            span: NOWHERE,
        })
        .boxed()
}

fn statement(expr: &BoxedStrategy<Expr>) -> BoxedStrategy<Statement> {
    let e = || expr.clone();
    let argument = || (option::of(ident()), e()).prop_map(|(name, value)| Argument { name, value });
    // Types of statements take plain sizes: the nested ones are tried in definitions.
    let ty = || {
        vec(leaf(), 0..3).prop_map(|sizes| Type {
            kind: TypeKind::Tensor {
                axes: sizes.into_iter().map(AxisPattern::Size).collect(),
                element: None,
            },
            span: NOWHERE,
        })
    };
    let kind = prop_oneof![
        (vec(ident(), 1..4), option::of(ty()), e())
            .prop_map(|(names, ty, value)| StatementKind::Let { names, ty, value }),
        (ident(), ty(), e()).prop_map(|(name, ty, init)| StatementKind::Param { name, ty, init }),
        (ident(), option::of(ty()), e()).prop_map(|(name, ty, init)| StatementKind::State {
            name,
            ty,
            init
        }),
        (ident(), e()).prop_map(|(name, value)| StatementKind::Update { name, value }),
        (ident(), e()).prop_map(|(name, value)| StatementKind::Setting { name, value }),
        e().prop_map(StatementKind::Minimize),
        vec(argument(), 1..4).prop_map(StatementKind::Report),
        vec(argument(), 1..4).prop_map(StatementKind::Show),
        (vec(ident(), 1..3), e(), objective()).prop_map(|(names, optimizer, body)| {
            StatementKind::Step {
                names,
                optimizer,
                body,
            }
        }),
        (ident(), e()).prop_map(|(name, value)| StatementKind::Next { name, value }),
        vec(e(), 1..3).prop_map(StatementKind::Yield),
        e().prop_map(StatementKind::Expr),
        e().prop_map(StatementKind::Expr),
    ];
    kind.prop_map(|kind| Statement {
        kind,
        span: NOWHERE,
    })
    .boxed()
}

/// The block of a `step`; a plain one, for steps do not nest.
fn objective() -> impl Strategy<Value = Block> {
    let statement = leaf().prop_map(|loss| Statement {
        kind: StatementKind::Minimize(loss),
        span: NOWHERE,
    });
    vec(statement, 0..3).prop_map(|statements| Block {
        statements,
        span: NOWHERE,
    })
}

fn scan(expr: &BoxedStrategy<Expr>) -> BoxedStrategy<Scan> {
    let carry =
        (ident(), option::of(vec(leaf(), 0..3)), expr.clone()).prop_map(|(name, sizes, first)| {
            Carry {
                name,
                ty: sizes.map(|sizes| Type {
                    kind: TypeKind::Tensor {
                        axes: sizes.into_iter().map(AxisPattern::Size).collect(),
                        element: None,
                    },
                    span: NOWHERE,
                }),
                first,
            }
        });
    let slices = vec((ident(), expr.clone()), 1..3);
    (any::<bool>(), slices, vec(carry, 0..3), block(expr))
        .prop_map(|(backward, slices, carries, body)| Scan {
            backward,
            slices,
            carries,
            body,
        })
        .boxed()
}

fn at(kind: ExprKind) -> Expr {
    Expr {
        kind,
        span: NOWHERE,
    }
}

fn leaf() -> BoxedStrategy<Expr> {
    prop_oneof![
        (0..=i64::MAX).prop_map(ExprKind::Int),
        (0..100i64).prop_map(ExprKind::Int),
        any::<f64>().prop_map(|x| ExprKind::Float(if x.is_finite() { x.abs() } else { 0.5 })),
        any::<bool>().prop_map(ExprKind::Bool),
        "([a-z#(]|\\PC|\"|\\\\|\n|\t){0,6}".prop_map(ExprKind::String),
        ident().prop_map(|name| ExprKind::Name(name.name)),
        ident().prop_map(|name| ExprKind::Name(name.name)),
    ]
    .prop_map(at)
    .boxed()
}

fn expr() -> BoxedStrategy<Expr> {
    leaf()
        .prop_recursive(5, 48, 4, |inner| {
            let e = || inner.clone();
            let b = || e().prop_map(Box::new);
            let element = prop_oneof![4 => e(), 1 => Just(at(ExprKind::Rest))];
            let argument =
                (option::of(ident()), e()).prop_map(|(name, value)| Argument { name, value });
            let unary = prop::sample::select(vec![UnaryOp::Neg, UnaryOp::Not]);
            prop_oneof![
                vec(element, 0..4).prop_map(ExprKind::List),
                (b(), ident()).prop_map(|(base, name)| ExprKind::Field(base, name)),
                (b(), vec(argument, 0..4))
                    .prop_map(|(callee, arguments)| ExprKind::Call(callee, arguments)),
                (b(), vec((ident(), e()), 1..3))
                    .prop_map(|(base, axes)| ExprKind::Select(base, axes)),
                (b(), b()).prop_map(|(left, right)| ExprKind::Pipe(left, right)),
                (unary, b()).prop_map(|(op, operand)| ExprKind::Unary(op, operand)),
                (prop::sample::select(BinaryOp::ALL), b(), b())
                    .prop_map(|(op, left, right)| ExprKind::Binary(op, left, right)),
                (prop::sample::select(BinaryOp::ALL), b(), b())
                    .prop_map(|(op, left, right)| ExprKind::Binary(op, left, right)),
                (b(), block(&e()), option::of(block(&e()))).prop_map(
                    |(condition, then, otherwise)| ExprKind::If {
                        condition,
                        then,
                        otherwise,
                    }
                ),
                (b(), block(&e())).prop_map(|(count, body)| ExprKind::Repeat { count, body }),
                scan(&e()).prop_map(|scan| ExprKind::Scan(Box::new(scan))),
                block(&e()).prop_map(ExprKind::Block),
            ]
            .prop_map(at)
        })
        .boxed()
}

fn ident() -> impl Strategy<Value = Ident> {
    let names = vec![
        "x",
        "conv2d",
        "a_rather_long_name_of_a_layer",
        "step",
        "state",
        "param",
        "report",
        "minimize",
        "show",
        "with",
        "use",
        "yield",
        "next",
        "scan",
        "reverse",
        "const",
        "net",
        "update",
        "train",
    ];
    prop::sample::select(names).prop_map(|name| Ident {
        name: name.to_string(),
        span: NOWHERE,
    })
}
