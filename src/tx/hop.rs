//! The hop to the leader of the replica set, which other instances ask over iproto: see hop.lua. Runs on the tx thread.

use super::source::{self, Vclock};
use super::{log, Tx};
use authkv_base::error::Error;
use serde_bytes::{ByteBuf, Bytes};
use std::time::Duration;
use tlua::AnyLuaString;

/// What came of a question to the leader.
#[derive(Debug)]
pub enum Told {
    /// What the procedure returned.
    Answered(Vec<u8>),
    /// The leader has done nothing.
    Refused,
    /// The leader was certainly not asked.
    Unsent,
    /// The leader may have done what was asked, or may still do it.
    Lost,
}

/// Calls a procedure of the hop at the leader, with a text that may have any bytes. Evaluates Lua. Yields, at most for `patience`.
pub fn ask(_tx: &Tx, procedure: &str, text: &[u8], patience: Duration) -> Told {
    const ASK: &str = "
        local verdict, text = require('authkv.hop').ask(...)
        return verdict, text";
    let given = (
        procedure,
        AnyLuaString(text.to_vec()),
        patience.as_secs_f64(),
    );
    type Answer = (String, AnyLuaString);
    let told = tarantool::lua_state().eval_with::<_, Answer>(ASK, given);
    match told {
        Ok((verdict, text)) => match verdict.as_str() {
            "answered" => Told::Answered(text.as_bytes().to_vec()),
            "refused" => Told::Refused,
            "unsent" => Told::Unsent,
            _ => Told::Lost,
        },
        Err(error) => {
            log::error(&format!("hop.ask failed: {error}"));
            Told::Lost
        }
    }
}

/// An answer of the leader with the place that it has reached, for what changes something there. Evaluates Lua. Does not yield.
/// Errors: `Internal`.
pub fn reply(tx: &Tx, answer: &[u8]) -> Result<Vec<u8>, Error> {
    let position = source::position(tx).ok();
    rmp_serde::to_vec(&(position, Bytes::new(answer))).map_err(|_| Error::Internal)
}

/// Reads what [`reply`] has made. `None` if it is something else.
pub fn read_reply(reply: &[u8]) -> Option<(Option<Vclock>, Vec<u8>)> {
    let (position, answer): (_, ByteBuf) = rmp_serde::from_slice(reply).ok()?;
    Some((position, answer.into_vec()))
}

/// How far the leader has come, as it says itself after this call. Evaluates Lua. Yields, at most for `patience`. Errors:
/// `Behind`.
pub fn leader_position(tx: &Tx, patience: Duration) -> Result<Vclock, Error> {
    let why = match ask(tx, "leader_position", b"", patience) {
        Told::Answered(text) => {
            return rmp_serde::from_slice(&text).map_err(|_| Error::Internal);
        }
        Told::Refused => "the instance that should lead does not",
        Told::Unsent => "the leader is out of reach",
        Told::Lost => "the leader does not answer",
    };
    Err(Error::Behind { why: why.into() })
}

/// Waits until this instance has every row of a position. Returns whether it does within `patience`. Evaluates Lua. Yields.
pub fn await_position(_tx: &Tx, position: &Vclock, patience: Duration) -> bool {
    const AWAIT: &str = "
        local position, patience = ...
        return require('authkv.hop').await(require('msgpack').decode(position), patience)";
    let Ok(encoded) = rmp_serde::to_vec(position) else {
        return false;
    };
    tarantool::lua_state()
        .eval_with(AWAIT, (AnyLuaString(encoded), patience.as_secs_f64()))
        .unwrap_or_default()
}
