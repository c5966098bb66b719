//! The vocabulary of requests: [`Operation`], [`Command`], [`Request`], [`Outcome`]. Pure; any thread.

#![forbid(unsafe_code)]

mod decode;
mod endpoint;
mod operation;
mod outcome;
#[cfg(test)]
mod sample;
mod table;

pub use decode::{CONTENT_TYPE_MAX, PAGE, PAGE_MAX, PUBLISH_MAX, ROLES_MAX};
pub use endpoint::{Delivery, Endpoint, Function, Input, Kind, Profile, Who, TAGS};
pub use operation::{Command, Lane, Operation, Privilege, Row};
pub use outcome::{Done, KeyRow, Outcome, Session};

use authkv_base::origin::Origin;
use authkv_domain::Claims;
use secrecy::SecretString;
use std::sync::Arc;

/// A command, and who sent it from where.
pub struct Request {
    pub origin: Origin,
    pub caller: Caller,
    pub command: Command,
}

/// Who sent a command, as far as that is known without the spaces.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No token.
    Anonymous,
    /// A token that is not valid.
    Refused,
    /// A token whose signature, times and issuer are right; whether it was revoked is not known yet.
    Bearer(Arc<Claims>),
    /// Someone with Tarantool's own right to execute the owner's procedure.
    Owner,
}

/// The input of a registration, before the rules are applied: a taken login is reported first.
#[derive(Debug)]
pub struct Registration {
    pub login: String,
    pub password: SecretString,
    pub name: String,
    pub surname: String,
}

/// A login and a password, of which no rules are known.
#[derive(Debug)]
pub struct Credentials {
    pub login: String,
    pub password: SecretString,
}

/// A role, given to a user or taken from one.
#[derive(Debug)]
pub struct Grant {
    pub login: String,
    pub role: String,
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub struct Page {
    /// The part begins after this one.
    pub after: Option<String>,
    pub limit: usize,
}

impl Command {
    /// The login, role or key that it is about, for the audit log.
    pub fn object(&self) -> Option<&str> {
        match self {
            Command::Register(one) | Command::UserRegister(one) | Command::UserCreate(one, _) => {
                Some(&one.login)
            }
            Command::Login(one) | Command::SessionLogin(one) | Command::UserSetPassword(one) => {
                Some(&one.login)
            }
            Command::RoleGrant(one) | Command::RoleRevoke(one) => Some(&one.login),
            Command::UserGet(one)
            | Command::UserDelete(one)
            | Command::UserDisable(one)
            | Command::UserEnable(one)
            | Command::UserLogout(one)
            | Command::RoleDelete(one)
            | Command::KeyRetire(one) => Some(one),
            Command::RoleSet { role, .. } => Some(role),
            _ => None,
        }
    }

    /// The role that is granted or revoked, for the audit log.
    pub fn role(&self) -> Option<&str> {
        match self {
            Command::RoleGrant(one) | Command::RoleRevoke(one) => Some(&one.role),
            _ => None,
        }
    }
}
