//! Reads a file of the log to where its last whole record ends.
//!
//! A machine that loses power leaves a file whose last bytes may not have reached the disk: it ends early, or blocks of it are
//! zeros. What is left of such a record was never durable. Anything else is damage: bytes have changed.

use crate::record::{
    begins_record, digest, is_compressed, Header, EOF_MARKER, HEADER, MAGIC_START,
};
use memchr::memmem;
use std::io::{self, Read, Seek, SeekFrom};

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every byte belongs to a record, or to the marker of a closed file.
    Whole,
    /// What follows the last record never became whole: it begins here. At 0, the head of the file is not whole.
    Torn { at: u64 },
    /// What begins at `at` is no record, and it is not what a loss of power leaves. `next`: a whole record, or the marker of a
    /// closed file, follows there.
    Damaged { at: u64, next: Option<u64> },
}

/// What a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    pub end: End,
    /// Whether it has a whole record at its beginning.
    pub has_records: bool,
}

/// The most bytes of the text that begins a file (`XLOG_META_LEN_MAX`).
const META_MAX: usize = 1024;
/// The smallest unit that a disk writes, in bytes.
const SECTOR: u64 = 512;
/// So many zeros at the end of a sector were not written. Fewer may belong to a value.
const ZEROS: u64 = 16;
/// The beginning of that text.
const META_START: &[u8] = b"XLOG\n";
const SNAPSHOT_START: &[u8] = b"SNAP\n";
/// How many bytes are held in memory.
const WINDOW: u64 = 1 << 20;
/// How many bytes are looked at at a time.
const PIECE: usize = 1 << 16;
/// How often the bytes after the damage may be read, all in all, in search of a whole record. Values of clients can look like
/// the beginnings of many records.
const READS: u64 = 16;

/// Reads the file to its end. The time is linear in its size.
pub fn scan(file: impl Read + Seek) -> io::Result<Scan> {
    let mut log = Log::new(file)?;
    let begin = log.meta()?;
    let mut at = begin;
    if at > 0 {
        while let Some(next) = log.record(at)? {
            at = next;
        }
    }
    Ok(Scan {
        end: log.end(at)?,
        has_records: at > begin,
    })
}

/// Whether a file of a snapshot begins and ends as a finished one does.
pub fn is_closed_snapshot(file: impl Read + Seek) -> io::Result<bool> {
    let mut snapshot = Log::new(file)?;
    let last = snapshot.size.saturating_sub(EOF_MARKER.len() as u64);
    let begins = snapshot.read(0, SNAPSHOT_START.len())? == SNAPSHOT_START;
    Ok(begins && snapshot.is_closed(last)?)
}

/// A search for a whole record.
enum Next {
    At(u64),
    None,
    /// It would take too long.
    Unknown,
}

pub struct Log<F> {
    file: F,
    size: u64,
    /// A part of the file, and where it begins.
    window: Vec<u8>,
    begin: u64,
}

impl<F: Read + Seek> Log<F> {
    pub fn new(mut file: F) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            size,
            window: Vec::new(),
            begin: 0,
        })
    }

    /// At most `length` bytes from there; fewer at the end of the file. `length` is at most [`WINDOW`].
    pub fn read(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let length = self.size.saturating_sub(at).min(length as u64) as usize;
        let end = self.begin + self.window.len() as u64;
        if at < self.begin || at + length as u64 > end {
            self.file.seek(SeekFrom::Start(at))?;
            self.window
                .resize(self.size.saturating_sub(at).min(WINDOW) as usize, 0);
            self.begin = at;
            self.file.read_exact(&mut self.window)?;
        }
        let from = (at - self.begin) as usize;
        Ok(&self.window[from..from + length])
    }

    /// Where the text that begins the file ends. 0 if it is not whole.
    pub fn meta(&mut self) -> io::Result<u64> {
        let text = self.read(0, META_MAX)?;
        let end = memmem::find(text, b"\n\n").filter(|_| text.starts_with(META_START));
        // An unwritten sector in the middle of the text.
        let end = end.filter(|end| !text[..*end].contains(&0));
        Ok(end.map_or(0, |end| end as u64 + 2))
    }

    /// Where the whole record at this place ends. `None` if there is no whole record.
    pub fn record(&mut self, at: u64) -> io::Result<Option<u64>> {
        let Some(header) = self.header(at)? else {
            return Ok(None);
        };
        let end = at + HEADER as u64 + header.length;
        if end > self.size {
            return Ok(None);
        }
        let mut digest = digest();
        let mut from = at + HEADER as u64;
        while from < end {
            let most = (end - from).min(PIECE as u64) as usize;
            digest.update(self.read(from, most)?);
            from += most as u64;
        }
        Ok((digest.finalize() == header.checksum).then_some(end))
    }

    /// The body of a whole record, and whether it is compressed.
    pub fn body(&mut self, at: u64, end: u64) -> io::Result<(Vec<u8>, bool)> {
        let is_compressed = is_compressed(self.read(at, HEADER)?);
        let mut body = Vec::new();
        let mut from = at + HEADER as u64;
        while from < end {
            let most = (end - from).min(PIECE as u64) as usize;
            body.extend(self.read(from, most)?);
            from += most as u64;
        }
        Ok((body, is_compressed))
    }

    /// What follows the last whole record, which ends there.
    fn end(&mut self, at: u64) -> io::Result<End> {
        if at > 0 && (at == self.size || self.is_closed(at)?) {
            return Ok(End::Whole);
        }
        Ok(match self.next(at)? {
            Next::At(next) => End::Damaged {
                at,
                next: Some(next),
            },
            Next::Unknown => End::Damaged { at, next: None },
            Next::None if self.is_torn(at)? => End::Torn { at },
            Next::None => End::Damaged { at, next: None },
        })
    }

    fn header(&mut self, at: u64) -> io::Result<Option<Header>> {
        Ok(self
            .read(at, HEADER)?
            .first_chunk()
            .and_then(Header::decode))
    }

    /// Whether only the marker of a closed file follows.
    fn is_closed(&mut self, at: u64) -> io::Result<bool> {
        Ok(self.read(at, EOF_MARKER.len() + 1)? == EOF_MARKER)
    }

    /// Looks for a whole record behind this place, or the marker at the end of the file.
    fn next(&mut self, damage: u64) -> io::Result<Next> {
        let left = self.size - damage;
        let mut reads = left.saturating_mul(READS);
        // Where what begins here says that it ends.
        let claimed = self
            .header(damage)?
            .map_or(0, |header| damage + HEADER as u64 + header.length);
        let mut from = damage + 1;
        while from < self.size {
            let bytes = self.read(from, PIECE)?;
            // The next piece begins with what may be the beginning of a magic.
            let step = bytes.len().saturating_sub(MAGIC_START.len() - 1).max(1);
            let found: Vec<usize> = memmem::find_iter(bytes, &MAGIC_START).collect();
            for at in found {
                let at = from + at as u64;
                let Some(header) = self.header(at)? else {
                    continue;
                };
                if at + HEADER as u64 + header.length > self.size {
                    continue;
                }
                if header.length > reads {
                    return Ok(Next::Unknown);
                }
                reads -= header.length;
                let Some(end) = self.record(at)? else {
                    continue;
                };
                // A value of a client may hold a whole record.
                if at >= claimed || self.leads_on(end)? {
                    return Ok(Next::At(at));
                }
            }
            from += step as u64;
        }
        let last = self.size.saturating_sub(EOF_MARKER.len() as u64);
        let is_closed = last > damage && self.is_closed(last)?;
        Ok(if is_closed {
            Next::At(last)
        } else {
            Next::None
        })
    }

    /// Whether what follows the end of a record is what follows one in a log, and not in the value of a client.
    fn leads_on(&mut self, end: u64) -> io::Result<bool> {
        let rest = self.read(end, HEADER)?;
        let is_zeros = rest.iter().all(|byte| *byte == 0);
        Ok(is_zeros || begins_record(rest) || rest == EOF_MARKER)
    }

    /// Whether what begins here, which is no whole record and is followed by none, is what a loss of power leaves.
    fn is_torn(&mut self, at: u64) -> io::Result<bool> {
        let left = self.size - at;
        let ends_early = match self.header(at)? {
            Some(header) => HEADER as u64 + header.length > left,
            None if at == 0 => {
                let text = self.read(0, META_MAX)?;
                let start = &text[..text.len().min(META_START.len())];
                META_START.starts_with(start) && memmem::find(text, b"\n\n").is_none()
            }
            None => {
                let rest = self.read(at, HEADER)?;
                rest.len() < HEADER && (begins_record(rest) || EOF_MARKER.starts_with(rest))
            }
        };
        Ok(ends_early || self.has_unwritten(at)?)
    }

    /// Whether a sector from here on ends with zeros, or all that follows is zeros.
    fn has_unwritten(&mut self, at: u64) -> io::Result<bool> {
        let mut zeros = 0;
        let mut from = at;
        while from < self.size {
            for byte in self.read(from, PIECE)?.to_vec() {
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                from += 1;
                let is_end = from.is_multiple_of(SECTOR) || from == self.size;
                if is_end && (zeros >= ZEROS || zeros == from - at) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
