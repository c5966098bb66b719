//! The one path every front takes: [`Command`] in, [`Outcome`] out, and [`execute`] between them.
//!
//! Commands are decoded on any thread and executed on the tx thread.

mod operation;

pub use operation::Operation;

use crate::codec::{self, Document};
use crate::domain::{Claims, Keys, Limits, Pairs};
use crate::error::Error;
use crate::instance::Instance;
use crate::tx::Tx;
use crate::{auth, kv};
use secrecy::SecretString;
use std::sync::Arc;

/// An operation with its input. The shape of the input is right; whether it keeps the rules of the contract
/// is reported after the token was checked, so rules that are known to be broken travel along as errors.
#[derive(Debug)]
pub enum Command {
    Register(Registration),
    Login {
        login: String,
        password: SecretString,
    },
    Logout,
    Check,
    Get(Result<Keys, Error>),
    Put(Result<Pairs, Error>),
}

/// The input of a registration, before the rules are applied: a taken login is reported first.
#[derive(Debug)]
pub struct Registration {
    pub login: String,
    pub password: SecretString,
    pub name: String,
    pub surname: String,
}

impl Command {
    /// Reads the input of an operation: from a map by name, or from an array by position after the first
    /// `skip` elements. Errors: `Malformed`.
    pub fn decode(
        operation: Operation,
        input: &Document<'_>,
        skip: usize,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Ok(match operation {
            Operation::Register => {
                let names = ["login", "password", "name", "surname"];
                let [login, password, name, surname] = input.fields(names, skip)?;
                Command::Register(Registration {
                    login: codec::string("login", login)?,
                    password: codec::string("password", password)?.into(),
                    name: codec::string("name", name)?,
                    surname: codec::string("surname", surname)?,
                })
            }
            Operation::Login => {
                let [login, password] = input.fields(["login", "password"], skip)?;
                Command::Login {
                    login: codec::string("login", login)?,
                    password: codec::string("password", password)?.into(),
                }
            }
            Operation::Logout => input.fields([], skip).map(|[]| Command::Logout)?,
            Operation::Check => input.fields([], skip).map(|[]| Command::Check)?,
            Operation::Get => {
                let [keys] = input.fields(["keys"], skip)?;
                Command::Get(Keys::decode(keys, limits)?)
            }
            Operation::Put => {
                let [pairs] = input.fields(["data"], skip)?;
                Command::Put(Pairs::decode(pairs, limits)?)
            }
        })
    }

    pub fn operation(&self) -> Operation {
        match self {
            Command::Register(_) => Operation::Register,
            Command::Login { .. } => Operation::Login,
            Command::Logout => Operation::Logout,
            Command::Check => Operation::Check,
            Command::Get(_) => Operation::Get,
            Command::Put(_) => Operation::Put,
        }
    }
}

/// What came of a command. It holds a token, so it does not print.
pub enum Outcome {
    Registered {
        login: String,
    },
    LoggedIn {
        token: String,
        expires_in: u64,
    },
    LoggedOut,
    /// The claims of a token that is valid at this moment.
    Checked(Option<Arc<Claims>>),
    /// `{data: pairs}` in msgpack, the pairs in the order of the request.
    Found(Vec<u8>),
    Written {
        written: usize,
        existing: Vec<String>,
    },
}

/// Who sent a command, as far as that is known without the spaces.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No token, or one that does not hold.
    Anonymous,
    /// A token whose signature, times and issuer hold; whether it was revoked is not known yet.
    Bearer(Arc<Claims>),
    /// Someone with Tarantool's own right to execute the owner's procedure.
    Owner,
}

/// Who sent a command, for certain. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct Principal(Who);

#[derive(Debug)]
enum Who {
    User(Arc<Claims>),
    Owner,
}

impl Principal {
    /// The token, where it was one that proved who this is.
    pub fn claims(&self) -> Option<&Arc<Claims>> {
        match &self.0 {
            Who::User(claims) => Some(claims),
            Who::Owner => None,
        }
    }
}

/// Executes a command. Yields where it waits for the crypto pool (register, login) or commits (register,
/// login, logout, put); get and check do not yield.
pub fn execute(
    tx: &Tx,
    instance: &'static Instance,
    caller: Caller,
    command: Command,
) -> Result<Outcome, Error> {
    if !command.operation().offered_by(instance.config.services) {
        return Err(Error::NotOffered);
    }
    match command {
        Command::Register(registration) => auth::service::register(tx, instance, registration),
        Command::Login { login, password } => auth::service::login(tx, instance, login, password),
        Command::Logout => {
            let principal = authenticate(tx, instance, caller)?;
            auth::service::logout(tx, instance, &principal)
        }
        Command::Check => match authenticate(tx, instance, caller) {
            Ok(principal) => Ok(Outcome::Checked(principal.claims().cloned())),
            Err(Error::Unauthenticated) => Ok(Outcome::Checked(None)),
            Err(other) => Err(other),
        },
        Command::Get(keys) => {
            let principal = authenticate(tx, instance, caller)?;
            kv::get(tx, instance, &principal, &keys?)
        }
        Command::Put(pairs) => {
            let principal = authenticate(tx, instance, caller)?;
            kv::put(tx, instance, &principal, &pairs?)
        }
    }
}

/// Tells who sent a command. Errors: `Unauthenticated`, also for a token that was revoked;
/// `RevocationsUnknown`. Does not yield.
fn authenticate(tx: &Tx, instance: &Instance, caller: Caller) -> Result<Principal, Error> {
    match caller {
        Caller::Anonymous => Err(Error::Unauthenticated),
        Caller::Owner => Ok(Principal(Who::Owner)),
        Caller::Bearer(claims) => {
            // The token may have expired on its way here, and its revocation may be forgotten since.
            if !instance.tokens.is_in_time(&claims) {
                return Err(Error::Unauthenticated);
            }
            instance.check_following()?;
            match instance.storage.revoked.contains(tx, &claims.jti)? {
                true => Err(Error::Unauthenticated),
                false => Ok(Principal(Who::User(claims))),
            }
        }
    }
}
