//! Register, login, logout. Runs on the tx thread; passwords and signatures are the crypto pool's work.

use super::password::Stored;
use super::token::Known;
use crate::bridge::crypto::run;
use crate::command::{Caller, Outcome, Principal, Registration};
use crate::domain::{Initial, Login, Password};
use crate::error::Error;
use crate::instance::Instance;
use crate::storage::Users;
use crate::tx::{log, settle, Tx};
use ring::digest::{Context, SHA256};
use secrecy::SecretString;

/// Verifies a token: those seen before at once, others on a thread. Yields for the latter.
pub fn caller(tx: &Tx, instance: &'static Instance, token: String) -> Result<Caller, Error> {
    let claims = match instance.tokens.known(&token) {
        Known::Valid(claims) => Some(claims),
        Known::Invalid => None,
        Known::New => {
            let verify = move || Ok(instance.tokens.verify(&token));
            run(tx, instance, &instance.verifier, verify)?
        }
    };
    Ok(claims.map_or(Caller::Anonymous, Caller::Bearer))
}

/// Adds a user. Errors: `LoginTaken` before `BadLogin`, `BadPassword`, `BadInitial`; `Overloaded`. Yields.
pub fn register(
    tx: &Tx,
    instance: &'static Instance,
    input: Registration,
) -> Result<Outcome, Error> {
    let users = users(instance)?;
    if users.hash(tx, &input.login)?.is_some() {
        return Err(Error::LoginTaken);
    }
    let login = Login::new(input.login)?;
    let password = Password::new(input.password)?;
    let name = Initial::new(input.name)?;
    let surname = Initial::new(input.surname)?;
    let hash = run(tx, instance, &instance.crypto, move || {
        instance.hasher.hash(password.secret())
    })?;
    users.insert(tx, &login, &hash, &name, &surname)?;
    Ok(Outcome::Registered {
        login: login.as_str().to_owned(),
    })
}

/// Checks a password and issues a token. A hash of the old system or of another cost is replaced on the way.
/// An unknown login takes the time of a known one. Errors: `InvalidCredentials`, `Overloaded`. Yields.
pub fn login(
    tx: &Tx,
    instance: &'static Instance,
    login: String,
    password: SecretString,
) -> Result<Outcome, Error> {
    // A hash that changes while it is being compared says nothing: compare with the new one, once more.
    for _ in 0..2 {
        if let Some(token) = try_login(tx, instance, &login, password.clone())? {
            // What the user was found by has to be durable before a token says so.
            settle(tx)?;
            return Ok(Outcome::LoggedIn {
                token,
                expires_in: instance.tokens.ttl().as_secs(),
            });
        }
    }
    Err(Error::InvalidCredentials)
}

/// A token, or `None` where the user's hash was changed meanwhile.
fn try_login(
    tx: &Tx,
    instance: &'static Instance,
    login: &str,
    password: SecretString,
) -> Result<Option<String>, Error> {
    let users = users(instance)?;
    let known = users.hash(tx, login)?;
    let stored = match &known {
        Some(hash) => Stored::Hash(hash.clone()),
        None => Stored::Unknown {
            bcrypt: looks_old(instance, login, users.bcrypt_share(tx)),
        },
    };
    let subject = login.to_owned();
    let matched = run(tx, instance, &instance.crypto, move || {
        let verdict = instance.hasher.verify(&password, &stored);
        if !verdict.matches {
            return Ok(None);
        }
        let renewed = verdict
            .outdated
            .then(|| instance.hasher.hash(&password))
            .transpose()?;
        Ok(Some((instance.tokens.issue(&subject)?, renewed)))
    })?;
    let unchanged = users.hash(tx, login)? == known;
    match (matched, known) {
        (Some((token, Some(hash))), Some(known)) => {
            Ok(renew(tx, users, login, &known, &hash).then_some(token))
        }
        (Some((token, None)), Some(_)) => Ok(unchanged.then_some(token)),
        _ if unchanged => Err(Error::InvalidCredentials),
        _ => Ok(None),
    }
}

/// Revokes the token the caller came with. Errors: `Unauthenticated` for a caller without one. Yields.
pub fn logout(tx: &Tx, instance: &Instance, who: &Principal) -> Result<Outcome, Error> {
    let claims = who.claims().ok_or(Error::Unauthenticated)?;
    instance
        .storage
        .revoked
        .insert(tx, &claims.jti, claims.exp)?;
    Ok(Outcome::LoggedOut)
}

/// Drops what is known of revoked tokens that no instance would accept any more. Returns whether there may
/// be more of them. Yields.
pub fn forget_expired(tx: &Tx, instance: &Instance) -> Result<bool, Error> {
    const SLICE: usize = 500;
    /// Seconds that no request takes from the check of its token to its end.
    const MARGIN: u64 = 60;
    let time = super::token::now().saturating_sub(instance.tokens.leeway() + MARGIN);
    Ok(instance.storage.revoked.drop_expired(tx, time, SLICE)? == SLICE)
}

/// Replaces an outdated hash. Returns whether it was unchanged till then. A login does not fail because a new
/// hash cannot be written now.
fn renew(tx: &Tx, users: &Users, login: &str, old: &str, new: &str) -> bool {
    users
        .replace_hash(tx, login, old, new)
        .unwrap_or_else(|error| {
            log::warn(&format!(
                "a password hash was not renewed: {}",
                error.row().name
            ));
            true
        })
}

/// Whether an unknown login is to cost what a user of the old system costs. The answer is the same for a
/// login at each try, and `yes` for as large a share of unknown logins as of known ones, so that the time a
/// login takes tells nothing about whether it is known.
fn looks_old(instance: &Instance, login: &str, share: f64) -> bool {
    let mut context = Context::new(&SHA256);
    context.update(&instance.login_salt);
    context.update(login.as_bytes());
    let digest = context.finish();
    let drawn = digest
        .as_ref()
        .iter()
        .take(4)
        .fold(0u32, |drawn, byte| drawn << 8 | u32::from(*byte));
    f64::from(drawn) < share * f64::from(u32::MAX)
}

fn users(instance: &Instance) -> Result<&Users, Error> {
    instance.storage.users.as_ref().ok_or(Error::NotOffered)
}
