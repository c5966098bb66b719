//! Pages of pairs as lines.

use super::counts::member;
use authkv_base::error::Error;
use authkv_codec::json_write::write_tagged;
use authkv_codec::msgpack::{Head, Reader};
use authkv_codec::{self as codec, in_one_line, Document, Member, Rules};
use authkv_command::{Command, Operation};
use authkv_domain::{KeyRange, Limits, Listing, What};

/// Pairs of a page, at most.
const PAIRS: u64 = 1000;
/// A question has no values.
const RULES: Rules = Rules::json(0);

/// A page as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// A line for each pair.
    pub text: Vec<u8>,
    pub pairs: u64,
    /// What to ask after for the next one; none at the end.
    pub next: Option<String>,
}

/// The command that asks for a page.
pub fn ask(prefix: &str, after: Option<&str>, limits: &Limits) -> Result<Command, Error> {
    let text = |text: &str| Member::Text(text.to_owned());
    let mut members = vec![("prefix", text(prefix)), ("limit", Member::Number(PAIRS))];
    members.extend(after.map(|after| ("after", text(after))));
    let input = Document::from_json_and(b"", RULES, &members)?;
    Command::decode(Operation::KvList, &input, 0, limits)
}

/// The command that asks how many pairs there are.
pub fn ask_total() -> Command {
    Command::KvList(Ok(Listing {
        range: KeyRange::default(),
        after: None,
        what: What::Total,
    }))
}

/// The answer to that: none for one who may not read all. Errors: `Internal`.
pub fn total(answer: &[u8]) -> Result<Option<u64>, Error> {
    let total = member(answer, b"count")?;
    total.map(|total| codec::number("count", total)).transpose()
}

impl Page {
    /// From the answer to [`ask`]. Errors: `Malformed`, `Internal` where it is none.
    pub fn render(answer: &[u8]) -> Result<Self, Error> {
        let pairs = member(answer, b"pairs")?.ok_or(Error::Internal)?;
        let mut reader = Reader::new(pairs);
        let Head::Array(count) = reader.head()? else {
            return Err(Error::Internal);
        };
        let mut text = Vec::with_capacity(pairs.len() * 5 / 4 + 32 * count as usize);
        for _ in 0..count {
            write_tagged(&mut text, &mut reader)?;
            text.push(b'\n');
        }
        let next = member(answer, b"next")?.filter(|next| *next != [0xc0]);
        Ok(Self {
            text: in_one_line(text),
            pairs: count.into(),
            next: next.map(|next| codec::string("next", next)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_codec::json_read::to_msgpack;

    #[test]
    fn a_page_is_a_line_for_each_pair() {
        let lines = "{\"key\":\"a\",\"value\":\"x\\ny\",\"revision\":2}\n\
                     {\"key\":\"b\",\"value\":{\"c\":[null]},\"revision\":3,\"expires_at\":1.5}\n";
        let all = lines.trim_end().replace('\n', ",");
        let answer = |next| {
            to_msgpack(
                format!("{{\"pairs\":[{all}],\"next\":{next}}}").as_bytes(),
                9,
            )
        };
        let page = Page {
            text: lines.as_bytes().to_vec(),
            pairs: 2,
            next: Some("b".to_owned()),
        };
        assert_eq!(Page::render(&answer("\"b\"").unwrap()), Ok(page));
        assert_eq!(Page::render(&answer("null").unwrap()).unwrap().next, None);
        let ends = "{\"pairs\":[{\"key\":\"a\u{2028}\",\"value\":{\"\u{85}\":\"\u{2029}\"}}],\"next\":\"\u{2028}\"}";
        let page = Page::render(&to_msgpack(ends.as_bytes(), 9).unwrap()).unwrap();
        let text = r#"{"key":"a\u2028","value":{"\u0085":"\u2029"}}"#;
        assert_eq!(String::from_utf8(page.text).unwrap().trim_end(), text);
        assert_eq!(page.next.as_deref(), Some("\u{2028}"));
        let empty = to_msgpack(br#"{"pairs":[],"next":null}"#, 9).unwrap();
        assert_eq!(Page::render(&empty), Ok(Page::default()));
        assert_eq!(
            total(&to_msgpack(br#"{"count":7}"#, 9).unwrap()),
            Ok(Some(7))
        );
        assert_eq!(total(b"\x80"), Ok(None));
    }
}
