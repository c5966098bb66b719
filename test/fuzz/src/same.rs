//! Equality of JSON values, with a say in when two doubles are the same.

use serde_json::Value;

/// Whether `a` and `b` are equal, integers and doubles told apart, where `double` says it of their doubles.
pub fn same(a: &Value, b: &Value, double: fn(f64, f64) -> bool) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a_double), Some(b_double)) if a.is_f64() && b.is_f64() => {
                double(a_double, b_double)
            }
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, double))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((a, x), (b, y))| a == b && same(x, y, double))
        }
        _ => a == b,
    }
}
