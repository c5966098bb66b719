//! Keeps JSON text on one line for every reader of lines. Pure; runs on any thread.

/// Line ends that JSON does not escape, unlike control characters (RFC 8259 §7). They end a line for Python's `str.splitlines`,
/// for JavaScript before ES2019 and for others that follow Unicode (§5.8, "newline guidelines").
const ENDS: [(&[u8], &[u8]); 3] = [
    ("\u{85}".as_bytes(), b"\\u0085"),
    ("\u{2028}".as_bytes(), b"\\u2028"),
    ("\u{2029}".as_bytes(), b"\\u2029"),
];

/// Escapes these line ends, which appear only in strings of JSON text. Line feeds stay, so the text may have several lines.
pub fn in_one_line(text: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut done = 0;
    for at in memchr::memchr2_iter(0xc2, 0xe2, &text) {
        let found = ENDS.iter().find(|(end, _)| text[at..].starts_with(end));
        if let Some((end, escaped)) = found {
            out.extend_from_slice(&text[done..at]);
            out.extend_from_slice(escaped);
            done = at + end.len();
        }
    }
    match done {
        0 => text,
        _ => {
            out.extend_from_slice(&text[done..]);
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_line_is_escaped_and_nothing_else() {
        let escaped = |text: &str| String::from_utf8(in_one_line(text.as_bytes().to_vec()));
        for (text, expected) in [
            ("", ""),
            ("\"\u{2028}\"", r#""\u2028""#),
            ("\u{85}\u{2029}a\u{2028}", r"\u0085\u2029a\u2028"),
            (
                "{\"a\u{2028}\":\"я—\u{a0}â\"}\n",
                "{\"a\\u2028\":\"я—\u{a0}â\"}\n",
            ),
            (
                "\u{84}\u{86}\u{2027}\u{202a}\u{82a8}",
                "\u{84}\u{86}\u{2027}\u{202a}\u{82a8}",
            ),
        ] {
            assert_eq!(escaped(text).as_deref(), Ok(expected), "{text:?}");
        }
        for one in (0..=0x3000).filter_map(char::from_u32) {
            let text = serde_json::to_string(&format!("a{one}b")).unwrap();
            let line = escaped(&text).unwrap();
            let ends = ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}'];
            let ends = [&ends[..], &['\u{85}', '\u{2028}', '\u{2029}']].concat();
            assert!(!line.contains(&ends[..]), "{one:?}");
            let read: String = serde_json::from_str(&line).unwrap();
            assert_eq!(read, format!("a{one}b"));
        }
    }
}
