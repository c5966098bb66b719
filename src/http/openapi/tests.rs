//! Whether the document has the operations of the table. `test/documentation/test_openapi_document.py` tests the rest.

use super::*;
use authkv_wire::routes::{Delivery, Profile};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The operations, by path and method.
fn operations() -> BTreeMap<(String, String), Value> {
    let config = Config::new(BTreeMap::new()).unwrap();
    let document: Value = serde_json::from_slice(&json(&config, &config.http)).unwrap();
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = (path.clone(), method.to_uppercase());
            operations.insert(place, operation.clone());
        }
    }
    operations
}

#[test]
fn the_operations_are_the_routes() {
    let described: Vec<_> = operations().into_keys().collect();
    let mut offered: Vec<_> = routes::all()
        .iter()
        .map(|route| (route.path().to_owned(), route.method().to_owned()))
        .collect();
    offered.sort();
    assert_eq!(described, offered);
}

/// The header fields of an operation.
fn fields(method: &str, path: &str) -> &'static [&'static str] {
    match (method, path) {
        ("PUT", "/v1/kv/{key}" | "/v1/pair") => &["If-Match", "If-None-Match"],
        ("GET", "/v1/kv/{key}" | "/v1/pair") => &[
            "If-Match",
            "If-None-Match",
            "Authkv-Consistency",
            "Authkv-Min-Revision",
        ],
        ("GET", "/v1/kv" | "/v1/export") | ("POST", "/v1/batch/get" | "/api/read") => {
            &["Authkv-Consistency", "Authkv-Min-Revision"]
        }
        ("DELETE", "/v1/kv/{key}" | "/v1/pair") => &["If-Match"],
        ("GET", "/v1/watch") => &["Last-Event-ID"],
        _ => &[],
    }
}

#[test]
fn an_operation_has_an_id_and_a_tag_and_what_its_route_takes() {
    let operations = operations();
    let mut ids = BTreeSet::new();
    for route in routes::all() {
        let (path, method) = (route.path(), route.method());
        let operation = &operations[&(path.to_owned(), method.to_owned())];
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(TAGS.iter().any(|(known, _)| *known == tag), "{id}");
        for words in ["summary", "description"] {
            assert!(!operation[words].as_str().unwrap().is_empty(), "{id}");
        }
        let row = route.operation.row();
        let name = match route.delivery {
            Delivery::Export => "kv_export",
            Delivery::Import => "kv_import",
            Delivery::Whole | Delivery::Watch => row.name,
        };
        let name = match path.starts_with("/v1/pair") {
            true => format!("{name}_by_query"),
            false => name.to_owned(),
        };
        assert!(route.profile == Profile::Api || id == name, "{id}");
        assert_eq!(
            operation["requestBody"].is_object(),
            route.has_body(),
            "{id}"
        );
        let is_protected = !operation["security"].as_array().unwrap().is_empty();
        assert_eq!(is_protected, row.privilege != Privilege::Nothing, "{id}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<(&str, &str)> = parameters
            .map(|one| (one["in"].as_str().unwrap(), one["name"].as_str().unwrap()))
            .collect();
        let query = route.query.iter().map(|(name, _)| ("query", *name));
        let taken: Vec<(&str, &str)> = route
            .names()
            .map(|name| ("path", name))
            .chain(query)
            .chain(fields(method, path).iter().map(|name| ("header", *name)))
            .collect();
        assert_eq!(parameters, taken, "{id}");
    }
}
