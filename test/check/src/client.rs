//! A connection over one of the fronts, and what can go wrong with it.

use crate::command::Command;
use crate::http::Http;
use crate::instance::Instance;
use crate::iproto::Iproto;
use crate::outcome::Outcome;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    Http,
    Iproto,
}

pub enum Connection {
    Http(Http),
    Iproto(Iproto),
}

/// Where to connect to, and with what token.
#[derive(Debug, Clone)]
pub struct Address {
    pub http_port: u16,
    pub iproto_port: u16,
    pub token: String,
}

#[derive(Debug)]
pub enum Failure {
    /// Nothing was sent: nobody listens.
    NotSent,
    /// The connection broke, and the command may have been executed.
    Unknown(String),
    /// An answer that no command may have.
    Odd(String),
}

impl Address {
    /// That of the instance, with a token of the user `admin`.
    pub fn of(instance: &Instance) -> Result<Self, Failure> {
        Ok(Self {
            http_port: instance.http_port,
            iproto_port: instance.iproto_port,
            token: Http::login(instance.http_port)?,
        })
    }
}

impl Connection {
    pub fn open(front: Front, address: &Address) -> Result<Self, Failure> {
        Ok(match front {
            Front::Http => Self::Http(Http::new(address)),
            Front::Iproto => Self::Iproto(Iproto::connect(address)?),
        })
    }

    /// Sends a command that is resolved, and reads its answer. After a failure the connection is of no use.
    pub fn send(&mut self, command: &Command) -> Result<Outcome, Failure> {
        let outcome = match self {
            Self::Http(http) => http.send(command),
            Self::Iproto(iproto) => iproto.send(command),
        };
        Ok(outcome?.with_times())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => to.write_str("nobody listens"),
            Self::Unknown(error) => write!(to, "the connection broke: {error}"),
            Self::Odd(answer) => write!(to, "an answer that should not be: {answer}"),
        }
    }
}

impl std::error::Error for Failure {}
