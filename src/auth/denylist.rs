//! A file of leaked passwords, by their digests: the form of Pwned Passwords, as `haveibeenpwned-downloader` writes it
//! (<https://github.com/HaveIBeenPwned/PwnedPasswordsDownloader>). Each line is the SHA-1 of a password in 40 hexadecimal digits, a
//! colon and a count, in the order of the digests. The file has some 40 GB: it stays on the disk, and a look-up reads about thirty
//! short pieces of it. Crypto threads only, because it waits for the disk.

use authkv_base::error::Error;
use ring::digest::{digest, SHA1_FOR_LEGACY_USE_ONLY};
use secrecy::{ExposeSecret, SecretString};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 40;
/// The most bytes of a line: a digest, a colon, a count of 64 bits, CR and LF.
const LINE_MAX: usize = 64;
/// Where a range is at most this long, it is read as a whole.
const WINDOW: u64 = 4096;

/// How many lines a start looks at.
const LOOKS: u64 = 64;

/// An open file of digests.
pub struct Denylist {
    file: File,
    length: u64,
}

impl Denylist {
    /// Opens a file, and looks at its first line and at some others. The error says what is wrong.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let list = Self { file, length };
        let mut start = [0; LINE_MAX];
        let read = list.read(0, &mut start).map_err(failed)?;
        let form = || {
            format!(
                "{} should have lines of a SHA-1 in hexadecimal digits, a colon and a count",
                path.display()
            )
        };
        digest_of_line(&start[..read]).ok_or_else(form)?;
        match list.is_in_order().map_err(failed)? {
            Some(true) => Ok(list),
            Some(false) => Err(format!(
                "{} should have its lines in the order of the digests, and not in that of the counts",
                path.display()
            )),
            None => Err(form()),
        }
    }

    /// Whether some lines all over the file are in order; `None` if one is of another form. A file in another order would have
    /// passwords that are not found.
    fn is_in_order(&self) -> std::io::Result<Option<bool>> {
        let mut before = [0; DIGITS];
        // What is shorter is read as a whole, in whatever order.
        let looks = if self.length > WINDOW { LOOKS } else { 0 };
        for look in 0..looks {
            let at = self.length / LOOKS * look;
            let mut piece = [0; 2 * LINE_MAX];
            let read = self.read(at, &mut piece)?;
            let next = piece[..read].iter().position(|byte| *byte == b'\n');
            let line = next.and_then(|end| piece.get(end + 1..read));
            let Some(digest) = line.and_then(digest_of_line) else {
                return Ok(None);
            };
            if digest < before {
                return Ok(Some(false));
            }
            before = digest;
        }
        Ok(Some(true))
    }

    /// Whether a password is in the file. Errors: `Internal` if the file cannot be read.
    pub fn has(&self, password: &SecretString) -> Result<bool, Error> {
        let sought = sha1(password.expose_secret());
        self.find(&sought).map_err(|_| Error::Internal)
    }

    /// Bisects the bytes of the file. A line belongs to the range in which its first byte is.
    fn find(&self, sought: &[u8; DIGITS]) -> std::io::Result<bool> {
        let (mut from, mut to) = (0, self.length);
        while to - from > WINDOW {
            let middle = from + (to - from) / 2;
            let mut piece = [0; 2 * LINE_MAX];
            let read = self.read(middle, &mut piece)?;
            // The line that follows the one in which the middle is.
            let next = piece[..read].iter().position(|byte| *byte == b'\n');
            let line = next.and_then(|end| piece.get(end + 1..read));
            match line.and_then(digest_of_line) {
                Some(digest) if digest <= *sought => {
                    from = middle + next.map_or(0, |end| end as u64 + 1);
                }
                Some(_) => to = middle + next.map_or(0, |end| end as u64 + 1),
                None => return Err(std::io::ErrorKind::InvalidData.into()),
            }
        }
        // One line more, because the last one may begin in the range and end outside.
        let mut window = vec![0; (to - from) as usize + LINE_MAX];
        let read = self.read(from, &mut window)?;
        let mut lines = window[..read].split(|byte| *byte == b'\n');
        Ok(lines.any(|line| digest_of_line(line).as_ref() == Some(sought)))
    }

    /// Reads until the buffer is full or the file ends. Returns the number of bytes.
    fn read(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], at + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}

/// The digest at the start of a line, in upper case.
fn digest_of_line(line: &[u8]) -> Option<[u8; DIGITS]> {
    let digest: [u8; DIGITS] = line.get(..DIGITS)?.try_into().ok()?;
    let is_whole = digest.iter().all(u8::is_ascii_hexdigit)
        && matches!(line.get(DIGITS), None | Some(b':' | b'\r' | b'\n'));
    is_whole.then(|| digest.map(|digit| digit.to_ascii_uppercase()))
}

fn sha1(text: &str) -> [u8; DIGITS] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_the_service() {
        // The example of its documentation.
        assert_eq!(
            &sha1("P@ssword")[..],
            b"9E7C97801CB4CCE87B6C02F98291A6420E6400AD"
        );
    }

    #[test]
    fn a_password_is_found_in_a_file_of_any_length() {
        let directory = std::env::temp_dir().join(format!("denylist-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for (count, end) in [
            (1, "\n"),
            (3, "\r\n"),
            (200, "\r\n"),
            (5000, "\n"),
            (5000, "\r\n"),
        ] {
            let mut lines: Vec<_> = (0..count)
                .map(|number| {
                    let digest = String::from_utf8(sha1(&format!("leaked{number}")).to_vec());
                    format!("{}:{}", digest.unwrap(), number * 7919 + 1)
                })
                .collect();
            lines.sort();
            for last in ["", end] {
                let path = directory.join("list");
                std::fs::write(&path, lines.join(end) + last).unwrap();
                let list = Denylist::open(&path).unwrap();
                for number in 0..count {
                    assert!(
                        list.has(&format!("leaked{number}").into()).unwrap(),
                        "{number} of {count}"
                    );
                }
                for number in 0..200 {
                    assert!(!list.has(&format!("other{number}").into()).unwrap());
                }
            }
        }
        let path = directory.join("list");
        for wrong in ["", "password\n", "0123:4\n", &"G".repeat(41)] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Denylist::open(&path).is_err(), "{wrong}");
        }
        let line = |number: u64| {
            let digest = sha1(&format!("leaked{number}")).to_vec();
            format!("{}:{number}", String::from_utf8(digest).unwrap())
        };
        // In the order of the counts, and with lines of another form in its second half.
        let by_count: Vec<_> = (0..5000).map(line).collect();
        let mut torn = by_count.clone();
        torn.sort();
        torn[2500..].fill("no digest".into());
        for wrong in [by_count, torn] {
            std::fs::write(&path, wrong.join("\n")).unwrap();
            assert!(Denylist::open(&path).is_err());
        }
        assert!(Denylist::open(&directory.join("none")).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
