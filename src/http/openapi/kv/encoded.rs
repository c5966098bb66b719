//! Examples in the encoding of the core.

use authkv_codec::json_read::to_msgpack;
use authkv_codec::tagged::untag;
use authkv_codec::types::Types;
use authkv_domain::ListPage;

/// A JSON text as msgpack.
pub fn msgpack(text: &str) -> Vec<u8> {
    const TYPES: Types = Types::of_version(2, 11);
    const DEPTH: usize = 9;
    let plain = to_msgpack(text.as_bytes(), DEPTH).unwrap_or_default();
    let value = untag(&plain, TYPES, DEPTH).map(|value| value.into_owned());
    value.unwrap_or_default()
}

/// Several JSON texts as msgpack, one after another.
pub fn items(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| msgpack(text)).collect()
}

/// The last page of a list, with these items.
pub fn page(texts: &[&str]) -> ListPage {
    ListPage {
        items: items(texts),
        count: texts.len(),
        ..ListPage::default()
    }
}
