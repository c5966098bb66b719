//! Any bytes as JSON: what serde_json makes of them is what the codec makes of them, and what was read once is
//! read and written for ever the same. What its tags stand for is written and read the same, too.

#![no_main]

use authkv_base::error::Error;
use authkv_codec::check::{check, Allowed};
use authkv_codec::tagged::{json_depth, untag};
use authkv_codec::types::Types;
use authkv_codec::{json_read, json_write, msgpack};
use authkv_fuzz::same;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Containers inside one another; serde_json stops at 127.
const DEPTH: usize = 100;
const TYPES: Types = Types::of_version(2, 10);

fuzz_target!(|text: &[u8]| {
    let ours = json_read::to_msgpack(text, DEPTH);
    let theirs = serde_json::from_slice::<Value>(text);
    let bytes = match ours {
        Ok(bytes) => bytes,
        // It is said as soon as it is known, whatever follows.
        Err(Error::TooDeep { limit: DEPTH }) => return,
        Err(Error::Malformed(_)) => {
            assert!(theirs.is_err(), "only serde_json accepts it");
            return;
        }
        Err(other) => panic!("{other:?} is no error of reading JSON"),
    };
    let theirs = theirs.expect("only the codec accepts it");
    assert_eq!(check(&bytes, DEPTH, Allowed::Json), Ok(()));
    untagged(&bytes);
    let as_msgpack: Value = rmp_serde::from_slice(&bytes).expect("it is msgpack");
    assert!(same(&as_msgpack, &theirs), "{as_msgpack} is not {theirs}");
    // Nothing is written in more bytes than it needs, and no name twice.
    let shortest = rmp_serde::to_vec(&theirs).expect("it can be msgpack");
    assert_eq!(bytes.len(), shortest.len());

    let mut written = Vec::new();
    json_write::write(&mut written, &mut msgpack::Reader::new(&bytes)).expect("it was read");
    let as_text: Value = serde_json::from_slice(&written).expect("it is JSON");
    assert!(same(&as_text, &theirs), "{as_text} is not {theirs}");
    assert_eq!(json_read::to_msgpack(&written, DEPTH), Ok(bytes));
});

/// What the tags of a value stand for comes back from its own text.
fn untagged(bytes: &[u8]) {
    let Ok(value) = untag(bytes, TYPES, DEPTH) else {
        return;
    };
    assert_eq!(check(&value, DEPTH, Allowed::Types(TYPES)), Ok(()));
    let mut text = Vec::new();
    json_write::write_tagged(&mut text, &mut msgpack::Reader::new(&value)).expect("it was read");
    let back = json_read::to_msgpack(&text, json_depth(DEPTH)).expect("it is JSON");
    assert_eq!(untag(&back, TYPES, DEPTH), Ok(value));
}

/// To the last bit, so that zeros keep their sign.
fn same(a: &Value, b: &Value) -> bool {
    same::same(a, b, |a, b| a.to_bits() == b.to_bits())
}
