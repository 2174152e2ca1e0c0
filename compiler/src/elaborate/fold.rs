//! Arithmetic at compile time. Ints stay ints while the result is whole; what
//! overflows or has no value is a fault.

use super::pointwise::Pointwise;
use super::values::{Given, Value};
use nnc_grammar::Code;

/// The value of an operation on constants; `None` where it is left to the graph.
pub(super) fn fold<'a>(
    op: Pointwise,
    operands: &[Given<'a>],
) -> Result<Option<Value<'a>>, (Code, String)> {
    let values: Vec<&Value<'a>> = operands.iter().map(|given| &given.value).collect();
    match (op, values.as_slice()) {
        (Pointwise::Equal, [a, b]) => Ok(Some(Value::Bool(equal(a, b)))),
        (Pointwise::NotEqual, [a, b]) => Ok(Some(Value::Bool(!equal(a, b)))),
        (Pointwise::And, [Value::Bool(a), Value::Bool(b)]) => Ok(Some(Value::Bool(*a && *b))),
        (Pointwise::Or, [Value::Bool(a), Value::Bool(b)]) => Ok(Some(Value::Bool(*a || *b))),
        (Pointwise::Not, [Value::Bool(a)]) => Ok(Some(Value::Bool(!a))),
        (Pointwise::Float, [Value::Bool(a)]) => Ok(Some(Value::Float(f64::from(u8::from(*a))))),
        (_, [Value::Int(a)]) => fold_int(op, *a),
        (_, [Value::Int(a), Value::Int(b)]) => fold_ints(op, *a, *b),
        (_, [a]) => match a.as_number() {
            Some(a) => fold_float(op, a),
            None => Err(wrong_kind(op, &values)),
        },
        (_, [a, b]) => match (a.as_number(), b.as_number()) {
            (Some(a), Some(b)) => fold_floats(op, a, b),
            _ => Err(wrong_kind(op, &values)),
        },
        _ => Err(wrong_kind(op, &values)),
    }
}

type Folded<'a> = Result<Option<Value<'a>>, (Code, String)>;

fn fold_int<'a>(op: Pointwise, a: i64) -> Folded<'a> {
    match op {
        Pointwise::Neg => checked(a.checked_neg()),
        Pointwise::Abs => checked(a.checked_abs()),
        Pointwise::Floor | Pointwise::StopGradient => Ok(Some(Value::Int(a))),
        Pointwise::Float => Ok(Some(Value::Float(a as f64))),
        _ => fold_float(op, a as f64),
    }
}

fn fold_ints<'a>(op: Pointwise, a: i64, b: i64) -> Folded<'a> {
    match op {
        Pointwise::Add => checked(a.checked_add(b)),
        Pointwise::Sub => checked(a.checked_sub(b)),
        Pointwise::Mul => checked(a.checked_mul(b)),
        Pointwise::Div if b != 0 && a.checked_rem(b) == Some(0) => checked(a.checked_div(b)),
        Pointwise::Rem if b != 0 => {
            let rest = a.checked_rem(b);
            checked(rest.map(|rest| {
                if rest != 0 && (rest < 0) != (b < 0) {
                    rest + b
                } else {
                    rest
                }
            }))
        }
        Pointwise::Pow if b >= 0 => checked(u32::try_from(b).ok().and_then(|b| a.checked_pow(b))),
        Pointwise::Maximum => Ok(Some(Value::Int(a.max(b)))),
        Pointwise::Minimum => Ok(Some(Value::Int(a.min(b)))),
        Pointwise::Less => Ok(Some(Value::Bool(a < b))),
        Pointwise::LessEq => Ok(Some(Value::Bool(a <= b))),
        Pointwise::Greater => Ok(Some(Value::Bool(a > b))),
        Pointwise::GreaterEq => Ok(Some(Value::Bool(a >= b))),
        _ => fold_floats(op, a as f64, b as f64),
    }
}

fn fold_float<'a>(op: Pointwise, a: f64) -> Folded<'a> {
    let value = match op {
        Pointwise::Neg => -a,
        Pointwise::Abs => a.abs(),
        Pointwise::Sqrt if a < 0.0 => return Err(no_value("the square root of", a)),
        Pointwise::Sqrt => a.sqrt(),
        Pointwise::Exp => a.exp(),
        Pointwise::Log if a <= 0.0 => return Err(no_value("the logarithm of", a)),
        Pointwise::Log => a.ln(),
        Pointwise::Sin => a.sin(),
        Pointwise::Cos => a.cos(),
        Pointwise::Tanh => a.tanh(),
        Pointwise::Float | Pointwise::StopGradient => a,
        Pointwise::Erf => return Ok(None),
        Pointwise::Floor if a.abs() < i64::MAX as f64 => {
            return Ok(Some(Value::Int(a.floor() as i64)));
        }
        _ => return Err(wrong_kind(op, &[&Value::Float(a)])),
    };
    finite(value)
}

fn fold_floats<'a>(op: Pointwise, a: f64, b: f64) -> Folded<'a> {
    let value = match op {
        Pointwise::Add => a + b,
        Pointwise::Sub => a - b,
        Pointwise::Mul => a * b,
        Pointwise::Div | Pointwise::Rem if b == 0.0 => {
            return Err((Code::BadValue, "division by zero".to_owned()));
        }
        Pointwise::Div => a / b,
        Pointwise::Rem => a - b * (a / b).floor(),
        Pointwise::Pow => a.powf(b),
        Pointwise::Maximum => a.max(b),
        Pointwise::Minimum => a.min(b),
        Pointwise::Less => return Ok(Some(Value::Bool(a < b))),
        Pointwise::LessEq => return Ok(Some(Value::Bool(a <= b))),
        Pointwise::Greater => return Ok(Some(Value::Bool(a > b))),
        Pointwise::GreaterEq => return Ok(Some(Value::Bool(a >= b))),
        _ => return Err(wrong_kind(op, &[&Value::Float(a), &Value::Float(b)])),
    };
    finite(value)
}

/// Whether two constants are the same; values of different kinds never are.
fn equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        _ => match (a.as_number(), b.as_number()) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

fn checked<'a>(value: Option<i64>) -> Folded<'a> {
    match value {
        Some(value) => Ok(Some(Value::Int(value))),
        None => Err((
            Code::BadValue,
            "the result is too large for an int".to_owned(),
        )),
    }
}

fn finite<'a>(value: f64) -> Folded<'a> {
    if value.is_finite() {
        Ok(Some(Value::Float(value)))
    } else {
        Err((Code::BadValue, "the result is no finite number".to_owned()))
    }
}

fn no_value(what: &str, a: f64) -> (Code, String) {
    (Code::BadValue, format!("{what} {a} has no value"))
}

fn wrong_kind(op: Pointwise, values: &[&Value<'_>]) -> (Code, String) {
    let kinds: Vec<String> = values.iter().map(|value| value.kind_text()).collect();
    let op = match op {
        Pointwise::Neg | Pointwise::Sub => "-".to_owned(),
        Pointwise::Add => "+".to_owned(),
        Pointwise::Mul => "*".to_owned(),
        Pointwise::Div => "/".to_owned(),
        Pointwise::Rem => "%".to_owned(),
        Pointwise::Pow => "^".to_owned(),
        Pointwise::Equal => "==".to_owned(),
        Pointwise::NotEqual => "!=".to_owned(),
        Pointwise::Less => "<".to_owned(),
        Pointwise::LessEq => "<=".to_owned(),
        Pointwise::Greater => ">".to_owned(),
        Pointwise::GreaterEq => ">=".to_owned(),
        named => format!("{named:?}").to_lowercase(),
    };
    (
        Code::TypeMismatch,
        format!("`{op}` does not take {}", kinds.join(" and ")),
    )
}
