//! The vocabulary of requests: [`Operation`], [`Command`], [`Request`], [`Outcome`]. Pure; any thread.

#![forbid(unsafe_code)]

mod decode;
mod operation;
mod outcome;

pub use decode::{CONTENT_TYPE_MAX, PAGE, PAGE_MAX, PUBLISH_MAX, ROLES_MAX};
pub use operation::{Lane, Needs, Operation};
pub use outcome::{Done, KeyRow, Outcome, Session};

use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_domain::{Claims, Keys, Listing, Permission, Steps, Txn, Watching};
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

/// An operation with its input. The shape of the input is right; whether it keeps the rules is reported after the
/// token was checked, so rules that are known to be broken travel along as errors.
#[derive(Debug)]
pub enum Command {
    Register(Registration),
    Login(Credentials),
    Logout,
    Check,
    Get(Result<Keys, Error>),
    Put(Result<Steps, Error>),
    UserRegister(Registration),
    SessionLogin(Credentials),
    /// With a refresh token.
    SessionRefresh(SecretString),
    SessionLogoutAll,
    /// With another token than the caller's.
    SessionIntrospect(SecretString),
    UserMe,
    UserPassword {
        old: SecretString,
        new: SecretString,
    },
    KeySet,
    UserList(Result<Page, Error>),
    UserGet(String),
    /// With the names of roles.
    UserCreate(Registration, Vec<String>),
    UserDelete(String),
    UserDisable(String),
    UserEnable(String),
    UserLogout(String),
    UserSetPassword(Credentials),
    RoleGrant(Grant),
    RoleRevoke(Grant),
    RoleList,
    RoleSet {
        role: String,
        permissions: Vec<Permission>,
    },
    RoleDelete(String),
    KeyList,
    /// Seconds from the publication of the new key to its first signature, where they are given.
    KeyRotate(Result<Option<u64>, Error>),
    /// With the id of a key.
    KeyRetire(String),
    /// And whether all have to be there.
    BatchGet(Result<Keys, Error>, bool),
    BatchPut(Result<Steps, Error>),
    BatchDelete(Result<Steps, Error>),
    KvTxn(Result<Txn, Error>),
    KvList(Result<Listing, Error>),
    /// One step.
    KvIncr(Result<Steps, Error>),
    KvWatch(Result<Watching, Error>),
    /// One step each.
    PairGet(Result<Steps, Error>),
    PairPut(Result<Steps, Error>),
    PairDelete(Result<Steps, Error>),
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
    pub fn operation(&self) -> Operation {
        match self {
            Command::Register(_) => Operation::Register,
            Command::Login(_) => Operation::Login,
            Command::Logout => Operation::Logout,
            Command::Check => Operation::Check,
            Command::Get(_) => Operation::Get,
            Command::Put(_) => Operation::Put,
            Command::UserRegister(_) => Operation::UserRegister,
            Command::SessionLogin(_) => Operation::SessionLogin,
            Command::SessionRefresh(_) => Operation::SessionRefresh,
            Command::SessionLogoutAll => Operation::SessionLogoutAll,
            Command::SessionIntrospect(_) => Operation::SessionIntrospect,
            Command::UserMe => Operation::UserMe,
            Command::UserPassword { .. } => Operation::UserPassword,
            Command::KeySet => Operation::KeySet,
            Command::UserList(_) => Operation::UserList,
            Command::UserGet(_) => Operation::UserGet,
            Command::UserCreate(..) => Operation::UserCreate,
            Command::UserDelete(_) => Operation::UserDelete,
            Command::UserDisable(_) => Operation::UserDisable,
            Command::UserEnable(_) => Operation::UserEnable,
            Command::UserLogout(_) => Operation::UserLogout,
            Command::UserSetPassword(_) => Operation::UserSetPassword,
            Command::RoleGrant(_) => Operation::RoleGrant,
            Command::RoleRevoke(_) => Operation::RoleRevoke,
            Command::RoleList => Operation::RoleList,
            Command::RoleSet { .. } => Operation::RoleSet,
            Command::RoleDelete(_) => Operation::RoleDelete,
            Command::KeyList => Operation::KeyList,
            Command::KeyRotate(_) => Operation::KeyRotate,
            Command::KeyRetire(_) => Operation::KeyRetire,
            Command::BatchGet(..) => Operation::BatchGet,
            Command::BatchPut(_) => Operation::BatchPut,
            Command::BatchDelete(_) => Operation::BatchDelete,
            Command::KvTxn(_) => Operation::KvTxn,
            Command::KvList(_) => Operation::KvList,
            Command::KvIncr(_) => Operation::KvIncr,
            Command::KvWatch(_) => Operation::KvWatch,
            Command::PairGet(_) => Operation::PairGet,
            Command::PairPut(_) => Operation::PairPut,
            Command::PairDelete(_) => Operation::PairDelete,
        }
    }

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
