//! Any bytes as a file of the log of writes: nothing is cut off that is a whole record, and what is left after a cut is whole.

#![no_main]

use authkv_xlog::sample::{record, META};
use authkv_xlog::{scan, End};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fn end(bytes: &[u8]) -> End {
    scan(Cursor::new(bytes)).expect("memory can be read").end
}

fuzz_target!(|bytes: &[u8]| {
    any(bytes);
    any(&[META, bytes].concat());
    // A record is whole, whatever comes before it, so nothing before it is cut.
    let last = record(bytes);
    let before = [META, bytes].concat();
    match end(&[&before[..], &last[..]].concat()) {
        End::Torn { at } => panic!("a whole record was cut at {at}"),
        End::Whole | End::Damaged { .. } => {}
    }
    // A file that ends early is cut behind its last whole record.
    let whole = [META, &last[..]].concat();
    assert_eq!(end(&whole), End::Whole);
    if let Some((_, torn)) = last.split_last() {
        match end(&[META, torn].concat()) {
            End::Torn { at } => assert_eq!(at, META.len() as u64),
            // The body has whole records in it.
            End::Damaged { next, .. } => assert!(next.is_some() || bytes.len() > 16),
            End::Whole => panic!("it ends early"),
        }
    }
});

fn any(bytes: &[u8]) {
    match end(bytes) {
        End::Whole => {}
        End::Torn { at: 0 } => {}
        End::Torn { at } => assert_eq!(end(&bytes[..at as usize]), End::Whole),
        End::Damaged { at, next } => {
            assert!(next.is_none_or(|next| next > at && next < bytes.len() as u64));
        }
    }
}
