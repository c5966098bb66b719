//! Inflates bodies in gzip (RFC 1952) piece by piece. Pure; HTTP workers only.
//!
//! The output comes in pieces of limited size, because a few bytes of input may stand for a thousand times as many. The reader
//! of the text limits its total size.

use authkv_base::error::Error;
use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};

/// The most bytes of a piece of text.
const PIECE: usize = 64 * 1024;
/// The binary logarithm of the distance that a member may look back (RFC 1951 §2).
const WINDOW: u8 = 15;

/// A body that is being inflated. Several members are one text (RFC 1952 §2.2).
#[derive(Default)]
pub struct Inflate {
    /// The current member.
    member: Option<Decompress>,
    /// Input that was not used yet.
    input: Bytes,
    /// The member may have more output before it needs more input.
    is_full: bool,
    /// At least one member has ended.
    has_ended: bool,
}

impl Inflate {
    /// Takes a piece of the body. Call it only if [`Self::is_behind`] returns `false`.
    pub fn push(&mut self, piece: Bytes) {
        self.input = match self.input.is_empty() {
            true => piece,
            false => [&self.input[..], &piece].concat().into(),
        };
    }

    /// Whether the input so far may give more text.
    pub fn is_behind(&self) -> bool {
        self.is_full || !self.input.is_empty()
    }

    /// The next piece of the text. Empty if more of the body is needed first. Errors: `Malformed`.
    pub fn next_piece(&mut self) -> Result<Vec<u8>, Error> {
        let mut text = vec![0; PIECE];
        let mut written = 0;
        while written < PIECE && self.is_behind() {
            self.is_full = false;
            let member = self
                .member
                .get_or_insert_with(|| Decompress::new_gzip(WINDOW));
            let before = (member.total_in(), member.total_out());
            let status =
                member.decompress(&self.input, &mut text[written..], FlushDecompress::None);
            let (taken, made) = (member.total_in() - before.0, member.total_out() - before.1);
            self.input.advance(taken as usize);
            written += made as usize;
            match status {
                Ok(Status::StreamEnd) => {
                    self.member = None;
                    self.has_ended = true;
                }
                Ok(_) if taken > 0 || made > 0 => self.is_full = written == PIECE,
                Ok(_) if self.input.is_empty() => {}
                // The member neither uses input nor gives output.
                Ok(_) | Err(_) => return Err(Error::malformed("The body is not valid gzip")),
            }
        }
        text.truncate(written);
        Ok(text)
    }

    /// Errors: `Malformed` if the body ended too early.
    pub fn end(&self) -> Result<(), Error> {
        match self.has_ended && self.member.is_none() {
            true => Ok(()),
            false => Err(Error::malformed(
                "The body is cut short: its gzip has no end",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{write::GzEncoder, Compression};
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The text of a body that arrives in pieces of `size` bytes.
    fn inflate(body: &[u8], size: usize) -> Result<Vec<u8>, Error> {
        let (mut inflate, mut text) = (Inflate::default(), Vec::new());
        for piece in body.chunks(size) {
            inflate.push(Bytes::copy_from_slice(piece));
            while inflate.is_behind() {
                let more = inflate.next_piece()?;
                assert!(more.len() <= PIECE);
                text.extend(more);
            }
        }
        inflate.end().map(|()| text)
    }

    #[test]
    fn a_text_is_the_same_however_it_comes() {
        let noise: Vec<u8> = (0..300_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for text in [&b""[..], b"a", &noise, &vec![b'\n'; 3_000_000]] {
            let body = gzip(text);
            for size in [1, 7, 1000, 65_536, usize::MAX] {
                if size == 1 && body.len() > 10_000 {
                    continue;
                }
                let found = inflate(&body, size);
                assert!(found.as_deref() == Ok(text), "{} {size}", text.len());
            }
        }
    }

    #[test]
    fn members_are_one_text() {
        let body = [gzip(b"one\n"), gzip(b""), gzip(b"two")].concat();
        for size in [1, 5, 1000] {
            assert_eq!(inflate(&body, size).as_deref(), Ok(&b"one\ntwo"[..]));
        }
    }

    #[test]
    fn what_is_no_gzip_or_is_cut_is_refused() {
        let body = gzip(&b"some text that is long enough ".repeat(100));
        for end in 0..body.len() {
            assert!(inflate(&body[..end], 10).is_err(), "{end}");
        }
        let mut broken = body.clone();
        let sum = broken.len() - 5;
        broken[sum] ^= 1;
        let after = [&body[..], b"\0"].concat();
        let zlib = b"\x78\x9c\x03\x00\x00\x00\x00\x01";
        for body in [&broken[..], &after, zlib, b"{\"key\":1}\n", &body[1..]] {
            assert!(inflate(body, 1000).is_err());
        }
    }
}
