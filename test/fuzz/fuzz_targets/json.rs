//! Any bytes as JSON: what serde_json makes of them is what the codec makes of them, and what was read once is
//! read and written for ever the same.

#![no_main]

use authkv_fuzz::codec::{json_read, json_write, msgpack};
use authkv_fuzz::error::Error;
use authkv_fuzz::same;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Containers inside one another; serde_json stops at 127.
const DEPTH: usize = 100;

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
    assert_eq!(msgpack::check(&bytes, DEPTH), Ok(()));
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

/// To the last bit, so that zeros keep their sign.
fn same(a: &Value, b: &Value) -> bool {
    same::same(a, b, |a, b| a.to_bits() == b.to_bits())
}
