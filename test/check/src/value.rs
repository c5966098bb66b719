//! Values, as msgpack has them, and their JSON under `/v1`.

use base64::engine::{general_purpose::STANDARD, Engine};
use rmpv::Value;
use serde_json::{json, Map, Value as Json};

/// Tarantool's extension type of a UUID.
pub const UUID: i8 = 2;
const NAMES: [&str; 6] = ["$binary", "$decimal", "$uuid", "$datetime", "$ext", "$map"];

/// A map with these members.
pub fn map<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    )
}

/// The member of a map.
pub fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let (_, value) = value
        .as_map()?
        .iter()
        .find(|(key, _)| key.as_str() == Some(name))?;
    Some(value)
}

/// Whether they are the same to a compare of a transaction: the order of members does not count, 1 and 1.0 differ.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    other
                        .iter()
                        .any(|(theirs, other)| name == theirs && same(value, other))
                })
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}

/// The JSON of a request's body: members named `value` are values, at whatever depth.
pub fn body_to_json(body: &Value) -> Json {
    match body {
        Value::Map(members) => members
            .iter()
            .map(|(name, value)| {
                let name = name.as_str().unwrap_or_default();
                let value = match name {
                    "value" => to_json(value),
                    _ => body_to_json(value),
                };
                (name.to_owned(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(body_to_json).collect(),
        scalar => to_json(scalar),
    }
}

/// The inverse of [`body_to_json`], for an answer's body.
pub fn body_from_json(body: Json) -> Value {
    match body {
        Json::Object(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, value)| match name.as_str() {
                    "value" => (name.into(), from_json(value)),
                    _ => (name.into(), body_from_json(value)),
                })
                .collect(),
        ),
        Json::Array(items) => Value::Array(items.into_iter().map(body_from_json).collect()),
        scalar => plain_from_json(scalar),
    }
}

/// The JSON of a value under `/v1`.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Boolean(value) => json!(value),
        Value::Integer(number) => number.as_u64().map_or(json!(number.as_i64()), Json::from),
        Value::F32(number) => json!(number),
        Value::F64(number) => json!(number),
        Value::String(text) => json!(text.as_str()),
        Value::Binary(bytes) => json!({ "$binary": STANDARD.encode(bytes) }),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Ext(UUID, data) => json!({ "$uuid": uuid_text(data) }),
        Value::Ext(kind, data) => {
            json!({ "$ext": { "type": kind, "data": STANDARD.encode(data) } })
        }
        Value::Map(members) => {
            let object: Map<_, _> = members
                .iter()
                .map(|(name, value)| (name.as_str().unwrap_or_default().to_owned(), to_json(value)))
                .collect();
            match typed_name(&object) {
                Some(_) => json!({ "$map": object }),
                None => object.into(),
            }
        }
    }
}

/// The inverse of [`to_json`]. What has a wrong form is taken as it stands, so that it differs.
pub fn from_json(json: Json) -> Value {
    match json {
        Json::Object(members) => {
            let typed = typed_name(&members).and_then(|name| {
                let value = &members[name];
                match name {
                    "$binary" => Some(Value::Binary(STANDARD.decode(value.as_str()?).ok()?)),
                    "$uuid" => uuid_data(value.as_str()?).map(|data| Value::Ext(UUID, data)),
                    "$ext" => Some(Value::Ext(
                        value.get("type")?.as_i64()?.try_into().ok()?,
                        STANDARD.decode(value.get("data")?.as_str()?).ok()?,
                    )),
                    "$map" => Some(members_from_json(value.as_object()?.clone())),
                    _ => None,
                }
            });
            typed.unwrap_or_else(|| members_from_json(members))
        }
        Json::Array(items) => Value::Array(items.into_iter().map(from_json).collect()),
        scalar => plain_from_json(scalar),
    }
}

/// JSON without typed values, as `/api` has it.
pub fn plain_from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => value.into(),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => number.into(),
            _ => number.as_f64().map_or(Value::Nil, Value::F64),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => Value::Array(items.into_iter().map(plain_from_json).collect()),
        Json::Object(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), plain_from_json(value)))
                .collect(),
        ),
    }
}

/// The inverse of [`plain_from_json`], for values that JSON has.
pub fn plain_to_json(value: &Value) -> Json {
    match value {
        Value::Array(items) => items.iter().map(plain_to_json).collect(),
        Value::Map(members) => members
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().unwrap_or_default().to_owned(),
                    plain_to_json(value),
                )
            })
            .collect::<Map<_, _>>()
            .into(),
        scalar => to_json(scalar),
    }
}

/// What `/api` shows of a value: binary data and extensions as base64.
pub fn as_api_shows(value: &Value) -> Value {
    match value {
        Value::Binary(bytes) | Value::Ext(_, bytes) => STANDARD.encode(bytes).into(),
        Value::Array(items) => Value::Array(items.iter().map(as_api_shows).collect()),
        Value::Map(members) => Value::Map(
            members
                .iter()
                .map(|(name, value)| (name.clone(), as_api_shows(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn members_from_json(members: Map<String, Json>) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(name, value)| (name.into(), from_json(value)))
            .collect(),
    )
}

fn typed_name(members: &Map<String, Json>) -> Option<&'static str> {
    let (name, _) = members.iter().next().filter(|_| members.len() == 1)?;
    NAMES.into_iter().find(|known| known == name)
}

fn uuid_text(data: &[u8]) -> String {
    let mut text = String::new();
    for (place, byte) in data.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text += &format!("{byte:02x}");
    }
    text
}

fn uuid_data(text: &str) -> Option<Vec<u8>> {
    let digits = text.replace('-', "");
    (digits.len() == 32 && digits.is_ascii()).then_some(())?;
    (0..16)
        .map(|place| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type_in_json() {
        for (value, text) in [
            (Value::from(u64::MAX), "18446744073709551615"),
            (Value::from(i64::MIN), "-9223372036854775808"),
            (Value::F64(1.0), "1.0"),
            (Value::Binary(vec![0, 255]), r#"{"$binary":"AP8="}"#),
            (
                Value::Ext(UUID, (0..16).collect()),
                r#"{"$uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#,
            ),
            (
                Value::Ext(6, vec![1]),
                r#"{"$ext":{"type":6,"data":"AQ=="}}"#,
            ),
            (
                map([("$binary", Value::Nil)]),
                r#"{"$map":{"$binary":null}}"#,
            ),
            (
                map([("b", 1.into()), ("a", Value::Array(vec![true.into()]))]),
                r#"{"b":1,"a":[true]}"#,
            ),
        ] {
            assert_eq!(to_json(&value).to_string(), text);
            assert_eq!(from_json(serde_json::from_str(text).unwrap()), value);
        }
    }

    #[test]
    fn the_order_of_members_does_not_count_and_the_kind_of_number_does() {
        let (one, other) = (("a", Value::from(1)), ("b", Value::from(2)));
        let forth = map([one.clone(), other.clone()]);
        let back = map([other, one]);
        assert!(same(&forth, &back));
        assert_ne!(forth, back);
        assert!(!same(&1.into(), &Value::F64(1.0)));
        assert!(!same(&forth, &map([("a", 1.into())])));
    }
}
