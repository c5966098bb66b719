//! Pages of pairs as lines.

use authkv_base::error::Error;
use authkv_codec::in_one_line;
use authkv_codec::json_write::write_tagged;
use authkv_codec::msgpack::Reader;
use authkv_command::Command;
use authkv_domain::{KeyRange, ListPage, Listing, What};

/// How many pairs a page has at most.
const PAIRS: usize = 1000;

/// The command that reads a page.
pub fn ask(prefix: &str, after: Option<&str>) -> Command {
    Command::KvList(Ok(Listing {
        range: KeyRange::of_prefix(prefix.as_bytes()),
        after: after.map(str::to_owned),
        what: What::Pairs(PAIRS),
    }))
}

/// The command that counts the pairs.
pub fn ask_total() -> Command {
    Command::KvList(Ok(Listing {
        range: KeyRange::default(),
        after: None,
        what: What::Total,
    }))
}

/// A line for each pair of a page. Errors: `Malformed`.
pub fn text(page: &ListPage) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(page.items.len() * 5 / 4 + 32 * page.count);
    let mut pairs = Reader::new(&page.items);
    for _ in 0..page.count {
        write_tagged(&mut text, &mut pairs)?;
        text.push(b'\n');
    }
    Ok(in_one_line(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_codec::json_read::to_msgpack;

    fn page(pairs: &[&str]) -> ListPage {
        let pairs = pairs
            .iter()
            .map(|pair| to_msgpack(pair.as_bytes(), 9).unwrap());
        let items: Vec<_> = pairs.collect();
        ListPage {
            count: items.len(),
            items: items.concat(),
            ..ListPage::default()
        }
    }

    #[test]
    fn a_page_is_a_line_for_each_pair() {
        let pairs = [
            r#"{"key":"a","value":"x\ny","revision":2}"#,
            r#"{"key":"b","value":{"c":[null]},"revision":3,"expires_at":1.5}"#,
        ];
        let lines = pairs.map(|pair| format!("{pair}\n")).concat();
        assert_eq!(text(&page(&pairs)), Ok(lines.into_bytes()));
        let ends = "{\"key\":\"a\u{2028}\",\"value\":{\"\u{85}\":\"\u{2029}\"}}";
        let written = text(&page(&[ends])).unwrap();
        let line = r#"{"key":"a\u2028","value":{"\u0085":"\u2029"}}"#;
        assert_eq!(String::from_utf8(written).unwrap().trim_end(), line);
        assert_eq!(text(&page(&[])), Ok(Vec::new()));
    }
}
