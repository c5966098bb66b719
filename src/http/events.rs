//! Changes as server-sent events (HTML §9.2). Pure.

use super::v1;
use authkv_base::error::Error;
use authkv_codec::in_one_line;
use authkv_codec::json_write::write_tagged;
use authkv_codec::msgpack::Reader;
use authkv_domain::ChangePage;

/// Milliseconds after which a client reconnects.
const RETRY: u64 = 1000;

/// The events of a page of changes. Errors: `Malformed`.
pub fn render(page: &ChangePage) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(page.items.len() * 5 / 4 + 64 * page.changes.len());
    let mut items = Reader::new(&page.items);
    for (change, revision) in &page.changes {
        push_line(&mut text, "id", itoa::Buffer::new().format(*revision));
        push_line(&mut text, "event", change.name());
        text.extend_from_slice(b"data: ");
        // JSON text has no line ends, not even inside strings.
        write_tagged(&mut text, &mut items)?;
        text.extend_from_slice(b"\n\n");
    }
    Ok(in_one_line(text))
}

/// The first event. Later events have revisions above `revision`.
pub fn ready(revision: u64) -> Vec<u8> {
    let text = format!(
        "retry: {RETRY}\nid: {revision}\nevent: ready\ndata: {{\"revision\":{revision}}}\n\n"
    );
    text.into_bytes()
}

/// The last event of a watch that ends with an error.
pub fn failure(error: &Error) -> Vec<u8> {
    let name = match error {
        Error::TooOld { .. } => "too_old",
        _ => "error",
    };
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    text.extend(in_one_line(v1::render_error(error).1));
    text.extend_from_slice(b"\n\n");
    text
}

/// A comment line that keeps the connection alive. With `revision`, it also moves the id from which the client resumes: an
/// id without data is no event.
pub fn silence(revision: Option<u64>) -> Vec<u8> {
    match revision {
        Some(revision) => format!(":\nid: {revision}\n\n").into_bytes(),
        None => b":\n\n".to_vec(),
    }
}

fn push_line(text: &mut Vec<u8>, name: &str, value: &str) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_codec::json_read::to_msgpack;
    use authkv_domain::Change;

    #[test]
    fn an_event_has_its_id_its_name_and_one_line_of_data() {
        let put =
            r#"{"type":"put","key":"a\nb","revision":6,"value":{"x":"\r\n\u2028\u2029\u0085"}}"#;
        let gone = r#"{"type":"expire","key":"c","revision":7}"#;
        let items = [put, gone].map(|one| to_msgpack(one.as_bytes(), 9).unwrap());
        let page = ChangePage {
            items: items.concat(),
            changes: vec![(Change::Put, 6), (Change::Expire, 7)],
            next: 9,
        };
        let text =
            format!("id: 6\nevent: put\ndata: {put}\n\nid: 7\nevent: expire\ndata: {gone}\n\n");
        assert_eq!(String::from_utf8(render(&page).unwrap()).unwrap(), text);
        assert_eq!(render(&ChangePage::default()), Ok(Vec::new()));
    }

    #[test]
    fn the_first_event_says_where_it_begins_and_the_last_why_it_ends() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(ready(5)),
            "retry: 1000\nid: 5\nevent: ready\ndata: {\"revision\":5}\n\n"
        );
        let ended = text(failure(&Error::ShuttingDown));
        assert!(ended.starts_with("event: error\ndata: {\"type\":\"about:blank\","));
        assert!(ended.ends_with("}\n\n") && ended.contains("\"code\":\"shutting_down\""));
        let too_old = Error::TooOld {
            after: 1,
            oldest: 9,
        };
        let key = "a\u{2028}b".to_owned();
        let conflict = text(failure(&Error::Conflict { key, revision: 1 }));
        assert!(conflict.contains(r"a\u2028b") && !conflict.contains('\u{2028}'));
        assert!(text(failure(&too_old)).starts_with("event: too_old\ndata: {"));
        assert_eq!(text(silence(None)), ":\n\n");
        assert_eq!(text(silence(Some(7))), ":\nid: 7\n\n");
    }
}
