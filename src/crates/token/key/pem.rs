//! Keys in PEM (RFC 7468). Pure.

use base64::engine::{general_purpose::STANDARD, Engine};
use rsa::pkcs8::der::pem::decode_vec;
use zeroize::Zeroizing;

/// Characters in a line (RFC 7468 §2).
const WIDTH: usize = 64;

/// The content between two boundary lines.
pub struct Block {
    pub label: String,
    pub der: Zeroizing<Vec<u8>>,
}

/// The blocks of a text, without the text around them. `None` if a block is malformed.
pub fn blocks(text: &str) -> Option<Vec<Block>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let (_, from_start) = rest.split_at(start);
        let last_line = from_start.find("\n-----END ")? + 1;
        let (_, from_last_line) = from_start.split_at(last_line);
        let end = from_last_line.find('\n').unwrap_or(from_last_line.len());
        let (block, after) = from_start.split_at(last_line + end);
        let (label, der) = decode_vec(block.trim_end().as_bytes()).ok()?;
        found.push(Block {
            label: label.to_owned(),
            der: Zeroizing::new(der),
        });
        rest = after;
    }
    Some(found)
}

/// Writes a block as text. Leaves no copy of it in memory except for the result.
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    // Enough capacity, because a string that grows leaves a copy behind.
    let mut text = String::with_capacity(base64.len() * 2 + 2 * label.len() + 64);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_with_any_text_around_it() {
        let (long, short) = (vec![7; 100], vec![1, 2]);
        let one = encode("ONE", &long);
        let text = format!("about it\n{one}then\n\n{}end", encode("TWO", &short));
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let found = blocks(&text).unwrap();
            let found: Vec<_> = found.iter().map(|b| (&*b.label, &*b.der)).collect();
            assert_eq!(found, [("ONE", &long), ("TWO", &short)]);
        }
        assert!(one.lines().all(|line| line.len() <= WIDTH));
        assert!(blocks("nothing").unwrap().is_empty());
    }

    #[test]
    fn a_malformed_block_spoils_the_text() {
        let one = encode("ONE", &[7; 100]);
        for text in [
            one.replace("END ONE", "END TWO"),
            one.replace("BwcH", "B*cH"),
            one.replace("-----END", "----END"),
            format!("{one}-----BEGIN ONE-----\n"),
        ] {
            assert!(blocks(&text).is_none(), "{text}");
        }
    }
}
