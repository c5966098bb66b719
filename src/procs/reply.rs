//! What procedures return: msgpack, or an error of Tarantool.

use authkv_base::error::Error;
use authkv_command::Outcome;
use serde::Serialize;
use std::fmt;
use tarantool::error::IntoBoxError;
use tarantool::tuple::RawByteBuf;

pub fn encode<T: Serialize>(value: &T) -> Result<RawByteBuf, Error> {
    rmp_serde::to_vec_named(value)
        .map(RawByteBuf)
        .map_err(|_| Error::Internal)
}

/// Bytes as a string of msgpack, which passes through Lua unharmed on every Tarantool.
pub fn text(bytes: &[u8]) -> Result<RawByteBuf, Error> {
    const STRING_32: u8 = 0xdb;
    let length = u32::try_from(bytes.len()).map_err(|_| Error::Internal)?;
    let mut encoded = vec![STRING_32];
    encoded.extend(length.to_be_bytes());
    encoded.extend(bytes);
    Ok(RawByteBuf(encoded))
}

/// The result of a procedure: one msgpack map.
pub fn outcome(outcome: Outcome) -> Result<RawByteBuf, Error> {
    match outcome {
        Outcome::Found(data)
        | Outcome::Encoded(data)
        | Outcome::Applied { members: data, .. }
        | Outcome::Pair(data) => Ok(RawByteBuf(data)),
        Outcome::Listed(page) => Ok(RawByteBuf(page.encode())),
        Outcome::Changed(page) => Ok(RawByteBuf(page.encode())),
        other => encode(&other),
    }
}

/// A failure as a Tarantool error: authkv's code, and `name: text`.
pub struct ProcError(Error);

impl From<Error> for ProcError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ProcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Tarantool cuts a text after 511 bytes, even inside a character.
        const MAX: usize = 500;
        let text = format!("{}: {}", self.0.row().name, self.0);
        match text.len() {
            0..=MAX => f.write_str(&text),
            _ => write!(f, "{}…", &text[..text.floor_char_boundary(MAX)]),
        }
    }
}

impl IntoBoxError for ProcError {
    fn error_code(&self) -> u32 {
        self.0.row().code
    }
}

pub fn encode_told<T: Serialize>(value: &T) -> Result<RawByteBuf, String> {
    encode(value).map_err(|error| error.to_string())
}

/// Why a start failed, in words for the operator.
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl IntoBoxError for StartError {}
