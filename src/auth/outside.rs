//! Tokens of other issuers: whether a token is valid now, and which roles it gives. Runs on the tx thread; the keys of issuers
//! are fetched on a thread of their own.
//!
//! A token of another issuer has no epoch. It ends by the time at which it was issued: of two tokens of a user, the one that was
//! issued in or before the second in which all ended does not hold any more.

use super::access;
use super::Auth;
use crate::tx::{log, Tx};
use authkv_base::error::Error;
use authkv_domain::{Claims, Outside, Subject};
use authkv_jwks::Line;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The pause between two lines of the log about refused tokens of one issuer.
const QUIET: Duration = Duration::from_secs(60);

/// The user of a token that has not expired and was not revoked, with the roles of the token, or `None` if the token is not valid
/// any more. Does not yield.
pub fn active(
    tx: &Tx,
    auth: &Auth,
    claims: &Claims,
    outside: &Outside,
) -> Result<Option<Subject>, Error> {
    let storage = &auth.storage;
    let found = storage.subjects.find(tx, &claims.sub)?;
    let ended_at = found.as_ref().map_or(0, |subject| subject.ended_at);
    if claims.iat <= ended_at.max(storage.subjects.all_ended_at(tx)?) {
        return Ok(None);
    }
    let is_there = match &storage.users {
        Some(users) => users.contains(tx, &claims.sub)?,
        // A follower knows users by their tuples alone.
        None => found.as_ref().is_some_and(|subject| !subject.deleted),
    };
    let mut subject = found.unwrap_or_default();
    if subject.disabled || !(is_there || outside.creates) {
        return Ok(None);
    }
    for role in &outside.roles {
        match access::granted(tx, auth, role) {
            Ok(granted) if !subject.has(&granted.name) => subject.roles.push(granted),
            // The file may name a role before it is made.
            Ok(_) | Err(Error::NoSuchRole) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(Some(subject))
}

/// Until when all tokens of other issuers that were issued before `time` have expired, in seconds since 1970-01-01 UTC.
pub fn until(auth: &Auth, time: u64) -> u64 {
    time + auth.tokens.issuers().lifetime_max()
}

/// When the refused tokens of an issuer were logged last.
#[derive(Default)]
pub struct Refused(BTreeMap<String, Instant>);

/// Logs what the thread that fetches keys has to say, and how many tokens of other issuers were refused. Does not yield.
pub fn report(auth: &Auth, refused: &mut Refused) {
    while let Some(line) = auth.refresher.line() {
        match line {
            Line::Info(line) => log::info(&line),
            Line::Warning(line) => log::warn(&line),
        }
    }
    for issuer in auth.tokens.issuers().iter() {
        let name = &issuer.policy.issuer;
        if refused.0.get(name).is_some_and(|at| at.elapsed() < QUIET) {
            continue;
        }
        if let Some((count, reason)) = issuer.take_refused() {
            log::warn(&format!(
                "{count} tokens that name the issuer {name} were refused, the last one because: {reason}"
            ));
            refused.0.insert(name.clone(), Instant::now());
        }
    }
}
