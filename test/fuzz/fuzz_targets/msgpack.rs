//! Any bytes as msgpack: what is whole has a JSON text, and what the check lets in comes back from it.

#![no_main]

use authkv_codec::check::{check, Allowed};
use authkv_codec::equal;
use authkv_codec::msgpack::{Head, Reader};
use authkv_codec::tagged::{json_depth, untag};
use authkv_codec::types::Types;
use authkv_codec::{json_read, json_write, Document, Rules};
use authkv_fuzz::same::same;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Containers inside one another; serde_json stops at 127.
const DEPTH: usize = 100;
const TYPES: Types = Types::of_version(2, 10);

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    let mut text = Vec::new();
    let written = json_write::write(&mut text, &mut reader);
    let value = Reader::new(bytes).value();
    let _ = untag(bytes, TYPES, DEPTH);
    assert_eq!(written.is_ok(), value.is_ok());
    let checked = check(bytes, DEPTH, Allowed::Json);
    if let Ok(document) = Document::from_msgpack(bytes, Rules::json(DEPTH)) {
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
    comes_back_tagged(bytes, value);
    if checked.is_ok() {
        let as_msgpack: Value = rmp_serde::from_slice(bytes).expect("JSON can carry it");
        let as_text: Value = serde_json::from_str(&text).expect("it is JSON");
        assert!(same(&as_msgpack, &as_text, same_double));
        comes_back(&text);
    }
});

/// The tagged text of any value is JSON, and what the wide check lets in comes back from it as it was; only strings that
/// are not UTF-8 become binary data.
fn comes_back_tagged(bytes: &[u8], value: &[u8]) {
    let text = tagged(value);
    serde_json::from_slice::<IgnoredAny>(&text).expect("it is JSON, however deep");
    if check(bytes, DEPTH, Allowed::Types(TYPES)).is_err() {
        return;
    }
    let back = json_read::to_msgpack(&text, json_depth(DEPTH)).expect("it is JSON");
    let back = untag(&back, TYPES, DEPTH).expect("its tags are known");
    assert_eq!(tagged(&back), text);
    assert_eq!(equal(&back, value), is_text(value));
    assert_eq!(equal(value, &back), is_text(value));
}

fn tagged(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    json_write::write_tagged(&mut text, &mut Reader::new(value)).expect("it is whole");
    text
}

/// Whether all strings in it are UTF-8.
fn is_text(value: &[u8]) -> bool {
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        match reader.head().expect("it is whole") {
            Head::Str(len) => {
                let text = reader.take(len as usize).expect("it is whole");
                if std::str::from_utf8(text).is_err() {
                    return false;
                }
            }
            Head::Bin(len) | Head::Ext { len, .. } => {
                reader.take(len as usize).expect("it is whole");
            }
            _ => {}
        }
    }
    true
}

/// A number of single precision is a double, too, and its text is that of the double.
fn same_double(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

/// Reading the text and writing it again changes nothing but names that a map has twice, of which the last value
/// stays, and the notation of numbers.
fn comes_back(text: &str) {
    let before: Value = serde_json::from_str(text).expect("it is JSON");
    let bytes =
        json_read::to_msgpack(text.as_bytes(), DEPTH).expect("it is JSON of the same depth");
    assert_eq!(check(&bytes, DEPTH, Allowed::Json), Ok(()));
    let mut again = Vec::new();
    json_write::write(&mut again, &mut Reader::new(&bytes)).expect("it was read");
    let after: Value = serde_json::from_slice(&again).expect("it is JSON");
    assert_eq!(after, before);
    assert_eq!(json_read::to_msgpack(&again, DEPTH), Ok(bytes));
}
