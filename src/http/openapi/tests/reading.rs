//! Reads the document, for tests.

use authkv_config::Config;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

pub fn document(settings: &[(&str, &str)]) -> Value {
    let settings = settings
        .iter()
        .map(|(name, text)| (name.to_string(), text.to_string()));
    let config = Config::new(settings.collect()).unwrap();
    serde_json::from_slice(&super::super::json(&config, &config.http)).unwrap()
}

/// The operations, with path and method.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| {
            assert!(METHODS.contains(&&**method), "{method}");
            (&**path, &**method, operation)
        })
    })
}

pub fn names(object: &Value) -> BTreeSet<&str> {
    let object: Option<&Map<String, Value>> = object.as_object();
    object
        .into_iter()
        .flatten()
        .map(|(name, _)| &**name)
        .collect()
}

pub fn texts(array: &Value) -> BTreeSet<&str> {
    let array = array.as_array().into_iter().flatten();
    array.filter_map(Value::as_str).collect()
}

/// Why a value does not match a schema: types, members and constants are checked.
pub fn wrong(value: &Value, schema: &Value, schemas: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return wrong(value, schemas.get(name).expect(name), schemas);
    }
    if let Some(all) = schema["oneOf"].as_array() {
        let fit = all
            .iter()
            .filter(|one| wrong(value, one, schemas).is_none());
        return (fit.count() != 1).then(|| format!("{value} is not one of {schema}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = &schema["type"];
    let is_kind = |kind: &str| kinds == kind || texts(kinds).contains(kind);
    let fits = kinds.is_null() || is_kind(kind) || kind == "integer" && is_kind("number");
    let is_listed = schema["enum"]
        .as_array()
        .is_none_or(|all| all.contains(value));
    let members = names(value);
    let lacks = texts(&schema["required"]).difference(&members).count() > 0;
    let others = members.difference(&names(&schema["properties"])).count() > 0;
    if !fits || !is_listed || lacks || others && schema["additionalProperties"] == false {
        return Some(format!("{value} is not {schema}"));
    }
    let inside = |value: &Value, schema: &Value| wrong(value, schema, schemas);
    let items = value.as_array().into_iter().flatten();
    let mut items = items.filter_map(|item| inside(item, &schema["items"]));
    let members = value.as_object().into_iter().flatten();
    let mut members =
        members.filter_map(|(name, member)| inside(member, &schema["properties"][name]));
    items.next().or_else(|| members.next())
}

/// The alternatives of a schema: those of its `oneOf`, each by its own name.
pub fn variants<'a>(schema: &'a Value, schemas: &'a Value) -> Vec<&'a Value> {
    let Some(all) = schema["oneOf"].as_array() else {
        return vec![schema];
    };
    let resolved = |one: &'a Value| match one["$ref"].as_str() {
        Some(name) => &schemas[name.rsplit('/').next().unwrap()],
        None => one,
    };
    all.iter().map(resolved).collect()
}
