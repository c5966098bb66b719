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

/// A command with its sender and origin.
pub struct Request {
    pub origin: Origin,
    pub caller: Caller,
    pub command: Command,
}

/// The sender of a command, as far as it is known without reading a space.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No token.
    Anonymous,
    /// A token that is not valid.
    Refused,
    /// A token with a valid signature, times and issuer. It may have been revoked.
    Bearer(Arc<Claims>),
    /// Someone who has Tarantool's own right to execute the owner's procedure.
    Owner,
}

/// The input of a registration before the check of its rules: a taken login is reported first.
#[derive(Debug)]
pub struct Registration {
    pub login: String,
    pub password: SecretString,
    pub name: String,
    pub surname: String,
}

/// A login and a password, not checked against any rules.
#[derive(Debug)]
pub struct Credentials {
    pub login: String,
    pub password: SecretString,
}

/// A role to give to a user or take away.
#[derive(Debug)]
pub struct Grant {
    pub login: String,
    pub role: String,
}

/// The requested part of a list.
#[derive(Debug)]
pub struct Page {
    /// The part begins after this item.
    pub after: Option<String>,
    pub limit: usize,
}

impl Command {
    /// The login, role or key of the command, for the audit log.
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
