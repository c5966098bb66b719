//! Whether the document describes what the code does.

mod plain;
mod reading;

use super::*;
use authkv_wire::routes::{Delivery, Profile};
use reading::{document, names, operations, texts, variants, wrong};
use std::collections::BTreeSet;

#[test]
fn the_operations_are_the_routes() {
    let document = document(&[]);
    let mut described: Vec<(String, String)> = operations(&document)
        .map(|(path, method, _)| (path.to_owned(), method.to_uppercase()))
        .collect();
    let mut offered: Vec<(String, String)> = routes::all()
        .iter()
        .map(|route| (route.path().to_owned(), route.method().to_owned()))
        .collect();
    described.sort();
    offered.sort();
    assert_eq!(described, offered);
}

/// The header fields of an operation.
fn fields(method: &str, path: &str) -> &'static [&'static str] {
    match (method, path) {
        ("get" | "put", "/v1/kv/{key}") => &["If-Match", "If-None-Match"],
        ("delete", "/v1/kv/{key}") => &["If-Match"],
        ("get", "/v1/watch") => &["Last-Event-ID"],
        _ => &[],
    }
}

#[test]
fn an_operation_has_an_id_and_a_tag_and_what_its_route_takes() {
    let document = document(&[]);
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(TAGS.iter().any(|(known, _)| *known == tag), "{id}");
        let mut routes = routes::all().iter();
        let route = routes
            .find(|route| route.path() == path && route.method().eq_ignore_ascii_case(method))
            .unwrap();
        for words in ["summary", "description"] {
            assert!(!operation[words].as_str().unwrap().is_empty(), "{id}");
        }
        let row = route.operation.row();
        let name = match route.delivery {
            Delivery::Export => "kv_export",
            Delivery::Import => "kv_import",
            Delivery::Whole | Delivery::Watch => row.name,
        };
        assert!(route.profile == Profile::Api || id == name, "{id}");
        assert_eq!(
            !operation["requestBody"].is_null(),
            route.has_body(),
            "{id}"
        );
        let security = operation["security"].as_array().unwrap();
        assert_eq!(
            !security.is_empty(),
            row.privilege != Privilege::Nothing,
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
            .chain(fields(method, path).iter().map(|name| ("header", *name)))
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
            let contents = response["content"].as_object().into_iter().flatten();
            for (media_type, content) in contents {
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
        let both = (method, path) == ("put", "/v1/kv/{key}");
        assert_eq!(success.count(), 1 + usize::from(both), "{method} {path}");
    }
    // A value has no schema.
    for name in used
        .iter()
        .filter(|name| !["", "Value"].contains(&&***name))
    {
        for one in variants(&schemas[name], schemas) {
            assert_eq!(one["additionalProperties"], false, "{name}");
            let mut members = names(&one["properties"]);
            // These members are optional: they need a key or a line, or an unknown path.
            if name == "Problem" {
                for member in ["key", "revision", "message", "line"] {
                    members.remove(member);
                }
            }
            // Only a valid token has the other members.
            if name == "Introspection" {
                members.retain(|member| *member == "active");
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
        for (media_type, content) in contents.into_iter().flatten() {
            let wrong = wrong(&content["example"], &content["schema"], schemas);
            assert_eq!(wrong, None, "{path} {media_type}");
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
    for path in ["/api/register", "/v1/users"] {
        let operation = &closed["paths"][path]["post"];
        assert_eq!(
            operation["security"][0]["token"],
            serde_json::json!([]),
            "{path}"
        );
        assert!(operation["responses"]["403"].is_object(), "{path}");
    }
    let password = &closed["components"]["schemas"]["NewPassword"]["properties"]["password"];
    assert_eq!(password["minLength"], 15);
    assert_eq!(password["pattern"], r"^(?=[\s\S]*[a-z])(?=[\s\S]*[0-9])");
}

#[test]
fn a_failure_of_v1_has_one_form() {
    let document = document(&[]);
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap().iter();
        for (status, response) in responses.filter(|(status, _)| status.as_str() >= "400") {
            let place = format!("{method} {path} {status}");
            let contents = response["content"].as_object().unwrap();
            for (media_type, content) in contents {
                let schema = match media_type == super::super::v1::PROBLEM {
                    true => "#/components/schemas/Problem",
                    false => "#/components/schemas/Message",
                };
                let is_login = (path, &**status) == ("/api/login", "404");
                assert!(content["schema"]["$ref"] == schema || is_login, "{place}");
            }
            let of_v1 = !path.starts_with("/api/");
            let is_problem = contents.contains_key(super::super::v1::PROBLEM);
            assert!(!of_v1 || is_problem && contents.len() == 1, "{place}");
        }
    }
}

#[test]
fn what_an_answer_adds_to_the_header_is_described() {
    let document = document(&[]);
    for (method, path, status, expected) in [
        ("post", "/v1/login", 401, &["WWW-Authenticate"] as &[_]),
        ("get", "/v1/me", 401, &["WWW-Authenticate"]),
        ("get", "/v1/admin/roles", 403, &["WWW-Authenticate"]),
        ("post", "/v1/login", 429, &["Retry-After"]),
        ("post", "/v1/login", 405, &["Allow"]),
        ("post", "/v1/login", 400, &[]),
        ("post", "/v1/import", 415, &["Accept-Encoding"]),
        ("put", "/v1/kv/{key}", 415, &["Accept-Encoding"]),
        ("post", "/api/login", 404, &[]),
        ("get", "/v1/kv/{key}", 200, &["Authkv-Expires-At", "ETag"]),
        ("get", "/v1/kv/{key}", 304, &["ETag"]),
        ("put", "/v1/kv/{key}", 200, &["ETag"]),
        ("put", "/v1/kv/{key}", 201, &["ETag"]),
        ("delete", "/v1/kv/{key}", 200, &[]),
        ("get", "/v1/export", 200, &["X-Total-Count"]),
    ] {
        let response = &document["paths"][path][method]["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {path} {status}");
        let described: Vec<&str> = names(&response["headers"]).into_iter().collect();
        assert_eq!(described, expected, "{method} {path} {status}");
    }
}

#[test]
fn a_value_is_described_in_every_form_in_which_it_comes() {
    let document = document(&[]);
    let pair = &document["paths"]["/v1/kv/{key}"];
    let read = &pair["get"]["responses"];
    let known = ["*/*", "application/octet-stream"];
    assert_eq!(names(&read["200"]["content"]), known.into());
    for known in known {
        let described = &read["200"]["content"][known];
        assert_eq!(described["examples"]["bytes"]["value"], "Halley");
        let json = described["examples"]["json"]["value"].as_str().unwrap();
        assert!(json.starts_with("{\"days\":"), "{json}");
    }
    assert!(read["304"]["content"].is_null());
    let put = &pair["put"]["requestBody"]["content"];
    assert_eq!(names(put), ["application/json"].into());
    assert_eq!(
        put["application/json"]["schema"]["$ref"],
        "#/components/schemas/Value"
    );
    let listed = &document["paths"]["/v1/kv"]["get"]["responses"]["200"]["content"];
    let listed = &listed["application/json"]["examples"]["pairs"]["value"]["pairs"];
    assert_eq!(listed[1]["value"]["$binary"], "SGFsbGV5");
}
