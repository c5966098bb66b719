//! A client of iproto: one connection, one call at a time.

use crate::client::{Address, Failure};
use crate::command::Command;
use crate::instance::CLIENT_PASSWORD;
use crate::outcome::{Outcome, Refusal, REFUSALS};
use crate::scramble::scramble;
use crate::value::map;
use base64::engine::{general_purpose::STANDARD, Engine};
use rmpv::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

// https://www.tarantool.io/en/doc/latest/reference/internals/iproto/
const AUTH: u64 = 0x07;
const CALL: u64 = 0x0a;
const CODE: u64 = 0x00;
const SYNC: u64 = 0x01;
const TUPLE: u64 = 0x21;
const FUNCTION_NAME: u64 = 0x22;
const USER_NAME: u64 = 0x23;
const DATA: u64 = 0x30;
const ERROR_TEXT: u64 = 0x31;
const FAILED: u64 = 0x8000;

pub struct Iproto {
    stream: TcpStream,
    token: String,
    sync: u64,
}

impl Iproto {
    /// Errors: `NotSent`, or `Odd` for an answer that is none.
    pub fn connect(address: &Address) -> Result<Self, Failure> {
        // A connection or a login that breaks off changed nothing.
        TcpStream::connect(("127.0.0.1", address.iproto_port))
            .map_err(Failure::from)
            .and_then(|stream| Self::greet(stream, address))
            .map_err(|failure| match failure {
                Failure::Unknown(_) => Failure::NotSent,
                other => other,
            })
    }

    fn greet(stream: TcpStream, address: &Address) -> Result<Self, Failure> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut iproto = Self {
            stream,
            token: address.token.clone(),
            sync: 0,
        };
        let mut greeting = [0; 128];
        iproto.stream.read_exact(&mut greeting)?;
        let salt = STANDARD
            .decode(&greeting[64..108])
            .map_err(|error| Failure::Odd(format!("greeting: {error}")))?;
        let proof = scramble(CLIENT_PASSWORD.as_bytes(), &salt[..20]);
        let tuple = Value::Array(vec!["chap-sha1".into(), Value::Binary(proof)]);
        match iproto.request(AUTH, [(USER_NAME, "authkv".into()), (TUPLE, tuple)])? {
            Ok(_) => Ok(iproto),
            Err((code, text)) => Err(Failure::Odd(format!("{code} {text}"))),
        }
    }

    pub fn send(&mut self, command: &Command) -> Result<Outcome, Failure> {
        let (procedure, arguments) = call_of(command);
        let arguments = [self.token.as_str().into()]
            .into_iter()
            .chain(arguments)
            .collect();
        let name = format!("authkv.{procedure}").into();
        let body = [(FUNCTION_NAME, name), (TUPLE, Value::Array(arguments))];
        match self.request(CALL, body)? {
            // What a C function returns comes inside one array.
            Ok(Value::Array(mut rows)) if rows.len() == 1 => match rows.remove(0) {
                Value::Array(mut results) if results.len() == 1 => {
                    Ok(Outcome::Done(results.remove(0)))
                }
                other => Err(Failure::Odd(other.to_string())),
            },
            Ok(other) => Err(Failure::Odd(other.to_string())),
            Err((code, text)) => refusal(code, &text),
        }
    }

    /// The data of the answer, or the code and the text of its error.
    fn request<const N: usize>(
        &mut self,
        kind: u64,
        body: [(u64, Value); N],
    ) -> Result<Result<Value, (u64, String)>, Failure> {
        self.sync += 1;
        let mut packet = Vec::new();
        for part in [
            numbered([(CODE, kind.into()), (SYNC, self.sync.into())]),
            numbered(body),
        ] {
            rmpv::encode::write_value(&mut packet, &part).map_err(odd)?;
        }
        let size = u32::try_from(packet.len()).map_err(odd)?;
        let mut whole = vec![0xce];
        whole.extend(size.to_be_bytes());
        whole.extend(packet);
        self.stream.write_all(&whole)?;

        let mut size = [0; 5];
        self.stream.read_exact(&mut size)?;
        let size = u32::from_be_bytes([size[1], size[2], size[3], size[4]]);
        let mut answer = vec![0; size as usize];
        self.stream.read_exact(&mut answer)?;
        let mut rest = answer.as_slice();
        let header = rmpv::decode::read_value(&mut rest).map_err(odd)?;
        let body = match rest {
            [] => Value::Map(Vec::new()),
            _ => rmpv::decode::read_value(&mut rest).map_err(odd)?,
        };
        if at(&header, SYNC).and_then(Value::as_u64) != Some(self.sync) {
            return Err(Failure::Odd(format!("the answer to another: {header}")));
        }
        match at(&header, CODE).and_then(Value::as_u64) {
            Some(code) if code >= FAILED => {
                let text = at(&body, ERROR_TEXT).and_then(Value::as_str);
                Ok(Err((code - FAILED, text.unwrap_or_default().to_owned())))
            }
            Some(_) => Ok(Ok(at(&body, DATA).cloned().unwrap_or(Value::Nil))),
            None => Err(Failure::Odd(header.to_string())),
        }
    }
}

/// The procedure and its arguments after the token.
fn call_of(command: &Command) -> (&'static str, Vec<Value>) {
    let (procedure, mut arguments) = match command {
        Command::BatchGet { .. } => ("batch_get", vec![command.batch()]),
        Command::BatchPut { .. } => ("batch_put", vec![command.batch()]),
        Command::BatchDelete { .. } => ("batch_delete", vec![command.batch()]),
        Command::Txn { .. } => ("kv_txn", vec![]),
        Command::List(_) => ("kv_list", vec![]),
        Command::Incr { key, .. } => ("kv_incr", vec![key.as_str().into()]),
        Command::PairGet { key, .. } => ("pair_get", vec![key.as_str().into()]),
        Command::PairPut { put, .. } => {
            ("pair_put", vec![put.key.as_str().into(), put.value.clone()])
        }
        Command::PairDelete { key, .. } => ("pair_delete", vec![key.as_str().into()]),
        Command::OldRead { .. } => ("kv_get", vec![command.batch()]),
        Command::OldWrite { .. } => ("kv_put", vec![command.batch()]),
    };
    let options = command.options();
    let has_to_be_there = matches!(command, Command::Txn { .. });
    if has_to_be_there || !options.is_empty() {
        arguments.push(map(options));
    }
    (procedure, arguments)
}

/// An error's text is `name: message`, and its code that of the name.
fn refusal(code: u64, text: &str) -> Result<Outcome, Failure> {
    let (name, message) = text.split_once(": ").unwrap_or(("", text));
    match REFUSALS
        .iter()
        .any(|row| row.0 == name && u64::from(row.1) == code)
    {
        true => Ok(Outcome::Refused(Refusal::new(name, message.to_owned()))),
        false => Err(Failure::Odd(format!("{code} {text}"))),
    }
}

fn numbered<const N: usize>(members: [(u64, Value); N]) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(number, value)| (number.into(), value))
            .collect(),
    )
}

fn at(map: &Value, number: u64) -> Option<&Value> {
    let (_, value) = map
        .as_map()?
        .iter()
        .find(|(key, _)| key.as_u64() == Some(number))?;
    Some(value)
}

fn odd(error: impl std::fmt::Display) -> Failure {
    Failure::Odd(error.to_string())
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Unknown(error.to_string())
    }
}
