//! RESP, the protocol of Redis: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use crate::drivers::pipeline::Unit;
use crate::Result;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Sends a command and waits for its answer: its bytes.
pub fn exchange(stream: &mut TcpStream, unit: &Unit) -> Result<Vec<u8>> {
    stream.write_all(&unit.bytes)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while parse(&answer)?.is_none() {
        match stream.read(&mut buffer)? {
            0 => return Err("Redis has closed the connection".into()),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(answer)
}

/// A command with its arguments.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> Unit {
    let words: Vec<_> = words.into_iter().collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    Unit { bytes, answers: 1 }
}

/// The length of the first whole answer. Errors: one that is an error, or has a value that is not there.
pub fn parse(bytes: &[u8]) -> Result<Option<usize>> {
    let (mut at, mut missing) = (0, 1);
    while missing > 0 {
        let rest = &bytes[at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line = &rest[..end];
        let number =
            || -> Result<usize> { Ok(std::str::from_utf8(&line[1..])?.trim_end().parse()?) };
        at += end + 1;
        missing -= 1;
        match line.first() {
            Some(b'+' | b':') => (),
            Some(b'$') => at += number()? + 2,
            Some(b'*') => missing += number()?,
            _ => return Err(String::from_utf8_lossy(line).into()),
        }
        if at > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_at_their_ends_and_errors_are_errors() {
        let whole = b"*2\r\n$2\r\nab\r\n:7\r\n";
        assert_eq!(parse(whole).unwrap(), Some(whole.len()));
        assert_eq!(parse(b"+OK\r\n+OK\r\n").unwrap(), Some(5));
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]).unwrap(), None, "{length}");
        }
        for error in [b"-ERR no\r\n".as_slice(), b"*1\r\n$-1\r\n"] {
            assert!(parse(error).is_err());
        }
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        assert_eq!(
            command(["GET", "a"]).bytes,
            b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
        );
    }
}
