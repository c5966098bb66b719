//! What a client sends over HTTP/2 before hyper reads it (RFC 9113 §4): heads are read here, strictly, and written again
//! for hyper with what is wrong with them; all else goes through as it is. Pure.

use super::heading::Heading;
use super::hpack::{self, Decoder};
use bytes::BytesMut;

/// Bytes of what a connection begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// Bytes of the head of a frame, and of what follows it, at most: hyper announces no more.
pub const FRAME_HEAD: usize = 9;
const FRAME_MAX: usize = 16_384;
/// Frames of one head: RFC 9113 §10.5.1 leaves the limit to us.
const FRAMES_MAX: usize = 16;

/// Types of frames (RFC 9113 §6), and their flags.
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
    /// Bytes that go through before the next frame.
    through: usize,
    decoder: Decoder,
    block: Option<Block>,
    /// The highest stream that was begun.
    last: u32,
    /// Bytes of the fields of a head.
    max: usize,
    /// hyper was given what ends the connection.
    pub is_over: bool,
}

/// A head whose end has not come.
#[derive(Debug)]
struct Block {
    stream: u32,
    flags: u8,
    /// What hyper looks at before the fields: the priority, if there is one.
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
    /// `max` is how many bytes the fields of a head may have (RFC 9113 §6.5.2).
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

    /// Takes what has come, and adds to `out` what hyper is given.
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
            // A connection that waits has no room.
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
    /// Begins with the frame `HEADERS`, and leaves the fields in its payload; `None` for one that is not whole.
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

    /// Adds the frames of these fields, without padding.
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

/// Why a connection cannot go on. hyper is given something that is wrong in the same way, so that it tells the client, and
/// nothing that was not looked at.
enum Wrong {
    /// A frame that may not stand there, or cannot be read (RFC 9113 §5.4.1).
    Frame,
    /// Fields that cannot be decoded (RFC 9113 §4.3), of that stream.
    Coding(u32),
}

impl Wrong {
    fn write(self, out: &mut BytesMut) {
        let (kind, stream, payload): (_, _, &[u8]) = match self {
            Wrong::Frame => (CONTINUATION, 1, &[]),
            // The index 0.
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
