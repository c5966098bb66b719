//! Text that stands for itself in a JSON string (RFC 8259 §7). Pure.

/// Bytes before the first that does not: a quote, a backslash, a control character.
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

/// Whether all of it does, and is ASCII.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    // All bytes are looked at, which is faster than to stop: most texts are plain.
    let is_other = |byte: &u8| ends(byte) | !byte.is_ascii();
    !text.iter().fold(false, |any, byte| any | is_other(byte))
}

fn ends(byte: &u8) -> bool {
    (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\')
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// The high bits of those bytes that end a run, and perhaps of others above the lowest of them. See "Determine if a word
/// has a byte less than n" in Anderson's Bit Twiddling Hacks.
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
        // What lets a word borrow from the byte above.
        assert_eq!(run(b"\"#\"#\\]\x1f \x00\x01!"), 0);
        assert_eq!(run(b"ab!#[]~\x7f"), 8);
    }
}
