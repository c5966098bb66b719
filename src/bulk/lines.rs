//! Splits pieces of any length into lines.

use authkv_base::error::Error;
use authkv_codec::without_mark;
use bytes::{Buf, Bytes, BytesMut};

/// Text that was not taken as lines yet.
#[derive(Debug)]
pub struct Lines {
    input: BytesMut,
    /// Bytes at the start of `input` that have no line end.
    scanned: usize,
    /// How many bytes a line may have.
    limit: usize,
    /// How many lines were taken.
    taken: u64,
    /// Bytes of the blank lines since the last line that was not blank.
    blank: usize,
    ended: bool,
}

impl Lines {
    /// `first` is the number of the first line.
    pub fn new(limit: usize, first: u64) -> Self {
        Self {
            input: BytesMut::new(),
            scanned: 0,
            limit,
            taken: first.saturating_sub(1),
            blank: 0,
            ended: false,
        }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.input.extend_from_slice(piece);
    }

    /// Notes that the text is complete: the rest is the last line.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next whole line that is not blank, without its line end; `None` if more text is needed. Leaves out a byte order
    /// mark at the start of the text. Errors: `InputTooLarge`. Blank lines count towards the limit of the next line,
    /// because a few bytes of gzip may hold any number of them.
    pub fn take(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.skip_empty()?;
            let found = memchr::memchr(b'\n', &self.input[self.scanned..]);
            let end = found.map(|at| self.scanned + at);
            let length = end.unwrap_or(self.input.len());
            let mark = match self.taken {
                0 => length - without_mark(&self.input[..length]).len(),
                _ => 0,
            };
            if self.blank + length - mark > self.limit {
                self.taken += 1;
                return Err(Error::InputTooLarge { limit: self.limit });
            }
            let line = match end {
                Some(end) => {
                    let line = self.input.split_to(end);
                    self.input.advance(1);
                    line
                }
                None if self.ended && !self.input.is_empty() => self.input.split(),
                None => {
                    self.scanned = self.input.len();
                    return Ok(None);
                }
            };
            self.scanned = 0;
            self.taken += 1;
            let line = line.freeze().slice(mark..);
            if !line.trim_ascii().is_empty() {
                self.blank = 0;
                return Ok(Some(line));
            }
            self.blank += line.len() + 1;
        }
    }

    /// Skips empty lines at once, because taking many one by one would be slow. Errors: `InputTooLarge`.
    fn skip_empty(&mut self) -> Result<(), Error> {
        let count = self.input.iter().take_while(|byte| **byte == b'\n');
        let count = count.count();
        self.input.advance(count);
        self.taken += count as u64;
        self.blank += count;
        match self.blank > self.limit {
            true => Err(Error::InputTooLarge { limit: self.limit }),
            false => Ok(()),
        }
    }

    /// The number of the last line taken. Blank lines count.
    pub fn number(&self) -> u64 {
        self.taken
    }

    /// How many bytes were not taken yet.
    pub fn waiting(&self) -> usize {
        self.input.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines with their numbers, and the error that ended them.
    fn read(pieces: &[&[u8]], limit: usize) -> (Vec<(u64, String)>, Option<Error>) {
        let (mut lines, mut found) = (Lines::new(limit, 1), Vec::new());
        let mut take_all = |lines: &mut Lines| loop {
            match lines.take() {
                Ok(Some(line)) => {
                    found.push((lines.number(), String::from_utf8(line.to_vec()).unwrap()));
                }
                Ok(None) => return None,
                Err(error) => return Some(error),
            }
        };
        for piece in pieces {
            lines.push(piece);
            if let Some(error) = take_all(&mut lines) {
                return (found, Some(error));
            }
        }
        lines.end();
        let error = take_all(&mut lines);
        (found, error)
    }

    #[test]
    fn lines_are_the_same_however_they_are_split() {
        let whole = b"one\r\n\n  \ntwo\n\nthree";
        let expected = [(1, "one\r"), (4, "two"), (6, "three")];
        let expected = expected.map(|(number, line)| (number, line.to_owned()));
        for split in 0..whole.len() {
            let (a, b) = whole.split_at(split);
            assert_eq!(read(&[a, b], 7), (expected.to_vec(), None), "{split}");
        }
        let single: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(&single, 7), (expected.to_vec(), None));
    }

    #[test]
    fn a_mark_before_the_first_line_is_no_part_of_it() {
        let line = |number, text: &str| (number, text.to_owned());
        let mark = "\u{feff}".as_bytes();
        let whole = [mark, b"abc\n", mark, b"d\n"].concat();
        let expected = [line(1, "abc"), line(2, "\u{feff}d")];
        for split in 0..whole.len() {
            let (a, b) = whole.split_at(split);
            assert_eq!(read(&[a, b], 4), (expected.to_vec(), None), "{split}");
        }
        assert_eq!(read(&[mark, b"\n", b"a"], 4), (vec![line(2, "a")], None));
        assert_eq!(read(&[mark, mark, b"a"], 4).0, [line(1, "\u{feff}a")]);
        assert_eq!(read(&[mark], 4), (vec![], None));
    }

    #[test]
    fn blank_lines_are_bounded_as_a_line_is() {
        let too_large = Some(Error::InputTooLarge { limit: 5 });
        assert_eq!(read(&[b"\n\n\n\na"], 5).1, None);
        assert_eq!(read(&[b"\n\n\n\nab"], 5).1, too_large);
        assert_eq!(read(&[b"a\n\n\n\n\nb\n\n\n\nc\n\n\n\n"], 5).1, None);
        assert_eq!(read(&[b"\n", &b" \n".repeat(3)], 5).1, too_large);
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_its_end() {
        let too_large = Some(Error::InputTooLarge { limit: 3 });
        assert_eq!(read(&[b"abc\n", b"abcd"], 3).1, too_large);
        assert_eq!(read(&[b"abcd\n"], 3).1, too_large);
        assert_eq!(read(&[b"abc\n", b"abc"], 3).1, None);
        assert_eq!(read(&[], 3), (vec![], None));
    }
}
