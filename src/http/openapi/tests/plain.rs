//! Whether generators of clients can use the document, and understand it correctly.

use super::reading::{document, operations, texts, variants};
use serde_json::Value;

#[test]
fn the_document_is_plain() {
    fn look(place: &str, value: &Value) {
        let members = value.as_object().into_iter().flatten();
        for (name, member) in members.filter(|(name, _)| !name.starts_with("example")) {
            look(&format!("{place}/{name}"), member);
        }
        let items = value.as_array().into_iter().flatten();
        items.for_each(|item| look(place, item));
        assert!(value["const"].is_null(), "{place}");
        let is_schema = !value["type"].is_null() || !value["oneOf"].is_null();
        if !is_schema {
            return;
        }
        assert!(
            value["type"] != "boolean" || value["enum"].is_null(),
            "{place}"
        );
        // Alternatives and objects with members have to be named.
        let is_named = place.matches('/').count() == 3 && place.starts_with("/components/schemas/");
        assert!(value["oneOf"].is_null() || is_named, "{place}");
        let inline = variants(value, &Value::Null);
        assert!(
            inline.iter().all(|one| one["properties"].is_null()) || is_named,
            "{place}"
        );
        let is_whole = value["type"] == "integer" || texts(&value["type"]).contains("integer");
        assert!(!is_whole || !value["format"].is_null(), "{place}");
    }
    let document = document(&[]);
    look("", &document);
    for (path, method, operation) in operations(&document) {
        assert!(!path.ends_with('/'), "{path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            id.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{id}"
        );
        // A client chooses the type by the schema: each schema has one type, except bytes.
        let content = operation["requestBody"]["content"].as_object();
        let schemas: Vec<&Value> = content
            .into_iter()
            .flatten()
            .map(|(_, one)| &one["schema"])
            .collect();
        for (i, schema) in schemas.iter().enumerate() {
            let is_bytes = schema["format"] == "binary";
            assert!(
                is_bytes || !schemas[..i].contains(schema),
                "{method} {path}"
            );
        }
    }
}
