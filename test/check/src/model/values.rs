//! Arithmetic of integers.

use crate::outcome::Refusal;
use rmpv::Value;

/// Their sum. Refused: a current value that is no integer, or a sum outside of −2⁶³ … 2⁶⁴−1.
pub fn add(key: &str, current: &Value, by: &Value) -> Result<Value, Refusal> {
    let wide = |value: &Value| {
        let signed = value.as_i64().map(i128::from);
        signed.or(value.as_u64().map(i128::from))
    };
    let (Some(current), Some(by)) = (wide(current), wide(by)) else {
        return Err(Refusal::new(
            "not_an_integer",
            format!("The value of the key {key} is not an integer"),
        ));
    };
    let sum = current + by;
    let signed = i64::try_from(sum).map(Value::from);
    signed.or(u64::try_from(sum).map(Value::from)).map_err(|_| {
        let range = format!("{} to {}", i64::MIN, u64::MAX);
        Refusal::new(
            "out_of_range",
            format!("The value of the key {key} would be outside of {range}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_the_whole_range() {
        let (least, most) = (Value::from(i64::MIN), Value::from(u64::MAX));
        assert_eq!(
            add("a", &least, &most).unwrap(),
            Value::from(i64::MAX as u64)
        );
        assert_eq!(add("a", &1.into(), &(-3).into()).unwrap(), Value::from(-2));
        assert_eq!(add("a", &most, &1.into()).unwrap_err().name, "out_of_range");
        assert_eq!(
            add("a", &Value::F64(1.0), &1.into()).unwrap_err().name,
            "not_an_integer"
        );
    }
}
