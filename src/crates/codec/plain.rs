//! Finds text that needs no escape in a JSON string (RFC 8259 §7). Pure.

/// The number of bytes before the first that needs an escape: a quote, a backslash or a control character.
#[inline]
pub fn run(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    for (i, word) in words.iter().enumerate() {
        let ends = ends_in(u64::from_le_bytes(*word));
        if ends != 0 {
            return 8 * i + ends.trailing_zeros() as usize / 8;
        }
    }
    let plain = rest.iter().position(ends).unwrap_or(rest.len());
    text.len() - rest.len() + plain
}

/// Whether the text needs no escape and is ASCII.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    // Reading all bytes is faster than stopping early, because most texts are plain.
    let is_other = |byte: &u8| ends(byte) | !byte.is_ascii();
    !text.iter().fold(false, |any, byte| any | is_other(byte))
}

fn ends(byte: &u8) -> bool {
    (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\')
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Marks the bytes that end a run by their high bits. Bytes above the lowest marked one may be marked wrongly. See "Determine
/// if a word has a byte less than n" in Anderson's Bit Twiddling Hacks.
#[inline]
fn ends_in(word: u64) -> u64 {
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | is(b'"') | is(b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_seen_wherever_it_stands() {
        for length in (0..40).chain([127, 128, 129]) {
            for byte in 0..=255 {
                for at in 0..length {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let first = text.iter().position(ends).unwrap_or(length);
                    assert_eq!(run(&text), first, "{byte:#x} at {at} of {length}");
                    let plain = first == length && byte < 0x80;
                    assert_eq!(is_plain(&text), plain, "{byte:#x} at {at} of {length}");
                }
            }
        }
        assert!(is_plain(b"") && run(b"") == 0);
        // Bytes that make the subtraction borrow from the byte above.
        assert_eq!(run(b"\"#\"#\\]\x1f \x00\x01!"), 0);
        assert_eq!(run(b"ab!#[]~\x7f"), 8);
    }
}
