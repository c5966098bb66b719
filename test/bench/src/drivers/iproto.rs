//! iproto, Tarantool's protocol: <https://www.tarantool.io/en/doc/latest/reference/internals/iproto/>.

use crate::drivers::pipeline::Unit;
use crate::Result;
use authkv_check::scramble::scramble;
use base64::engine::{general_purpose::STANDARD, Engine};
use rmpv::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SELECT: u64 = 0x01;
const AUTH: u64 = 0x07;
const CALL: u64 = 0x0a;
const CODE: u64 = 0x00;
const SYNC: u64 = 0x01;
const SPACE: u64 = 0x10;
const INDEX: u64 = 0x11;
const LIMIT: u64 = 0x12;
const KEY: u64 = 0x20;
const TUPLE: u64 = 0x21;
const FUNCTION_NAME: u64 = 0x22;
const USER_NAME: u64 = 0x23;
/// The code of success is 0, and the header begins with it.
const PREFIX: usize = 5;

/// A user of Tarantool.
#[derive(Clone, Copy)]
pub struct User {
    pub name: &'static str,
    pub password: &'static str,
}

/// Connects; as `guest` where there is no user.
pub fn connect(port: u16, user: Option<User>) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut greeting = [0; 128];
    stream.read_exact(&mut greeting)?;
    if let Some(user) = user {
        let salt = STANDARD.decode(&greeting[64..108])?;
        let proof = scramble(user.password.as_bytes(), &salt[..20]);
        let tuple = Value::Array(vec!["chap-sha1".into(), Value::Binary(proof)]);
        let login = request(AUTH, [(USER_NAME, user.name.into()), (TUPLE, tuple)])?;
        exchange(&mut stream, &login)?;
    }
    Ok(stream)
}

/// Sends a unit and waits for its answers: their bytes.
pub fn exchange(stream: &mut TcpStream, unit: &Unit) -> Result<Vec<u8>> {
    stream.write_all(&unit.bytes)?;
    let mut answers = Vec::new();
    for _ in 0..unit.answers {
        let first = answers.len();
        answers.resize(first + PREFIX, 0);
        stream.read_exact(&mut answers[first..])?;
        let size = size(&answers[first..])?;
        answers.resize(first + PREFIX + size, 0);
        stream.read_exact(&mut answers[first + PREFIX..])?;
        parse(&answers[first..])?;
    }
    Ok(answers)
}

/// A call of a procedure.
pub fn call(procedure: &str, arguments: Vec<Value>) -> Result<Unit> {
    let name = (FUNCTION_NAME, procedure.into());
    request(CALL, [name, (TUPLE, Value::Array(arguments))])
}

/// One select for each key, by the first index of a space.
pub fn selects(space: u64, keys: &[String]) -> Result<Unit> {
    let mut unit = Unit {
        bytes: Vec::new(),
        answers: keys.len(),
    };
    for key in keys {
        let key = Value::Array(vec![key.as_str().into()]);
        let body = [
            (SPACE, space.into()),
            (INDEX, 0.into()),
            (LIMIT, 1.into()),
            (KEY, key),
        ];
        unit.bytes.extend(request(SELECT, body)?.bytes);
    }
    Ok(unit)
}

/// The length of the first whole answer. Errors: one that is an error.
pub fn parse(bytes: &[u8]) -> Result<Option<usize>> {
    if bytes.len() < PREFIX {
        return Ok(None);
    }
    let whole = PREFIX + size(bytes)?;
    match bytes.get(PREFIX..whole) {
        None => Ok(None),
        // A map, whose first member is the code: 0, as a number of 32 bits.
        Some([_, 0x00, 0xce, 0, 0, 0, 0, ..]) => Ok(Some(whole)),
        Some(answer) => Err(String::from_utf8_lossy(answer).into()),
    }
}

/// That of what follows the prefix, which is a number of 32 bits.
fn size(bytes: &[u8]) -> Result<usize> {
    match bytes {
        [0xce, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        _ => Err("an answer without its size".into()),
    }
}

/// The number that would tell answers apart is the same for all.
fn request<const N: usize>(kind: u64, body: [(u64, Value); N]) -> Result<Unit> {
    let numbered = |members: Vec<(u64, Value)>| {
        let members = members
            .into_iter()
            .map(|(number, value)| (number.into(), value));
        Value::Map(members.collect())
    };
    let mut packet = Vec::new();
    for part in [vec![(CODE, kind.into()), (SYNC, 1.into())], body.into()] {
        rmpv::encode::write_value(&mut packet, &numbered(part))?;
    }
    let mut bytes = vec![0xce];
    bytes.extend(u32::try_from(packet.len())?.to_be_bytes());
    bytes.extend(packet);
    Ok(Unit { bytes, answers: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_at_their_ends_and_errors_are_errors() {
        let answer = [0xce, 0, 0, 0, 8, 0x83, 0, 0xce, 0, 0, 0, 0, 1, 9];
        assert_eq!(parse(&answer).unwrap(), Some(13));
        assert_eq!(parse(&answer[..12]).unwrap(), None);
        assert_eq!(parse(&answer[..3]).unwrap(), None);
        let failed = [0xce, 0, 0, 0, 8, 0x83, 0, 0xce, 0, 0, 0x80, 1, 1];
        assert!(parse(&failed).is_err());
    }
}
