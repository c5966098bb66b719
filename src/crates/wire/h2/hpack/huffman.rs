//! The Huffman code of HPACK (RFC 7541 §5.2, Appendix B). Pure.

use super::Invalid;

/// The number of bits of each byte's code. The last one is the code for the end of a string. The codes follow from these
/// lengths: they are in the order of length, and for equal length in the order of the bytes.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
/// The lengths of the shortest and the longest code.
const SHORTEST: usize = 5;
const LONGEST: usize = 30;
/// The symbol for the end of a string. No string may contain it.
const END: u16 = 256;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Length {
    /// The first code of this length, and the number of codes.
    first: u32,
    count: u32,
    /// The index of the first code in `SYMBOLS`.
    place: u32,
}

/// The symbols in the order of their codes.
const SYMBOLS: [u16; 257] = TABLES.0;
const CODES: [Length; LONGEST + 1] = TABLES.1;

const TABLES: ([u16; 257], [Length; LONGEST + 1]) = {
    let mut symbols = [0; 257];
    let none = Length {
        first: 0,
        count: 0,
        place: 0,
    };
    let mut codes = [none; LONGEST + 1];
    let (mut place, mut code, mut length) = (0, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        codes[length].first = code;
        codes[length].place = place;
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                symbols[place as usize] = symbol as u16;
                place += 1;
                code += 1;
            }
            symbol += 1;
        }
        codes[length].count = place - codes[length].place;
        length += 1;
    }
    (symbols, codes)
};

/// Appends the text of a coded string to `out`. Errors: `Invalid` if the string contains the end of a string, or if the padding
/// is longer than 7 bits or has a zero.
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Invalid> {
    let (mut code, mut length) = (0u32, 0usize);
    for byte in coded {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            length += 1;
            if length > LONGEST {
                return Err(Invalid);
            }
            let codes = CODES[length];
            let at = code.wrapping_sub(codes.first);
            if length < SHORTEST || at >= codes.count {
                continue;
            }
            match SYMBOLS[(codes.place + at) as usize] {
                END => return Err(Invalid),
                symbol => out.push(symbol as u8),
            }
            (code, length) = (0, 0);
        }
    }
    // The remaining bits are padding: the beginning of the end of a string, which is ones.
    match length < 8 && code == (1 << length) - 1 {
        true => Ok(()),
        false => Err(Invalid),
    }
}
