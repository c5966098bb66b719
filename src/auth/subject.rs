//! The user of a token: whether the token is valid at this moment, and how all tokens of a user end. Runs on the tx thread.

use super::Auth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_domain::{Claims, Subject};
use authkv_token::{AccessToken, Draft};

/// The user of a token, where it holds at this moment. Errors: `Unauthenticated` for one that has expired or was
/// revoked, whose user changed the password, was disabled or deleted; `RevocationsUnknown`. Does not yield.
pub fn subject_of(tx: &Tx, auth: &Auth, claims: &Claims) -> Result<Subject, Error> {
    let storage = &auth.storage;
    // The token may have expired on its way here, and its revocation may be forgotten since.
    if !auth.tokens.is_in_time(claims) {
        return Err(Error::Unauthenticated);
    }
    auth.following.check(auth)?;
    if storage.revoked.contains(tx, claims.revocation_id())? {
        return Err(Error::Unauthenticated);
    }
    let subject = active(tx, auth, &claims.sub, claims.epoch)?;
    subject.ok_or(Error::Unauthenticated)
}

/// The user of a token of that epoch, or `None` where it holds no more. Does not yield.
pub fn active(tx: &Tx, auth: &Auth, login: &str, epoch: u64) -> Result<Option<Subject>, Error> {
    let subject = auth.storage.subjects.get(tx, login)?;
    let is_present = subject.is_active() && subject.epoch == epoch;
    let holds = match &auth.storage.users {
        Some(users) => is_present && users.contains(tx, login)?,
        // Epochs and changes are numbered by one sequence. An epoch above the last change heard of is on its way here; one
        // below it that is not known has ended, and what ended it was forgotten.
        None => is_present || epoch > subject.epoch.max(auth.following.heard()),
    };
    Ok(holds.then_some(subject))
}

/// Ends all tokens and sessions of a login, in a transaction of the caller's, with what else changes in the subject.
pub fn end_all(
    tx: &Tx,
    auth: &Auth,
    login: &str,
    change: impl FnOnce(&mut Subject),
) -> Result<Subject, Error> {
    let storage = &auth.storage;
    storage.sessions.prune(tx, login, 0)?;
    storage.subjects.renew(tx, &storage.mirror, login, change)
}

/// Writes down when a new token expires: only then anybody may have it. Yields if there is something to write.
pub fn record(tx: &Tx, auth: &Auth, draft: Draft) -> Result<AccessToken, Error> {
    auth.storage.issued.cover(tx, draft.exp())?;
    Ok(draft.recorded())
}
