//! Whether the document says what the code does.

use super::*;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

fn document(settings: &[(&str, &str)]) -> Value {
    let settings = settings
        .iter()
        .map(|(name, text)| (name.to_string(), text.to_string()));
    let config = Config::new(settings.collect()).unwrap();
    serde_json::from_slice(&super::json(&config)).unwrap()
}

/// The operations, with path and method.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| {
            assert!(METHODS.contains(&&**method), "{method}");
            (&**path, &**method, operation)
        })
    })
}

fn names(object: &Value) -> BTreeSet<&str> {
    let object: Option<&Map<String, Value>> = object.as_object();
    object
        .into_iter()
        .flatten()
        .map(|(name, _)| &**name)
        .collect()
}

fn texts(array: &Value) -> BTreeSet<&str> {
    let array = array.as_array().into_iter().flatten();
    array.filter_map(Value::as_str).collect()
}

/// What speaks against a value where this schema stands: types, members and constants.
fn wrong(value: &Value, schema: &Value, schemas: &Value) -> Option<String> {
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
    let fits = kinds.is_null() || kinds == kind || texts(kinds).contains(kind);
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

#[test]
fn the_operations_are_the_routes() {
    let document = document(&[]);
    let mut described: Vec<(String, String)> = operations(&document)
        .map(|(path, method, _)| (path.to_owned(), method.to_uppercase()))
        .collect();
    let mut offered: Vec<(String, String)> = routes::all()
        .iter()
        .map(|route| {
            let slash = if route.profile == Profile::Api {
                "/"
            } else {
                ""
            };
            (
                format!("{}{slash}", route.path()),
                route.method().to_owned(),
            )
        })
        .collect();
    described.sort();
    offered.sort();
    assert_eq!(described, offered);
}

#[test]
fn an_operation_has_an_id_and_a_tag_and_what_its_route_takes() {
    let document = document(&[]);
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(words::TAGS.iter().any(|(known, _)| *known == tag), "{id}");
        let mut routes = routes::all().iter();
        let route = routes
            .find(|route| {
                route.path() == path.trim_end_matches('/')
                    && route.method().eq_ignore_ascii_case(method)
            })
            .unwrap();
        let row = route.operation.row();
        assert!(route.profile == Profile::Api || id == row.name, "{id}");
        assert_eq!(
            !operation["requestBody"].is_null(),
            route.has_body(),
            "{id}"
        );
        assert_eq!(
            !operation["security"].is_null(),
            row.needs != Needs::Nothing,
            "{id}"
        );
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<(&str, &str)> = parameters
            .map(|one| (one["in"].as_str().unwrap(), one["name"].as_str().unwrap()))
            .collect();
        let query = route.query.iter().map(|(name, _)| ("query", *name));
        let taken: Vec<(&str, &str)> = route
            .names()
            .map(|name| ("path", name))
            .chain(query)
            .collect();
        assert_eq!(parameters, taken, "{id}");
    }
}

#[test]
fn an_answer_has_the_members_of_its_schema_and_no_more() {
    let document = document(&[]);
    let schemas = &document["components"]["schemas"];
    let mut used = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let mut codes = BTreeSet::new();
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in response["content"].as_object().unwrap() {
                let name = content["schema"]["$ref"].as_str().unwrap_or_default();
                used.insert(name.rsplit('/').next().unwrap().to_owned());
                for (example, value) in content["examples"].as_object().unwrap() {
                    let value = &value["value"];
                    let place = format!("{method} {path} {status} {media_type} {example}");
                    assert_eq!(wrong(value, &content["schema"], schemas), None, "{place}");
                    if media_type == super::super::v1::PROBLEM {
                        assert_eq!(value["code"], **example, "{place}");
                        assert_eq!(value["status"].to_string(), *status, "{place}");
                        assert!(codes.insert(example.clone()), "{place}");
                    }
                }
            }
        }
        let success = ["200", "201"]
            .iter()
            .filter(|status| !operation["responses"][status].is_null());
        assert_eq!(success.count(), 1, "{method} {path}");
    }
    for name in used.iter().filter(|name| !name.is_empty()) {
        let schema = &schemas[name];
        let either = schema["oneOf"].as_array();
        for one in either.map_or(std::slice::from_ref(schema), |all| all) {
            assert_eq!(one["additionalProperties"], false, "{name}");
            let mut members = names(&one["properties"]);
            // Only what names a key has it.
            if name == "Problem" {
                members.remove("key");
            }
            assert_eq!(members, texts(&one["required"]), "{name}");
        }
    }
}

#[test]
fn the_example_of_a_body_is_of_its_schema() {
    let document = document(&[]);
    let schemas = &document["components"]["schemas"];
    for (path, _, operation) in operations(&document) {
        let contents = operation["requestBody"]["content"].as_object();
        for (_, content) in contents.into_iter().flatten() {
            assert_eq!(
                wrong(&content["example"], &content["schema"], schemas),
                None,
                "{path}"
            );
        }
    }
}

#[test]
fn a_schema_that_is_named_is_there_and_one_that_is_there_is_named() {
    let text = document(&[]).to_string();
    let there = document(&[]);
    let there = names(&there["components"]["schemas"]);
    let named = text.split("#/components/schemas/").skip(1);
    let named: BTreeSet<&str> = named.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(named, there);
}

#[test]
fn the_document_is_that_of_the_settings() {
    let closed = document(&[
        ("REGISTRATION", "admin"),
        ("PASSWORD_MIN", "15"),
        ("PASSWORD_CLASSES", "lower,digit"),
    ]);
    for path in ["/api/register/", "/v1/users"] {
        let operation = &closed["paths"][path]["post"];
        assert!(operation["security"].is_array(), "{path}");
        assert!(operation["responses"]["403"].is_object(), "{path}");
    }
    let password = &closed["components"]["schemas"]["NewPassword"]["properties"]["password"];
    assert_eq!(password["minLength"], 15);
    assert_eq!(password["pattern"], r"^(?=[\s\S]*[a-z])(?=[\s\S]*[0-9])");
}

#[test]
fn what_a_failure_adds_to_the_header_is_described() {
    let document = document(&[]);
    let headers: BTreeMap<(&str, &str), BTreeSet<&str>> = operations(&document)
        .filter(|(path, ..)| {
            ["/v1/login", "/v1/me", "/v1/admin/roles", "/api/login/"].contains(path)
        })
        .flat_map(|(path, _, operation)| {
            let responses = operation["responses"].as_object().unwrap().iter();
            responses.map(move |(status, one)| ((path, &**status), names(&one["headers"])))
        })
        .collect();
    for (path, status, name) in [
        ("/v1/login", "401", Some("WWW-Authenticate")),
        ("/v1/me", "401", Some("WWW-Authenticate")),
        ("/v1/admin/roles", "403", Some("WWW-Authenticate")),
        ("/v1/login", "429", Some("Retry-After")),
        ("/v1/login", "405", Some("Allow")),
        ("/v1/login", "400", None),
        ("/api/login/", "404", None),
    ] {
        let expected: BTreeSet<&str> = name.into_iter().collect();
        assert_eq!(headers[&(path, status)], expected, "{path} {status}");
    }
}
