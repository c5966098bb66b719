//! Writes strings and whole numbers in msgpack, in the shortest form. Pure; any thread.

/// Appends the head of a string of `len` bytes.
#[inline]
fn write_str_len(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=255 => out.extend_from_slice(&[0xd9, len as u8]),
        // Writing to a vector does not fail.
        _ => drop(rmp::encode::write_str_len(out, len as u32)),
    }
}

/// Appends a string.
#[inline]
pub fn write_str(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 5);
    write_str_len(out, text.len());
    out.extend_from_slice(text);
}

/// Appends a whole number in the shortest form.
#[inline]
pub fn write_uint(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            let [a, b] = (number as u16).to_be_bytes();
            out.extend_from_slice(&[0xcd, a, b]);
        }
        0x1_0000..=0xffff_ffff => {
            let [a, b, c, d] = (number as u32).to_be_bytes();
            out.extend_from_slice(&[0xce, a, b, c, d]);
        }
        _ => {
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_those_of_rmp() {
        for length in [0, 1, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(length);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            write_str(&mut ours, text.as_bytes());
            rmp::encode::write_str(&mut theirs, &text).unwrap();
            assert_eq!(ours, theirs, "{length}");
        }
    }
}
