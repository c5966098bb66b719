//! Any bytes as msgpack: what is whole has a JSON text, and what the check lets in comes back from it.

#![no_main]

use authkv_fuzz::codec::msgpack::{self, Reader};
use authkv_fuzz::codec::{json_read, json_write, Document};
use authkv_fuzz::same::same;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Containers inside one another; serde_json stops at 127.
const DEPTH: usize = 100;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    let mut text = Vec::new();
    let written = json_write::write(&mut text, &mut reader);
    let value = Reader::new(bytes).value();
    assert_eq!(written.is_ok(), value.is_ok());
    let checked = msgpack::check(bytes, DEPTH);
    if let Ok(document) = Document::from_msgpack(bytes, DEPTH) {
        let _ = document.first("token");
        let _ = document.fields(["keys", "data"], 1);
    }
    let Ok(value) = value else {
        assert!(checked.is_err(), "what was let in is not whole");
        return;
    };
    // The two stopped at the same byte.
    assert!(reader.take(bytes.len() - value.len()).is_ok() && reader.is_empty());
    let text = String::from_utf8(text).expect("it is UTF-8");
    serde_json::from_str::<IgnoredAny>(&text).expect("it is JSON, however deep");
    if checked.is_ok() {
        let as_msgpack: Value = rmp_serde::from_slice(bytes).expect("JSON can carry it");
        let as_text: Value = serde_json::from_str(&text).expect("it is JSON");
        assert!(same(&as_msgpack, &as_text, same_double));
        comes_back(&text);
    }
});

/// The text of a number of single precision is no longer than that needs, so it is another double.
fn same_double(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || f64::from(a as f32) == a && a as f32 == b as f32
}

/// Reading the text and writing it again changes nothing but names that a map has twice, of which the last value
/// stays, and the notation of numbers, where those of single precision are told from doubles.
fn comes_back(text: &str) {
    let before: Value = serde_json::from_str(text).expect("it is JSON");
    let bytes =
        json_read::to_msgpack(text.as_bytes(), DEPTH).expect("it is JSON of the same depth");
    assert_eq!(msgpack::check(&bytes, DEPTH), Ok(()));
    let mut again = Vec::new();
    json_write::write(&mut again, &mut Reader::new(&bytes)).expect("it was read");
    let after: Value = serde_json::from_slice(&again).expect("it is JSON");
    assert_eq!(after, before);
    assert_eq!(json_read::to_msgpack(&again, DEPTH), Ok(bytes));
}
