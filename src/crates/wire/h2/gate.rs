//! Filters the bytes that a client sends over HTTP/2 before hyper reads them (RFC 9113 §4). Heads are read here, strictly, and
//! written again for hyper with a mark of what is wrong. All other frames pass unchanged. Pure.

use super::heading::Heading;
use super::hpack::{self, Decoder};
use bytes::BytesMut;

/// The length of the preface of a connection in bytes (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// The bytes of the head of a frame, and the most bytes of its payload: hyper announces this limit.
pub const FRAME_HEAD: usize = 9;
const FRAME_MAX: usize = 16_384;
/// The most frames of one head. RFC 9113 §10.5.1 leaves the limit to the server.
const FRAMES_MAX: usize = 16;

/// The types of frames (RFC 9113 §6) and their flags.
pub const HEADERS: u8 = 1;
pub const PUSH_PROMISE: u8 = 5;
pub const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The reader of one connection.
#[derive(Debug)]
pub struct Gate {
    input: BytesMut,
    /// The bytes that pass unchanged before the next frame.
    through: usize,
    decoder: Decoder,
    block: Option<Block>,
    /// The highest stream so far.
    last: u32,
    /// The most bytes of the fields of a head.
    max: usize,
    /// hyper was given something that ends the connection.
    pub is_over: bool,
}

/// A head that is not complete.
#[derive(Debug)]
struct Block {
    stream: u32,
    flags: u8,
    /// The bytes before the fields in the payload: the priority, if there is one.
    priority: Vec<u8>,
    coded: Vec<u8>,
    frames: usize,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    stream: u32,
}

impl Frame {
    pub fn read(head: &[u8; FRAME_HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *head;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    fn write(self, out: &mut BytesMut) {
        out.extend_from_slice(&(self.length as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
    }
}

impl Gate {
    /// `max`: the most bytes of the fields of a head (RFC 9113 §6.5.2).
    pub fn new(max: usize) -> Self {
        Self {
            input: BytesMut::new(),
            through: PREFACE,
            decoder: Decoder::default(),
            block: None,
            last: 0,
            max,
            is_over: false,
        }
    }

    /// Takes received bytes and appends the bytes for hyper to `out`.
    pub fn take(&mut self, bytes: &[u8], out: &mut BytesMut) {
        self.input.extend_from_slice(bytes);
        while !self.is_over {
            let here = self.through.min(self.input.len());
            out.extend_from_slice(&self.input.split_to(here));
            self.through -= here;
            let Some(head) = self.input.first_chunk().filter(|_| self.through == 0) else {
                break;
            };
            let frame = Frame::read(head);
            let whole = FRAME_HEAD + frame.length;
            match (frame.kind, &self.block) {
                (HEADERS | CONTINUATION, _) if frame.length > FRAME_MAX => {
                    frame.write(out);
                    self.is_over = true;
                }
                (HEADERS, None) | (CONTINUATION, Some(_)) => {
                    if self.input.len() < whole {
                        break;
                    }
                    let raw = self.input.split_to(whole);
                    if let Err(wrong) = self.fields(frame, &raw[FRAME_HEAD..], out) {
                        wrong.write(out);
                        self.is_over = true;
                    }
                }
                (CONTINUATION, None) | (_, Some(_)) => {
                    Wrong::Frame.write(out);
                    self.is_over = true;
                }
                (_, None) => self.through = whole,
            }
        }
        if self.input.is_empty() {
            // Frees the memory, so that an idle connection needs none.
            self.input = BytesMut::new();
        }
    }

    /// Takes a frame with fields.
    fn fields(
        &mut self,
        frame: Frame,
        mut payload: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Wrong> {
        let mut block = match self.block.take() {
            Some(block) if block.stream != frame.stream => return Err(Wrong::Frame),
            Some(block) => block,
            None => Block::begin(frame, &mut payload).ok_or(Wrong::Frame)?,
        };
        block.coded.extend_from_slice(payload);
        block.frames += 1;
        if block.frames > FRAMES_MAX || block.coded.len() > FRAME_MAX.max(4 * self.max) {
            return Err(Wrong::Frame);
        }
        if frame.flags & END_HEADERS == 0 {
            self.block = Some(block);
            return Ok(());
        }
        let mut heading = Heading::new(self.max);
        let decoded = self
            .decoder
            .decode(&block.coded, |name, value| heading.add(name, value));
        decoded.map_err(|hpack::Invalid| Wrong::Coding(frame.stream))?;
        let fields = match block.stream > self.last {
            true => heading.into_head(block.stream, block.flags & END_STREAM != 0),
            false => heading.into_trailer(),
        };
        self.last = self.last.max(block.stream);
        block.write(&fields, out);
        Ok(())
    }
}

impl Block {
    /// Reads a frame `HEADERS` and leaves its fields in `payload`. `None` for a malformed frame.
    fn begin(frame: Frame, payload: &mut &[u8]) -> Option<Self> {
        if frame.stream == 0 {
            return None;
        }
        if frame.flags & PADDED != 0 {
            let (padding, rest) = payload.split_first()?;
            let length = rest.len().checked_sub(usize::from(*padding))?;
            *payload = &rest[..length];
        }
        let mut priority: &[u8] = &[];
        if frame.flags & PRIORITY != 0 {
            (priority, *payload) = payload.split_at_checked(5)?;
        }
        Some(Self {
            stream: frame.stream,
            flags: frame.flags & (END_STREAM | PRIORITY),
            priority: priority.to_vec(),
            coded: Vec::new(),
            frames: 0,
        })
    }

    /// Appends frames with these fields, without padding.
    fn write(mut self, fields: &[u8], out: &mut BytesMut) {
        let payload = [&self.priority, fields].concat();
        let pieces = payload.chunks(FRAME_MAX);
        let last = pieces.len().saturating_sub(1);
        let mut kind = HEADERS;
        for (number, piece) in pieces.enumerate() {
            if number == last {
                self.flags |= END_HEADERS;
            }
            let frame = Frame {
                length: piece.len(),
                kind,
                flags: self.flags,
                stream: self.stream,
            };
            frame.write(out);
            out.extend_from_slice(piece);
            (kind, self.flags) = (CONTINUATION, 0);
        }
    }
}

/// Why a connection cannot continue. hyper gets bytes with the same kind of mistake, so that it reports the error to the
/// client, and gets no unchecked bytes.
enum Wrong {
    /// A frame that is not allowed here or cannot be read (RFC 9113 §5.4.1).
    Frame,
    /// Fields that cannot be decoded (RFC 9113 §4.3), with their stream.
    Coding(u32),
}

impl Wrong {
    fn write(self, out: &mut BytesMut) {
        let (kind, stream, payload): (_, _, &[u8]) = match self {
            Wrong::Frame => (CONTINUATION, 1, &[]),
            // The invalid index 0.
            Wrong::Coding(stream) => (HEADERS, stream, &[0x80]),
        };
        let frame = Frame {
            length: payload.len(),
            kind,
            flags: END_HEADERS,
            stream,
        };
        frame.write(out);
        out.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::head::check::Fault;
    use super::super::heading::{Mark, MARK};
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        let frame = Frame {
            length: payload.len(),
            kind,
            flags,
            stream,
        };
        frame.write(&mut out);
        [&out, payload].concat()
    }

    fn fields(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let known = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "a"),
            (":path", path),
        ];
        let mut block = Vec::new();
        for (name, value) in known.iter().chain(more) {
            hpack::write(&mut block, name.as_bytes(), value.as_bytes());
        }
        block
    }

    fn begin() -> Vec<u8> {
        let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
        [&[b'P'; PREFACE][..], &settings].concat()
    }

    /// The bytes for hyper, and whether the connection is over.
    fn given<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
        let (mut gate, mut out) = (Gate::new(1000), BytesMut::new());
        for piece in pieces {
            gate.take(piece, &mut out);
        }
        (out.to_vec(), gate.is_over)
    }

    #[test]
    fn what_hyper_is_given_does_not_depend_on_how_the_bytes_were_split() {
        let block = fields("/v1/a", &[("x", "y")]);
        let padded = [&[2, 0, 0, 0, 0, 16], &block[..9], &[0, 0]].concat();
        let whole = [
            begin(),
            frame(HEADERS, PADDED | PRIORITY, 1, &padded),
            frame(CONTINUATION, END_HEADERS, 1, &block[9..]),
            frame(0, END_STREAM, 1, b"body"),
        ]
        .concat();
        let priority = [&[0, 0, 0, 0, 16][..], &block].concat();
        let expected = [
            begin(),
            frame(HEADERS, END_HEADERS | PRIORITY, 1, &priority),
            frame(0, END_STREAM, 1, b"body"),
        ]
        .concat();
        assert_eq!(given(whole.chunks(1)), (expected.clone(), false));
        for split in 0..whole.len() {
            let (a, b) = whole.split_at(split);
            assert_eq!(given([a, b]), (expected.clone(), false), "{split}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_head_is_told() {
        let mark = |path: &str, more: &[(&str, &str)], flags: u8| {
            let head = frame(HEADERS, END_HEADERS | flags, 5, &fields(path, more));
            let given = given([&begin()[..], &head]).0;
            let mut mark = None;
            let block = &given[begin().len() + FRAME_HEAD..];
            Decoder::default()
                .decode(block, |name, value| {
                    if name == MARK.as_bytes() {
                        mark = Some(Mark::read(std::str::from_utf8(value).unwrap()));
                    }
                })
                .unwrap();
            mark
        };
        let wrong = |fault, waiting| {
            Some(Mark {
                fault: Some(fault),
                waiting,
            })
        };
        let waits = ("expect", "100-continue");
        let large = "y".repeat(1000);
        assert_eq!(mark("/", &[], 0), None);
        assert_eq!(mark("/", &[(MARK, "0 -")], 0), None);
        assert_eq!(mark("/#", &[], 0), wrong(Fault::Path, None));
        assert_eq!(mark("/", &[("x", " y")], 0), wrong(Fault::Blanks, None));
        assert_eq!(mark("/", &[("x", &large)], 0), wrong(Fault::Bytes, None));
        assert_eq!(mark(&large, &[], 0), wrong(Fault::Bytes, None));
        assert_eq!(mark("/é", &[waits], 0), wrong(Fault::Path, Some(5)));
        assert_eq!(mark("/", &[waits], END_STREAM), None);
        let waiting = Mark {
            fault: None,
            waiting: Some(5),
        };
        assert_eq!(mark("/", &[waits], 0), Some(waiting));
    }

    #[test]
    fn nothing_that_was_not_looked_at_goes_through() {
        let block = fields("/#", &[]);
        for frames in [
            [frame(HEADERS, 0, 1, &block), frame(6, 0, 0, &[0; 8])].concat(),
            [
                frame(HEADERS, 0, 1, &block),
                frame(CONTINUATION, END_HEADERS, 3, &block),
            ]
            .concat(),
            frame(CONTINUATION, END_HEADERS, 1, &block),
            frame(HEADERS, END_HEADERS, 0, &block),
            frame(HEADERS, END_HEADERS | PADDED, 1, &[9, b'x']),
            frame(HEADERS, END_HEADERS | PRIORITY, 1, b"xxx"),
            frame(HEADERS, END_HEADERS, 1, &[&block[..], &[0x80]].concat()),
            frame(HEADERS, END_HEADERS, 1, &vec![0; FRAME_MAX + 1]),
            [
                frame(HEADERS, 0, 1, b""),
                frame(CONTINUATION, 0, 1, b"").repeat(FRAMES_MAX),
            ]
            .concat(),
        ] {
            let (given, is_over) = given([&begin()[..], &frames, &block]);
            assert!(is_over && given.len() <= begin().len() + FRAME_HEAD + 1);
        }
    }
}
